//! Where a session stands that began with polling: which transport it is on, and its way to another.

use super::{Options, Packet};
use crate::market::Millis;
use crate::session::Said;

/// The transport of one session.
///
/// Invariants:
/// - at most one poll is held, and none once the client has moved to a WebSocket;
/// - at most one WebSocket tries to take over, and nothing but the answer to its probe is sent on it
///   before the client has moved: a client silently loses whatever comes there earlier;
/// - a try has a deadline, and one that is given up leaves polling as it was.
#[derive(Debug)]
pub struct Transport {
    stage: Stage,
    /// A poll is held since this time.
    held: Option<Millis>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Polling alone.
    Polling,
    /// A WebSocket is there and has said nothing.
    Trying { until: Millis },
    /// Its probe was answered: the client lets its polls end, and then moves.
    Probed { until: Millis },
    /// The client has moved.
    WebSocket,
}

/// What becomes of a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// It is held until there is something to answer it with.
    Held,
    /// There is one already: both are answered, and the session ends.
    Second,
    /// The session is no longer on polling.
    Moved,
}

/// What a message on a WebSocket that tries to take over leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeStep {
    /// The probe is answered.
    Answer,
    /// The client has moved: from now on this is the session's socket.
    Move,
    /// It is none of ours: the WebSocket goes, the session stays.
    GiveUp,
}

/// What a deadline of the transport leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The poll is answered with nothing: the client waits for it to end before it moves.
    Release,
    /// The WebSocket that tried has had its time.
    GiveUp,
}

impl Transport {
    /// A session that has just begun with a request that is held.
    pub const fn polling(now: Millis) -> Transport {
        Transport { stage: Stage::Polling, held: Some(now) }
    }

    /// A poll has come.
    pub fn poll(&mut self, now: Millis) -> Poll {
        if self.stage == Stage::WebSocket {
            return Poll::Moved;
        }
        match self.held.replace(now) {
            None => Poll::Held,
            Some(_) => Poll::Second,
        }
    }

    /// The poll was answered.
    pub fn answered(&mut self) {
        self.held = None;
    }

    /// Whether polls and posts are taken.
    pub fn is_polling(&self) -> bool {
        self.stage != Stage::WebSocket
    }

    /// A WebSocket tries to take over, where it may.
    pub fn tries(&mut self, now: Millis, options: &Options) -> bool {
        let may = self.stage == Stage::Polling;
        if may {
            self.stage = Stage::Trying { until: now + options.upgrade_timeout };
        }
        may
    }

    /// The WebSocket that tries has said something.
    pub fn hear(&mut self, said: Said<'_>) -> ProbeStep {
        let packet = Packet::read(said);
        match (self.stage, packet) {
            (Stage::Trying { until }, Ok(Packet::Ping("probe"))) => {
                self.stage = Stage::Probed { until };
                ProbeStep::Answer
            }
            (Stage::Trying { .. } | Stage::Probed { .. }, Ok(Packet::Upgrade)) => {
                self.stage = Stage::WebSocket;
                ProbeStep::Move
            }
            (Stage::Polling | Stage::Trying { .. } | Stage::Probed { .. } | Stage::WebSocket, _) => {
                self.give_up();
                ProbeStep::GiveUp
            }
        }
    }

    /// The WebSocket that tried has gone, or goes.
    pub fn give_up(&mut self) {
        if self.is_polling() {
            self.stage = Stage::Polling;
        }
    }

    /// When [`Transport::take_due`] will next have something.
    pub fn next_due(&self) -> Option<Millis> {
        let (release, until) = (self.release_at(), self.until());
        release.into_iter().chain(until).min()
    }

    /// What is due at `now`.
    pub fn take_due(&mut self, now: Millis) -> Option<Due> {
        if self.until().is_some_and(|until| until <= now) {
            self.give_up();
            return Some(Due::GiveUp);
        }
        self.release_at().is_some_and(|at| at <= now).then_some(Due::Release)
    }

    fn until(&self) -> Option<Millis> {
        match self.stage {
            Stage::Trying { until } | Stage::Probed { until } => Some(until),
            Stage::Polling | Stage::WebSocket => None,
        }
    }

    /// Once the probe was answered no poll is held for long: not the one that was there, and none that
    /// comes before the client has moved. Not at once either: a client that was still on its way to
    /// pausing would poll as fast as it is answered.
    fn release_at(&self) -> Option<Millis> {
        match self.stage {
            Stage::Probed { .. } => self.held.map(|since| since + RELEASE_AFTER),
            Stage::Polling | Stage::Trying { .. } | Stage::WebSocket => None,
        }
    }
}

/// How long a poll is held during a move. The protocol's own server looks every 100 ms.
const RELEASE_AFTER: Millis = 40;

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: Options =
        Options { ping_interval: 300, ping_timeout: 200, max_payload: 100, upgrade_timeout: 1_000 };

    const STAGES: [Stage; 4] =
        [Stage::Polling, Stage::Trying { until: 1_000 }, Stage::Probed { until: 1_000 }, Stage::WebSocket];

    fn at(stage: Stage) -> Transport {
        Transport { stage, held: None }
    }

    #[test]
    fn what_a_trying_websocket_may_say_depends_on_where_it_stands() {
        use ProbeStep::{Answer, GiveUp, Move};
        let said = ["2probe", "5", "2", "4hello", "3", "1", "x", ""];
        let expected = [
            [GiveUp; 8],
            [Answer, Move, GiveUp, GiveUp, GiveUp, GiveUp, GiveUp, GiveUp],
            [GiveUp, Move, GiveUp, GiveUp, GiveUp, GiveUp, GiveUp, GiveUp],
            [GiveUp; 8],
        ];
        for (stage, steps) in STAGES.into_iter().zip(expected) {
            for (text, step) in said.into_iter().zip(steps) {
                let mut transport = at(stage);
                assert_eq!(transport.hear(Said::Text(text)), step, "{text:?} in {stage:?}");
                let then = match (step, stage) {
                    (Answer, _) => Stage::Probed { until: 1_000 },
                    (Move, _) | (_, Stage::WebSocket) => Stage::WebSocket,
                    (GiveUp, _) => Stage::Polling,
                };
                assert_eq!(transport.stage, then, "{text:?} in {stage:?}");
            }
            assert_eq!(at(stage).hear(Said::Binary(&[1])), GiveUp);
        }
    }

    #[test]
    fn one_websocket_tries_at_a_time_and_none_after_the_move() {
        for stage in STAGES {
            let mut transport = at(stage);
            assert_eq!(transport.tries(5, &OPTIONS), stage == Stage::Polling, "{stage:?}");
        }
    }

    #[test]
    fn a_second_poll_and_one_after_the_move_are_told_apart() {
        for stage in STAGES {
            let mut transport = at(stage);
            let moved = stage == Stage::WebSocket;
            assert_eq!(transport.poll(0), if moved { Poll::Moved } else { Poll::Held }, "{stage:?}");
            assert_eq!(transport.poll(0), if moved { Poll::Moved } else { Poll::Second }, "{stage:?}");
            transport.answered();
            assert_eq!(transport.poll(0), if moved { Poll::Moved } else { Poll::Held }, "{stage:?}");
        }
    }

    #[test]
    fn polls_are_let_go_only_while_the_client_waits_for_their_end() {
        for stage in STAGES {
            let mut transport = at(stage);
            transport.poll(100);
            let due = transport.take_due(100 + RELEASE_AFTER);
            assert_eq!(due, matches!(stage, Stage::Probed { .. }).then_some(Due::Release), "{stage:?}");
            assert_eq!(transport.take_due(99 + RELEASE_AFTER), None, "{stage:?}");
        }
    }

    #[test]
    fn a_try_that_takes_too_long_leaves_polling_as_it_was() {
        let mut transport = Transport::polling(0);
        assert_eq!(transport.next_due(), None, "a poll alone has no deadline: the heartbeat ends it");
        assert!(transport.tries(10, &OPTIONS));
        assert_eq!(transport.hear(Said::Text("2probe")), ProbeStep::Answer);
        transport.answered();
        assert_eq!(transport.next_due(), Some(1_010));
        assert_eq!((transport.take_due(1_009), transport.take_due(1_010)), (None, Some(Due::GiveUp)));
        assert_eq!((transport.poll(1_011), transport.next_due()), (Poll::Held, None));
        assert!(transport.tries(1_012, &OPTIONS), "it may try again");
    }
}

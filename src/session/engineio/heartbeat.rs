//! Whether the client is still there: the server asks, the client answers.

use super::Options;
use crate::market::Millis;

/// Where the asking stands.
///
/// Invariant: it always has a deadline, and deadlines follow on each other, not on when somebody
/// looked: a late look makes no ping later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heartbeat {
    /// The client is known to be there until this time; then it is asked.
    Resting {
        /// When.
        ping_at: Millis,
    },
    /// It was asked.
    Asked {
        /// When it counts as gone.
        until: Millis,
        /// Whether it was given more time, because it said something else meanwhile.
        renewed: bool,
    },
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing.
    Nothing,
    /// Ask.
    Ping,
    /// The client has gone.
    Gone,
}

impl Heartbeat {
    pub(super) const fn new(now: Millis, options: &Options) -> Heartbeat {
        Heartbeat::Resting { ping_at: now + options.ping_interval }
    }

    /// When it is to be looked at again.
    pub(super) const fn deadline(self) -> Millis {
        match self {
            Heartbeat::Resting { ping_at } => ping_at,
            Heartbeat::Asked { until, .. } => until,
        }
    }

    /// Time has come to `now`.
    pub(super) fn advance(&mut self, now: Millis, options: &Options) -> Beat {
        match *self {
            _ if now < self.deadline() => Beat::Nothing,
            Heartbeat::Resting { ping_at } => {
                // A look that comes far too late must leave the client time to answer.
                let until = (ping_at + options.ping_timeout).max(now + options.ping_timeout / 2);
                *self = Heartbeat::Asked { until, renewed: false };
                Beat::Ping
            }
            Heartbeat::Asked { .. } => Beat::Gone,
        }
    }

    /// The client has answered. An answer that nobody asked for changes nothing.
    pub(super) fn answered(&mut self, now: Millis, options: &Options) {
        if matches!(self, Heartbeat::Asked { .. }) {
            *self = Heartbeat::new(now, options);
        }
    }

    /// The client has said something else: it is there, and busy. Once, that gives it more time.
    pub(super) fn heard(&mut self, now: Millis, options: &Options) {
        if let Heartbeat::Asked { until, renewed: renewed @ false } = self {
            (*until, *renewed) = (now + options.ping_timeout, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: Options =
        Options { ping_interval: 300, ping_timeout: 200, max_payload: 100, upgrade_timeout: 100 };

    #[test]
    fn a_ping_comes_an_interval_after_the_beginning_and_after_each_answer() {
        let mut heartbeat = Heartbeat::new(1_000, &OPTIONS);
        assert_eq!(heartbeat.advance(1_299, &OPTIONS), Beat::Nothing);
        assert_eq!(heartbeat.advance(1_300, &OPTIONS), Beat::Ping);
        assert_eq!(heartbeat.advance(1_300, &OPTIONS), Beat::Nothing);
        heartbeat.answered(1_350, &OPTIONS);
        assert_eq!(heartbeat.deadline(), 1_650);
    }

    #[test]
    fn who_does_not_answer_is_gone_by_the_ping_that_was_due_not_by_when_it_left() {
        let mut heartbeat = Heartbeat::new(0, &OPTIONS);
        assert_eq!(heartbeat.advance(310, &OPTIONS), Beat::Ping);
        assert_eq!((heartbeat.advance(499, &OPTIONS), heartbeat.deadline()), (Beat::Nothing, 500));
        assert_eq!(heartbeat.advance(500, &OPTIONS), Beat::Gone);
    }

    #[test]
    fn a_look_that_comes_too_late_still_asks_first() {
        let mut heartbeat = Heartbeat::new(0, &OPTIONS);
        assert_eq!(heartbeat.advance(9_000, &OPTIONS), Beat::Ping);
        assert_eq!(heartbeat.advance(9_099, &OPTIONS), Beat::Nothing);
        assert_eq!(heartbeat.advance(9_100, &OPTIONS), Beat::Gone);
    }

    #[test]
    fn another_packet_gives_more_time_once() {
        let mut heartbeat = Heartbeat::new(0, &OPTIONS);
        heartbeat.heard(100, &OPTIONS);
        assert_eq!(heartbeat.deadline(), 300, "nothing was asked yet");
        assert_eq!(heartbeat.advance(300, &OPTIONS), Beat::Ping);
        heartbeat.heard(450, &OPTIONS);
        assert_eq!(heartbeat.deadline(), 650);
        heartbeat.heard(600, &OPTIONS);
        assert_eq!(heartbeat.deadline(), 650);
        assert_eq!(heartbeat.advance(650, &OPTIONS), Beat::Gone);
    }

    #[test]
    fn an_answer_to_nothing_puts_no_ping_off() {
        let mut heartbeat = Heartbeat::new(0, &OPTIONS);
        heartbeat.answered(200, &OPTIONS);
        assert_eq!(heartbeat.deadline(), 300);
    }
}

//! One set of streams and the connections that carry it: when to open one, when to close one.
//!
//! A state machine without sockets: `now` is an argument.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use super::backoff::{Backoff, BackoffPolicy};
use super::session::ConnectionId;

/// When a lane changes its connection on its own account.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Renewal {
    /// A connection is replaced when it is this old.
    pub(crate) after: Duration,
    /// How long a new connection that has been subscribed may take to deliver before that is put
    /// down to a quiet market.
    pub(crate) patience: Duration,
    /// How long the old connection goes on beside the new one.
    pub(crate) overlap: Duration,
}

/// The connections of one set of streams: one that delivers and, while it is being replaced, the
/// next one.
///
/// Invariant: the connection that delivers is closed only after another one delivers.
#[derive(Debug)]
pub(crate) struct Lane {
    state: State,
    backoff: Backoff,
    renewal: Renewal,
}

/// See [`Lane`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No connection until then.
    Waiting { until: Instant },
    /// The only connection does not deliver yet.
    Opening { new: New },
    /// One connection delivers, and is replaced when its time has come.
    Serving { serving: Serving, replace_at: Instant },
    /// One delivers and has to go; the next one does not deliver yet.
    Replacing { old: Serving, new: New },
    /// Both deliver until the old one is closed.
    Overlapping { old: Serving, new: Serving, until: Instant },
}

/// A connection that does not deliver yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct New {
    id: ConnectionId,
    /// Since when all of its subscriptions are answered.
    subscribed: Option<Instant>,
}

/// A connection that delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Serving {
    id: ConnectionId,
    since: Instant,
}

/// What a lane wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Open a connection, and say so with [`Lane::opening`].
    Open,
    /// Close this one.
    Close(ConnectionId),
}

/// What the end of a connection means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Another one delivers: nothing was lost.
    Covered,
    /// None delivers: what its streams built cannot be trusted any more.
    Interrupted,
}

impl Lane {
    /// A lane that opens its first connection at `now`.
    pub(crate) fn new(now: Instant, backoff: BackoffPolicy, renewal: Renewal) -> Lane {
        Lane { state: State::Waiting { until: now }, backoff: Backoff::new(backoff), renewal }
    }

    /// What is to be done at `now`, if anything.
    pub(crate) fn wish(&mut self, now: Instant) -> Option<Wish> {
        self.settle(now);
        match self.state {
            State::Waiting { until } if until <= now => Some(Wish::Open),
            State::Serving { replace_at, .. } if replace_at <= now => Some(Wish::Open),
            State::Overlapping { old, new, until } if until <= now => {
                self.state = State::Serving { serving: new, replace_at: new.since + self.renewal.after };
                Some(Wish::Close(old.id))
            }
            State::Waiting { .. }
            | State::Serving { .. }
            | State::Overlapping { .. }
            | State::Opening { .. }
            | State::Replacing { .. } => None,
        }
    }

    /// When [`Lane::wish`] may have something next.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until } | State::Overlapping { until, .. } => Some(until),
            State::Serving { replace_at, .. } => Some(replace_at),
            State::Opening { new } | State::Replacing { new, .. } => {
                new.subscribed.map(|since| since + self.renewal.patience)
            }
        }
    }

    /// Says that the connection which was wished for is being opened.
    pub(crate) fn opening(&mut self, id: ConnectionId) {
        let new = New { id, subscribed: None };
        self.state = match self.state {
            State::Serving { serving: old, .. } => State::Replacing { old, new },
            State::Waiting { .. } => State::Opening { new },
            State::Opening { .. } | State::Replacing { .. } | State::Overlapping { .. } => {
                debug_assert!(false, "a connection nobody wished for");
                self.state
            }
        };
    }

    /// Says that all subscriptions of a connection are answered.
    pub(crate) fn subscribed(&mut self, id: ConnectionId, now: Instant) {
        if let State::Opening { new } | State::Replacing { new, .. } = &mut self.state
            && new.id == id
        {
            new.subscribed.get_or_insert(now);
        }
    }

    /// Says that a connection brought market data. True when it begins to serve with that.
    pub(crate) fn delivered(&mut self, id: ConnectionId, now: Instant) -> bool {
        match self.state {
            // What comes before all subscriptions are answered says nothing about the rest of them.
            State::Opening { new } | State::Replacing { new, .. } if new.id == id => {
                new.subscribed.is_some() && self.serve(now)
            }
            State::Opening { .. }
            | State::Replacing { .. }
            | State::Waiting { .. }
            | State::Serving { .. }
            | State::Overlapping { .. } => false,
        }
    }

    /// Says that the venue will close a connection soon.
    pub(crate) fn shutdown_announced(&mut self, id: ConnectionId, now: Instant) {
        if let State::Serving { serving, replace_at } = &mut self.state
            && serving.id == id
        {
            *replace_at = now;
        }
    }

    /// Says that a connection ended. A connection that was closed by a wish is no loss.
    pub(crate) fn ended(&mut self, id: ConnectionId, now: Instant, random: &mut Rng) -> Loss {
        let mut wait = |worked: Duration| now + self.backoff.after(worked, random);
        let (state, loss) = match self.state {
            State::Opening { new } if new.id == id => {
                (State::Waiting { until: wait(Duration::ZERO) }, Loss::Interrupted)
            }
            State::Serving { serving, .. } if serving.id == id => {
                (State::Waiting { until: wait(now - serving.since) }, Loss::Interrupted)
            }
            State::Replacing { old, new } if old.id == id => (State::Opening { new }, Loss::Interrupted),
            State::Replacing { old, new } if new.id == id => {
                (State::Serving { serving: old, replace_at: wait(Duration::ZERO) }, Loss::Covered)
            }
            State::Overlapping { old, new, .. } if old.id == id => {
                (State::Serving { serving: new, replace_at: new.since + self.renewal.after }, Loss::Covered)
            }
            State::Overlapping { old, new, .. } if new.id == id => {
                (State::Serving { serving: old, replace_at: wait(Duration::ZERO) }, Loss::Covered)
            }
            State::Waiting { .. }
            | State::Opening { .. }
            | State::Serving { .. }
            | State::Replacing { .. }
            | State::Overlapping { .. } => (self.state, Loss::Covered),
        };
        self.state = state;
        loss
    }

    /// Says that the venue wants us to stay away until then.
    pub(crate) fn hold(&mut self, hold: Instant) {
        if let State::Waiting { until } = &mut self.state {
            *until = hold.max(*until);
        }
    }

    /// Whether some connection of it is subscribed, so that a snapshot taken from now on can be
    /// carried on by what it delivers.
    pub(crate) fn is_subscribed(&self) -> bool {
        match self.state {
            State::Waiting { .. } => false,
            State::Opening { new } => new.subscribed.is_some(),
            State::Serving { .. } | State::Replacing { .. } | State::Overlapping { .. } => true,
        }
    }

    /// A connection whose subscriptions have been answered for long serves, even if nothing came.
    fn settle(&mut self, now: Instant) {
        if let State::Opening { new } | State::Replacing { new, .. } = self.state
            && new.subscribed.is_some_and(|since| since + self.renewal.patience <= now)
        {
            self.serve(now);
        }
    }

    fn serve(&mut self, now: Instant) -> bool {
        match self.state {
            State::Opening { new } => {
                let serving = Serving { id: new.id, since: now };
                self.state = State::Serving { serving, replace_at: now + self.renewal.after };
                true
            }
            State::Replacing { old, new } => {
                let new = Serving { id: new.id, since: now };
                self.state = State::Overlapping { old, new, until: now + self.renewal.overlap };
                true
            }
            State::Waiting { .. } | State::Serving { .. } | State::Overlapping { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: BackoffPolicy = BackoffPolicy {
        first: Duration::from_secs(1),
        longest: Duration::from_secs(8),
        stable: Duration::from_secs(60),
    };
    const RENEWAL: Renewal = Renewal {
        after: Duration::from_secs(1_000),
        patience: Duration::from_secs(30),
        overlap: Duration::from_secs(2),
    };

    /// A lane in each of its states. Connection 1 is the older one, 2 the newer one.
    fn states(now: Instant) -> [(&'static str, State); 7] {
        let (old, serving) = (Serving { id: 1, since: now }, Serving { id: 2, since: now });
        let later = now + RENEWAL.after;
        let new = |subscribed| New { id: 2, subscribed };
        [
            ("waiting", State::Waiting { until: now }),
            ("opening", State::Opening { new: new(None) }),
            ("subscribed", State::Opening { new: new(Some(now)) }),
            ("serving", State::Serving { serving: old, replace_at: later }),
            ("replacing", State::Replacing { old, new: new(None) }),
            ("subscribed beside the old one", State::Replacing { old, new: new(Some(now)) }),
            ("overlapping", State::Overlapping { old, new: serving, until: now + RENEWAL.overlap }),
        ]
    }

    fn lane(state: State) -> Lane {
        Lane { state, backoff: Backoff::new(BACKOFF), renewal: RENEWAL }
    }

    #[test]
    fn the_end_of_a_connection_interrupts_only_where_no_other_one_delivers() {
        use Loss::{Covered, Interrupted};
        let now = Instant::now();
        let expected = [
            ("waiting", Covered, Covered),
            ("opening", Covered, Interrupted),
            ("subscribed", Covered, Interrupted),
            ("serving", Interrupted, Covered),
            ("replacing", Interrupted, Covered),
            ("subscribed beside the old one", Interrupted, Covered),
            ("overlapping", Covered, Covered),
        ];
        for ((name, state), (expected_name, first, second)) in states(now).into_iter().zip(expected) {
            assert_eq!(name, expected_name);
            for (id, loss) in [(1, first), (2, second), (3, Covered)] {
                let mut lane = lane(state);
                assert_eq!(lane.ended(id, now, &mut Rng::with_seed(1)), loss, "{name}, {id} ended");
                let wish = lane.wish(now + BACKOFF.longest);
                assert!(wish != Some(Wish::Close(id)), "{name}: {id} is closed after it ended");
            }
        }
    }

    #[test]
    fn a_connection_serves_with_the_first_data_after_its_subscriptions_were_answered() {
        let now = Instant::now();
        for (name, state) in states(now) {
            let begins = name.starts_with("subscribed");
            assert_eq!(lane(state).delivered(2, now), begins, "{name}");
            assert!(!lane(state).delivered(3, now), "{name}");
        }
    }

    #[test]
    fn a_renewal_opens_first_and_closes_the_old_one_after_an_overlap() {
        let start = Instant::now();
        let mut lane = lane(State::Serving {
            serving: Serving { id: 1, since: start },
            replace_at: start + RENEWAL.after,
        });
        assert_eq!(lane.wish(start), None);
        let now = lane.next_due().unwrap();
        assert_eq!(lane.wish(now), Some(Wish::Open));
        lane.opening(2);
        assert_eq!(lane.wish(now), None);
        assert!(!lane.delivered(2, now), "its subscriptions are not answered yet");
        lane.subscribed(2, now);
        assert_eq!(lane.wish(now + RENEWAL.overlap), None, "it has not delivered yet");
        assert!(lane.delivered(2, now));
        assert_eq!(lane.wish(now), None);
        assert_eq!(lane.wish(now + RENEWAL.overlap), Some(Wish::Close(1)));
        assert_eq!(lane.ended(1, now, &mut Rng::new()), Loss::Covered);
        assert_eq!(lane.next_due(), Some(now + RENEWAL.after));
    }

    #[test]
    fn a_renewal_in_a_quiet_market_ends_all_the_same() {
        let now = Instant::now();
        let (_, state) = states(now)[5];
        let mut lane = lane(state);
        let later = lane.next_due().unwrap();
        assert_eq!(later, now + RENEWAL.patience);
        assert_eq!(lane.wish(later), None);
        assert_eq!(lane.wish(later + RENEWAL.overlap), Some(Wish::Close(1)));
    }

    #[test]
    fn an_announced_shutdown_replaces_the_connection_at_once() {
        let now = Instant::now();
        for (name, state) in states(now) {
            let mut lane = lane(state);
            let before = lane.wish(now);
            lane.shutdown_announced(1, now);
            let after = if name == "serving" { Some(Wish::Open) } else { before };
            assert_eq!(lane.wish(now), after, "{name}");
        }
    }

    #[test]
    fn waits_grow_while_connections_fail_and_begin_anew_after_a_stable_one() {
        let (mut now, mut random) = (Instant::now(), Rng::with_seed(3));
        let mut lane = Lane::new(now, BACKOFF, RENEWAL);
        for id in 0..10 {
            assert_eq!(lane.wish(now), Some(Wish::Open));
            lane.opening(id);
            lane.ended(id, now, &mut random);
            now = lane.next_due().unwrap();
        }
        assert_eq!(lane.backoff.limit(), BACKOFF.longest);
        lane.opening(10);
        lane.subscribed(10, now);
        lane.delivered(10, now);
        lane.ended(10, now + BACKOFF.stable, &mut random);
        assert_eq!(lane.backoff.limit(), 2 * BACKOFF.first);
    }
}

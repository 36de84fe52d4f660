//! The only place that asks what time it is.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::market::Millis;

/// Milliseconds since 1970 that never go back.
///
/// The wall clock is read once and then carried on by the monotonic one: a throttle or a bar must
/// not stand still because somebody set the clock back. When the wall clock is found ahead (it was
/// set forward, or the two drifted apart) the difference is taken over.
#[derive(Debug)]
pub struct Clock {
    wall: Millis,
    since: Instant,
}

impl Clock {
    /// A clock that starts from the system's.
    #[allow(clippy::disallowed_methods, reason = "this is the clock that everybody else asks")]
    pub fn start() -> Clock {
        Clock { wall: wall(), since: Instant::now() }
    }

    /// The time.
    #[allow(clippy::disallowed_methods, reason = "this is the clock that everybody else asks")]
    pub fn now(&mut self) -> Millis {
        let elapsed = Millis::try_from(self.since.elapsed().as_millis()).unwrap_or(Millis::MAX);
        let now = self.wall.saturating_add(elapsed);
        let wall = wall();
        if wall > now {
            (self.wall, self.since) = (wall, Instant::now());
            return wall;
        }
        now
    }
}

/// Nanoseconds since 1970, for those who measure.
///
/// Its copies agree with each other, on all threads, and never go back.
#[derive(Clone, Copy, Debug)]
pub struct FineClock {
    wall: u64,
    since: Instant,
}

impl FineClock {
    /// A clock that starts from the system's.
    #[allow(clippy::disallowed_methods, reason = "this is the clock that everybody else asks")]
    pub fn start() -> FineClock {
        FineClock { wall: nanos(since_1970()), since: Instant::now() }
    }

    /// The time.
    pub fn now(&self) -> u64 {
        self.wall.saturating_add(nanos(self.since.elapsed()))
    }
}

fn wall() -> Millis {
    Millis::try_from(since_1970().as_millis()).unwrap_or(Millis::MAX)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[allow(clippy::disallowed_methods, reason = "this is the clock that everybody else asks")]
fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

//! What a live source counts, for whoever wants to show it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Numbers that only rise, written by the source, read by anyone.
///
/// Relaxed: each stands for itself, and none says anything about other memory.
#[derive(Debug, Default)]
pub struct LiveCounters {
    /// Connections that were opened.
    pub connects: Counter,
    /// Attempts and connections that ended without our wish.
    pub ends: Counter,
    /// Ends after which nothing delivered: the books were told to be stale.
    pub interruptions: Counter,
    /// Connections that were replaced before they ended.
    pub renewals: Counter,
    /// Pings that were answered.
    pub pings: Counter,
    /// Messages that came.
    pub messages: Counter,
    /// Messages and REST answers that were left out because they could not be understood.
    pub bad_messages: Counter,
    /// Subscriptions that the venue refused.
    pub refused: Counter,
    /// Books that were asked for.
    pub snapshots_asked: Counter,
    /// Books that were taken.
    pub snapshots_taken: Counter,
    /// Books that were older than what had come already.
    pub snapshots_too_old: Counter,
    /// REST requests without an answer of use.
    pub rest_failures: Counter,
    /// Times that the venue wanted us to stay away.
    pub holds: Counter,
}

/// One number of [`LiveCounters`].
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The number now.
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }
}

/// Lets a log line through at most once in ten seconds: a venue that sends nonsense sends a lot of it.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    last: Option<Instant>,
    held_back: u64,
}

impl Seldom {
    /// How many lines were held back since the last one, if this one may be written.
    pub(crate) fn may_log(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now < last + LOG_GAP) {
            self.held_back += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.held_back))
    }
}

const LOG_GAP: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_log_lines_becomes_one_in_ten_seconds() {
        let (start, mut seldom) = (Instant::now(), Seldom::default());
        assert_eq!(seldom.may_log(start), Some(0));
        assert_eq!(seldom.may_log(start), None);
        assert_eq!(seldom.may_log(start), None);
        assert_eq!(seldom.may_log(start + LOG_GAP), Some(2));
    }
}

//! How much each publisher may publish: so many objects a second in the long run, a second's worth at once.

use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;

use crate::market::Millis;

/// What publishers have left, by their tokens' user. Shared by all connections of each.
#[derive(Debug)]
pub(super) struct PublishRate {
    a_second: u64,
    publishers: Mutex<FxHashMap<Arc<str>, Left>>,
}

/// What a publisher has left, in thousandths of an object.
#[derive(Clone, Copy, Debug)]
struct Left {
    thousandths: u64,
    since: Millis,
}

impl PublishRate {
    pub(super) fn new(a_second: usize) -> PublishRate {
        PublishRate { a_second: a_second as u64, publishers: Mutex::default() }
    }

    /// Takes up to `count` objects off what a publisher has left; how many of them it may publish.
    pub(super) fn take(&self, now: Millis, publisher: &Arc<str>, count: usize) -> usize {
        let full = self.a_second * 1_000;
        let mut publishers = self.publishers.lock().unwrap_or_else(PoisonError::into_inner);
        if publishers.len() >= MOST {
            // Who has been quiet for a second has everything left, as one that is not here.
            publishers.retain(|_, left| now - left.since < 1_000);
        }
        let left = publishers.entry(publisher.clone()).or_insert(Left { thousandths: full, since: now });
        let passed = now.saturating_sub(left.since).max(0).unsigned_abs();
        let grown = left.thousandths.saturating_add(passed.saturating_mul(self.a_second));
        let taken = (grown.min(full) / 1_000).min(count as u64);
        (left.thousandths, left.since) = (grown.min(full) - taken * 1_000, now.max(left.since));
        usize::try_from(taken).unwrap_or(count)
    }
}

/// Publishers that are known at once before the quiet ones are let go.
const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publisher_has_a_seconds_worth_at_once_and_the_rate_in_the_long_run() {
        let rate = PublishRate::new(10);
        let (ann, bob): (Arc<str>, Arc<str>) = ("ann".into(), "bob".into());
        assert_eq!(rate.take(0, &ann, 7), 7);
        assert_eq!(rate.take(0, &ann, 7), 3);
        assert_eq!(rate.take(0, &bob, 7), 7, "each has its own");
        assert_eq!(rate.take(99, &ann, 1), 0);
        assert_eq!(rate.take(250, &ann, 9), 2, "fractions are not lost");
        assert_eq!(rate.take(240, &ann, 9), 0, "a clock that goes back gives nothing");
        assert_eq!(rate.take(1_000_000, &ann, 99), 10, "no more than a second's worth is saved up");
    }
}

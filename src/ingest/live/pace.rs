//! Keeps what we send under a venue's limits. Holds no timer: `now` is an argument.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// At most so much in any stretch of a given length, wherever that stretch begins.
///
/// Stricter than the venues' own counting by fixed seconds or minutes, so that it holds however
/// their clocks stand. Memory: one entry for each thing sent within the window.
#[derive(Debug)]
pub struct Pace {
    most: u32,
    window: Duration,
    taken: VecDeque<(Instant, u32)>,
    sum: u32,
}

impl Pace {
    /// At most `most` in any stretch of `window`.
    pub fn new(most: u32, window: Duration) -> Pace {
        Pace { most: most.max(1), window, taken: VecDeque::new(), sum: 0 }
    }

    /// From when on something of `weight` may be sent: `now` or later.
    ///
    /// What weighs more than the whole limit is allowed once nothing else is in the window.
    pub fn ready_at(&mut self, now: Instant, weight: u32) -> Instant {
        while let Some(&(at, weight)) = self.taken.front().filter(|(at, _)| *at + self.window <= now) {
            debug_assert!(at <= now);
            self.sum -= weight;
            self.taken.pop_front();
        }
        let mut room = self.most.saturating_sub(self.sum);
        let needed = weight.min(self.most);
        if needed <= room {
            return now;
        }
        for &(at, weight) in &self.taken {
            room += weight;
            if needed <= room {
                return at + self.window;
            }
        }
        now + self.window
    }

    /// Notes that something of `weight` is sent at `now`.
    pub fn take(&mut self, now: Instant, weight: u32) {
        let weight = weight.min(self.most);
        self.taken.push_back((now, weight));
        self.sum += weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn no_stretch_of_a_window_holds_more_than_the_limit() {
        let start = Instant::now();
        let mut pace = Pace::new(5, Duration::from_secs(1));
        let (mut now, mut sent) = (start, Vec::new());
        for _ in 0..23 {
            now = pace.ready_at(now, 1);
            pace.take(now, 1);
            sent.push(now);
            now += Duration::from_millis(3);
        }
        for first in &sent {
            let within = sent.iter().filter(|at| *at >= first && **at < *first + Duration::from_secs(1));
            assert!(within.count() <= 5);
        }
        assert!(*sent.last().unwrap() <= at(start, 4_100), "and it does not wait longer than needed");
    }

    #[test]
    fn weights_add_up_and_leave_again_one_by_one() {
        let start = Instant::now();
        let mut pace = Pace::new(100, Duration::from_millis(60));
        pace.take(start, 60);
        pace.take(at(start, 10), 30);
        assert_eq!(pace.ready_at(at(start, 20), 10), at(start, 20));
        assert_eq!(pace.ready_at(at(start, 20), 11), at(start, 60));
        assert_eq!(pace.ready_at(at(start, 20), 80), at(start, 70));
        assert_eq!(pace.ready_at(at(start, 70), 100), at(start, 70));
    }

    #[test]
    fn what_is_heavier_than_the_limit_goes_alone() {
        let start = Instant::now();
        let mut pace = Pace::new(100, Duration::from_millis(60));
        assert_eq!(pace.ready_at(start, 250), start);
        pace.take(start, 250);
        assert_eq!(pace.ready_at(start, 1), at(start, 60));
    }
}

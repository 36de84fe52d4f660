//! How long to wait before trying again: twice as long each time, chosen at random below that.

use std::time::Duration;

use fastrand::Rng;

/// The numbers of a [`Backoff`].
#[derive(Clone, Copy, Debug)]
pub struct BackoffPolicy {
    /// The longest first wait. Shorter finds the venue again sooner, and joins the crowd that does.
    pub first: Duration,
    /// The longest wait of all.
    pub longest: Duration,
    /// What worked for this long begins anew when it fails. Longer than `longest` and the deadlines
    /// of an attempt, or waiting itself would count as working.
    pub stable: Duration,
}

/// Counts failures in a row.
///
/// Full jitter (any wait between zero and the limit): when a venue restarts, all of its clients
/// lose their connection in the same moment, and must not come back in the same moment.
#[derive(Clone, Debug)]
pub struct Backoff {
    policy: BackoffPolicy,
    failures: u32,
}

impl Backoff {
    /// No failure so far.
    pub fn new(policy: BackoffPolicy) -> Backoff {
        Backoff { policy, failures: 0 }
    }

    /// Notes a failure after it had worked for `worked`, and says how long to wait now.
    pub fn after(&mut self, worked: Duration, random: &mut Rng) -> Duration {
        if worked >= self.policy.stable {
            self.failures = 0;
        }
        let limit = self.limit();
        self.failures = self.failures.saturating_add(1);
        let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(random.u64(0..=nanos))
    }

    /// The longest that the next wait can be, if what failed did not work for long.
    pub fn limit(&self) -> Duration {
        let factor = 2_u32.saturating_pow(self.failures.min(31));
        self.policy.first.saturating_mul(factor).min(self.policy.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BackoffPolicy = BackoffPolicy {
        first: Duration::from_millis(500),
        longest: Duration::from_secs(30),
        stable: Duration::from_secs(60),
    };

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew_after_a_stable_time() {
        let (mut backoff, mut random) = (Backoff::new(POLICY), Rng::with_seed(1));
        let mut limits = Vec::new();
        for _ in 0..8 {
            let limit = backoff.limit();
            assert!(backoff.after(Duration::from_secs(59), &mut random) <= limit);
            limits.push(limit.as_millis());
        }
        assert_eq!(limits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert!(backoff.after(POLICY.stable, &mut random) <= POLICY.first);
        assert_eq!(backoff.limit(), 2 * POLICY.first);
    }

    #[test]
    fn waits_spread_over_the_whole_range_and_repeat_with_the_seed() {
        let waits = |seed| -> Vec<Duration> {
            let mut random = Rng::with_seed(seed);
            (0..1_000).map(|_| Backoff::new(POLICY).after(Duration::ZERO, &mut random)).collect()
        };
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
        let early = waits(7).iter().filter(|wait| **wait < POLICY.first / 2).count();
        assert!((400..600).contains(&early), "{early} of 1000 waits lie in the lower half");
    }
}

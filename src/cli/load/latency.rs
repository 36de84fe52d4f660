//! How long messages were on their way, by the stamp that each of them carries.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::clock::FineClock;

/// What a message says of when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// `"ts"`, whole milliseconds: when the engine took the update in.
    Engine,
    /// `"t"`, nanoseconds: when the publisher sent it.
    Publisher,
}

impl Stamp {
    const fn name(self) -> &'static str {
        match self {
            Stamp::Engine => "ts",
            Stamp::Publisher => "t",
        }
    }

    const fn needle(self) -> &'static [u8] {
        match self {
            Stamp::Engine => b"\"ts\":",
            Stamp::Publisher => b"\"t\":",
        }
    }

    const fn unit(self) -> Duration {
        match self {
            Stamp::Engine => Duration::from_millis(1),
            Stamp::Publisher => Duration::from_nanos(1),
        }
    }

    /// The stamp in nanoseconds, searched near the beginning of `message`.
    fn find(self, message: &[u8]) -> Option<u64> {
        let near = &message[..message.len().min(NEAR)];
        let needle = self.needle();
        let at = near.windows(needle.len()).position(|window| window == needle)? + needle.len();
        let digits = near[at..].iter().take_while(|byte| byte.is_ascii_digit());
        let digits: u64 =
            digits.fold(0, |number, digit| number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')));
        digits.checked_mul(u64::try_from(self.unit().as_nanos()).ok()?).filter(|&stamp| stamp > 0)
    }
}

/// The latencies of a sample of the messages that one thread hears.
#[derive(Debug)]
pub(super) struct Latencies {
    clock: FineClock,
    stamp: Stamp,
    random: fastrand::Rng,
    /// One message of so many is looked at, on average.
    every: u32,
    until_next: u32,
    histogram: Histogram<u64>,
}

impl Latencies {
    pub(super) fn new(clock: FineClock, stamp: Stamp, seed: u64) -> Latencies {
        let histogram = Histogram::new_with_bounds(1, MOST, DIGITS).unwrap_or_else(|error| {
            unreachable!("bounds and digits are constants that fit each other: {error}")
        });
        let random = fastrand::Rng::with_seed(seed);
        Latencies { clock, stamp, random, every: 1, until_next: 1, histogram }
    }

    /// Whether to look at the message that begins now.
    ///
    /// The distance to the next one is random: a fixed one would meet the same connections again
    /// and again, since servers write to them in the same order.
    #[inline]
    pub(super) fn due(&mut self) -> bool {
        self.until_next -= 1;
        if self.until_next > 0 {
            return false;
        }
        self.until_next = if self.every == 1 { 1 } else { self.random.u32(1..2 * self.every) };
        true
    }

    /// Looks at a message, or at its beginning.
    pub(super) fn look(&mut self, message: &[u8]) {
        match self.stamp.find(message) {
            Some(stamp) => self.record(self.clock.now().saturating_sub(stamp)),
            // Control messages have none, and the beginning of one that a read has cut may end before it.
            None => self.until_next = 1,
        }
    }

    fn record(&mut self, nanos: u64) {
        self.histogram.saturating_record(nanos.max(1));
    }

    /// Looks at fewer messages where more of them come, so that looking stays cheap.
    pub(super) fn adapt(&mut self, messages: u64, within: Duration) {
        let most = within.as_millis() * MOST_SAMPLES_A_SECOND / 1_000;
        let every = u128::from(messages).checked_div(most).unwrap_or(1);
        self.every = u32::try_from(every).unwrap_or(u32::MAX / 4).clamp(1, u32::MAX / 4);
        self.until_next = self.until_next.min(2 * self.every);
    }

    /// Forgets what was before the measured part.
    pub(super) fn begin(&mut self) {
        self.histogram.reset();
    }

    /// What was measured.
    pub(super) fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }
}

/// Latency in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quantiles {
    /// Messages looked at.
    pub samples: u64,
    /// The field of a message that it is measured from.
    pub from: &'static str,
    /// The step of that field: what the figures can be wrong by.
    pub resolution_us: f64,
    /// The lowest.
    pub min_us: f64,
    /// Half of them were not longer.
    pub p50_us: f64,
    /// Nine of ten were not longer.
    pub p90_us: f64,
    /// 99 of 100 were not longer.
    pub p99_us: f64,
    /// 999 of 1,000 were not longer.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
}

impl Quantiles {
    /// The quantiles of `histogram`; `None` where it is empty.
    pub(super) fn of(histogram: &Histogram<u64>, stamp: Stamp) -> Option<Quantiles> {
        let at = |quantile| micros(histogram.value_at_quantile(quantile));
        (!histogram.is_empty()).then(|| Quantiles {
            samples: histogram.len(),
            from: stamp.name(),
            resolution_us: micros(u64::try_from(stamp.unit().as_nanos()).unwrap_or(u64::MAX)),
            min_us: micros(histogram.min()),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: micros(histogram.max()),
        })
    }
}

/// One digit behind the point is more than can be measured.
#[allow(clippy::cast_precision_loss, reason = "a time to be shown, far below 2^53 tenths")]
fn micros(nanos: u64) -> f64 {
    (nanos / 100) as f64 / 10.0
}

/// How far into a message a stamp is searched.
const NEAR: usize = 256;

/// The longest latency that is told apart: a minute.
const MOST: u64 = 60_000_000_000;

/// Figures of a latency that are right.
const DIGITS: u8 = 3;

/// Looking at a message takes some 150 ns: at most 0.2 % of a thread's time goes into it.
const MOST_SAMPLES_A_SECOND: u128 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(stamp: Stamp) -> Latencies {
        Latencies::new(FineClock::start(), stamp, 7)
    }

    #[test]
    fn known_data_gives_known_quantiles() {
        let mut latencies = latencies(Stamp::Publisher);
        assert_eq!(Quantiles::of(latencies.histogram(), Stamp::Publisher), None);
        for micros in 1..=1_000 {
            latencies.record(micros * 1_000);
        }
        let told = Quantiles::of(latencies.histogram(), Stamp::Publisher).unwrap();
        let near = |value: f64, expected: f64| (value / expected - 1.0).abs() < 0.002;
        assert_eq!((told.samples, told.from), (1_000, "t"));
        assert!(near(told.p50_us, 500.0) && near(told.p90_us, 900.0), "{told:?}");
        assert!(near(told.p99_us, 990.0) && near(told.p999_us, 999.0), "{told:?}");
        assert!(near(told.min_us, 1.0) && near(told.max_us, 1_000.0), "{told:?}");
        latencies.begin();
        assert!(latencies.histogram().is_empty());
    }

    #[test]
    fn a_stamp_is_found_near_the_beginning_or_not_at_all() {
        let message =
            br#"{"type":"delta","topic":"book:A","epoch":"x","seq":5,"ts":1732000000123,"data":{}}"#;
        assert_eq!(Stamp::Engine.find(message), Some(1_732_000_000_123_000_000));
        assert_eq!(Stamp::Publisher.find(message), None);
        assert_eq!(
            Stamp::Publisher.find(br#"{"t":1732000000123456789,"x":""}"#),
            Some(1_732_000_000_123_456_789)
        );
        for none in [&b"{\"ts\":"[..], b"{\"ts\":x", b"", b"{\"ts\":99999999999999999999"] {
            assert_eq!(Stamp::Engine.find(none), None);
        }
        assert_eq!(Stamp::Engine.find(&[&[b' '; NEAR][..], b"\"ts\":1"].concat()), None);
    }

    #[test]
    fn fewer_are_looked_at_where_more_come() {
        let mut latencies = latencies(Stamp::Engine);
        assert!((0..100).all(|_| latencies.due()));
        latencies.adapt(100_000, Duration::from_millis(100));
        let looked = (0..100_000).filter(|_| latencies.due()).count();
        assert!((900..1_100).contains(&looked), "{looked}");
        latencies.adapt(10, Duration::from_millis(100));
        assert!((0..300).filter(|_| latencies.due()).count() > 90);
    }
}

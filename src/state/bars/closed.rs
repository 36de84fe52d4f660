//! A closed bar as it is kept: half the size that it has in use, and exact.

use super::timed::Timed;
use crate::market::{Bar, Decimal, Interval, Millis, Price, Total};

/// A closed bar.
///
/// Invariant: packed and unpacked again it is the bar that it was. What does not fit the narrow form
/// (a sum of more than 64 bits, a bar that spans two billion ticks) is kept as it is.
#[derive(Clone, Debug)]
pub(super) enum Closed {
    Narrow(Narrow),
    Wide(Box<Timed>),
}

/// Prices as distances from the first one, times as distances from the bar's beginning.
#[derive(Clone, Debug)]
pub(super) struct Narrow {
    open_time: Millis,
    open: i64,
    /// Volume, quote volume, and what takers bought of each.
    sums: [i64; 4],
    /// How far the highest price is above the first, the lowest below it, and the last above it.
    distances: [i32; 3],
    /// The zeros that were cut off each distance: prices can be kept with more decimals than they have.
    zeros: u8,
    trades: u32,
    first: u32,
    last: u32,
    decimals: [u8; 4],
    /// Whether it knows when its first and its last trade happened.
    has_times: bool,
}

impl Closed {
    /// The bar of an interval, for keeping.
    pub(super) fn pack(timed: &Timed) -> Closed {
        Narrow::of(timed).map_or_else(|| Closed::Wide(Box::new(*timed)), Closed::Narrow)
    }

    /// The bar as it was.
    pub(super) fn unpack(&self, interval: Interval) -> Timed {
        match self {
            Closed::Narrow(narrow) => narrow.unpack(interval),
            Closed::Wide(timed) => **timed,
        }
    }

    pub(super) const fn open_time(&self) -> Millis {
        match self {
            Closed::Narrow(narrow) => narrow.open_time,
            Closed::Wide(timed) => timed.bar.open_time,
        }
    }
}

impl Narrow {
    fn of(timed: &Timed) -> Option<Narrow> {
        let bar = &timed.bar;
        let sums = [bar.volume, bar.quote_volume, bar.taker_volume, bar.taker_quote_volume];
        let [volume, quote, taker, taker_quote] = sums;
        // Venues pad prices and quantities with zeros, which their products have twice as many of.
        // Nobody is shown them: unlike a volume, a quote volume is told without zeros at its end.
        let product = |sum: Total| sum.to_decimal().or_else(|| sum.trimmed(0).to_decimal());
        let sums = [volume.to_decimal()?, product(quote)?, taker.to_decimal()?, product(taker_quote)?];
        let ticks = |from: Price, to: Price| to.0.checked_sub(from.0);
        let (distances, zeros) =
            shortened([ticks(bar.open, bar.high)?, ticks(bar.low, bar.open)?, ticks(bar.open, bar.close)?])?;
        let has_times = timed.first != Timed::NOTHING.first || timed.last != Timed::NOTHING.last;
        let since = |time: Millis| match has_times {
            true => time.checked_sub(bar.open_time).and_then(|since| u32::try_from(since).ok()),
            false => Some(0),
        };
        Some(Narrow {
            open_time: bar.open_time,
            open: bar.open.0,
            sums: sums.map(Decimal::mantissa),
            distances,
            zeros,
            trades: u32::try_from(bar.trades).ok()?,
            first: since(timed.first)?,
            last: since(timed.last)?,
            decimals: sums.map(Decimal::decimals),
            has_times,
        })
    }

    fn unpack(&self, interval: Interval) -> Timed {
        let sum = |at: usize| Total::from(Decimal::new(self.sums[at], self.decimals[at]));
        let factor = 10_i64.pow(self.zeros.into());
        let [above, below, close] = self.distances.map(|distance| i64::from(distance) * factor);
        let bar = Bar {
            open_time: self.open_time,
            close_time: interval.close_time(self.open_time),
            open: Price(self.open),
            high: Price(self.open + above),
            low: Price(self.open - below),
            close: Price(self.open + close),
            trades: self.trades.into(),
            volume: sum(0),
            quote_volume: sum(1),
            taker_volume: sum(2),
            taker_quote_volume: sum(3),
        };
        match self.has_times {
            true => Timed {
                bar,
                first: self.open_time + i64::from(self.first),
                last: self.open_time + i64::from(self.last),
            },
            false => Timed { bar, ..Timed::NOTHING },
        }
    }
}

/// The distances without as many zeros at their ends as it takes to make them fit; `None` where they
/// do not have as many.
fn shortened(mut distances: [i64; 3]) -> Option<([i32; 3], u8)> {
    let mut zeros = 0;
    loop {
        if let [Ok(above), Ok(below), Ok(close)] = distances.map(i32::try_from) {
            return Some(([above, below, close], zeros));
        }
        if distances.iter().any(|distance| distance % 10 != 0) {
            return None;
        }
        distances = distances.map(|distance| distance / 10);
        zeros += 1;
    }
}

/// What `bars.kept` says that one costs.
const _: () = assert!(size_of::<Closed>() <= 80);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::market::Quantity;

    fn total(mantissa: i64, decimals: u8) -> Total {
        // A product is the way to sums that are wider than one number.
        let one = Quantity::new(Decimal::new(mantissa, decimals)).unwrap();
        Total::product(Decimal::new(if mantissa % 5 == 0 { i64::MAX } else { 1 }, 0), one)
    }

    proptest! {
        #[test]
        fn a_bar_that_was_kept_is_the_bar_that_it_was(
            interval in 0_usize..10,
            open in any::<i32>(),
            wide in prop_oneof![Just(1_i64), Just(999_999_999), Just(10_000_000)],
            [above, below, close] in any::<[u16; 3]>(),
            sums in any::<[u32; 4]>(),
            decimals in 0_u8..18,
            trades in prop_oneof![Just(0_u64), 1_u64..9_000_000_000],
            times in proptest::option::of((0_i64..60_000, 0_i64..60_000)),
        ) {
            let interval = Interval::ALL[interval];
            let open_time = interval.open_time(1_732_000_000_000);
            let open = i64::from(open);
            let [volume, quote, taker, taker_quote] = sums.map(|sum| total(sum.into(), decimals));
            let bar = Bar {
                open_time,
                close_time: interval.close_time(open_time),
                open: Price(open),
                high: Price(open + i64::from(above) * wide),
                low: Price(open - i64::from(below) * wide),
                close: Price(open + i64::from(close.min(above)) * wide),
                trades,
                volume,
                quote_volume: quote,
                taker_volume: taker,
                taker_quote_volume: taker_quote,
            };
            let (first, last) = times.map_or((Millis::MAX, Millis::MIN), |(first, last)| (open_time + first, open_time + last));
            let timed = Timed { bar, first, last };
            let kept = Closed::pack(&timed);
            let again = kept.unpack(interval);
            prop_assert_eq!(kept.open_time(), open_time);
            prop_assert_eq!((again.bar, again.first, again.last), (timed.bar, timed.first, timed.last));
            // Equal sums may be written differently: the decimals are kept as well.
            prop_assert_eq!(again.bar.volume.decimals(), timed.bar.volume.decimals());
        }
    }

    #[test]
    fn a_usual_bar_is_kept_narrow() {
        // Prices with six zeros behind their two decimals, as some recordings have them.
        let [open, high, low] = [6_100_000_000_000, 6_178_901_000_000, 6_099_999_000_000].map(Price);
        let padded = |mantissa, zeros: u32| {
            Total::product(
                Decimal::new(mantissa, 8),
                Quantity::new(Decimal::new(10_i64.pow(zeros), 8)).unwrap(),
            )
        };
        let quote = padded(6_170_001_000_000, 14);
        assert_eq!(quote.to_decimal(), None, "with all of its zeros it is too wide");
        let volumes = Bar { volume: total(1, 8), quote_volume: quote, ..Timed::NOTHING.bar };
        let bar = Bar { open, high, low, close: high, ..volumes };
        assert!(matches!(Closed::pack(&Timed { bar, first: 0, last: 0 }), Closed::Narrow(_)));
    }
}

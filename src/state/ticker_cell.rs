//! What others see of a symbol's statistics.

use std::sync::Arc;

use super::latch::Latch;
use super::{Cell, Published};
use crate::market::{Decimal, Millis, Quantity, TickerView};

/// The writing end of a symbol's statistics. Not `Clone`: one writer is what keeps them in order.
///
/// The best bid and ask change with nearly every message, all else with trades alone. So they are
/// published apart, in place: a swap of the whole for each of them was a sixth of the path.
#[derive(Debug, Default)]
pub struct TickerCell {
    statistics: Cell<TickerView>,
    best: Arc<Latch<WORDS>>,
    version: u64,
}

/// The best bid and ask, as the venue or the book names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Best {
    /// Best bid.
    pub bid: Option<(Decimal, Quantity)>,
    /// Best ask.
    pub ask: Option<(Decimal, Quantity)>,
    /// The source's time of the newest thing known of the symbol.
    pub time: Millis,
}

/// A symbol's statistics at one moment.
#[derive(Clone, Debug, Default)]
pub struct TickerSnapshot {
    /// The statistics.
    pub view: TickerView,
    /// Rises with each publication; 0 when nothing is known yet.
    pub version: u64,
}

impl TickerCell {
    /// The reading end.
    pub fn reader(&self) -> PublishedTicker {
        PublishedTicker { statistics: self.statistics.reader(), best: self.best.clone() }
    }

    /// Publishes all of the statistics; the best bid and ask among them are those of `best`.
    pub fn publish(&mut self, view: &TickerView, best: &Best) {
        self.statistics.publish(|held| held.clone_from(view));
        // Afterwards: who sees this version also sees its statistics.
        self.publish_best(best);
    }

    /// Publishes the best bid and ask where nothing else is new.
    #[inline]
    pub fn publish_best(&mut self, best: &Best) {
        self.version += 1;
        self.best.write(best.to_words(self.version));
    }
}

/// The reading end of a [`TickerCell`]: readers and the writer do not block each other.
#[derive(Clone, Debug)]
pub struct PublishedTicker {
    statistics: Published<TickerView>,
    best: Arc<Latch<WORDS>>,
}

impl PublishedTicker {
    /// The version of what is published now.
    pub fn version(&self) -> u64 {
        self.best.read()[VERSION]
    }

    /// What is published now. Statistics may be newer than the version says, never older.
    pub fn snapshot(&self) -> TickerSnapshot {
        let words = self.best.read();
        let mut view = self.statistics.with(TickerView::clone);
        Best::from_words(words).put_into(&mut view);
        TickerSnapshot { view, version: words[VERSION] }
    }

    /// The same, to share.
    pub fn get(&self) -> Arc<TickerSnapshot> {
        Arc::new(self.snapshot())
    }
}

impl Best {
    /// Puts it in the place of what `view` holds of the best bid and ask.
    #[inline]
    pub fn put_into(&self, view: &mut TickerView) {
        let shown = |(price, quantity): (Decimal, Quantity)| (price.into(), quantity);
        (view.bid, view.ask, view.time) = (self.bid.map(shown), self.ask.map(shown), self.time);
    }

    #[inline]
    const fn to_words(self, version: u64) -> [u64; WORDS] {
        let [bid_price, bid_quantity, bid_decimals] = side_to_words(self.bid);
        let [ask_price, ask_quantity, ask_decimals] = side_to_words(self.ask);
        let decimals = bid_decimals | ask_decimals << 32;
        [version, bid_price, bid_quantity, ask_price, ask_quantity, decimals, self.time.cast_unsigned()]
    }

    const fn from_words(words: [u64; WORDS]) -> Best {
        let [_, bid_price, bid_quantity, ask_price, ask_quantity, decimals, time] = words;
        Best {
            bid: side_of_words([bid_price, bid_quantity, decimals]),
            ask: side_of_words([ask_price, ask_quantity, decimals >> 32]),
            time: time.cast_signed(),
        }
    }
}

/// Digits of price and quantity; their decimals and whether there is a level, in the lowest bytes.
#[inline]
const fn side_to_words(side: Option<(Decimal, Quantity)>) -> [u64; 3] {
    let Some((price, quantity)) = side else { return [0; 3] };
    let quantity = quantity.decimal();
    let decimals = 1 | (price.decimals() as u64) << 8 | (quantity.decimals() as u64) << 16;
    [price.mantissa().cast_unsigned(), quantity.mantissa().cast_unsigned(), decimals]
}

const fn side_of_words([price, quantity, decimals]: [u64; 3]) -> Option<(Decimal, Quantity)> {
    let [is_there, of_price, of_quantity, ..] = decimals.to_le_bytes();
    if is_there == 0 {
        return None;
    }
    let price = Decimal::new(price.cast_signed(), of_price);
    match Quantity::new(Decimal::new(quantity.cast_signed(), of_quantity)) {
        Some(quantity) => Some((price, quantity)),
        None => None,
    }
}

const WORDS: usize = 7;

/// The place of the version among the words.
const VERSION: usize = 0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_read_is_what_was_published(
            bid in proptest::option::of((any::<i64>(), 0_u8..=18, 0..i64::MAX, 0_u8..=18)),
            ask in proptest::option::of((any::<i64>(), 0_u8..=18, 0..i64::MAX, 0_u8..=18)),
            time: i64,
        ) {
            let side = |(price, price_decimals, quantity, decimals)| {
                let quantity = Quantity::new(Decimal::new(quantity, decimals)).unwrap();
                (Decimal::new(price, price_decimals), quantity)
            };
            let best = Best { bid: bid.map(side), ask: ask.map(side), time };
            let mut cell = TickerCell::default();
            let reader = cell.reader();
            assert_eq!(reader.version(), 0);
            cell.publish(&TickerView { trades: 7, ..TickerView::default() }, &Best::default());
            cell.publish_best(&best);
            let mut expected = TickerView { trades: 7, ..TickerView::default() };
            best.put_into(&mut expected);
            let seen = reader.snapshot();
            prop_assert_eq!((seen.version, seen.view), (2, expected));
        }
    }
}

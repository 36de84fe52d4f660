//! Which prices the last flushes of a book topic changed: what a client that fell behind needs.

use std::collections::VecDeque;

use crate::market::{Level, Price, Side};

/// The prices that recent flushes changed, flush by flush.
///
/// A client that stopped at some flush is brought up to date by one delta: the present quantity at
/// every price that changed since, whatever it went through in between.
///
/// Invariant: it holds at most [`MOST_PRICES`] prices; older flushes are forgotten first.
#[derive(Debug, Default)]
pub(super) struct History {
    flushes: VecDeque<PastFlush>,
    prices: VecDeque<(Side, Price)>,
    /// How many flushes there have been in all.
    count: u64,
}

#[derive(Clone, Copy, Debug)]
struct PastFlush {
    prices: usize,
    first_update_id: u64,
    updates: u32,
}

/// What happened since some flush.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missed {
    /// How many flushes.
    pub(super) flushes: u64,
    /// The venue's number of the first update in them.
    pub(super) first_update_id: u64,
    /// How many of the source's updates they stand for.
    pub(super) updates: u32,
}

impl History {
    /// The number of flushes so far: the place at which a client that has heard all of them stands.
    pub(super) const fn place(&self) -> u64 {
        self.count
    }

    /// Notes a delta.
    pub(super) fn note(&mut self, bids: &[Level], asks: &[Level], first_update_id: u64, updates: u32) {
        self.count += 1;
        self.flushes.push_back(PastFlush { prices: bids.len() + asks.len(), first_update_id, updates });
        self.prices.extend(bids.iter().map(|level| (Side::Bid, level.price)));
        self.prices.extend(asks.iter().map(|level| (Side::Ask, level.price)));
        while self.prices.len() > MOST_PRICES {
            let Some(oldest) = self.flushes.pop_front() else { break };
            self.prices.drain(..oldest.prices);
        }
    }

    /// Notes a snapshot: nobody gets past it with a delta.
    pub(super) fn cut(&mut self) {
        self.count += 1;
        self.flushes.clear();
        self.prices.clear();
    }

    /// Puts every price that changed since `place` into `changed`, each once, in no order; `None`
    /// when not all of them are known any more.
    pub(super) fn since(&self, place: u64, changed: &mut Vec<(Side, Price)>) -> Option<Missed> {
        let flushes = self.count.checked_sub(place)?;
        let skipped = self.flushes.len().checked_sub(usize::try_from(flushes).ok()?)?;
        let before: usize = self.flushes.range(..skipped).map(|flush| flush.prices).sum();
        changed.clear();
        changed.extend(self.prices.range(before..));
        changed.sort_unstable_by_key(|(side, price)| (*side == Side::Ask, *price));
        changed.dedup();
        let mut missed = self.flushes.range(skipped..);
        let first = missed.next()?;
        let updates = missed.fold(first.updates, |sum, flush| sum.saturating_add(flush.updates));
        Some(Missed { flushes, first_update_id: first.first_update_id, updates })
    }
}

/// A few thousand prices are more than the merged delta of a client that can still be helped by one;
/// they take 64 KiB for each topic that somebody listens to.
const MOST_PRICES: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Quantity;

    fn levels(prices: &[i64]) -> Vec<Level> {
        prices.iter().map(|&price| Level { price: Price(price), quantity: Quantity::ZERO }).collect()
    }

    #[test]
    fn what_changed_since_is_told_once_for_each_price() {
        let mut history = History::default();
        let start = history.place();
        history.note(&levels(&[1, 2]), &levels(&[9]), 10, 1);
        history.note(&levels(&[2]), &levels(&[8]), 11, 2);
        history.note(&levels(&[]), &levels(&[9]), 13, 1);
        let mut changed = Vec::new();
        let missed = history.since(start + 1, &mut changed);
        assert_eq!(missed, Some(Missed { flushes: 2, first_update_id: 11, updates: 3 }));
        assert_eq!(changed, [(Side::Bid, Price(2)), (Side::Ask, Price(8)), (Side::Ask, Price(9))]);
        assert!(history.since(history.place(), &mut changed).is_none(), "who missed nothing needs nothing");
        assert!(history.since(history.place() + 1, &mut changed).is_none());
    }

    #[test]
    fn a_snapshot_cuts_and_the_oldest_are_forgotten() {
        let mut history = History::default();
        let mut changed = Vec::new();
        history.note(&levels(&[1]), &[], 1, 1);
        let before = history.place() - 1;
        history.cut();
        assert!(history.since(before, &mut changed).is_none());
        let first = history.place();
        for price in 0..MOST_PRICES as i64 + 1 {
            history.note(&levels(&[price]), &[], 1, 1);
        }
        assert!(history.since(first, &mut changed).is_none());
        assert!(
            history.since(first + 1, &mut changed).is_some_and(|missed| missed.flushes == MOST_PRICES as u64)
        );
    }
}

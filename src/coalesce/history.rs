//! Which prices the last flushes of a book topic changed: what a client that fell behind needs.

use std::collections::VecDeque;

use crate::market::Side;
use crate::state::LevelChange;

/// The prices that recent flushes changed, flush by flush.
///
/// A client that stopped at some flush is brought up to date by one delta: the present quantity at
/// every price that changed since, whatever it went through in between.
///
/// Invariant: it holds at most [`MOST_CHANGES`] prices, and no more flushes than that; older flushes
/// are forgotten first.
#[derive(Debug, Default)]
pub(super) struct History {
    flushes: VecDeque<PastFlush>,
    changes: VecDeque<LevelChange>,
    /// How many flushes there have been in all.
    count: u64,
}

#[derive(Clone, Copy, Debug)]
struct PastFlush {
    changes: usize,
    first_update_id: u64,
    previous_update_id: u64,
    updates: u32,
}

/// What happened since some flush.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missed {
    /// How many flushes.
    pub(super) flushes: u64,
    /// The venue's number of the first update in them.
    pub(super) first_update_id: u64,
    /// That of the last update in the state that they began with.
    pub(super) previous_update_id: u64,
    /// How many of the source's updates they stand for.
    pub(super) updates: u32,
}

impl History {
    /// The number of flushes so far: the place at which a client that has heard all of them stands.
    pub(super) const fn place(&self) -> u64 {
        self.count
    }

    /// Notes a delta.
    pub(super) fn note(
        &mut self,
        changes: &[LevelChange],
        (first_update_id, previous_update_id): (u64, u64),
        updates: u32,
    ) {
        self.count += 1;
        // Room first, so that the buffers never hold more than they may.
        while self.changes.len() + changes.len() > MOST_CHANGES {
            let Some(oldest) = self.flushes.pop_front() else { break };
            self.changes.drain(..oldest.changes);
        }
        if changes.len() > MOST_CHANGES {
            return;
        }
        let needed = self.changes.len() + changes.len();
        if needed > self.changes.capacity() {
            self.changes.reserve_exact((2 * needed).min(MOST_CHANGES) - self.changes.len());
        }
        self.flushes.push_back(PastFlush {
            changes: changes.len(),
            first_update_id,
            previous_update_id,
            updates,
        });
        self.changes.extend(changes);
    }

    /// Notes a snapshot: nobody gets past it with a delta.
    pub(super) fn cut(&mut self) {
        self.count += 1;
        self.flushes.clear();
        self.changes.clear();
    }

    /// Nobody listens any more: the memory is given back, and who comes later gets a snapshot.
    pub(super) fn forget(&mut self) {
        *self = History { count: self.count + 1, ..History::default() };
    }

    /// Puts every price that changed since `place` into `changed`, each once with what stood there
    /// then, bids before asks, prices rising; `None` when not all of them are known any more.
    pub(super) fn since(&self, place: u64, changed: &mut Vec<LevelChange>) -> Option<Missed> {
        let flushes = self.count.checked_sub(place)?;
        let skipped = self.flushes.len().checked_sub(usize::try_from(flushes).ok()?)?;
        let before: usize = self.flushes.range(..skipped).map(|flush| flush.changes).sum();
        changed.clear();
        changed.extend(self.changes.range(before..));
        // Stable, so that the first change of a price comes first: it knows what stood there.
        changed.sort_by_key(|change| (change.side == Side::Ask, change.price));
        changed.dedup_by_key(|change| (change.side, change.price));
        let mut missed = self.flushes.range(skipped..);
        let first = missed.next()?;
        let updates = missed.fold(first.updates, |sum, flush| sum.saturating_add(flush.updates));
        let (first_update_id, previous_update_id) = (first.first_update_id, first.previous_update_id);
        Some(Missed { flushes, first_update_id, previous_update_id, updates })
    }
}

/// A few thousand prices are more than the merged delta of a client that can still be helped by one.
/// They take 128 KiB for each topic that somebody listens to, and the flushes that changed them at
/// most as much again, where each changed a single price.
const MOST_CHANGES: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Decimal, Price, Quantity};

    fn change(side: Side, price: i64, before: i64) -> LevelChange {
        let before = Quantity::new(Decimal::new(before, 0)).unwrap();
        LevelChange { side, price: Price(price), before }
    }

    fn shown(changed: &[LevelChange]) -> Vec<(Side, i64, i64)> {
        changed.iter().map(|one| (one.side, one.price.0, one.before.decimal().mantissa())).collect()
    }

    #[test]
    fn what_changed_since_is_told_once_for_each_price_with_what_stood_there_then() {
        let mut history = History::default();
        let start = history.place();
        history.note(&[change(Side::Bid, 1, 5), change(Side::Ask, 9, 5)], (10, 9), 1);
        history.note(&[change(Side::Bid, 2, 6), change(Side::Ask, 8, 0)], (11, 10), 2);
        history.note(&[change(Side::Ask, 8, 3), change(Side::Bid, 2, 7)], (13, 12), 1);
        let mut changed = Vec::new();
        let missed = history.since(start + 1, &mut changed);
        assert_eq!(
            missed,
            Some(Missed { flushes: 2, first_update_id: 11, previous_update_id: 10, updates: 3 })
        );
        assert_eq!(shown(&changed), [(Side::Bid, 2, 6), (Side::Ask, 8, 0)]);
        assert!(history.since(history.place(), &mut changed).is_none(), "who missed nothing needs nothing");
        assert!(history.since(history.place() + 1, &mut changed).is_none());
    }

    #[test]
    fn what_is_kept_never_takes_more_than_is_said_and_nothing_when_nobody_listens() {
        let mut history = History::default();
        let changes: Vec<_> = (0..3_000).map(|price| change(Side::Bid, price, 0)).collect();
        for round in 0..200 {
            history.note(&changes[..1 + round * 37 % 3_000], (1, 0), 1);
            assert!(history.changes.capacity() <= MOST_CHANGES);
        }
        (0..10_000).for_each(|_| history.note(&changes[..1], (1, 0), 1));
        assert!(history.flushes.capacity() <= MOST_CHANGES && size_of::<PastFlush>() == 32);
        let before = history.place();
        history.forget();
        assert_eq!((history.changes.capacity(), history.flushes.capacity()), (0, 0));
        assert!(history.since(before, &mut Vec::new()).is_none(), "nobody gets past it with a delta");
        history.note(&vec![changes[0]; MOST_CHANGES + 1], (1, 0), 1);
        assert!(history.since(before + 1, &mut Vec::new()).is_none(), "more than is kept is not kept");
    }

    #[test]
    fn a_snapshot_cuts_and_the_oldest_are_forgotten() {
        let mut history = History::default();
        let mut changed = Vec::new();
        history.note(&[change(Side::Bid, 1, 0)], (1, 0), 1);
        let before = history.place() - 1;
        history.cut();
        assert!(history.since(before, &mut changed).is_none());
        let first = history.place();
        for price in 0..=MOST_CHANGES {
            history.note(&[change(Side::Bid, i64::try_from(price).unwrap(), 0)], (1, 0), 1);
        }
        assert!(history.since(first, &mut changed).is_none());
        assert!(
            history
                .since(first + 1, &mut changed)
                .is_some_and(|missed| missed.flushes == MOST_CHANGES as u64)
        );
    }
}

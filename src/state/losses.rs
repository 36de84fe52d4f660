//! The way back from the shards to the sources: whose book could not be kept.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::market::SymbolId;

/// Books that were lost after their source had passed their changes on as good.
///
/// Any number of sources read it, each at its own place. It is bounded by the number of symbols: of
/// each it keeps the newest loss.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// How many there were: all that is looked at where nothing is new.
    count: AtomicU64,
    newest: Mutex<Vec<(u64, SymbolId)>>,
}

impl Losses {
    pub(super) fn note(&self, symbol: SymbolId) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.count.load(Ordering::Relaxed) + 1;
        newest.retain(|&(_, other)| other != symbol);
        newest.push((number, symbol));
        self.count.store(number, Ordering::Release);
    }

    /// The first loss after number `*heard`, which moves on to it.
    #[inline]
    pub(super) fn next(&self, heard: &mut u64) -> Option<SymbolId> {
        if self.count.load(Ordering::Acquire) == *heard { None } else { self.find(heard) }
    }

    #[cold]
    fn find(&self, heard: &mut u64) -> Option<SymbolId> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let at = newest.partition_point(|&(number, _)| number <= *heard);
        let &(number, symbol) = newest.get(at)?;
        *heard = number;
        Some(symbol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reader_hears_the_newest_loss_of_each_book_once() {
        let losses = Losses::default();
        let (mut early, mut late) = (0, 0);
        assert_eq!(losses.next(&mut early), None);
        for symbol in [1, 2, 1] {
            losses.note(SymbolId(symbol));
        }
        let hear =
            |heard: &mut u64| std::iter::from_fn(|| losses.next(heard)).map(|id| id.0).collect::<Vec<_>>();
        assert_eq!(hear(&mut early), [2, 1]);
        losses.note(SymbolId(2));
        assert_eq!((hear(&mut early), hear(&mut late)), (vec![2], vec![1, 2]));
    }
}

//! What others see of a symbol: immutable snapshots behind an `ArcSwap`, read without a lock.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::losses::Losses;
use super::{Book, BookStatus, PublishedTicker};
use crate::market::{Level, Millis, Scale, Side, SymbolId};

/// The writing end of a published value. Not `Clone`: one writer is what keeps values in order.
///
/// Values that nobody reads any more are filled again, so that a warm writer allocates nothing.
#[derive(Debug)]
pub struct Cell<T> {
    current: Arc<ArcSwap<T>>,
    /// Published once and not yet free. A reader that holds on to one only keeps that one.
    spare: Vec<Arc<T>>,
}

impl<T: Default> Default for Cell<T> {
    fn default() -> Cell<T> {
        Cell { current: Arc::new(ArcSwap::from_pointee(T::default())), spare: Vec::new() }
    }
}

impl<T: Default> Cell<T> {
    /// The reading end.
    pub fn reader(&self) -> Published<T> {
        Published { current: self.current.clone() }
    }

    /// Fills a value and publishes it.
    pub fn publish(&mut self, fill: impl FnOnce(&mut T)) {
        let mut next = self.take_spare();
        if let Some(value) = Arc::get_mut(&mut next) {
            fill(value);
        }
        let old = self.current.swap(next);
        if self.spare.len() < SPARE_MOST {
            self.spare.push(old);
        }
    }

    fn take_spare(&mut self) -> Arc<T> {
        let free = self.spare.iter_mut().position(|spare| Arc::get_mut(spare).is_some());
        free.map_or_else(Arc::default, |at| self.spare.swap_remove(at))
    }
}

/// The reading end of a [`Cell`]: readers and the writer do not block each other.
#[derive(Debug)]
pub struct Published<T> {
    current: Arc<ArcSwap<T>>,
}

impl<T> Clone for Published<T> {
    fn clone(&self) -> Published<T> {
        Published { current: self.current.clone() }
    }
}

impl<T> Published<T> {
    /// Looks at the present value.
    ///
    /// Takes a closure so that no borrow can live across an `.await`: each thread has few cheap
    /// borrow slots, and a parked task would sit on one.
    pub fn with<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.current.load())
    }

    /// The present value, to keep.
    pub fn get(&self) -> Arc<T> {
        self.current.load_full()
    }
}

/// The best levels of a book at one moment.
#[derive(Debug)]
pub struct BookSnapshot {
    /// How prices are printed.
    pub scale: Scale,
    /// Whether it may be passed on.
    pub status: BookStatus,
    /// The venue's number of the last update in it; rises with each snapshot of a good book.
    pub last_update_id: u64,
    /// The venue's time of that update.
    pub time: Millis,
    /// The best bids, best first, at most [`BookSnapshot::DEPTH`].
    pub bids: Vec<Level>,
    /// The best asks, best first.
    pub asks: Vec<Level>,
}

impl BookSnapshot {
    /// How many levels a side are published with each change. The full depth is copied only when
    /// somebody asks for it.
    pub const DEPTH: usize = 50;

    /// Takes over the best levels of `book`.
    pub fn fill(&mut self, book: &Book) {
        (self.scale, self.status) = (book.scale(), book.status());
        (self.last_update_id, self.time) = (book.last_update_id(), book.time());
        book.side(Side::Bid).copy_top(BookSnapshot::DEPTH, &mut self.bids);
        book.side(Side::Ask).copy_top(BookSnapshot::DEPTH, &mut self.asks);
    }
}

impl Default for BookSnapshot {
    fn default() -> BookSnapshot {
        BookSnapshot {
            scale: Scale::default(),
            status: BookStatus::Empty,
            last_update_id: 0,
            time: 0,
            bids: Vec::new(),
            asks: Vec::new(),
        }
    }
}

/// The reading ends of one symbol.
#[derive(Clone, Debug)]
pub struct SymbolCells {
    /// Its book.
    pub book: Published<BookSnapshot>,
    /// Its ticker.
    pub ticker: PublishedTicker,
}

/// The reading ends of all symbols, whichever shard writes them.
#[derive(Debug, Default)]
pub struct Board {
    cells: ArcSwap<Vec<Option<SymbolCells>>>,
    /// New symbols are rare and copy the list; only writers wait for each other.
    adding: Mutex<()>,
    losses: Losses,
}

impl Board {
    /// Makes a symbol's cells known.
    pub fn add(&self, symbol: SymbolId, cells: SymbolCells) {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::clone(&self.cells.load());
        if all.len() <= symbol.index() {
            all.resize(symbol.index() + 1, None);
        }
        all[symbol.index()] = Some(cells);
        self.cells.store(Arc::new(all));
    }

    /// A symbol's cells; `None` before anything came for it.
    pub fn cells(&self, symbol: SymbolId) -> Option<SymbolCells> {
        self.cells.load().get(symbol.index())?.clone()
    }

    /// Says that a symbol's book could not be kept, although its source was told nothing of it.
    pub fn lose(&self, symbol: SymbolId) {
        self.losses.note(symbol);
    }

    /// The next book that was lost after the first `*heard` losses, which are then one more.
    #[inline]
    pub fn lost(&self, heard: &mut u64) -> Option<SymbolId> {
        self.losses.next(heard)
    }

    /// Looks at every symbol's cells.
    pub fn each(&self, mut look: impl FnMut(SymbolId, &SymbolCells)) {
        for (id, cells) in (0..).map(SymbolId).zip(self.cells.load().iter()) {
            if let Some(cells) = cells {
                look(id, cells);
            }
        }
    }
}

/// A reader that keeps more than this many old values alive makes the writer allocate.
const SPARE_MOST: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_held_is_never_changed() {
        let mut cell = Cell::<Vec<u32>>::default();
        let reader = cell.reader();
        let mut held = Vec::new();
        for round in 0..20 {
            cell.publish(|value| {
                value.clear();
                value.push(round);
            });
            held.push((round, reader.get()));
            if round % 3 == 0 {
                held.remove(0);
            }
        }
        for (round, value) in held {
            assert_eq!(*value, [round]);
        }
    }

    #[test]
    fn a_warm_writer_fills_the_same_values_again() {
        let mut cell = Cell::<Vec<u32>>::default();
        let mut addresses = std::collections::HashSet::new();
        for _ in 0..100 {
            cell.publish(|value| value.push(1));
            addresses.insert(cell.reader().with(|value| std::ptr::from_ref(value) as usize));
        }
        assert!(addresses.len() <= 2, "{} values were made", addresses.len());
    }
}

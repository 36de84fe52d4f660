//! A few dozen levels of one side of a book, in order.

use crate::market::Quantity;

/// Levels best first, their keys apart from their quantities: a search that walks keys alone touches
/// a third of the memory.
///
/// A key is the price as a number that is smaller the better the price is. Invariants: keys rise;
/// there are as many quantities as keys.
#[derive(Clone, Debug)]
pub(super) struct Block {
    keys: Vec<i64>,
    quantities: Vec<Quantity>,
}

impl Block {
    /// An empty block that has room for `most` levels.
    pub(super) fn with_room_for(most: usize) -> Block {
        Block { keys: Vec::with_capacity(most), quantities: Vec::with_capacity(most) }
    }

    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn keys(&self) -> &[i64] {
        &self.keys
    }

    pub(super) fn quantities(&self) -> &[Quantity] {
        &self.quantities
    }

    /// The key of the last level.
    pub(super) fn worst(&self) -> Option<i64> {
        self.keys.last().copied()
    }

    /// Where `key` is, or where it belongs.
    #[inline]
    pub(super) fn find(&self, key: i64) -> Result<usize, usize> {
        let at = self.keys.partition_point(|&held| held < key);
        if self.keys.get(at) == Some(&key) { Ok(at) } else { Err(at) }
    }

    /// Each level, best first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, Quantity)> + '_ {
        self.keys.iter().copied().zip(self.quantities.iter().copied())
    }

    /// Puts `quantity` at the place `at`, and returns what stood there.
    #[inline]
    pub(super) fn replace(&mut self, at: usize, quantity: Quantity) -> Quantity {
        std::mem::replace(&mut self.quantities[at], quantity)
    }

    #[inline]
    pub(super) fn insert(&mut self, at: usize, key: i64, quantity: Quantity) {
        self.keys.insert(at, key);
        self.quantities.insert(at, quantity);
    }

    #[inline]
    pub(super) fn remove(&mut self, at: usize) -> (i64, Quantity) {
        (self.keys.remove(at), self.quantities.remove(at))
    }

    pub(super) fn push(&mut self, key: i64, quantity: Quantity) {
        self.keys.push(key);
        self.quantities.push(quantity);
    }

    /// Moves what stands at `from` and behind it to the end of `other`.
    pub(super) fn move_from(&mut self, from: usize, other: &mut Block) {
        other.keys.extend(self.keys.drain(from..));
        other.quantities.extend(self.quantities.drain(from..));
    }

    pub(super) fn clear(&mut self) {
        self.keys.clear();
        self.quantities.clear();
    }

    /// Gives each key another; their order must stay.
    pub(super) fn each_key(&mut self, change: impl FnMut(&mut i64)) {
        self.keys.iter_mut().for_each(change);
    }
}

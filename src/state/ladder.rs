//! One side of a book.

use super::block::Block;
use crate::market::{Level, Price, Quantity, Scale, Side};

/// The resting quantity at each price on one side of a book.
///
/// Sorted blocks of some dozens of levels, as the leaves of a B-tree: a change moves at most one
/// block's levels however deep the book is, and reading from the best is a walk over contiguous
/// memory (`benches/book.rs` has it against one sorted vector and against the library's B-tree).
///
/// Invariants. [`Ladder::set`], [`Ladder::replace`] and [`Ladder::truncate`] are the only writers and
/// keep them:
/// - best price first, no price twice;
/// - no level is empty: setting a quantity of zero removes the level;
/// - no block is empty, and `worst` holds the key of each block's last level.
#[derive(Clone, Debug)]
pub struct Ladder {
    side: Side,
    blocks: Vec<Block>,
    /// Of each block the key of its worst level, for the search.
    worst: Vec<i64>,
    length: usize,
    /// The block that was changed last: venues tell levels in order, so that the next one is often
    /// in there, too.
    recent: usize,
    /// Blocks without levels, to be filled again.
    free: Vec<Block>,
    /// The levels of a [`Ladder::replace`], in order.
    sorted: Vec<Level>,
}

impl Ladder {
    /// An empty side.
    pub const fn new(side: Side) -> Ladder {
        Ladder {
            side,
            blocks: Vec::new(),
            worst: Vec::new(),
            length: 0,
            recent: 0,
            free: Vec::new(),
            sorted: Vec::new(),
        }
    }

    /// Sets the quantity at `price`, and returns what stood there before (zero: nothing).
    #[inline]
    pub fn set(&mut self, price: Price, quantity: Quantity) -> Quantity {
        let key = key(self.side, price);
        let block = if self.is_in(self.recent, key) { self.recent } else { self.block_of(key) };
        self.recent = block;
        let before = match self.blocks.get_mut(block) {
            None if quantity.is_zero() => Quantity::ZERO,
            None => {
                self.append(key, quantity);
                Quantity::ZERO
            }
            Some(levels) => match levels.find(key) {
                Ok(at) if quantity.is_zero() => self.remove(block, at),
                Ok(at) => levels.replace(at, quantity),
                Err(_) if quantity.is_zero() => Quantity::ZERO,
                Err(at) => {
                    levels.insert(at, key, quantity);
                    self.length += 1;
                    if levels.len() == BLOCK {
                        self.split(block);
                    }
                    Quantity::ZERO
                }
            },
        };
        debug_assert!(self.holds_around(block));
        before
    }

    /// Replaces all levels by `levels`, which may come in any order (the last of a price counts),
    /// and reports each price whose quantity is another now, with what stood there before.
    pub fn replace(&mut self, levels: &[Level], changed: impl FnMut(Price, Quantity)) {
        let mut sorted = std::mem::take(&mut self.sorted);
        let side = self.side;
        sorted.clear();
        sorted.extend_from_slice(levels);
        // Venues send the best first, so that sorting is hardly ever needed.
        if !sorted.is_sorted_by(|a, b| side.rank(a.price, b.price).is_lt()) {
            sorted.reverse();
            sorted.sort_by(|a, b| side.rank(a.price, b.price));
            sorted.dedup_by_key(|level| level.price);
        }
        sorted.retain(|level| !level.quantity.is_zero());
        self.report(&sorted, changed);
        self.clear();
        // Half full: the levels that come between them find room.
        for levels in sorted.chunks(BLOCK / 2) {
            let mut block = self.free_block();
            levels.iter().for_each(|level| block.push(key(side, level.price), level.quantity));
            self.worst.extend(block.worst());
            self.blocks.push(block);
        }
        self.length = sorted.len();
        self.sorted = sorted;
        debug_assert!(self.invariants_hold());
    }

    /// What stands at `price`; zero where nothing does.
    #[inline]
    pub fn quantity(&self, price: Price) -> Quantity {
        let key = key(self.side, price);
        let Some(levels) = self.blocks.get(self.block_of(key)) else { return Quantity::ZERO };
        levels.find(key).map_or(Quantity::ZERO, |at| levels.quantities()[at])
    }

    /// The best level.
    #[inline]
    pub fn best(&self) -> Option<Level> {
        let (key, quantity) = self.blocks.first()?.iter().next()?;
        Some(level(self.side, key, quantity))
    }

    /// All levels, best first.
    pub fn iter(&self) -> impl Iterator<Item = Level> + '_ {
        self.blocks.iter().flat_map(Block::iter).map(|(key, quantity)| level(self.side, key, quantity))
    }

    /// Puts the best `depth` levels into `top`, best first, in place of what is there.
    #[inline]
    pub fn copy_top(&self, depth: usize, top: &mut Vec<Level>) {
        top.clear();
        for block in &self.blocks {
            let wanted = depth - top.len();
            top.extend(block.iter().take(wanted).map(|(key, quantity)| level(self.side, key, quantity)));
            if wanted <= block.len() {
                return;
            }
        }
    }

    /// How many levels there are.
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How many blocks it has memory for, in use or not: it takes more only where it never had so
    /// many at once.
    pub const fn blocks(&self) -> usize {
        self.blocks.len() + self.free.len()
    }

    /// Which side this is.
    pub const fn side(&self) -> Side {
        self.side
    }

    /// Removes the worst levels beyond `most`, calling `removed` with each.
    pub fn truncate(&mut self, most: usize, mut removed: impl FnMut(Level)) {
        while self.length > most {
            let block = self.blocks.len() - 1;
            let at = self.blocks[block].len() - 1;
            if let Some(&worst) = self.worst.last() {
                let quantity = self.remove(block, at);
                removed(level(self.side, worst, quantity));
            }
        }
    }

    /// Writes all prices at a larger scale, at which they are known to fit.
    pub fn rescale(&mut self, from: Scale, to: Scale) {
        let (side, factor) = (self.side, from.factor_to(to));
        for block in 0..self.blocks.len() {
            self.blocks[block].each_key(|held| *held = key(side, Price(price_of(side, *held).0 * factor)));
            self.note_worst(block);
        }
    }

    /// Whether `key` is in that block, or belongs into it.
    #[inline]
    fn is_in(&self, block: usize, key: i64) -> bool {
        let ends_before = |block: usize| self.worst.get(block).is_none_or(|&worst| worst < key);
        !ends_before(block) && (block == 0 || ends_before(block - 1))
    }

    /// The block that holds `key`, or that it belongs into: the first that does not end before it;
    /// the number of blocks where all do. Most changes are in the first.
    #[inline]
    fn block_of(&self, key: i64) -> usize {
        match self.worst.first() {
            Some(&worst) if worst < key => self.worst.partition_point(|&worst| worst < key),
            Some(_) | None => 0,
        }
    }

    /// Puts a level behind all others.
    fn append(&mut self, key: i64, quantity: Quantity) {
        if self.blocks.last().is_none_or(|block| block.len() + 1 >= BLOCK) {
            let block = self.free_block();
            self.blocks.push(block);
            self.worst.push(key);
        }
        let last = self.blocks.len() - 1;
        self.blocks[last].push(key, quantity);
        self.length += 1;
        self.note_worst(last);
    }

    fn free_block(&mut self) -> Block {
        self.free.pop().unwrap_or_else(|| Block::with_room_for(BLOCK))
    }

    fn remove(&mut self, block: usize, at: usize) -> Quantity {
        let (_, removed) = self.blocks[block].remove(at);
        self.length -= 1;
        if self.blocks[block].is_empty() {
            self.worst.remove(block);
            let empty = self.blocks.remove(block);
            self.free.push(empty);
        } else {
            if at == self.blocks[block].len() {
                self.note_worst(block);
            }
            self.join_next(block);
        }
        removed
    }

    /// Takes the next block's levels in where the two are nearly empty, so that a book that moved
    /// away does not leave a trail of them.
    fn join_next(&mut self, block: usize) {
        let together = self.blocks.get(block + 1).map(|next| next.len() + self.blocks[block].len());
        if together.is_some_and(|together| together <= BLOCK / 4) {
            let mut next = self.blocks.remove(block + 1);
            self.worst.remove(block + 1);
            next.move_from(0, &mut self.blocks[block]);
            self.free.push(next);
            self.note_worst(block);
        }
    }

    fn split(&mut self, block: usize) {
        let mut second = self.free_block();
        self.blocks[block].move_from(BLOCK / 2, &mut second);
        self.blocks.insert(block + 1, second);
        self.worst.insert(block + 1, 0);
        self.note_worst(block);
        self.note_worst(block + 1);
    }

    fn note_worst(&mut self, block: usize) {
        if let Some(worst) = self.blocks[block].worst() {
            self.worst[block] = worst;
        }
    }

    fn clear(&mut self) {
        for mut block in self.blocks.drain(..) {
            block.clear();
            self.free.push(block);
        }
        self.worst.clear();
        self.length = 0;
    }

    /// Reports each price at which `new` holds another quantity than this side does.
    fn report(&self, new: &[Level], mut changed: impl FnMut(Price, Quantity)) {
        let (mut before, mut after) = (self.iter().peekable(), new.iter().copied().peekable());
        loop {
            let order = match (before.peek(), after.peek()) {
                (Some(b), Some(a)) => self.side.rank(b.price, a.price),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (None, None) => return,
            };
            let held = if order.is_le() { before.next() } else { None };
            let told = if order.is_ge() { after.next() } else { None };
            let quantity = |level: Option<Level>| level.map_or(Quantity::ZERO, |level| level.quantity);
            if let Some(Level { price, .. }) = held.or(told).filter(|_| quantity(held) != quantity(told)) {
                changed(price, quantity(held));
            }
        }
    }

    /// The invariants of one block and its neighbours; the whole side would make debug builds
    /// useless on deep books.
    fn holds_around(&self, block: usize) -> bool {
        let around = block.saturating_sub(1)..(block + 2).min(self.blocks.len());
        self.holds(around)
    }

    fn invariants_hold(&self) -> bool {
        self.length == self.blocks.iter().map(Block::len).sum::<usize>() && self.holds(0..self.blocks.len())
    }

    fn holds(&self, blocks: std::ops::Range<usize>) -> bool {
        let levels = || self.blocks[blocks.clone()].iter().flat_map(Block::iter);
        let wrong = |block: &Block| {
            block.is_empty() || block.len() >= BLOCK || block.quantities().len() != block.keys().len()
        };
        self.blocks.len() == self.worst.len()
            && levels().is_sorted_by(|(a, _), (b, _)| a < b)
            && levels().all(|(_, quantity)| !quantity.is_zero())
            && !self.blocks[blocks.clone()].iter().any(wrong)
            && self.blocks[blocks.clone()]
                .iter()
                .map(Block::worst)
                .eq(self.worst[blocks].iter().map(|key| Some(*key)))
    }
}

/// The price as a number that is smaller the better it is. (`!price` turns the order of bids round
/// and, other than `-price`, exists for every price.)
#[inline]
const fn key(side: Side, price: Price) -> i64 {
    match side {
        Side::Bid => !price.0,
        Side::Ask => price.0,
    }
}

/// The price of a key.
#[inline]
const fn price_of(side: Side, key: i64) -> Price {
    match side {
        Side::Bid => Price(!key),
        Side::Ask => Price(key),
    }
}

#[inline]
const fn level(side: Side, key: i64, quantity: Quantity) -> Level {
    Level { price: price_of(side, key), quantity }
}

/// A block is split when it has this many levels. Its keys are 512 bytes and eight cache lines.
const BLOCK: usize = 64;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::market::Decimal;

    fn quantity(units: i64) -> Quantity {
        Quantity::new(Decimal::new(units, 0)).unwrap()
    }

    fn expected(model: &BTreeMap<i64, i64>, side: Side) -> Vec<(i64, i64)> {
        let levels = model.iter().map(|(&price, &units)| (price, units));
        if side == Side::Bid { levels.rev().collect() } else { levels.collect() }
    }

    fn found(ladder: &Ladder) -> Vec<(i64, i64)> {
        ladder.iter().map(|level| (level.price.0, level.quantity.decimal().mantissa())).collect()
    }

    proptest! {
        #[test]
        fn a_ladder_is_a_sorted_map_of_its_changes(
            bid: bool,
            start in proptest::collection::vec((0_i64..900, 0_i64..4), 0..700),
            changes in proptest::collection::vec((0_i64..900, -2_i64..4), 0..700),
        ) {
            let side = if bid { Side::Bid } else { Side::Ask };
            let mut ladder = Ladder::new(side);
            let mut model = BTreeMap::new();
            for start in start.chunks(400) {
                let old = std::mem::take(&mut model);
                for &(price, units) in start {
                    model.insert(price, units);
                }
                model.retain(|_, units| *units != 0);
                let level = |&(price, units): &(i64, i64)| Level { price: Price(price), quantity: quantity(units) };
                let mut changed = BTreeMap::new();
                ladder.replace(&start.iter().map(level).collect::<Vec<_>>(), |price, before| {
                    changed.insert(price.0, before.decimal().mantissa());
                });
                prop_assert_eq!(found(&ladder), expected(&model, side));
                let prices = old.keys().chain(model.keys()).copied().collect::<std::collections::BTreeSet<_>>();
                let differs = prices.into_iter().filter(|price| old.get(price) != model.get(price));
                let differs = differs.map(|price| (price, old.get(&price).copied().unwrap_or(0)));
                prop_assert_eq!(changed, differs.collect::<BTreeMap<_, _>>());
            }
            for (price, units) in changes {
                // Half of the changes remove: blocks empty and join.
                let units = units.max(0);
                let before = ladder.set(Price(price), quantity(units));
                let known = if units == 0 { model.remove(&price) } else { model.insert(price, units) };
                prop_assert_eq!(before.decimal().mantissa(), known.unwrap_or(0));
                prop_assert!(ladder.invariants_hold());
                prop_assert_eq!(ladder.quantity(Price(price)).decimal().mantissa(), units);
            }
            prop_assert_eq!(found(&ladder), expected(&model, side));
        }
    }

    #[test]
    fn the_worst_levels_go_when_there_are_too_many() {
        let mut bids = Ladder::new(Side::Bid);
        let level = |price| Level { price: Price(price), quantity: quantity(1) };
        bids.replace(&(1..=5).map(level).collect::<Vec<_>>(), |_, _| {});
        let mut gone = Vec::new();
        bids.truncate(3, |level| gone.push(level.price.0));
        assert_eq!((gone, found(&bids)), (vec![1, 2], vec![(5, 1), (4, 1), (3, 1)]));
    }
}

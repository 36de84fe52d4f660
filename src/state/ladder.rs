//! One side of a book.

use crate::market::{Level, Price, Quantity, Scale, Side};

/// The resting quantity at each price on one side of a book.
///
/// A sorted vector with the best price at its end: most changes happen near the best, where little
/// has to be moved (`benches/book.rs` has it against the best in front and against a B-tree).
///
/// Invariants. [`Ladder::set`] and [`Ladder::replace`] are the only writers and keep them:
/// - best price last, no price twice;
/// - no level is empty: setting a quantity of zero removes the level.
#[derive(Clone, Debug)]
pub struct Ladder {
    side: Side,
    levels: Vec<Level>,
    /// The buffer that the next [`Ladder::replace`] fills.
    spare: Vec<Level>,
}

impl Ladder {
    /// An empty side.
    pub const fn new(side: Side) -> Ladder {
        Ladder { side, levels: Vec::new(), spare: Vec::new() }
    }

    /// Sets the quantity at `price`, and returns what stood there before (zero: nothing).
    #[inline]
    pub fn set(&mut self, price: Price, quantity: Quantity) -> Quantity {
        let before = match self.find(price) {
            Ok(at) if quantity.is_zero() => self.levels.remove(at).quantity,
            Ok(at) => std::mem::replace(&mut self.levels[at].quantity, quantity),
            Err(_) if quantity.is_zero() => Quantity::ZERO,
            Err(at) => {
                self.levels.insert(at, Level { price, quantity });
                Quantity::ZERO
            }
        };
        debug_assert!(self.holds_around(price));
        before
    }

    /// Replaces all levels by `levels`, which may come in any order (the last of a price counts),
    /// and reports each price whose quantity is another now, with what stood there before.
    pub fn replace(&mut self, levels: &[Level], mut changed: impl FnMut(Price, Quantity)) {
        let old = std::mem::take(&mut self.levels);
        let mut new = std::mem::take(&mut self.spare);
        let side = self.side;
        new.clear();
        new.extend(levels.iter().rev().copied());
        // Venues send the best first, so that sorting is hardly ever needed.
        if !new.is_sorted_by(|a, b| side.rank(b.price, a.price).is_lt()) {
            new.sort_by(|a, b| side.rank(b.price, a.price));
            new.dedup_by_key(|level| level.price);
        }
        new.retain(|level| !level.quantity.is_zero());
        let (mut before, mut after) = (old.iter().peekable(), new.iter().peekable());
        loop {
            let (price, quantity) = match (before.peek(), after.peek()) {
                (Some(b), Some(a)) if a.price == b.price => {
                    let unchanged = a.quantity == b.quantity;
                    let change = (b.price, b.quantity);
                    before.next();
                    after.next();
                    if unchanged {
                        continue;
                    }
                    change
                }
                (Some(b), Some(a)) if side.rank(a.price, b.price).is_gt() => {
                    let change = (a.price, Quantity::ZERO);
                    after.next();
                    change
                }
                (Some(b), _) => {
                    let change = (b.price, b.quantity);
                    before.next();
                    change
                }
                (None, Some(a)) => {
                    let change = (a.price, Quantity::ZERO);
                    after.next();
                    change
                }
                (None, None) => break,
            };
            changed(price, quantity);
        }
        (self.levels, self.spare) = (new, old);
        debug_assert!(self.invariants_hold());
    }

    /// What stands at `price`; zero where nothing does.
    #[inline]
    pub fn quantity(&self, price: Price) -> Quantity {
        self.find(price).map_or(Quantity::ZERO, |at| self.levels[at].quantity)
    }

    /// The best level.
    #[inline]
    pub fn best(&self) -> Option<Level> {
        self.levels.last().copied()
    }

    /// All levels, best first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Level> + '_ {
        self.levels.iter().rev().copied()
    }

    /// Puts the best `depth` levels into `top`, best first, in place of what is there.
    #[inline]
    pub fn copy_top(&self, depth: usize, top: &mut Vec<Level>) {
        top.clear();
        top.extend(self.iter().take(depth));
    }

    /// How many levels there are.
    pub fn len(&self) -> usize {
        self.levels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// Which side this is.
    pub const fn side(&self) -> Side {
        self.side
    }

    /// Removes the worst levels beyond `most`, calling `removed` with each.
    pub fn truncate(&mut self, most: usize, removed: impl FnMut(Level)) {
        if self.levels.len() > most {
            self.levels.drain(..self.levels.len() - most).for_each(removed);
        }
    }

    /// Writes all prices at a larger scale; `false`, and nothing changed, where one does not fit.
    #[must_use]
    pub fn rescale(&mut self, from: Scale, to: Scale) -> bool {
        let factor = from.factor_to(to);
        let fits = self.levels.iter().all(|level| level.price.0.checked_mul(factor).is_some());
        if fits {
            self.levels.iter_mut().for_each(|level| level.price.0 *= factor);
        }
        fits
    }

    /// Takes a [`Ladder::rescale`] back.
    pub(super) fn unscale(&mut self, from: Scale, to: Scale) {
        let factor = from.factor_to(to);
        self.levels.iter_mut().for_each(|level| level.price.0 /= factor);
    }

    /// Where `price` stands, or where it would have to be put in.
    #[inline]
    fn find(&self, price: Price) -> Result<usize, usize> {
        // One comparison a step: which way it goes is settled here and not at every level.
        let at = match self.side {
            Side::Bid => self.first_not(|level| level.price < price),
            Side::Ask => self.first_not(|level| level.price > price),
        };
        if self.levels.get(at).is_some_and(|level| level.price == price) { Ok(at) } else { Err(at) }
    }

    /// The first level that is not `worse`, as all behind it are not. Doubles its steps from the
    /// best: the usual change is found after two or three comparisons, whatever the depth.
    #[inline]
    fn first_not(&self, worse: impl Fn(&Level) -> bool) -> usize {
        let length = self.levels.len();
        let mut step = 4;
        while step < length && !worse(&self.levels[length - step]) {
            step *= 2;
        }
        let from = length.saturating_sub(step);
        from + self.levels[from..].partition_point(worse)
    }

    /// The invariants near one price; the whole side would make debug builds useless on deep books.
    fn holds_around(&self, price: Price) -> bool {
        let (Ok(at) | Err(at)) = self.find(price);
        let around = &self.levels[at.saturating_sub(2)..(at + 2).min(self.levels.len())];
        around.is_sorted_by(|a, b| self.side.rank(b.price, a.price).is_lt())
            && around.iter().all(|level| !level.quantity.is_zero())
    }

    fn invariants_hold(&self) -> bool {
        self.levels.is_sorted_by(|a, b| self.side.rank(b.price, a.price).is_lt())
            && self.levels.iter().all(|level| !level.quantity.is_zero())
    }
}

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
            start in proptest::collection::vec((0_i64..60, 0_i64..4), 0..80),
            changes in proptest::collection::vec((0_i64..60, 0_i64..4), 0..200),
        ) {
            let side = if bid { Side::Bid } else { Side::Ask };
            let mut ladder = Ladder::new(side);
            let mut model = BTreeMap::new();
            for start in start.chunks(40) {
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

//! One side of a simulated book, in whole ticks and lots.

use crate::market::Side;

/// What rests at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resting {
    pub(super) ticks: i64,
    pub(super) lots: i64,
}

/// The levels of one side.
///
/// Invariants: the best price is last (orders are mostly about it, and the end of a vector is where
/// inserting and removing is cheap), no price twice, no level empty.
#[derive(Clone, Debug)]
pub(super) struct Levels {
    side: Side,
    stack: Vec<Resting>,
}

impl Levels {
    pub(super) fn new(side: Side) -> Levels {
        Levels { side, stack: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.stack.len()
    }

    /// The best level; there always is one in an open market.
    pub(super) fn best(&self) -> Resting {
        self.stack[self.stack.len() - 1]
    }

    /// Best first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Resting> {
        self.stack.iter().rev()
    }

    /// Puts `lots` to what rests at `ticks`, and says what then rests there.
    pub(super) fn add(&mut self, ticks: i64, lots: i64) -> Resting {
        let at = self.stack.partition_point(|level| match self.side {
            Side::Bid => level.ticks < ticks,
            Side::Ask => level.ticks > ticks,
        });
        match self.stack.get_mut(at) {
            Some(level) if level.ticks == ticks => {
                level.lots += lots;
                *level
            }
            Some(_) | None => {
                self.stack.insert(at, Resting { ticks, lots });
                self.stack[at]
            }
        }
    }

    /// Takes up to `lots` from the level that is `rank` behind the best: what was taken, and what
    /// then rests there.
    pub(super) fn take(&mut self, rank: usize, lots: i64) -> (i64, Resting) {
        let at = self.stack.len() - 1 - rank;
        let level = &mut self.stack[at];
        let taken = lots.min(level.lots);
        level.lots -= taken;
        let left = *level;
        if left.lots == 0 {
            self.stack.remove(at);
        }
        (taken, left)
    }
}

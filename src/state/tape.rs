//! The last trades of a symbol, numbered: what a client that was away can still get.

use std::collections::VecDeque;

use super::room::make_room;
use crate::market::{Millis, Trade};

/// The newest trades in order.
///
/// Invariant: the trades held are numbered without a hole, the newest with [`Tape::last_seq`].
#[derive(Debug)]
pub struct Tape {
    trades: VecDeque<(Trade, Millis)>,
    kept: usize,
    last_seq: u64,
}

impl Tape {
    /// An empty tape that keeps `kept` trades.
    pub const fn new(kept: usize) -> Tape {
        Tape { trades: VecDeque::new(), kept, last_seq: 0 }
    }

    /// Takes a trade in at `now`, and returns its number.
    pub fn push(&mut self, trade: Trade, now: Millis) -> u64 {
        if self.trades.len() >= self.kept {
            self.trades.pop_front();
        }
        if self.kept > 0 {
            make_room(&mut self.trades, self.kept);
            self.trades.push_back((trade, now));
        }
        self.last_seq += 1;
        self.last_seq
    }

    /// The number of the newest trade; 0 before the first.
    pub const fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// The newest trade.
    pub fn last(&self) -> Option<&Trade> {
        self.trades.back().map(|(trade, _)| trade)
    }

    /// All trades after number `seq`, oldest first, each with its number and when it was taken in;
    /// `None` when some of them are
    /// no longer held, or `seq` was never given out.
    pub fn after(&self, seq: u64) -> Option<impl Iterator<Item = (u64, &Trade, Millis)>> {
        let missed = usize::try_from(self.last_seq.checked_sub(seq)?).ok()?;
        let from = self.trades.len().checked_sub(missed)?;
        Some((seq + 1..).zip(self.trades.range(from..)).map(|(seq, (trade, now))| (seq, trade, *now)))
    }

    /// All trades held, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Trade> {
        self.trades.iter().map(|(trade, _)| trade)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Decimal, Quantity, TradeId};

    fn tape_of(trades: u64, kept: usize) -> Tape {
        let mut tape = Tape::new(kept);
        for id in 1..=trades {
            tape.push(
                Trade {
                    id: TradeId::Number(id),
                    price: Decimal::new(1, 0),
                    quantity: Quantity::ZERO,
                    taker: None,
                    time: 0,
                    count: 1,
                },
                7,
            );
        }
        tape
    }

    #[track_caller]
    fn check(tape: &Tape, since: u64, expect: Option<Vec<u64>>) {
        let found = tape.after(since).map(|trades| trades.map(|(seq, ..)| seq).collect::<Vec<_>>());
        assert_eq!(found, expect, "since {since}");
        for (seq, trade, _) in tape.after(since).into_iter().flatten() {
            assert_eq!(trade.id, TradeId::Number(seq));
        }
    }

    #[test]
    fn what_was_missed_is_given_in_order_or_not_at_all() {
        let tape = tape_of(10, 4);
        check(&tape, 10, Some(vec![]));
        check(&tape, 7, Some(vec![8, 9, 10]));
        check(&tape, 6, Some(vec![7, 8, 9, 10]));
        check(&tape, 5, None);
        check(&tape, 11, None);
        check(&tape_of(0, 4), 0, Some(vec![]));
    }
}

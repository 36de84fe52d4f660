//! What a feed remembers of one symbol: where its book and its trades stand.

use super::SymbolCounts;
use super::message::{Print, TradeStream};
use crate::ingest::Sink;
use crate::ingest::sequence::{Arrival, Rule, Sequence, State, Verdict};
use crate::market::{BookChange, Event, Millis, StaleReason, SymbolId};

/// One symbol at one market.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) symbol: SymbolId,
    pub(super) counts: SymbolCounts,
    /// Whether it stands in the list of those who wait for a snapshot.
    pub(super) wanted: bool,
    sequence: Sequence,
    /// The stream whose trades count: the first one heard. The other one tells the same trades.
    stream: Option<TradeStream>,
    last_trade: Option<u64>,
}

impl Line {
    pub(super) fn new(symbol: SymbolId, rule: Rule) -> Line {
        Line {
            symbol,
            counts: SymbolCounts::default(),
            wanted: false,
            sequence: Sequence::new(rule),
            stream: None,
            last_trade: None,
        }
    }

    /// Takes a diff; says whether the book waits for a snapshot afterwards.
    #[inline]
    pub(super) fn diff(
        &mut self,
        change: Box<BookChange>,
        previous: Option<u64>,
        received: Millis,
        sink: &mut impl Sink,
    ) -> bool {
        self.counts.diffs += 1;
        let verdict = self.sequence.diff(change, previous);
        self.settle(verdict, received, sink);
        self.sequence.state() == State::Waiting
    }

    /// Takes a snapshot and what was held for it; says whether it was new enough.
    pub(super) fn snapshot(
        &mut self,
        change: Box<BookChange>,
        received: Millis,
        sink: &mut impl Sink,
    ) -> bool {
        match self.sequence.snapshot(change) {
            Arrival::Apply(change) => {
                self.counts.snapshots += 1;
                sink.put(self.symbol, received, Event::Book(change));
                while let Some(verdict) = self.sequence.release() {
                    self.settle(verdict, received, sink);
                }
                true
            }
            Arrival::TooOld(change) => {
                self.counts.too_old += 1;
                sink.recycle(change);
                false
            }
            Arrival::Passed(change) => {
                sink.recycle(change);
                true
            }
        }
    }

    /// Whether there is no book.
    pub(super) fn is_waiting(&self) -> bool {
        self.sequence.state() == State::Waiting
    }

    /// The connection ended; says whether there was a book.
    pub(super) fn disconnected(&mut self, received: Millis, sink: &mut impl Sink) -> bool {
        let had_book = self.sequence.lose();
        if had_book {
            sink.put(self.symbol, received, Event::Stale(StaleReason::Disconnected));
        }
        had_book
    }

    /// The book could not be kept, whatever its numbers said; says whether there was one.
    pub(super) fn lost(&mut self, received: Millis, sink: &mut impl Sink) -> bool {
        let had_book = self.sequence.lose();
        if had_book {
            self.counts.gaps += 1;
            sink.put(self.symbol, received, Event::Stale(StaleReason::Gap));
        }
        had_book
    }

    /// Takes a trade, unless it was told before.
    #[inline]
    pub(super) fn trade(&mut self, print: Print<'_>, received: Millis, sink: &mut impl Sink) {
        let stream = *self.stream.get_or_insert(print.stream);
        let repeated = self.last_trade.is_some_and(|last| print.id <= last);
        if stream != print.stream || repeated {
            self.counts.trades_ignored += 1;
            return;
        }
        self.last_trade = Some(print.id);
        if print.counts {
            self.counts.trades += 1;
            sink.put(self.symbol, received, Event::Trade(print.trade));
        } else {
            self.counts.trades_ignored += 1;
        }
    }

    #[inline]
    fn settle(&mut self, verdict: Verdict, received: Millis, sink: &mut impl Sink) {
        match verdict {
            Verdict::Apply(change) => {
                self.counts.applied += 1;
                sink.put(self.symbol, received, Event::Book(change));
            }
            Verdict::Held => {}
            Verdict::Dropped(change) => {
                self.counts.dropped += 1;
                sink.recycle(change);
            }
            Verdict::Duplicate(change) => {
                self.counts.duplicates += 1;
                sink.recycle(change);
            }
            Verdict::Gap => {
                self.counts.gaps += 1;
                sink.put(self.symbol, received, Event::Stale(StaleReason::Gap));
            }
        }
    }
}

/// What all lines together hold until their snapshots come.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// So many levels, or less: what was let go since they were counted is in it.
    at_most: usize,
}

impl Held {
    /// Notes that `levels` more are held by one of `lines`, and lets the oldest of each go where all
    /// of them hold too much.
    #[cold]
    pub(super) fn hold(&mut self, levels: usize, lines: &mut [Option<Box<Line>>]) {
        self.at_most += levels;
        if self.at_most <= HELD_BY_ALL {
            return;
        }
        let count = |lines: &[Option<Box<Line>>]| -> usize {
            lines.iter().flatten().map(|line| line.sequence.held_levels()).sum()
        };
        // Half of the room is won at least, so that this is seldom done.
        if count(lines) > HELD_BY_ALL / 2 {
            let waiting = lines.iter().flatten().filter(|line| line.sequence.held() > 0).count();
            let share = HELD_BY_ALL / 2 / waiting.max(1);
            lines.iter_mut().flatten().for_each(|line| line.sequence.keep_newest(share));
        }
        self.at_most = count(lines);
    }
}

/// What all books that wait hold together: 64 MB. A venue that allows a dozen snapshots a minute lets
/// hundreds of books wait for most of an hour, each with its diffs.
const HELD_BY_ALL: usize = 2_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Decimal, Quantity, RawLevel};

    #[test]
    fn all_books_that_wait_hold_no_more_than_one_share_each() {
        let mut held = Held::default();
        let mut lines: Vec<_> =
            (0..40).map(|id| Some(Box::new(Line::new(SymbolId(id), Rule::Spot)))).collect();
        let level = RawLevel { price: Decimal::new(1, 0), quantity: Quantity::ZERO };
        for id in 1..=60 {
            for line in 0..lines.len() {
                let bids = vec![level; 1_000];
                let change =
                    BookChange { first_update_id: id, last_update_id: id, bids, ..BookChange::default() };
                let _ = lines[line].as_mut().unwrap().sequence.diff(Box::new(change), None);
                held.hold(1_000, &mut lines);
                let all: usize = lines.iter().flatten().map(|line| line.sequence.held_levels()).sum();
                assert!(all <= HELD_BY_ALL, "{all}");
            }
        }
        assert!(lines.iter().flatten().all(|line| line.sequence.held() >= 25), "each keeps its newest");
    }
}

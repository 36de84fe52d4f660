//! The sequence rules: which diffs of a book apply, and when only a snapshot helps.
//!
//! One [`Sequence`] per symbol. It looks at numbers only, never at levels, and knows no venue's
//! message; it holds the diffs that came before the snapshot they belong to.

use std::collections::VecDeque;

use crate::market::BookChange;

/// How a source numbers its diffs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Each diff begins one above the end of the diff before. The first after a snapshot reaches
    /// over the number that follows the snapshot's.
    Spot,
    /// Each diff names the end of the diff before. The first after a snapshot reaches over the
    /// snapshot's own number.
    Futures,
    /// As spot, but who publishes is the book's owner: its snapshots are never too old.
    Published,
}

/// Follows the numbering of one symbol's book.
///
/// Invariants:
/// - [`State::Following`] was reached by diffs that touch, from a snapshot that the first of them
///   reached over;
/// - what is held is bounded ([`HELD_DIFFS`], [`HELD_LEVELS`]); when it is full the oldest go, and
///   the bridge check then asks for a newer snapshot.
#[derive(Debug)]
pub struct Sequence {
    rule: Rule,
    state: State,
    held: VecDeque<Held>,
    held_levels: usize,
}

/// Where a [`Sequence`] stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No book: diffs are held until a snapshot comes.
    Waiting,
    /// A snapshot ending in `last` is in; no diff after it has come yet.
    Bridging {
        /// The snapshot's number.
        last: u64,
    },
    /// The book stands at the end of the diff `last`.
    Following {
        /// That diff's last number.
        last: u64,
    },
}

/// What becomes of a diff.
#[derive(Debug)]
pub enum Verdict {
    /// It applies to the book as it stands.
    Apply(Box<BookChange>),
    /// It is kept until a snapshot comes.
    Held,
    /// The snapshot holds it already.
    Dropped(Box<BookChange>),
    /// It came before.
    Duplicate(Box<BookChange>),
    /// Something before it is missing: the book is stale from here on, and the diff is held.
    Gap,
}

/// What becomes of a snapshot.
#[derive(Debug)]
pub enum Arrival {
    /// It replaces the book; [`Sequence::release`] then gives the diffs that were held.
    Apply(Box<BookChange>),
    /// It ends before the diffs that are held begin: ask for a newer one.
    TooOld(Box<BookChange>),
    /// The book is already past it.
    Passed(Box<BookChange>),
}

#[derive(Debug)]
struct Held {
    change: Box<BookChange>,
    previous: Option<u64>,
}

impl Sequence {
    /// A book that waits for its first snapshot.
    pub fn new(rule: Rule) -> Sequence {
        Sequence { rule, state: State::Waiting, held: VecDeque::new(), held_levels: 0 }
    }

    /// Where it stands.
    #[inline]
    pub const fn state(&self) -> State {
        self.state
    }

    /// How many diffs are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// How many levels are held.
    pub const fn held_levels(&self) -> usize {
        self.held_levels
    }

    /// Judges a diff; `previous` is the end of the diff before, where the source names it.
    #[inline]
    pub fn diff(&mut self, change: Box<BookChange>, previous: Option<u64>) -> Verdict {
        match self.judge(&change, previous) {
            Judgement::Applies => {
                self.state = State::Following { last: change.last_update_id };
                Verdict::Apply(change)
            }
            Judgement::Early => {
                self.hold(Held { change, previous });
                Verdict::Held
            }
            Judgement::Contained => Verdict::Dropped(change),
            Judgement::Repeated => Verdict::Duplicate(change),
            Judgement::Missing => {
                self.state = State::Waiting;
                self.hold(Held { change, previous });
                Verdict::Gap
            }
        }
    }

    /// Judges a snapshot.
    pub fn snapshot(&mut self, change: Box<BookChange>) -> Arrival {
        let last = change.last_update_id;
        match self.state {
            State::Following { last: reached } | State::Bridging { last: reached }
                if self.rule != Rule::Published && last <= reached =>
            {
                return Arrival::Passed(change);
            }
            State::Following { .. } | State::Bridging { .. } | State::Waiting => {}
        }
        let oldest_needed = self.held.iter().find(|held| !self.contains(last, &held.change));
        if oldest_needed.is_some_and(|held| !self.bridges(last, &held.change, held.previous)) {
            match self.rule {
                Rule::Spot | Rule::Futures => return Arrival::TooOld(change),
                // The owner began to count anew: what came before is of no use.
                Rule::Published => self.forget(),
            }
        }
        self.state = State::Bridging { last };
        Arrival::Apply(change)
    }

    /// Judges the oldest diff that is held, after a snapshot; `None` when there is none left, or
    /// the book went stale over one of them.
    pub fn release(&mut self) -> Option<Verdict> {
        if self.state == State::Waiting {
            return None;
        }
        let Held { change, previous } = self.held.pop_front()?;
        self.held_levels -= levels(&change);
        if matches!(self.judge(&change, previous), Judgement::Missing) {
            // Back to where it was: what is held must stay in order.
            self.state = State::Waiting;
            self.held_levels += levels(&change);
            self.held.push_front(Held { change, previous });
            return Some(Verdict::Gap);
        }
        Some(self.diff(change, previous))
    }

    /// The connection ended, or the book could not be kept: what was held ends in a hole, and so does
    /// the book. Says whether there was a book.
    pub fn lose(&mut self) -> bool {
        self.forget();
        std::mem::replace(&mut self.state, State::Waiting) != State::Waiting
    }

    #[inline]
    fn judge(&self, change: &BookChange, previous: Option<u64>) -> Judgement {
        match self.state {
            State::Waiting => Judgement::Early,
            State::Bridging { last } if self.contains(last, change) => Judgement::Contained,
            State::Bridging { last } if self.bridges(last, change, previous) => Judgement::Applies,
            State::Following { last } if change.last_update_id <= last => Judgement::Repeated,
            State::Following { last } if self.continues(last, change, previous) => Judgement::Applies,
            State::Bridging { .. } | State::Following { .. } => Judgement::Missing,
        }
    }

    /// Whether a snapshot ending in `last` holds all of the diff. At futures the diff that ends
    /// where the snapshot does still counts as the first one: the next one names its end.
    #[inline]
    fn contains(&self, last: u64, change: &BookChange) -> bool {
        match self.rule {
            Rule::Spot | Rule::Published => change.last_update_id <= last,
            Rule::Futures => change.last_update_id < last,
        }
    }

    /// Whether the diff, which is not contained, can be the first after a snapshot ending in `last`.
    ///
    /// Futures: numbers are shared by all symbols there, so that a snapshot may end between two
    /// diffs of its symbol. Then no diff reaches over it, but the next one names an end at or
    /// before it, and nothing is missing either.
    #[inline]
    fn bridges(&self, last: u64, change: &BookChange, previous: Option<u64>) -> bool {
        match self.rule {
            Rule::Spot | Rule::Published => change.first_update_id <= last.saturating_add(1),
            Rule::Futures => change.first_update_id <= last || previous.is_some_and(|end| end <= last),
        }
    }

    /// Whether the diff, which is not repeated, follows on the diff that ended in `last`. An overlap
    /// does no harm: quantities are absolute.
    #[inline]
    fn continues(&self, last: u64, change: &BookChange, previous: Option<u64>) -> bool {
        match self.rule {
            Rule::Spot | Rule::Published => change.first_update_id <= last.saturating_add(1),
            Rule::Futures => previous == Some(last),
        }
    }

    fn hold(&mut self, held: Held) {
        self.held_levels += levels(&held.change);
        self.held.push_back(held);
        self.keep_newest(HELD_LEVELS);
    }

    /// Lets the oldest diffs go until at most `most` levels are held.
    pub fn keep_newest(&mut self, most: usize) {
        while self.held.len() > HELD_DIFFS || self.held_levels > most {
            let Some(oldest) = self.held.pop_front() else { break };
            self.held_levels -= levels(&oldest.change);
        }
    }

    fn forget(&mut self) {
        self.held.clear();
        self.held_levels = 0;
    }
}

enum Judgement {
    Applies,
    Early,
    Contained,
    Repeated,
    Missing,
}

fn levels(change: &BookChange) -> usize {
    change.bids.len() + change.asks.len()
}

/// At most this many diffs are held for a symbol: over three minutes of a 100 ms stream, and over a
/// minute of the fastest one recorded. A snapshot comes within seconds of being asked for; where
/// hundreds of books wait their turn to be asked for, the feed bounds what all of them hold together.
pub const HELD_DIFFS: usize = 2_000;

/// At most this many levels are held for a symbol: 3.2 MB.
pub const HELD_LEVELS: usize = 100_000;

#[cfg(test)]
mod tests;

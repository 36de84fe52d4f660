//! Random schedules against clients that only follow the written rules.

use proptest::prelude::*;

use super::*;
use crate::coalesce::CHECKSUM_DEPTH;
use crate::market::{BookChange, BookKind, Decimal, RawLevel, StaleReason};
use crate::state::Ladder;

/// A client: what it was sent, applied by the rules of the protocol and nothing else.
#[derive(Debug)]
struct Client {
    bids: Ladder,
    asks: Ladder,
    seq: u64,
    depth: Option<usize>,
    /// Where it stopped to listen.
    stalled: Option<u64>,
}

impl Client {
    fn hear(&mut self, flushed: Flushed, seq: u64, flush: &Flush) {
        match flushed {
            Flushed::Snapshot => {
                self.bids.replace(&flush.bids, |_, _| {});
                self.asks.replace(&flush.asks, |_, _| {});
            }
            Flushed::Delta { previous, merged } => {
                assert_eq!(previous, self.seq, "a delta applies to the state that the client holds");
                assert!(merged > 0 && seq > previous);
                // Removals first or last: the order within a delta may not matter.
                for (ladder, levels) in [(&mut self.bids, &flush.bids), (&mut self.asks, &flush.asks)] {
                    levels.iter().for_each(|level| _ = ladder.set(level.price, level.quantity));
                }
            }
        }
        self.seq = seq;
        let most = self.depth.unwrap_or(usize::MAX);
        assert!(self.bids.len() <= most && self.asks.len() <= most, "never more levels than asked for");
        assert_eq!(checksum(&top(&self.bids), &top(&self.asks)), flush.checksum);
    }

    fn holds(&self, book: &Book) -> bool {
        let depth = self.depth.unwrap_or(usize::MAX);
        [(Side::Bid, &self.bids), (Side::Ask, &self.asks)]
            .iter()
            .all(|(side, held)| held.iter().eq(book.side(*side).iter().take(depth)))
    }
}

fn top(ladder: &Ladder) -> Vec<Level> {
    ladder.iter().take(CHECKSUM_DEPTH).collect()
}

/// One step of a schedule: time passes, then the book changes, breaks or is replaced.
#[derive(Clone, Debug)]
enum Step {
    Change(Vec<(bool, i64, i64)>),
    Replace(Vec<(bool, i64, i64)>),
    Break,
    Join,
    Stall,
    Resume,
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let levels = proptest::collection::vec((any::<bool>(), 1_i64..40, 0_i64..4), 0..8);
    let many = proptest::collection::vec((any::<bool>(), 1_i64..40, 1_i64..4), 0..40);
    let step = prop_oneof![
        10 => levels.prop_map(Step::Change),
        1 => many.prop_map(Step::Replace),
        1 => Just(Step::Break),
        3 => Just(Step::Join),
        2 => Just(Step::Stall),
        2 => Just(Step::Resume),
    ];
    proptest::collection::vec((0_i64..180, step), 1..120)
}

/// Bids stand below 100, asks above: a random book that is never crossed.
fn change(kind: BookKind, id: u64, levels: &[(bool, i64, i64)]) -> BookChange {
    let mut change = BookChange { kind, first_update_id: id, last_update_id: id, ..BookChange::default() };
    for &(bid, distance, units) in levels {
        let price = Decimal::new(if bid { 100 - distance } else { 100 + distance }, 0);
        let quantity = Quantity::new(Decimal::new(units, 0)).unwrap();
        let side = if bid { &mut change.bids } else { &mut change.asks };
        side.push(RawLevel { price, quantity });
    }
    change
}

struct Run {
    book: Book,
    topic: BookTopic,
    clients: Vec<Client>,
    due: Option<Millis>,
    flush: Flush,
}

impl Run {
    fn new(depth: Depth, speed: Speed) -> Run {
        let (book, topic) = (Book::new(1_000), BookTopic::new(depth, speed));
        Run { book, topic, clients: Vec::new(), due: None, flush: Flush::default() }
    }

    fn pass_ticks(&mut self, now: Millis) {
        if let Some(tick) = self.due.filter(|&tick| tick <= now) {
            self.due = None;
            if self.topic.take_due(tick) {
                self.send(tick, true);
            }
        }
    }

    fn apply(&mut self, now: Millis, change: &BookChange) {
        let was_good = self.book.status() == BookStatus::Good;
        if self.book.apply(change, |change| self.topic.record(change)).is_err() || !self.topic.is_active() {
            return;
        }
        assert_eq!(self.topic.is_stale(), !was_good);
        match self.topic.offer(now, change.first_update_id) {
            Offer::Now => self.send(now, false),
            Offer::At(tick) => self.due = Some(tick),
            Offer::Waiting => {}
        }
    }

    fn send(&mut self, now: Millis, on_tick: bool) {
        if let Some(flushed) = self.topic.flush(now, on_tick, &self.book, &mut self.flush) {
            let seq = self.topic.seq();
            let awake = |client: &&mut Client| client.stalled.is_none();
            self.clients.iter_mut().filter(awake).for_each(|client| client.hear(flushed, seq, &self.flush));
            assert!(self.clients.iter().all(|client| client.stalled.is_some() || client.holds(&self.book)));
        }
    }

    /// The first client that listens stops to do so.
    fn stall(&mut self) {
        if !self.topic.is_stale()
            && let Some(client) = self.clients.iter_mut().find(|client| client.stalled.is_none())
        {
            client.stalled = Some(self.topic.place());
        }
    }

    /// All who stopped hear what they missed: one delta, or a snapshot where that is not known.
    fn resume(&mut self) {
        if self.topic.is_stale() {
            return;
        }
        for client in &mut self.clients {
            let Some(place) = client.stalled.take() else { continue };
            if place == self.topic.place() {
                continue;
            }
            let flushed = self.topic.missed(place, &self.book, &mut self.flush).unwrap_or_else(|| {
                self.topic.snapshot(&self.book, &mut self.flush);
                Flushed::Snapshot
            });
            client.hear(flushed, self.topic.seq(), &self.flush);
            let mut held = Flush::default();
            self.topic.snapshot(&self.book, &mut held);
            assert!(client.bids.iter().eq(held.bids.iter().copied()), "it holds what the others hold");
            assert!(client.asks.iter().eq(held.asks.iter().copied()));
        }
    }

    fn join(&mut self, now: Millis) {
        if !self.topic.is_active() {
            self.topic.activate(now, &self.book);
        }
        let depth = self.topic.variant().0.limit();
        let mut client = Client {
            bids: Ladder::new(Side::Bid),
            asks: Ladder::new(Side::Ask),
            seq: 0,
            depth,
            stalled: None,
        };
        if !self.topic.is_stale() {
            self.topic.snapshot(&self.book, &mut self.flush);
            client.hear(Flushed::Snapshot, self.topic.seq(), &self.flush);
            if let Some(other) = self.clients.iter().find(|client| client.stalled.is_none()) {
                assert!(client.bids.iter().eq(other.bids.iter()), "joiners hold what the others hold");
                assert!(client.asks.iter().eq(other.asks.iter()));
            }
        }
        self.clients.push(client);
    }
}

proptest! {
    #[test]
    fn whoever_joins_whenever_ends_with_the_exact_book(depth in 0_usize..6, speed in 0_usize..3, steps in steps()) {
        let mut run = Run::new(Depth::ALL[depth], Speed::ALL[speed]);
        let mut now = 1_000;
        for (id, (pause, step)) in (1..).zip(steps) {
            run.pass_ticks(now + pause);
            now += pause;
            match step {
                Step::Change(levels) => run.apply(now, &change(BookKind::Delta, id, &levels)),
                Step::Replace(levels) => run.apply(now, &change(BookKind::Snapshot, id, &levels)),
                Step::Break => {
                    run.book.mark_stale(StaleReason::Gap);
                    if run.book.status() != BookStatus::Good {
                        run.topic.mark_stale();
                        run.due = None;
                    }
                }
                Step::Join => run.join(now),
                Step::Stall => run.stall(),
                Step::Resume => run.resume(),
            }
        }
        run.apply(now, &change(BookKind::Snapshot, 1_000, &[(true, 1, 1), (false, 1, 1), (false, 2, 3)]));
        run.pass_ticks(now + 10_000);
        run.resume();
        prop_assert!(run.clients.iter().all(|client| client.holds(&run.book)));
    }
}

#[test]
fn a_merged_delta_is_one_contiguous_range_and_says_how_many_it_stands_for() {
    let mut run = Run::new(Depth::Full, Speed::Ms100);
    run.apply(0, &change(BookKind::Snapshot, 10, &[(true, 1, 1)]));
    run.join(1_000);
    run.apply(1_010, &change(BookKind::Delta, 11, &[(true, 1, 2)]));
    assert_eq!(run.flush.first_update_id, 11);
    for id in 12..15 {
        run.apply(1_020, &change(BookKind::Delta, id, &[(true, 1, id as i64)]));
    }
    run.apply(1_030, &change(BookKind::Delta, 15, &[(false, 1, 5), (false, 2, 1)]));
    run.apply(1_031, &change(BookKind::Delta, 16, &[(false, 2, 0)]));
    assert!(run.topic.take_due(1_200));
    let flushed = run.topic.flush(1_200, true, &run.book, &mut run.flush);
    assert_eq!(flushed, Some(Flushed::Delta { previous: 2, merged: 5 }));
    assert_eq!((run.flush.first_update_id, run.flush.last_update_id), (12, 16));
    assert_eq!((run.flush.bids.len(), run.flush.asks.len()), (1, 1), "what came and went is not told");
}

#[test]
fn numbers_go_on_when_everybody_left_and_somebody_comes_back() {
    let mut run = Run::new(Depth::D5, Speed::Raw);
    run.apply(0, &change(BookKind::Snapshot, 1, &[(true, 1, 1)]));
    run.join(0);
    assert_eq!(run.topic.seq(), 1);
    run.topic.deactivate();
    run.clients.clear();
    run.apply(1, &change(BookKind::Delta, 2, &[(true, 1, 2)]));
    run.join(2);
    assert_eq!((run.topic.seq(), run.clients[0].holds(&run.book)), (2, true));
}

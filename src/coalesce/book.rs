//! One book topic: a depth, a speed, the picture that its clients hold, and what changed since.

use rustc_hash::FxHashMap;

use super::flush::Stamp;
use super::history::History;
use super::{Flush, Flushed, Offer, Throttle, checksum, difference};
use crate::market::{Depth, Level, Millis, Price, Quantity, Side, Speed, Window};
use crate::state::{Book, BookStatus, LevelChange};

/// The state of one (depth, speed) of one symbol's book while somebody is subscribed to it.
///
/// Invariants: at most one change set is pending; the picture with the next flush's delta applied is
/// the book at the time of that flush; `seq` rises by one with each flush that had something to say.
#[derive(Debug)]
pub struct BookTopic {
    depth: Depth,
    speed: Speed,
    throttle: Throttle,
    seq: u64,
    picture: Picture,
    /// Where the venue's numbering stood, its time and ours, when the picture was taken.
    taken: Stamp,
    pending: Option<Pending>,
    history: History,
    /// Clients were told that the book is not to be trusted.
    stale: bool,
    /// The next flush is a snapshot: after stale, and where numbering restarts.
    owes_snapshot: bool,
    active: bool,
}

/// What clients hold, kept as cheaply as the depth allows.
#[derive(Debug)]
enum Picture {
    /// A limited depth: the levels themselves; a delta is the difference to the book's top.
    Window { bids: Vec<Level>, asks: Vec<Level> },
    /// The full depth: what stood at each price that changed since the picture was taken. The
    /// picture is the present book with these put back, so that no second book has to be kept.
    Changes { bids: FxHashMap<Price, Quantity>, asks: FxHashMap<Price, Quantity> },
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    first_update_id: u64,
    updates: u32,
    taken_in: Millis,
}

impl Picture {
    /// An empty one, which takes no memory.
    fn of(depth: Depth) -> Picture {
        match depth.limit() {
            Some(_) => Picture::Window { bids: Vec::new(), asks: Vec::new() },
            None => Picture::Changes { bids: FxHashMap::default(), asks: FxHashMap::default() },
        }
    }
}

impl BookTopic {
    /// A topic that nobody listens to yet.
    pub fn new(depth: Depth, speed: Speed) -> BookTopic {
        let picture = Picture::of(depth);
        let throttle = Throttle::new(speed.window());
        BookTopic {
            depth,
            speed,
            throttle,
            seq: 0,
            picture,
            taken: Stamp::default(),
            pending: None,
            history: History::default(),
            stale: false,
            owes_snapshot: false,
            active: false,
        }
    }

    /// Which depth and speed it is.
    pub const fn variant(&self) -> (Depth, Speed) {
        (self.depth, self.speed)
    }

    /// The number of the picture that clients hold.
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Whether somebody listens.
    pub const fn is_active(&self) -> bool {
        self.active
    }

    /// Whether clients were told not to trust their book.
    pub const fn is_stale(&self) -> bool {
        self.stale
    }

    /// Somebody listens now: the present book becomes the picture.
    pub fn activate(&mut self, now: Millis, book: &Book) {
        self.active = true;
        self.stale = book.status() != BookStatus::Good;
        self.owes_snapshot = self.stale;
        if !self.stale {
            self.take_picture(now, book);
            self.seq += 1;
        }
    }

    /// Nobody listens any more. The numbers go on where they are when somebody does again.
    pub fn deactivate(&mut self) {
        self.active = false;
        self.pending = None;
        self.throttle.reset();
        self.picture = Picture::of(self.depth);
        self.history.forget();
    }

    /// The scale of the symbol's prices grew: numbering restarts with a snapshot.
    pub fn restart(&mut self) {
        self.seq = 0;
        self.pending = None;
        self.clear_picture();
        self.owes_snapshot = self.active;
    }

    /// A price changed. To be called for each change of the book while the topic is active.
    #[inline]
    pub fn record(&mut self, change: LevelChange) {
        if let Picture::Changes { bids, asks } = &mut self.picture
            && self.active
            && !self.owes_snapshot
        {
            let side = if change.side == Side::Bid { bids } else { asks };
            side.entry(change.price).or_insert(change.before);
        }
    }

    /// The book took a change in at `now`; says when to flush. Topics that owe a
    /// snapshot are flushed at once: healing does not wait for a tick.
    pub fn offer(&mut self, now: Millis, first_update_id: u64) -> Offer {
        let pending = self.pending.get_or_insert(Pending { first_update_id, updates: 0, taken_in: now });
        pending.updates = pending.updates.saturating_add(1);
        pending.taken_in = now;
        if self.owes_snapshot { Offer::Now } else { self.throttle.offer(now) }
    }

    /// Whether what waits for a tick is due.
    pub fn take_due(&mut self, now: Millis) -> bool {
        self.throttle.take_due(now)
    }

    /// The book is not to be trusted; whether clients have yet to be told.
    pub fn mark_stale(&mut self) -> bool {
        self.pending = None;
        self.throttle.reset();
        self.clear_picture();
        self.owes_snapshot = true;
        !std::mem::replace(&mut self.stale, true) && self.active
    }

    /// Sends what is pending: fills `flush`, or says that nothing has changed for this topic.
    pub fn flush(&mut self, now: Millis, on_tick: bool, book: &Book, flush: &mut Flush) -> Option<Flushed> {
        if book.status() != BookStatus::Good {
            return None;
        }
        let pending = self.pending?;
        if std::mem::take(&mut self.owes_snapshot) {
            self.stale = false;
            self.take_picture(pending.taken_in, book);
            self.seq += 1;
            self.throttle.mark_sent(now, on_tick);
            self.pending = None;
            self.snapshot(book, flush);
            return Some(Flushed::Snapshot);
        }
        flush.clear();
        self.fill_delta(book, flush);
        if flush.bids.is_empty() && flush.asks.is_empty() {
            // Nothing in this topic's sight changed, or it changed back. The updates stay pending:
            // the next delta's range of numbers has no hole.
            return None;
        }
        self.pending = None;
        self.throttle.mark_sent(now, on_tick);
        let previous = self.seq;
        self.seq += 1;
        let first_update_id = pending.first_update_id;
        self.taken = Stamp {
            first_update_id,
            previous_update_id: self.taken.last_update_id,
            last_update_id: book.last_update_id(),
            time: book.time(),
            taken_in: pending.taken_in,
        };
        self.history.note(&flush.changed, (first_update_id, self.taken.previous_update_id), pending.updates);
        flush.stamp(self.taken);
        flush.checksum = match &self.picture {
            Picture::Window { bids, asks } => checksum(bids, asks),
            Picture::Changes { .. } => flush.checksum_of(book),
        };
        Some(Flushed::Delta { previous, merged: pending.updates })
    }

    /// The picture that clients hold, where the depth is limited.
    pub fn window(&self) -> Option<Window<'_>> {
        match &self.picture {
            Picture::Window { bids, asks } => Some(Window { bids, asks }),
            Picture::Changes { .. } => None,
        }
    }

    /// Fills `flush` with the picture that clients hold, for one who joins them.
    pub fn snapshot(&self, book: &Book, flush: &mut Flush) {
        flush.clear();
        match &self.picture {
            Picture::Window { bids, asks } => {
                flush.bids.extend_from_slice(bids);
                flush.asks.extend_from_slice(asks);
            }
            Picture::Changes { bids, asks } => {
                put_back(book, Side::Bid, bids, &mut flush.bids);
                put_back(book, Side::Ask, asks, &mut flush.asks);
            }
        }
        let last = self.taken.last_update_id;
        flush.stamp(Stamp { first_update_id: last, previous_update_id: last, ..self.taken });
        flush.checksum = checksum(&flush.bids, &flush.asks);
    }

    /// The place of the picture that clients hold, which [`BookTopic::missed`] understands. Unlike
    /// `seq` it never begins anew.
    pub const fn place(&self) -> u64 {
        self.history.place()
    }

    /// Fills `flush` with one delta from the picture at `place` to the present one, for one who fell
    /// behind; `None` when that is not known any more, or a snapshot would be smaller.
    pub fn missed(&self, place: u64, book: &Book, flush: &mut Flush) -> Option<Flushed> {
        let mut changed = std::mem::take(&mut flush.changed);
        let missed = self.history.since(place, &mut changed);
        flush.clear();
        for &LevelChange { side, price, before } in &changed {
            let quantity = self.quantity(side, price, book);
            if !is_same(quantity, before) {
                let levels = if side == Side::Bid { &mut flush.bids } else { &mut flush.asks };
                levels.push(Level { price, quantity });
            }
        }
        let length = flush.bids.len() + flush.asks.len();
        flush.changed = changed;
        let missed = missed?;
        let depth = self.depth.limit().unwrap_or(usize::MAX);
        let whole = |side| book.side(side).len().min(depth);
        if length >= whole(Side::Bid) + whole(Side::Ask) {
            return None;
        }
        flush.bids.reverse();
        let (first_update_id, previous_update_id) = (missed.first_update_id, missed.previous_update_id);
        flush.stamp(Stamp { first_update_id, previous_update_id, ..self.taken });
        flush.checksum = self.checksum(book, flush);
        Some(Flushed::Delta { previous: self.seq - missed.flushes, merged: missed.updates })
    }

    /// What stands at a price in the picture that clients hold.
    fn quantity(&self, side: Side, price: Price, book: &Book) -> Quantity {
        match &self.picture {
            Picture::Window { bids, asks } => {
                let held = if side == Side::Bid { bids } else { asks };
                let found = held.binary_search_by(|level| side.rank(level.price, price));
                found.map_or(Quantity::ZERO, |at| held[at].quantity)
            }
            Picture::Changes { bids, asks } => {
                let changes = if side == Side::Bid { bids } else { asks };
                changes.get(&price).copied().unwrap_or_else(|| book.side(side).quantity(price))
            }
        }
    }

    /// The checksum of the picture that clients hold.
    fn checksum(&self, book: &Book, flush: &mut Flush) -> u32 {
        match &self.picture {
            Picture::Window { bids, asks } => checksum(bids, asks),
            Picture::Changes { bids, asks } if bids.is_empty() && asks.is_empty() => flush.checksum_of(book),
            Picture::Changes { bids, asks } => {
                let mut top = |side, changes| {
                    let held = if side == Side::Bid { &mut flush.top_bids } else { &mut flush.top_asks };
                    held.clear();
                    put_back(book, side, changes, held);
                };
                top(Side::Bid, bids);
                top(Side::Ask, asks);
                checksum(&flush.top_bids, &flush.top_asks)
            }
        }
    }

    /// Puts what differs from the picture into `flush`, and the picture up to date.
    fn fill_delta(&mut self, book: &Book, flush: &mut Flush) {
        let Flush { bids, asks, top_bids, top_asks, changed, .. } = flush;
        changed.clear();
        match &mut self.picture {
            Picture::Window { bids: held_bids, asks: held_asks } => {
                let depth = self.depth.limit().unwrap_or(usize::MAX);
                for (side, held, top, delta) in
                    [(Side::Bid, held_bids, top_bids, bids), (Side::Ask, held_asks, top_asks, asks)]
                {
                    book.side(side).copy_top(depth, top);
                    difference(side, held, top, delta);
                    changed.extend(delta.iter().map(|level| {
                        let found = held.binary_search_by(|other| side.rank(other.price, level.price));
                        let before = found.map_or(Quantity::ZERO, |at| held[at].quantity);
                        LevelChange { side, price: level.price, before }
                    }));
                    std::mem::swap(held, top);
                }
            }
            Picture::Changes { bids: held_bids, asks: held_asks } => {
                for (side, held, delta) in [(Side::Bid, held_bids, bids), (Side::Ask, held_asks, asks)] {
                    let ladder = book.side(side);
                    for (price, before) in held.drain() {
                        let quantity = ladder.quantity(price);
                        if !is_same(quantity, before) {
                            delta.push(Level { price, quantity });
                            changed.push(LevelChange { side, price, before });
                        }
                    }
                    delta.sort_unstable_by(|a, b| side.rank(a.price, b.price));
                }
            }
        }
    }

    fn take_picture(&mut self, now: Millis, book: &Book) {
        self.history.cut();
        self.clear_picture();
        if let Picture::Window { bids, asks } = &mut self.picture {
            let depth = self.depth.limit().unwrap_or(usize::MAX);
            book.side(Side::Bid).copy_top(depth, bids);
            book.side(Side::Ask).copy_top(depth, asks);
        }
        let last_update_id = book.last_update_id();
        self.taken = Stamp {
            first_update_id: last_update_id,
            previous_update_id: last_update_id,
            last_update_id,
            time: book.time(),
            taken_in: now,
        };
    }

    fn clear_picture(&mut self) {
        match &mut self.picture {
            Picture::Window { bids, asks } => (bids.clear(), asks.clear()),
            Picture::Changes { bids, asks } => (bids.clear(), asks.clear()),
        };
    }
}

/// Whether a level of one quantity reads like a level of the other: nothing is nothing, however many
/// zeros it is written with.
fn is_same(one: Quantity, other: Quantity) -> bool {
    one == other || (one.is_zero() && other.is_zero())
}

/// The side as it was before `changes`.
fn put_back(book: &Book, side: Side, changes: &FxHashMap<Price, Quantity>, levels: &mut Vec<Level>) {
    levels.extend(book.side(side).iter().filter(|level| !changes.contains_key(&level.price)));
    let before = changes.iter().filter(|(_, quantity)| !quantity.is_zero());
    levels.extend(before.map(|(&price, &quantity)| Level { price, quantity }));
    if !changes.is_empty() {
        levels.sort_unstable_by(|a, b| side.rank(a.price, b.price));
    }
}

#[cfg(test)]
mod tests;

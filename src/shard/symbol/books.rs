//! A symbol's book: what a change of it, or its loss, makes of the topics that show it.

use tracing::warn;

use super::{Old, SymbolState, Turn};
use crate::coalesce::{Flush, Flushed, Offer};
use crate::market::{BookChange, BookView, Millis, StaleReason, Topic, Update, UpdateBody};
use crate::shard::{BarsClose, Class, Outlet};
use crate::state::{BookError, BookStatus};

/// Since when the book is crossed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Crossed {
    since: Option<Millis>,
    /// It stands in [`Turn::crossed`].
    is_watched: bool,
}

impl SymbolState {
    pub(super) fn change_book<O: Outlet>(&mut self, change: &BookChange, turn: &mut Turn<'_, O>) {
        let (scale, status, best) = (self.book.scale(), self.book.status(), self.book.best());
        let books = &mut self.books;
        let applied =
            self.book.apply(change, |level| books.iter_mut().for_each(|slot| slot.topic.record(level)));
        self.follow_scale(scale);
        self.touched.book = true;
        if let Err(error) = applied {
            self.counts.changes_refused += 1;
            if self.counts.changes_refused.is_power_of_two() {
                warn!(symbol = &*self.name, %error, refused = self.counts.changes_refused, "a change was not applied");
            }
            if matches!(error, BookError::PriceTooLarge { .. }) {
                // Its source passed it on as good, and would never ask for another snapshot.
                turn.board.lose(self.id);
            }
        }
        if self.book.status() == BookStatus::Good {
            self.tell_books(change.first_update_id, turn);
        } else if status == BookStatus::Good {
            self.tell_stale(turn);
        }
        if self.book.best() != best {
            self.ticker_changed(Old::Best, turn);
        }
        match self.book.status() {
            BookStatus::Crossed => self.watch_crossed(turn),
            BookStatus::Empty | BookStatus::Good | BookStatus::Stale(_) => self.crossed.since = None,
        }
    }

    #[cold]
    fn watch_crossed<O: Outlet>(&mut self, turn: &mut Turn<'_, O>) {
        let since = *self.crossed.since.get_or_insert(turn.now);
        // In a replay nobody could be asked for a snapshot: it would only lose what the next diffs heal.
        let live = matches!(turn.config.bars_close, BarsClose::After(_));
        if live && !std::mem::replace(&mut self.crossed.is_watched, true) {
            turn.crossed.push_back((since + CROSSED_LONGEST, self.id));
        }
    }

    /// The time has come at which a crossed book is given up: something was missed of which its
    /// numbers say nothing, and only a snapshot heals it.
    pub(in crate::shard) fn end_crossed<O: Outlet>(&mut self, turn: &mut Turn<'_, O>) {
        self.crossed.is_watched = false;
        match self.crossed.since {
            Some(since) if since + CROSSED_LONGEST <= turn.now => {
                self.crossed.since = None;
                self.lose_book(StaleReason::Crossed, turn);
                turn.board.lose(self.id);
            }
            Some(_) => self.watch_crossed(turn),
            None => {}
        }
    }

    pub(super) fn lose_book<O: Outlet>(&mut self, reason: StaleReason, turn: &mut Turn<'_, O>) {
        self.book.mark_stale(reason);
        self.crossed.since = None;
        if reason == StaleReason::Disconnected {
            self.ticker.forget_quote();
        }
        self.touched.book = true;
        self.tell_stale(turn);
        self.ticker_changed(Old::Best, turn);
    }

    fn tell_books<O: Outlet>(&mut self, first_update_id: u64, turn: &mut Turn<'_, O>) {
        for at in 0..self.books.len() {
            let topic = &mut self.books[at].topic;
            if topic.is_active() {
                let (depth, speed) = topic.variant();
                match topic.offer(turn.now, first_update_id) {
                    Offer::Now => self.flush_book(at, false, turn),
                    Offer::At(tick) => turn.due.push(tick, Topic::Book { symbol: self.id, depth, speed }),
                    Offer::Waiting => {}
                }
            }
        }
    }

    fn tell_stale<O: Outlet>(&mut self, turn: &mut Turn<'_, O>) {
        for slot in &mut self.books {
            slot.picture = None;
            if slot.topic.mark_stale() {
                let (depth, speed) = slot.topic.variant();
                let topic = Topic::Book { symbol: self.id, depth, speed };
                let update = Update {
                    topic,
                    symbol: &self.name,
                    scale: self.book.scale(),
                    epoch: &self.book_epoch,
                    seq: slot.topic.seq(),
                    taken_in: turn.now,
                    body: UpdateBody::Stale,
                };
                slot.interest.send(topic, Class::Lossless, &update, turn.out);
            }
        }
    }

    pub(super) fn flush_book<O: Outlet>(&mut self, at: usize, on_tick: bool, turn: &mut Turn<'_, O>) {
        let slot = &mut self.books[at];
        let Some(flushed) = slot.topic.flush(turn.now, on_tick, &self.book, turn.flush) else { return };
        slot.picture = None;
        let (depth, speed) = slot.topic.variant();
        let topic = Topic::Book { symbol: self.id, depth, speed };
        let book = view(turn.flush);
        let body = match flushed {
            Flushed::Snapshot => UpdateBody::BookSnapshot { book, recovered: None },
            Flushed::Delta { previous, merged } => {
                UpdateBody::BookDelta { book, previous, merged, window: slot.topic.window() }
            }
        };
        let update = Update {
            topic,
            symbol: &self.name,
            scale: self.book.scale(),
            epoch: &self.book_epoch,
            seq: slot.topic.seq(),
            taken_in: turn.flush.taken_in,
            body,
        };
        let follows = match flushed {
            Flushed::Snapshot => 0,
            Flushed::Delta { .. } => slot.topic.place() - 1,
        };
        slot.interest.send_after(follows, topic, Class::Conflated, &update, turn.out);
    }

    /// Sends the book again although no change of it came: something else made the scale grow.
    pub(super) fn show_books_anew<O: Outlet>(&mut self, turn: &mut Turn<'_, O>) {
        if self.book.status() == BookStatus::Good {
            self.tell_books(self.book.last_update_id(), turn);
        }
    }
}

/// The levels and numbers of a flush as an update shows them.
pub(in crate::shard) fn view(flush: &Flush) -> BookView<'_> {
    BookView {
        bids: &flush.bids,
        asks: &flush.asks,
        first_update_id: flush.first_update_id,
        previous_update_id: flush.previous_update_id,
        last_update_id: flush.last_update_id,
        time: flush.time,
        checksum: flush.checksum,
    }
}

/// How long a book may be crossed, which a venue's own may be for a moment.
const CROSSED_LONGEST: Millis = 5_000;

//! One symbol: its state, its topics, and what an event makes of both.

mod recall;
mod statistics;
mod traded;

use std::sync::Arc;

use tracing::warn;

use super::topics::{KlineTopic, LatestTopic, ticker_topics};
pub(super) use traded::is_plausible;

use super::{Class, Due, Interest, Outlet, ShardConfig};
use crate::coalesce::{BookTopic, Flush, Flushed, Offer};
use crate::dialect::Dialect;
use crate::encode::Frame;
use crate::market::{
    BookChange, BookView, Depth, Event, Interval, Millis, Scale, Speed, StaleReason, SymbolId, TickerView,
    Topic, Update, UpdateBody,
};
use crate::state::{Bars, Book, BookSnapshot, BookStatus, Cell, SymbolCells, Tape, Ticker, TickerCell};

/// Everything about one symbol. Its shard is the only writer.
#[derive(Debug)]
pub struct SymbolState {
    id: SymbolId,
    pub(super) name: Arc<str>,
    /// Names the run of numbers of all topics but books.
    pub(super) epoch: Arc<str>,
    /// Names the run of numbers of the books: a larger scale begins a new one.
    pub(super) book_epoch: Arc<str>,
    restarts: u32,
    pub(super) book: Book,
    ticker: Ticker,
    pub(super) bars: Bars,
    pub(super) tape: Tape,
    pub(super) books: Vec<BookSlot>,
    pub(super) tickers: [LatestTopic; 3],
    pub(super) klines: [KlineTopic; 10],
    pub(super) trades: Interest,
    book_cell: Cell<BookSnapshot>,
    ticker_cell: TickerCell,
    touched: Touched,
    view: TickerView,
    view_is_old: Old,
    /// The same of what others see.
    published_is_old: Old,
    counts: SymbolCounts,
}

/// One book topic, who listens to it, and the picture for joiners while it is the same.
#[derive(Debug)]
pub(super) struct BookSlot {
    pub(super) topic: BookTopic,
    pub(super) interest: Interest,
    pub(super) picture: Option<(u64, Dialect, Frame)>,
    /// The delta for those who fell behind, from one place to another, while it is the same.
    pub(super) missed: Option<((u64, u64), Dialect, Frame)>,
}

/// What was not taken in, or was unusual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SymbolCounts {
    /// Book changes that could not be applied.
    pub changes_refused: u64,
    /// Trades with a price that cannot be kept, or a time far off the clock.
    pub trades_refused: u64,
    /// The venue's bars that were left out, because its trades make the bars.
    pub bars_left_out: u64,
}

/// What is to be published at the end of the turn.
#[derive(Clone, Copy, Debug, Default)]
struct Touched {
    book: bool,
    ticker: bool,
}

/// How much of the statistics' view has to be made again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Old {
    /// It stands.
    #[default]
    Nothing,
    /// The best bid and ask.
    Best,
    /// All of it.
    Whole,
}

/// What an event may use besides its symbol.
pub(super) struct Turn<'a, O> {
    pub(super) now: Millis,
    pub(super) config: &'a ShardConfig,
    pub(super) due: &'a mut Due,
    pub(super) flush: &'a mut Flush,
    pub(super) out: &'a mut O,
}

impl SymbolState {
    pub(super) fn new(
        id: SymbolId,
        name: Arc<str>,
        epoch: &Arc<str>,
        config: &ShardConfig,
        now: Millis,
    ) -> SymbolState {
        let mut ticker = Ticker::default();
        // Its window ends now, also where nothing is ever traded.
        ticker.advance(now);
        SymbolState {
            id,
            name,
            epoch: epoch.clone(),
            book_epoch: epoch.clone(),
            restarts: 0,
            book: Book::new(config.levels_most),
            ticker,
            bars: Bars::new(config.bars_kept, config.flat_bars_most),
            tape: Tape::new(config.trades_kept),
            books: Vec::new(),
            tickers: ticker_topics(config.ticker_window),
            klines: Interval::ALL.map(|interval| KlineTopic::new(interval, config.kline_window)),
            trades: Interest::default(),
            book_cell: Cell::default(),
            ticker_cell: TickerCell::default(),
            touched: Touched::default(),
            view: TickerView::default(),
            view_is_old: Old::Whole,
            published_is_old: Old::Whole,
            counts: SymbolCounts::default(),
        }
    }

    /// Its book.
    pub const fn book(&self) -> &Book {
        &self.book
    }

    /// Its bars.
    pub const fn bars(&self) -> &Bars {
        &self.bars
    }

    /// Its last trades.
    pub const fn tape(&self) -> &Tape {
        &self.tape
    }

    /// What was not taken in.
    pub const fn counts(&self) -> SymbolCounts {
        self.counts
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn cells(&self) -> SymbolCells {
        SymbolCells { book: self.book_cell.reader(), ticker: self.ticker_cell.reader() }
    }

    /// Whether something is to be published at the end of the turn.
    pub(super) const fn is_touched(&self) -> bool {
        self.touched.book || self.touched.ticker
    }

    /// Lets others see what the turn changed.
    pub(super) fn publish(&mut self) {
        let touched = std::mem::take(&mut self.touched);
        if touched.book {
            let book = &self.book;
            self.book_cell.publish(|snapshot| snapshot.fill(book));
        }
        if touched.ticker {
            self.publish_ticker();
        }
    }

    pub(super) fn apply<O: Outlet>(
        &mut self,
        event: Event,
        turn: &mut Turn<'_, O>,
    ) -> Option<Box<BookChange>> {
        match event {
            Event::Book(change) => {
                self.change_book(&change, turn);
                return Some(change);
            }
            Event::Stale(reason) => self.lose_book(reason, turn),
            Event::Trade(trade) => self.trade(trade, turn),
            Event::Quote(quote) => {
                self.ticker.quote(quote);
                self.ticker_changed(Old::Best, turn);
            }
            Event::Ticker(official) => {
                self.ticker.official(&official);
                self.ticker_changed(Old::Whole, turn);
            }
            Event::Bar(bar) => self.source_bar(&bar, turn),
            Event::Scale { tick } => {
                let before = self.book.scale();
                self.book.set_tick(tick);
                if self.follow_scale(before) {
                    self.show_books_anew(turn);
                }
            }
        }
        None
    }

    fn change_book<O: Outlet>(&mut self, change: &BookChange, turn: &mut Turn<'_, O>) {
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
        }
        if self.book.status() == BookStatus::Good {
            self.tell_books(change.first_update_id, turn);
        } else if status == BookStatus::Good {
            self.tell_stale(turn);
        }
        if self.book.best() != best {
            self.ticker_changed(Old::Best, turn);
        }
    }

    fn lose_book<O: Outlet>(&mut self, reason: StaleReason, turn: &mut Turn<'_, O>) {
        self.book.mark_stale(reason);
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

    fn flush_book<O: Outlet>(&mut self, at: usize, on_tick: bool, turn: &mut Turn<'_, O>) {
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

    /// A topic's tick has come.
    pub(super) fn tick<O: Outlet>(&mut self, topic: Topic, turn: &mut Turn<'_, O>) {
        match topic {
            Topic::Book { depth, speed, .. } => {
                if let Some(at) = self.find_book(depth, speed)
                    && self.books[at].topic.take_due(turn.now)
                {
                    self.flush_book(at, true, turn);
                }
            }
            Topic::Ticker { speed, .. } => {
                let latest = &mut self.tickers[speed as usize];
                if latest.throttle.take_due(turn.now) && !latest.interest.is_empty() {
                    self.send_ticker(speed, true, turn);
                }
            }
            Topic::Kline { interval, .. } => {
                let latest = &mut self.klines[interval as usize].latest;
                if latest.throttle.take_due(turn.now) && !latest.interest.is_empty() {
                    self.send_open_bar(interval, true, turn);
                }
            }
            Topic::Trades { .. } | Topic::Tickers | Topic::Room(_) | Topic::Account(_) => {}
        }
    }

    pub(super) fn find_book(&self, depth: Depth, speed: Speed) -> Option<usize> {
        self.books.iter().position(|slot| slot.topic.variant() == (depth, speed))
    }

    /// Whether there is anything to tell of its statistics.
    pub(super) fn has_ticker(&self) -> bool {
        self.ticker.is_known() || self.book.status() == BookStatus::Good
    }

    /// Brings everything to the book's scale after it grew, and begins a new epoch of the books.
    /// Whether it did: those who hold a book then need a snapshot.
    fn follow_scale(&mut self, before: Scale) -> bool {
        let scale = self.book.scale();
        if scale == before {
            return false;
        }
        self.touched.book = true;
        (self.view_is_old, self.published_is_old) = (Old::Whole, Old::Whole);
        if scale > before {
            self.ticker.rescale(before, scale);
            self.bars.rescale(before, scale);
        }
        if self.books.iter().any(|slot| slot.topic.seq() > 0) {
            self.restarts += 1;
            self.book_epoch = format!("{}.{}", self.epoch, self.restarts).into();
            for slot in &mut self.books {
                slot.topic.restart();
                slot.picture = None;
            }
        }
        true
    }

    /// Sends the book again although no change of it came: something else made the scale grow.
    fn show_books_anew<O: Outlet>(&mut self, turn: &mut Turn<'_, O>) {
        if self.book.status() == BookStatus::Good {
            self.tell_books(self.book.last_update_id(), turn);
        }
    }
}

/// The levels and numbers of a flush as an update shows them.
pub(super) fn view(flush: &Flush) -> BookView<'_> {
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

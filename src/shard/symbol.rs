//! One symbol: its state, its topics, and what an event makes of both.

mod books;
mod recall;
mod statistics;
mod traded;

use std::collections::VecDeque;
use std::sync::Arc;

use super::topics::{KlineTopic, LatestTopic, ticker_topics};
use books::Crossed;
pub(super) use books::view;
pub(super) use traded::is_in_time;

use super::{Due, Interest, Outlet, ShardConfig};
use crate::coalesce::{BookTopic, Flush};
use crate::dialect::Dialect;
use crate::encode::Frame;
use crate::market::{
    BookChange, Decimal, Depth, Event, Interval, Millis, Scale, Speed, SymbolId, TickerView, Topic,
};
use crate::state::{
    Bars, Board, Book, BookSnapshot, BookStatus, Cell, SymbolCells, Tape, Ticker, TickerCell,
};

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
    /// What a contract is worth, where quantities are contracts.
    contract: Option<Decimal>,
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
    crossed: Crossed,
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
    /// The picture for those who join, by its number, its words and whether they asked to resume.
    pub(super) picture: Option<((u64, Dialect, bool), Frame)>,
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
    pub(super) board: &'a Board,
    /// When to look whether a book is still crossed, soonest first, each at most once.
    pub(super) crossed: &'a mut VecDeque<(Millis, SymbolId)>,
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
            contract: None,
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
            crossed: Crossed::default(),
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
                if self.ticker.quote(quote) {
                    self.ticker_changed(Old::Best, turn);
                }
            }
            Event::Ticker(official) => {
                self.ticker.official(&official);
                self.ticker_changed(Old::Whole, turn);
            }
            Event::Bar(bar) => self.source_bar(&bar, turn),
            Event::Contract { value } => self.contract = Some(value),
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
}

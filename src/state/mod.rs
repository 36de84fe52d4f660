//! The only owner of mutable market data: books, tickers, bars and tapes, one writer each.
//!
//! Knows nothing of clients. Others read through the cells, which never make anybody wait.

mod account;
mod bars;
mod block;
mod book;
mod cell;
mod ladder;
mod latch;
mod losses;
mod room;
mod tape;
mod ticker;
mod ticker_cell;

pub use account::{Change, Effect, change, merged};
pub use bars::{BarChange, Bars, Series, Traded};
pub use book::{Book, BookCounts, BookError, BookStatus, LevelChange};
pub use cell::{Board, BookSnapshot, Cell, Published, SymbolCells};
pub use ladder::Ladder;
pub use tape::Tape;
pub use ticker::Ticker;
pub use ticker_cell::{Best, PublishedTicker, TickerCell, TickerSnapshot};

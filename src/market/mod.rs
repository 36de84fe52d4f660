//! The vocabulary of a market: symbols, numbers, intervals, events, topics and updates.
//!
//! Knows no I/O, no clock, no lock and no thread. Every other stage speaks in these words.

mod account;
mod digits;
mod event;
mod interval;
mod number;
mod room;
mod symbol;
mod topic;
mod update;

pub use account::{AccountId, AccountTopic, Accounts, Everyones, Part, StrategyId};
pub(crate) use digits::{plain_length, whole_number};
pub use event::{
    BookChange, BookKind, Event, Millis, OfficialTicker, Quote, RawLevel, SourceBar, StaleReason, Trade,
    TradeId,
};
pub use interval::Interval;
pub use number::{Decimal, NumberError, Price, Quantity, Scale, Total};
pub use room::{Audience, RESERVED_EVENTS, Rooms, TRADING};
pub use symbol::{BadSymbol, SymbolId, SymbolTable, Symbols, check_symbol};
pub use topic::{BadTopic, Depth, RoomId, Speed, Topic};
pub use update::{Bar, BarKind, BookView, KeptBar, Level, Side, TickerView, Update, UpdateBody, Window};

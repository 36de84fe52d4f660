//! What comes in: one venue message, parsed, its numbers as the venue wrote them.

use std::sync::Arc;

use super::{Decimal, Interval, Quantity, Side};

/// Milliseconds since 1970-01-01 00:00 UTC.
pub type Millis = i64;

/// Something that happened to one symbol.
#[derive(Debug)]
pub enum Event {
    /// The book changed or was replaced. Boxed so that its buffers can be used again.
    Book(Box<BookChange>),
    /// The book can no longer be trusted; a snapshot will follow when it can.
    Stale(StaleReason),
    /// Somebody traded.
    Trade(Trade),
    /// The venue's own word on the best bid and ask.
    Quote(Quote),
    /// The venue's own 24 h statistics.
    Ticker(Box<OfficialTicker>),
    /// The venue's own bar.
    Bar(Box<SourceBar>),
    /// The venue's scale for this symbol's prices, from its list of instruments.
    Scale {
        /// The smallest step of a price; its decimals are the scale.
        tick: Decimal,
    },
    /// Quantities of this symbol are contracts.
    Contract {
        /// What one is worth in the quote asset. The price of it is paid in the base asset, and so
        /// that is what the venue calls the quote volume.
        value: Decimal,
    },
}

/// Levels that changed (absolute quantities, zero removes) or, in a snapshot, all of them.
///
/// It comes after the venue's sequence rule was checked: it applies to the book as it stands.
#[derive(Debug, Default)]
pub struct BookChange {
    /// Replaces the book, or changes it.
    pub kind: BookKind,
    /// The venue's number of the first update in this change.
    pub first_update_id: u64,
    /// The venue's number of the last update in this change.
    pub last_update_id: u64,
    /// When the venue says that it happened.
    pub time: Millis,
    /// Bids, in the venue's order.
    pub bids: Vec<RawLevel>,
    /// Asks, in the venue's order.
    pub asks: Vec<RawLevel>,
}

impl BookChange {
    /// Empties it, keeping its buffers.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
        (self.kind, self.first_update_id, self.last_update_id, self.time) = (BookKind::Delta, 0, 0, 0);
    }
}

/// What a [`BookChange`] does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BookKind {
    /// Changes some levels.
    #[default]
    Delta,
    /// Replaces all levels.
    Snapshot,
}

/// One price level as the venue wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawLevel {
    /// The price.
    pub price: Decimal,
    /// The absolute quantity; zero removes the level.
    pub quantity: Quantity,
}

/// Why a book is no longer good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleReason {
    /// The venue's numbering has a hole.
    Gap,
    /// The connection to the venue ended.
    Disconnected,
    /// The best bid is not below the best ask, and stays so.
    Crossed,
}

/// A trade, or several at one price by one taker which the venue reports as one.
#[derive(Clone, Debug, PartialEq)]
pub struct Trade {
    /// The venue's identifier.
    pub id: TradeId,
    /// At this price.
    pub price: Decimal,
    /// This much of the base asset.
    pub quantity: Quantity,
    /// The taker's side: `Bid` bought, `Ask` sold. `None` where the source does not say.
    pub taker: Option<Side>,
    /// When it happened.
    pub time: Millis,
    /// How many of the venue's trades it stands for.
    pub count: u32,
}

/// A trade's identifier: a number at most venues, any text from publishers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TradeId {
    /// Written as a number by the source.
    Number(u64),
    /// Written as text by the source.
    Text(Arc<str>),
}

/// The best bid and ask at one update of the book.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quote {
    /// The venue's number of the update that made it.
    pub update_id: u64,
    /// Best bid.
    pub bid: RawLevel,
    /// Best ask.
    pub ask: RawLevel,
    /// When, where the source says so.
    pub time: Option<Millis>,
}

/// A venue's own 24 h statistics; what it does not name stays as it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OfficialTicker {
    /// Price of the last trade.
    pub last_price: Option<Decimal>,
    /// Price of the first trade in the window.
    pub open_price: Option<Decimal>,
    /// Absolute change over the window.
    pub price_change: Option<Decimal>,
    /// Change in percent.
    pub price_change_percent: Option<Decimal>,
    /// Highest price.
    pub high: Option<Decimal>,
    /// Lowest price.
    pub low: Option<Decimal>,
    /// Base volume.
    pub volume: Option<Decimal>,
    /// Quote volume.
    pub quote_volume: Option<Decimal>,
    /// Best bid.
    pub bid: Option<RawLevel>,
    /// Best ask.
    pub ask: Option<RawLevel>,
    /// Begin of the window.
    pub open_time: Option<Millis>,
    /// End of the window.
    pub close_time: Option<Millis>,
    /// Trades in the window.
    pub trades: Option<u64>,
    /// When the venue says so.
    pub time: Option<Millis>,
}

/// A venue's own bar, open or closed.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceBar {
    /// Its interval.
    pub interval: Interval,
    /// Its first moment.
    pub open_time: Millis,
    /// First price.
    pub open: Decimal,
    /// Highest price.
    pub high: Decimal,
    /// Lowest price.
    pub low: Decimal,
    /// Last price.
    pub close: Decimal,
    /// Base volume.
    pub volume: Quantity,
    /// Quote volume.
    pub quote_volume: Quantity,
    /// Base volume that takers bought.
    pub taker_volume: Quantity,
    /// Quote volume that takers bought.
    pub taker_quote_volume: Quantity,
    /// Number of trades.
    pub trades: u64,
    /// Whether it is final.
    pub closed: bool,
}

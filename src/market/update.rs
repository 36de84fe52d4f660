//! What goes out: one change of one topic, numbered, its numbers at the symbol's scale.

use super::{Decimal, Interval, Millis, Price, Quantity, Scale, Topic, Total, Trade};

/// Which side of a book, or of a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Buyers.
    Bid,
    /// Sellers.
    Ask,
}

impl Side {
    /// Best first: the higher bid, the lower ask.
    #[inline]
    pub fn rank(self, a: Price, b: Price) -> std::cmp::Ordering {
        match self {
            Side::Bid => b.cmp(&a),
            Side::Ask => a.cmp(&b),
        }
    }
}

/// One price level of a book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// The price at the symbol's scale.
    pub price: Price,
    /// The absolute quantity; zero in a delta removes the level.
    pub quantity: Quantity,
}

/// One message of one topic, before any dialect has put it into words.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// The topic.
    pub topic: Topic,
    /// The symbol's name; empty for [`Topic::Tickers`].
    pub symbol: &'a str,
    /// The symbol's price scale.
    pub scale: Scale,
    /// Names the run of numbers that `seq` belongs to.
    pub epoch: &'a str,
    /// This message's number in its topic, from 1.
    pub seq: u64,
    /// When the engine took the newest part of it in.
    pub taken_in: Millis,
    /// What it says.
    pub body: UpdateBody<'a>,
}

/// What an [`Update`] says.
#[derive(Clone, Copy, Debug)]
pub enum UpdateBody<'a> {
    /// The whole book at the topic's depth.
    BookSnapshot {
        /// Its levels.
        book: BookView<'a>,
        /// Set when this answers a `since` that could not be met.
        recovered: Option<bool>,
    },
    /// The levels that changed.
    BookDelta {
        /// Its levels.
        book: BookView<'a>,
        /// The `seq` of the state that it applies to.
        previous: u64,
        /// How many of the source's updates it stands for.
        merged: u32,
        /// All that the clients of a limited depth hold once they have it, for dialects without
        /// deltas; `None` at the full depth.
        window: Option<Window<'a>>,
    },
    /// The book is not to be trusted until the next snapshot.
    Stale,
    /// One trade.
    Trade {
        /// The trade.
        trade: &'a Trade,
        /// Its price at the symbol's scale.
        price: Decimal,
    },
    /// The trades that are held, to a client whose `since` is older than them.
    TradesSnapshot {
        /// Oldest first, each with its price at the symbol's scale.
        trades: &'a [(&'a Trade, Decimal)],
    },
    /// The statistics of one symbol.
    Ticker {
        /// What they are.
        ticker: &'a TickerView,
        /// The first one for a new subscriber.
        first: bool,
        /// Whether the last price is another than in the one before.
        price_changed: bool,
    },
    /// The statistics of the symbols whose ticker changed.
    Tickers {
        /// Name and statistics of each.
        tickers: &'a [(&'a str, &'a TickerView)],
        /// The first ones (all of them) for a new subscriber.
        first: bool,
    },
    /// Something happened to a user.
    Private {
        /// What: `order.filled` and the like.
        event: &'a str,
        /// As it was published: the text of a JSON object.
        data: &'a str,
        /// Whose it is.
        user: &'a str,
        /// Its number over all of the user's private topics; `None` for what is not kept (`llm`).
        user_seq: Option<u64>,
    },
    /// What is open or current of a user's private topic, for a new subscriber.
    PrivateSnapshot {
        /// `orders`, `balances` and the like; `strategy` holds one thing alone.
        name: &'static str,
        /// Each as the text of a JSON object.
        items: &'a [Box<str>],
        /// The user's newest number.
        user_seq: u64,
        /// Set when this answers a `since` that could not be met.
        recovered: Option<bool>,
    },
    /// Something that a publisher sent to a user or a room, to be told and not kept.
    Passing {
        /// The publisher's name for it.
        event: &'a str,
        /// As it was published: any JSON text.
        data: &'a str,
        /// Whom it is for; `None` is a room.
        user: Option<&'a str>,
    },
    /// Somebody's order was filled; nothing says whose.
    Fill {
        /// The symbol as it was published: JSON text.
        symbol: &'a str,
        /// The side as it was published: JSON text.
        side: &'a str,
        /// The price as it was published: JSON text.
        price: &'a str,
    },
    /// One bar.
    Kline {
        /// Its interval.
        interval: Interval,
        /// Its numbers.
        bar: &'a Bar,
        /// What is said of it.
        kind: BarKind,
    },
}

/// What a message says of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarKind {
    /// It is in progress.
    Open,
    /// It is in progress, and this is the first that a new subscriber hears.
    First,
    /// The same, to a client whose `since` could not be met.
    NotRecovered,
    /// It is final.
    Closed,
    /// It was final, and a trade came late.
    Correction,
}

/// The levels of a limited depth.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// Bids, best first.
    pub bids: &'a [Level],
    /// Asks, best first.
    pub asks: &'a [Level],
}

/// The levels and the bookkeeping of a book message.
#[derive(Clone, Copy, Debug)]
pub struct BookView<'a> {
    /// Bids, best first.
    pub bids: &'a [Level],
    /// Asks, best first.
    pub asks: &'a [Level],
    /// The venue's number of the first update in it.
    pub first_update_id: u64,
    /// The venue's number of the last update in the state that it applies to; a snapshot's own.
    pub previous_update_id: u64,
    /// The venue's number of the last update in it.
    pub last_update_id: u64,
    /// The venue's time of the last update in it.
    pub time: Millis,
    /// CRC-32 of the best levels that the client then holds.
    pub checksum: u32,
}

/// Rolling 24 h statistics; `None` is not known yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TickerView {
    /// Price of the last trade.
    pub last_price: Option<Total>,
    /// Price of the first trade in the window.
    pub open_price: Option<Total>,
    /// Absolute change over the window.
    pub price_change: Option<Total>,
    /// Change in percent as the venue says it; see [`TickerView::price_change_percent`].
    pub official_percent: Option<Total>,
    /// Highest price.
    pub high: Option<Total>,
    /// Lowest price.
    pub low: Option<Total>,
    /// Base volume.
    pub volume: Option<Total>,
    /// Quote volume, exact; see [`TickerView::quote_volume_shown`].
    pub quote_volume: Option<Total>,
    /// The fewest decimals that the quote volume is shown with.
    pub quote_decimals: u8,
    /// Best bid and its quantity.
    pub bid: Option<(Total, Quantity)>,
    /// Best ask and its quantity.
    pub ask: Option<(Total, Quantity)>,
    /// Begin of the window.
    pub open_time: Millis,
    /// End of the window.
    pub close_time: Millis,
    /// Trades in the window.
    pub trades: u64,
    /// The source's time of the newest thing in it.
    pub time: Millis,
}

impl TickerView {
    /// Change in percent, two decimals where the venue does not say it itself.
    ///
    /// Worked out when it is shown: it takes a long division, and a view is made anew far more often
    /// than anybody reads it.
    pub fn price_change_percent(&self) -> Option<Total> {
        self.official_percent.or_else(|| self.price_change?.percent_of(self.open_price?))
    }

    /// Quote volume without needless zeros; worked out when it is shown, for the same reason.
    pub fn quote_volume_shown(&self) -> Option<Total> {
        self.quote_volume.map(|volume| volume.trimmed(self.quote_decimals))
    }
}

/// A closed bar as it is kept for the next run.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptBar {
    /// Whose.
    pub symbol: Box<str>,
    /// How long it is.
    pub interval: Interval,
    /// How its prices are printed.
    pub scale: Scale,
    /// What it is.
    pub bar: Bar,
}

/// Open, high, low, close and volumes of one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bar {
    /// Its first moment.
    pub open_time: Millis,
    /// The first moment after it.
    pub close_time: Millis,
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Number of trades; zero in a bar that only continues the last price.
    pub trades: u64,
    /// Base volume.
    pub volume: Total,
    /// Quote volume.
    pub quote_volume: Total,
    /// Base volume that takers bought.
    pub taker_volume: Total,
    /// Quote volume that takers bought.
    pub taker_quote_volume: Total,
}

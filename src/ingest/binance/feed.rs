//! Turns the messages of one Binance market into events. Knows no socket and no clock.

use std::sync::Arc;

use super::Market;
use crate::ingest::{FeedError, Sink};
use crate::market::{Millis, SymbolId, Symbols};

/// The reading side of one connection to one market.
pub struct Feed {
    market: Market,
    symbols: Arc<Symbols>,
    unknown: UnknownSymbols,
    wanting: Vec<SymbolId>,
    nothing: SymbolCounts,
}

impl Feed {
    /// A feed that has heard nothing yet.
    pub fn new(market: Market, symbols: Arc<Symbols>, unknown: UnknownSymbols) -> Feed {
        Feed { market, symbols, unknown, wanting: Vec::new(), nothing: SymbolCounts::default() }
    }

    /// The market whose messages it understands.
    pub const fn market(&self) -> Market {
        self.market
    }

    /// Says that the book of `symbol` was subscribed to: it waits for a snapshot from now on, even
    /// where nothing happens in it for hours.
    pub fn want(&mut self, symbol: SymbolId) {
        self.wanting.push(symbol);
    }

    /// Takes one message as it came over the socket; `bytes` are parsed in place.
    ///
    /// # Errors
    /// [`FeedError`] when the message was left out; the next ones may come all the same.
    pub fn message(
        &mut self,
        _received: Millis,
        _bytes: &mut [u8],
        _sink: &mut impl Sink,
    ) -> Result<Heard, FeedError> {
        let _ = (&self.symbols, self.unknown);
        Ok(Heard::Market)
    }

    /// Takes the answer to a REST request for the depth of `symbol`.
    ///
    /// # Errors
    /// [`FeedError`] when the answer was left out; the symbol still waits for a snapshot.
    pub fn depth(
        &mut self,
        _received: Millis,
        _symbol: &str,
        _bytes: &mut [u8],
        _sink: &mut impl Sink,
    ) -> Result<Heard, FeedError> {
        Ok(Heard::Market)
    }

    /// Takes the answer to a REST request for the list of instruments.
    ///
    /// # Errors
    /// [`FeedError`] when the answer was left out.
    pub fn exchange_info(
        &mut self,
        _received: Millis,
        _bytes: &mut [u8],
        _sink: &mut impl Sink,
    ) -> Result<Heard, FeedError> {
        Ok(Heard::Instruments { symbols: 0 })
    }

    /// Says that the connection ended: books stand still until a new snapshot.
    pub fn disconnected(&mut self, _received: Millis, _sink: &mut impl Sink) {}

    /// The symbols whose book waits for a snapshot, the longest waiting first.
    pub fn wanting(&self) -> impl Iterator<Item = SymbolId> {
        self.wanting.iter().copied()
    }

    /// What was heard of a symbol so far.
    pub fn counts(&self, _symbol: SymbolId) -> &SymbolCounts {
        &self.nothing
    }
}

/// What kind of message it was, for the connector that has to act on some of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Market data, also where it was a duplicate or is held until a snapshot comes.
    Market,
    /// A depth answer older than the diffs that are held: ask again.
    TooOld {
        /// Whose it was.
        symbol: SymbolId,
    },
    /// The list of instruments.
    Instruments {
        /// How many symbols of it are known here.
        symbols: usize,
    },
    /// A request was answered.
    Answer {
        /// The request's `id`, where it was a number.
        id: Option<u64>,
    },
    /// A request was refused.
    Refused {
        /// The request's `id`, where it was a number.
        id: Option<u64>,
        /// The venue's code.
        code: i64,
        /// The venue's text, at most 200 bytes of it.
        message: Box<str>,
    },
    /// The venue will close this connection soon: open the next one now.
    ShuttingDown,
}

/// What to do with a symbol that is in no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownSymbols {
    /// Refuse its messages: a live feed hears only what it asked for.
    Refuse,
    /// Add it: a recording brings its own symbols.
    Add,
}

/// What was heard of one symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SymbolCounts {
    /// Diffs that were understood.
    pub diffs: u64,
    /// Diffs that were passed on.
    pub applied: u64,
    /// Diffs that the snapshot already held.
    pub dropped: u64,
    /// Diffs that came a second time.
    pub duplicates: u64,
    /// Holes in the numbering.
    pub gaps: u64,
    /// Snapshots that were passed on.
    pub snapshots: u64,
    /// Snapshots that were too old for the diffs held.
    pub too_old: u64,
    /// Trades that were passed on.
    pub trades: u64,
    /// Trades left out: seen before, of the other stream, or no market trade.
    pub trades_ignored: u64,
    /// Best bids and asks.
    pub quotes: u64,
    /// The venue's bars.
    pub bars: u64,
    /// The venue's statistics.
    pub tickers: u64,
}

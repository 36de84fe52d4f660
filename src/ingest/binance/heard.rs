//! What a [`Feed`](super::Feed) tells its connector: what kind of message it was, and what it counted.

use crate::ingest::FeedError;
use crate::ingest::json::Value;
use crate::market::SymbolId;

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
        /// Those of its symbols that are known here.
        known: Box<[SymbolId]>,
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
        /// The venue's text, at most 200 characters of it.
        message: Box<str>,
    },
    /// The venue will close this connection soon: open the next one now.
    ShuttingDown,
}

impl Heard {
    /// A REST answer that is not what was asked for is a refusal, or nothing known.
    pub(super) fn refusal(value: Value<'_>, what: &'static str) -> Result<Heard, FeedError> {
        let code = value.field("code").and_then(Value::signed);
        let text = value.field("msg").and_then(Value::text).unwrap_or_default();
        let code = code.ok_or(FeedError::NotUnderstood { what })?;
        Ok(Heard::Refused { id: None, code, message: text.chars().take(200).collect() })
    }
}

/// What to do with a symbol that is in no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownSymbols {
    /// Refuse its messages: a live feed hears only what it asked for.
    Refuse,
    /// Add it: a recording brings its own symbols.
    Add,
}

/// What was heard of a symbol that nothing was heard of.
pub(super) static NOTHING: SymbolCounts = SymbolCounts {
    diffs: 0,
    applied: 0,
    dropped: 0,
    duplicates: 0,
    gaps: 0,
    snapshots: 0,
    too_old: 0,
    trades: 0,
    trades_ignored: 0,
    quotes: 0,
    bars: 0,
    tickers: 0,
};

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
    /// Holes in the numbering, and books that could not be kept.
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

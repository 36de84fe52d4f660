//! Bytes of a venue → [`Event`]s: parsing, the venue's sequence rule, recordings, the simulator.
//!
//! A [`Sink`] takes what was understood. Nothing here keeps a book.

pub mod binance;
pub mod fields;
pub mod json;
pub mod live;
pub mod publish;
pub mod recording;
pub mod sequence;
pub mod simulate;

use thiserror::Error;

use crate::market::{BadSymbol, BookChange, Event, Millis, NumberError, SymbolId};

/// Where a source puts what it understood: the shard that owns the symbol.
pub trait Sink {
    /// Takes an event in. May wait while the shard is busy: a source that is ahead of its shards
    /// slows down, and so does the venue behind it.
    fn put(&mut self, symbol: SymbolId, received: Millis, event: Event);

    /// An empty change to fill: one that was used before where there is one, so that a warm path
    /// allocates nothing.
    fn blank(&mut self) -> Box<BookChange>;

    /// Takes back a change that was not put after all.
    fn recycle(&mut self, change: Box<BookChange>);

    /// The next book that could not be kept although its changes were put, after the first `*heard`
    /// such losses, which are then one more: it waits for a snapshot that its source has to ask for.
    #[inline]
    fn lost(&mut self, _heard: &mut u64) -> Option<SymbolId> {
        None
    }
}

/// Why a message of a source was left out. Everything else of that source goes on.
#[derive(Debug, Error)]
pub enum FeedError {
    /// Not JSON, or cut short.
    #[error("the message is not JSON: {0}")]
    NotJson(#[from] simd_json::Error),
    /// JSON, but none of the messages that this source sends.
    #[error("not a message of this source: {what}")]
    NotUnderstood {
        /// What is missing or unknown.
        what: &'static str,
    },
    /// A number that cannot be kept.
    #[error("field {field} holds {text:?}: {error}")]
    BadNumber {
        /// The field's name in the venue's message.
        field: &'static str,
        /// What stood there, at most 40 characters of it.
        text: String,
        /// Why it is refused.
        error: NumberError,
    },
    /// A symbol that nobody asked for.
    #[error("no symbol {symbol:?} here")]
    UnknownSymbol {
        /// As the venue wrote it.
        symbol: String,
    },
    /// A symbol that cannot be one.
    #[error("{symbol:?}: {error}")]
    BadSymbol {
        /// As the venue wrote it.
        symbol: String,
        /// Why.
        error: BadSymbol,
    },
    /// More bytes than a message may have.
    #[error("a message of {bytes} bytes, over the limit of {limit}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

//! Updates as hub messages: the data is native's, books are whole each time.

use super::{Payload, message};
use crate::dialect::native;
use crate::encode::{Frame, json};
use crate::market::{BarKind, BookView, Depth, Speed, Topic, Update, UpdateBody};

/// The update as every hub subscriber of its topic gets it; `None` where the hub has no words for it.
pub fn encode(update: &Update<'_>, payload: Payload) -> Option<Frame> {
    let write = |data: &dyn Fn(&mut Vec<u8>), length: usize| {
        Some(message("MARKET_DATA", update.taken_in, payload, length + 80, |out| {
            out.extend_from_slice(b"{\"topic\":");
            json::string(&name(update.topic, update.symbol), out);
            json::key("data", out);
            data(out);
            out.push(b'}');
        }))
    };
    match update.body {
        // The client's book is what it was told last; the snapshot that heals it comes by itself.
        UpdateBody::Stale => None,
        UpdateBody::BookSnapshot { book, .. } => {
            write(&|out| native::book(&book, update.scale, out), levels(&book))
        }
        UpdateBody::BookDelta { book, window, .. } => {
            let window = window?;
            let whole = BookView {
                bids: window.bids,
                asks: window.asks,
                first_update_id: book.last_update_id,
                ..book
            };
            write(&|out| native::book(&whole, update.scale, out), levels(&whole))
        }
        UpdateBody::Trade { trade, price } => {
            write(&|out| native::trade(trade, price, update.symbol, out), 120)
        }
        // Only an answer to a `since`, for which this dialect has no word.
        UpdateBody::TradesSnapshot { .. } => None,
        UpdateBody::Ticker { ticker, .. } => write(&|out| native::ticker(update.symbol, ticker, out), 360),
        UpdateBody::Tickers { tickers, .. } => {
            let all = |out: &mut Vec<u8>| {
                native::array(tickers, out, |(symbol, one), out| native::ticker(symbol, one, out));
            };
            write(&all, tickers.len() * 360)
        }
        UpdateBody::Kline { kind: BarKind::Correction, .. } => None,
        UpdateBody::Kline { interval, bar, kind } => {
            let closed = kind == BarKind::Closed;
            write(&|out| native::bar(update.symbol, update.scale, interval, bar, closed, out), 260)
        }
    }
}

/// What a topic is called here: `book:SYMBOL` alone is this dialect's own variant, the top 50 levels
/// ten times a second.
pub fn name(topic: Topic, symbol: &str) -> String {
    if let Topic::Book { depth: Depth::D50, speed: Speed::Ms100, .. } = topic {
        return format!("book:{symbol}");
    }
    let mut name = Vec::new();
    topic.write_name(symbol, &mut name);
    String::from_utf8_lossy(&name).into_owned()
}

fn levels(book: &BookView<'_>) -> usize {
    (book.bids.len() + book.asks.len()) * 32 + 120
}

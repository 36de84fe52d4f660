//! Updates as hub messages: the data is native's, books are whole each time.

use super::{Payload, message};
use crate::dialect::native;
use crate::encode::{Frame, json};
use crate::market::{
    AccountTopic, BarKind, BookView, Depth, Everyones, Part, Speed, Topic, Update, UpdateBody,
};

/// The update as every hub subscriber of its topic gets it; `None` where the hub has no words for it.
pub fn encode(update: &Update<'_>, payload: Payload) -> Option<Frame> {
    if let UpdateBody::Private { event, data, .. } = update.body {
        let kind = private_kind(update.topic)?;
        let write = |out: &mut Vec<u8>| native::event_and_data(event, data, out);
        return Some(message(kind, update.taken_in, payload, data.len() + 40, write));
    }
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
        // Answers to a `since` and pictures of what is open: this dialect has no words for them.
        UpdateBody::TradesSnapshot { .. }
        | UpdateBody::PrivateSnapshot { .. }
        | UpdateBody::Private { .. }
        | UpdateBody::Passing { .. } => None,
        UpdateBody::Fill { symbol, side, price } => {
            write(&|out| native::fill(symbol, side, price, out), symbol.len() + side.len() + price.len())
        }
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

/// The type of the messages of a private topic; `None` where the hub has none for it.
fn private_kind(topic: Topic) -> Option<&'static str> {
    let Topic::Account(topic) = topic else { return None };
    match topic {
        AccountTopic::Everyones(Everyones::Orders)
        | AccountTopic::Own { part: Part::Orders | Part::StrategyOrders(_), .. } => Some("ORDER_UPDATE"),
        AccountTopic::Everyones(Everyones::Positions) | AccountTopic::Own { part: Part::Positions, .. } => {
            Some("POSITION_UPDATE")
        }
        AccountTopic::Everyones(Everyones::Strategies)
        | AccountTopic::Own { part: Part::Strategies | Part::Strategy(_), .. } => Some("STRATEGY_UPDATE"),
        AccountTopic::Own {
            part: Part::Trades | Part::Balances | Part::Deposits | Part::Llm | Part::User,
            ..
        }
        | AccountTopic::Fills => None,
    }
}

fn levels(book: &BookView<'_>) -> usize {
    (book.bids.len() + book.asks.len()) * 32 + 120
}

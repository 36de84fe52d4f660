//! Updates as the Maven gateway tells them: one argument of room, data and time, in namespace `/ws`.

use super::event::{Namespace, event};
use super::native;
use crate::encode::{Frame, json};
use crate::market::{
    AccountTopic, BarKind, BookView, Decimal, Part, TickerView, Topic, Trade, Update, UpdateBody,
};

/// How a client wants its books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Books {
    /// The whole window each time: the document's own client replaces its book with every message.
    Whole,
    /// One snapshot, then what changed.
    Deltas,
}

/// The update as every subscriber of its room gets it; `None` where this dialect has no words for it.
pub fn encode(update: &Update<'_>, books: Books) -> Option<Frame> {
    let symbol = update.symbol;
    match update.body {
        UpdateBody::Ticker { ticker: one, .. } => {
            Some(told("ticker.update", update, 400, |out| ticker(symbol, one, out)))
        }
        UpdateBody::Tickers { tickers, .. } => {
            Some(told("tickers.update", update, tickers.len() * 400, |out| {
                native::array(tickers, out, |(symbol, one), out| ticker(symbol, one, out));
            }))
        }
        UpdateBody::BookSnapshot { book, .. } => Some(snapshot(update, books, &book)),
        UpdateBody::BookDelta { book, window, .. } => match (books, window) {
            (Books::Deltas, _) => Some(delta(update, &book)),
            (Books::Whole, Some(window)) => {
                let window = BookView { bids: window.bids, asks: window.asks, ..book };
                Some(snapshot(update, books, &window))
            }
            (Books::Whole, None) => None,
        },
        UpdateBody::Trade { trade: one, price } => {
            Some(told("trade", update, 160, |out| trade(one, price, symbol, out)))
        }
        // A late trade changes history; this dialect tells each bar's end once.
        UpdateBody::Kline { kind: BarKind::Correction, .. } => None,
        UpdateBody::Kline { interval, bar, kind } => Some(told("kline.update", update, 280, |out| {
            native::bar(symbol, update.scale, interval, bar, kind == BarKind::Closed, out);
        })),
        UpdateBody::Private { event, data, user, .. } => private(update, event, data, user),
        // A book that is not to be trusted is healed by a snapshot; the others answer what only
        // native clients ask.
        UpdateBody::Stale
        | UpdateBody::TradesSnapshot { .. }
        | UpdateBody::PrivateSnapshot { .. }
        | UpdateBody::Fill { .. } => None,
        UpdateBody::Passing { event, data, user } => {
            let user = user.unwrap_or_default();
            Some(told_of(event, update, user, data.len(), |out| out.extend_from_slice(data.as_bytes())))
        }
    }
}

/// The name of a topic's room.
pub fn write_room(topic: Topic, symbol: &str, user: &str, out: &mut Vec<u8>) {
    let mut put = |parts: &[&str]| parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
    match topic {
        Topic::Ticker { .. } => put(&["ticker:", symbol]),
        Topic::Tickers => put(&["ticker:all"]),
        Topic::Book { .. } => put(&["orderbook:", symbol]),
        Topic::Trades { .. } => put(&["trades:", symbol]),
        Topic::Kline { interval, .. } => put(&["klines:", symbol, ":", interval.name()]),
        Topic::Account(AccountTopic::Own { part, .. }) => match part {
            Part::Orders => put(&["user:", user, ":orders"]),
            Part::Trades => put(&["user:", user, ":trades"]),
            Part::Balances => put(&["user:", user, ":balances"]),
            Part::Deposits => put(&["user:", user, ":deposits"]),
            Part::Positions
            | Part::Strategies
            | Part::Strategy(_)
            | Part::StrategyOrders(_)
            | Part::Llm
            | Part::User => put(&["user:", user]),
        },
        Topic::Room(_) => put(&[symbol]),
        Topic::Account(AccountTopic::Everyones(_) | AccountTopic::Fills) => {}
    }
}

fn told(name: &str, update: &Update<'_>, capacity: usize, data: impl FnOnce(&mut Vec<u8>)) -> Frame {
    told_of(name, update, "", capacity, data)
}

fn told_of(
    name: &str,
    update: &Update<'_>,
    user: &str,
    capacity: usize,
    data: impl FnOnce(&mut Vec<u8>),
) -> Frame {
    event(Namespace::Ws, name, capacity + 100, |out| {
        out.extend_from_slice(b"{\"room\":\"");
        let mut room = Vec::with_capacity(48);
        write_room(update.topic, update.symbol, user, &mut room);
        json::escape(&room, out);
        out.extend_from_slice(b"\",\"data\":");
        data(out);
        json::integer_field("timestamp", update.taken_in, out);
        out.push(b'}');
    })
}

fn snapshot(update: &Update<'_>, books: Books, book: &BookView<'_>) -> Frame {
    told("orderbook.update", update, levels(book), |out| {
        book_levels(update, book, out);
        out.extend_from_slice(b",\"type\":\"snapshot\"");
        // Who is told the whole book each time has nothing to prove with it.
        if books == Books::Deltas {
            json::integer_field("checksum", book.checksum, out);
        }
        out.push(b'}');
    })
}

fn delta(update: &Update<'_>, book: &BookView<'_>) -> Frame {
    told("orderbook.update", update, levels(book), |out| {
        book_levels(update, book, out);
        out.extend_from_slice(b",\"type\":\"delta\"");
        json::integer_field("firstUpdateId", book.first_update_id, out);
        json::integer_field("prevUpdateId", book.previous_update_id, out);
        json::integer_field("checksum", book.checksum, out);
        out.push(b'}');
    })
}

/// The fields of a book message that all of them have; the object stays open.
fn book_levels(update: &Update<'_>, book: &BookView<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"symbol\":");
    json::string(update.symbol, out);
    json::key("bids", out);
    json::levels(book.bids, update.scale, out);
    json::key("asks", out);
    json::levels(book.asks, update.scale, out);
    json::integer_field("lastUpdateId", book.last_update_id, out);
}

/// A symbol's statistics: the envelope says when.
fn ticker(symbol: &str, ticker: &TickerView, out: &mut Vec<u8>) {
    native::statistics(symbol, ticker, out);
    out.push(b'}');
}

fn trade(trade: &Trade, price: Decimal, symbol: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"tradeId\":");
    json::trade_id(&trade.id, out);
    json::key("symbol", out);
    json::string(symbol, out);
    json::price_field(price, out);
    json::quantity_field("quantity", trade.quantity, out);
    json::integer_field("timestamp", trade.time, out);
    json::side_field(trade.taker, out);
    out.push(b'}');
}

/// What happened to a user, under the name that this dialect has for it.
fn private(update: &Update<'_>, event: &str, data: &str, user: &str) -> Option<Frame> {
    let name = match event {
        "order.partially_filled" => "order.filled",
        "order.created" | "order.filled" | "order.cancelled" | "order.expired" | "trade.executed"
        | "balance.updated" | "balance.locked" | "balance.unlocked" | "deposit.detected"
        | "deposit.confirmed" | "deposit.credited" => event,
        _ => return None,
    };
    Some(told_of(name, update, user, data.len(), |out| out.extend_from_slice(data.as_bytes())))
}

fn levels(book: &BookView<'_>) -> usize {
    (book.bids.len() + book.asks.len()) * 32 + 160
}

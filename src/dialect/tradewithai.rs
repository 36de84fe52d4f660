//! Updates as the TradeWithAI gateway tells them, in namespace `/`.

use super::event::{Namespace, append, event};
use crate::encode::time::rfc3339;
use crate::encode::{Frame, json};
use crate::market::{
    Bar, BarKind, BookView, Decimal, Interval, Millis, RoomId, TickerView, Topic, Trade, Update, UpdateBody,
};

/// The update as every subscriber gets it; `None` where this dialect has no words for it.
///
/// A ticker of one symbol is told in the words of the room `market-data:{symbol}`, the tickers of all
/// in those of `market-data`.
pub fn encode(update: &Update<'_>) -> Option<Frame> {
    let symbol = update.symbol;
    match update.body {
        UpdateBody::Ticker { ticker: one, price_changed, .. } => {
            let price = one.last_price.filter(|_| price_changed).map(|_| Told::Price);
            Frame::texts(std::iter::once(Told::Ticker).chain(price), |told, out| match told {
                Told::Ticker => main("ticker:update", out, |out| ticker(symbol, one, out)),
                Told::Price => main("price:update", out, |out| price_update(symbol, one, out)),
            })
        }
        UpdateBody::Tickers { tickers, .. } => Frame::texts(tickers, |(symbol, one), out| {
            main("ticker:update", out, |out| flat_ticker(symbol, one, out));
        }),
        UpdateBody::BookSnapshot { book, .. } => Some(order_book(update, &book)),
        UpdateBody::BookDelta { book, window, .. } => {
            let window = window?;
            Some(order_book(update, &BookView { bids: window.bids, asks: window.asks, ..book }))
        }
        UpdateBody::Trade { trade: one, price } => {
            Some(told("trade:executed", 180, |out| trade(one, price, symbol, out)))
        }
        // A late trade changes history; this dialect tells each bar's end once.
        UpdateBody::Kline { kind: BarKind::Correction, .. } => None,
        UpdateBody::Kline { interval, bar, kind } => Some(told("candle:update", 240, |out| {
            candle(update, interval, bar, kind == BarKind::Closed, out);
        })),
        UpdateBody::Private { event, data, .. } => {
            Some(told(private_name(event)?, data.len(), |out| out.extend_from_slice(data.as_bytes())))
        }
        UpdateBody::Passing { event, data, .. } => {
            Some(told(event, data.len(), |out| out.extend_from_slice(data.as_bytes())))
        }
        UpdateBody::Fill { symbol, side, price } => Some(told("order:filled", 100, |out| {
            for (begin, value) in [("{\"symbol\":", symbol), (",\"side\":", side), (",\"price\":", price)] {
                out.extend_from_slice(begin.as_bytes());
                out.extend_from_slice(value.as_bytes());
            }
            out.push(b'}');
        })),
        // A book that is not to be trusted is healed by a snapshot; the others answer what only
        // native clients ask.
        UpdateBody::Stale | UpdateBody::TradesSnapshot { .. } | UpdateBody::PrivateSnapshot { .. } => None,
    }
}

/// The number of clients, as all of them are told.
pub fn connection_count(count: usize, now: Millis) -> Frame {
    told("connection-count", 60, |out| {
        out.extend_from_slice(b"{\"count\":");
        json::integer(count, out);
        time("timestamp", now, out);
        out.push(b'}');
    })
}

/// The room that all clients are in. Its number is the last there is, far from those that are given out.
pub const EVERYBODY: Topic = Topic::Room(RoomId(u32::MAX));

/// What one ticker is told as.
#[derive(Clone, Copy)]
enum Told {
    Ticker,
    Price,
}

fn told(name: &str, capacity: usize, write: impl FnOnce(&mut Vec<u8>)) -> Frame {
    event(Namespace::Main, name, capacity, write)
}

fn main(name: &str, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    append(Namespace::Main, name, out, write);
}

/// This dialect's name for what happened to a user; `None` where it has none.
fn private_name(event: &str) -> Option<&'static str> {
    Some(match event {
        "order.created" => "order:created",
        "order.submitted" => "order:submitted",
        "order.filled" => "order:filled",
        "order.partially_filled" => "order:partially-filled",
        "order.cancelled" => "order:cancelled",
        "order.rejected" => "order:rejected",
        "position.opened" => "position:opened",
        "position.updated" => "position:updated",
        "position.closed" => "position:closed",
        "balance.updated" => "balance:updated",
        "llm.start" => "llm:stream:start",
        "llm.chunk" => "llm:stream",
        "llm.error" => "llm:stream:error",
        "llm.complete" => "llm:response:complete",
        _ => return None,
    })
}

fn ticker(symbol: &str, ticker: &TickerView, out: &mut Vec<u8>) {
    begin(symbol, out);
    json::key("ticker", out);
    // A field that is not known yet is left out, and so is its comma.
    let from = out.len();
    prices(ticker, out);
    json::total_field("high24h", ticker.high, out);
    json::total_field("low24h", ticker.low, out);
    time("timestamp", ticker.time, out);
    out[from] = b'{';
    out.extend_from_slice(b"}}");
}

fn flat_ticker(symbol: &str, ticker: &TickerView, out: &mut Vec<u8>) {
    begin(symbol, out);
    prices(ticker, out);
    time("timestamp", ticker.time, out);
    out.push(b'}');
}

fn prices(ticker: &TickerView, out: &mut Vec<u8>) {
    json::total_field("last", ticker.last_price, out);
    json::total_field("bid", ticker.bid.map(|(price, _)| price), out);
    json::total_field("ask", ticker.ask.map(|(price, _)| price), out);
    json::total_field("volume", ticker.volume, out);
}

fn price_update(symbol: &str, ticker: &TickerView, out: &mut Vec<u8>) {
    begin(symbol, out);
    json::total_field("price", ticker.last_price, out);
    time("timestamp", ticker.time, out);
    out.push(b'}');
}

fn order_book(update: &Update<'_>, book: &BookView<'_>) -> Frame {
    told("orderbook:update", (book.bids.len() + book.asks.len()) * 32 + 160, |out| {
        begin(update.symbol, out);
        out.extend_from_slice(b",\"orderBook\":{\"bids\":");
        json::levels(book.bids, update.scale, out);
        json::key("asks", out);
        json::levels(book.asks, update.scale, out);
        json::integer_field("lastUpdateId", book.last_update_id, out);
        time("timestamp", book.time, out);
        out.extend_from_slice(b"}}");
    })
}

fn trade(trade: &Trade, price: Decimal, symbol: &str, out: &mut Vec<u8>) {
    begin(symbol, out);
    json::price_field(price, out);
    json::quantity_field("quantity", trade.quantity, out);
    json::side_field(trade.taker, out);
    json::key("tradeId", out);
    json::trade_id(&trade.id, out);
    time("timestamp", trade.time, out);
    out.push(b'}');
}

fn candle(update: &Update<'_>, interval: Interval, bar: &Bar, closed: bool, out: &mut Vec<u8>) {
    begin(update.symbol, out);
    json::key("interval", out);
    json::string(interval.name(), out);
    json::integer_field("openTime", bar.open_time, out);
    for (name, price) in [("open", bar.open), ("high", bar.high), ("low", bar.low), ("close", bar.close)] {
        json::total_field(name, Some(price.to_decimal(update.scale).into()), out);
    }
    json::total_field("volume", Some(bar.volume), out);
    json::key("closed", out);
    out.extend_from_slice(if closed { b"true" } else { b"false" });
    out.push(b'}');
}

fn begin(symbol: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"symbol\":");
    json::string(symbol, out);
}

/// Appends `,"name":"time"`.
fn time(name: &str, time: Millis, out: &mut Vec<u8>) {
    json::key(name, out);
    out.push(b'"');
    rfc3339(time, out);
    out.push(b'"');
}

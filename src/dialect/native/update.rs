//! Updates as native messages.

use super::private;
use crate::encode::{Frame, json};
use crate::market::{
    Bar, BarKind, BookView, Decimal, Interval, Scale, TickerView, Trade, Update, UpdateBody,
};

/// The update as the frame that every native subscriber of its topic gets.
pub fn encode(update: &Update<'_>) -> Frame {
    Frame::text(expected_length(update), |out| write(update, out))
}

fn write(update: &Update<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind(&update.body).as_bytes());
    out.extend_from_slice(b"\",\"topic\":\"");
    let start = out.len();
    update.topic.write_name(update.symbol, out);
    // Only names with a quotation mark or a backslash are ever written twice.
    if out[start..].iter().any(|byte| matches!(byte, b'"' | b'\\')) {
        let name = out.split_off(start);
        json::escape(&name, out);
    }
    out.extend_from_slice(b"\",\"epoch\":\"");
    out.extend_from_slice(update.epoch.as_bytes());
    out.push(b'"');
    json::integer_field("seq", update.seq, out);
    if let UpdateBody::BookDelta { previous, merged, .. } = update.body {
        json::integer_field("prevSeq", previous, out);
        if merged > 1 {
            json::integer_field("merged", merged, out);
        }
    }
    json::integer_field("ts", update.taken_in, out);
    write_body(update, out);
    out.push(b'}');
}

const fn kind(body: &UpdateBody<'_>) -> &'static str {
    match body {
        UpdateBody::BookSnapshot { .. }
        | UpdateBody::TradesSnapshot { .. }
        | UpdateBody::Ticker { first: true, .. }
        | UpdateBody::Tickers { first: true, .. }
        | UpdateBody::PrivateSnapshot { .. }
        | UpdateBody::Kline { kind: BarKind::First | BarKind::NotRecovered, .. } => "snapshot",
        UpdateBody::BookDelta { .. } => "delta",
        UpdateBody::Stale => "stale",
        UpdateBody::Trade { .. }
        | UpdateBody::Ticker { .. }
        | UpdateBody::Tickers { .. }
        | UpdateBody::Private { .. }
        | UpdateBody::Passing { .. }
        | UpdateBody::Fill { .. }
        | UpdateBody::Kline { .. } => "update",
    }
}

fn write_body(update: &Update<'_>, out: &mut Vec<u8>) {
    match update.body {
        UpdateBody::Stale => {}
        UpdateBody::BookSnapshot { book: one, recovered } => {
            if let Some(recovered) = recovered {
                json::key("recovered", out);
                out.extend_from_slice(if recovered { b"true" } else { b"false" });
            }
            json::key("data", out);
            book(&one, update.scale, out);
        }
        UpdateBody::BookDelta { book: one, .. } => {
            json::key("data", out);
            book(&one, update.scale, out);
        }
        UpdateBody::Trade { trade: one, price } => {
            json::key("data", out);
            trade(one, price, update.symbol, out);
        }
        UpdateBody::TradesSnapshot { trades } => {
            out.extend_from_slice(b",\"recovered\":false");
            json::key("data", out);
            array(trades, out, |(one, price), out| trade(one, *price, update.symbol, out));
        }
        UpdateBody::Ticker { ticker: one, .. } => {
            json::key("data", out);
            ticker(update.symbol, one, out);
        }
        UpdateBody::Tickers { tickers, .. } => {
            json::key("data", out);
            array(tickers, out, |(symbol, one), out| ticker(symbol, one, out));
        }
        UpdateBody::Private { .. }
        | UpdateBody::PrivateSnapshot { .. }
        | UpdateBody::Passing { .. }
        | UpdateBody::Fill { .. } => private::write(&update.body, out),
        UpdateBody::Kline { interval, bar: one, kind } => {
            match kind {
                BarKind::Correction => out.extend_from_slice(b",\"correction\":true"),
                BarKind::NotRecovered => out.extend_from_slice(b",\"recovered\":false"),
                BarKind::Open | BarKind::First | BarKind::Closed => {}
            }
            json::key("data", out);
            let closed = matches!(kind, BarKind::Closed | BarKind::Correction);
            bar(update.symbol, update.scale, interval, one, closed, out);
        }
    }
}

/// Appends a list.
pub fn array<T>(items: &[T], out: &mut Vec<u8>, mut write: impl FnMut(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

/// Appends a book's levels and bookkeeping.
pub fn book(book: &BookView<'_>, scale: Scale, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"bids\":");
    json::levels(book.bids, scale, out);
    json::key("asks", out);
    json::levels(book.asks, scale, out);
    json::integer_field("firstUpdateId", book.first_update_id, out);
    json::integer_field("lastUpdateId", book.last_update_id, out);
    json::integer_field("time", book.time, out);
    json::integer_field("checksum", book.checksum, out);
    out.push(b'}');
}

/// Appends a trade; `price` is its price at the symbol's scale.
pub fn trade(trade: &Trade, price: Decimal, symbol: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"tradeId\":");
    json::trade_id(&trade.id, out);
    json::key("symbol", out);
    json::string(symbol, out);
    json::price_field(price, out);
    json::quantity_field("quantity", trade.quantity, out);
    json::side_field(trade.taker, out);
    json::integer_field("time", trade.time, out);
    out.push(b'}');
}

/// Appends a symbol's statistics and when they were so.
pub fn ticker(symbol: &str, ticker: &TickerView, out: &mut Vec<u8>) {
    statistics(symbol, ticker, out);
    json::integer_field("time", ticker.time, out);
    out.push(b'}');
}

/// Appends a symbol's statistics; the object stays open.
pub fn statistics(symbol: &str, ticker: &TickerView, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"symbol\":");
    json::string(symbol, out);
    json::total_field("lastPrice", ticker.last_price, out);
    json::total_field("priceChange", ticker.price_change, out);
    json::total_field("priceChangePercent", ticker.price_change_percent(), out);
    json::total_field("high24h", ticker.high, out);
    json::total_field("low24h", ticker.low, out);
    json::total_field("volume24h", ticker.volume, out);
    json::total_field("quoteVolume24h", ticker.quote_volume_shown(), out);
    json::integer_field("openTime", ticker.open_time, out);
    json::integer_field("closeTime", ticker.close_time, out);
    for (side, price, quantity) in [(ticker.bid, "bidPrice", "bidQty"), (ticker.ask, "askPrice", "askQty")] {
        if let Some((best, standing)) = side {
            json::total_field(price, Some(best), out);
            json::quantity_field(quantity, standing, out);
        }
    }
}

/// Appends a bar.
pub fn bar(symbol: &str, scale: Scale, interval: Interval, bar: &Bar, closed: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"symbol\":");
    json::string(symbol, out);
    json::key("interval", out);
    json::string(interval.name(), out);
    json::integer_field("openTime", bar.open_time, out);
    json::integer_field("closeTime", bar.close_time, out);
    for (name, price) in [("open", bar.open), ("high", bar.high), ("low", bar.low), ("close", bar.close)] {
        json::total_field(name, Some(price.to_decimal(scale).into()), out);
    }
    json::total_field("volume", Some(bar.volume), out);
    json::total_field("quoteVolume", Some(bar.quote_volume.trimmed(scale.decimals())), out);
    json::integer_field("trades", bar.trades, out);
    json::key("closed", out);
    out.extend_from_slice(if closed { b"true" } else { b"false" });
    out.push(b'}');
}

/// About how long the message will be: a frame's buffer lives as long as the frame, so that neither
/// growing nor much slack is wanted.
fn expected_length(update: &Update<'_>) -> usize {
    let levels = |book: &BookView<'_>| (book.bids.len() + book.asks.len()) * 32;
    240 + match &update.body {
        UpdateBody::BookSnapshot { book, .. } | UpdateBody::BookDelta { book, .. } => levels(book),
        UpdateBody::Stale => 0,
        UpdateBody::Trade { .. } => 80,
        UpdateBody::TradesSnapshot { trades } => trades.len() * 150,
        UpdateBody::Ticker { .. } => 300,
        UpdateBody::Tickers { tickers, .. } => tickers.len() * 400,
        UpdateBody::Kline { .. } => 240,
        UpdateBody::Private { data, .. } | UpdateBody::Passing { data, .. } => 80 + data.len(),
        UpdateBody::PrivateSnapshot { items, .. } => items.iter().map(|item| item.len() + 1).sum(),
        UpdateBody::Fill { .. } => 80,
    }
}

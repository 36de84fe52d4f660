//! The venue's own bars and 24 h statistics.

use super::message::{Message, need, read_decimal, read_level, read_quantity};
use crate::ingest::FeedError;
use crate::ingest::json::Value;
use crate::market::{Interval, OfficialTicker, SourceBar};

pub(super) fn read_bar(body: Value<'_>) -> Result<Message<'_>, FeedError> {
    let bar = need(body.field("k"), "kline without k")?;
    let text = |name| bar.field(name).and_then(Value::text).ok_or(NO_BAR_FIELD);
    let symbol = need(body.field("s").or_else(|| bar.field("s")).and_then(Value::text), "kline without s")?;
    let interval = need(
        Interval::from_name(text("i")?),
        "kline whose interval i is none of 1m 3m 5m 15m 30m 1h 4h 1d 1w 1M",
    )?;
    let bar = SourceBar {
        interval,
        open_time: bar.field("t").and_then(Value::signed).ok_or(NO_BAR_FIELD)?,
        open: read_decimal(text("o")?, "o")?,
        high: read_decimal(text("h")?, "h")?,
        low: read_decimal(text("l")?, "l")?,
        close: read_decimal(text("c")?, "c")?,
        volume: read_quantity(text("v")?, "v")?,
        quote_volume: read_quantity(text("q")?, "q")?,
        taker_volume: read_quantity(text("V")?, "V")?,
        taker_quote_volume: read_quantity(text("Q")?, "Q")?,
        trades: bar.field("n").and_then(Value::unsigned).ok_or(NO_BAR_FIELD)?,
        closed: bar.field("x").and_then(Value::truth).ok_or(NO_BAR_FIELD)?,
    };
    Ok(Message::Bar(symbol.as_bytes(), Box::new(bar)))
}

pub(super) fn read_ticker(body: Value<'_>) -> Result<Message<'_>, FeedError> {
    let (mut symbol, mut ticker) = (None, OfficialTicker::default());
    let (mut bid, mut bid_size, mut ask, mut ask_size) = (None, None, None, None);
    for (name, value) in body.fields() {
        let number = |field| value.text().map(|text| read_decimal(text, field)).transpose();
        match name {
            "s" => symbol = value.text(),
            "c" => ticker.last_price = number("c")?,
            "o" => ticker.open_price = number("o")?,
            "p" => ticker.price_change = number("p")?,
            "P" => ticker.price_change_percent = number("P")?,
            "h" => ticker.high = number("h")?,
            "l" => ticker.low = number("l")?,
            "v" => ticker.volume = number("v")?,
            "q" => ticker.quote_volume = number("q")?,
            "b" => bid = value.text(),
            "B" => bid_size = value.text(),
            "a" => ask = value.text(),
            "A" => ask_size = value.text(),
            "O" => ticker.open_time = value.signed(),
            "C" => ticker.close_time = value.signed(),
            "n" => ticker.trades = value.unsigned(),
            "E" => ticker.time = value.signed(),
            _ => {}
        }
    }
    ticker.bid = bid.zip(bid_size).map(|(price, size)| read_level(price, size)).transpose()?;
    ticker.ask = ask.zip(ask_size).map(|(price, size)| read_level(price, size)).transpose()?;
    Ok(Message::Ticker(need(symbol, "24hrTicker without s")?.as_bytes(), Box::new(ticker)))
}

const NO_BAR_FIELD: FeedError =
    FeedError::NotUnderstood { what: "kline without one of t i o h l c v q V Q n x" };

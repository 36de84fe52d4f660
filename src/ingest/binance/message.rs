//! The messages of a Binance market, told apart and read field by field, in any order of fields.
//!
//! Nothing is copied: texts still point into the message.

use super::statistics::{read_bar, read_ticker};
use crate::ingest::FeedError;
use crate::ingest::json::Value;
use crate::market::{
    Decimal, Millis, NumberError, OfficialTicker, Quantity, Quote, RawLevel, Side, SourceBar, Trade, TradeId,
};

/// One message of a stream. Symbols are as the venue names them, in UTF-8.
#[derive(Debug)]
pub enum Message<'a> {
    /// Levels that changed.
    Diff(Diff<'a>),
    /// Somebody traded.
    Trade(Print<'a>),
    /// Best bid and ask.
    Quote(&'a [u8], Quote),
    /// A bar.
    Bar(&'a [u8], Box<SourceBar>),
    /// 24 h statistics.
    Ticker(&'a [u8], Box<OfficialTicker>),
    /// An answer to a request.
    Answer {
        /// The request's number.
        id: Option<u64>,
    },
    /// A refused request.
    Refused {
        /// The request's number.
        id: Option<u64>,
        /// The venue's code.
        code: i64,
        /// The venue's text.
        text: &'a str,
    },
    /// The venue will close the connection.
    ShuttingDown,
}

impl<'a> Message<'a> {
    /// Reads a message, bare or in the envelope of a combined stream.
    ///
    /// # Errors
    /// [`FeedError::NotUnderstood`] and [`FeedError::BadNumber`].
    #[inline]
    pub fn read(whole: Value<'a>) -> Result<Message<'a>, FeedError> {
        if !whole.is_object() {
            return Err(FeedError::NotUnderstood { what: "an object was expected" });
        }
        let mut enveloped = None;
        for (name, value) in whole.fields() {
            match name {
                "stream" => {}
                "data" | "event" if value.is_object() => enveloped = Some(value),
                "e" => return Message::of_event(value.text().unwrap_or_default(), whole),
                _ => break,
            }
        }
        let body = enveloped.unwrap_or(whole);
        match body.field("e") {
            Some(event) => Message::of_event(event.text().unwrap_or_default(), body),
            None => Message::of_no_event(body),
        }
    }

    #[inline]
    fn of_event(event: &str, body: Value<'a>) -> Result<Message<'a>, FeedError> {
        match event {
            "depthUpdate" => Diff::read(body).map(Message::Diff),
            "bookTicker" => read_quote(body),
            "trade" => Print::read(body, TradeStream::Each).map(Message::Trade),
            "aggTrade" => Print::read(body, TradeStream::Aggregated).map(Message::Trade),
            "kline" => read_bar(body),
            "24hrTicker" => read_ticker(body),
            "serverShutdown" => Ok(Message::ShuttingDown),
            _ => Err(FeedError::NotUnderstood { what: "the event `e` is none of the streams read here" }),
        }
    }

    /// Spot's best bid and ask, and whatever is no market data, come without a name.
    fn of_no_event(body: Value<'a>) -> Result<Message<'a>, FeedError> {
        let (mut id, mut code, mut text, mut answer, mut quote) = (None, None, "", false, false);
        for (name, value) in body.fields() {
            match name {
                "id" => id = value.unsigned(),
                "result" => answer = true,
                "code" => code = value.signed(),
                "msg" => text = value.text().unwrap_or_default(),
                "error" => {
                    code = value.field("code").and_then(Value::signed).or(Some(0));
                    text = value.field("msg").and_then(Value::text).unwrap_or_default();
                }
                "u" => quote = true,
                _ => {}
            }
        }
        match code {
            _ if quote => read_quote(body),
            Some(code) => Ok(Message::Refused { id, code, text }),
            None if answer => Ok(Message::Answer { id }),
            None => Err(FeedError::NotUnderstood { what: "neither an event `e` nor an answer" }),
        }
    }
}

/// Levels that changed and the numbers that say where they belong. The levels are still unread on
/// the tape, or were read already where the message was taken in one pass: then they are empty here.
#[derive(Clone, Copy, Debug)]
pub struct Diff<'a> {
    /// Whose.
    pub symbol: &'a [u8],
    /// `U`.
    pub first: u64,
    /// `u`, not below `U`.
    pub last: u64,
    /// `pu`, at futures.
    pub previous: Option<u64>,
    /// `T` where there is one, else `E`.
    pub time: Millis,
    /// For [`read_levels`].
    pub bids: Value<'a>,
    /// For [`read_levels`].
    pub asks: Value<'a>,
}

impl<'a> Diff<'a> {
    #[inline]
    fn read(body: Value<'a>) -> Result<Diff<'a>, FeedError> {
        let (mut symbol, mut first, mut last, mut previous) = (None, None, None, None);
        let (mut bids, mut asks, mut event_time, mut time) = (None, None, None, None);
        for (name, value) in body.fields() {
            match name {
                "s" => symbol = value.text(),
                "U" => first = value.unsigned(),
                "u" => last = value.unsigned(),
                "pu" => previous = value.unsigned(),
                "b" => bids = Some(value),
                "a" => asks = Some(value),
                "E" => event_time = value.signed(),
                "T" => time = value.signed(),
                _ => {}
            }
        }
        let (Some(first), Some(last)) = (first, last) else {
            return Err(FeedError::NotUnderstood { what: "depthUpdate without whole numbers U and u" });
        };
        if first > last {
            return Err(FeedError::NotUnderstood { what: "depthUpdate whose U is above its u" });
        }
        let (Some(bids), Some(asks)) = (bids, asks) else {
            return Err(FeedError::NotUnderstood { what: "depthUpdate without b or a" });
        };
        let symbol = need(symbol, "depthUpdate without s")?.as_bytes();
        Ok(Diff { symbol, first, last, previous, time: time.or(event_time).unwrap_or(0), bids, asks })
    }
}

/// A depth snapshot as REST answers it, its levels still unread.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    /// `lastUpdateId`.
    pub last: u64,
    /// `T` or `E`, at futures.
    pub time: Option<Millis>,
    /// For [`read_levels`].
    pub bids: Value<'a>,
    /// For [`read_levels`].
    pub asks: Value<'a>,
}

impl<'a> Snapshot<'a> {
    /// Reads the answer; `None` when it is no snapshot (but a refusal, say).
    pub fn read(body: Value<'a>) -> Option<Snapshot<'a>> {
        let (mut last, mut bids, mut asks, mut event_time, mut time) = (None, None, None, None, None);
        for (name, value) in body.fields() {
            match name {
                "lastUpdateId" => last = value.unsigned(),
                "bids" => bids = Some(value),
                "asks" => asks = Some(value),
                "E" => event_time = value.signed(),
                "T" => time = value.signed(),
                _ => {}
            }
        }
        Some(Snapshot { last: last?, time: time.or(event_time), bids: bids?, asks: asks? })
    }
}

/// A trade as it was printed.
#[derive(Clone, Debug)]
pub struct Print<'a> {
    /// Whose.
    pub symbol: &'a [u8],
    /// Which stream told it.
    pub stream: TradeStream,
    /// `t` or `a`: they rise, each in its own stream.
    pub id: u64,
    /// False for what futures tell in this stream besides trades (`X` is not `MARKET`: insurance
    /// fund and auto-deleveraging, with a price of 0), which no bar of the venue counts.
    pub counts: bool,
    /// The trade.
    pub trade: Trade,
}

/// The two streams that tell the same trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TradeStream {
    /// `trade`: one message a trade.
    Each,
    /// `aggTrade`: one message for all that a taker got at one price.
    Aggregated,
}

impl<'a> Print<'a> {
    #[inline]
    fn read(body: Value<'a>, stream: TradeStream) -> Result<Print<'a>, FeedError> {
        let id_name = match stream {
            TradeStream::Each => "t",
            TradeStream::Aggregated => "a",
        };
        let (mut symbol, mut id, mut price, mut quantity, mut maker) = (None, None, None, None, None);
        let (mut event_time, mut time, mut first, mut last, mut market) = (None, None, None, None, true);
        for (name, value) in body.fields() {
            match name {
                "s" => symbol = value.text(),
                "p" => price = value.text(),
                "q" => quantity = value.text(),
                "m" => maker = value.truth(),
                "E" => event_time = value.signed(),
                "T" => time = value.signed(),
                "f" => first = value.unsigned(),
                "l" => last = value.unsigned(),
                "X" => market = value.text() == Some("MARKET"),
                // Spot's older `trade` messages hold an order number under `a`.
                name if name == id_name => id = value.unsigned(),
                _ => {}
            }
        }
        let quantity = read_quantity(need(quantity, "a trade without q")?, "q")?;
        let price = read_decimal(need(price, "a trade without p")?, "p")?;
        let id = need(id, "a trade without its number")?;
        let time = need(time.or(event_time), "a trade without a time")?;
        let symbol = need(symbol, "a trade without s")?.as_bytes();
        Ok(Print::of(symbol, stream, id, (price, quantity), maker, time, (first, last), market))
    }

    /// A trade of its parts: `trades` are the first and last number it stands for, and `market`
    /// says whether it was one.
    #[inline]
    #[allow(clippy::too_many_arguments, reason = "they are the fields of one message")]
    pub(super) fn of(
        symbol: &'a [u8],
        stream: TradeStream,
        id: u64,
        (price, quantity): (Decimal, Quantity),
        maker: Option<bool>,
        time: Millis,
        trades: (Option<u64>, Option<u64>),
        market: bool,
    ) -> Print<'a> {
        let many = trades.1.unwrap_or(0).saturating_sub(trades.0.unwrap_or(0)).saturating_add(1);
        let trade = Trade {
            id: TradeId::Number(id),
            price,
            quantity,
            // The buyer was the maker, so the taker sold.
            taker: maker.map(|maker| if maker { Side::Ask } else { Side::Bid }),
            time,
            count: u32::try_from(many).unwrap_or(1),
        };
        Print { symbol, stream, id, counts: market && !quantity.is_zero(), trade }
    }
}

#[inline]
fn read_quote(body: Value<'_>) -> Result<Message<'_>, FeedError> {
    let (mut symbol, mut id, mut event_time, mut time) = (None, None, None, None);
    let (mut bid, mut bid_size, mut ask, mut ask_size) = (None, None, None, None);
    for (name, value) in body.fields() {
        match name {
            "s" => symbol = value.text(),
            "u" => id = value.unsigned(),
            "b" => bid = value.text(),
            "B" => bid_size = value.text(),
            "a" => ask = value.text(),
            "A" => ask_size = value.text(),
            "E" => event_time = value.signed(),
            "T" => time = value.signed(),
            _ => {}
        }
    }
    let quote = Quote {
        update_id: need(id, "bookTicker without u")?,
        bid: read_level(need(bid, "bookTicker without b")?, need(bid_size, "bookTicker without B")?)?,
        ask: read_level(need(ask, "bookTicker without a")?, need(ask_size, "bookTicker without A")?)?,
        time: time.or(event_time),
    };
    Ok(Message::Quote(need(symbol, "bookTicker without s")?.as_bytes(), quote))
}

/// Appends the levels of one side.
///
/// # Errors
/// When it is no array of `["price","quantity"]`, or a number cannot be kept.
#[inline]
pub fn read_levels(side: Value<'_>, levels: &mut Vec<RawLevel>) -> Result<(), FeedError> {
    if !side.is_array() {
        return Err(FeedError::NotUnderstood { what: "a side of a book that is no array" });
    }
    let mut items = side.items();
    while let Some((price, quantity)) = items.next_pair() {
        levels.push(read_level(price, quantity)?);
    }
    if items.is_empty() {
        return Ok(());
    }
    Err(FeedError::NotUnderstood { what: "a level that is not [\"price\",\"quantity\"]" })
}

/// Calls `each` with the symbols of a list of instruments and the smallest steps of their prices;
/// `None` where the venue holds prices to no step.
///
/// # Errors
/// When it is no such list.
pub fn read_instruments(
    body: Value<'_>,
    mut each: impl FnMut(&str, Option<Decimal>),
) -> Result<(), FeedError> {
    let list = need(body.field("symbols"), "the list of instruments has no field `symbols`")?;
    for instrument in list.items() {
        let Some(symbol) = instrument.field("symbol").and_then(Value::text) else { continue };
        let mut filters = instrument.field("filters").map(Value::items).into_iter().flatten();
        let price = filters
            .find(|filter| filter.field("filterType").and_then(Value::text) == Some("PRICE_FILTER"))
            .and_then(|filter| filter.field("tickSize").and_then(Value::text))
            .and_then(|tick| Decimal::parse(tick.as_bytes()).ok());
        // A step of zero means that the filter is switched off.
        each(symbol, price.filter(|tick| tick.mantissa() > 0).map(Decimal::trimmed));
    }
    Ok(())
}

#[inline]
pub(super) fn read_level(price: &str, quantity: &str) -> Result<RawLevel, FeedError> {
    Ok(RawLevel { price: read_decimal(price, "price")?, quantity: read_quantity(quantity, "quantity")? })
}

#[inline]
pub(super) fn read_decimal(text: &str, field: &'static str) -> Result<Decimal, FeedError> {
    Decimal::parse(text.as_bytes()).map_err(|error| bad_number(text, field, error))
}

#[inline]
pub(super) fn read_quantity(text: &str, field: &'static str) -> Result<Quantity, FeedError> {
    Quantity::parse(text.as_bytes()).map_err(|error| bad_number(text, field, error))
}

#[cold]
fn bad_number(text: &str, field: &'static str, error: NumberError) -> FeedError {
    FeedError::BadNumber { field, text: text.chars().take(40).collect(), error }
}

#[inline]
pub(super) fn need<T>(found: Option<T>, what: &'static str) -> Result<T, FeedError> {
    found.ok_or(FeedError::NotUnderstood { what })
}

//! Trades, books and official tickers as publishers write them.

use serde_json::value::RawValue;

use super::Rejection;
use super::object::{Kind, Market};
use crate::ingest::fields::Fields;
use crate::market::{
    BookChange, BookKind, Decimal, Millis, OfficialTicker, Quantity, RawLevel, Side, SymbolId, Trade, TradeId,
};

/// Reads an object whose type is none of a user's.
pub(super) fn read(
    kind: &str,
    fields: &Fields<'_>,
    now: Millis,
    find: &dyn Fn(&str) -> Option<SymbolId>,
) -> Result<Kind, Rejection> {
    type Read = fn(&Fields<'_>, Millis) -> Result<Market, Rejection>;
    let read: Read = match kind {
        "trade" => |fields, now| trade(fields, now).map(Market::Trade),
        "book.snapshot" => |fields, now| book(fields, now, BookKind::Snapshot).map(Market::Book),
        "book.delta" => |fields, now| book(fields, now, BookKind::Delta).map(Market::Book),
        "ticker" => |fields, now| ticker(fields, now).map(Market::Ticker),
        _ => return Err(Rejection::new("UNKNOWN_TYPE", format!("there is no type {:?}", shorten(kind)))),
    };
    let name = text(fields, "symbol")?.ok_or_else(|| Rejection::field("symbol", "a text"))?;
    let unknown = || {
        let message = format!("there is no symbol {:?} here: name it in the configuration", shorten(&name));
        Rejection::new("UNKNOWN_SYMBOL", message)
    };
    let symbol = find(&name).ok_or_else(unknown)?;
    Ok(Kind::Market(symbol, read(fields, now)?))
}

fn trade(fields: &Fields<'_>, now: Millis) -> Result<Trade, Rejection> {
    let time = whole(fields, "timestamp")?.ok_or_else(|| Rejection::field("timestamp", MILLISECONDS))?;
    if (time - now).abs() > DAY {
        let message = format!("\"timestamp\" {time} is more than a day off this server's clock, {now}");
        return Err(Rejection::new("TIME_OFF", message));
    }
    let price = decimal(fields, "price")?.ok_or_else(|| Rejection::field("price", DECIMAL))?;
    let quantity = quantity(fields, "quantity")?.ok_or_else(|| Rejection::field("quantity", DECIMAL))?;
    if price.mantissa() <= 0 || quantity.is_zero() {
        return Err(Rejection::field("price and quantity", "more than zero"));
    }
    let taker = match text(fields, "side")? {
        None => None,
        Some(side) if side.eq_ignore_ascii_case("buy") => Some(Side::Bid),
        Some(side) if side.eq_ignore_ascii_case("sell") => Some(Side::Ask),
        Some(_) => return Err(Rejection::field("side", "BUY or SELL")),
    };
    let raw = fields.raw("tradeId").unwrap_or_default();
    let id = match raw.parse() {
        Ok(number) => TradeId::Number(number),
        Err(_) => {
            let id = text(fields, "tradeId")?.filter(|id| !id.is_empty());
            TradeId::Text(id.ok_or_else(|| Rejection::field("tradeId", "a text or a whole number"))?.into())
        }
    };
    Ok(Trade { id, price, quantity, taker, time, count: 1 })
}

fn book(fields: &Fields<'_>, now: Millis, kind: BookKind) -> Result<Box<BookChange>, Rejection> {
    let number = |name: &str| {
        let number = fields.raw(name).and_then(|raw| raw.parse::<u64>().ok());
        number.ok_or_else(|| Rejection::field(name, "a whole number from 0"))
    };
    let last_update_id = number("lastUpdateId")?;
    let first_update_id = match kind {
        BookKind::Snapshot => last_update_id,
        BookKind::Delta => number("firstUpdateId")?,
    };
    if first_update_id > last_update_id {
        return Err(Rejection::field("firstUpdateId", "at most lastUpdateId"));
    }
    let time = whole(fields, "timestamp")?.unwrap_or(now);
    let (bids, asks) = (levels(fields, "bids")?, levels(fields, "asks")?);
    Ok(Box::new(BookChange { kind, first_update_id, last_update_id, time, bids, asks }))
}

fn levels(fields: &Fields<'_>, name: &str) -> Result<Vec<RawLevel>, Rejection> {
    let wrong = |what: &str| Rejection::field(name, what);
    let raw = fields.raw(name).ok_or_else(|| wrong(LEVELS))?;
    let pairs: Vec<(&RawValue, &RawValue)> = serde_json::from_str(raw).map_err(|_| wrong(LEVELS))?;
    let level = |(price, quantity): (&RawValue, &RawValue)| {
        let price =
            Decimal::parse(quoted(price.get())?.as_bytes()).ok().filter(|price| price.mantissa() > 0)?;
        let quantity = Quantity::parse(quoted(quantity.get())?.as_bytes()).ok()?;
        Some(RawLevel { price, quantity })
    };
    let level = |(at, pair)| level(pair).ok_or_else(|| wrong(&format!("{LEVELS}; number {at} is not")));
    pairs.into_iter().enumerate().map(level).collect()
}

fn ticker(fields: &Fields<'_>, now: Millis) -> Result<Box<OfficialTicker>, Rejection> {
    let price = |name: &str| decimal(fields, name);
    let side = |price: &str, size: &str| -> Result<Option<RawLevel>, Rejection> {
        match (decimal(fields, price)?, quantity(fields, size)?) {
            (Some(price), Some(quantity)) => Ok(Some(RawLevel { price, quantity })),
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => {
                Err(Rejection::field(price, &format!("there together with {size}")))
            }
        }
    };
    let trades =
        fields.raw("trades").map(|raw| raw.parse().map_err(|_| Rejection::field("trades", "a whole number")));
    let ticker = OfficialTicker {
        last_price: price("lastPrice")?,
        open_price: price("openPrice")?,
        price_change: price("priceChange")?,
        price_change_percent: price("priceChangePercent")?,
        high: price("high24h")?,
        low: price("low24h")?,
        volume: price("volume24h")?,
        quote_volume: price("quoteVolume24h")?,
        bid: side("bidPrice", "bidQty")?,
        ask: side("askPrice", "askQty")?,
        open_time: whole(fields, "openTime")?,
        close_time: whole(fields, "closeTime")?,
        trades: trades.transpose()?,
        time: Some(whole(fields, "timestamp")?.unwrap_or(now)),
    };
    Ok(Box::new(ticker))
}

fn decimal(fields: &Fields<'_>, name: &str) -> Result<Option<Decimal>, Rejection> {
    let Some(raw) = fields.raw(name) else { return Ok(None) };
    let read = quoted(raw).and_then(|text| Decimal::parse(text.as_bytes()).ok());
    read.map(Some).ok_or_else(|| Rejection::field(name, DECIMAL))
}

fn quantity(fields: &Fields<'_>, name: &str) -> Result<Option<Quantity>, Rejection> {
    let Some(raw) = fields.raw(name) else { return Ok(None) };
    let read = quoted(raw).and_then(|text| Quantity::parse(text.as_bytes()).ok());
    read.map(Some).ok_or_else(|| Rejection::field(name, DECIMAL))
}

/// The inside of a JSON string that needs no unescaping: no decimal does.
fn quoted(raw: &str) -> Option<&str> {
    raw.strip_prefix('"')?.strip_suffix('"')
}

fn text(fields: &Fields<'_>, name: &str) -> Result<Option<String>, Rejection> {
    let read = |raw| serde_json::from_str(raw).map_err(|_| Rejection::field(name, "a text"));
    fields.raw(name).map(read).transpose()
}

fn whole(fields: &Fields<'_>, name: &str) -> Result<Option<Millis>, Rejection> {
    // Beyond this no time is meant, and none can be added to.
    let read = |raw: &str| raw.parse().ok().filter(|time: &Millis| (0..=FARTHEST).contains(time));
    let read = |raw| read(raw).ok_or_else(|| Rejection::field(name, MILLISECONDS));
    fields.raw(name).map(read).transpose()
}

fn shorten(text: &str) -> String {
    text.chars().take(64).collect()
}

const DECIMAL: &str = "a decimal number as text, such as \"45000.00\"";
const LEVELS: &str = "a list of [\"price\",\"quantity\"]";
const MILLISECONDS: &str = "a time in milliseconds since 1970";
const DAY: Millis = 24 * 3_600_000;
const FARTHEST: Millis = 1 << 48;

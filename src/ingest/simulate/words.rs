//! What the simulated exchange says, in the words of Binance's spot streams and REST interface.

use super::{
    levels::Resting,
    matching::{Did, Market},
};
use crate::market::{Decimal, Millis};

/// A symbol's messages up to where they differ, so that they are not put together again each time.
#[derive(Debug)]
pub(super) struct Words {
    depth: Vec<u8>,
    trade: Vec<u8>,
    quote: Vec<u8>,
    /// `,"s":"BTCUSDT"` and what follows it.
    symbol_first: Vec<u8>,
    symbol_trade: Vec<u8>,
    symbol_quote: Vec<u8>,
}

/// The units of `10^-8` in a tick and in a lot.
pub(super) type Steps = (i64, i64);

impl Words {
    pub(super) fn new(name: &str) -> Words {
        let stream = escaped(&name.to_lowercase());
        let name = escaped(name);
        let symbol = |next: &str| format!(",\"s\":\"{name}\",\"{next}\":").into_bytes();
        Words {
            depth: format!("{{\"stream\":\"{stream}@depth@100ms\",\"data\":{{\"e\":\"depthUpdate\",\"E\":")
                .into_bytes(),
            trade: format!("{{\"stream\":\"{stream}@trade\",\"data\":{{\"e\":\"trade\",\"E\":").into_bytes(),
            quote: format!("{{\"stream\":\"{stream}@bookTicker\",\"data\":{{\"u\":").into_bytes(),
            symbol_first: symbol("U"),
            symbol_trade: symbol("t"),
            symbol_quote: symbol("b"),
        }
    }

    pub(super) fn depth_update(&self, did: &Did, last: u64, steps: Steps, now: Millis, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.depth);
        number(now, out);
        out.extend_from_slice(&self.symbol_first);
        number(did.first_update, out);
        out.extend_from_slice(b",\"u\":");
        number(last, out);
        out.extend_from_slice(b",\"b\":");
        levels(&did.bids, steps, out);
        out.extend_from_slice(b",\"a\":");
        levels(&did.asks, steps, out);
        out.extend_from_slice(b"}}");
    }

    pub(super) fn trade(&self, did: &Did, at: usize, (tick, lot): Steps, now: Millis, out: &mut Vec<u8>) {
        let trade = did.trades[at];
        out.extend_from_slice(&self.trade);
        number(now, out);
        out.extend_from_slice(&self.symbol_trade);
        number(did.first_trade + at as u64, out);
        out.extend_from_slice(b",\"p\":");
        quantity(trade.ticks * tick, out);
        out.extend_from_slice(b",\"q\":");
        quantity(trade.lots * lot, out);
        out.extend_from_slice(b",\"T\":");
        number(now, out);
        out.extend_from_slice(b",\"m\":");
        out.extend_from_slice(if did.taker_sold { b"true" } else { b"false" });
        out.extend_from_slice(b",\"M\":true}}");
    }

    pub(super) fn quote(&self, update: u64, bid: Resting, ask: Resting, steps: Steps, out: &mut Vec<u8>) {
        let (tick, lot) = steps;
        out.extend_from_slice(&self.quote);
        number(update, out);
        out.extend_from_slice(&self.symbol_quote);
        quantity(bid.ticks * tick, out);
        out.extend_from_slice(b",\"B\":");
        quantity(bid.lots * lot, out);
        out.extend_from_slice(b",\"a\":");
        quantity(ask.ticks * tick, out);
        out.extend_from_slice(b",\"A\":");
        quantity(ask.lots * lot, out);
        out.extend_from_slice(b"}}");
    }
}

/// `GET /api/v3/depth`.
pub(super) fn depth_snapshot(market: &Market, out: &mut Vec<u8>) {
    let steps = (market.instrument.tick, market.instrument.lot);
    out.extend_from_slice(b"{\"lastUpdateId\":");
    number(market.last_update, out);
    out.extend_from_slice(b",\"bids\":");
    levels(market.bids.iter(), steps, out);
    out.extend_from_slice(b",\"asks\":");
    levels(market.asks.iter(), steps, out);
    out.push(b'}');
}

/// `GET /api/v3/exchangeInfo`.
pub(super) fn exchange_info(markets: &[Market], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"timezone\":\"UTC\",\"rateLimits\":[],\"exchangeFilters\":[],\"symbols\":[");
    for (place, market) in markets.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        let (base, quote) = market.instrument.assets();
        let (name, base, quote) = (escaped(market.name()), escaped(base), escaped(quote));
        let tick = Decimal::new(market.instrument.tick, DECIMALS);
        let lot = Decimal::new(market.instrument.lot, DECIMALS);
        let most_price = Decimal::new(market.instrument.tick * MOST_STEPS, DECIMALS);
        let most_lots = Decimal::new(market.instrument.lot * MOST_STEPS, DECIMALS);
        out.extend_from_slice(
            format!(
                "{{\"symbol\":\"{name}\",\"status\":\"TRADING\",\"baseAsset\":\"{base}\",\
                 \"baseAssetPrecision\":8,\"quoteAsset\":\"{quote}\",\"quotePrecision\":8,\"filters\":[\
                 {{\"filterType\":\"PRICE_FILTER\",\"minPrice\":\"{tick}\",\"maxPrice\":\"{most_price}\",\
                 \"tickSize\":\"{tick}\"}},\
                 {{\"filterType\":\"LOT_SIZE\",\"minQty\":\"{lot}\",\"maxQty\":\"{most_lots}\",\
                 \"stepSize\":\"{lot}\"}}]}}"
            )
            .as_bytes(),
        );
    }
    out.extend_from_slice(b"]}");
}

fn levels<'a>(levels: impl IntoIterator<Item = &'a Resting>, (tick, lot): Steps, out: &mut Vec<u8>) {
    out.push(b'[');
    for (place, level) in levels.into_iter().enumerate() {
        out.extend_from_slice(if place == 0 { b"[" } else { b",[" });
        quantity(level.ticks * tick, out);
        out.push(b',');
        quantity(level.lots * lot, out);
        out.push(b']');
    }
    out.push(b']');
}

/// A price or a quantity as Binance writes them: in quotes, with eight decimals.
fn quantity(units: i64, out: &mut Vec<u8>) {
    out.push(b'"');
    Decimal::new(units, DECIMALS).write(out);
    out.push(b'"');
}

fn number(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// A name within a JSON string: a symbol may hold a quote or a backslash.
fn escaped(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"")
}

const DECIMALS: u8 = 8;

/// The highest price and the largest order, in steps.
const MOST_STEPS: i64 = 100_000_000;

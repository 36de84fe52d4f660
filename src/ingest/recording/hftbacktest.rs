//! Captures of hftbacktest's collector: nanoseconds, and the message of a combined stream.

use std::sync::Arc;

use super::file::Lines;
use super::{Entry, RecordKind, digits, split_once};
use crate::ingest::binance::Market;

/// What was learnt from the lines so far.
pub(super) struct HftBacktest {
    market: Market,
    /// Whether a message told the market, or only the names of folders.
    sure: bool,
    /// Of the first message, or else of the file's name: a file holds one symbol, whose depth
    /// answer does not name it at most markets.
    symbol: Option<Arc<str>>,
    symbol_told: bool,
    last: i64,
}

impl HftBacktest {
    /// Whether this can be the first line.
    pub(super) fn of(lines: &Lines) -> Option<HftBacktest> {
        read(&lines.line)?;
        let path = lines.path.to_string_lossy().to_lowercase();
        let market = match path.as_str() {
            path if path.contains("coinm") || path.contains("/cm/") => Market::CoinM,
            path if path.contains("usdm") || path.contains("/um/") => Market::UsdM,
            path if path.contains("binance_us") => Market::Us,
            _ => Market::Spot,
        };
        let name = lines.path.file_name()?.to_string_lossy().to_uppercase();
        let symbol =
            name.rsplit_once('_').map(|(symbol, _)| symbol.strip_prefix("HFT_").unwrap_or(symbol).into());
        Some(HftBacktest { market, sure: false, symbol, symbol_told: false, last: 0 })
    }

    pub(super) fn entry(&mut self, line: &[u8]) -> Option<Entry> {
        if line.is_empty() {
            return None;
        }
        let Some((micros, message)) = read(line) else {
            let kind = RecordKind::Unreadable { what: "not nanoseconds and a message" };
            return Some(Entry { micros: self.last, market: self.market, kind, payload: 0..0 });
        };
        self.last = micros;
        if !self.sure
            && let Some(market) = told(message, self.market)
        {
            (self.market, self.sure) = (market, true);
        }
        let kind = if message.starts_with(br#"{"lastUpdateId""#) {
            match text_of(head(message), br#""symbol":""#).map(Arc::from).or_else(|| self.symbol.clone()) {
                Some(symbol) => RecordKind::Depth { symbol },
                None => RecordKind::Unreadable { what: "a depth answer of no known symbol" },
            }
        } else {
            self.learn_symbol(message);
            RecordKind::Frame
        };
        let payload = line.len() - message.len()..line.len();
        Some(Entry { micros, market: self.market, kind, payload })
    }

    fn learn_symbol(&mut self, message: &[u8]) {
        if !self.symbol_told
            && let Some(symbol) = text_of(head(message), br#""s":""#)
        {
            (self.symbol, self.symbol_told) = (Some(symbol.into()), true);
        }
    }
}

fn read(line: &[u8]) -> Option<(i64, &[u8])> {
    let (time, message) = split_once(line, b" ")?;
    let nanos = digits(time)?;
    (time.len() >= 16 && message.starts_with(b"{")).then_some((nanos / 1_000, message))
}

/// The market that only this message can come from; what spot and binance.us share says nothing
/// against the folder's name.
pub(super) fn told(message: &[u8], folder: Market) -> Option<Market> {
    let has = |part: &[u8]| head(message).windows(part.len()).any(|window| window == part);
    let named = |field: &[u8]| text_of(head(message), field);
    let coin = || named(br#""s":""#).or(named(br#""symbol":""#)).is_some_and(is_coin_margined);
    if has(br#""ps":""#) || coin() {
        return Some(Market::CoinM);
    }
    if message.starts_with(br#"{"lastUpdateId""#) {
        // Spot markets answer without a time.
        return has(br#""E":"#).then_some(Market::UsdM);
    }
    if has(br#""pu":"#)
        || has(br#""X":""#)
        || has(br#""e":"bookTicker""#)
        || (has(br#""e":"aggTrade""#) && !has(br#""M":"#))
    {
        return Some(Market::UsdM);
    }
    let spot = has(br#""e":"depthUpdate""#) || has(br#""M":"#) || (has(br#""u":"#) && !has(br#""e":"#));
    spot.then_some(if folder == Market::Us { Market::Us } else { Market::Spot })
}

/// `BTCUSD_PERP` or `BNBUSD_240927`, but not `BTCBUSD_210129`.
fn is_coin_margined(symbol: &str) -> bool {
    symbol.split_once('_').is_some_and(|(pair, kind)| {
        let busd = pair.ends_with("BUSD") && pair != "BNBUSD";
        kind == "PERP" || (pair.ends_with("USD") && !busd)
    })
}

/// Where the fields before the levels stand.
fn head(message: &[u8]) -> &[u8] {
    &message[..message.len().min(300)]
}

fn text_of<'a>(message: &'a [u8], before: &[u8]) -> Option<&'a str> {
    let (_, rest) = split_once(message, before)?;
    std::str::from_utf8(split_once(rest, b"\"")?.0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_message_tells_the_market() {
        let spot = Market::Spot;
        assert_eq!(told(br#"{"e":"depthUpdate","s":"X","U":1,"u":2,"b":[]}"#, spot), Some(spot));
        assert_eq!(told(br#"{"e":"depthUpdate","s":"X","U":1,"u":2,"b":[]}"#, Market::Us), Some(Market::Us));
        assert_eq!(told(br#"{"u":5,"s":"BNBUSDT","b":"1","B":"1","a":"2","A":"1"}"#, spot), Some(spot));
        assert_eq!(told(br#"{"e":"depthUpdate","s":"X","U":1,"u":2,"pu":0}"#, spot), Some(Market::UsdM));
        assert_eq!(told(br#"{"e":"bookTicker","u":5,"s":"BTCUSDT"}"#, spot), Some(Market::UsdM));
        assert_eq!(told(br#"{"e":"trade","s":"BTCUSDT","X":"MARKET"}"#, spot), Some(Market::UsdM));
        assert_eq!(told(br#"{"e":"trade","s":"BTCUSD_PERP","X":"MARKET"}"#, spot), Some(Market::CoinM));
        let agg = br#"{"e":"aggTrade","s":"BTCUSDT","a":1,"p":"1","q":"1","f":1,"l":1,"T":1,"m":true}"#;
        assert_eq!(told(agg, spot), Some(Market::UsdM));
        let agg =
            br#"{"e":"aggTrade","s":"BTCUSDT","a":1,"p":"1","q":"1","f":1,"l":1,"T":1,"m":true,"M":true}"#;
        assert_eq!(told(agg, spot), Some(spot));
        assert_eq!(told(br#"{"e":"kline","s":"BTCUSDT","k":{}}"#, spot), None);
        assert_eq!(told(br#"{"lastUpdateId":1,"E":5,"T":4,"bids":[]}"#, spot), Some(Market::UsdM));
        assert_eq!(
            told(br#"{"lastUpdateId":1,"symbol":"BNBUSD_PERP","pair":"BNBUSD"}"#, spot),
            Some(Market::CoinM)
        );
        assert_eq!(told(br#"{"lastUpdateId":1,"symbol":"BTCBUSD_210129"}"#, spot), None);
        assert_eq!(told(br#"{"lastUpdateId":1,"bids":[]}"#, spot), None);
    }
}

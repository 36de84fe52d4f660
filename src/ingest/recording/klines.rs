//! Tables of klines: twelve columns, with or without a header; the name tells symbol and interval.

use std::sync::Arc;

use super::{Entry, RecordKind, digits};
use crate::ingest::binance::Market;
use crate::market::{Decimal, Interval, Millis, NumberError, Quantity, SourceBar};

/// Whose klines they are.
pub(super) struct Klines {
    symbol: Arc<str>,
    interval: Interval,
    last: Millis,
    header_may_come: bool,
}

impl Klines {
    /// Whether the file's name and first line are those of a table of klines.
    pub(super) fn of(line: &[u8], name: &str) -> Option<Klines> {
        let (symbol, interval) = symbol_and_interval(name)?;
        let columns = line.split(|&byte| byte == b',').count();
        let symbol = symbol.into();
        (columns == COLUMNS).then_some(Klines { symbol, interval, last: 0, header_may_come: true })
    }

    pub(super) fn entry(&mut self, line: &[u8]) -> Option<Entry> {
        if line.is_empty() || (std::mem::take(&mut self.header_may_come) && !line[0].is_ascii_digit()) {
            return None;
        }
        let kind = match read_row(line, self.interval) {
            Some(bar) => {
                self.last = self.interval.close_time(bar.open_time);
                RecordKind::Bar { symbol: self.symbol.clone(), bar: Box::new(bar) }
            }
            None => RecordKind::Unreadable { what: "not the twelve columns of a kline" },
        };
        let micros = self.last.saturating_mul(1_000);
        Some(Entry { micros, market: Market::Spot, kind, payload: 0..0 })
    }
}

fn read_row(line: &[u8], interval: Interval) -> Option<SourceBar> {
    let mut columns: [&[u8]; COLUMNS] = [b""; COLUMNS];
    let mut found = line.split(|&byte| byte == b',');
    for column in &mut columns {
        *column = found.next()?;
    }
    let [open_time, open, high, low, close, volume, _, quote, trades, taker, taker_quote, _] = columns;
    let numbers = || -> Result<_, NumberError> {
        let prices = [open, high, low, close].map(Decimal::parse);
        let volumes = [volume, quote, taker, taker_quote].map(Quantity::parse);
        let ([open, high, low, close], [volume, quote, taker, taker_quote]) = (prices, volumes);
        Ok(([open?, high?, low?, close?], [volume?, quote?, taker?, taker_quote?]))
    };
    let ([open, high, low, close], [volume, quote_volume, taker_volume, taker_quote_volume]) =
        numbers().ok()?;
    let open_time = digits(open_time)?;
    Some(SourceBar {
        interval,
        // Since 2025 the venue's spot files count microseconds.
        open_time: if open_time >= FIRST_MICROS { open_time / 1_000 } else { open_time },
        open,
        high,
        low,
        close,
        volume,
        quote_volume,
        taker_volume,
        taker_quote_volume,
        trades: u64::try_from(digits(trades)?).ok()?,
        closed: true,
    })
}

/// `BTCUSDT-1m-2024-03-04.csv`, `klines_1m_BTCUSDT_20240808_2355-2359.csv` or `BTCUSDT_1m.csv`.
fn symbol_and_interval(name: &str) -> Option<(String, Interval)> {
    let stem = name.split('.').next()?;
    let mut parts = stem.split('-');
    if let (Some(symbol), Some(interval)) = (parts.next(), parts.next().and_then(Interval::from_name)) {
        return Some((symbol.to_owned(), interval));
    }
    let parts: Vec<_> = stem.split('_').collect();
    let at = parts.iter().position(|part| Interval::from_name(part).is_some())?;
    let interval = Interval::from_name(parts[at])?;
    let symbol = match parts[..at] {
        // A name of a future holds `_`, too: what follows it is a day.
        ["klines" | "kline"] => {
            let after = parts[at + 1..].iter().copied();
            after
                .take_while(|part| part.len() != DAY || digits(part.as_bytes()).is_none())
                .collect::<Vec<_>>()
                .join("_")
        }
        [] => return None,
        ref before => before.join("_"),
    };
    (!symbol.is_empty()).then_some((symbol, interval))
}

/// The length of `20240808`; a delivery day in a symbol has six digits.
const DAY: usize = 8;

const COLUMNS: usize = 12;

/// As milliseconds this would be in the year 5138.
const FIRST_MICROS: i64 = 100_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expect: Option<(&str, Interval)>) {
        assert_eq!(symbol_and_interval(name), expect.map(|(symbol, i)| (symbol.to_owned(), i)), "{name}");
    }

    #[test]
    fn the_name_tells_symbol_and_interval() {
        check("BTCUSDT-1m-2024-03-04.csv", Some(("BTCUSDT", Interval::M1)));
        check("BTCUSD_PERP-1M-2024.csv", Some(("BTCUSD_PERP", Interval::Month1)));
        check("klines_1m_BTCUSDT_20240808_2355-2359.csv", Some(("BTCUSDT", Interval::M1)));
        check("klines_1m_BTCUSD_PERP_20240808_2355-2359.csv", Some(("BTCUSD_PERP", Interval::M1)));
        check("klines_1h_BTCUSD_240927_20240808.csv", Some(("BTCUSD_240927", Interval::H1)));
        check("klines_1h_BTCUSDT.csv", Some(("BTCUSDT", Interval::H1)));
        check("klines_1h_20240808.csv", None);
        check("BTCUSD_PERP_15m.csv.gz", Some(("BTCUSD_PERP", Interval::M15)));
        check("trades.csv", None);
        check("1m.csv", None);
    }

    #[test]
    fn a_row_may_count_milliseconds_or_microseconds() {
        let row = |time: &str| format!("{time},1.0,2.0,0.5,1.5,10,{time},12.5,3,4,5.5,0");
        let milliseconds = read_row(row("1709510400000").as_bytes(), Interval::M1).unwrap();
        let microseconds = read_row(row("1709510400000000").as_bytes(), Interval::M1).unwrap();
        assert_eq!(milliseconds, microseconds);
        assert_eq!((milliseconds.open_time, milliseconds.trades), (1_709_510_400_000, 3));
        assert_eq!(read_row(row("").as_bytes(), Interval::M1), None);
        assert_eq!(read_row(b"1,2,3", Interval::M1), None);
    }
}

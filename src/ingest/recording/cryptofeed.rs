//! Captures of cryptofeed: seconds with a fraction, and the address of each connection and request.

use super::file::Lines;
use super::hftbacktest::told;
use super::{Entry, RecordKind, RecordingError, digits, split_once};
use crate::ingest::binance::Market;

/// What was learnt from the lines so far.
pub(super) struct Cryptofeed {
    /// Of the connection opened last, which the frames belong to; of the frames themselves in a
    /// file that goes on where another ended.
    market: Option<Market>,
    /// Whether an address of the venue was met: another one is then an odd line.
    ours: bool,
    last: i64,
}

impl Cryptofeed {
    /// Whether this can be the first line.
    pub(super) fn of(line: &[u8]) -> Option<Cryptofeed> {
        let fits = line.starts_with(b"configuration: ")
            || Connection::of(line).is_some()
            || split_once(line, b": ").is_some_and(|(time, _)| micros(time).is_some());
        fits.then_some(Cryptofeed { market: None, ours: false, last: 0 })
    }

    pub(super) fn entry(&mut self, lines: &Lines) -> Result<Option<Entry>, RecordingError> {
        let line = &lines.line;
        if let Some((time, frame)) = split_once(line, b": ")
            && let Some(micros) = micros(time)
        {
            self.last = micros;
            let payload = line.len() - frame.len()..line.len();
            self.market = self.market.or_else(|| told(frame, Market::Spot));
            return Ok(Some(match self.market {
                Some(market) => Entry { micros, market, kind: RecordKind::Frame, payload },
                None => {
                    self.unreadable("a frame before any connection was opened, and of no market for sure")
                }
            }));
        }
        if line.is_empty() || line.starts_with(b"configuration: ") {
            return Ok(None);
        }
        let Some(connection) = Connection::of(line) else {
            return Ok(Some(self.unreadable("neither a frame nor a connection nor an answer")));
        };
        let Some(market) = market_of(connection.url) else {
            if self.ours {
                return Ok(Some(self.unreadable("of another venue than the lines before")));
            }
            let what = connection.url.chars().take(80).collect();
            return Err(RecordingError::OtherVenue { path: lines.path.clone(), line: lines.number, what });
        };
        self.ours = true;
        self.last = connection.micros;
        Ok(self.connection(&connection, market, line.len()))
    }

    fn connection(&mut self, connection: &Connection<'_>, market: Market, end: usize) -> Option<Entry> {
        let (kind, payload) = match connection.way {
            Way::Opened => {
                self.market = Some(market);
                (RecordKind::Connected, 0..0)
            }
            Way::Answer => (RecordKind::of_url(connection.url)?, end - connection.body.len()..end),
            Way::Request => return None,
        };
        Some(Entry { micros: connection.micros, market, kind, payload })
    }

    fn unreadable(&self, what: &'static str) -> Entry {
        let market = self.market.unwrap_or(Market::Spot);
        Entry { micros: self.last, market, kind: RecordKind::Unreadable { what }, payload: 0..0 }
    }
}

enum Way {
    Opened,
    Answer,
    Request,
}

struct Connection<'a> {
    url: &'a str,
    way: Way,
    micros: i64,
    body: &'a [u8],
}

impl<'a> Connection<'a> {
    fn of(line: &'a [u8]) -> Option<Connection<'a>> {
        let (url, rest) = split_once(line, b" ")?;
        let url = std::str::from_utf8(url).ok().filter(|url| url.contains("://"))?;
        let (way, rest) = split_once(rest, b" ")?;
        let way = match way {
            b"<->" => Way::Opened,
            b"->" => Way::Answer,
            b"<-" => Way::Request,
            _ => return None,
        };
        let (time, body) = split_once(rest, b": ").unwrap_or((rest, b""));
        Some(Connection { url, way, micros: micros(time)?, body })
    }
}

/// The market behind an address.
pub(super) fn market_of(url: &str) -> Option<Market> {
    let host = url.split_once("://")?.1.split(['/', ':', '?']).next()?;
    match host {
        "fstream.binance.com" | "fapi.binance.com" => Some(Market::UsdM),
        "dstream.binance.com" | "dapi.binance.com" => Some(Market::CoinM),
        _ if host == "binance.us" || host.ends_with(".binance.us") => Some(Market::Us),
        _ if host.ends_with(".binance.com") || host.ends_with(".binance.vision") => Some(Market::Spot),
        _ => None,
    }
}

/// `1617566591.326123` as microseconds; digits past the sixth are cut.
fn micros(text: &[u8]) -> Option<i64> {
    let (whole, fraction) = split_once(text, b".").unwrap_or((text, b"0"));
    let seconds = digits(whole)?;
    let cut = &fraction[..fraction.len().min(6)];
    let power = 10_i64.pow(6 - u32::try_from(cut.len()).ok()?);
    seconds.checked_mul(1_000_000)?.checked_add(digits(cut)? * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_whatever_their_number_of_digits() {
        assert_eq!(micros(b"1617566591.326123"), Some(1_617_566_591_326_123));
        assert_eq!(micros(b"1618677448.40599"), Some(1_618_677_448_405_990));
        assert_eq!(micros(b"1618677372.1768699"), Some(1_618_677_372_176_869));
        assert_eq!(micros(b"1618677372"), Some(1_618_677_372_000_000));
        for wrong in [&b""[..], b".", b"1.", b"-1.5", b"1.x", b"99999999999999999999.1"] {
            assert_eq!(micros(wrong), None);
        }
    }

    #[test]
    fn the_address_tells_the_market() {
        assert_eq!(market_of("wss://stream.binance.com:9443/stream?streams=x"), Some(Market::Spot));
        assert_eq!(market_of("https://www.binance.com/api/v1/depth?symbol=X"), Some(Market::Spot));
        assert_eq!(market_of("wss://stream.binance.us:9443/stream"), Some(Market::Us));
        assert_eq!(market_of("wss://fstream.binance.com/stream"), Some(Market::UsdM));
        assert_eq!(market_of("https://dapi.binance.com/dapi/v1/depth"), Some(Market::CoinM));
        assert_eq!(market_of("wss://ws.kraken.com"), None);
        assert_eq!(market_of("wss://evil.com/.binance.com"), None);
    }
}

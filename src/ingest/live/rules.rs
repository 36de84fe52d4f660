//! What Binance publishes about each of its markets: addresses, paths, weights, limits.

use std::time::Duration;

use super::config::DepthSpeed;
use crate::ingest::binance::Market;

/// The published facts of one market.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Where its streams are.
    pub(crate) ws_url: &'static str,
    /// Where its REST is.
    pub(crate) rest_url: &'static str,
    /// What stands before the names of REST requests.
    api: &'static str,
    /// The most levels a side in a depth answer.
    depth_levels: u32,
    /// What such an answer weighs.
    pub(crate) depth_weight: u32,
    /// What the list of instruments weighs.
    pub(crate) instruments_weight: u32,
    /// The weight that all requests of one address may have in a minute.
    pub(crate) weight_a_minute: u32,
    /// Its pings come at least this often.
    pub(crate) ping_every: Duration,
    /// Leaves out of the list of instruments what makes it too long, where that can be said.
    instruments_query: &'static str,
    /// Its streams, by the path on which they are served. A path accepts the streams of another
    /// one, answers that all is well, and never sends them.
    pub(crate) routes: &'static [Route],
}

/// Streams that one path serves.
#[derive(Debug)]
pub(crate) struct Route {
    /// The path.
    pub(crate) path: &'static str,
    /// Whether the diffs of the book are among them.
    pub(crate) depth: bool,
    /// The others, as they stand after the symbol.
    pub(crate) others: &'static [&'static str],
}

const ALL_ON_ONE: &[Route] =
    &[Route { path: "/stream", depth: true, others: &["@trade", "@bookTicker", "@ticker"] }];

/// USD-M futures split their streams in April 2026; the plain `/stream` has no tickers since then.
const USD_M: &[Route] = &[
    Route { path: "/public/stream", depth: true, others: &["@trade", "@bookTicker"] },
    Route { path: "/market/stream", depth: false, others: &["@ticker"] },
];

const SPOT: Rules = Rules {
    ws_url: "wss://stream.binance.com:9443",
    rest_url: "https://api.binance.com",
    api: "/api/v3",
    depth_levels: 5_000,
    depth_weight: 250,
    instruments_weight: 20,
    weight_a_minute: 6_000,
    ping_every: Duration::from_secs(20),
    instruments_query: "?showPermissionSets=false",
    routes: ALL_ON_ONE,
};

const US: Rules = Rules {
    ws_url: "wss://stream.binance.us:9443",
    rest_url: "https://api.binance.us",
    depth_weight: 50,
    instruments_weight: 10,
    weight_a_minute: 1_200,
    // Its pings come every three minutes, as those of binance.com did before.
    ping_every: Duration::from_secs(180),
    instruments_query: "",
    ..SPOT
};

const USDM: Rules = Rules {
    ws_url: "wss://fstream.binance.com",
    rest_url: "https://fapi.binance.com",
    api: "/fapi/v1",
    depth_levels: 1_000,
    depth_weight: 20,
    instruments_weight: 1,
    weight_a_minute: 2_400,
    ping_every: Duration::from_secs(180),
    instruments_query: "",
    routes: USD_M,
};

const COINM: Rules = Rules {
    ws_url: "wss://dstream.binance.com",
    rest_url: "https://dapi.binance.com",
    api: "/dapi/v1",
    routes: ALL_ON_ONE,
    ..USDM
};

impl Rules {
    /// The rules of a market.
    pub(crate) const fn of(market: Market) -> &'static Rules {
        match market {
            Market::Spot => &SPOT,
            Market::Us => &US,
            Market::UsdM => &USDM,
            Market::CoinM => &COINM,
        }
    }

    /// The path and query that ask for the book of `symbol`.
    pub(crate) fn depth_path(&self, symbol: &str) -> String {
        format!("{}/depth?symbol={}&limit={}", self.api, percent_encoded(symbol), self.depth_levels)
    }

    /// The path and query that ask for the list of instruments.
    pub(crate) fn instruments_path(&self) -> String {
        format!("{}/exchangeInfo{}", self.api, self.instruments_query)
    }
}

impl Route {
    /// How many streams a symbol has here.
    pub(crate) fn streams_a_symbol(&self) -> usize {
        self.others.len() + usize::from(self.depth)
    }

    /// The names of the streams of one symbol.
    pub(crate) fn streams<'a>(
        &'a self,
        symbol: &'a str,
        speed: DepthSpeed,
    ) -> impl Iterator<Item = String> + use<'a> {
        let depth = self.depth.then_some(match speed {
            DepthSpeed::Fastest => "@depth@100ms",
            DepthSpeed::Relaxed => "@depth",
        });
        let symbol = symbol.to_lowercase();
        depth.into_iter().chain(self.others.iter().copied()).map(move |stream| format!("{symbol}{stream}"))
    }
}

/// Symbols with letters outside ASCII exist, and may not stand in an address as they are.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_written_as_each_market_wants_them() {
        let path = |market, symbol| Rules::of(market).depth_path(symbol);
        assert_eq!(path(Market::Spot, "BTCUSDT"), "/api/v3/depth?symbol=BTCUSDT&limit=5000");
        assert_eq!(path(Market::CoinM, "BTCUSD_PERP"), "/dapi/v1/depth?symbol=BTCUSD_PERP&limit=1000");
        assert_eq!(path(Market::UsdM, "币安USDT"), "/fapi/v1/depth?symbol=%E5%B8%81%E5%AE%89USDT&limit=1000");
        assert_eq!(Rules::of(Market::Us).instruments_path(), "/api/v3/exchangeInfo");
    }

    #[test]
    fn each_stream_of_a_symbol_is_served_by_one_path() {
        for market in Market::ALL {
            let routes = Rules::of(market).routes;
            let mut streams: Vec<String> =
                routes.iter().flat_map(|route| route.streams("BTCUSDT", DepthSpeed::Fastest)).collect();
            streams.sort();
            let all = ["btcusdt@bookTicker", "btcusdt@depth@100ms", "btcusdt@ticker", "btcusdt@trade"];
            assert_eq!(streams, all, "{market:?}");
            assert_eq!(routes.iter().map(Route::streams_a_symbol).sum::<usize>(), 4);
        }
    }
}

//! Which streams share a connection, and the requests that subscribe to them.

use std::sync::Arc;

use super::config::LiveConfig;
use super::rules::{Route, Rules};
use crate::market::SymbolId;

/// The streams of one connection.
pub(crate) struct Plan {
    /// The path that serves them.
    pub(crate) path: &'static str,
    /// The requests that subscribe to all of them; the `id` of each is its place, from 1.
    pub(crate) requests: Arc<[String]>,
    /// The symbols whose books are built from them.
    pub(crate) books: Vec<SymbolId>,
}

/// Spreads the streams of all symbols over as few connections as the limits allow.
///
/// The streams of a symbol that one path serves stay together: its trades and its book then end and
/// begin at the same moment.
pub(crate) fn plan(rules: &Rules, config: &LiveConfig, symbols: &[(SymbolId, Arc<str>)]) -> Vec<Plan> {
    let mut plans = Vec::new();
    for route in rules.routes {
        let at_once = (config.streams_a_connection / route.streams_a_symbol()).max(1);
        plans.extend(symbols.chunks(at_once).map(|symbols| plan_one(route, config, symbols)));
    }
    plans
}

fn plan_one(route: &'static Route, config: &LiveConfig, symbols: &[(SymbolId, Arc<str>)]) -> Plan {
    let streams: Vec<String> =
        symbols.iter().flat_map(|(_, name)| route.streams(name, config.depth_speed)).collect();
    let requests = streams.chunks(config.streams_a_request.max(1)).zip(1..).map(|(streams, id)| {
        serde_json::json!({ "method": "SUBSCRIBE", "params": streams, "id": id }).to_string()
    });
    let books = if route.depth { symbols.iter().map(|(id, _)| *id).collect() } else { Vec::new() };
    Plan { path: route.path, requests: requests.collect(), books }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::binance::Market;

    fn symbols(count: u32) -> Vec<(SymbolId, Arc<str>)> {
        (0..count).map(|at| (SymbolId(at), format!("S{at}USDT").into())).collect()
    }

    #[test]
    fn no_connection_has_more_streams_than_allowed_and_none_is_left_out() {
        let config = LiveConfig::default();
        let plans = plan(Rules::of(Market::Spot), &config, &symbols(600));
        let streams = |plan: &Plan| plan.requests.iter().map(|text| text.matches('@').count()).sum::<usize>();
        let sizes: Vec<usize> = plans.iter().map(|plan| plan.books.len()).collect();
        assert_eq!(sizes, [256, 256, 88]);
        // `@depth@100ms` has two signs, the other three streams of a symbol one each.
        assert_eq!(streams(&plans[0]), 256 * 5);
        assert_eq!(plans[0].requests.len(), 11);
    }

    #[test]
    fn a_request_is_written_as_the_venue_wants_it() {
        let plans = plan(Rules::of(Market::UsdM), &LiveConfig::default(), &symbols(1));
        let texts: Vec<(&str, &str)> =
            plans.iter().map(|plan| (plan.path, plan.requests[0].as_str())).collect();
        let public = r#"{"id":1,"method":"SUBSCRIBE","params":["s0usdt@depth@100ms","s0usdt@trade","s0usdt@bookTicker"]}"#;
        let market = r#"{"id":1,"method":"SUBSCRIBE","params":["s0usdt@ticker"]}"#;
        assert_eq!(texts, [("/public/stream", public), ("/market/stream", market)]);
    }
}

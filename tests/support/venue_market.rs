//! The venue's true books, and the texts that tell of them.

use std::collections::BTreeMap;

/// How a market numbers its diffs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Every number is in some diff: `U` is the last `u` plus one.
    Spot,
    /// Numbers are shared between symbols: `pu` is the last `u`.
    Futures,
}

/// Bids and asks, each price with its quantity, as texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Book {
    /// Buyers.
    pub(crate) bids: BTreeMap<String, String>,
    /// Sellers.
    pub(crate) asks: BTreeMap<String, String>,
}

/// All symbols of a venue.
pub(super) struct Market {
    rule: Rule,
    random: fastrand::Rng,
    symbols: BTreeMap<String, Symbol>,
}

/// Prices in cents, quantities in thousandths.
#[derive(Clone)]
struct Symbol {
    bids: BTreeMap<u64, u64>,
    asks: BTreeMap<u64, u64>,
    last_id: u64,
    trades: Vec<u64>,
    /// What a snapshot said before anybody was told of a change.
    first: String,
}

impl Market {
    pub(super) fn new(rule: Rule, names: &[&str]) -> Market {
        let first = |at: usize| {
            let bids = (0..20).map(|level| (9_999 - level * 7, 1_000 + level)).collect();
            let asks = (0..20).map(|level| (10_001 + level * 7, 2_000 + level)).collect();
            let last_id = 1_000 * (at as u64 + 1);
            let mut symbol = Symbol { bids, asks, last_id, trades: Vec::new(), first: String::new() };
            symbol.first = symbol.snapshot(rule);
            symbol
        };
        let symbols = names.iter().enumerate().map(|(at, name)| ((*name).to_owned(), first(at)));
        Market { rule, random: fastrand::Rng::with_seed(42), symbols: symbols.collect() }
    }

    pub(super) fn book(&self, symbol: &str) -> Book {
        let shown = |side: &BTreeMap<u64, u64>| {
            side.iter().map(|(price, quantity)| (cents(*price), thousandths(*quantity))).collect()
        };
        let symbol = &self.symbols[symbol];
        Book { bids: shown(&symbol.bids), asks: shown(&symbol.asks) }
    }

    pub(super) fn trades(&self, symbol: &str) -> Vec<u64> {
        self.symbols[symbol].trades.clone()
    }

    /// Changes one level of each side and gives the diff.
    pub(super) fn change(&mut self, name: &str) -> String {
        let (rule, random) = (self.rule, &mut self.random);
        let symbol = self.symbols.get_mut(name).unwrap();
        let bid = (random.u64(9_800..10_000), random.u64(0..4) * 500);
        let ask = (random.u64(10_000..10_200), random.u64(0..4) * 500);
        set(&mut symbol.bids, bid);
        set(&mut symbol.asks, ask);
        let previous = symbol.last_id;
        let first = match rule {
            Rule::Spot => previous + 1,
            Rule::Futures => previous + random.u64(1..50),
        };
        symbol.last_id = first + random.u64(0..5);
        let futures = match rule {
            Rule::Spot => String::new(),
            Rule::Futures => format!(r#""T":{TIME},"pu":{previous},"#),
        };
        let (bids, asks) = (level(bid), level(ask));
        let last = symbol.last_id;
        format!(
            r#"{{"e":"depthUpdate","E":{TIME},{futures}"s":"{name}","U":{first},"u":{last},"b":[{bids}],"a":[{asks}]}}"#
        )
    }

    pub(super) fn quote(&self, name: &str) -> String {
        let symbol = &self.symbols[name];
        let (bid, ask) = (symbol.bids.last_key_value().unwrap(), symbol.asks.first_key_value().unwrap());
        let futures = match self.rule {
            Rule::Spot => String::new(),
            Rule::Futures => format!(r#""e":"bookTicker","T":{TIME},"E":{TIME},"#),
        };
        format!(
            r#"{{{futures}"u":{},"s":"{name}","b":"{}","B":"{}","a":"{}","A":"{}"}}"#,
            symbol.last_id,
            cents(*bid.0),
            thousandths(*bid.1),
            cents(*ask.0),
            thousandths(*ask.1),
        )
    }

    pub(super) fn trade(&mut self, name: &str) -> String {
        let symbol = self.symbols.get_mut(name).unwrap();
        let id = symbol.trades.last().map_or(1, |last| last + 1);
        symbol.trades.push(id);
        let futures = match self.rule {
            Rule::Spot => r#""M":true"#,
            Rule::Futures => r#""X":"MARKET""#,
        };
        format!(
            r#"{{"e":"trade","E":{TIME},"s":"{name}","t":{id},"p":"100.00","q":"0.500","T":{TIME},"m":true,{futures}}}"#
        )
    }

    pub(super) fn ticker(&self, name: &str) -> String {
        format!(
            r#"{{"e":"24hrTicker","E":{TIME},"s":"{name}","p":"1.00","P":"1.010","w":"100.00","c":"100.00","Q":"0.500","o":"99.00","h":"101.00","l":"98.00","v":"10.000","q":"1000.00000","O":0,"C":{TIME},"F":1,"L":2,"n":2}}"#
        )
    }

    pub(super) fn snapshot(&self, name: &str, old: bool) -> Option<String> {
        let symbol = self.symbols.get(name)?;
        Some(if old { symbol.first.clone() } else { symbol.snapshot(self.rule) })
    }

    pub(super) fn instruments(&self) -> String {
        let instrument = |name: &String| {
            format!(
                r#"{{"symbol":"{name}","status":"TRADING","contractStatus":"TRADING","pricePrecision":2,"quantityPrecision":3,"filters":[{{"filterType":"PRICE_FILTER","minPrice":"0.01","maxPrice":"100000.00","tickSize":"0.01"}},{{"filterType":"LOT_SIZE","minQty":"0.001","maxQty":"9000.000","stepSize":"0.001"}}]}}"#
            )
        };
        let all: Vec<String> = self.symbols.keys().map(instrument).collect();
        format!(
            r#"{{"timezone":"UTC","serverTime":{TIME},"rateLimits":[],"exchangeFilters":[],"symbols":[{}]}}"#,
            all.join(",")
        )
    }
}

impl Symbol {
    fn snapshot(&self, rule: Rule) -> String {
        let bids: Vec<String> =
            self.bids.iter().rev().map(|(price, quantity)| level((*price, *quantity))).collect();
        let asks: Vec<String> =
            self.asks.iter().map(|(price, quantity)| level((*price, *quantity))).collect();
        let futures = match rule {
            Rule::Spot => String::new(),
            Rule::Futures => format!(r#""E":{TIME},"T":{TIME},"#),
        };
        let (last, bids, asks) = (self.last_id, bids.join(","), asks.join(","));
        format!(r#"{{"lastUpdateId":{last},{futures}"bids":[{bids}],"asks":[{asks}]}}"#)
    }
}

fn set(side: &mut BTreeMap<u64, u64>, (price, quantity): (u64, u64)) {
    // The best levels stay, so that there always is a quote.
    if quantity > 0 {
        side.insert(price, quantity);
    } else if side.len() > 2 {
        side.remove(&price);
    } else {
        side.insert(price, 1);
    }
}

fn level((price, quantity): (u64, u64)) -> String {
    format!(r#"["{}","{}"]"#, cents(price), thousandths(quantity))
}

fn cents(price: u64) -> String {
    format!("{}.{:02}", price / 100, price % 100)
}

fn thousandths(quantity: u64) -> String {
    format!("{}.{:03}", quantity / 1_000, quantity % 1_000)
}

const TIME: i64 = 1_700_000_000_000;

//! The simulated exchange keeps its promises, judged by its words alone.

use std::{collections::BTreeMap, hash::Hasher};

use serde_json::Value;

use super::*;

const START: Millis = 1_732_000_000_000;

fn exchange(seed: u64, symbols: &[&str], rate: u32) -> Exchange {
    let symbols = symbols.iter().map(|&name| name.to_owned()).collect();
    Exchange::new(&SimulateConfig { seed, symbols, rate, ..SimulateConfig::default() }, START).unwrap()
}

fn usual(rate: u32) -> Exchange {
    Exchange::new(&SimulateConfig { rate, ..SimulateConfig::default() }, START).unwrap()
}

/// Lets happen what is due before `end`, in steps of `step`.
fn run(exchange: &mut Exchange, from: Millis, end: Millis, step: Millis, mut out: impl FnMut(&[u8])) -> u64 {
    let (mut now, mut events) = (from, 0);
    while now < end - 1 {
        now = (now + step).min(end - 1);
        let advanced = exchange.advance(now, |message| out(message));
        assert_eq!(advanced.skipped, 0);
        events += advanced.events;
    }
    events
}

fn hash_of_run(exchange: &mut Exchange, end: Millis, step: Millis) -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    run(exchange, START, end, step, |message| hasher.write(message));
    for symbol in exchange.symbols() {
        hasher.write(&exchange.depth(symbol).unwrap());
    }
    hasher.finish()
}

/// A side of a book as a client keeps it: price to quantity, both in units of `10^-8`.
type Side = BTreeMap<i64, i64>;

/// A book made of a snapshot and diffs, and what was seen on the way.
#[derive(Debug, Default, PartialEq)]
struct Follower {
    last: u64,
    bids: Side,
    asks: Side,
}

impl Follower {
    fn of(snapshot: &[u8]) -> Follower {
        let snapshot: Value = serde_json::from_slice(snapshot).unwrap();
        let side = |name: &str| levels(&snapshot[name]).collect::<Side>();
        Follower { last: snapshot["lastUpdateId"].as_u64().unwrap(), bids: side("bids"), asks: side("asks") }
    }

    /// Binance's rule for spot: `U` is the number after the last.
    fn apply(&mut self, data: &Value) {
        assert_eq!(data["U"].as_u64().unwrap(), self.last + 1);
        self.last = data["u"].as_u64().unwrap();
        for (side, changes) in [(&mut self.bids, &data["b"]), (&mut self.asks, &data["a"])] {
            for (price, quantity) in levels(changes) {
                if quantity == 0 {
                    assert!(side.remove(&price).is_some(), "a level that was not there is removed");
                } else {
                    side.insert(price, quantity);
                }
            }
        }
    }

    fn best(&self) -> ((i64, i64), (i64, i64)) {
        let (bid, ask) = (self.bids.last_key_value().unwrap(), self.asks.first_key_value().unwrap());
        ((*bid.0, *bid.1), (*ask.0, *ask.1))
    }
}

fn levels(value: &Value) -> impl Iterator<Item = (i64, i64)> {
    value.as_array().unwrap().iter().map(|level| (units(&level[0]), units(&level[1])))
}

/// A number in units of `10^-8`; it must be written with eight decimals.
fn units(value: &Value) -> i64 {
    let text = value.as_str().unwrap();
    assert_eq!(text.len() - text.find('.').unwrap(), 9, "{text}");
    text.replace('.', "").parse().unwrap()
}

fn parsed(message: &[u8]) -> (String, Value) {
    let mut message: Value = serde_json::from_slice(message).unwrap();
    (message["stream"].as_str().unwrap().to_owned(), message["data"].take())
}

#[test]
fn the_same_seed_and_the_same_calls_give_the_same_bytes() {
    let hash = |seed| hash_of_run(&mut exchange(seed, &["BTCUSDT", "SIM0001USDT"], 3_000), START + 2_000, 10);
    assert_eq!(hash(7), hash(7));
    assert_ne!(hash(7), hash(8));
}

#[test]
fn the_bytes_do_not_depend_on_how_often_it_is_called() {
    let hash = |step| hash_of_run(&mut usual(3_000), START + 3_000, step);
    assert_eq!(hash(1), hash(17));
    assert_eq!(hash(1), hash(CATCH_UP));
}

#[test]
fn diffs_on_a_snapshot_give_the_book_at_any_later_moment() {
    let mut exchange = usual(5_000);
    let mut followers = BTreeMap::new();
    let mut now = START;
    for round in 0..40 {
        for symbol in exchange.symbols() {
            let book = Follower::of(&exchange.depth(symbol).unwrap());
            let followed =
                followers.entry(symbol.to_owned()).or_insert(Follower::of(&exchange.depth(symbol).unwrap()));
            assert_eq!(*followed, book, "{symbol} in round {round}");
        }
        run(&mut exchange, now, now + 100, 7, |message| {
            let (stream, data) = parsed(message);
            if stream.ends_with("@depth@100ms") {
                followers.get_mut(data["s"].as_str().unwrap()).unwrap().apply(&data);
            }
        });
        now += 100;
    }
}

#[test]
fn books_are_never_empty_nor_crossed_and_the_last_quote_is_their_best() {
    let mut exchange = exchange(3, &["BTCUSDT", "LINKUSDT", "SIM0042USDT"], 6_000);
    let mut followers: BTreeMap<String, (Follower, Option<Value>)> = exchange
        .symbols()
        .map(|symbol| (symbol.to_owned(), (Follower::of(&exchange.depth(symbol).unwrap()), None)))
        .collect();
    let events = run(&mut exchange, START, START + 10_000, 100, |message| {
        let (stream, data) = parsed(message);
        let (book, quote) = followers.get_mut(data["s"].as_str().unwrap()).unwrap();
        if stream.ends_with("@bookTicker") {
            assert_eq!(data["u"].as_u64().unwrap(), book.last);
            let quoted = ((units(&data["b"]), units(&data["B"])), (units(&data["a"]), units(&data["A"])));
            assert_eq!(book.best(), quoted);
            *quote = Some(data);
        } else if stream.ends_with("@depth@100ms") {
            let before = book.best();
            book.apply(&data);
            let ((bid, _), (ask, _)) = book.best();
            assert!(bid < ask && book.bids.len() >= 10 && book.asks.len() >= 10);
            if let Some(quote) = quote {
                assert!(quote["u"].as_u64() <= data["u"].as_u64());
                assert_eq!(before.0.0, units(&quote["b"]), "no bookTicker though the best bid changed");
            }
        }
    });
    assert_eq!(events, 60_000);
}

#[test]
fn trades_print_at_prices_that_were_in_the_book_and_are_numbered_without_holes() {
    let mut exchange = usual(5_000);
    let mut books: BTreeMap<String, (Follower, Option<u64>)> = exchange
        .symbols()
        .map(|symbol| (symbol.to_owned(), (Follower::of(&exchange.depth(symbol).unwrap()), None)))
        .collect();
    let (mut trades, mut walked) = (0, 0);
    run(&mut exchange, START, START + 4_000, 50, |message| {
        let (stream, data) = parsed(message);
        let (book, last_trade) = books.get_mut(data["s"].as_str().unwrap()).unwrap();
        if stream.ends_with("@depth@100ms") {
            walked += u32::from(data["u"].as_u64().unwrap() > data["U"].as_u64().unwrap());
            book.apply(&data);
        } else if stream.ends_with("@trade") {
            let number = data["t"].as_u64().unwrap();
            assert!(last_trade.is_none_or(|last| number == last + 1));
            *last_trade = Some(number);
            // The buyer is the maker: the taker sold into the bids.
            let side = if data["m"].as_bool().unwrap() { &book.bids } else { &book.asks };
            let rested = side.get(&units(&data["p"])).copied().unwrap_or(0);
            assert!(units(&data["q"]) > 0 && units(&data["q"]) <= rested, "{data}");
            trades += 1;
        }
    });
    assert!(trades > 500, "{trades} trades");
    assert!(walked > 50, "{walked} orders walked through several levels");
}

#[test]
fn messages_have_the_fields_of_binance_spot() {
    let mut exchange = exchange(1, &["BTCUSDT"], 2_000);
    let mut seen = BTreeMap::new();
    run(&mut exchange, START, START + 1_000, 10, |message| {
        let (stream, data) = parsed(message);
        let fields: Vec<String> = data.as_object().unwrap().keys().cloned().collect();
        assert!(seen.insert(stream.clone(), fields.clone()).is_none_or(|before| before == fields));
        assert_eq!(data["s"], "BTCUSDT");
        if stream == "btcusdt@trade" {
            assert!((START..=START + 1_000).contains(&data["T"].as_i64().unwrap()));
        }
    });
    let fields = |names: &str| -> Vec<String> {
        let mut fields: Vec<String> = names.split(' ').map(str::to_owned).collect();
        fields.sort();
        fields
    };
    let expected = BTreeMap::from([
        ("btcusdt@depth@100ms".to_owned(), fields("e E s U u b a")),
        ("btcusdt@trade".to_owned(), fields("e E s t p q T m M")),
        ("btcusdt@bookTicker".to_owned(), fields("u s b B a A")),
    ]);
    let sorted = seen.into_iter().map(|(stream, mut fields)| {
        fields.sort();
        (stream, fields)
    });
    assert_eq!(sorted.collect::<BTreeMap<_, _>>(), expected);
}

#[test]
fn prices_and_quantities_keep_to_the_steps_of_the_exchange_info() {
    let exchange = Exchange::new(
        &SimulateConfig {
            symbols: [numbered(3), vec!["A\"B\\C".into(), "XRPUSDT".into()]].concat(),
            ..SimulateConfig::default()
        },
        START,
    )
    .unwrap();
    let info: Value = serde_json::from_slice(&exchange.exchange_info()).unwrap();
    let symbols = info["symbols"].as_array().unwrap();
    assert_eq!(symbols.len(), 5);
    for symbol in symbols {
        let book = Follower::of(&exchange.depth(symbol["symbol"].as_str().unwrap()).unwrap());
        let filter = |kind: &str, field: &str| {
            let filters = symbol["filters"].as_array().unwrap();
            units(&filters.iter().find(|filter| filter["filterType"] == kind).unwrap()[field])
        };
        let (tick, lot) = (filter("PRICE_FILTER", "tickSize"), filter("LOT_SIZE", "stepSize"));
        for (price, quantity) in book.bids.iter().chain(&book.asks) {
            assert_eq!((price % tick, quantity % lot), (0, 0), "{symbol}");
        }
    }
    assert_eq!(symbols[4]["baseAsset"], "XRP");
}

#[test]
fn every_second_has_the_rate_and_within_it_there_are_bursts() {
    for rate in [1, 7, 1_000, 20_000] {
        let mut exchange = usual(rate);
        let mut counts = Vec::new();
        for slot in 1..=30 {
            counts.push(run(&mut exchange, START + (slot - 1) * 100, START + slot * 100, 10, |_| ()));
        }
        for second in counts.chunks(10) {
            assert_eq!(second.iter().sum::<u64>(), u64::from(rate), "{second:?}");
        }
        if rate >= 1_000 {
            assert!(counts.iter().max() > counts.iter().min().map(|least| least * 2).as_ref(), "{counts:?}");
        }
    }
}

#[test]
fn a_pause_is_not_made_up_for() {
    let mut exchange = usual(10_000);
    run(&mut exchange, START, START + 1_000, 10, |_| ());
    let mut follower = Follower::of(&exchange.depth("BTCUSDT").unwrap());
    let resumed = START + 11_000 - 1;
    let mut first = None;
    let advanced = exchange.advance(resumed, |message| {
        let (_, data) = parsed(message);
        first = first.or(data["E"].as_i64());
        if data["e"] == "depthUpdate" && data["s"] == "BTCUSDT" {
            follower.apply(&data);
        }
    });
    assert!(advanced.events <= 10_000, "{advanced:?}");
    assert!((10_000 - CATCH_UP - 10..=10_000 - CATCH_UP).contains(&advanced.skipped), "{advanced:?}");
    assert!(first.unwrap() >= resumed - CATCH_UP);
    assert_eq!(follower, Follower::of(&exchange.depth("BTCUSDT").unwrap()));
    // The clock going back, or standing still, is no reason for anything.
    assert_eq!(exchange.advance(START, |_| ()), Advanced { events: 0, skipped: 0 });
    assert_eq!(run(&mut exchange, resumed, resumed + 1_001, 10, |_| ()), 10_000);
}

#[test]
fn books_stay_as_deep_as_they_were_and_the_price_moves() {
    let mut exchange = usual(20_000);
    run(&mut exchange, START, START + 30_000, 100, |_| ());
    for symbol in exchange.symbols() {
        let book = Follower::of(&exchange.depth(symbol).unwrap());
        for side in [&book.bids, &book.asks] {
            assert!((200..=1_000).contains(&side.len()), "{symbol}: {} levels", side.len());
        }
        let opening =
            LISTED.iter().find(|listed| listed.name == symbol).map(|listed| listed.ticks * listed.tick);
        let ((bid, _), (ask, _)) = book.best();
        let moved = (bid - opening.unwrap()).abs();
        assert!(ask - bid < bid / 500, "{symbol}: {bid} to {ask}");
        assert!(moved < bid / 20, "{symbol} from {opening:?} to {bid}");
    }
}

#[test]
fn what_cannot_be_simulated_is_named() {
    let open = |symbols: &[&str]| {
        let symbols = symbols.iter().map(|&name| name.to_owned()).collect();
        Exchange::new(&SimulateConfig { symbols, ..SimulateConfig::default() }, START).unwrap_err()
    };
    assert_eq!(open(&[]), BadExchange::NoSymbols);
    assert_eq!(open(&["A", "B", "A"]), BadExchange::Twice { symbol: "A".into() });
    assert!(open(&["BTC USDT"]).to_string().starts_with("\"BTC USDT\" cannot be simulated"));
    assert!(usual(1).depth("NOPE").is_none());
}

//! `/api/v1`: right answers, agreement with the stream, and wrong questions.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::ask::{ask, fetch, fetch_until, get};
use crate::raw::Raw;
use crate::running::{MarketMaker, Running, now};

const MINUTE: i64 = 60_000;

/// A market with a trade in each of the last `minutes`, this one included; returns the first minute.
fn traded(server: &Running, minutes: i64) -> (MarketMaker, i64) {
    let mut market = server.market("BTC/USD:X");
    market.snapshot();
    // Away from the minute's end, so that the clock closes nothing meanwhile.
    let first = now() / MINUTE * MINUTE - (minutes - 1) * MINUTE;
    for minute in 0..minutes {
        market.trade_at(first + minute * MINUTE, 10_000 + minute);
    }
    market.settle();
    (market, first)
}

const SYMBOL: &str = "symbol=BTC%2FUSD%3AX";

#[test]
fn bars_ascend_and_end_with_the_open_one() {
    let server = Running::start(|_| {});
    let (_market, first) = traded(&server, 10);
    let path = format!("/api/v1/klines?{SYMBOL}&interval=1m");
    let all = fetch_until(&server, &path, |all| all["bars"].as_array().is_some_and(|bars| bars.len() >= 10));
    let bars = all["bars"].as_array().unwrap();
    let times: Vec<_> = bars.iter().map(|bar| bar["openTime"].as_i64().unwrap()).collect();
    assert!(times.is_sorted() && times[0] == first, "{times:?}");
    assert!(bars.iter().rev().skip(1).all(|bar| bar["closed"] == true));
    assert_eq!(bars.last().unwrap()["closed"], false);
    assert_eq!((bars[3]["open"].as_str(), bars[3]["trades"].as_i64()), (Some("100.03"), Some(1)));
    assert_eq!(bars[3]["symbol"], "BTC/USD:X");

    let some = fetch(&server, &format!("{path}&from={}&to={}", first + MINUTE, first + 3 * MINUTE));
    let times = |answer: &Value| -> Vec<i64> {
        answer["bars"].as_array().unwrap().iter().map(|bar| bar["openTime"].as_i64().unwrap()).collect()
    };
    assert_eq!(times(&some), [first + MINUTE, first + 2 * MINUTE], "from counts, to does not");
    let newest = fetch(&server, &format!("{path}&to={}&limit=2", first + 5 * MINUTE));
    assert_eq!(times(&newest), [first + 3 * MINUTE, first + 4 * MINUTE], "a limit keeps the newest");
    let none = fetch(&server, &format!("{path}&to={first}"));
    assert_eq!(times(&none), [0_i64; 0]);
}

/// What a chart does: subscribe, fetch, take the stream's newer messages on top.
#[test]
fn fetched_bars_and_the_stream_have_neither_gap_nor_overlap() {
    let server = Running::start(|config| config.throttle.kline = std::time::Duration::from_millis(1));
    let (mut market, first) = traded(&server, 5);
    let mut raw = Raw::connect(server.address);
    raw.subscribe(&["kline:BTC/USD:X:1m"]);
    for step in 0..40 {
        market.trade_at(first + (4 + step / 8) * MINUTE + step, 10_000 + step);
    }
    let fetched = fetch(&server, &format!("/api/v1/klines?{SYMBOL}&interval=1m"));
    for step in 40..80 {
        market.trade_at(first + (4 + step / 8) * MINUTE + step, 10_000 + step);
    }
    let mut bars = BTreeMap::new();
    for bar in fetched["bars"].as_array().unwrap() {
        assert!(bars.insert(bar["openTime"].as_i64().unwrap(), bar.clone()).is_none(), "a bar comes once");
    }
    let last = first + (4 + 79 / 8) * MINUTE;
    while bars.get(&last).is_none_or(|bar| bar["close"] != "100.79") {
        let message = raw.hear();
        if message["epoch"] == fetched["epoch"] && message["seq"].as_u64() > fetched["seq"].as_u64() {
            let bar = &message["data"];
            let newest = *bars.keys().next_back().unwrap();
            let open_time = bar["openTime"].as_i64().unwrap();
            assert!(open_time == newest || open_time == newest + MINUTE, "no bar is skipped or comes again");
            bars.insert(open_time, bar.clone());
        }
    }
    let settled = fetch(&server, &format!("/api/v1/klines?{SYMBOL}&interval=1m"));
    let settled: Vec<_> =
        settled["bars"].as_array().unwrap().iter().take_while(|bar| bar["openTime"] != last).collect();
    let held: Vec<_> = bars.values().take_while(|bar| bar["openTime"] != last).collect();
    assert_eq!(held, settled);
}

#[test]
fn the_book_is_the_streams() {
    let server = Running::start(|_| {});
    let mut market = server.market("BTC/USD:X");
    market.snapshot();
    for _ in 0..50 {
        market.delta();
    }
    market.settle();
    let mut raw = Raw::connect(server.address);
    raw.subscribe(&["book:BTC/USD:X:20:raw"]);
    let streamed = raw.hear();
    let fetched = fetch(&server, &format!("/api/v1/book?{SYMBOL}&depth=20"));
    for field in ["bids", "asks", "lastUpdateId", "time", "checksum"] {
        assert_eq!(fetched[field], streamed["data"][field], "{field}");
    }
    assert_eq!(fetch(&server, &format!("/api/v1/book?{SYMBOL}"))["bids"].as_array().unwrap().len(), 50);

    market.stale();
    let path = format!("/api/v1/book?{SYMBOL}");
    fetch_until(&server, &path, |book| book["code"] == "NO_BOOK");
    let refused = get(&server, &path);
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
}

#[test]
fn tickers_trades_and_symbols_are_told() {
    let server = Running::start(|_| {});
    let (_market, first) = traded(&server, 3);
    let path = format!("/api/v1/trades?{SYMBOL}&limit=2");
    let trades = fetch_until(&server, &path, |trades| trades["seq"] == 3);
    let times: Vec<_> =
        trades["trades"].as_array().unwrap().iter().map(|trade| trade["time"].clone()).collect();
    assert_eq!(times, [first + MINUTE, first + 2 * MINUTE], "oldest first, the newest two");
    let ticker = fetch(&server, &format!("/api/v1/ticker?{SYMBOL}"));
    assert_eq!((ticker["lastPrice"].as_str(), ticker["bidPrice"].as_str()), (Some("100.02"), Some("100.00")));
    assert_eq!(fetch(&server, "/api/v1/ticker").as_array().unwrap()[0], ticker);
    server.symbols.add("QUIET").unwrap();
    let symbols = fetch(&server, "/api/v1/symbols");
    assert_eq!(
        symbols["symbols"][0],
        serde_json::json!({"symbol": "BTC/USD:X", "priceDecimals": 2, "book": "good"})
    );
    assert_eq!(symbols["symbols"][1]["book"], "empty");
    assert_eq!(fetch(&server, "/api/v1/klines?symbol=QUIET&interval=1m")["bars"], serde_json::json!([]));
    assert_eq!(fetch(&server, "/api/v1/trades?symbol=QUIET")["trades"], serde_json::json!([]));
}

#[test]
fn a_wrong_question_names_its_field() {
    let server = Running::start(|_| {});
    server.market("BTCUSDT");
    let cases = [
        ("klines?interval=1m", "symbol"),
        ("klines?symbol=NONE&interval=1m", "symbol"),
        ("klines?symbol=%FF&interval=1m", "symbol"),
        ("klines?symbol=BTCUSDT", "interval"),
        ("klines?symbol=BTCUSDT&interval=7m", "interval"),
        ("klines?symbol=BTCUSDT&interval=1m&from=now", "from"),
        ("klines?symbol=BTCUSDT&interval=1m&from=-1", "from"),
        ("klines?symbol=BTCUSDT&interval=1m&from=5&to=5", "to"),
        ("klines?symbol=BTCUSDT&interval=1m&to=99999999999999999", "to"),
        ("klines?symbol=BTCUSDT&interval=1m&limit=1501", "limit"),
        ("klines?symbol=BTCUSDT&interval=1m&limit=0", "limit"),
        ("book?symbol=BTCUSDT&depth=full", "depth"),
        ("book?symbol=BTCUSDT&depth=7", "depth"),
        ("ticker?symbol=NONE", "symbol"),
        ("trades?symbol=BTCUSDT&limit=1e3", "limit"),
    ];
    for (question, field) in cases {
        let answer = get(&server, &format!("/api/v1/{question}"));
        let body = answer.json();
        assert_eq!((answer.status, body["code"].as_str()), (400, Some("BAD_FIELD")), "{question}");
        assert_eq!(body["field"], field, "{question}");
        assert!(body["message"].as_str().unwrap().contains(field), "{question}: {body}");
    }
    assert_eq!(get(&server, "/api/v1/nothing").status, 404);
    assert_eq!(ask(&server, "POST", "/api/v1/symbols", &[]).status, 405);
}

#[test]
fn an_answer_that_is_held_is_not_sent_again_and_a_long_one_is_compressed() {
    let server = Running::start(|_| {});
    let (_market, _) = traded(&server, 60);
    let path = format!("/api/v1/klines?{SYMBOL}&interval=1m&to={}", now() / MINUTE * MINUTE - MINUTE);
    fetch_until(&server, &path, |all| all["bars"].as_array().is_some_and(|bars| bars.len() >= 58));
    let whole = get(&server, &path);
    let tag = format!("If-None-Match: {}", whole.header("etag").unwrap());
    let again = ask(&server, "GET", &path, &[&tag]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    let compressed = ask(&server, "GET", &path, &["Accept-Encoding: gzip"]);
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    assert!(
        compressed.body.len() * 4 < whole.body.len(),
        "{} of {}",
        compressed.body.len(),
        whole.body.len()
    );
    assert_eq!(compressed.json(), whole.json());
    assert_eq!(compressed.header("cache-control"), Some("no-cache"));
}

#[test]
fn pages_of_allowed_origins_may_read_and_others_may_not() {
    let server = Running::start(|config| config.allowed_origins = vec!["https://ours.example".into()]);
    let allowed = |method, origin| {
        let answer = ask(&server, method, "/api/v1/symbols", &[&format!("Origin: {origin}")]);
        (answer.status, answer.header("access-control-allow-origin").map(str::to_owned))
    };
    assert_eq!(allowed("GET", "https://ours.example"), (200, Some("https://ours.example".into())));
    assert_eq!(allowed("GET", "https://theirs.example"), (200, None));
    assert_eq!(allowed("OPTIONS", "https://ours.example"), (204, Some("https://ours.example".into())));
    let lines = ["Origin: https://ours.example", "Authorization: Bearer nonsense"];
    let refused = ask(&server, "GET", "/api/v1/symbols", &lines);
    let readable = refused.header("access-control-allow-origin");
    assert_eq!((refused.status, readable), (401, Some("https://ours.example")), "a page learns why");
}

//! Bars that outlive the process: what a chart gets after a restart.

use serde_json::Value;

use crate::ask::{fetch, fetch_until};
use crate::running::{Running, now};

const MINUTE: i64 = 60_000;

fn closed(answer: &Value) -> Vec<Value> {
    answer["bars"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|bar| bar["closed"] == Value::Bool(true))
        .cloned()
        .collect()
}

fn bars(interval: &str) -> String {
    format!("/api/v1/klines?symbol=BTC/USD&interval={interval}&limit=500")
}

#[test]
fn the_history_is_the_same_after_a_restart_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let server = Running::start(|config| config.data_dir = Some(folder.path().into()));
        server.symbols.add("BTC/USD").unwrap();
        server
    };
    let server = start();
    let mut market = server.market("BTC/USD");
    let begin = (now() / MINUTE - 30) * MINUTE;
    for minute in 0..25 {
        market.trade_at(begin + minute * MINUTE + 5, 10_000 + minute * 7);
    }
    // A late one corrects a bar that was kept already.
    market.trade_at(begin + 3 * MINUTE + 9, 12_345);
    let minutes = fetch_until(&server, &bars("1m"), |answer| {
        let closed = closed(answer);
        closed.len() >= 25 && closed[3]["trades"] == 2
    });
    let minutes = closed(&minutes);
    assert_eq!(minutes[3]["high"], "123.45");
    let days = fetch(&server, &bars("1d"));
    let udf = format!(
        "/udf/history?symbol=BTC/USD&resolution=1&from={}&to={}",
        begin / 1_000,
        begin / 1_000 + 1_440
    );
    let chart = fetch(&server, &udf);
    drop(market);
    server.ended();

    let server = start();
    // Before anybody has asked for bars: a chart library asks for this first, and keeps it.
    assert_eq!(fetch(&server, "/udf/symbols?symbol=BTC/USD")["pricescale"], 100);
    let again = closed(&fetch(&server, &bars("1m")));
    assert_eq!(again[..minutes.len()], minutes[..]);
    assert_eq!(fetch(&server, &udf), chart);
    let day = |days: &Value| {
        let bars = days["bars"].as_array().unwrap();
        let sum = |name: &str| {
            bars.iter().map(|bar| bar[name].as_str().unwrap().parse::<f64>().unwrap()).sum::<f64>()
        };
        (bars[0]["open"].clone(), sum("volume"))
    };
    let (open, volume) = day(&days);
    let (open_again, volume_again) = day(&fetch(&server, &bars("1d")));
    assert_eq!((open_again, volume_again), (open, volume), "of the day all minutes that are over");
    let mut market = server.market("BTC/USD");
    market.trade_at(now(), 20_000);
    fetch_until(&server, &bars("1d"), |days| day(days).1 > volume_again);
    let later = closed(&fetch(&server, &bars("1m")));
    assert_eq!(later[..minutes.len()], minutes[..], "what comes later changes none of it");
}

#[test]
fn a_damaged_bar_is_left_out_and_the_others_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let server = Running::start(|config| config.data_dir = Some(folder.path().into()));
        server.symbols.add("BTC/USD").unwrap();
        server
    };
    let server = start();
    let mut market = server.market("BTC/USD");
    let begin = (now() / MINUTE - 10) * MINUTE;
    for minute in 0..8 {
        market.trade_at(begin + minute * MINUTE, 10_000 + minute);
    }
    fetch_until(&server, &bars("1m"), |answer| closed(answer).len() >= 7);
    drop(market);
    server.ended();
    let db = rusqlite::Connection::open(folder.path().join("bars.sqlite")).unwrap();
    let changed = db.execute(
        "update bars set data = '0 1 1 1 1 1 1 0 1 0 1 0 1 0' where open_time = ?1 and interval = '1m'",
        [begin],
    );
    assert_eq!(changed.unwrap(), 1);
    drop(db);
    let server = start();
    let again = closed(&fetch(&server, &bars("1m")));
    assert_eq!(again[0]["openTime"], begin + MINUTE, "the first one is not served");
    assert!(again.len() >= 6);
}

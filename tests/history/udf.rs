//! `/udf`: the rules of TradingView's document for a "Universal Data Feed".

use serde_json::{Value, json};

use crate::ask::{fetch, fetch_until, get};
use crate::running::{Running, now};

const MINUTE: i64 = 60_000;

/// A market with trades in ten minutes out of the last twenty; the first minute, in seconds.
fn traded(server: &Running) -> i64 {
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    let first = now() / MINUTE * MINUTE - 9 * MINUTE;
    for minute in 0..10 {
        market.trade_at(first + minute * MINUTE, 10_000 + minute);
    }
    let path = format!("/udf/history?symbol=BTCUSDT&resolution=1&from=0&to={}", now() / 1_000 + 60);
    fetch_until(server, &path, |history| history["t"].as_array().is_some_and(|times| times.len() >= 10));
    first / 1_000
}

fn history(server: &Running, rest: &str) -> Value {
    fetch(server, &format!("/udf/history?symbol=BTCUSDT&resolution=1&{rest}"))
}

#[test]
fn history_is_columns_of_numbers_in_seconds_and_to_is_exclusive() {
    let server = Running::start(|_| {});
    let first = traded(&server);
    let found = history(&server, &format!("from={}&to={}", first + 60, first + 180));
    assert_eq!(found["s"], "ok");
    assert_eq!(found["t"], json!([first + 60, first + 120]));
    for (column, expected) in [
        ("o", [100.01, 100.02]),
        ("h", [100.01, 100.02]),
        ("l", [100.01, 100.02]),
        ("c", [100.01, 100.02]),
        ("v", [0.5, 0.5]),
    ] {
        assert_eq!(found[column], json!(expected), "{column}");
    }
}

#[test]
fn countback_counts_before_to_wherever_from_is() {
    let server = Running::start(|_| {});
    let first = traded(&server);
    let found = history(&server, &format!("from={}&to={}&countback=3", first + 240, first + 300));
    assert_eq!(found["t"], json!([first + 120, first + 180, first + 240]));
    let all = history(&server, &format!("from={}&to={}&countback=5000", first + 240, first + 300));
    assert_eq!(all["t"].as_array().unwrap().len(), 5, "what there is, and no error");
    let far = history(&server, &format!("from=-230000000&to={}&countback=700", first + 300));
    assert_eq!(far, all, "a library counts back beyond 1970");
}

#[test]
fn where_there_is_no_data_the_next_earlier_time_is_told() {
    let server = Running::start(|_| {});
    let first = traded(&server);
    let future = history(&server, &format!("from={}&to={}", first + 86_400, first + 90_000));
    assert_eq!((future["s"].as_str(), future["nextTime"].as_i64()), (Some("no_data"), Some(first + 540)));
    let past = history(&server, &format!("from={}&to={first}", first - 600));
    assert_eq!(past, json!({"s": "no_data"}), "nothing earlier: the library stops asking");
    let past = history(&server, &format!("from={}&to={first}&countback=300", first - 600));
    assert_eq!(past, json!({"s": "no_data"}));
}

#[test]
fn a_wrong_question_is_an_error_that_names_its_field() {
    let server = Running::start(|_| {});
    server.market("BTCUSDT");
    let cases = [
        ("symbols?symbol=NONE", "symbol"),
        ("history?symbol=NONE&resolution=1&from=1&to=2", "symbol"),
        ("history?symbol=BTCUSDT&resolution=7&from=1&to=2", "resolution"),
        ("history?symbol=BTCUSDT&resolution=1&to=2", "from"),
        ("history?symbol=BTCUSDT&resolution=1&from=1", "to"),
        ("history?symbol=BTCUSDT&resolution=1&from=2&to=1", "to"),
        ("history?symbol=BTCUSDT&resolution=1&from=1&to=2&countback=0", "countback"),
        ("search?query=B&limit=1000", "limit"),
    ];
    for (question, field) in cases {
        let answer = get(&server, &format!("/udf/{question}"));
        let body = answer.json();
        assert_eq!(
            (answer.status, &body["s"], &body["field"]),
            (400, &"error".into(), &field.into()),
            "{question}"
        );
        assert!(body["errmsg"].as_str().unwrap().contains(field), "{body}");
    }
}

#[test]
fn config_symbols_search_and_time_are_as_the_library_reads_them() {
    let server = Running::start(|_| {});
    traded(&server);
    server.symbols.add("ETHUSDT").unwrap();
    let config = fetch(&server, "/udf/config");
    assert_eq!((&config["supports_search"], &config["supports_time"]), (&true.into(), &true.into()));
    let symbol = fetch(&server, "/udf/symbols?symbol=BTCUSDT");
    assert_eq!((symbol["minmov"].as_i64(), symbol["pricescale"].as_i64()), (Some(1), Some(100)));
    assert_eq!((&symbol["session"], &symbol["timezone"]), (&"24x7".into(), &"Etc/UTC".into()));
    assert_eq!(symbol["supported_resolutions"], config["supported_resolutions"]);
    for resolution in config["supported_resolutions"].as_array().unwrap() {
        let resolution = resolution.as_str().unwrap();
        let path =
            format!("/udf/history?symbol=BTCUSDT&resolution={resolution}&from=0&to={}", now() / 1_000 + 60);
        assert_eq!(fetch(&server, &path)["s"], "ok", "{resolution}");
    }
    let found = fetch(&server, "/udf/search?query=eth&type=&exchange=&limit=30");
    assert_eq!((found.as_array().unwrap().len(), &found[0]["symbol"]), (1, &"ETHUSDT".into()));
    let time = get(&server, "/udf/time");
    let seconds: i64 = String::from_utf8(time.body.clone()).unwrap().parse().unwrap();
    assert!((now() / 1_000 - seconds).abs() <= 1);
}

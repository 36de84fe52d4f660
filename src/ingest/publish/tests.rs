//! Every field of every published object: taken as it is meant, or refused by name.

use super::*;
use crate::ingest::Sink;
use crate::market::{BookChange, BookKind, Event, Quantity, RawLevel, SymbolId};

const NOW: i64 = 1_700_000_000_000;

fn read(text: &str) -> Result<Object, Rejection> {
    Object::read(text, NOW, &|name| (name == "BTC/USD").then_some(SymbolId(3)))
}

#[track_caller]
fn refused(text: &str, code: &str, part: &str) {
    let rejection = read(text).expect_err(text);
    assert_eq!(rejection.code, code, "{text}: {}", rejection.message);
    assert!(rejection.message.contains(part), "{text}: {}", rejection.message);
}

const TRADE: &str = r#"{"type":"trade","symbol":"BTC/USD","price":"45000.00","quantity":"1.5","tradeId":"t-1","timestamp":1700000000000,"side":"BUY"}"#;

#[test]
fn a_trade_keeps_its_digits() {
    let Kind::Market(SymbolId(3), Market::Trade(trade)) = read(TRADE).unwrap().kind else { panic!() };
    let mut shown = Vec::new();
    trade.price.write(&mut shown);
    assert_eq!(String::from_utf8(shown).unwrap(), "45000.00");
    let _ = Event::Trade(trade);
}

#[test]
fn each_wrong_field_of_a_trade_is_named() {
    for (from, to, code, part) in [
        ("BTC/USD", "XXX", "UNKNOWN_SYMBOL", "XXX"),
        (r#""45000.00""#, "45000.00", "BAD_FIELD", "price"),
        (r#""45000.00""#, r#""4.5e4""#, "BAD_FIELD", "price"),
        (r#""45000.00""#, r#""-1""#, "BAD_FIELD", "price"),
        (r#""45000.00""#, r#""0""#, "BAD_FIELD", "price"),
        (r#""1.5""#, r#""-1""#, "BAD_FIELD", "quantity"),
        (r#""1.5""#, r#""NaN""#, "BAD_FIELD", "quantity"),
        (r#""1.5""#, "null", "BAD_FIELD", "quantity"),
        (r#""t-1""#, r#""""#, "BAD_FIELD", "tradeId"),
        (r#""t-1""#, "[]", "BAD_FIELD", "tradeId"),
        ("1700000000000", "1600000000000", "TIME_OFF", "day"),
        ("1700000000000", "-1", "BAD_FIELD", "timestamp"),
        ("1700000000000", "9223372036854775807", "BAD_FIELD", "timestamp"),
        ("BUY", "HOLD", "BAD_FIELD", "side"),
        (r#""trade""#, r#""trades""#, "UNKNOWN_TYPE", "trades"),
        (r#""trade""#, "7", "BAD_FIELD", "type"),
    ] {
        assert!(TRADE.contains(from));
        refused(&TRADE.replacen(from, to, 1), code, part);
    }
    refused("[]", "NOT_JSON", "object");
    refused("{", "NOT_JSON", "object");
    refused("{}", "UNKNOWN_TYPE", "room");
}

#[test]
fn private_objects_need_a_user_and_an_object() {
    let order = r#"{"type":"order.created","userId":"ann","data":{"orderId":"a","strategyId":"grid"}}"#;
    let Kind::Private(order) = read(order).unwrap().kind else { panic!() };
    assert_eq!(
        (order.user.as_deref(), order.event, order.strategy.as_deref()),
        (Some("ann"), "order.created", Some("grid"))
    );
    let numbered = read(r#"{"type":"balance.updated","userId":7,"data":{}}"#).unwrap();
    assert!(matches!(numbered.kind, Kind::Private(private) if private.user.as_deref() == Some("7")));
    for wrong in ["null", "\"x\"", "[1]", "7"] {
        refused(&format!(r#"{{"type":"order.created","userId":"ann","data":{wrong}}}"#), "BAD_FIELD", "data");
    }
    for wrong in ["\"\"", "{}", "1.5", r#""a\u0000b""#] {
        refused(
            &format!(r#"{{"type":"order.created","userId":{wrong},"data":{{}}}}"#),
            "BAD_FIELD",
            "userId",
        );
    }
    refused(r#"{"type":"order.created","data":{}}"#, "BAD_FIELD", "userId");
    refused(r#"{"type":"strategy.updated","userId":"ann","data":{}}"#, "BAD_FIELD", "strategyId");
    for (beside, inside) in [(r#","strategyId":"grid:orders""#, ""), ("", r#""strategyId":"grid:orders""#)] {
        let order = format!(r#"{{"type":"order.created","userId":"ann"{beside},"data":{{{inside}}}}}"#);
        refused(&order, "BAD_FIELD", "strategyId");
    }
    let strategy = r#"{"type":"strategy.updated","userId":"ann","strategyId":"a:orders","data":{}}"#;
    refused(strategy, "BAD_FIELD", "strategyId");
    assert!(read(&strategy.replace("a:orders", "orders")).is_ok());
    refused(r#"{"type":"order.exploded","userId":"ann","data":{}}"#, "UNKNOWN_TYPE", "order.exploded");
}

#[test]
fn rooms_and_users_get_any_data_untouched() {
    let room = read(r#"{"room":"news","event":"flash","data":[1.0, 2]}"#).unwrap();
    assert!(matches!(room.kind, Kind::Room { room, data, .. } if room == "news" && &*data == "[1.0, 2]"));
    let user = read(r#"{"userId":"ann","event":"hello"}"#).unwrap();
    assert!(matches!(user.kind, Kind::User { user, data, .. } if &*user == "ann" && &*data == "null"));
    refused(r#"{"room":"news","data":1}"#, "BAD_FIELD", "event");
    for own in crate::market::RESERVED_EVENTS {
        refused(&format!(r#"{{"room":"news","event":"{own}"}}"#), "BAD_FIELD", "event");
        refused(&format!(r#"{{"userId":"ann","event":"{own}"}}"#), "BAD_FIELD", "event");
    }
}

#[test]
fn a_body_is_one_object_a_list_or_lines() {
    assert_eq!(split(" {\n\"a\": 1\n} ").unwrap().len(), 1);
    assert_eq!(split("[{},7,\"x\"]").unwrap(), ["{}", "7", "\"x\""]);
    assert_eq!(split("{}\n{bad\n\n{}").unwrap(), ["{}", "{bad", "{}"]);
    assert_eq!(split("").unwrap_err().code, "NOT_JSON");
    assert_eq!(split("[{},").unwrap_err().code, "NOT_JSON");
}

#[test]
fn deltas_follow_on_each_other_and_a_gap_needs_a_snapshot() {
    let mut order = BookOrder::default();
    let mut judge = |text: &str| {
        let Kind::Market(symbol, Market::Book(mut change)) = read(text).unwrap().kind else { panic!() };
        let verdict = order.judge(symbol, &mut change).map_err(|rejection| rejection.code);
        (verdict, change.first_update_id)
    };
    let delta = |first: u64, last: u64| {
        format!(
            r#"{{"type":"book.delta","symbol":"BTC/USD","bids":[["1","0"]],"asks":[],"firstUpdateId":{first},"lastUpdateId":{last}}}"#
        )
    };
    let snapshot = r#"{"type":"book.snapshot","symbol":"BTC/USD","bids":[["1.0","2"]],"asks":[["2.0","1"]],"lastUpdateId":10}"#;
    assert_eq!(judge(&delta(1, 2)).0, Err("NO_SNAPSHOT"));
    assert_eq!(judge(snapshot).0, Ok(Verdict::Apply));
    assert_eq!(judge(&delta(5, 10)).0, Ok(Verdict::Ignore));
    assert_eq!(judge(&delta(8, 12)), (Ok(Verdict::Apply), 11));
    assert_eq!(judge(&delta(14, 15)).0, Err("GAP"));
    assert_eq!(judge(&delta(13, 13)).0, Err("STALE_BOOK"));
    assert_eq!(judge(snapshot).0, Ok(Verdict::Apply));
    for wrong in [r#"[["1",2]]"#, r#"[["0","1"]]"#, r#"[["1"]]"#, "{}", "null"] {
        let text = delta(1, 2).replace(r#"[["1","0"]]"#, wrong);
        refused(&text, "BAD_FIELD", "bids");
    }
    refused(&delta(3, 2), "BAD_FIELD", "firstUpdateId");
}

#[test]
fn a_price_that_does_not_fit_beside_its_symbols_others_is_refused_and_spoils_none() {
    let mut order = BookOrder::default();
    let gold = SymbolId(0);
    let mut judge = |kind, last, price: &str| {
        let bids = vec![RawLevel { price: price.parse().unwrap(), quantity: Quantity::ZERO }];
        let mut change =
            BookChange { kind, first_update_id: last, last_update_id: last, bids, ..BookChange::default() };
        order.judge(gold, &mut change).map_err(|rejection| rejection.code)
    };
    assert_eq!(judge(BookKind::Snapshot, 1, "100000.00"), Ok(Verdict::Apply));
    assert_eq!(judge(BookKind::Delta, 2, "61737.12345678901234"), Err("PRICE_TOO_LARGE"));
    assert_eq!(judge(BookKind::Delta, 2, "61737.123456789012"), Ok(Verdict::Apply), "18 digits in all");
    assert_eq!(judge(BookKind::Delta, 3, "99999999"), Err("PRICE_TOO_LARGE"));
    assert_eq!(judge(BookKind::Delta, 4, "61737.5"), Err("GAP"), "what was refused is missing");
    let refused = order.admit(gold, "99999999".parse().unwrap()).unwrap_err();
    assert!(refused.message.contains("99999999") && refused.message.contains("12 decimals"), "{refused:?}");
    assert_eq!(order.admit(gold, "99999.5".parse().unwrap()), Ok(()));
}

#[test]
fn a_book_that_could_not_be_kept_after_all_waits_for_its_snapshot() {
    struct Lost(Option<SymbolId>);
    impl Sink for Lost {
        fn put(&mut self, _: SymbolId, _: i64, _: Event) {}
        fn blank(&mut self) -> Box<BookChange> {
            Box::default()
        }
        fn recycle(&mut self, _: Box<BookChange>) {}
        fn lost(&mut self, _: &mut u64) -> Option<SymbolId> {
            self.0.take()
        }
    }
    let mut order = BookOrder::default();
    let judge = |order: &mut BookOrder, kind, last| {
        let mut change =
            BookChange { kind, first_update_id: last, last_update_id: last, ..BookChange::default() };
        order.judge(SymbolId(0), &mut change).map_err(|rejection| rejection.code)
    };
    assert_eq!(judge(&mut order, BookKind::Snapshot, 1), Ok(Verdict::Apply));
    order.hear_losses(&mut Lost(Some(SymbolId(0))));
    assert_eq!(judge(&mut order, BookKind::Delta, 2), Err("STALE_BOOK"));
    assert_eq!(judge(&mut order, BookKind::Snapshot, 3), Ok(Verdict::Apply));
}

#[test]
fn a_ticker_replaces_the_fields_that_it_names() {
    let read = |rest: &str| read(&format!(r#"{{"type":"ticker","symbol":"BTC/USD"{rest}}}"#));
    let Kind::Market(_, Market::Ticker(ticker)) =
        read(r#","lastPrice":"5.0","bidPrice":"4","bidQty":"1""#).unwrap().kind
    else {
        panic!()
    };
    assert!(
        ticker.last_price.is_some() && ticker.bid.is_some() && ticker.ask.is_none() && ticker.high.is_none()
    );
    assert_eq!(read(r#","bidPrice":"4""#).unwrap_err().code, "BAD_FIELD");
    assert_eq!(read(r#","high24h":7"#).unwrap_err().code, "BAD_FIELD");
}

/// What fields must not be. A null is as good as no field.
const DECIMALS: &[&str] =
    &["7", r#""""#, r#""x""#, r#""1e5""#, r#""1.2.3""#, r#""99999999999999999999""#, "true", "[]", "{}"];
const COUNTS: &[&str] = &["-1", "1.5", r#""7""#, "true", "[]", "18446744073709551616"];
const TIMES: &[&str] = &["-1", "1.5", r#""7""#, "true", "1e400"];
const LEVELS: &[&str] = &[
    "{}",
    "7",
    "[[]]",
    r#"[["1"]]"#,
    r#"[["1","1","1"]]"#,
    r#"[[1,"1"]]"#,
    r#"[["0","1"]]"#,
    r#"[["1","-1"]]"#,
    r#"["1","1"]"#,
];
const TEXTS: &[&str] = &["7", "true", "[]", "{}"];
const NAMES: &[&str] = &[r#""""#, r#""a\u0000""#, "1.5", "true", "[]", "{}"];

/// A field, and what it must not be.
type Field = (&'static str, &'static [&'static str]);

/// Objects that are right, and their fields.
const OBJECTS: &[(&str, &[Field])] = &[
    (
        TRADE,
        &[
            ("type", TEXTS),
            ("symbol", TEXTS),
            ("price", DECIMALS),
            ("quantity", DECIMALS),
            ("tradeId", &["true", "[]", "{}", "1.5", r#""""#]),
            ("timestamp", TIMES),
            ("side", TEXTS),
        ],
    ),
    (
        r#"{"type":"book.delta","symbol":"BTC/USD","bids":[],"asks":[],"firstUpdateId":1,"lastUpdateId":2,"timestamp":5}"#,
        &[
            ("symbol", TEXTS),
            ("bids", LEVELS),
            ("asks", LEVELS),
            ("firstUpdateId", COUNTS),
            ("lastUpdateId", COUNTS),
            ("timestamp", TIMES),
        ],
    ),
    (
        r#"{"type":"ticker","symbol":"BTC/USD","lastPrice":"1","openPrice":"1","priceChange":"1","priceChangePercent":"1","high24h":"1","low24h":"1","volume24h":"1","quoteVolume24h":"1","bidPrice":"1","bidQty":"1","askPrice":"1","askQty":"1","openTime":1,"closeTime":2,"trades":3,"timestamp":4}"#,
        &[
            ("lastPrice", DECIMALS),
            ("openPrice", DECIMALS),
            ("priceChange", DECIMALS),
            ("priceChangePercent", DECIMALS),
            ("high24h", DECIMALS),
            ("low24h", DECIMALS),
            ("volume24h", DECIMALS),
            ("quoteVolume24h", DECIMALS),
            ("bidPrice", DECIMALS),
            ("bidQty", DECIMALS),
            ("askPrice", DECIMALS),
            ("askQty", DECIMALS),
            ("openTime", TIMES),
            ("closeTime", TIMES),
            ("trades", COUNTS),
            ("timestamp", TIMES),
        ],
    ),
    (
        r#"{"type":"order.created","eventId":"e","userId":"ann","strategyId":"grid","data":{}}"#,
        &[
            ("eventId", NAMES),
            ("userId", NAMES),
            ("strategyId", NAMES),
            ("data", &["null", "7", "[]", r#""{}""#]),
        ],
    ),
    (
        r#"{"room":"news","eventId":"e","event":"flash","data":1}"#,
        &[("room", TEXTS), ("event", TEXTS), ("eventId", NAMES)],
    ),
    (r#"{"userId":"ann","eventId":"e","event":"flash","data":1}"#, &[("userId", NAMES), ("event", TEXTS)]),
];

#[test]
fn every_field_of_every_object_is_refused_by_its_name_when_it_is_wrong() {
    for (object, fields) in OBJECTS {
        read(object).unwrap_or_else(|rejection| panic!("{object}: {}", rejection.message));
        let right: serde_json::Map<_, _> = serde_json::from_str(object).unwrap();
        for (name, wrongs) in *fields {
            for wrong in *wrongs {
                // As text: a number that is too large for a `Value` must come as it is.
                let parts = right.iter().map(|(field, value)| match field == name {
                    true => format!("\"{field}\":{wrong}"),
                    false => format!("\"{field}\":{value}"),
                });
                let text = format!("{{{}}}", parts.collect::<Vec<_>>().join(","));
                refused(&text, "BAD_FIELD", &format!("\"{name}\""));
            }
        }
    }
    let long = "x".repeat(257);
    refused(&format!(r#"{{"type":"order.created","userId":"{long}","data":{{}}}}"#), "BAD_FIELD", "userId");
    refused(&format!(r#"{{"room":"{long}","event":"e"}}"#), "BAD_FIELD", "room");
}

//! Subscribing and everything else that the native dialect has words for.

use std::num::NonZeroUsize;

use serde_json::{Value, json};

use crate::client::Client;
use crate::raw::Raw;
use crate::running::{Running, until};

/// Hears messages until one is as wished.
fn hear_until(raw: &mut Raw, wished: impl Fn(&Value) -> bool) -> Value {
    loop {
        let message = raw.hear();
        if wished(&message) {
            return message;
        }
    }
}

#[test]
fn each_topic_of_a_subscribe_is_answered_for() {
    let server = Running::start(|_| {});
    let mut market = server.market("BTC/USD:X");
    market.snapshot();
    market.settle();
    let mut raw = Raw::connect(server.address);
    let ok = raw.subscribe(&[
        "book:BTC/USD:X:full:raw",
        "nope",
        "trades:NONE",
        "orders",
        "kline:BTC/USD:X:7m",
        "ticker:BTC/USD:X",
    ]);
    assert_eq!(
        ok,
        json!({"type": "ok", "id": 1, "op": "subscribe", "topics": ["book:BTC/USD:X", "ticker:BTC/USD:X"]})
    );
    let mut codes = Vec::new();
    for _ in 0..4 {
        let error = raw.hear();
        assert_eq!((error["type"].as_str(), error["id"].as_u64()), (Some("error"), Some(1)));
        codes.push((error["topic"].as_str().unwrap().to_owned(), error["code"].as_str().unwrap().to_owned()));
    }
    let expected = [
        ("nope", "UNKNOWN_TOPIC"),
        ("trades:NONE", "UNKNOWN_SYMBOL"),
        ("orders", "UNAUTHORIZED"),
        ("kline:BTC/USD:X:7m", "UNKNOWN_TOPIC"),
    ];
    assert_eq!(codes, expected.map(|(topic, code)| (topic.to_owned(), code.to_owned())));
    let first = raw.hear();
    assert_eq!((first["type"].as_str(), first["topic"].as_str()), (Some("snapshot"), Some("book:BTC/USD:X")));
}

#[test]
fn the_other_operations_are_answered() {
    let server = Running::start(|_| {});
    server.market("BTCUSDT");
    let mut raw = Raw::connect(server.address);
    let mut ask = |text: &str| {
        raw.say(text);
        raw.hear()
    };
    assert!(ask(r#"{"op":"ping","id":"a"}"#)["ts"].as_i64().unwrap() > 1_600_000_000_000);
    ask(r#"{"op":"subscribe","topics":["trades:BTCUSDT","ticker:BTCUSDT:raw"]}"#);
    let list = ask(r#"{"op":"list","id":2}"#);
    assert_eq!(list["topics"], json!(["trades:BTCUSDT", "ticker:BTCUSDT:raw"]));
    let error = ask(r#"{"op":"unsubscribe","topics":["ticker:*"]}"#);
    assert_eq!((error["code"].as_str(), error["topic"].as_str()), (Some("NOT_SUBSCRIBED"), Some("ticker:*")));
    assert_eq!(ask(r#"{"op":"auth","token":"x","id":3}"#)["code"], "UNAUTHORIZED");
    assert_eq!(ask(r#"{"op":"dance","id":4}"#)["code"], "UNKNOWN_OP");
    for bad in ["", "hello", "[]", "{}x", r#"{"op":"subscribe"}"#, r#"{"op":"subscribe","topics":[1]}"#] {
        assert_eq!(ask(bad)["code"], "BAD_MESSAGE", "{bad}");
    }
    assert_eq!(ask(r#"{"op":"ping","id":5}"#)["id"], 5);
}

#[test]
fn the_answer_comes_before_the_first_message_of_its_topics_however_busy_they_are() {
    let server = Running::start(|_| {});
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                market.delta();
                market.trade();
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
        });
        for _ in 0..20 {
            let mut raw = Raw::connect(server.address);
            assert_eq!(raw.subscribe(&["book:BTCUSDT", "trades:BTCUSDT", "ticker:*"])["type"], "ok");
            let mut client = Client::default();
            while client.messages("book:BTCUSDT") < 5 || client.messages("trades:BTCUSDT") < 5 {
                client.hear(&raw.hear()).unwrap();
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn an_unsubscribe_ends_a_topic_and_it_can_be_had_again() {
    let server = Running::start(|_| {});
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    market.settle();
    let mut raw = Raw::connect(server.address);
    let mut client = Client::default();
    for round in 0..10 {
        raw.subscribe(&["book:BTCUSDT"]);
        for _ in 0..5 {
            market.delta();
        }
        until("the book is whole", || {
            client.hear(&raw.hear()).unwrap();
            client.book("book:BTCUSDT").unwrap().last_update_id() == market.last_id
        });
        raw.say(r#"{"op":"unsubscribe","id":"gone","topics":["book:BTCUSDT"]}"#);
        market.delta();
        hear_until(&mut raw, |message| message["id"] == "gone");
        market.delta();
        raw.say(&json!({"op": "ping", "id": round}).to_string());
        assert_eq!(raw.hear()["id"], round, "nothing of the book comes any more");
        client.forget("book:BTCUSDT");
    }
}

#[test]
fn a_topic_that_is_given_up_and_had_again_in_one_breath_has_no_hole() {
    let server = Running::start(|_| {});
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let market = &mut market;
        let pushing = scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                market.delta();
                market.trade();
            }
        });
        for _ in 0..100 {
            let mut raw = Raw::connect(server.address);
            let topics = r#""topics":["book:BTCUSDT:20:raw","trades:BTCUSDT"]}"#;
            let (on, off) =
                (format!(r#"{{"op":"subscribe",{topics}"#), format!(r#"{{"op":"unsubscribe",{topics}"#));
            let text = |text: &str| crate::raw::frame(crate::raw::TEXT, true, text.as_bytes());
            raw.send(&[text(&on), text(&off), text(&on), text(&off), text(&on)].concat());
            let mut client = Client::default();
            let mut answers = 0;
            while answers < 5 || client.messages("trades:BTCUSDT") < 20 {
                let message = raw.hear();
                if message["type"] == "ok" {
                    answers += 1;
                    client = Client::default();
                }
                client.hear(&message).unwrap();
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        pushing.join().unwrap();
    });
}

#[test]
fn messages_beyond_the_rate_are_answered_with_an_error() {
    let server = Running::start(|config| {
        config.limits.messages_per_second = NonZeroUsize::MIN;
        config.limits.messages_burst = NonZeroUsize::new(3).unwrap();
    });
    let mut raw = Raw::connect(server.address);
    for id in 0..10 {
        raw.say(&json!({"op": "ping", "id": id}).to_string());
    }
    let answers: Vec<Value> = (0..10).map(|_| raw.hear()).collect();
    assert!(answers[..3].iter().all(|answer| answer["type"] == "ok"), "{answers:?}");
    assert_eq!(answers[9]["code"], "RATE_LIMITED");
    until("it may ask again", || {
        raw.say(r#"{"op":"ping"}"#);
        raw.hear()["type"] == "ok"
    });
}

#[test]
fn subscriptions_beyond_the_limit_are_refused_and_the_others_stay() {
    let server = Running::start(|config| config.limits.subscriptions = NonZeroUsize::new(2).unwrap());
    server.market("A");
    let mut raw = Raw::connect(server.address);
    let ok = raw.subscribe(&["trades:A", "ticker:*", "book:A", "trades:A"]);
    assert_eq!(ok["topics"], json!(["trades:A", "ticker:*", "trades:A"]));
    let error = hear_until(&mut raw, |message| message["type"] == "error");
    assert_eq!(
        (error["code"].as_str(), error["topic"].as_str()),
        (Some("TOO_MANY_SUBSCRIPTIONS"), Some("book:A"))
    );
    raw.say(r#"{"op":"unsubscribe","id":9,"topics":["ticker:*"]}"#);
    hear_until(&mut raw, |message| message["id"] == 9);
    assert_eq!(raw.subscribe(&["book:A"])["topics"], json!(["book:A"]));
}

#[test]
fn since_gives_the_trades_that_were_missed_and_says_when_it_cannot() {
    let server = Running::start(|config| config.tape.kept = NonZeroUsize::new(50).unwrap());
    let mut market = server.market("BTCUSDT");
    let topic = "trades:BTCUSDT";
    let mut client = Client::default();
    let mut raw = Raw::connect(server.address);
    raw.subscribe(&[topic]);
    market.trade();
    client.hear(&raw.hear()).unwrap();
    drop(raw);
    for missed in [0_u64, 1, 30, 50] {
        for _ in 0..missed {
            market.trade();
        }
        let (epoch, seq) = client.since(topic).unwrap();
        let mut raw = Raw::connect(server.address);
        let ask =
            json!({"op": "subscribe", "topics": [topic], "since": {topic: {"epoch": epoch, "seq": seq}}});
        raw.say(&ask.to_string());
        assert_eq!(raw.hear()["type"], "ok");
        market.trade();
        for _ in 0..=missed {
            // The client holds every message against its number.
            client.hear(&raw.hear()).unwrap();
        }
        assert_eq!(client.since(topic).unwrap().1, seq + missed + 1);
    }
    let mut witness = Raw::connect(server.address);
    witness.subscribe(&[topic]);
    for _ in 0..60 {
        market.trade();
        witness.hear();
    }
    let (epoch, seq) = client.since(topic).unwrap();
    for (epoch, seq) in [(epoch.as_str(), seq), ("other", seq), (epoch.as_str(), seq + 1_000)] {
        let mut raw = Raw::connect(server.address);
        let ask =
            json!({"op": "subscribe", "topics": [topic], "since": {topic: {"epoch": epoch, "seq": seq}}});
        raw.say(&ask.to_string());
        raw.hear();
        let snapshot = raw.hear();
        assert_eq!(
            (snapshot["type"].as_str(), snapshot["recovered"].as_bool()),
            (Some("snapshot"), Some(false))
        );
        assert_eq!(snapshot["data"].as_array().unwrap().len(), 50);
    }
}

#[test]
fn two_clients_get_the_same_bytes_whichever_worker_they_are_on() {
    let server = Running::start(|config| config.threads.worker_threads = NonZeroUsize::new(2));
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    market.settle();
    let topics = ["book:BTCUSDT", "trades:BTCUSDT"];
    let mut clients = [0; 4].map(|_| Raw::connect(server.address));
    for raw in &mut clients {
        raw.subscribe(&topics);
        assert_eq!(raw.hear()["type"], "snapshot");
    }
    for _ in 0..50 {
        market.delta();
        market.trade();
    }
    // Not every delta changes something, and what changes nothing is not told.
    let last = format!("\"tradeId\":{},", market.trades);
    let heard = clients.map(|mut raw| {
        let mut heard = Vec::new();
        while !heard.last().is_some_and(|text: &String| text.contains(&last)) {
            heard.push(String::from_utf8(raw.frame().payload).unwrap());
        }
        heard
    });
    assert!(heard[0].len() > 90 && heard.iter().all(|one| *one == heard[0]));
}

#[test]
fn a_stale_book_is_announced_and_healed() {
    let server = Running::start(|_| {});
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    market.settle();
    let mut raw = Raw::connect(server.address);
    let mut client = Client::default();
    raw.subscribe(&["book:BTCUSDT", "book:BTCUSDT:10:100ms"]);
    market.delta();
    market.stale();
    let mut stale = 0;
    while stale < 2 {
        let message = raw.hear();
        stale += usize::from(message["type"] == "stale");
        client.hear(&message).unwrap();
    }
    let mut late = Raw::connect(server.address);
    late.subscribe(&["book:BTCUSDT"]);
    assert_eq!(late.hear()["type"], "stale", "a newcomer is not given a bad book");
    market.snapshot();
    market.delta();
    for (topic, depth) in [("book:BTCUSDT", usize::MAX), ("book:BTCUSDT:10:100ms", 10)] {
        while !market.is_held(client.book(topic).unwrap(), depth) {
            client.hear(&raw.hear()).unwrap();
        }
    }
    assert_eq!(hear_until(&mut late, |message| message["type"] == "snapshot")["topic"], "book:BTCUSDT");
}

#[test]
fn with_several_shards_every_symbol_is_served() {
    let server = Running::start(|config| config.threads.shards = NonZeroUsize::new(3).unwrap());
    let mut markets: Vec<_> = ["A", "B", "C", "D"].iter().map(|name| server.market(name)).collect();
    for market in &mut markets {
        market.snapshot();
        market.trade();
    }
    let mut raw = Raw::connect(server.address);
    raw.subscribe(&["ticker:*", "book:A", "book:B", "book:C", "book:D"]);
    let mut seen = std::collections::BTreeSet::new();
    until("all were heard", || {
        let message = raw.hear();
        match message["data"].as_array() {
            Some(list) => {
                seen.extend(list.iter().map(|one| format!("ticker {}", one["symbol"].as_str().unwrap())))
            }
            None => drop(seen.insert(message["topic"].as_str().unwrap().to_owned())),
        }
        seen.len() == 8
    });
}

//! How publishers publish: many on one connection, over a WebSocket, twice by mistake, too much.

use std::time::Duration;

use serde_json::{Value, json};

use crate::private::{order, running};
use crate::raw::{BINARY, CLOSE, PING, PONG, Raw, TEXT, frame, post, upgrade};
use crate::running::{Running, now, token};

/// The WebSocket of a publisher whose token lasts so long.
fn publisher(server: &Running, seconds: i64) -> Raw {
    Raw::connect_to(server.address, &format!("/publish?token={}", token("backend", "publish", seconds)))
}

fn with_id(mut object: Value, id: Value) -> String {
    object["id"] = id;
    object.to_string()
}

fn trade(id: u64) -> Value {
    json!({"type": "trade", "symbol": "BTC/USD", "price": "45000.00", "quantity": "1.5", "tradeId": id,
        "timestamp": now()})
}

#[test]
fn one_connection_carries_many_publications() {
    let server = running(|config| config.dev = true);
    let mut raw = Raw::socket(server.address);
    let token = token("backend", "publish", 60);
    for number in 1..=5_u32 {
        let body = order("ann", number).to_string();
        let length = body.len();
        raw.send(
            format!("POST /publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n{body}")
                .as_bytes(),
        );
        let head = raw.head();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(raw.body(&head)["seqs"], json!([number]));
    }
    raw.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let numbers = String::from_utf8(raw.rest()).unwrap();
    assert!(numbers.contains("\ntickcast_journal_commit_seconds_count 5\n"), "{numbers}");
}

#[test]
fn each_message_is_answered_by_its_id_and_in_order() {
    let server = running(|config| config.dev = true);
    let mut raw = publisher(&server, 60);
    raw.say(&with_id(order("ann", 1), json!(7)));
    assert_eq!(raw.hear(), json!({"id": 7, "ok": true, "seq": 1}));
    // All of it in one write: one batch.
    let mut many = Vec::new();
    let said = [
        with_id(order("ann", 2), json!("a")),
        order("ann", 3).to_string(),
        with_id(json!({"type": "nope"}), json!("b")),
        "nonsense".to_owned(),
        with_id(order("ann", 4), json!("c")),
        with_id(json!({"room": "news", "event": "e"}), json!("d")),
    ];
    said.iter().for_each(|text| many.extend(frame(TEXT, true, text.as_bytes())));
    many.extend(frame(BINARY, true, b"{}"));
    raw.send(&many);
    assert_eq!(raw.hear(), json!({"id": "a", "ok": true, "seq": 2}));
    let refused = raw.hear();
    assert_eq!(
        (&refused["id"], &refused["ok"], &refused["code"]),
        (&json!("b"), &json!(false), &json!("UNKNOWN_TYPE"))
    );
    let nonsense = raw.hear();
    assert_eq!((&nonsense["id"], &nonsense["code"]), (&Value::Null, &json!("NOT_JSON")));
    assert_eq!(raw.hear(), json!({"id": "c", "ok": true, "seq": 4}), "the one without an id has its number");
    assert_eq!(raw.hear(), json!({"id": "d", "ok": true, "seq": null}));
    assert_eq!(raw.hear()["code"], json!("NOT_JSON"), "binary is none");
    raw.send(&frame(PING, true, b"there?"));
    let pong = raw.frame();
    assert_eq!((pong.opcode, &pong.payload[..]), (PONG, &b"there?"[..]));
}

#[test]
fn what_a_publisher_sent_before_it_went_away_counts_as_far_as_it_came() {
    let server = running(|config| config.dev = true);
    let mut raw = publisher(&server, 60);
    let (whole, half) = (order("ann", 1).to_string(), order("ann", 2).to_string());
    let mut bytes = frame(TEXT, true, whole.as_bytes());
    let cut = frame(TEXT, true, half.as_bytes());
    bytes.extend_from_slice(&cut[..cut.len() - 1]);
    raw.send(&bytes);
    drop(raw);
    let mut raw = publisher(&server, 60);
    crate::running::until("what came has its number", || {
        raw.say(&with_id(order("bob", 1), json!(1)));
        assert_eq!(raw.hear()["ok"], json!(true));
        let mut ann = Raw::connect_to(server.address, &format!("/v1/ws?token={}", token("ann", "", 60)));
        ann.subscribe(&["orders"]);
        ann.hear()["seq"] == json!(1)
    });
    raw.say(&with_id(order("ann", 3), json!(2)));
    assert_eq!(raw.hear()["seq"], json!(2), "the half one has none");
}

#[test]
fn a_request_whose_sender_goes_away_before_the_answer_is_published_as_a_whole() {
    let server = running(|config| config.dev = true);
    server.symbols.add("BTC/USD").unwrap();
    let mut listener = Raw::connect(server.address);
    listener.subscribe(&["trades:BTC/USD"]);
    let good = token("backend", "publish", 60);
    for number in 1..=REQUESTS {
        // The trades are handed over first, the order goes to the ledger behind them.
        let first = TRADES * u64::from(number);
        let mut objects: Vec<_> = (first..first + TRADES).map(trade).collect();
        objects.push(order("ann", number));
        let body = json!(objects).to_string();
        let length = body.len();
        let head = format!(
            "POST /publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {good}\r\nContent-Length: {length}\r\n\r\n"
        );
        let mut raw = Raw::socket(server.address);
        raw.send((head + &body).as_bytes());
        let mut heard = 0;
        while heard < first {
            let data = listener.hear()["data"].clone();
            let last = data.as_array().and_then(|several| several.last().cloned()).unwrap_or(data);
            heard = last["tradeId"].as_u64().unwrap_or_default();
        }
        drop(raw);
    }
    let orders = || {
        let mut ann = Raw::connect_to(server.address, &format!("/v1/ws?token={}", token("ann", "", 60)));
        ann.subscribe(&["orders"]);
        ann.hear()["seq"].as_u64().unwrap()
    };
    crate::running::until("every order has its number", || orders() == u64::from(REQUESTS));
}

#[test]
fn a_publishers_socket_needs_its_token_and_ends_with_it() {
    let server = running(|config| config.dev = true);
    for (wrong, status) in [("", "401"), ("x.y.z", "401"), (&token("ann", "admin", 60), "403")] {
        let mut raw = Raw::socket(server.address);
        raw.send(upgrade(&format!("/publish?token={wrong}"), "").as_bytes());
        assert_eq!(&raw.head()[9..12], status);
    }
    let mut raw = Raw::socket(server.address);
    let good = token("backend", "publish", 60);
    raw.send(format!("GET /publish?token={good} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
    assert_eq!(&raw.head()[9..12], "426");
    let mut raw = publisher(&server, 2);
    let mut number = 0;
    let refused = loop {
        number += 1;
        raw.say(&with_id(order("ann", number), json!(1)));
        let answer = raw.hear();
        if answer["ok"] == json!(false) {
            break answer;
        }
    };
    assert_eq!(refused["code"], json!("TOKEN_EXPIRED"));
    assert_eq!(raw.close_frame().0, 4001);
}

#[test]
fn a_publisher_that_breaks_the_rules_is_closed_with_the_code_that_says_so() {
    let server = running(|config| config.publish.bytes = 2_000.try_into().unwrap());
    let told = [
        (frame(TEXT, true, &[b'x'; 2_001]), 1009),
        (frame(TEXT, true, b"\xff\xfe"), 1007),
        (frame(CLOSE, true, &1000_u16.to_be_bytes()), 1000),
    ];
    for (bytes, code) in told {
        let mut raw = publisher(&server, 60);
        raw.send(&bytes);
        assert_eq!(raw.close_frame().0, code);
    }
}

#[test]
fn a_publisher_that_says_nothing_is_asked_and_let_go() {
    let server = running(|config| {
        config.limits.ping = Duration::from_millis(50);
        config.limits.pong_timeout = Duration::from_millis(50);
    });
    let mut raw = publisher(&server, 60);
    assert_eq!(raw.frame().opcode, PING);
    assert_eq!(raw.close_frame().0, 1001);
}

#[test]
fn a_publisher_that_takes_no_answers_is_let_go_and_holds_nobody_up() {
    let server = running(|config| config.limits.stalled = Duration::from_millis(300));
    let mut deaf = publisher(&server, 60);
    let mut many = Vec::new();
    for _ in 0..1_000 {
        many.extend(frame(TEXT, true, br#"{"id":1,"type":"nope"}"#));
    }
    // Each is answered with four times its length, until nothing more goes in either direction.
    let written = (0..100_000).find(|_| std::io::Write::write_all(&mut deaf.stream, &many).is_err());
    assert!(written.is_some(), "the server reads on and on");
    let good = token("backend", "publish", 60);
    assert_eq!(post(server.address, &good, "[]").0, 200);
}

#[test]
fn what_is_published_twice_under_one_name_is_told_once() {
    let server = running(|_| {});
    server.symbols.add("BTC/USD").unwrap();
    let good = token("backend", "publish", 60);
    let mut client = Raw::connect(server.address);
    client.subscribe(&["trades:BTC/USD", "room:news"]);
    let named = |mut object: Value, name: &str| {
        object["eventId"] = json!(name);
        object
    };
    let room = |number: u32| json!({"room": "news", "event": "flash", "data": number});
    let all = json!([
        named(trade(1), "x"),
        named(trade(9), "x"),
        named(trade(2), "y"),
        named(room(1), "x"),
        named(room(1), "x"),
        room(2),
    ]);
    for _ in 0..2 {
        let (status, answer) = post(server.address, &good, &all.to_string());
        assert_eq!((status, &answer["accepted"]), (200, &json!(6)), "{answer}");
    }
    post(server.address, &good, &trade(3).to_string());
    let (mut trades, mut rooms) = (Vec::new(), Vec::new());
    while rooms.len() < 3 || trades.last() != Some(&json!(3)) {
        let heard = client.hear();
        if heard["topic"] == json!("room:news") {
            rooms.push(heard["data"]["data"].clone());
        } else {
            let several = heard["data"].as_array().cloned();
            let told = several.unwrap_or_else(|| vec![heard["data"].clone()]);
            trades.extend(told.iter().map(|trade| trade["tradeId"].clone()));
        }
    }
    assert_eq!(rooms, [json!(1), json!(2), json!(2)], "a nameless one is told each time");
    assert_eq!(trades, [json!(1), json!(2), json!(3)]);
}

#[test]
fn a_publisher_has_a_rate_and_a_batch_a_size() {
    let server = running(|config| {
        config.dev = true;
        config.publish.objects_per_second = 3.try_into().unwrap();
        config.publish.objects = 6.try_into().unwrap();
    });
    let good = token("backend", "publish", 60);
    let batch =
        |count: u32| json!((1..=count).map(|number| order("ann", number)).collect::<Vec<_>>()).to_string();
    let (status, answer) = post(server.address, &good, &batch(7));
    assert_eq!((status, &answer["rejected"][0]["code"]), (400, &json!("TOO_MANY")));
    let (status, answer) = post(server.address, &good, &batch(5));
    assert_eq!(
        (status, &answer["accepted"], &answer["seqs"]),
        (200, &json!(3), &json!([1, 2, 3, null, null]))
    );
    let rejected: Vec<_> =
        answer["rejected"].as_array().unwrap().iter().map(|one| (&one["index"], &one["code"])).collect();
    assert_eq!(rejected, [(&json!(3), &json!("RATE_LIMITED")), (&json!(4), &json!("RATE_LIMITED"))]);
    let other = token("other", "publish", 60);
    assert_eq!(post(server.address, &other, &batch(1)).0, 200, "another publisher has a rate of its own");
    let mut spent = post(server.address, &good, &batch(6)).0;
    if spent == 200 {
        // The machine took its time, and some was left again.
        spent = post(server.address, &good, &batch(6)).0;
    }
    assert_eq!(spent, 429);
}

/// Requests that nobody waits for, and trades of each.
const REQUESTS: u32 = 8;
const TRADES: u64 = 5_000;

//! The hub dialect over real sockets: who is let in, and what an unmodified client gets.

use serde_json::{Value, json};
use tickcast::auth::{Mint, mint};
use tickcast::config::Config;

use crate::raw::{Raw, upgrade};
use crate::running::{Running, now, until};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn with_key(config: &mut Config) {
    config.secrets.jwt_secret = Some(SECRET.to_owned());
}

fn token(user: &str) -> String {
    let mut config = Config::default();
    with_key(&mut config);
    mint(&Mint::new(user, now(), 60), &config.secrets).unwrap()
}

fn subscribe(client: &mut Raw, topics: &[&str]) {
    let payload = json!({"action": "subscribe", "topics": topics});
    client.say(
        &json!({"type": "SUBSCRIPTION", "timestamp": "2025-04-03T10:15:30Z", "payload": payload}).to_string(),
    );
}

/// The data of the next message of a topic.
fn data(client: &mut Raw, topic: &str) -> Value {
    loop {
        let message = client.hear();
        if message["type"] == "MARKET_DATA" && message["payload"]["topic"] == topic {
            return message["payload"]["data"].clone();
        }
    }
}

#[test]
fn nobody_comes_in_without_a_right_token() {
    let server = Running::start(with_key);
    for path in ["/ws", "/ws?token=", "/ws?token=a.b.c", "/v1/ws?token=a.b.c"] {
        let mut raw = Raw::socket(server.address);
        raw.send(upgrade(path, "").as_bytes());
        assert!(raw.head().starts_with("HTTP/1.1 401 "), "{path}");
    }
    let mut raw = Raw::socket(server.address);
    raw.send(upgrade("/ws", &format!("Authorization: Bearer {}\r\n", token("alice"))).as_bytes());
    assert!(raw.head().starts_with("HTTP/1.1 101 "));
}

#[test]
fn a_client_gets_whole_books_and_single_trades_and_is_counted() {
    let server = Running::start(with_key);
    let mut market = server.market("BTC/USD");
    market.snapshot();
    market.settle();
    let mut client = Raw::connect_to(server.address, &format!("/ws?token={}", token("alice")));
    subscribe(&mut client, &["book:BTC/USD", "trades:BTC/USD", "nonsense"]);
    let answer = client.hear();
    assert_eq!(answer["payload"]["topics"], json!(["book:BTC/USD", "trades:BTC/USD"]));
    assert_eq!(answer["payload"]["rejected"][0]["topic"], "nonsense");
    let first = data(&mut client, "book:BTC/USD");
    assert_eq!((first["bids"].as_array().unwrap().len(), first["bids"][0][0].as_str()), (50, Some("100.00")));
    // Every message is the whole of the top 50, so that the last one alone is the book.
    for _ in 0..20 {
        market.delta();
    }
    loop {
        let book = data(&mut client, "book:BTC/USD");
        assert_eq!(book["asks"].as_array().unwrap().len(), 50);
        if book["lastUpdateId"] == market.last_id {
            let best = market.bids.last_key_value().unwrap().0;
            assert_eq!(book["bids"][0][0], format!("{}.{:02}", best / 100, best % 100));
            break;
        }
        // Changes below the top 50 alone are not told: something in sight has to change.
        market.delta();
    }
    market.trade();
    assert_eq!(data(&mut client, "trades:BTC/USD")["side"], "BUY");
    assert_eq!(status(&server)["topicSubscriptions"], json!({"book:BTC/USD": 1, "trades:BTC/USD": 1}));
    drop(client);
    until("nobody is counted", || status(&server)["activeConnections"] == 0);
    assert_eq!(status(&server)["topicSubscriptions"], json!({}));
}

#[test]
fn a_client_that_asks_for_it_gets_its_payloads_as_text() {
    let server = Running::start(with_key);
    let path = format!("/ws?payload=string&token={}", token("alice"));
    let mut client = Raw::connect_to(server.address, &path);
    client.say(r#"{"type":"SUBSCRIPTION","payload":"{\"action\":\"subscribe\",\"topics\":[\"ticker:*\"]}"}"#);
    let answer = client.hear();
    let inside: Value = serde_json::from_str(answer["payload"].as_str().unwrap()).unwrap();
    assert_eq!(inside["topics"], json!(["ticker:*"]));
}

fn status(server: &Running) -> Value {
    let mut raw = Raw::socket(server.address);
    raw.send(b"GET /ws/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    raw.head();
    serde_json::from_slice(&raw.rest()).unwrap()
}

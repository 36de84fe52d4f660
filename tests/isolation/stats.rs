//! `/stats`: who is on the gateway that has such a page, for admins alone.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::listener::Place;
use crate::oracle::{Dialect, User};
use crate::raw::Raw;
use crate::running::until;
use crate::stage::Stage;
use crate::tokens::Token;

fn stats(address: SocketAddr, token: Token) -> (u16, Value) {
    let mut raw = Raw::socket(address);
    let header = token.text().map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    raw.send(format!("GET /stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n").as_bytes());
    let head = raw.head();
    (head[9..12].parse().unwrap(), serde_json::from_slice(&raw.rest()).unwrap())
}

#[test]
fn admins_see_who_is_connected_to_what_and_nobody_else_does() {
    let stage = Stage::start();
    stage.rotate();
    let server = &stage.server;
    server.symbols.add("BTC/USD").unwrap();
    server.symbols.add("ETH/USD").unwrap();
    for token in Token::BAD.into_iter().chain([Token::None]) {
        assert_eq!(stats(server.address, token).0, 401, "{token:?}");
    }
    for user in [User::Ann, User::Bob, User::Backend] {
        assert_eq!(stats(server.address, Token::Good(user)).0, 403, "{user:?}");
    }
    let nobody = json!({"connectedClients": 0, "totalSubscriptions": 0, "clients": []});
    assert_eq!(stats(server.address, Token::Good(User::Root)), (200, nobody.clone()));

    let mut ann = stage.enter(Dialect::TradeWithAi, Token::Good(User::Ann), Place::Auth);
    // Another gateway's client is none of this page's.
    let maven = stage.enter(Dialect::Maven, Token::Good(User::Ann), Place::Auth);
    let ask = |channel: &str, more: Value| {
        let mut argument = json!({"channel": channel});
        argument.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        (format!("subscribe {channel}"), argument)
    };
    ann.ask(&[
        ask("market-data", json!({"symbols": ["BTC/USD", "ETH/USD"]})),
        ask("trading", json!({})),
        ask("news", json!({})),
        ask("nowhere", json!({})),
    ]);
    let (status, told) = stats(server.address, Token::Good(User::Root));
    let client = &told["clients"][0];
    assert!(client["id"].as_str().is_some_and(|id| id == ann.client_id), "{told}");
    let expected = json!({
        "connectedClients": 1,
        "totalSubscriptions": 4,
        "clients": [{
            "id": client["id"], "userId": User::Ann.name(), "email": User::Ann.email(),
            "subscriptions": ["market-data:BTC/USD", "market-data:ETH/USD", "trading", "news"],
        }],
    });
    assert_eq!((status, told), (200, expected));
    drop((ann, maven));
    until("who goes is gone", || stats(server.address, Token::Good(User::Root)).1 == nobody);
}

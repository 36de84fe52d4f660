//! What is told to many sessions of a user is put into words once for each dialect.

use std::net::SocketAddr;

use serde_json::Value;

use crate::listener::Place;
use crate::oracle::{Dialect, User};
use crate::raw::Raw;
use crate::stage::{Stage, order};
use crate::tokens::Token;

/// How many updates of users were put into words so far.
fn encodings(address: SocketAddr) -> u64 {
    let mut raw = Raw::socket(address);
    raw.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let page = String::from_utf8(raw.rest()).unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix("tickcast_encodings_total{by=\"ledger\"} "));
    line.unwrap_or_else(|| panic!("no such line in {page}")).trim().parse().unwrap()
}

#[test]
fn an_event_is_put_into_words_once_for_each_dialect_and_not_for_each_session() {
    let stage = Stage::start();
    let address = stage.server.address;
    let dialects = [Dialect::Native, Dialect::Native, Dialect::Hub];
    let mut sessions = dialects.map(|dialect| {
        let mut session = stage.enter(dialect, Token::Good(User::Ann), Place::Query);
        session.ask(&[("orders".to_owned(), Value::Null)]);
        session
    });
    // The first one shows that all of them listen.
    stage.publish([order(User::Ann, 1)]);
    sessions.iter_mut().for_each(|session| session.hear_mark("1"));
    let before = encodings(address);
    stage.publish([order(User::Ann, 2)]);
    sessions.iter_mut().for_each(|session| session.hear_mark("2"));
    assert_eq!(encodings(address) - before, 2, "three sessions on two dialects");
    stage.publish([order(User::Bob, 3)]);
    assert_eq!(encodings(address) - before, 2, "nobody listens to Bob's");
}

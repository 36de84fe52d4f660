//! A session of Maven's gateway on polling, and its way to a WebSocket.
#![allow(dead_code, reason = "no test uses all of it")]
#![allow(unreachable_pub, reason = "every test is a crate of its own, and this belongs to several")]

use std::net::SocketAddr;

use crate::raw::{Raw, upgrade};

/// A session on polling that hears a symbol's trades and its book.
pub struct Session {
    address: SocketAddr,
    sid: String,
}

impl Session {
    pub fn open(address: SocketAddr, symbol: &str) -> Session {
        let mut session = Session { address, sid: String::new() };
        let opened = session.ask("GET", "");
        let sid = opened.split_once("\"sid\":\"").unwrap().1;
        session.sid = sid.split_once('"').unwrap().0.to_owned();
        let subscribe = |channel: &str| {
            format!("42/ws,[\"subscribe\",{{\"channel\":\"{channel}\",\"symbol\":\"{symbol}\"}}]")
        };
        let packets = ["40/ws,".to_owned(), subscribe("trades"), subscribe("orderbook")];
        assert_eq!(session.ask("POST", &packets.join("\u{1e}")), "ok");
        // A symbol's topics are joined in order: with the book it hears the trades, too.
        while !session.ask("GET", "").contains("orderbook.update") {}
        session
    }

    pub fn head(&self, method: &str, more: &str) -> String {
        let sid = if self.sid.is_empty() { String::new() } else { format!("&sid={}", self.sid) };
        format!(
            "{method} /socket.io/?EIO=4&transport=polling{sid} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n"
        )
    }

    pub fn ask(&self, method: &str, body: &str) -> String {
        let mut raw = Raw::socket(self.address);
        raw.send(self.head(method, &format!("Content-Length: {}\r\n", body.len())).as_bytes());
        raw.send(body.as_bytes());
        assert!(raw.head().starts_with("HTTP/1.1 200 "));
        String::from_utf8(raw.rest()).unwrap()
    }

    pub fn begin_poll(&self) -> Raw {
        let mut raw = Raw::socket(self.address);
        raw.send(self.head("GET", "").as_bytes());
        raw
    }

    pub fn websocket(&self) -> Raw {
        let mut raw = Raw::socket(self.address);
        let path = format!("/socket.io/?EIO=4&transport=websocket&sid={}", self.sid);
        raw.send(upgrade(&path, "").as_bytes());
        assert!(raw.head().starts_with("HTTP/1.1 101 "));
        raw
    }
}

/// The first step of a move, and the server's answer.
pub fn probe(socket: &mut Raw) {
    socket.say("2probe");
    assert_eq!(socket.frame().payload, b"3probe");
}

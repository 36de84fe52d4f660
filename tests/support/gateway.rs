//! A Socket.IO client of the gateways on a WebSocket: it says and hears whole events.
#![allow(dead_code, reason = "no test uses all of it")]
#![allow(unreachable_pub, reason = "every test is a crate of its own, and this belongs to several")]

use std::collections::VecDeque;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::raw::{Raw, TEXT, upgrade};

/// One client in one namespace.
pub struct Gateway {
    raw: Raw,
    /// What stands in front of its packets: `/ws,`, or nothing.
    namespace: &'static str,
    heard: VecDeque<(String, Value)>,
    answers: usize,
}

pub const MAVEN: &str = "/ws,";
pub const TRADEWITHAI: &str = "";

impl Gateway {
    /// A client that has joined and was greeted.
    pub fn connect(address: SocketAddr, namespace: &'static str, token: Option<&str>) -> Gateway {
        let mut client = Gateway::connect_with(address, namespace, "", "");
        client.join(&json!({"token": token})).unwrap();
        assert_eq!(client.hear().0, "connected");
        client
    }

    /// An open session that has joined nothing, with more in its first request.
    pub fn connect_with(address: SocketAddr, namespace: &'static str, query: &str, header: &str) -> Gateway {
        let mut raw = Raw::socket(address);
        let path = format!("/socket.io/?EIO=4&transport=websocket{query}");
        raw.send(upgrade(&path, header).as_bytes());
        let head = raw.head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let mut client = Gateway { raw, namespace, heard: VecDeque::new(), answers: 0 };
        assert!(client.packet().starts_with("0{"));
        client
    }

    /// Joins its namespace, or says why it may not.
    pub fn join(&mut self, auth: &Value) -> Result<Value, Value> {
        self.raw.say(&format!("40{}{auth}", self.namespace));
        let answer = self.packet();
        let value = |kind: &str| {
            let rest = answer.strip_prefix(kind)?.strip_prefix(self.namespace)?;
            Some(serde_json::from_str::<Value>(rest).unwrap())
        };
        match (value("40"), value("44")) {
            (Some(joined), _) => Ok(joined),
            (None, Some(refused)) => Err(refused),
            (None, None) => panic!("neither joined nor refused: {answer}"),
        }
    }

    /// Says something, and returns the answer. What it hears meanwhile is heard later.
    pub fn ask(&mut self, name: &str, argument: &Value) -> Value {
        self.answers += 1;
        let head = format!("{}{}", self.namespace, self.answers);
        self.raw.say(&format!("42{head}{}", json!([name, argument])));
        loop {
            let packet = self.packet();
            match packet.strip_prefix("43").and_then(|rest| rest.strip_prefix(&head)) {
                Some(answer) => return serde_json::from_str::<Value>(answer).unwrap()[0].clone(),
                None => self.note(&packet),
            }
        }
    }

    /// The next event but for `connection-count`.
    pub fn hear(&mut self) -> (String, Value) {
        loop {
            match self.hear_any() {
                (name, _) if name == "connection-count" => {}
                event => return event,
            }
        }
    }

    /// The next event.
    pub fn hear_any(&mut self) -> (String, Value) {
        loop {
            if let Some(event) = self.heard.pop_front() {
                return event;
            }
            let packet = self.packet();
            self.note(&packet);
        }
    }

    fn note(&mut self, packet: &str) {
        let event = packet.strip_prefix("42").and_then(|rest| rest.strip_prefix(self.namespace));
        let event = event.unwrap_or_else(|| panic!("no event: {packet}"));
        let event: Value = serde_json::from_str(event).unwrap();
        self.heard.push_back((event[0].as_str().unwrap().to_owned(), event[1].clone()));
    }

    /// The next packet; pings are answered.
    fn packet(&mut self) -> String {
        loop {
            let got = self.raw.frame();
            assert_eq!(got.opcode, TEXT, "{got:?}");
            match String::from_utf8(got.payload).unwrap() {
                ping if ping == "2" => self.raw.say("3"),
                packet => return packet,
            }
        }
    }
}

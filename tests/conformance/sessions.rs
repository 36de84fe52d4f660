//! What both suites ask of the sessions themselves, for either address.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Server;
use crate::raw::{Raw, upgrade};

/// An address, and what is said there to be sure that somebody hears: what, and how the answer begins.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) path: &'static str,
    pub(crate) says: &'static str,
    pub(crate) hears: &'static str,
}

/// What opens a session has exactly these members.
fn check_handshake(handshake: &Value, upgrades: Value) {
    let keys: BTreeSet<_> = handshake.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"]));
    assert!(handshake["sid"].is_string());
    assert_eq!(handshake["upgrades"], upgrades);
    assert_eq!([&handshake["pingInterval"], &handshake["pingTimeout"]], [&json!(300), &json!(200)]);
    assert_eq!(handshake["maxPayload"], 1_000_000);
}

pub(crate) fn polling_opens(place: Place) {
    let server = Server::start();
    let opened = server.ask("GET", &format!("{}?EIO=4&transport=polling", place.path), "");
    assert_eq!(opened.status, 200);
    check_handshake(&opened.json(), json!(["websocket"]));
    let head = opened.head.to_lowercase();
    for line in ["content-type: text/plain; charset=utf-8", "cache-control: no-store", "content-length: "] {
        assert!(head.contains(line), "{head}");
    }
}

/// Each of these queries is refused with the code beside it, whatever the transport.
fn check_refused(place: Place, cases: &[(&str, u64)]) {
    let server = Server::start();
    for (query, code) in cases {
        let answer = server.ask("GET", &format!("{}?{query}", place.path), "");
        assert_eq!(answer.status, 400, "{query}");
        let told: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(told["code"], *code, "{query}: {told}");
    }
}

pub(crate) fn polling_refuses_versions(place: Place) {
    check_refused(
        place,
        &[("transport=polling", 5), ("EIO=abc&transport=polling", 5), ("EIO=3&transport=polling", 5)],
    );
}

pub(crate) fn polling_refuses_transports(place: Place) {
    check_refused(place, &[("EIO=4", 0), ("EIO=4&transport=abc", 0)]);
}

pub(crate) fn polling_refuses_methods(place: Place) {
    let server = Server::start();
    for method in ["POST", "PUT"] {
        let answer = server.ask(method, &format!("{}?EIO=4&transport=polling", place.path), "");
        assert_eq!((answer.status, &*answer.body), (400, r#"{"code":2,"message":"Bad handshake method"}"#));
    }
}

pub(crate) fn websocket_opens(place: Place) {
    let server = Server::start();
    let mut socket = server.connect(&format!("{}?EIO=4&transport=websocket", place.path));
    let first = socket.hear();
    check_handshake(&serde_json::from_str(first.strip_prefix('0').unwrap()).unwrap(), json!([]));
}

/// No WebSocket is accepted for any of these queries.
fn check_no_websocket(place: Place, queries: &[&str]) {
    let server = Server::start();
    for query in queries {
        let mut raw = Raw::socket(server.address);
        raw.send(upgrade(&format!("{}?{query}", place.path), "Connection: close\r\n").as_bytes());
        let head = raw.head();
        assert!(head.starts_with("HTTP/1.1 400 "), "{query}: {head}");
    }
}

pub(crate) fn websocket_refuses_versions(place: Place) {
    check_no_websocket(place, &["transport=websocket", "EIO=abc&transport=websocket"]);
}

pub(crate) fn websocket_refuses_transports(place: Place) {
    check_no_websocket(place, &["EIO=4", "EIO=4&transport=abc"]);
}

pub(crate) fn polling_is_asked_and_answers(place: Place) {
    let server = Server::start();
    let session = server.open(place.path);
    for _ in 0..3 {
        session.hears("2");
        session.says("3");
    }
}

/// Silence is what is tried here: nothing is waited for but the time itself.
pub(crate) fn polling_ends_in_silence(place: Place) {
    let server = Server::start();
    let session = server.open(place.path);
    std::thread::sleep(Duration::from_millis(500));
    session.is_gone();
}

pub(crate) fn websocket_is_asked_and_answers(place: Place) {
    let server = Server::start();
    let mut socket = server.websocket(place.path);
    for _ in 0..3 {
        assert_eq!(socket.hear(), "2");
        socket.says("3");
    }
}

pub(crate) fn websocket_ends_in_silence(place: Place) {
    let server = Server::start();
    assert_eq!(server.websocket(place.path).closed(), Some(1001));
}

pub(crate) fn polling_says_goodbye(place: Place) {
    let server = Server::start();
    let session = server.open(place.path);
    let poll = session.begin_poll();
    session.says("1");
    let polled = poll.answer();
    assert_eq!((polled.status, &*polled.body), (200, "6"));
    session.is_gone();
}

pub(crate) fn websocket_says_goodbye(place: Place) {
    let server = Server::start();
    let mut socket = server.websocket(place.path);
    socket.says("1");
    assert_eq!(socket.closed(), None, "nobody gave a code");
}

pub(crate) fn moves(place: Place) {
    let server = Server::start();
    let session = server.open(place.path);
    let mut socket = session.websocket();
    socket.says("2probe");
    assert_eq!(socket.hear(), "3probe");
    session.hears("6");
    socket.says("5");
    socket.says(place.says);
    socket.hear_like(place.hears);
}

pub(crate) fn polls_after_a_move_are_refused(place: Place) {
    let server = Server::start();
    let session = server.open(place.path);
    let mut socket = session.moves();
    // Once the socket is heard the move is done.
    socket.says(place.says);
    socket.hear_like(place.hears);
    session.is_gone();
    assert_eq!(session.post("4x").status, 400);
    assert_eq!(socket.hear_next_packet_but(place), "2");
}

pub(crate) fn sockets_after_a_move_are_closed(place: Place) {
    let server = Server::start();
    let session = server.open(place.path);
    let mut socket = session.moves();
    let mut second = session.websocket();
    assert_eq!(second.closed(), None);
    socket.says(place.says);
    socket.hear_like(place.hears);
}

impl crate::client::Socket {
    /// The next packet that is no message of the place.
    fn hear_next_packet_but(&mut self, place: Place) -> String {
        loop {
            let heard = self.hear();
            if !heard.starts_with(&place.hears[..1]) {
                return heard;
            }
        }
    }
}

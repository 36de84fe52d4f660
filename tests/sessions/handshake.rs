//! From the first byte to an open WebSocket, or to an answer that says why not.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::raw::{Raw, frame, upgrade};
use crate::running::{Running, until};

/// The status of the answer, its head and its body as JSON.
fn ask(server: &Running, request: &str) -> (u16, String, serde_json::Value) {
    let mut raw = Raw::socket(server.address);
    raw.send(request.as_bytes());
    let head = raw.head();
    raw.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let body = raw.rest();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head, serde_json::from_slice(&body).unwrap_or_default())
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

#[test]
fn a_request_that_is_no_upgrade_is_told_what_would_be() {
    let server = Running::start(|_| {});
    let cases = [
        (get("/v1/ws"), 426, "UPGRADE_REQUIRED"),
        (upgrade("/v1/ws", "").replace("Version: 13", "Version: 8"), 400, "BAD_UPGRADE"),
        (upgrade("/v1/ws", "").replace("Sec-WebSocket-Key", "X"), 400, "BAD_UPGRADE"),
        (upgrade("/nowhere", ""), 404, "NOT_FOUND"),
        (upgrade("/v1/ws", "").replace("GET", "POST"), 405, "METHOD_NOT_ALLOWED"),
        (get("/healthz").replace("GET", "DELETE"), 405, "METHOD_NOT_ALLOWED"),
        (upgrade("/v1/ws?token=abc", ""), 401, "UNAUTHORIZED"),
        (upgrade("/v1/ws?x=1&token=abc", ""), 401, "UNAUTHORIZED"),
        (upgrade("/v1/ws", "Authorization: Bearer abc\r\n"), 401, "UNAUTHORIZED"),
        (get("/"), 404, "NOT_FOUND"),
    ];
    for (request, status, code) in cases {
        let (found, head, body) = ask(&server, &request);
        assert_eq!((found, body["code"].as_str()), (status, Some(code)), "{request}");
        assert!(body["message"].as_str().is_some_and(|message| message.len() > 10), "{body}");
        assert_eq!(status == 405, head.contains("allow: GET"), "{head}");
        assert_eq!(code == "BAD_UPGRADE", head.contains("sec-websocket-version: 13"), "{head}");
    }
}

#[test]
fn an_empty_token_is_none() {
    let server = Running::start(|_| {});
    for path in ["/v1/ws?token=", "/v1/ws?a=b"] {
        let mut raw = Raw::socket(server.address);
        raw.send(upgrade(path, "").as_bytes());
        let head = raw.head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        // The example of RFC 6455, section 1.3.
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    }
}

#[test]
fn pages_from_elsewhere_may_not_connect_where_origins_are_listed() {
    let server = Running::start(|config| config.allowed_origins = vec!["https://ours.example".into()]);
    let status = |origin: &str| ask(&server, &upgrade("/v1/ws", origin)).0;
    assert_eq!(status("Origin: https://theirs.example\r\n"), 403);
    assert_eq!(status("Origin: null\r\n"), 403);
    assert_eq!(status("Origin: https://ours.example\r\n"), 101);
    assert_eq!(status(""), 101, "programs send none");
}

#[test]
fn one_connection_too_many_is_answered_503_until_another_goes() {
    let server = Running::start(|config| config.limits.connections = NonZeroUsize::new(2).unwrap());
    let kept = [Raw::connect(server.address), Raw::connect(server.address)];
    let (status, _, body) = ask(&server, &upgrade("/v1/ws", ""));
    assert_eq!(status, 503);
    assert!(body["message"].as_str().unwrap().contains("limits.connections"), "{body}");
    drop(kept);
    until("a place is free", || ask(&server, &upgrade("/v1/ws", "")).0 == 101);
}

#[test]
fn a_place_that_no_upgrade_took_is_free_again() {
    let server = Running::start(|config| config.limits.connections = NonZeroUsize::MIN);
    for _ in 0..5 {
        assert_eq!(ask(&server, &upgrade("/v1/ws", "").replace("Version: 13", "Version: 8")).0, 400);
    }
    Raw::connect(server.address);
}

#[test]
fn who_says_nothing_or_too_slowly_is_let_go_at_the_deadline() {
    let server = Running::start(|config| config.limits.handshake = Duration::from_millis(300));
    let whole = upgrade("/v1/ws", "");
    for begun in ["", "GET", &whole[..whole.len() - 2]] {
        let mut raw = Raw::socket(server.address);
        raw.send(begun.as_bytes());
        let rest = raw.rest();
        let text = String::from_utf8_lossy(&rest);
        assert!(rest.is_empty() || text.starts_with("HTTP/1.1 408 "), "{begun:?}: {text}");
    }
    // One whole request after the other, and no upgrade: neither holds a place for ever.
    let mut raw = Raw::socket(server.address);
    until("it is closed", || {
        use std::io::Write;
        raw.stream.write_all(get("/healthz").as_bytes()).is_err() || !raw.more().unwrap_or(false)
    });
}

#[test]
fn what_comes_in_one_segment_with_the_request_is_heard() {
    let server = Running::start(|_| {});
    let mut raw = Raw::socket(server.address);
    let mut bytes = upgrade("/v1/ws", "").into_bytes();
    bytes.extend(frame(1, true, br#"{"op":"ping","id":1}"#));
    bytes.extend(frame(1, true, br#"{"op":"list","id":2}"#));
    bytes.extend(&frame(1, true, br#"{"op":"ping","id":3}"#)[..9]);
    raw.send(&bytes);
    assert!(raw.head().starts_with("HTTP/1.1 101 "));
    assert_eq!(raw.hear()["id"], 1);
    assert_eq!(raw.hear()["id"], 2);
    raw.send(&frame(1, true, br#"{"op":"ping","id":3}"#)[9..]);
    assert_eq!(raw.hear()["id"], 3);
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let server = Running::start(|_| {});
    let mut raw = Raw::socket(server.address);
    let long = format!("X-Long: {}\r\n", "x".repeat(40 << 10));
    raw.send(upgrade("/v1/ws", &long).as_bytes());
    assert!(raw.head().starts_with("HTTP/1.1 431 "));
}

#[test]
fn readiness_follows_the_data() {
    let server = Running::start(|config| config.source = tickcast::config::Source::Simulated);
    let (status, _, body) = ask(&server, &get("/readyz"));
    assert_eq!((status, body["ready"].as_bool()), (503, Some(false)), "{body}");
    assert_eq!(ask(&server, &get("/healthz")).0, 200);
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    until("it is ready", || ask(&server, &get("/readyz")).0 == 200);
    market.stale();
    until("it is no longer ready", || ask(&server, &get("/readyz")).0 == 503);
}

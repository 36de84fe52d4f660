//! What may be done with frames, and what ends a connection.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::raw::{BINARY, CLOSE, CONTINUATION, PING, PONG, Raw, TEXT, frame, head};
use crate::running::Running;

const ASK: &[u8] = br#"{"op":"ping","id":1}"#;

#[test]
fn frames_may_come_together_byte_by_byte_and_in_fragments() {
    let server = Running::start(|_| {});
    let mut raw = Raw::connect(server.address);
    let together: Vec<u8> = (0..20).flat_map(|_| frame(TEXT, true, ASK)).collect();
    raw.send(&together);
    for _ in 0..20 {
        assert_eq!(raw.hear()["id"], 1);
    }
    for byte in frame(TEXT, true, ASK) {
        raw.send(&[byte]);
    }
    assert_eq!(raw.hear()["id"], 1);
    raw.send(&frame(TEXT, false, &ASK[..5]));
    raw.send(&frame(PING, true, b"between"));
    raw.send(&frame(CONTINUATION, false, b""));
    raw.send(&frame(CONTINUATION, true, &ASK[5..]));
    let pong = raw.frame();
    assert_eq!((pong.opcode, &*pong.payload), (PONG, &b"between"[..]));
    assert_eq!(raw.hear()["id"], 1);
}

#[test]
fn a_ping_is_answered_with_its_own_bytes() {
    let server = Running::start(|_| {});
    let mut raw = Raw::connect(server.address);
    for payload in [&b""[..], b"x", &[0xff; 125]] {
        raw.send(&frame(PING, true, payload));
        let got = raw.frame();
        assert_eq!((got.opcode, &*got.payload), (PONG, payload));
    }
    raw.send(&frame(PONG, true, b"nobody asked"));
    raw.say(r#"{"op":"ping","id":2}"#);
    assert_eq!(raw.hear()["id"], 2);
}

#[test]
fn what_breaks_the_protocol_is_closed_with_its_code() {
    let server = Running::start(|config| {
        config.limits.message_bytes = NonZeroUsize::new(2_000).unwrap();
    });
    let half: Vec<u8> =
        [frame(TEXT, false, &[b'x'; 1_500]), frame(CONTINUATION, true, &[b'x'; 501])].concat();
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("too big", frame(TEXT, true, &[b'x'; 2_001]), 1009),
        ("too big in its head alone", [head(TEXT, true, usize::MAX >> 1), vec![0; 4]].concat(), 1009),
        ("too big in all", half, 1009),
        ("too big and more", frame(TEXT, true, &vec![b'x'; 3 << 20]), 1009),
        ("not UTF-8", frame(TEXT, true, &[b'{', 0xff]), 1007),
        ("unmasked", vec![0x81, 0x01, b'x'], 1002),
        ("a reserved bit", vec![0xc1, 0x80, 0, 0, 0, 0], 1002),
        ("no such opcode", vec![0x83, 0x80, 0, 0, 0, 0], 1002),
        ("a continuation of nothing", frame(CONTINUATION, true, b"x"), 1002),
        ("a long ping", frame(PING, true, &[0; 126]), 1002),
        ("a ping in parts", frame(PING, false, b"x"), 1002),
        ("a close with half a code", frame(CLOSE, true, &[3]), 1002),
        ("a close with a code that nobody may send", frame(CLOSE, true, &1005_u16.to_be_bytes()), 1002),
    ];
    for (what, bytes, code) in cases {
        let mut raw = Raw::connect(server.address);
        // The server may have stopped reading before all is sent.
        let _ = std::io::Write::write_all(&mut raw.stream, &bytes);
        let (found, reason) = raw.closed();
        assert_eq!(found, code, "{what}: {reason}");
        assert!(!reason.is_empty(), "{what}");
    }
}

#[test]
fn a_binary_message_is_refused_and_the_client_stays() {
    let server = Running::start(|_| {});
    let mut raw = Raw::connect(server.address);
    raw.send(&frame(BINARY, true, ASK));
    assert_eq!(raw.hear()["code"], "BAD_MESSAGE");
    raw.say(r#"{"op":"ping","id":2}"#);
    assert_eq!(raw.hear()["id"], 2);
}

#[test]
fn a_close_is_answered_with_its_code_and_the_socket_ends() {
    let server = Running::start(|_| {});
    for code in [1000_u16, 1001, 3000, 4999] {
        let mut raw = Raw::connect(server.address);
        raw.send(&frame(CLOSE, true, &[&code.to_be_bytes()[..], b"bye"].concat()));
        assert_eq!(raw.closed().0, code);
    }
    let mut raw = Raw::connect(server.address);
    raw.send(&frame(CLOSE, true, b""));
    let got = raw.frame();
    assert_eq!((got.opcode, &*got.payload), (CLOSE, &b""[..]));
    assert_eq!(raw.try_frame().unwrap(), None);
}

#[test]
fn what_was_asked_before_a_close_is_answered_and_nothing_behind_it() {
    let server = Running::start(|_| {});
    let mut raw = Raw::connect(server.address);
    let all = [
        frame(TEXT, true, ASK),
        frame(TEXT, true, br#"{"op":"subscribe","topics":["ticker:*"]}"#),
        frame(CLOSE, true, &1000_u16.to_be_bytes()),
        frame(TEXT, true, ASK),
    ];
    raw.send(&all.concat());
    assert_eq!(raw.hear()["op"], "ping");
    assert_eq!(raw.hear()["op"], "subscribe");
    assert_eq!(raw.closed().0, 1000);
}

#[test]
fn a_quiet_client_is_pinged_and_one_that_does_not_answer_goes() {
    let server = Running::start(|config| {
        config.limits.ping = Duration::from_millis(300);
        config.limits.pong_timeout = Duration::from_millis(300);
    });
    let mut answering = Raw::connect(server.address);
    let mut deaf = Raw::connect(server.address);
    for _ in 0..3 {
        let got = answering.frame();
        assert_eq!(got.opcode, PING);
        answering.send(&frame(PONG, true, &got.payload));
    }
    assert_eq!(deaf.frame().opcode, PING);
    let (code, reason) = deaf.close_frame();
    assert_eq!((code, reason.as_str()), (1001, "nothing heard for too long"));
    answering.say(r#"{"op":"ping","id":2}"#);
    assert_eq!(answering.hear()["id"], 2);
}

#[test]
fn clients_that_vanish_in_any_way_leave_the_others_alone() {
    let server = Running::start(|config| config.threads.worker_threads = NonZeroUsize::new(1));
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    let mut staying = Raw::connect(server.address);
    staying.subscribe(&["book:BTCUSDT"]);
    for round in 0..30 {
        let mut raw = Raw::connect(server.address);
        raw.subscribe(&["book:BTCUSDT", "trades:BTCUSDT"]);
        if round % 2 == 0 {
            // What comes for it now finds a socket that is reset.
            drop(raw);
        }
        for _ in 0..20 {
            market.delta();
            market.trade();
        }
    }
    staying.say(r#"{"op":"ping","id":"last"}"#);
    while staying.hear()["id"] != "last" {}
}

//! permessage-deflate between real sockets.

use std::net::SocketAddr;

use flate2::{Decompress, FlushDecompress};
use serde_json::Value;

use crate::client::Client;
use crate::raw::{Raw, frame, upgrade};
use crate::running::Running;

fn compressing() -> Running {
    Running::start(|config| config.compression = true)
}

/// A client that offers this, and what it is answered.
fn offer(address: SocketAddr, offers: &[&str]) -> (Raw, Option<String>) {
    let more: String = offers.iter().map(|offer| format!("Sec-WebSocket-Extensions: {offer}\r\n")).collect();
    let mut raw = Raw::socket(address);
    raw.send(upgrade("/v1/ws", &more).as_bytes());
    let head = raw.head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let name = "sec-websocket-extensions: ";
    let answer = head.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    (raw, answer)
}

/// The next message of a client that agreed on a window of this size.
fn hear(raw: &mut Raw, bits: u8) -> Value {
    let (compressed, mut payload) = raw.message();
    assert!(compressed, "all messages are sent the same way, this one not: {payload:?}");
    payload.extend_from_slice(&[0, 0, 0xFF, 0xFF]);
    let mut out = Vec::with_capacity(1 << 20);
    Decompress::new_with_window_bits(false, bits)
        .decompress_vec(&payload, &mut out, FlushDecompress::Sync)
        .unwrap();
    serde_json::from_slice(&out).unwrap()
}

const BOTH: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

#[test]
fn what_can_be_honoured_is_agreed_on_and_nothing_else() {
    let server = compressing();
    let narrow = format!("{BOTH}; server_max_window_bits=9");
    for (offers, agreed) in [
        (&["permessage-deflate"][..], Some(BOTH)),
        (&["permessage-deflate; client_max_window_bits"], Some(BOTH)),
        (&["permessage-deflate; server_max_window_bits=12"], Some(&narrow)),
        (&["permessage-deflate; unknown", "permessage-deflate"], Some(BOTH)),
        (&["permessage-deflate; server_max_window_bits=99"], None),
        (&["other"], None),
        (&[], None),
    ] {
        assert_eq!(offer(server.address, offers).1.as_deref(), agreed, "{offers:?}");
    }
    let mut raw = Raw::socket(server.address);
    raw.send(upgrade("/v1/ws", "Sec-WebSocket-Extensions: permessage-deflate; =\r\n").as_bytes());
    assert!(raw.head().starts_with("HTTP/1.1 400 "));
    let off = Running::start(|_| ());
    assert_eq!(offer(off.address, &["permessage-deflate"]).1, None, "it is off where nobody turned it on");
}

#[test]
fn a_broadcast_is_compressed_once_for_all_who_hear_it_compressed_and_not_at_all_for_the_others() {
    const CLIENTS: u64 = 12;
    let server = compressing();
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    market.settle();
    let topic = "book:BTCUSDT:20:raw";
    let subscribe = r#"{"op":"subscribe","id":1,"topics":["book:BTCUSDT:20"]}"#;
    let (mut plain, mut plain_client) = (Raw::connect(server.address), Client::default());
    plain_client.hear(&plain.subscribe(&[topic])).unwrap();
    plain_client.hear(&plain.hear()).unwrap();
    let connect = |_| (offer(server.address, &["permessage-deflate"]).0, Client::default());
    let mut clients: Vec<_> = (0..CLIENTS).map(connect).collect();
    for (raw, client) in &mut clients {
        // What a client sends need not be compressed.
        raw.say(subscribe);
        while client.book(topic).is_none() {
            client.hear(&hear(raw, 15)).unwrap();
        }
    }
    for _ in 0..50 {
        market.delta();
        market.settle();
    }
    let mut broadcasts = 0;
    while !plain_client.book(topic).is_some_and(|book| market.is_held(book, 20)) {
        plain_client.hear(&plain.hear()).unwrap();
        broadcasts += 1;
    }
    for (raw, client) in &mut clients {
        while !client.book(topic).is_some_and(|book| market.is_held(book, 20)) {
            client.hear(&hear(raw, 15)).unwrap();
        }
    }
    let workers = server.workers.clone();
    drop((plain, clients));
    server.ended();
    assert!(broadcasts > 0);
    // The answer to each subscribe, and one picture for all.
    assert_eq!(workers.counts().compressions, CLIENTS + 1 + broadcasts);
}

#[test]
fn a_narrow_window_is_kept_to() {
    let server = compressing();
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    market.settle();
    let (mut raw, _) = offer(server.address, &["permessage-deflate; server_max_window_bits=10"]);
    let mut client = Client::default();
    raw.say(r#"{"op":"subscribe","id":1,"topics":["book:BTCUSDT"]}"#);
    while !client.book("book:BTCUSDT").is_some_and(|book| market.is_held(book, usize::MAX)) {
        client.hear(&hear(&mut raw, 9)).unwrap();
    }
}

#[test]
fn a_client_may_compress_what_it_says_within_the_limit() {
    let server = compressing();
    let (mut raw, _) = offer(server.address, &["permessage-deflate"]);
    let say = |raw: &mut Raw, text: &[u8]| {
        let mut out = Vec::with_capacity(text.len() + 1_000);
        flate2::Compress::new(flate2::Compression::best(), false)
            .compress_vec(text, &mut out, flate2::FlushCompress::Sync)
            .unwrap();
        raw.send(&frame(0x41, true, &out[..out.len() - 4]));
    };
    say(&mut raw, br#"{"op":"ping","id":7}"#);
    assert_eq!(hear(&mut raw, 15)["id"], 7);
    // 64 KiB are the limit; this is a few hundred bytes on the wire.
    say(&mut raw, &[b' '; 100 << 10]);
    assert_eq!(raw.closed().0, 1009);
    let mut plain = Raw::connect(server.address);
    say(&mut plain, br#"{"op":"ping","id":7}"#);
    assert_eq!(plain.closed().0, 1002, "nothing was agreed on");
}

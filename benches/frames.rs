//! How fast a worker reads what its clients send. A regression here is felt by everybody on the same
//! worker: while it parses, it sends nothing.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench, not an interface")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fastwebsockets::{Role, WebSocket};
use tickcast::session::websocket::{Compression, Message, Reader};

const MESSAGES: usize = 500;
const PING: &str = r#"{"op":"ping","id":1}"#;
const SUBSCRIBE: &str = r#"{"op":"subscribe","id":1,"topics":["book:BTCUSDT:20:100ms","trades:BTCUSDT"]}"#;

fn small_messages(criterion: &mut Criterion) {
    for (name, text) in [("ping", PING), ("subscribe", SUBSCRIBE)] {
        let stream = stream(text);
        let mut group = criterion.benchmark_group(format!("read_{name}"));
        group.throughput(Throughput::Elements(MESSAGES as u64));

        let mut scratch = vec![0; stream.len()];
        assert_eq!(ours(&stream, &mut scratch), MESSAGES * text.len());
        // Both copy the stream once: a socket would do that.
        group.bench_function("reader", |bench| bench.iter(|| ours(black_box(&stream), &mut scratch)));
        group.bench_function("reader_in_segments", |bench| {
            bench.iter(|| in_segments(black_box(&stream), &mut scratch));
        });

        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(theirs(&stream)), MESSAGES * text.len());
        group.bench_function("fastwebsockets", |bench| {
            bench.iter(|| runtime.block_on(theirs(black_box(&stream))));
        });
        group.finish();
    }
}

fn ours(stream: &[u8], scratch: &mut [u8]) -> usize {
    scratch.copy_from_slice(stream);
    let mut reader = Reader::new(64 << 10, Compression::Off);
    let mut bytes = 0;
    reader.feed(scratch, |message| bytes += length(message)).unwrap();
    bytes
}

/// As it comes from a network: cut where a packet ends, mostly within a message.
fn in_segments(stream: &[u8], scratch: &mut [u8]) -> usize {
    let mut reader = Reader::new(64 << 10, Compression::Off);
    let mut bytes = 0;
    for segment in stream.chunks(1448) {
        let scratch = &mut scratch[..segment.len()];
        scratch.copy_from_slice(segment);
        reader.feed(scratch, |message| bytes += length(message)).unwrap();
    }
    bytes
}

fn length(message: Message<'_>) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(payload) | Message::Ping(payload) | Message::Pong(payload) => payload.len(),
        Message::Close { .. } => 0,
    }
}

async fn theirs(stream: &[u8]) -> usize {
    let mut reader = WebSocket::after_handshake(tokio::io::join(stream, tokio::io::sink()), Role::Server);
    let mut bytes = 0;
    for _ in 0..MESSAGES {
        let frame = reader.read_frame().await.unwrap();
        bytes += frame.payload.len();
    }
    bytes
}

fn stream(text: &str) -> Vec<u8> {
    let mut stream = Vec::new();
    for message in 0..MESSAGES {
        let mask = u32::try_from(message).unwrap().wrapping_mul(0x9E37_79B9).to_be_bytes();
        stream.extend_from_slice(&[0x81, 0x80 | u8::try_from(text.len()).unwrap()]);
        stream.extend_from_slice(&mask);
        stream.extend(text.bytes().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    }
    stream
}

criterion_group!(benches, small_messages);
criterion_main!(benches);

//! What it costs to turn a venue's messages into events, against parsing them and nothing else.
//!
//! A regression here is latency on every message of every symbol, and fewer symbols a core. The
//! tape is the floor: a feed should stay well below one and a half times of it, for the book and
//! the publishing have to fit in there, too.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::vec_box,
    reason = "a bench may stop, must say what it skipped, and the boxes are lent and taken back as such"
)]

use std::hint::black_box;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tickcast::ingest::Sink;
use tickcast::ingest::binance::{Feed, Market, UnknownSymbols};
use tickcast::market::{BookChange, Event, Millis, SymbolId, Symbols};

/// Takes events and gives buffers back, as a shard does.
#[derive(Default)]
struct Drain {
    events: u64,
    spare: Vec<Box<BookChange>>,
}

impl Sink for Drain {
    fn put(&mut self, _: SymbolId, _: Millis, event: Event) {
        self.events += 1;
        if let Event::Book(change) = black_box(event) {
            self.recycle(change);
        }
    }

    fn blank(&mut self) -> Box<BookChange> {
        self.spare.pop().unwrap_or_default()
    }

    fn recycle(&mut self, mut change: Box<BookChange>) {
        change.clear();
        self.spare.push(change);
    }
}

/// A recorded session: the depth answer is told by its beginning.
struct Session {
    name: &'static str,
    market: Market,
    symbol: &'static str,
    messages: Vec<Vec<u8>>,
}

impl Session {
    fn load(name: &'static str, market: Market, symbol: &'static str, file: &str) -> Option<Session> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(file);
        let Ok(file) = std::fs::File::open(&path) else {
            println!("SKIPPED: no recording at {}", path.display());
            return None;
        };
        let mut text = Vec::new();
        flate2::read::MultiGzDecoder::new(file).read_to_end(&mut text).unwrap();
        let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let messages = lines.map(|line| line[line.iter().position(|&b| b == b' ').unwrap() + 1..].to_vec());
        Some(Session { name, market, symbol, messages: messages.collect() })
    }

    fn play(&self, scratch: &mut Vec<u8>, sink: &mut Drain) {
        let mut feed = Feed::new(self.market, Arc::new(Symbols::new(10)), UnknownSymbols::Add);
        for message in &self.messages {
            scratch.clear();
            scratch.extend_from_slice(message);
            let heard = match scratch.starts_with(b"{\"lastUpdateId") {
                true => feed.depth(0, self.symbol, scratch, sink),
                false => feed.message(0, scratch, sink),
            };
            heard.unwrap();
        }
    }
}

fn ingest(criterion: &mut Criterion) {
    let sessions = [
        ("spot", Market::Spot, "BTCUSDT", "binance_spot/hft_btcusdt_20240808.gz"),
        ("usdm", Market::UsdM, "BTCUSDT", "binance_usdm/hft_btcusdt_20240808.gz"),
        ("coinm", Market::CoinM, "BTCUSD_PERP", "binance_coinm/hft_btcusd_perp_20240808.gz"),
    ];
    for (name, market, symbol, file) in sessions {
        let Some(session) = Session::load(name, market, symbol, file) else { continue };
        let bytes = session.messages.iter().map(|message| message.len() as u64).sum();
        let mut scratch = Vec::new();
        let mut sink = Drain::default();
        session.play(&mut scratch, &mut sink);
        assert!(sink.events > session.messages.len() as u64 * 9 / 10, "most messages are events");

        let mut group = criterion.benchmark_group(session.name);
        group.throughput(Throughput::Bytes(bytes)).sample_size(10);
        group.bench_function("feed", |bencher| bencher.iter(|| session.play(&mut scratch, &mut sink)));
        group.bench_function("tape_alone", |bencher| {
            let mut buffers = simd_json::Buffers::default();
            let mut tape = Some(simd_json::Tape(Vec::new()));
            bencher.iter(|| {
                for message in &session.messages {
                    scratch.clear();
                    scratch.extend_from_slice(message);
                    let mut filled = tape.take().unwrap().reset();
                    simd_json::fill_tape(&mut scratch, &mut buffers, &mut filled).unwrap();
                    tape = Some(black_box(filled).reset());
                }
            });
        });
        group.finish();
    }
}

criterion_group!(benches, ingest);
criterion_main!(benches);

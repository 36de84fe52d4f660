//! Reading a venue's messages, levels and numbers included. A regression here is delay before
//! anything else can begin, for every symbol of the connection.

mod support;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use serde::Deserialize;
use support::{Session, What, tell};
use tickcast::ingest::Sink;
use tickcast::market::{BookChange, Decimal, Event, Millis, SymbolId};

/// What the losing ways read into: only what they need, borrowed where they can.
#[derive(Deserialize)]
struct Enveloped<'a> {
    #[serde(borrow)]
    data: Body<'a>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    b: Option<Side<'a>>,
    #[serde(borrow, default)]
    a: Option<Side<'a>>,
    #[serde(borrow, default, rename = "p")]
    price: Option<&'a str>,
    #[serde(borrow, default, rename = "q")]
    quantity: Option<&'a str>,
}

/// Levels in a diff, a price in a quote.
#[derive(Deserialize)]
#[serde(untagged)]
enum Side<'a> {
    #[serde(borrow)]
    Levels(Vec<(&'a str, &'a str)>),
    Best(&'a str),
    Number(serde::de::IgnoredAny),
}

impl Body<'_> {
    fn numbers(&self) -> u64 {
        let read = |text: &str| u64::from(std::hint::black_box(Decimal::parse(text.as_bytes())).is_ok());
        let side = |side: &Option<Side<'_>>| match side {
            Some(Side::Levels(levels)) => levels.iter().map(|(p, q)| read(p) + read(q)).sum(),
            Some(Side::Best(price)) => read(price),
            Some(Side::Number(..)) | None => 0,
        };
        side(&self.b) + side(&self.a) + self.price.map_or(0, read) + self.quantity.map_or(0, read)
    }
}

/// Counts what comes out of the feed.
#[derive(Default)]
struct Count {
    events: u64,
    #[allow(clippy::vec_box, reason = "a sink is given boxes, and keeps them")]
    spare: Vec<Box<BookChange>>,
}

impl Sink for Count {
    fn put(&mut self, _: SymbolId, _: Millis, event: Event) {
        self.events += 1;
        if let Event::Book(change) = event {
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

fn tape_walk(session: &Session, bytes: &mut [u8]) -> u64 {
    let (mut feed, mut count) = (session.feed(&session.symbols()), Count::default());
    for (now, what, range) in &session.messages {
        tell(&mut feed, *now, *what, &mut bytes[range.clone()], &mut count);
    }
    count.events
}

fn serde_json_typed(session: &Session, bytes: &mut [u8]) -> u64 {
    let frames = session.messages.iter().filter(|(_, what, _)| *what == What::Frame);
    let read = |range: &std::ops::Range<usize>| {
        serde_json::from_slice::<Enveloped<'_>>(&bytes[range.clone()])
            .map_or(0, |message| message.data.numbers())
    };
    frames.map(|(_, _, range)| read(range)).sum()
}

fn simd_json_typed(session: &Session, bytes: &mut [u8]) -> u64 {
    let mut buffers = simd_json::Buffers::with_max_depth(0, 32);
    let mut numbers = 0;
    for (_, _, range) in session.messages.iter().filter(|(_, what, _)| *what == What::Frame) {
        let read = simd_json::serde::from_slice_with_buffers::<Enveloped<'_>>(
            &mut bytes[range.clone()],
            &mut buffers,
        );
        numbers += read.map_or(0, |message| message.data.numbers());
    }
    numbers
}

fn tape_alone(session: &Session, bytes: &mut [u8]) -> u64 {
    let mut buffers = simd_json::Buffers::with_max_depth(0, 32);
    let mut kept: simd_json::Tape<'static> = simd_json::Tape(Vec::new());
    let mut nodes = 0;
    for (_, _, range) in &session.messages {
        let mut tape = std::mem::replace(&mut kept, simd_json::Tape(Vec::new())).reset();
        let filled = simd_json::fill_tape(&mut bytes[range.clone()], &mut buffers, &mut tape);
        nodes += if filled.is_ok() { tape.0.len() as u64 } else { 0 };
        kept = tape.reset();
    }
    nodes
}

/// One way to read a session.
type Way = fn(&Session, &mut [u8]) -> u64;

fn bench(criterion: &mut Criterion) {
    for session in Session::all() {
        let mut bytes = session.bytes.clone();
        let typed = serde_json_typed(&session, &mut bytes);
        assert!(typed > 10_000 && simd_json_typed(&session, &mut bytes) == typed, "both read all numbers");
        let mut group = criterion.benchmark_group(format!("parse/{}", session.name));
        group.throughput(Throughput::Bytes(session.bytes.len() as u64)).sample_size(10);
        let ways: [(&str, Way); 4] = [
            ("tape_walk", tape_walk),
            ("tape_alone", tape_alone),
            ("simd_json_serde", simd_json_typed),
            ("serde_json", serde_json_typed),
        ];
        for (name, way) in ways {
            group.bench_function(name, |bencher| {
                bencher.iter_batched_ref(
                    || session.bytes.clone(),
                    |bytes| way(&session, bytes),
                    BatchSize::PerIteration,
                );
            });
        }
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);

//! Taking in a change and flushing what clients are to hear of it. A regression here is delay on
//! every book topic, and fewer (depth, speed) variants that one core can keep up.

mod support;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use support::Session;
use tickcast::coalesce::{BookTopic, Flush, Flushed, difference};
use tickcast::market::{BookChange, Depth, Level, Side, Speed};
use tickcast::state::Book;

/// Applies all changes and flushes after each; returns the number of levels told.
fn topic(changes: &[BookChange], depth: Depth) -> usize {
    let (mut book, mut flush) = (Book::new(20_000), Flush::default());
    let mut topic = BookTopic::new(depth, Speed::Raw);
    topic.activate(0, &book);
    let mut told = 0;
    for (now, change) in (0..).zip(changes) {
        if book.apply(change, |level| topic.record(level)).is_ok() {
            topic.offer(now, change.first_update_id);
            if let Some(Flushed::Delta { .. }) = topic.flush(now, false, &book, &mut flush) {
                told += flush.bids.len() + flush.asks.len();
            }
        }
    }
    told
}

/// The naive way: a full copy of each side, compared with the one before.
fn copies(changes: &[BookChange], depth: usize) -> usize {
    let mut book = Book::new(20_000);
    let mut held: [Vec<Level>; 2] = [Vec::new(), Vec::new()];
    let mut told = 0;
    for (at, change) in changes.iter().enumerate() {
        if book.apply(change, |_| {}).is_ok() {
            for (side, held) in [Side::Bid, Side::Ask].into_iter().zip(&mut held) {
                let (mut top, mut delta) = (Vec::new(), Vec::new());
                book.side(side).copy_top(depth, &mut top);
                difference(side, held, &top, &mut delta);
                told += if at > 0 { delta.len() } else { 0 };
                *held = top;
            }
        }
    }
    told
}

fn bench(criterion: &mut Criterion) {
    for session in Session::all() {
        let changes = session.changes();
        assert_eq!(topic(&changes, Depth::D20), copies(&changes, 20), "the same is told");
        assert_eq!(topic(&changes, Depth::Full), copies(&changes, usize::MAX), "the same is told");
        let mut group = criterion.benchmark_group(format!("coalesce/{}", session.name));
        group.throughput(Throughput::Elements(changes.len() as u64)).sample_size(10);
        let once = BatchSize::PerIteration;
        group.bench_function("window_20", |b| b.iter_batched(|| (), |()| topic(&changes, Depth::D20), once));
        group.bench_function("full_changes", |b| {
            b.iter_batched(|| (), |()| topic(&changes, Depth::Full), once)
        });
        group.bench_function("full_copies", |b| {
            b.iter_batched(|| (), |()| copies(&changes, usize::MAX), once)
        });
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);

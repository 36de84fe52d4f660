//! Publishing the top of a book while others read it. A regression here lets a slow reader (a
//! status page, a joining client) hold up the feed of a symbol.
//!
//! On the mean a lock is cheaper: nearly every write meets nobody. What the swap is for is the tail,
//! which criterion does not show: [`say_tails`] prints how long single writes take while readers
//! look, and while one of them is held up in the middle of a look, as every thread is now and then
//! where there are more of them than cores.

#![allow(clippy::print_stdout, reason = "the tail is said, because criterion shows none")]

mod support;

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hdrhistogram::Histogram;
use tickcast::market::{Decimal, Level, Price, Quantity, TickerView};
use tickcast::state::{Best, BookSnapshot, Cell, TickerCell};

fn fill(snapshot: &mut BookSnapshot, id: u64, levels: &[Level]) {
    snapshot.last_update_id = id;
    snapshot.bids.clear();
    snapshot.bids.extend_from_slice(levels);
    snapshot.asks.clear();
    snapshot.asks.extend_from_slice(levels);
}

/// What a reader does: looks at every level.
fn look(snapshot: &BookSnapshot) -> i64 {
    snapshot.bids.iter().chain(&snapshot.asks).map(|level| level.price.0).sum()
}

/// Runs `write` while two threads `read` all the time; returns how often they did.
fn under_readers(read: impl Fn() + Sync, write: impl FnOnce()) -> u64 {
    let (done, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    read();
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        write();
        done.store(true, Ordering::Relaxed);
    });
    reads.into_inner()
}

/// Times every single write of half a second under readers, and prints what they and the readers got.
fn say_tail(name: &str, read: impl Fn() + Sync, mut write: impl FnMut(u64)) {
    let mut times = Histogram::<u64>::new(3).expect("three digits are few enough");
    let reads = under_readers(read, || {
        let begin = support::now();
        let mut id = 0;
        while begin.elapsed() < HALF_A_SECOND {
            id += 1;
            let from = support::now();
            write(id);
            times.saturating_record(u64::try_from(from.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
    });
    let micros = |quantile| times.value_at_quantile(quantile) as f64 / 1_000.0;
    println!(
        "snapshot/{name}: a write takes {:.2} us in the middle, {:.1} at 99 %, {:.0} at 99.9 %, {:.0} at most; {} writes, {reads} reads",
        micros(0.5),
        micros(0.99),
        micros(0.999),
        micros(1.0),
        times.len()
    );
}

/// The tails of both, under readers that only look and under readers that are held up while they do.
fn say_tails(levels: &[Level]) {
    let held_up = || std::thread::sleep(HELD_UP);
    for (readers, pause) in [("look", (|| {}) as fn()), ("are held up", held_up)] {
        let mut cell = Cell::<BookSnapshot>::default();
        let reader = cell.reader();
        say_tail(
            &format!("arc_swap, readers {readers}"),
            || {
                reader.with(|snapshot| {
                    pause();
                    black_box(look(snapshot));
                });
            },
            |id| cell.publish(|snapshot| fill(snapshot, id, levels)),
        );
        let locked = RwLock::new(BookSnapshot::default());
        say_tail(
            &format!("rwlock, readers {readers}"),
            || {
                if let Ok(snapshot) = locked.read() {
                    pause();
                    black_box(look(&snapshot));
                }
            },
            |id| {
                if let Ok(mut snapshot) = locked.write() {
                    fill(&mut snapshot, id, levels)
                }
            },
        );
    }
}

/// A best bid and ask, published in place and as a part of all statistics.
fn bench_ticker(criterion: &mut Criterion) {
    let quantity = Quantity::new(Decimal::new(1, 0)).unwrap_or_default();
    let side = |price| Some((Decimal::new(price, 2), quantity));
    let best = |id| Best { bid: side(id), ask: side(id + 1), time: id };
    let (mut cell, view) = (TickerCell::default(), TickerView::default());
    let reader = cell.reader();
    cell.publish(&view, &best(7));
    assert_eq!(reader.snapshot().view.bid.map(|(price, _)| price.to_string()), Some("0.07".to_owned()));
    let mut group = criterion.benchmark_group("snapshot/quote");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    let mut id = 0;
    group.bench_function("in_place", |bencher| {
        bencher.iter(|| {
            id += 1;
            cell.publish_best(&best(id))
        })
    });
    group.bench_function("swapped", |bencher| {
        bencher.iter(|| {
            id += 1;
            cell.publish(&view, &best(id))
        })
    });
    group.finish();
}

fn bench(criterion: &mut Criterion) {
    let quantity = Quantity::new(Decimal::new(1, 0)).unwrap_or_default();
    let levels: Vec<_> = (0..50).map(|price| Level { price: Price(price), quantity }).collect();
    let mut cell = Cell::<BookSnapshot>::default();
    let reader = cell.reader();
    let locked = Arc::new(RwLock::new(BookSnapshot::default()));
    cell.publish(|snapshot| fill(snapshot, 7, &levels));
    assert_eq!(reader.with(|snapshot| snapshot.last_update_id), 7);
    say_tails(&levels);
    let mut group = criterion.benchmark_group("snapshot");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    let mut id = 0;
    group.bench_function("arc_swap/no_readers", |bencher| {
        bencher.iter(|| {
            id += 1;
            cell.publish(|snapshot| fill(snapshot, id, &levels))
        })
    });
    let write = |id| {
        if let Ok(mut snapshot) = locked.write() {
            fill(&mut snapshot, id, &levels)
        }
    };
    group.bench_function("rwlock/no_readers", |bencher| {
        bencher.iter(|| {
            id += 1;
            write(id)
        })
    });
    under_readers(
        || _ = black_box(reader.with(look)),
        || {
            group.bench_function("arc_swap/two_readers", |bencher| {
                bencher.iter(|| {
                    id += 1;
                    cell.publish(|snapshot| fill(snapshot, id, &levels))
                })
            });
        },
    );
    under_readers(
        || _ = black_box(locked.read().map(|snapshot| look(&snapshot)).ok()),
        || {
            group.bench_function("rwlock/two_readers", |bencher| {
                bencher.iter(|| {
                    id += 1;
                    write(id)
                })
            });
        },
    );
    group.finish();
}

const HALF_A_SECOND: Duration = Duration::from_millis(500);

/// How long a reader that is held up stands still: a short time slice of the system's.
const HELD_UP: Duration = Duration::from_millis(1);

criterion_group!(benches, bench, bench_ticker);
criterion_main!(benches);

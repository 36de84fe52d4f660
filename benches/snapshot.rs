//! Publishing the top of a book while others read it. A regression here lets a slow reader (a
//! status page, a joining client) hold up the feed of a symbol.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tickcast::market::{Decimal, Level, Price, Quantity};
use tickcast::state::{BookSnapshot, Cell};

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

/// Runs `write` while two threads `read` all the time.
fn under_readers(read: impl Fn() + Sync, write: impl FnOnce()) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    read()
                }
            });
        }
        write();
        done.store(true, Ordering::Relaxed);
    });
}

fn bench(criterion: &mut Criterion) {
    let quantity = Quantity::new(Decimal::new(1, 0)).unwrap_or_default();
    let levels: Vec<_> = (0..50).map(|price| Level { price: Price(price), quantity }).collect();
    let mut cell = Cell::<BookSnapshot>::default();
    let reader = cell.reader();
    let locked = Arc::new(RwLock::new(BookSnapshot::default()));
    cell.publish(|snapshot| fill(snapshot, 7, &levels));
    assert_eq!(reader.with(|snapshot| snapshot.last_update_id), 7);
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

criterion_group!(benches, bench);
criterion_main!(benches);

//! Applying the recorded changes to a book. A regression here delays every update of every symbol:
//! nothing is told before it is applied.

mod support;

use std::collections::BTreeMap;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use support::Session;
use tickcast::market::{BookKind, Level, Price, Quantity, Scale, Side};
use tickcast::state::Ladder;

/// Whether it replaces the book, its bids, its asks.
type Change = (bool, Vec<Level>, Vec<Level>);

/// One way to keep a side.
trait Keeps {
    fn new(side: Side) -> Self;
    fn set(&mut self, price: Price, quantity: Quantity);
    fn clear(&mut self);
    fn len(&self) -> usize;
}

impl Keeps for Ladder {
    fn new(side: Side) -> Ladder {
        Ladder::new(side)
    }

    fn set(&mut self, price: Price, quantity: Quantity) {
        Ladder::set(self, price, quantity);
    }

    fn clear(&mut self) {
        self.replace(&[], |_, _| {});
    }

    fn len(&self) -> usize {
        Ladder::len(self)
    }
}

/// A sorted vector with the best in front: the usual change moves the whole side.
struct BestFirst(Side, Vec<Level>);

impl Keeps for BestFirst {
    fn new(side: Side) -> BestFirst {
        BestFirst(side, Vec::new())
    }

    fn set(&mut self, price: Price, quantity: Quantity) {
        match self.1.binary_search_by(|level| self.0.rank(level.price, price)) {
            Ok(at) if quantity.is_zero() => drop(self.1.remove(at)),
            Ok(at) => self.1[at].quantity = quantity,
            Err(_) if quantity.is_zero() => {}
            Err(at) => self.1.insert(at, Level { price, quantity }),
        }
    }

    fn clear(&mut self) {
        self.1.clear();
    }

    fn len(&self) -> usize {
        self.1.len()
    }
}

/// A B-tree.
struct Tree(BTreeMap<Price, Quantity>);

impl Keeps for Tree {
    fn new(_: Side) -> Tree {
        Tree(BTreeMap::new())
    }

    fn set(&mut self, price: Price, quantity: Quantity) {
        if quantity.is_zero() {
            self.0.remove(&price);
        } else {
            self.0.insert(price, quantity);
        }
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

fn apply<K: Keeps>(changes: &[Change]) -> usize {
    let (mut bids, mut asks) = (K::new(Side::Bid), K::new(Side::Ask));
    for (whole, new_bids, new_asks) in changes {
        if *whole {
            bids.clear();
            asks.clear();
        }
        new_bids.iter().for_each(|level| bids.set(level.price, level.quantity));
        new_asks.iter().for_each(|level| asks.set(level.price, level.quantity));
    }
    bids.len() + asks.len()
}

fn at_scale(session: &Session) -> Vec<Change> {
    let scale = Scale::new(8).unwrap_or_default();
    let level = |raw: &tickcast::market::RawLevel| Level {
        price: raw.price.at_scale(scale).unwrap_or_default(),
        quantity: raw.quantity,
    };
    let changes = session.changes();
    changes
        .iter()
        .map(|change| {
            let levels = |side: &[tickcast::market::RawLevel]| side.iter().map(level).collect();
            (change.kind == BookKind::Snapshot, levels(&change.bids), levels(&change.asks))
        })
        .collect()
}

fn bench(criterion: &mut Criterion) {
    for session in Session::all() {
        let changes = at_scale(&session);
        let levels: usize = changes.iter().map(|(_, bids, asks)| bids.len() + asks.len()).sum();
        let expected = apply::<Tree>(&changes);
        assert_eq!((apply::<Ladder>(&changes), apply::<BestFirst>(&changes)), (expected, expected));
        let mut group = criterion.benchmark_group(format!("book/{}", session.name));
        group.throughput(Throughput::Elements(levels as u64)).sample_size(10);
        let once = BatchSize::PerIteration;
        group.bench_function("ladder_best_last", |b| {
            b.iter_batched(|| (), |()| apply::<Ladder>(&changes), once)
        });
        group.bench_function("vec_best_first", |b| {
            b.iter_batched(|| (), |()| apply::<BestFirst>(&changes), once)
        });
        group.bench_function("b_tree", |b| b.iter_batched(|| (), |()| apply::<Tree>(&changes), once));
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);

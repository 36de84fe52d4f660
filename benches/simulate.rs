//! What the simulated exchange costs. A regression here is seen in load tests: the generator takes
//! the time of what it is to load.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench, not an interface")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tickcast::ingest::simulate::{Exchange, SimulateConfig, numbered};

const RATE: u32 = 100_000;

fn a_second_at_the_highest_rate(criterion: &mut Criterion) {
    let listed = SimulateConfig::default().symbols;
    let mut group = criterion.benchmark_group("simulate");
    for (name, symbols) in [("8_symbols", listed), ("500_symbols", numbered(500))] {
        let mut now = 1_732_000_000_000;
        let config = SimulateConfig { symbols, rate: RATE, ..SimulateConfig::default() };
        let mut exchange = Exchange::new(&config, now).unwrap();
        // A whole second, so that bursts and lulls are in each measurement alike.
        group.throughput(Throughput::Elements(RATE.into()));
        group.sample_size(10).bench_function(name, |bench| {
            bench.iter(|| {
                for _ in 0..100 {
                    now += 10;
                    exchange.advance(now, |message| {
                        black_box(message);
                    });
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, a_second_at_the_highest_rate);
criterion_main!(benches);

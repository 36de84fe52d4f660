//! Turning a book update into bytes. A regression here is delay for every client of a topic; what
//! grows with the number of clients is the losing way.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::Serialize;
use tickcast::dialect::Dialect;
use tickcast::market::{
    BookView, Decimal, Depth, Level, Price, Quantity, Scale, Speed, SymbolId, Topic, Update, UpdateBody,
};

const CLIENTS: usize = 100;

fn levels(count: i64) -> Vec<Level> {
    let quantity = |at| Quantity::new(Decimal::new(100_000 + at, 5)).unwrap_or_default();
    (0..count).map(|at| Level { price: Price(6_170_000 - at), quantity: quantity(at) }).collect()
}

fn update<'a>(levels: &'a [Level], delta: bool) -> Update<'a> {
    let book = BookView {
        bids: levels,
        asks: levels,
        first_update_id: 5,
        previous_update_id: 4,
        last_update_id: 6,
        time: 7,
        checksum: 8,
    };
    Update {
        topic: Topic::Book { symbol: SymbolId(0), depth: Depth::Full, speed: Speed::Raw },
        symbol: "BTCUSDT",
        scale: Scale::new(2).unwrap_or_default(),
        epoch: "e1",
        seq: 9,
        taken_in: 1_732_000_000_000,
        body: if delta {
            UpdateBody::BookDelta { book, previous: 8, merged: 1, window: None }
        } else {
            UpdateBody::BookSnapshot { book, recovered: None }
        },
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    r#type: &'a str,
    topic: String,
    epoch: &'a str,
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_seq: Option<u64>,
    ts: i64,
    data: Data,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    bids: Vec<(String, String)>,
    asks: Vec<(String, String)>,
    first_update_id: u64,
    last_update_id: u64,
    time: i64,
    checksum: u32,
}

fn with_serde(levels: &[Level], delta: bool) -> Vec<u8> {
    let scale = Scale::new(2).unwrap_or_default();
    let text =
        |level: &Level| (level.price.to_decimal(scale).to_string(), level.quantity.decimal().to_string());
    let side = || levels.iter().map(text).collect();
    let data =
        Data { bids: side(), asks: side(), first_update_id: 5, last_update_id: 6, time: 7, checksum: 8 };
    let (r#type, prev_seq) = if delta { ("delta", Some(8)) } else { ("snapshot", None) };
    let topic = "book:BTCUSDT".to_owned();
    let message = Message { r#type, topic, epoch: "e1", seq: 9, prev_seq, ts: 1_732_000_000_000, data };
    serde_json::to_vec(&message).unwrap_or_default()
}

fn bench(criterion: &mut Criterion) {
    for (name, count, delta) in [("delta_6", 3, true), ("snapshot_1000", 500, false)] {
        let levels = levels(count);
        let update = update(&levels, delta);
        let once = || Dialect::Native.encode(&update);
        let bytes = once().map(|frame| frame.payload().to_vec()).unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&with_serde(&levels, delta)));
        let mut group = criterion.benchmark_group(format!("encode/{name}"));
        group.throughput(Throughput::Bytes(bytes.len() as u64)).sample_size(20);
        group.bench_function("by_hand", |bencher| bencher.iter(once));
        group.bench_function("serde_json", |bencher| bencher.iter(|| with_serde(&levels, delta)));
        group.bench_function("once_for_100_clients", |bencher| {
            bencher.iter(|| once().map(|frame| vec![frame; CLIENTS]));
        });
        group.bench_function("for_each_of_100_clients", |bencher| {
            bencher.iter(|| (0..CLIENTS).map(|_| once()).collect::<Vec<_>>());
        });
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);

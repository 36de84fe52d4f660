//! 50,000 deltas a second: rates hold, and whoever joins in the middle of it holds the exact book.

use fastrand::Rng;
use tickcast::market::{BookChange, BookKind, Decimal, Event, Millis, Quantity, RawLevel};
use tickcast::shard::ShardConfig;

use crate::support::world::{World, book_topics};

/// Prices move around here, with one decimal.
const MID: i64 = 500_000;
const LEVELS: i64 = 500;

fn level(price: i64, quantity: i64) -> RawLevel {
    RawLevel { price: Decimal::new(price, 1), quantity: Quantity::new(Decimal::new(quantity, 3)).unwrap() }
}

fn whole(id: u64, random: &mut Rng) -> BookChange {
    let mut side = |from: i64, step: i64| -> Vec<_> {
        (0..LEVELS).map(|at| level(from + step * at, random.i64(1..100_000))).collect()
    };
    let (bids, asks) = (side(MID - 1, -1), side(MID + 1, 1));
    BookChange { kind: BookKind::Snapshot, first_update_id: id, last_update_id: id, time: 0, bids, asks }
}

/// One to four levels, mostly near the best, a third of them removals.
fn some(id: u64, time: Millis, random: &mut Rng) -> BookChange {
    let mut change = BookChange { first_update_id: id, last_update_id: id, time, ..BookChange::default() };
    for _ in 0..random.u32(1..5) {
        let far = if random.bool() { 12 } else { LEVELS };
        let quantity = if random.u32(0..3) == 0 { 0 } else { random.i64(1..100_000) };
        if random.bool() {
            change.bids.push(level(MID - random.i64(1..far), quantity));
        } else {
            change.asks.push(level(MID + random.i64(1..far), quantity));
        }
    }
    change
}

#[test]
fn a_client_that_joins_a_storm_at_any_moment_holds_the_exact_book() {
    const A_MILLISECOND: u64 = 50;
    let mut random = Rng::with_seed(11);
    let mut world = World::new(ShardConfig::default());
    world.now = 1_732_000_000_042;
    let symbol = world.symbol("BTCUSDT");
    let first = whole(1, &mut random);
    world.event(symbol, Event::Book(Box::new(first)));
    let mut topics: Vec<_> = [book_topics("BTCUSDT"), book_topics("BTCUSDT")].concat();
    random.shuffle(&mut topics);
    let mut id = 1;
    for millisecond in 0..2_200 {
        world.advance(world.now + 1);
        for _ in 0..A_MILLISECOND {
            // Two members come in each 100 ms, at any place between two deltas.
            if random.u32(0..2_500) == 0
                && let Some(topic) = topics.pop()
            {
                world.join_on(&topic, random.u16(0..2));
            }
            id += 1;
            let change = some(id, world.now, &mut random);
            world.event(symbol, Event::Book(Box::new(change)));
        }
        if millisecond % 200 == 199 {
            let at = random.usize(0..world.members.len());
            if world.members[at].here { world.leave(at) } else { world.rejoin(at, true) }
        }
    }
    assert_eq!(topics.len(), 0, "every depth and speed was joined twice");
    world.advance(world.now + 2_000);
    world.compare_all();
    println!("{} deltas, {} messages, {} books compared", id - 1, world.broadcasts, world.compared);
}

#[test]
fn what_comes_after_quiet_leaves_at_once_and_the_rest_on_the_common_grid() {
    let mut random = Rng::with_seed(12);
    let mut world = World::new(ShardConfig::default()).keep();
    world.now = 1_000_042;
    let symbol = world.symbol("BTCUSDT");
    let first = whole(1, &mut random);
    world.event(symbol, Event::Book(Box::new(first)));
    for topic in ["book:BTCUSDT:20:100ms", "book:BTCUSDT:full:100ms", "book:BTCUSDT:full:1000ms"] {
        world.join(topic);
    }
    world.told.clear();
    let tell = |world: &mut World, id: u64, now: Millis| {
        world.advance(now);
        let quantity = i64::try_from(id).unwrap();
        let change = BookChange {
            first_update_id: id,
            last_update_id: id,
            bids: vec![level(MID - 1, quantity)],
            ..BookChange::default()
        };
        world.event(symbol, Event::Book(Box::new(change)));
    };
    for (id, now) in [(2, 1_000_050), (3, 1_000_060), (4, 1_000_149), (5, 1_000_260), (6, 1_003_333)] {
        tell(&mut world, id, now);
    }
    world.advance(1_006_000);
    let times = |topic: &str| -> Vec<_> {
        let told = world.told.iter().filter(|(_, message)| message["topic"] == topic);
        told.map(|(now, message)| (*now, message["merged"].as_u64().unwrap_or(1))).collect()
    };
    let fast = [(1_000_050, 1), (1_000_200, 2), (1_000_300, 1), (1_003_333, 1)];
    assert_eq!(times("book:BTCUSDT:20:100ms"), fast);
    assert_eq!(times("book:BTCUSDT:full:100ms"), fast);
    assert_eq!(times("book:BTCUSDT:full:1000ms"), [(1_000_050, 1), (1_002_000, 3), (1_003_333, 1)]);
}

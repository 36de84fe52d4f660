//! Coming back: with `since`, without it, and what is encoded for whom.

use serde_json::Value;
use tickcast::dialect::Dialect;
use tickcast::market::Topic;
use tickcast::shard::{Broadcast, Join, Joined, Outlet, ShardConfig};

use crate::support::world::{World, delta, snapshot, trade};

const START: i64 = 1_732_000_020_000;

fn world(config: ShardConfig) -> World {
    let mut world = World::new(config).keep();
    world.now = START;
    let symbol = world.symbol("X");
    world.event(symbol, snapshot(5, &[("10", "1")], &[("11", "1")]));
    world
}

fn seqs(told: &[Value]) -> Vec<u64> {
    told.iter().map(|message| message["seq"].as_u64().unwrap()).collect()
}

#[test]
fn missed_trades_come_in_order_and_those_no_longer_held_as_a_snapshot() {
    let mut world = world(ShardConfig { trades_kept: 5, ..ShardConfig::default() });
    let symbol = world.symbol("X");
    let at = world.join("trades:X");
    assert_eq!(world.take_told(), Vec::<Value>::new(), "without since nothing comes first");
    world.event(symbol, trade(1, START, "10", "1"));
    world.leave(at);
    (2..=5).for_each(|id| world.event(symbol, trade(id, START, "10", "1")));
    world.take_told();
    world.rejoin(at, true);
    assert_eq!(seqs(&world.take_told()), [2, 3, 4, 5]);
    world.event(symbol, trade(6, START, "10", "1"));
    world.leave(at);
    world.take_told();
    world.rejoin(at, true);
    assert_eq!(world.take_told(), Vec::<Value>::new(), "nothing was missed");
    world.leave(at);
    (7..=14).for_each(|id| world.event(symbol, trade(id, START, "10", "1")));
    world.rejoin(at, true);
    let told = world.take_told();
    assert_eq!((&told[0]["type"], &told[0]["recovered"]), (&Value::from("snapshot"), &Value::from(false)));
    let ids: Vec<_> =
        told[0]["data"].as_array().unwrap().iter().map(|trade| trade["tradeId"].as_u64().unwrap()).collect();
    assert_eq!((ids, &told[0]["seq"]), (vec![10, 11, 12, 13, 14], &Value::from(14)));
    world.event(symbol, trade(15, START, "10", "1"));
    assert_eq!(seqs(&world.take_told()), [15], "and goes on without a hole");
}

#[test]
fn another_epoch_recovers_nothing() {
    let mut world = world(ShardConfig::default());
    let symbol = world.symbol("X");
    world.event(symbol, trade(1, START, "10", "1"));
    for topic in ["trades:X", "book:X", "kline:X:1m"] {
        world.take_told();
        let at = world.join(topic);
        world.leave(at);
        let since = Some(tickcast::dialect::Since { epoch: "another".into(), seq: 1 });
        let topic = world.members[at].topic;
        let join = Join { channel: Dialect::Native.of(topic), worker: 0, connection: 0, since, missed: None };
        let mut heard = Heard::default();
        world.shard.join(world.now, &join, &mut heard);
        let message: Value = serde_json::from_slice(heard.joined[0].frames[0].payload()).unwrap();
        assert_eq!(
            (&message["type"], &message["recovered"]),
            (&"snapshot".into(), &false.into()),
            "{topic:?}"
        );
    }
}

#[test]
fn closed_bars_that_were_missed_come_first() {
    let mut world = world(ShardConfig { bars_kept: 3, ..ShardConfig::default() });
    let symbol = world.symbol("X");
    world.event(symbol, trade(1, world.now, "10", "1"));
    let at = world.join("kline:X:1m");
    world.advance(world.now + 60_000);
    world.leave(at);
    world.advance(world.now + 120_000);
    world.take_told();
    world.rejoin(at, true);
    let told = world.take_told();
    let closed: Vec<_> = told.iter().map(|message| message["data"]["closed"].as_bool().unwrap()).collect();
    assert_eq!(closed, [true, true, false]);
    assert_eq!(told[2]["type"], "snapshot");
    world.leave(at);
    world.advance(world.now + 240_000);
    world.rejoin(at, true);
    let told = world.take_told();
    assert_eq!((told.len(), &told[0]["recovered"]), (1, &Value::from(false)), "too long ago");
}

#[test]
fn a_client_that_holds_the_present_book_gets_nothing() {
    let mut world = world(ShardConfig::default());
    let symbol = world.symbol("X");
    let (at, _other) = (world.join("book:X"), world.join("book:X"));
    world.event(symbol, delta(6, &[("10", "2")], &[]));
    world.leave(at);
    world.take_told();
    world.rejoin(at, true);
    assert_eq!(world.take_told(), Vec::<Value>::new());
    world.event(symbol, delta(7, &[("10", "3")], &[]));
    world.leave(at);
    world.event(symbol, delta(8, &[("10", "4")], &[]));
    world.take_told();
    world.rejoin(at, true);
    assert_eq!(world.take_told()[0]["recovered"], false);
    assert_eq!(world.book(at).unwrap().bids().next(), Some(("10", "4")));
}

#[test]
fn after_the_last_left_nothing_is_sent_and_numbers_go_on_when_somebody_is_back() {
    let mut world = world(ShardConfig::default());
    let symbol = world.symbol("X");
    let topics = ["book:X", "book:X:5:100ms", "ticker:X:raw", "trades:X", "kline:X:1m", "ticker:*"];
    let members = topics.map(|topic| world.join(topic));
    world.event(symbol, delta(6, &[("10", "2")], &[]));
    world.event(symbol, trade(1, world.now, "10", "1"));
    world.advance(world.now + 3_000);
    let before = members.map(|at| world.members[at].client.since(&world.members[at].name).unwrap().1);
    members.into_iter().for_each(|at| world.leave(at));
    world.take_told();
    world.event(symbol, delta(7, &[("10", "3")], &[]));
    world.event(symbol, trade(2, world.now, "10", "1"));
    world.advance(world.now + 65_000);
    assert_eq!(world.take_told(), Vec::<Value>::new());
    for (at, before) in members.into_iter().zip(before) {
        world.rejoin(at, false);
        let told = world.take_told();
        assert!(seqs(&told).iter().all(|&seq| seq >= before), "{told:?}");
    }
    world.event(symbol, delta(8, &[("10", "4")], &[]));
    world.event(symbol, trade(3, world.now, "10", "1"));
    assert_eq!(world.members[members[3]].client.since("trades:X").unwrap().1, 3);
    world.compare_all();
}

#[derive(Default)]
struct Heard {
    broadcasts: Vec<(u16, Broadcast)>,
    joined: Vec<Joined>,
}

impl Outlet for Heard {
    fn broadcast(&mut self, worker: u16, broadcast: Broadcast) {
        self.broadcasts.push((worker, broadcast));
    }

    fn joined(&mut self, _: u16, joined: Joined) {
        self.joined.push(joined);
    }
}

#[test]
fn an_update_is_encoded_once_for_all_workers_and_not_at_all_for_nobody() {
    let mut world = world(ShardConfig::default());
    let symbol = world.symbol("X");
    let mut heard = Heard::default();
    world.shard.apply(START, symbol, delta(6, &[("10", "2")], &[]), &mut heard);
    world.shard.apply(START, symbol, trade(1, START, "10", "1"), &mut heard);
    world.shard.advance(START + 5_000, &mut heard);
    assert!(heard.broadcasts.is_empty(), "nobody listens");
    for topic in ["book:X", "trades:X", "ticker:X:raw", "kline:X:1m"] {
        let topic = Topic::parse(topic, |_| Some(symbol)).unwrap();
        for (connection, worker) in [(0, 0), (1, 1), (2, 1)] {
            let join =
                Join { channel: Dialect::Native.of(topic), worker, connection, since: None, missed: None };
            world.shard.join(START + 5_000, &join, &mut heard);
        }
    }
    let pictures: Vec<_> =
        heard.joined.iter().filter(|joined| matches!(joined.channel.topic, Topic::Book { .. })).collect();
    let first = pictures[0].frames[0].bytes().as_ptr();
    assert!(pictures.iter().all(|joined| joined.frames[0].bytes().as_ptr() == first), "one picture for all");
    world.shard.apply(START + 5_000, symbol, delta(7, &[("10", "3")], &[]), &mut heard);
    world.shard.apply(START + 5_000, symbol, trade(2, START + 5_000, "10", "1"), &mut heard);
    for pair in heard.broadcasts.chunks(2) {
        let [(0, one), (1, other)] = pair else { panic!("each worker once: {pair:?}") };
        assert_eq!(one.channel, other.channel);
        assert_eq!(one.frame.bytes().as_ptr(), other.frame.bytes().as_ptr(), "the same bytes");
    }
    assert!(heard.broadcasts.len() >= 8);
}

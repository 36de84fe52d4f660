//! Books that cannot be trusted, and books whose scale grows.

use serde_json::Value;
use tickcast::market::{Event, StaleReason};
use tickcast::shard::ShardConfig;

use crate::support::world::{World, delta, snapshot, trade};

const TOPICS: [&str; 3] = ["book:X", "book:X:5:100ms", "book:X:1:1000ms"];

fn world() -> World {
    let mut world = World::new(ShardConfig::default()).keep();
    world.now = 10_000;
    let symbol = world.symbol("X");
    world.event(symbol, snapshot(5, &[("10.0", "1"), ("9.0", "2")], &[("11.0", "1"), ("12.0", "3")]));
    world
}

/// Type and topic of each message, in order.
fn kinds(told: &[Value]) -> Vec<(&str, &str)> {
    told.iter()
        .map(|message| (message["type"].as_str().unwrap(), message["topic"].as_str().unwrap()))
        .collect()
}

fn each(kind: &str) -> Vec<(&str, &'static str)> {
    TOPICS.iter().map(|&topic| (kind, topic)).collect()
}

#[test]
fn a_gap_is_told_once_to_each_book_topic_and_healed_by_a_snapshot() {
    let mut world = world();
    let symbol = world.symbol("X");
    let members = TOPICS.map(|topic| world.join(topic));
    assert_eq!(kinds(&world.take_told()), each("snapshot"));
    world.event(symbol, delta(6, &[("10.0", "4")], &[]));
    assert_eq!(kinds(&world.take_told()), each("delta"));
    // The second change waits for its tick where there is one; the gap takes it back.
    world.event(symbol, delta(7, &[("10.0", "5")], &[]));
    world.take_told();
    world.event(symbol, Event::Stale(StaleReason::Gap));
    assert_eq!(kinds(&world.take_told()), each("stale"));
    world.event(symbol, Event::Stale(StaleReason::Disconnected));
    world.event(symbol, delta(9, &[("10.0", "6")], &[]));
    world.advance(world.now + 3_000);
    assert_eq!(world.take_told(), Vec::<Value>::new(), "nothing of a stale book is told");
    let late = world.join("book:X:20:raw");
    assert_eq!(kinds(&world.take_told()), [("stale", "book:X:20:raw")]);
    world.event(symbol, snapshot(20, &[("8.5", "1")], &[("9.5", "2")]));
    let told = world.take_told();
    assert_eq!(told.len(), 4);
    assert!(told.iter().all(|message| message["type"] == "snapshot"));
    for at in members.into_iter().chain([late]) {
        assert_eq!(world.book(at).unwrap().bids().collect::<Vec<_>>(), [("8.5", "1")]);
    }
    world.compare_all();
}

#[test]
fn whoever_joins_before_the_first_snapshot_is_told_that_there_is_no_book_yet() {
    let mut world = World::new(ShardConfig::default()).keep();
    let symbol = world.symbol("X");
    let at = world.join("book:X");
    assert_eq!(kinds(&world.take_told()), [("stale", "book:X")]);
    world.event(symbol, snapshot(5, &[("10", "1")], &[("11", "1")]));
    assert_eq!(kinds(&world.take_told()), [("snapshot", "book:X")]);
    assert!(world.book(at).unwrap().good);
}

#[test]
fn a_crossed_book_is_never_passed_on() {
    let mut world = world();
    let symbol = world.symbol("X");
    let at = world.join("book:X");
    world.take_told();
    world.event(symbol, delta(6, &[("11.0", "1")], &[]));
    assert_eq!(kinds(&world.take_told()), [("stale", "book:X")]);
    world.event(symbol, delta(7, &[("11.5", "1")], &[]));
    assert_eq!(world.take_told(), Vec::<Value>::new());
    world.event(symbol, delta(8, &[("11.0", "0"), ("11.5", "0"), ("10.5", "2")], &[]));
    assert_eq!(kinds(&world.take_told()), [("snapshot", "book:X")]);
    assert_eq!(world.book(at).unwrap().bids().next(), Some(("10.5", "2")));
}

#[test]
fn a_larger_scale_begins_a_new_epoch_with_a_snapshot_and_trades_keep_their_numbers() {
    let mut world = world();
    let symbol = world.symbol("X");
    let members = TOPICS.map(|topic| world.join(topic));
    let trades = world.join("trades:X");
    world.event(symbol, trade(1, world.now, "10.5", "1"));
    world.take_told();
    world.event(symbol, delta(6, &[("10.25", "4")], &[]));
    let told = world.take_told();
    assert_eq!(kinds(&told), each("snapshot"));
    for message in &told {
        assert_ne!(message["epoch"], "e1", "a new epoch");
        assert_eq!(message["seq"], 1);
    }
    assert_eq!(world.book(members[0]).unwrap().bids().nth(1), Some(("10.00", "1")));
    world.event(symbol, trade(2, world.now, "10.5", "1"));
    let told = world.take_told();
    assert_eq!((&told[0]["seq"], &told[0]["epoch"]), (&Value::from(2), &Value::from("e1")));
    assert_eq!(told[0]["data"]["price"], "10.50", "one symbol's prices have one scale");
    assert_eq!(world.members[trades].client.messages("trades:X"), 2);
    world.compare_all();
}

#[test]
fn a_trade_that_makes_the_scale_larger_brings_the_books_at_once() {
    let mut world = world();
    let symbol = world.symbol("X");
    let members = TOPICS.map(|topic| world.join(topic));
    world.take_told();
    world.event(symbol, trade(1, world.now, "10.125", "1"));
    assert_eq!(kinds(&world.take_told()), each("snapshot"));
    assert_eq!(world.book(members[1]).unwrap().asks().next(), Some(("11.000", "1")));
    let late = world.join("book:X");
    assert!(world.book(late).unwrap().good, "the book is good all the while");
    world.event(symbol, Event::Stale(StaleReason::Gap));
    assert!(members.iter().all(|&at| !world.book(at).unwrap().good), "everybody is told of a gap");
}

#[test]
fn a_trade_that_is_refused_changes_nothing() {
    let mut world = world();
    let symbol = world.symbol("X");
    let at = world.join("book:X");
    world.now = 1_732_000_000_000;
    world.take_told();
    for time in [i64::MIN, -1, world.now - 90_000_000, world.now + 90_000_000, i64::MAX] {
        world.event(symbol, trade(1, time, "10.123456", "1"));
    }
    assert_eq!(world.take_told(), Vec::<Value>::new());
    assert_eq!(world.state("X").counts().trades_refused, 5);
    world.event(symbol, delta(6, &[("10.0", "7")], &[]));
    assert_eq!(world.book(at).unwrap().bids().next(), Some(("10.0", "7")));
}

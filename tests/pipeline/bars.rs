//! Bars and statistics as clients hear of them.

use serde_json::Value;
use tickcast::shard::{BarsClose, ShardConfig};

use crate::support::world::{World, delta, snapshot, trade};

/// A full minute.
const START: i64 = 1_732_000_020_000;

fn world() -> World {
    let mut world = World::new(ShardConfig::default()).keep();
    world.now = START;
    world
}

/// Minutes since the start, closed, close price, number of trades, whether it is a correction.
fn rows(told: &[Value]) -> Vec<(i64, bool, &str, u64, bool)> {
    let row = |message: &'_ Value| {
        let data = &message["data"];
        let minutes = (data["openTime"].as_i64().unwrap() - START) / 60_000;
        (
            minutes,
            data["closed"].as_bool().unwrap(),
            data["trades"].as_u64().unwrap(),
            message.get("correction").is_some(),
        )
    };
    let with_close = |message| {
        let (minutes, closed, trades, correction) = row(message);
        (minutes, closed, message["data"]["close"].as_str().unwrap(), trades, correction)
    };
    told.iter().map(with_close).collect()
}

#[test]
fn a_bar_closes_once_before_the_next_begins_and_quiet_minutes_are_flat() {
    let mut world = world();
    let symbol = world.symbol("X");
    world.join("kline:X:1m");
    world.event(symbol, trade(1, START + 1_000, "10", "1"));
    assert_eq!(rows(&world.take_told()), [(0, false, "10", 1, false)]);
    world.advance(START + 60_499);
    assert_eq!(world.take_told(), Vec::<Value>::new(), "the last trades of a minute may take 500 ms");
    world.advance(START + 60_500);
    assert_eq!(rows(&world.take_told()), [(0, true, "10", 1, false), (1, false, "10", 0, false)]);
    world.advance(START + 180_500);
    let flat = [
        (1, true, "10", 0, false),
        (2, false, "10", 0, false),
        (2, true, "10", 0, false),
        (3, false, "10", 0, false),
    ];
    assert_eq!(rows(&world.take_told()), flat);
    world.advance(START + 240_400);
    world.event(symbol, trade(2, START + 240_300, "12", "1"));
    assert_eq!(rows(&world.take_told()), [(3, true, "10", 0, false), (4, false, "12", 1, false)]);
}

#[test]
fn a_trade_that_comes_late_corrects_its_bar() {
    let mut world = world();
    let symbol = world.symbol("X");
    world.join("kline:X:1m");
    world.event(symbol, trade(1, START + 1_000, "10", "1"));
    world.advance(START + 60_500);
    world.take_told();
    world.event(symbol, trade(2, START + 59_000, "11", "1"));
    let told = world.take_told();
    assert_eq!(rows(&told)[0], (0, true, "11", 2, true));
    assert_eq!(told[0]["type"], "update");
}

#[test]
fn an_open_bar_speaks_four_times_a_second_and_its_close_at_once() {
    let mut world = world();
    let symbol = world.symbol("X");
    world.join("kline:X:1m");
    for step in 0..595_u64 {
        world.advance(START + 100 * i64::try_from(step).unwrap());
        world.event(symbol, trade(step + 1, world.now, "10", "1"));
    }
    let told = world.take_told();
    assert!((235..=240).contains(&told.len()), "{} messages in 59.5 seconds", told.len());
    world.event(symbol, trade(600, START + 60_000, "10", "1"));
    assert_eq!(rows(&world.take_told())[0], (0, true, "10", 595, false));
}

#[test]
fn in_a_replay_bars_close_with_the_trades_of_any_symbol() {
    let config = ShardConfig { bars_close: BarsClose::WithTrades, ..ShardConfig::default() };
    let mut world = World::new(config).keep();
    world.now = START;
    let (x, y) = (world.symbol("X"), world.symbol("Y"));
    world.join("kline:X:1m");
    world.event(x, trade(1, START, "10", "1"));
    world.advance(START + 90_000);
    world.take_told();
    world.event(y, trade(1, START + 60_000, "5", "1"));
    assert_eq!(rows(&world.take_told()), [(0, true, "10", 1, false), (1, false, "10", 0, false)]);
}

#[test]
fn all_tickers_tell_only_what_changed() {
    let mut world = world();
    let (x, y, z) = (world.symbol("X"), world.symbol("Y"), world.symbol("Z"));
    for symbol in [x, y] {
        world.event(symbol, trade(1, START, "10", "1"));
    }
    world.join("ticker:*");
    let symbols = |told: &[Value]| -> Vec<Vec<String>> {
        let names = |message: &Value| {
            message["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["symbol"].as_str().unwrap().to_owned())
                .collect()
        };
        told.iter().map(names).collect()
    };
    assert_eq!(symbols(&world.take_told()), [["X", "Y"]]);
    world.advance(START + 5_000);
    assert_eq!(world.take_told(), Vec::<Value>::new(), "nothing changed");
    world.event(y, trade(2, START + 5_000, "11", "1"));
    world.event(y, trade(3, START + 5_000, "12", "1"));
    world.event(z, snapshot(1, &[("2", "1")], &[("3", "1")]));
    world.advance(START + 6_000);
    assert_eq!(symbols(&world.take_told()), [["Y", "Z"]]);
    world.event(z, delta(2, &[("1", "1")], &[]));
    world.advance(START + 9_000);
    assert_eq!(world.take_told(), Vec::<Value>::new(), "the best bid and ask are the same");
}

#[test]
fn a_ticker_holds_its_speed() {
    let mut world = world();
    let symbol = world.symbol("X");
    let topics = ["ticker:X", "ticker:X:100ms", "ticker:X:raw"];
    let members = topics.map(|topic| world.join(topic));
    for step in 0..1_000_u64 {
        world.advance(START + 5 * i64::try_from(step).unwrap());
        world.event(symbol, trade(step + 1, world.now, "10", "1"));
    }
    world.advance(world.now + 1_000);
    let counts = members.map(|at| world.members[at].client.messages(&world.members[at].name));
    assert_eq!(counts, [6, 51, 1_000]);
    for at in members {
        let member = &world.members[at];
        assert_eq!(member.client.ticker(&member.name, "X").unwrap()["volume24h"], "1000");
    }
}

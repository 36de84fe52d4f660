//! Bars and statistics as clients hear of them.

use serde_json::Value;
use tickcast::ingest::binance::{Feed, Market, UnknownSymbols};
use tickcast::market::{Event, Interval, Quantity, SourceBar};
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
    world.advance(START + 62_000);
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

#[test]
fn a_bar_that_begins_after_its_minute_was_closed_for_all_closes_at_once() {
    let mut world = world();
    let (early, late) = (world.symbol("EARLY"), world.symbol("LATE"));
    world.join("kline:LATE:1m");
    world.event(early, trade(1, START, "10", "1"));
    world.advance(START + 60_700);
    world.event(late, trade(1, START + 59_900, "10", "1"));
    assert!(rows(&world.take_told()).contains(&(0, true, "10", 1, false)));
}

#[test]
fn a_closed_minute_that_the_venue_tells_twice_counts_once_in_the_statistics() {
    let mut world = world();
    let symbol = world.symbol("X");
    for minute in [0, 1, 0, 1] {
        world.event(symbol, minute_bar(START + minute * 60_000, 7, true));
    }
    let state = world.state("X");
    assert_eq!((state.ticker().trades, state.counts().bars_left_out), (14, 2));
}

#[test]
fn in_a_replay_a_trade_dated_a_year_ahead_is_refused_and_closes_nothing() {
    let mut world = World::new(ShardConfig { bars_close: BarsClose::WithTrades, ..ShardConfig::default() });
    world.now = START;
    let symbol = world.symbol("X");
    world.event(symbol, trade(1, START, "10", "1"));
    world.event(symbol, trade(2, START + 365 * 86_400_000, "99", "1"));
    world.event(symbol, trade(3, START + 1, "11", "1"));
    let state = world.state("X");
    assert_eq!(state.counts().trades_refused, 1);
    assert_eq!(state.bars().series(Interval::M1).closed().len(), 0);
    assert_eq!(state.ticker().trades, 2);
    assert_eq!(state.ticker().last_price.map(|price| price.to_string()), Some("11".into()));
}

#[test]
fn in_a_replay_a_bar_closes_with_a_trade_or_five_seconds_later_without_one() {
    let mut world = World::new(ShardConfig { bars_close: BarsClose::WithTrades, ..ShardConfig::default() });
    world.now = START;
    let (one, other) = (world.symbol("ONE"), world.symbol("OTHER"));
    let closed = |world: &mut World| world.state("ONE").bars().series(Interval::M1).closed().len();
    world.event(one, trade(1, START, "10", "1"));
    world.advance(START + 60_001);
    world.event(other, trade(1, START + 60_000, "10", "1"));
    assert_eq!(closed(&mut world), 1);
    world.advance(START + 124_999);
    assert_eq!(closed(&mut world), 1);
    world.advance(START + 125_000);
    assert_eq!(closed(&mut world), 2);
}

#[test]
fn the_quote_volume_of_coin_margined_contracts_is_what_they_are_worth_in_the_coin() {
    let mut world = world();
    let mut feed = Feed::new(Market::CoinM, world.symbols.clone(), UnknownSymbols::Add);
    for (id, symbol, price) in [(1, "ETHUSD_210924", "1993.36"), (2, "BTCUSD_PERP", "61600.0")] {
        let trade = format!(
            r#"{{"e":"aggTrade","E":{START},"a":{id},"s":"{symbol}","p":"{price}","q":"1893","f":1,"l":1,"T":{START},"m":true}}"#
        );
        feed.message(START, &mut trade.into_bytes(), &mut world).unwrap();
    }
    let worth = |world: &mut World, symbol| world.state(symbol).ticker().quote_volume.unwrap().to_string();
    // 1893 × 10 / 1993.36 and 1893 × 100 / 61600.
    assert_eq!(worth(&mut world, "ETHUSD_210924"), "9.49652847");
    assert_eq!(worth(&mut world, "BTCUSD_PERP"), "3.07305195");
}

/// A minute of the venue's at one price.
fn minute_bar(open_time: i64, trades: u64, closed: bool) -> Event {
    let price = "10".parse().unwrap();
    Event::Bar(Box::new(SourceBar {
        interval: Interval::M1,
        open_time,
        open: price,
        high: price,
        low: price,
        close: price,
        volume: Quantity::ZERO,
        quote_volume: Quantity::ZERO,
        taker_volume: Quantity::ZERO,
        taker_quote_volume: Quantity::ZERO,
        trades,
        closed,
    }))
}

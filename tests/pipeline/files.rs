//! Recorded bars: what is rolled up, or made of trades, is the venue's own, in all columns.

use std::collections::BTreeMap;
use std::path::Path;

use tickcast::ingest::Sink;
use tickcast::ingest::recording::Replay;
use tickcast::market::{Bar, BookChange, Event, Interval, Millis, SourceBar, SymbolId, Symbols};
use tickcast::shard::{BarsClose, ShardConfig};

use crate::support::data;
use crate::support::world::World;

/// Nothing forgotten, nothing made up.
fn config() -> ShardConfig {
    ShardConfig { bars_close: BarsClose::WithTrades, bars_kept: 5_000, ..ShardConfig::default() }
}

/// The venue's own bars of a file.
#[derive(Default)]
struct Rows(Vec<SourceBar>);

impl Sink for Rows {
    fn put(&mut self, _: SymbolId, _: Millis, event: Event) {
        if let Event::Bar(bar) = event {
            self.0.push(*bar);
        }
    }

    fn blank(&mut self) -> Box<BookChange> {
        Box::default()
    }

    fn recycle(&mut self, _: Box<BookChange>) {}
}

fn rows(file: &Path) -> Vec<SourceBar> {
    let mut rows = Rows::default();
    let symbols = Symbols::new(100).into();
    tickcast::ingest::recording::replay(&[file.to_owned()], symbols, &mut rows).unwrap();
    rows.0
}

/// All columns are the same numbers.
#[track_caller]
fn check(world: &mut World, symbol: &str, bar: &Bar, row: &SourceBar, at: &str) {
    let scale = world.state(symbol).book().scale();
    let prices = [row.open, row.high, row.low, row.close].map(|price| price.at_scale(scale).unwrap());
    assert_eq!([bar.open, bar.high, bar.low, bar.close], prices, "{at}: prices");
    assert_eq!(bar.trades, row.trades, "{at}: trades");
    assert_eq!(bar.volume, row.volume.into(), "{at}: volume");
    assert_eq!(bar.quote_volume, row.quote_volume.into(), "{at}: quote volume");
    assert_eq!(bar.taker_volume, row.taker_volume.into(), "{at}: taker volume");
    assert_eq!(bar.taker_quote_volume, row.taker_quote_volume.into(), "{at}: taker quote volume");
}

/// Plays the minutes of these days in a row and compares with the venue's rows of `intervals`.
fn roll_up(symbol: &str, days: &[&str], intervals: &[Interval]) {
    let Some(data) = data() else { return };
    let file =
        |interval: Interval, day: &str| data.join(format!("binance_klines/{symbol}-{interval}-{day}.zip"));
    let minutes: Vec<_> = days.iter().map(|day| file(Interval::M1, day)).collect();
    let mut world = World::new(config());
    let mut replay = Replay::open(&minutes, world.symbols.clone()).unwrap();
    let mut midnights = days.iter();
    while let Some(upcoming) = replay.upcoming().unwrap() {
        world.advance(upcoming);
        replay.step(&mut world).unwrap();
        if upcoming % 86_400_000 == 0
            && let Some(day) = midnights.next()
            && intervals.contains(&Interval::D1)
        {
            world.advance(upcoming);
            check_ticker(&mut world, symbol, &rows(&file(Interval::D1, day))[0]);
        }
    }
    for &interval in intervals {
        let expected: Vec<_> = days.iter().flat_map(|day| rows(&file(interval, day))).collect();
        let series = world.state(symbol).bars().series(interval);
        let made: Vec<Bar> = series.closed().chain(series.open().copied()).collect();
        assert_eq!(made.len(), expected.len(), "{symbol} {interval}: as many as the venue has");
        for (bar, row) in made.iter().zip(&expected) {
            assert_eq!(bar.open_time, row.open_time);
            check(&mut world, symbol, bar, row, &format!("{symbol} {interval} {}", row.open_time));
        }
    }
}

fn check_ticker(world: &mut World, symbol: &str, day: &SourceBar) {
    let ticker = world.state(symbol).ticker().clone();
    let prices = [ticker.open_price, ticker.high, ticker.low, ticker.last_price];
    assert_eq!(prices, [day.open, day.high, day.low, day.close].map(|price| Some(price.into())), "{symbol}");
    assert_eq!(
        (ticker.volume, ticker.quote_volume),
        (Some(day.volume.into()), Some(day.quote_volume.into()))
    );
    assert_eq!(ticker.trades, day.trades, "{symbol}");
    assert_eq!((ticker.open_time, ticker.close_time), (day.open_time, day.open_time + 86_400_000));
}

#[test]
fn minutes_rolled_up_are_the_venues_longer_bars_and_its_day_is_the_ticker_at_midnight() {
    for symbol in ["BTCUSDT", "SOLUSDT"] {
        let days = ["2024-03-04", "2024-03-05", "2024-03-06"];
        roll_up(symbol, &days, &[Interval::M1, Interval::M15, Interval::H1, Interval::D1]);
    }
}

#[test]
fn a_halt_of_trading_leaves_the_holes_that_the_venue_has() {
    roll_up("BTCUSDT", &["2023-03-24"], &[Interval::M1, Interval::M15, Interval::H1]);
}

#[test]
fn the_trades_of_a_futures_session_make_the_venues_minutes() {
    let Some(data) = data() else { return };
    let mut world = World::new(config());
    let mut replay =
        Replay::open(&[data.join("binance_usdm/hft_btcusdt_20240808.gz")], world.symbols.clone()).unwrap();
    while replay.step(&mut world).unwrap().is_some() {}
    let expected = rows(&data.join("binance_usdm/klines_1m_BTCUSDT_20240808_2355-2359.csv"));
    assert_eq!(expected.len(), 5);
    for row in &expected {
        let series = world.state("BTCUSDT").bars().series(Interval::M1);
        let bar = series.closed().chain(series.open().copied()).find(|bar| bar.open_time == row.open_time);
        let bar = bar.unwrap();
        check(&mut world, "BTCUSDT", &bar, row, &format!("minute {}", row.open_time));
    }
}

/// `kline_1m` messages say which trades are in them (`f` to `L`): where all of them were captured,
/// the bar of these very trades is the venue's.
#[test]
fn the_trades_of_a_recorded_kline_make_that_kline() {
    let Some(data) = data() else { return };
    let file = data.join("binance_spot/cf_20210404_BTC-ETH-DOT.txt.zst");
    let text = zstd::decode_all(std::fs::File::open(file).unwrap()).unwrap();
    let mut trades: BTreeMap<(String, u64), (u64, serde_json::Value)> = BTreeMap::new();
    let mut klines = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        let Some(at) = line.windows(2).position(|pair| pair == b": ") else { continue };
        let Ok(message) = serde_json::from_slice::<serde_json::Value>(&line[at + 2..]) else { continue };
        let body = &message["data"];
        let symbol = body["s"].as_str().unwrap_or_default().to_owned();
        if body["e"] == "aggTrade" {
            let ids = [&body["f"], &body["l"]].map(|id| id.as_u64().unwrap());
            trades.insert((symbol, ids[0]), (ids[1], body.clone()));
        } else if body["e"] == "kline" {
            klines.push((symbol, body["k"].clone()));
        }
    }
    let checked = klines.iter().filter(|(symbol, kline)| check_kline(symbol, kline, &trades)).count();
    assert_eq!(checked, 51, "klines whose trades were all captured");
}

/// Whether all trades of the kline are there; if so it is compared.
fn check_kline(
    symbol: &str,
    kline: &serde_json::Value,
    trades: &BTreeMap<(String, u64), (u64, serde_json::Value)>,
) -> bool {
    let [first, last] = ["f", "L"].map(|id| kline[id].as_u64().unwrap_or(0));
    let mut world = World::new(config());
    world.symbol(symbol);
    let mut feed = tickcast::ingest::binance::Feed::new(
        tickcast::ingest::binance::Market::Spot,
        world.symbols.clone(),
        tickcast::ingest::binance::UnknownSymbols::Refuse,
    );
    let mut next = first;
    for ((_, from), (to, body)) in trades.range((symbol.to_owned(), first)..=(symbol.to_owned(), last)) {
        if *from != next || *to > last {
            return false;
        }
        next = to + 1;
        let received = body["T"].as_i64().unwrap();
        feed.message(received, body.to_string().as_bytes().to_vec().as_mut_slice(), &mut world).unwrap();
    }
    if next != last + 1 || first == 0 {
        return false;
    }
    let mut heard = Rows::default();
    let message = format!(r#"{{"e":"kline","E":1,"s":"{symbol}","k":{kline}}}"#);
    feed.message(0, message.into_bytes().as_mut_slice(), &mut heard).unwrap();
    let bar = *world.state(symbol).bars().series(Interval::M1).open().unwrap();
    check(&mut world, symbol, &bar, &heard.0[0], &format!("{symbol} {first}-{last}"));
    true
}

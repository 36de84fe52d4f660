//! Counts what is allocated: nothing per message once warm, how much a thousand symbols take, and that
//! sessions which are given up give back what they had.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]
#![allow(clippy::print_stdout, reason = "what was left out, and what was measured, is said")]

#[path = "support/client.rs"]
#[allow(dead_code, unreachable_pub, clippy::wildcard_enum_match_arm, reason = "it belongs to several tests")]
mod client;
#[path = "support/given_up.rs"]
mod given_up;
#[path = "support/polling.rs"]
mod polling;
#[path = "support/raw.rs"]
mod raw;
#[path = "support/running.rs"]
mod running;

use std::alloc::System;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tickcast::ingest::Sink;
use tickcast::ingest::binance::Feed;
use tickcast::ingest::recording::{RecordKind, Recording};
use tickcast::market::{
    BookChange, BookKind, Decimal, Event, Interval, Millis, Quantity, RawLevel, Side, SymbolId, Symbols,
    Trade, TradeId,
};
use tickcast::shard::{Broadcast, Joined, Outlet, Shard, ShardConfig};
use tickcast::state::Board;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The allocator counts for the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Nobody;

impl Outlet for Nobody {
    fn broadcast(&mut self, _: u16, _: Broadcast) {}

    fn joined(&mut self, _: u16, _: Joined) {}
}

struct Direct {
    shard: Shard,
    #[allow(clippy::vec_box, reason = "a sink is given boxes, and keeps them")]
    spare: Vec<Box<BookChange>>,
}

impl Direct {
    fn new(symbols: &Arc<Symbols>) -> Direct {
        Direct::with(symbols, ShardConfig::default())
    }

    fn with(symbols: &Arc<Symbols>, config: ShardConfig) -> Direct {
        let board = Arc::new(Board::default());
        Direct { shard: Shard::new(symbols.clone(), board, config, "e"), spare: Vec::new() }
    }

    fn event(&mut self, now: Millis, symbol: SymbolId, event: Event) {
        self.shard.advance(now, &mut Nobody);
        self.put(symbol, now, event);
        self.shard.end_turn();
    }

    /// The blocks that the books' levels have taken so far.
    fn blocks(&mut self) -> usize {
        let of = |state: &mut tickcast::shard::SymbolState| {
            [Side::Bid, Side::Ask].map(|side| state.book().side(side).blocks()).iter().sum::<usize>()
        };
        self.shard.symbols().map(of).sum()
    }

    /// A day of minutes, so that everything that is kept has its full length.
    fn warm(&mut self, symbol: SymbolId, until: Millis) {
        for minute in (1..=MINUTES_A_DAY).rev() {
            let time = until - minute * 60_000;
            self.event(time, symbol, trade(time, 6_100_000));
        }
    }
}

impl Sink for Direct {
    fn put(&mut self, symbol: SymbolId, received: Millis, event: Event) {
        let spare = self.shard.apply(received, symbol, event, &mut Nobody);
        self.spare.extend(spare);
    }

    fn blank(&mut self) -> Box<BookChange> {
        let mut change = self.spare.pop().unwrap_or_default();
        change.clear();
        change
    }

    fn recycle(&mut self, change: Box<BookChange>) {
        self.spare.push(change);
    }
}

fn trade(time: Millis, price: i64) -> Event {
    let (price, quantity) = (Decimal::new(price, 2), Quantity::new(Decimal::new(5, 1)).unwrap());
    Event::Trade(Trade { id: TradeId::Number(1), price, quantity, taker: None, time, count: 1 })
}

/// What playing a session twice took.
struct Played {
    messages: usize,
    /// Allocations in the second half of the first time, and the blocks that the book took then.
    growing: (usize, usize),
    /// Allocations and reallocations in all of the second time: the trades are known by then and go
    /// no further than the feed.
    warm: (usize, usize),
}

fn play_twice(file: &str) -> Option<Played> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(file);
    if !path.is_file() {
        println!("SKIPPED: no recording at {}", path.display());
        return None;
    }
    let mut messages: Vec<(Millis, bool, Vec<u8>)> = Vec::new();
    let mut market = None;
    let mut recording = Recording::open(&[path]).unwrap();
    while let Some(record) = recording.next().unwrap() {
        market = Some(record.market);
        match record.kind {
            RecordKind::Frame => messages.push((record.received, true, record.payload.to_vec())),
            RecordKind::Depth { .. } => messages.push((record.received, false, record.payload.to_vec())),
            RecordKind::Connected
            | RecordKind::Instruments
            | RecordKind::Bar { .. }
            | RecordKind::Unreadable { .. } => {}
        }
    }
    let symbols = Arc::new(Symbols::new(10));
    let symbol = symbols.add("BTCUSDT").unwrap();
    let mut direct = Direct::new(&symbols);
    direct.warm(symbol, messages[0].0);
    let unknown = tickcast::ingest::binance::UnknownSymbols::Refuse;
    let mut feed = Feed::new(market?, symbols, unknown);
    let half = messages.len() / 2;
    let play = |feed: &mut Feed, direct: &mut Direct, messages: &mut [(Millis, bool, Vec<u8>)]| {
        for (now, frame, bytes) in messages {
            direct.shard.advance(*now, &mut Nobody);
            let heard = if *frame {
                feed.message(*now, bytes, direct)
            } else {
                feed.depth(*now, "BTCUSDT", bytes, direct)
            };
            heard.unwrap();
            direct.shard.end_turn();
        }
    };
    let (first, second) = messages.split_at_mut(half);
    play(&mut feed, &mut direct, first);
    let blocks = direct.blocks();
    let region = Region::new(ALLOCATOR);
    play(&mut feed, &mut direct, second);
    let growing = (region.change().allocations, direct.blocks() - blocks);
    let end = second.last().map_or(0, |(now, ..)| *now);
    feed.disconnected(end, &mut direct);
    for (now, ..) in &mut messages {
        *now = end;
    }
    play(&mut feed, &mut direct, &mut messages);
    let region = Region::new(ALLOCATOR);
    feed.disconnected(end, &mut direct);
    play(&mut feed, &mut direct, &mut messages);
    let warm = region.change();
    let last = direct.shard.symbols().next().unwrap().tape().last_seq();
    assert!(last > 10_000, "{file}: trades went all the way");
    let warm = (warm.allocations, warm.reallocations);
    Some(Played { messages: messages.len(), growing, warm })
}

#[test]
fn a_warm_path_allocates_nothing_for_any_message_of_a_recorded_session() {
    let _alone = alone();
    for file in ["binance_spot/hft_btcusdt_20240808.gz", "binance_usdm/hft_btcusdt_20240808.gz"] {
        let Some(Played { messages, growing, warm }) = play_twice(file) else { continue };
        let (allocations, blocks) = growing;
        println!(
            "{file}: {messages} messages, {allocations} allocations for {blocks} blocks, {warm:?} when warm"
        );
        assert_eq!(allocations, BLOCK_ALLOCATIONS * blocks, "{file}: while the book grew");
        assert_eq!(warm, (0, 0), "{file}: in {messages} messages");
    }
}

#[test]
fn a_warm_path_allocates_nothing_for_changes_and_trades() {
    let _alone = alone();
    let symbols = Arc::new(Symbols::new(10));
    let symbol = symbols.add("BTCUSDT").unwrap();
    let mut direct = Direct::new(&symbols);
    let start = 1_732_000_000_000;
    direct.warm(symbol, start);
    let mut random = fastrand::Rng::with_seed(5);
    let mut id = 0;
    let mut run = |direct: &mut Direct, changes: u64| {
        for _ in 0..changes {
            id += 1;
            let mut change = direct.blank();
            fill(&mut change, id, 500, &mut random);
            direct.event(start + i64::try_from(id / 50).unwrap(), symbol, Event::Book(change));
            direct.event(start, symbol, trade(start, random.i64(6_000_000..6_200_000)));
        }
    };
    run(&mut direct, 20_000);
    let blocks = direct.blocks();
    let region = Region::new(ALLOCATOR);
    run(&mut direct, 20_000);
    let change = region.change();
    assert_eq!(change.allocations, BLOCK_ALLOCATIONS * (direct.blocks() - blocks), "in 40,000 events");
    assert_eq!(change.reallocations, 0);
}

/// What nothing but a book that grows allocates: a block's keys and its quantities, when there are
/// more blocks than there ever were. To have them all beforehand would cost every quiet symbol the
/// memory of a busy one.
const BLOCK_ALLOCATIONS: usize = 2;

/// The first is a snapshot of `levels` a side, the others change some of them.
fn fill(change: &mut BookChange, id: u64, levels: i64, random: &mut fastrand::Rng) {
    let level = |price: i64, lots: i64| RawLevel {
        price: Decimal::new(price, 2),
        quantity: Quantity::new(Decimal::new(lots, 5)).unwrap(),
    };
    (change.first_update_id, change.last_update_id, change.time) = (id, id, 1);
    if id == 1 {
        change.kind = BookKind::Snapshot;
        change.bids.extend((1..=levels).map(|at| level(6_100_000 - at, at)));
        change.asks.extend((1..=levels).map(|at| level(6_100_000 + at, at)));
        return;
    }
    for side in [-1, 1] {
        let levels_of = if side < 0 { &mut change.bids } else { &mut change.asks };
        levels_of.extend((0..4).map(|_| level(6_100_000 + side * random.i64(1..=levels), random.i64(0..4))));
    }
}

/// 500 levels a side, all the bars that are kept of each of the ten intervals, 24 hours of minutes for
/// the statistics and a full tape, for each of a thousand symbols.
#[test]
fn a_thousand_symbols_with_a_thousand_levels_and_all_bars_fit_512_mib() {
    const SYMBOLS: usize = 1_000;
    let _alone = alone();
    let symbols = Arc::new(Symbols::new(SYMBOLS));
    let ids: Vec<_> = (0..SYMBOLS).map(|at| symbols.add(&format!("SYM{at}USDT")).unwrap()).collect();
    let start = 1_732_000_000_000;
    let region = Region::new(ALLOCATOR);
    let held = || {
        let change = region.change();
        isize::try_from(change.bytes_allocated).unwrap() - isize::try_from(change.bytes_deallocated).unwrap()
    };
    // Months without a trade leave holes, so that a trade a month fills even the row of months soon.
    let config = ShardConfig { flat_bars_most: 0, ..ShardConfig::default() };
    let months = i64::try_from(config.bars_kept).unwrap() + 1;
    let mut direct = Direct::with(&symbols, config.clone());
    let mut random = fastrand::Rng::with_seed(5);
    for &symbol in &ids {
        let mut change = direct.blank();
        fill(&mut change, 1, 500, &mut random);
        direct.event(start, symbol, Event::Book(change));
        for id in 2..40 {
            let mut change = direct.blank();
            fill(&mut change, id, 500, &mut random);
            direct.event(start, symbol, Event::Book(change));
        }
    }
    let books = held();
    let month = |count: i64| start + count * 32 * MINUTES_A_DAY * 60_000;
    let last_day = (0..MINUTES_A_DAY).map(|minute| month(months) + minute * 60_000);
    for time in (0..months).map(month).chain(last_day) {
        ids.iter().for_each(|&symbol| direct.event(time, symbol, trade(time, 6_100_000)));
    }
    let all = held();
    for state in direct.shard.symbols() {
        for interval in Interval::ALL {
            assert_eq!(state.bars().series(interval).closed().len(), config.bars_kept, "{interval:?}");
        }
    }
    let mib = |bytes: isize| bytes / (1 << 20);
    println!(
        "{} MiB in books, {} MiB in bars, minutes, tickers and tapes, {} MiB in all",
        mib(books),
        mib(all - books),
        mib(all)
    );
    assert!(all <= 512 << 20, "{} MiB", mib(all));
}

#[test]
fn sessions_that_are_given_up_in_any_way_give_back_their_memory() {
    let _alone = alone();
    let server = running::Running::start(given_up::impatient);
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    market.settle();
    let connections = || {
        let meters = server.workers.meters().iter();
        meters.flat_map(|meter| meter.connections.iter()).map(|count| count.read()).sum::<u64>()
    };
    let round = || {
        let held: Vec<_> = (0..SESSIONS).map(|_| given_up::give_up(server.address, "BTCUSDT")).collect();
        running::until("their sessions are gone", || connections() == 0);
        drop(held);
    };
    // What is kept for the next ones is there after the first.
    (0..2).for_each(|_| round());
    let region = Region::new(ALLOCATOR);
    let grown = || {
        let change = region.change();
        change.bytes_allocated as i128 - change.bytes_deallocated as i128
    };
    (0..2).for_each(|_| round());
    // A session that stays takes kilobytes, and of each kind there were this many.
    running::until("the memory is free again", || grown() < 512 * 2 * SESSIONS as i128);
    println!("{} bytes more after {} sessions", grown(), 2 * SESSIONS * 14);
}

/// Of each kind, a round.
const SESSIONS: usize = 10;

const MINUTES_A_DAY: i64 = 1_440;

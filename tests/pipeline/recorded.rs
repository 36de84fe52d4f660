//! Recorded sessions, at their own pace: a client that joins at any moment holds the exact book.

use fastrand::Rng;
use tickcast::ingest::recording::Replay;
use tickcast::shard::{BarsClose, ShardConfig};

use crate::support::data;
use crate::support::world::{World, book_topics};

/// Plays a session. About `joins` members come at random moments, of all symbols, depths and
/// speeds, and some of them leave again.
fn play(files: &[&str], joins: usize, seed: u64) {
    let Some(data) = data() else { return };
    let files: Vec<_> = files.iter().map(|file| data.join(file)).collect();
    let config = ShardConfig { bars_close: BarsClose::WithTrades, ..ShardConfig::default() };
    let mut world = World::new(config);
    let mut replay = Replay::open(&files, world.symbols.clone()).unwrap();
    let mut random = Rng::with_seed(seed);
    let mut waiting: Vec<String> = Vec::new();
    let mut began = None;
    while let Some(upcoming) = replay.upcoming().unwrap() {
        world.advance(upcoming);
        let began = *began.get_or_insert(upcoming);
        if waiting.is_empty() && world.members.len() < joins {
            let table = world.symbols.table();
            waiting = table.iter().flat_map(|(_, name)| book_topics(name)).collect();
            random.shuffle(&mut waiting);
        }
        let moment = random.u32(0..100);
        if moment < 3 && (upcoming - began > 500 || moment == 0) && world.members.len() < joins {
            if let Some(topic) = waiting.pop() {
                world.join_on(&topic, random.u16(0..3));
            }
        } else if moment == 99 && !world.members.is_empty() && random.u32(0..20) == 0 {
            let at = random.usize(0..world.members.len());
            if world.members[at].here { world.leave(at) } else { world.rejoin(at, random.bool()) }
        }
        replay.step(&mut world).unwrap();
    }
    world.advance(world.now + 2_000);
    world.compare_all();
    let here = world.members.iter().filter(|member| member.here);
    let lost = here.filter(|member| !member.client.book(&member.name).is_some_and(|book| book.good));
    assert_eq!(lost.map(|member| &member.name).collect::<Vec<_>>(), Vec::<&String>::new(), "seed {seed}");
    assert!(world.compared > 250, "only {} books were compared", world.compared);
    println!(
        "{}: {} members, {} messages, {} books compared",
        files[0].display(),
        world.members.len(),
        world.broadcasts,
        world.compared
    );
}

#[test]
fn spot_btcusdt_is_exact_at_every_depth_and_speed_from_any_moment() {
    play(&["binance_spot/hft_btcusdt_20240808.gz"], 54, 1);
}

#[test]
fn usdm_btcusdt_is_exact_at_every_depth_and_speed_from_any_moment() {
    play(&["binance_usdm/hft_btcusdt_20240808.gz"], 36, 2);
}

#[test]
fn sessions_of_several_symbols_are_exact_at_every_depth_and_speed_from_any_moment() {
    let sessions = [
        ("binance_spot/cf_20210404_BTC-ETH-DOT.txt.zst", 108),
        ("binance_spot/cf_20210417_10sym.ws.txt.zst", 360),
        ("binance_us/cf_20210417_10sym.ws.txt.zst", 360),
        ("binance_usdm/cf_20210417_4sym.ws.txt.zst", 144),
        ("binance_coinm/cf_20210722_10sym.ws.txt.zst", 360),
    ];
    for (seed, (file, joins)) in (3..).zip(sessions) {
        play(&[file], joins, seed);
    }
}

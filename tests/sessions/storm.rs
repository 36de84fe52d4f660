//! Joining a fast stream at any moment, at each depth and speed, and ending with the exact book.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use serde_json::Value;

use crate::client::Client;
use crate::raw::Raw;
use crate::running::{MarketMaker, Running, now};

const DEPTHS: [(&str, usize); 6] =
    [("1", 1), ("5", 5), ("10", 10), ("20", 20), ("50", 50), ("full", usize::MAX)];
const SPEEDS: [&str; 3] = ["raw", "100ms", "1000ms"];

/// How long the market runs, and the least that it must have done in that time.
const STORM_MS: i64 = 3_000;
const DELTAS: u64 = 50_000;

/// How often somebody subscribes to hear the next trade.
const VISITS: usize = 2_000;

/// Every topic and how many levels it shows.
fn topics() -> Vec<(String, usize)> {
    let name = |depth, speed| match (depth, speed) {
        ("full", "raw") => "book:BTCUSDT".to_owned(),
        _ => format!("book:BTCUSDT:{depth}:{speed}"),
    };
    let each = |(depth, levels): &(&'static str, usize)| {
        let levels = *levels;
        SPEEDS.map(|speed| (name(depth, speed), levels))
    };
    DEPTHS.iter().flat_map(each).collect()
}

/// Joins topics at random moments while the storm lasts, hears a while, and goes again. The last
/// connection hears all of them and stays.
fn visit(server: &Running, seed: u64, narrow: bool, over: &AtomicBool) -> (Raw, Client) {
    let mut random = fastrand::Rng::with_seed(seed);
    let open = || if narrow { Raw::connect_narrow(server.address) } else { Raw::connect(server.address) };
    let mut joined = 0;
    while !over.load(Ordering::Relaxed) {
        let (mut raw, mut client) = (open(), Client::default());
        let topics = topics();
        let chosen: Vec<_> =
            random.choose_multiple(topics.iter(), 4).into_iter().map(|(name, _)| &**name).collect();
        client.hear(&raw.subscribe(&chosen)).unwrap();
        for _ in 0..random.usize(1..200) {
            if over.load(Ordering::Relaxed) {
                break;
            }
            if narrow && random.u8(0..8) == 0 {
                // It is slow of its own: the server must go on without it.
                std::thread::sleep(Duration::from_millis(2));
            }
            client.hear(&raw.hear()).unwrap();
        }
        joined += 1;
    }
    assert!(joined > 0);
    let (mut raw, mut client) = (open(), Client::default());
    let topics = topics();
    let all: Vec<_> = topics.iter().map(|(name, _)| &**name).collect();
    client.hear(&raw.subscribe(&all)).unwrap();
    (raw, client)
}

/// Hears on until all books are the true one.
fn end(market: &MarketMaker, mut raw: Raw, mut client: Client) {
    for (topic, depth) in topics() {
        while !client.book(&topic).is_some_and(|book| market.is_held(book, depth)) {
            client.hear(&raw.hear()).unwrap();
        }
    }
}

#[test]
fn whoever_joins_a_fast_stream_at_any_moment_ends_with_the_exact_book() {
    let server = Running::start(|config| {
        config.limits.outbox_bytes = NonZeroUsize::new(64 << 10).unwrap();
        config.threads.worker_threads = NonZeroUsize::new(2);
    });
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    market.settle();
    let over = AtomicBool::new(false);
    // These hear everything from the first to the last delta, however far they fall behind.
    let staying: Vec<_> = (0..2)
        .map(|_| {
            let (mut raw, mut client) = (Raw::connect_narrow(server.address), Client::default());
            client.hear(&raw.subscribe(&["book:BTCUSDT"])).unwrap();
            (raw, client)
        })
        .collect();
    let began = now();
    std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..4)
            .map(|seed| {
                scope.spawn({
                    let (server, over) = (&server, &over);
                    move || visit(server, seed, seed % 2 == 1, over)
                })
            })
            .collect();
        let staying: Vec<_> = staying
            .into_iter()
            .map(|(mut raw, mut client)| {
                let over = &over;
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        client.hear(&raw.hear()).unwrap();
                    }
                    (raw, client)
                })
            })
            .collect();
        while now() - began < STORM_MS || market.last_id < DELTAS {
            for _ in 0..64 {
                market.delta();
            }
        }
        println!("{} deltas in {} ms", market.last_id, now() - began);
        over.store(true, Ordering::Relaxed);
        // Nobody waits in vain for one more message before it looks up and sees that it is over.
        while !visitors.iter().all(ScopedJoinHandle::is_finished)
            || !staying.iter().all(ScopedJoinHandle::is_finished)
        {
            market.delta();
        }
        let market = &market;
        for visitor in visitors {
            let (raw, client) = visitor.join().unwrap();
            end(market, raw, client);
        }
        for one in staying {
            let (mut raw, mut client) = one.join().unwrap();
            while !market.is_held(client.book("book:BTCUSDT").unwrap(), usize::MAX) {
                client.hear(&raw.hear()).unwrap();
            }
        }
    });
}

#[test]
fn what_happens_after_the_answer_is_heard() {
    let server =
        Running::start(|config| config.limits.messages_burst = NonZeroUsize::new(2 * VISITS).unwrap());
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    let mut noise = server.market("ETHUSDT");
    noise.snapshot();
    let over = AtomicBool::new(false);
    let heard = std::thread::scope(|scope| {
        // Keeps the shard in turns, so that subscriptions come in the midst of them.
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                noise.delta();
            }
        });
        let mut raw = Raw::connect(server.address);
        let visit = |_| {
            raw.subscribe(&["trades:BTCUSDT"]);
            market.trade();
            raw.stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let heard = raw.try_frame().ok()??;
            raw.say(r#"{"op":"unsubscribe","topics":["trades:BTCUSDT"]}"#);
            raw.frame();
            serde_json::from_slice::<Value>(&heard.payload).unwrap()["seq"].as_u64()
        };
        let heard: Vec<Option<u64>> = (0..VISITS).map(visit).take_while(Option::is_some).collect();
        over.store(true, Ordering::Relaxed);
        heard
    });
    assert_eq!(heard.len(), VISITS);
    assert!(heard.into_iter().eq((1..).take(VISITS).map(Some)));
}

#[test]
fn small_queues_slow_the_source_down_and_lose_nothing() {
    let server = Running::start(|config| {
        config.limits.shard_queue = NonZeroUsize::new(64).unwrap();
        config.limits.worker_queue = NonZeroUsize::new(64).unwrap();
        config.limits.outbox_bytes = NonZeroUsize::new(64 << 20).unwrap();
    });
    let mut market = server.market("BTCUSDT");
    let mut clients = [0; 3].map(|_| Raw::connect(server.address));
    for raw in &mut clients {
        raw.subscribe(&["trades:BTCUSDT"]);
    }
    for _ in 0..20_000 {
        market.trade();
    }
    for mut raw in clients {
        let mut client = Client::default();
        for _ in 0..20_000 {
            client.hear(&raw.hear()).unwrap();
        }
        assert_eq!(client.since("trades:BTCUSDT").unwrap().1, 20_000);
    }
}

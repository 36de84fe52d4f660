//! Clients that do not keep up.

use std::io::{Read, Write};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Client;
use crate::raw::{CLOSE, Raw, TEXT};
use crate::running::{MarketMaker, Running};

/// More than the system and the outbox hold together for one client.
const MANY: u64 = 60_000;

fn small_outboxes() -> Running {
    Running::start(|config| {
        config.limits.outbox_bytes = NonZeroUsize::new(64 << 10).unwrap();
        config.threads.worker_threads = NonZeroUsize::new(1);
    })
}

/// Hears until its book is the true one; how many snapshots came.
fn catch_up(market: &MarketMaker, raw: &mut Raw, client: &mut Client) -> usize {
    let mut snapshots = 0;
    while !client.book("book:BTCUSDT").is_some_and(|book| market.is_held(book, usize::MAX)) {
        let message = raw.hear();
        snapshots += usize::from(message["type"] == "snapshot");
        client.hear(&message).unwrap();
    }
    snapshots
}

#[test]
fn who_stops_reading_a_book_for_a_while_gets_what_it_missed_and_stays() {
    let server = small_outboxes();
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    market.settle();
    let (mut slow, mut client) = (Raw::connect_narrow(server.address), Client::default());
    client.hear(&slow.subscribe(&["book:BTCUSDT", "ticker:BTCUSDT:raw"])).unwrap();
    for _ in 0..MANY {
        market.delta();
    }
    // One delta for all that was left out, or a snapshot where that would be shorter.
    catch_up(&market, &mut slow, &mut client);
    assert!(client.messages("book:BTCUSDT") < MANY, "much was left out");
    for _ in 0..10 {
        market.delta();
    }
    assert_eq!(catch_up(&market, &mut slow, &mut client), 0, "from here on it hears everything again");
}

#[test]
fn who_stops_reading_trades_is_closed_with_the_topic_and_the_others_hear_on() {
    let server = small_outboxes();
    let mut market = server.market("BTCUSDT");
    let (topic, mut slow, mut client) =
        ("trades:BTCUSDT", Raw::connect_narrow(server.address), Client::default());
    client.hear(&slow.subscribe(&[topic])).unwrap();
    let mut other = Raw::connect(server.address);
    other.subscribe(&[topic]);
    let heard = AtomicU64::new(0);
    let (code, reason) = std::thread::scope(|scope| {
        let heard = &heard;
        let hearing = scope.spawn(move || {
            let mut client = Client::default();
            for _ in 0..MANY {
                // It must keep up, so it looks at few of them.
                let got = other.frame();
                assert_eq!(got.opcode, TEXT, "{:?}", String::from_utf8_lossy(&got.payload));
                if client.since(topic).is_none() {
                    client.hear_text(&got.payload).unwrap();
                }
                heard.fetch_add(1, Ordering::Relaxed);
            }
        });
        for at in 0..MANY {
            market.trade();
            // No faster than the one who reads.
            while heard.load(Ordering::Relaxed) + 200 < at && !hearing.is_finished() {
                std::thread::yield_now();
            }
        }
        hearing.join().unwrap();
        loop {
            let got = slow.frame();
            if got.opcode == CLOSE {
                let code = u16::from_be_bytes([got.payload[0], got.payload[1]]);
                break (code, String::from_utf8_lossy(&got.payload[2..]).into_owned());
            }
            client.hear_text(&got.payload).unwrap();
        }
    });
    assert_eq!(code, 4008);
    assert!(reason.contains(topic) && reason.contains("since"), "{reason}");
    assert!(client.since(topic).unwrap().1 < MANY);
}

#[test]
fn a_large_first_picture_does_not_count_against_who_takes_it() {
    let server = Running::start(|config| {
        config.limits.outbox_bytes = NonZeroUsize::new(4_096).unwrap();
    });
    let names: Vec<String> = (0..600).map(|number| format!("S{number}")).collect();
    let mut markets: Vec<_> = names.iter().map(|name| server.market(name)).collect();
    for market in &mut markets {
        market.snapshot();
        market.settle();
    }
    let mut raw = Raw::connect_narrow(server.address);
    let mut client = Client::default();
    // More than the sockets hold: one picture is left in an outbox that it fills alone.
    let topics = names.iter().map(|name| format!("book:{name}")).chain(["trades:S0".to_owned()]);
    raw.say(&json!({"op": "subscribe", "topics": topics.collect::<Vec<_>>()}).to_string());
    std::thread::sleep(Duration::from_millis(200));
    markets[0].trade();
    while client.messages("trades:S0") == 0 {
        client.hear(&raw.hear()).unwrap();
    }
}

#[test]
fn what_was_missed_comes_topic_by_topic_however_much_it_is() {
    let server = Running::start(|config| {
        config.limits.outbox_bytes = NonZeroUsize::new(4_096).unwrap();
    });
    let mut witness = Raw::connect(server.address);
    let names: Vec<String> = (0..20).map(|number| format!("S{number}")).collect();
    let mut markets: Vec<_> = names.iter().map(|name| server.market(name)).collect();
    let topics: Vec<String> = names.iter().map(|name| format!("trades:{name}")).collect();
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    witness.subscribe(&topics);
    markets.iter_mut().for_each(|market| market.trade());
    let mut client = Client::default();
    topics.iter().for_each(|_| client.hear(&witness.hear()).unwrap());
    for market in &mut markets {
        (0..100).for_each(|_| market.trade());
        (0..100).for_each(|_| _ = witness.hear());
    }
    let since: serde_json::Map<String, Value> = topics
        .iter()
        .map(|topic| {
            let (epoch, seq) = client.since(topic).unwrap();
            ((*topic).to_owned(), json!({"epoch": epoch, "seq": seq}))
        })
        .collect();
    let mut raw = Raw::connect_narrow(server.address);
    raw.say(&json!({"op": "subscribe", "topics": topics, "since": since}).to_string());
    assert_eq!(raw.hear()["type"], "ok");
    for _ in 0..20 * 100 {
        client.hear(&raw.hear()).unwrap();
    }
    assert!(topics.iter().all(|topic| client.since(topic).unwrap().1 == 101));
}

#[test]
fn who_sends_without_end_keeps_nobody_waiting() {
    const TRADES: usize = 100;
    let server = Running::start(|config| config.threads.worker_threads = Some(NonZeroUsize::MIN));
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    market.settle();
    let mut other = Raw::connect(server.address);
    other.subscribe(&["trades:BTCUSDT"]);
    let flood = Raw::connect(server.address);
    let (mut out, mut back) = (flood.stream.try_clone().unwrap(), flood.stream.try_clone().unwrap());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Empty pings, masked with zeros, as fast as they are taken.
        scope.spawn(|| {
            let pings = [0x89, 0x80, 0, 0, 0, 0].repeat(20_000);
            while !over.load(Ordering::Relaxed) {
                if out.write_all(&pings).is_err() {
                    return;
                }
            }
        });
        scope.spawn(move || {
            let mut pongs = [0; 65_536];
            while back.read(&mut pongs).is_ok_and(|length| length > 0) {}
        });
        let heard = (0..TRADES).filter(|_| {
            market.trade();
            other.stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            other.try_frame().is_ok_and(|got| got.is_some())
        });
        let heard = heard.take(TRADES).count();
        over.store(true, Ordering::Relaxed);
        flood.stream.shutdown(std::net::Shutdown::Both).unwrap();
        assert_eq!(heard, TRADES);
    });
}

//! Clients that do not keep up.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

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

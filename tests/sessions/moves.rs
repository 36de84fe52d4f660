//! Sessions on polling among the others of the market: those that move miss nothing, those that are
//! given up leave nothing behind.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use crate::given_up::{give_up, impatient};
use crate::polling::{Session, probe};
use crate::raw::Raw;
use crate::running::{Running, until};

const CLIENTS: usize = 100;
const TRADES: usize = 300;

/// How far the market may be ahead of the slowest client: so far that something is always under way.
const AHEAD: usize = 20;

#[test]
fn a_hundred_clients_that_move_while_the_market_trades_hear_each_trade_once_and_in_order() {
    let server = Running::start(|_| {});
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    market.settle();
    let heard: Vec<_> = (0..CLIENTS).map(|_| AtomicUsize::new(0)).collect();
    let ready = AtomicUsize::new(0);
    thread::scope(|scope| {
        for (client, heard) in heard.iter().enumerate() {
            let (address, ready) = (server.address, &ready);
            scope.spawn(move || {
                let session = Session::open(address, "BTCUSDT");
                ready.fetch_add(1, Ordering::Release);
                // Each moves at another point.
                hear_all(&session, client * (TRADES - AHEAD) / CLIENTS, heard);
            });
        }
        until("all clients listen", || ready.load(Ordering::Acquire) == CLIENTS);
        for trade in 0..TRADES {
            until("the slowest client is near", || {
                heard.iter().all(|heard| heard.load(Ordering::Relaxed) + AHEAD > trade)
            });
            market.trade();
        }
    });
}

/// Polls until it has heard so many, then moves, and hears the rest.
fn hear_all(session: &Session, moves_at: usize, heard: &AtomicUsize) {
    let mut poll = session.begin_poll();
    while heard.load(Ordering::Relaxed) < moves_at {
        note(&body(poll), heard);
        poll = session.begin_poll();
    }
    let mut socket = session.websocket();
    probe(&mut socket);
    // As a stock client does: the poll that is under way ends, and then it moves.
    note(&body(poll), heard);
    socket.say("5");
    while heard.load(Ordering::Relaxed) < TRADES {
        note(&String::from_utf8(socket.frame().payload).unwrap(), heard);
    }
}

fn body(mut poll: Raw) -> String {
    assert!(poll.head().starts_with("HTTP/1.1 200 "));
    String::from_utf8(poll.rest()).unwrap()
}

/// Each trade comes right behind the one before.
fn note(packets: &str, heard: &AtomicUsize) {
    for packet in packets.split('\u{1e}') {
        let Some(event) = packet.strip_prefix("42/ws,") else { continue };
        let event: Value = serde_json::from_str(event).unwrap();
        if event[0] == "trade" {
            let before = heard.fetch_add(1, Ordering::Relaxed);
            assert_eq!(event[1]["data"]["tradeId"], before + 1);
        }
    }
}

#[test]
fn sessions_that_are_given_up_in_any_way_leave_nothing_behind() {
    let server = Running::start(impatient);
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    market.settle();
    let mut held = Vec::new();
    for _ in 0..10 {
        held.extend(give_up(server.address, "BTCUSDT"));
        (0..20).for_each(|_| market.trade());
    }
    let sum = |pick: fn(&tickcast::metrics::WorkerMeter) -> u64| {
        server.workers.meters().iter().map(pick).sum::<u64>()
    };
    let connections = || sum(|meter| meter.connections.iter().map(|count| count.read()).sum());
    let subscriptions = || sum(|meter| meter.subscriptions.iter().map(|count| count.read()).sum());
    let waits = || sum(|meter| meter.outbox_bytes.read());
    assert!(connections() >= 60 && subscriptions() >= 100, "most of them are still there");
    until("what waits for them is counted", || waits() > 0);
    until("their sessions are gone", || connections() == 0);
    until("nothing waits for them", || waits() == 0);
    assert_eq!(subscriptions(), 0);
    assert!(metrics(&server).contains("tickcast_clients 0\n"), "their places are free");
    drop(held);
}

fn metrics(server: &Running) -> String {
    let mut raw = Raw::socket(server.address);
    raw.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(raw.head().starts_with("HTTP/1.1 200 "));
    String::from_utf8(raw.rest()).unwrap()
}

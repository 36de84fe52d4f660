//! How a server goes.

use std::time::Duration;

use crate::raw::{CLOSE, Raw, frame};
use crate::running::{Running, now};

#[test]
fn every_client_is_told_when_to_come_back_and_the_end_is_prompt() {
    let server = Running::start(|_| {});
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    let mut clients: Vec<_> = (0..20).map(|_| Raw::connect(server.address)).collect();
    for raw in &mut clients {
        raw.subscribe(&["book:BTCUSDT", "trades:BTCUSDT"]);
    }
    let mut halfway = Raw::socket(server.address);
    halfway.send(b"GET /v1/ws HTTP/1.1\r\n");
    let began = now();
    server.stop();
    let mut waits = Vec::new();
    for mut raw in clients {
        let (code, reason) = raw.close_frame();
        assert_eq!(code, 1012);
        let wait = reason.strip_prefix("retry in ").and_then(|rest| rest.strip_suffix(" ms"));
        waits.push(wait.unwrap_or_else(|| panic!("{reason}")).parse::<u64>().unwrap());
        raw.send(&frame(CLOSE, true, &1012_u16.to_be_bytes()));
        assert_eq!(raw.try_frame().unwrap(), None);
    }
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 10, "spread, so that not all come back at once: {waits:?}");
    server.ended();
    assert!(now() - began < 3_000, "nobody was waited for");
}

#[test]
fn a_client_that_never_reads_does_not_hold_up_the_end() {
    let server = Running::start(|config| config.limits.shutdown = Duration::from_millis(500));
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    market.settle();
    let mut deaf = Raw::connect_narrow(server.address);
    deaf.subscribe(&["book:BTCUSDT"]);
    for _ in 0..40_000 {
        market.delta();
    }
    market.settle();
    let began = now();
    server.ended();
    let took = now() - began;
    assert!((400..5_000).contains(&took), "{took} ms");
    drop(deaf);
}

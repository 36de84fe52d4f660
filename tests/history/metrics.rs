//! `/metrics`: the numbers are those of what happened, and the dashboard asks for numbers that there are.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::ask::get;
use crate::raw::Raw;
use crate::running::{Running, until};

/// The value of a line with this beginning.
fn number(text: &str, start: &str) -> f64 {
    let line = text.lines().find(|line| line.strip_prefix(start).is_some_and(|rest| rest.starts_with(' ')));
    line.unwrap_or_else(|| panic!("no {start} in {text}")).rsplit(' ').next().unwrap().parse().unwrap()
}

fn read(server: &Running) -> String {
    let answer = get(server, "/metrics");
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    String::from_utf8(answer.body).unwrap()
}

#[test]
fn the_numbers_are_those_of_what_happened() {
    let server = Running::start(|config| config.threads.worker_threads = std::num::NonZeroUsize::new(1));
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    let mut clients: Vec<_> = (0..3).map(|_| Raw::connect(server.address)).collect();
    for client in &mut clients {
        client.subscribe(&["trades:BTCUSDT", "book:BTCUSDT:5:raw"]);
        // With the book's picture both are joined, and nothing waits.
        assert_eq!(client.hear()["type"], "snapshot");
    }
    for _ in 0..20 {
        market.trade();
    }
    for client in &mut clients {
        let mut trades = 0;
        while trades < 20 {
            trades += usize::from(client.hear()["topic"] == "trades:BTCUSDT");
        }
    }
    let mut text = String::new();
    until("everything is counted", || {
        text = read(&server);
        number(&text, "tickcast_deliveries_total{worker=\"0\"}") >= 60.0
    });
    assert_eq!(number(&text, "tickcast_events_total{kind=\"trade\"}"), 20.0);
    assert_eq!(number(&text, "tickcast_updates_total{class=\"trades\"}"), 20.0);
    assert_eq!(number(&text, "tickcast_subscriptions{dialect=\"native\"}"), 6.0);
    assert_eq!(number(&text, "tickcast_connections{worker=\"0\"}"), 3.0);
    assert_eq!(number(&text, "tickcast_books{state=\"good\"}"), 1.0);
    let writes = number(&text, "tickcast_writes_total{worker=\"0\"}");
    assert!((3.0..=60.0).contains(&writes), "several frames may share a write: {writes}");
    assert!(number(&text, "tickcast_sent_bytes_total{worker=\"0\"}") > 60.0 * 100.0);
    let measured = number(&text, "tickcast_publish_to_write_seconds_count{worker=\"0\"}");
    assert!(measured >= 1.0 && measured <= number(&text, "tickcast_rounds_total{worker=\"0\"}"));
    assert!(text.ends_with("# EOF\n"));
    drop(clients);
    until("those who go are counted off", || {
        let text = read(&server);
        let of = |name| number(&text, name);
        of("tickcast_connections{worker=\"0\"}") + of("tickcast_subscriptions{dialect=\"native\"}") == 0.0
    });
}

#[test]
fn the_dashboard_asks_for_numbers_that_there_are() {
    let server = Running::start(|_| {});
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    market.settle();
    let text = read(&server);
    let known: BTreeSet<&str> = text.lines().filter_map(|line| line.split(['{', ' ']).next()).collect();
    let board: Value = serde_json::from_str(include_str!("../../ops/grafana.json")).unwrap();
    let mut asked = 0;
    for panel in board["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let words =
                target["expr"].as_str().unwrap().split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for name in words.filter(|word| word.starts_with("tickcast_")) {
                assert!(known.contains(name), "{name} of {} is not there", panel["title"]);
                asked += 1;
            }
        }
    }
    assert!(asked >= 15, "{asked}");
}

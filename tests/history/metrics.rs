//! `/metrics`: the numbers are those of what happened, and the dashboard asks for numbers that there are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tickcast::auth::{Mint, mint};
use tickcast::config::Secrets;

use crate::ask::get;
use crate::raw::Raw;
use crate::running::{Running, now, until};

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
    market.settle();
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
    let encodes = number(&text, "tickcast_encodes_total{dialect=\"native\"}");
    assert!((21.0..=23.0).contains(&encodes), "20 trades and a book, however many hear them: {encodes}");
    assert_eq!(number(&text, "tickcast_encodes_total{dialect=\"maven\"}"), 0.0, "nobody listens");
    assert_eq!(number(&text, "tickcast_source_events_total{source=\"program\"}"), 21.0);
    assert!(number(&text, "tickcast_source_age_milliseconds{source=\"program\"}") < 60_000.0);
    assert_eq!(number(&text, "tickcast_connections{worker=\"0\",dialect=\"native\"}"), 3.0);
    assert_eq!(number(&text, "tickcast_connections{worker=\"0\",dialect=\"socketio\"}"), 0.0);
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
        of("tickcast_connections{worker=\"0\",dialect=\"native\"}")
            + of("tickcast_subscriptions{dialect=\"native\"}")
            == 0.0
    });
}

#[test]
fn refused_tokens_are_counted_by_reason() {
    let secret = "a secret of at least thirty-two bytes";
    let server = Running::start(|config| config.secrets.jwt_secret = Some(secret.into()));
    for _ in 0..2 {
        assert_eq!(get(&server, "/api/v1/symbols?token=nonsense").status, 401);
    }
    let late = Mint::new("ann", now() - 10_000, 1);
    let secrets = Secrets { jwt_secret: Some(secret.into()), ..Secrets::default() };
    let token = mint(&late, &secrets).unwrap();
    assert_eq!(get(&server, &format!("/api/v1/symbols?token={token}")).status, 401);
    let text = read(&server);
    let refused = |reason| number(&text, &format!("tickcast_token_refusals_total{{reason=\"{reason}\"}}"));
    assert_eq!([refused("malformed"), refused("expired"), refused("wrong_signature")], [2.0, 1.0, 0.0]);
}

#[test]
fn what_a_slow_client_misses_is_told_by_class() {
    let server = Running::start(|config| {
        config.limits.outbox_bytes = std::num::NonZeroUsize::new(64 << 10).unwrap();
    });
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    market.settle();
    let mut client = Raw::connect(server.address);
    client.subscribe(&["book:BTCUSDT:50:raw"]);
    // It reads nothing more: what its socket and its outbox do not take is left out.
    until("something was merged", || {
        (0..500).for_each(|_| market.delta());
        number(&read(&server), "tickcast_merged_total{class=\"book\"}") >= 1.0
    });
    let text = read(&server);
    assert_eq!(number(&text, "tickcast_merged_total{class=\"trades\"}"), 0.0);
    assert_eq!(number(&text, "tickcast_dropped_total{class=\"book\"}"), 0.0);
}

/// Checks a text against the rules of OpenMetrics 1.0 that a scraper insists on.
fn check_exposition(text: &str) {
    let text = text.strip_suffix("# EOF\n").expect("the last line is the end");
    let (mut family, mut kind) = ("", "");
    let mut families = BTreeSet::new();
    let mut series: BTreeMap<&str, f64> = BTreeMap::new();
    for line in text.lines() {
        if let Some(about) = line.strip_prefix("# ") {
            let (what, rest) = about.split_once(' ').unwrap();
            let (name, value) = rest.split_once(' ').unwrap();
            match what {
                "HELP" => {
                    assert!(families.insert(name), "{name} comes twice");
                    assert!(value.len() > 10, "{line}");
                    family = name;
                }
                "TYPE" => {
                    assert!(family == name && ["counter", "gauge", "histogram"].contains(&value), "{line}");
                    kind = value;
                }
                _ => panic!("{line}"),
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(value.is_finite(), "{line}");
        assert!(series.insert(name, value).is_none(), "{name} comes twice");
        let (bare, labels) = name.split_once('{').unwrap_or((name, "}"));
        let suffix = bare.strip_prefix(family).unwrap_or_else(|| panic!("{bare} stands under {family}"));
        let fits: &[&str] = match kind {
            "counter" => &["_total"],
            "gauge" => &[""],
            _ => &["_bucket", "_sum", "_count"],
        };
        assert!(fits.contains(&suffix), "{line} is no {kind}");
        assert!(kind == "gauge" || value >= 0.0, "{line}");
        for label in labels.strip_suffix('}').unwrap().split(',').filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once("=\"").unwrap();
            assert!(label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
            assert!(value.strip_suffix('"').is_some_and(|value| !value.contains(['"', '\\'])), "{line}");
        }
    }
    for (name, count) in series.iter().filter(|(name, _)| name.contains("_count{")) {
        let (bare, labels) = name.split_once("_count{").unwrap();
        let of_it = format!("{bare}_bucket{{");
        let labels = labels.strip_suffix('}').unwrap();
        let edge = |name: &str| -> f64 {
            let edge = name.split("le=\"").nth(1).unwrap().split('"').next().unwrap();
            if edge == "+Inf" { f64::INFINITY } else { edge.parse().unwrap() }
        };
        let buckets = series.iter().filter(|(name, _)| name.starts_with(&of_it) && name.contains(labels));
        let mut buckets: Vec<_> = buckets.map(|(name, count)| (edge(name), *count)).collect();
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        assert!(buckets.is_sorted_by(|one, other| one.1 <= other.1), "{name}: {buckets:?}");
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, *count)), "{name}");
    }
}

#[test]
fn the_text_is_one_that_a_scraper_takes() {
    let server = Running::start(|_| {});
    check_exposition(&read(&server));
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    let mut client = Raw::connect(server.address);
    client.subscribe(&["trades:BTCUSDT"]);
    market.trade();
    client.hear();
    let text = read(&server);
    check_exposition(&text);
    assert!(text.lines().filter(|line| line.starts_with("# TYPE")).count() >= 20, "{text}");
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

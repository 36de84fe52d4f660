//! `PROTOCOL.md` promises only what the code does: its checksums, and its messages as a stream.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]
#![allow(clippy::print_stdout, reason = "what was left out, and what was measured, is said")]

mod support;

use serde_json::Value;
use support::client::Client;
use tickcast::coalesce::checksum;
use tickcast::market::{Decimal, Interval, Level, Price, Quantity};

/// The fenced blocks of the page whose first line is exactly `fence`.
fn blocks(fence: &str) -> Vec<Value> {
    let page = include_str!("../PROTOCOL.md");
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line == fence {
            let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            let block = block.join("\n");
            found.push(serde_json::from_str(&block).unwrap_or_else(|error| panic!("{error} in {block}")));
        }
    }
    found
}

fn levels(side: &Value) -> Vec<Level> {
    let text = |level: &Value, at: usize| level[at].as_str().unwrap().to_owned();
    let level = |level: &Value| Level {
        price: Price(text(level, 0).parse::<Decimal>().unwrap().mantissa()),
        quantity: Quantity::parse(text(level, 1).as_bytes()).unwrap(),
    };
    side.as_array().unwrap().iter().map(level).collect()
}

#[test]
fn every_checksum_on_the_page_is_the_codes() {
    let vectors = blocks("```json checksum");
    assert_eq!(vectors.len(), 5);
    for vector in vectors {
        let found = checksum(&levels(&vector["bids"]), &levels(&vector["asks"]));
        assert_eq!(vector["checksum"], found, "{vector}");
    }
}

#[test]
fn the_messages_on_the_page_follow_its_own_rules() {
    let mut client = Client::default();
    for message in blocks("```json stream") {
        client.hear(&message).unwrap_or_else(|broken| panic!("{broken}"));
    }
    assert_eq!(client.answers.len(), 2);
    assert_eq!(client.messages("book:BTCUSDT:20:100ms"), 4);
}

#[test]
fn every_interval_and_every_code_stands_on_the_page() {
    use tickcast::dialect::RefusalCode;
    let page = include_str!("../PROTOCOL.md");
    for interval in Interval::ALL {
        assert!(page.contains(interval.name()), "{interval}");
    }
    for code in RefusalCode::ALL {
        assert!(page.contains(&format!("| `{}` |", code.name())), "{}", code.name());
    }
}

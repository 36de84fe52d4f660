//! Holds what a server sends against the rules of the native dialect, as its own client would.
//!
//! It knows the page of rules alone, and nothing of how the engine works.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

/// Everything that one connection was told, as far as the rules need it.
#[derive(Debug, Default)]
pub(super) struct Checker {
    topics: HashMap<String, Held>,
    /// Messages that were checked.
    pub(super) messages: u64,
}

/// A topic's state.
#[derive(Debug, Default)]
struct Held {
    epoch: String,
    seq: u64,
    began: bool,
    /// A rule was broken: until the next snapshot nothing can be said, and is said.
    lost: bool,
    book: Book,
}

#[derive(Debug, Default)]
struct Book {
    bids: BTreeMap<i128, Level>,
    asks: BTreeMap<i128, Level>,
    good: bool,
    decimals: Option<usize>,
}

type Level = (String, String);
type Checked<T = ()> = Result<T, String>;

impl Checker {
    /// Hears one message; an error says which rule it breaks.
    pub(super) fn hear(&mut self, text: &[u8]) -> Checked {
        let message: Value = serde_json::from_slice(text).map_err(|error| format!("not JSON: {error}"))?;
        let kind = word(&message, "type")?;
        if matches!(kind, "ok" | "error") {
            return Ok(());
        }
        self.messages += 1;
        let topic = word(&message, "topic")?;
        let held = match self.topics.get_mut(topic) {
            Some(held) => held,
            None => self.topics.entry(topic.to_owned()).or_default(),
        };
        if held.lost && kind != "snapshot" {
            return Ok(());
        }
        let checked = held.hear(topic, kind, &message);
        held.lost = checked.is_err();
        checked.map_err(|broken| format!("{topic}: {broken} ({kind} {})", message["seq"]))
    }

    /// The newest number of each topic.
    pub(super) fn numbers(&self) -> impl Iterator<Item = (&str, u64)> {
        self.topics.iter().map(|(topic, held)| (topic.as_str(), held.seq))
    }
}

impl Held {
    fn hear(&mut self, topic: &str, kind: &str, message: &Value) -> Checked {
        let (epoch, seq) = (word(message, "epoch")?, number(message, "seq")?);
        let data = &message["data"];
        let anew = !self.began || self.epoch != epoch;
        let before = if anew { None } else { Some(self.seq) };
        let rises = || expect(before.is_none_or(|before| seq > before), "seq does not rise");
        let stays = || expect(before.is_none_or(|before| seq >= before), "seq went back");
        match (topic.split(':').next().unwrap_or_default(), kind) {
            ("book", "stale") => self.book.good = false,
            ("book", "snapshot") => {
                stays()?;
                self.book.replace(data, depth(topic))?;
            }
            ("book", "delta") => {
                expect(!anew, "a delta without a snapshot of its epoch")?;
                expect(number(message, "prevSeq")? == self.seq, "prevSeq is not the seq that is held")?;
                rises()?;
                self.book.change(data, depth(topic))?;
            }
            ("trades", "update") => {
                expect(before.is_none_or(|before| seq == before + 1), "seq has a hole")?;
            }
            (_, "update") => rises()?,
            (_, "snapshot") => stays()?,
            _ => return Err("the topic has no such messages".into()),
        }
        (self.seq, self.began) = (seq, true);
        if self.epoch != epoch {
            epoch.clone_into(&mut self.epoch);
        }
        Ok(())
    }
}

impl Book {
    fn replace(&mut self, data: &Value, depth: usize) -> Checked {
        *self = Book { good: true, ..Book::default() };
        for (side, name) in [(Side::Bid, "bids"), (Side::Ask, "asks")] {
            for (price, quantity) in levels(data, name)? {
                expect(!is_zero(quantity), "a snapshot with an empty level")?;
                self.set(side, price, quantity)?;
            }
        }
        self.check(data, depth)
    }

    fn change(&mut self, data: &Value, depth: usize) -> Checked {
        expect(self.good, "a delta for a stale book")?;
        for (side, name) in [(Side::Bid, "bids"), (Side::Ask, "asks")] {
            for (price, quantity) in levels(data, name)? {
                self.set(side, price, quantity)?;
            }
        }
        self.check(data, depth)
    }

    fn set(&mut self, side: Side, price: &str, quantity: &str) -> Checked {
        let decimals = price.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let known = *self.decimals.get_or_insert(decimals);
        expect(known == decimals, "prices with different numbers of decimals")?;
        let key = price.replace('.', "").parse().map_err(|_| format!("{price:?} is no price"))?;
        let levels = match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        };
        if is_zero(quantity) {
            levels.remove(&key).map(drop).ok_or_else(|| format!("{price} is removed and was not there"))
        } else {
            levels.insert(key, (price.to_owned(), quantity.to_owned()));
            Ok(())
        }
    }

    /// What holds after every message.
    fn check(&self, data: &Value, depth: usize) -> Checked {
        expect(self.bids.len().max(self.asks.len()) <= depth, "more levels than were asked for")?;
        let best = (self.bids.last_key_value(), self.asks.first_key_value());
        if let (Some((bid, _)), Some((ask, _))) = best {
            expect(bid < ask, "the book is crossed")?;
        }
        expect(number(data, "checksum")? == u64::from(self.checksum()), "the checksum is another")
    }

    /// Ten asks ascending, ten bids descending; of each the price and the quantity without the point
    /// and without leading zeros.
    fn checksum(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        for (price, quantity) in self.asks.values().take(10).chain(self.bids.values().rev().take(10)) {
            for text in [price, quantity] {
                hasher.update(text.replace('.', "").trim_start_matches('0').as_bytes());
            }
        }
        hasher.finalize()
    }
}

#[derive(Clone, Copy, Debug)]
enum Side {
    Bid,
    Ask,
}

/// How many levels a side a book topic may hold; read from the right, as names are.
fn depth(topic: &str) -> usize {
    let mut parts = topic.rsplit(':');
    match (parts.next(), parts.next()) {
        (Some("raw" | "100ms" | "1000ms"), Some(depth)) => depth.parse().unwrap_or(usize::MAX),
        _ => usize::MAX,
    }
}

fn levels<'a>(data: &'a Value, side: &str) -> Checked<Vec<(&'a str, &'a str)>> {
    let level = |level: &'a Value| match level.as_array().map(Vec::as_slice) {
        Some([Value::String(price), Value::String(quantity)]) => Ok((price.as_str(), quantity.as_str())),
        _ => Err(format!("a level is [\"price\",\"quantity\"], not {level}")),
    };
    data[side].as_array().ok_or_else(|| format!("no {side}"))?.iter().map(level).collect()
}

fn is_zero(quantity: &str) -> bool {
    quantity.bytes().all(|byte| matches!(byte, b'0' | b'.'))
}

fn word<'a>(value: &'a Value, field: &str) -> Checked<&'a str> {
    value[field].as_str().ok_or_else(|| format!("no text {field:?}"))
}

fn number(value: &Value, field: &str) -> Checked<u64> {
    value[field].as_u64().ok_or_else(|| format!("no whole number {field:?}"))
}

fn expect(holds: bool, broken: &str) -> Checked {
    if holds { Ok(()) } else { Err(broken.to_owned()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TOPIC: &str = "book:A:5:100ms";

    /// A book message whose checksum covers `covered`: prices and quantities without points.
    fn book(kind: &str, seq: u64, previous: u64, bids: Value, asks: Value, covered: &str) -> Value {
        let checksum = crc32fast::hash(covered.as_bytes());
        json!({"type": kind, "topic": TOPIC, "epoch": "e", "seq": seq, "prevSeq": previous, "ts": 1,
            "data": {"bids": bids, "asks": asks, "checksum": checksum}})
    }

    fn snapshot(seq: u64) -> Value {
        book("snapshot", seq, 0, json!([["1.0", "2.5"]]), json!([["1.1", "3"]]), "1131025")
    }

    #[track_caller]
    fn check(messages: &[Value], broken: &str) {
        let mut checker = Checker::default();
        let (last, before) = messages.split_last().unwrap();
        for message in before {
            checker.hear(message.to_string().as_bytes()).unwrap();
        }
        let heard = checker.hear(last.to_string().as_bytes());
        if broken.is_empty() {
            heard.unwrap();
        } else {
            let error = heard.unwrap_err();
            assert!(error.contains(broken), "{error}");
        }
    }

    #[test]
    fn a_book_that_follows_the_rules_passes() {
        let delta = book("delta", 9, 4, json!([["0.9", "1"], ["1.0", "0"]]), json!([]), "11391");
        check(&[snapshot(4), delta, snapshot(9)], "");
        check(&[snapshot(4), json!({"type": "stale", "topic": TOPIC, "epoch": "e", "seq": 4})], "");
        check(&[json!({"type": "ok", "id": 1, "topics": [TOPIC]})], "");
    }

    #[test]
    fn each_broken_rule_of_a_book_is_named() {
        let empty = || json!([]);
        check(&[book("delta", 2, 1, empty(), empty(), "")], "without a snapshot");
        check(&[snapshot(4), book("delta", 6, 5, empty(), empty(), "1131025")], "prevSeq");
        check(&[snapshot(4), book("delta", 4, 4, empty(), empty(), "1131025")], "does not rise");
        check(&[snapshot(4), book("delta", 5, 4, empty(), empty(), "other")], "checksum");
        check(&[snapshot(4), book("delta", 5, 4, json!([["7.0", "0"]]), empty(), "")], "was not there");
        check(&[snapshot(4), book("delta", 5, 4, json!([["2.0", "1"]]), empty(), "")], "crossed");
        let many = json!([["1", "1"], ["2", "1"], ["3", "1"], ["4", "1"], ["5", "1"], ["6", "1"]]);
        check(&[book("snapshot", 1, 0, many, empty(), "")], "more levels");
        let stale = json!({"type": "stale", "topic": TOPIC, "epoch": "e", "seq": 4});
        check(&[snapshot(4), stale, book("delta", 5, 4, empty(), empty(), "1131025")], "stale");
    }

    #[test]
    fn a_broken_topic_is_told_once_until_its_next_snapshot() {
        let mut checker = Checker::default();
        let mut hear = |message: Value| checker.hear(message.to_string().as_bytes()).is_err();
        let hole = |seq| book("delta", seq, seq - 1, json!([]), json!([]), "1131025");
        assert!(!hear(snapshot(4)));
        assert!(hear(hole(9)));
        assert!(!hear(hole(12)));
        assert!(!hear(snapshot(20)));
        assert!(hear(hole(30)));
        assert_eq!((checker.messages, checker.numbers().collect::<Vec<_>>()), (5, vec![(TOPIC, 20)]));
    }

    #[test]
    fn trades_have_no_holes_and_bars_and_tickers_rise() {
        let update =
            |topic: &str, seq: u64| json!({"type": "update", "topic": topic, "epoch": "e", "seq": seq});
        check(&[update("trades:A", 7), update("trades:A", 8)], "");
        check(&[update("trades:A", 7), update("trades:A", 9)], "hole");
        check(&[update("ticker:A", 7), update("ticker:A", 9)], "");
        check(&[update("kline:A:1m", 7), update("kline:A:1m", 7)], "does not rise");
    }
}

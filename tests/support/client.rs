//! A client of the native dialect that follows its written rules (`PROTOCOL.md`) and knows nothing
//! of the server's code. Whatever breaks a rule is an error that says which.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

/// Everything that one connection holds.
#[derive(Debug, Default)]
pub struct Client {
    topics: HashMap<String, Held>,
    /// Answers to requests, in order.
    pub answers: Vec<Value>,
}

/// What is held of one topic.
#[derive(Debug, Default)]
struct Held {
    epoch: String,
    seq: u64,
    messages: u64,
    book: Book,
    bars: Bars,
    tickers: BTreeMap<String, Value>,
}

/// A book as its messages made it.
#[derive(Debug, Default)]
pub struct Book {
    bids: BTreeMap<i128, (String, String)>,
    asks: BTreeMap<i128, (String, String)>,
    /// Whether there is a picture that may be trusted.
    pub good: bool,
    told_stale: bool,
    decimals: Option<usize>,
    last_update_id: u64,
}

#[derive(Debug, Default)]
struct Bars {
    open: Option<u64>,
    closed: Option<u64>,
}

type Checked = Result<(), String>;

impl Client {
    /// Hears one message as it came over the wire.
    pub fn hear_text(&mut self, text: &[u8]) -> Checked {
        let message = serde_json::from_slice(text)
            .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(text)))?;
        self.hear(&message)
    }

    /// Hears one message.
    pub fn hear(&mut self, message: &Value) -> Checked {
        let kind = text(message, "type")?;
        if matches!(kind, "ok" | "error") {
            self.answers.push(message.clone());
            return Ok(());
        }
        let topic = text(message, "topic")?;
        let held = match self.topics.get_mut(topic) {
            Some(held) => held,
            None => self.topics.entry(topic.to_owned()).or_default(),
        };
        held.hear(topic, kind, message).map_err(|broken| format!("{topic}: {broken}; message {message}"))
    }

    /// The book of a topic, by its canonical name.
    pub fn book(&self, topic: &str) -> Option<&Book> {
        self.topics.get(topic).map(|held| &held.book)
    }

    /// Where it stands in a topic, as `since` wants it.
    pub fn since(&self, topic: &str) -> Option<(String, u64)> {
        self.topics.get(topic).map(|held| (held.epoch.clone(), held.seq))
    }

    /// Leaves a topic for good: what comes next is not held against what was.
    pub fn forget(&mut self, topic: &str) {
        self.topics.remove(topic);
    }

    /// How many messages came of a topic.
    pub fn messages(&self, topic: &str) -> u64 {
        self.topics.get(topic).map_or(0, |held| held.messages)
    }

    /// What it holds of the statistics of `symbol` under `topic`.
    pub fn ticker(&self, topic: &str, symbol: &str) -> Option<&Value> {
        self.topics.get(topic)?.tickers.get(symbol)
    }
}

impl Held {
    fn hear(&mut self, topic: &str, kind: &str, message: &Value) -> Checked {
        self.messages += 1;
        let (epoch, seq) = (text(message, "epoch")?, number(message, "seq")?);
        number(message, "ts")?;
        let data = message.get("data").unwrap_or(&Value::Null);
        let anew = self.messages == 1 || epoch != self.epoch;
        let before = if anew { None } else { Some(self.seq) };
        let subject = topic.split(':').next().unwrap_or_default();
        match (subject, kind) {
            ("book", "stale") => self.book.stale()?,
            ("book", "snapshot") => {
                expect(before.is_none_or(|before| seq >= before), "a snapshot's seq went back")?;
                self.book.replace(data, depth(topic))?;
            }
            ("book", "delta") => {
                expect(!anew, "a delta without a snapshot of its epoch")?;
                expect(number(message, "prevSeq")? == self.seq, "prevSeq is not the seq that is held")?;
                expect(seq > self.seq, "a delta's seq does not rise")?;
                self.book.change(data, depth(topic))?;
            }
            ("trades", "update") => {
                expect(before.is_none_or(|before| seq == before + 1), "the trades' seq has a hole")?;
                text(data, "price")
                    .and_then(|_| text(data, "quantity"))
                    .and_then(|_| number(data, "time"))?;
            }
            ("trades", "snapshot") => {
                expect(
                    message["recovered"] == false,
                    "trades begin with a snapshot only when not recovered",
                )?;
                expect(data.is_array(), "a snapshot of trades is an array")?;
            }
            ("kline", "snapshot" | "update") => {
                let rises = if kind == "update" { before < Some(seq) } else { before <= Some(seq) };
                expect(rises, "a bar's seq does not rise")?;
                self.bars.hear(kind, message, data)?;
            }
            ("ticker", "snapshot" | "update") => {
                let rises = if kind == "update" { before < Some(seq) } else { before <= Some(seq) };
                expect(rises, "a ticker's seq does not rise")?;
                self.tickers(topic, kind, data)?;
            }
            _ => return Err(format!("no {kind} belongs to this topic")),
        }
        (self.epoch, self.seq) = (epoch.to_owned(), seq);
        Ok(())
    }

    fn tickers(&mut self, topic: &str, kind: &str, data: &Value) -> Checked {
        let all = topic == "ticker:*";
        let list = match data {
            Value::Array(list) if all => list.as_slice(),
            one if !all => std::slice::from_ref(one),
            Value::Array(_)
            | Value::Object(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_) => {
                return Err("ticker:* carries an array, and nothing else does".into());
            }
        };
        for one in list {
            let symbol = text(one, "symbol")?;
            let before = self.tickers.insert(symbol.to_owned(), one.clone());
            let (Some(before), "update") = (before, kind) else { continue };
            expect(number(&before, "time")? <= number(one, "time")?, "a ticker's time went back")?;
            expect(!all || before != *one, "ticker:* told a ticker that did not change")?;
        }
        Ok(())
    }
}

impl Book {
    /// Bids, best first, as price and quantity text.
    pub fn bids(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.bids.values().rev().map(|(price, quantity)| (&**price, &**quantity))
    }

    /// Asks, best first.
    pub fn asks(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.asks.values().map(|(price, quantity)| (&**price, &**quantity))
    }

    /// The venue's number of the newest update in it.
    pub fn last_update_id(&self) -> u64 {
        self.last_update_id
    }

    fn stale(&mut self) -> Checked {
        expect(!self.told_stale, "stale was told twice")?;
        (self.good, self.told_stale) = (false, true);
        Ok(())
    }

    fn replace(&mut self, data: &Value, depth: usize) -> Checked {
        self.bids.clear();
        self.asks.clear();
        self.decimals = None;
        for (price, quantity) in levels(data, "bids")? {
            let key = self.key(price)?;
            expect(!is_zero(quantity), "a snapshot with an empty level")?;
            expect(
                self.bids.first_key_value().is_none_or(|(&worst, _)| key < worst),
                "bids are not best first",
            )?;
            self.bids.insert(key, (price.to_owned(), quantity.to_owned()));
        }
        for (price, quantity) in levels(data, "asks")? {
            let key = self.key(price)?;
            expect(!is_zero(quantity), "a snapshot with an empty level")?;
            expect(
                self.asks.last_key_value().is_none_or(|(&worst, _)| key > worst),
                "asks are not best first",
            )?;
            self.asks.insert(key, (price.to_owned(), quantity.to_owned()));
        }
        (self.good, self.told_stale) = (true, false);
        self.check(data, depth)
    }

    fn change(&mut self, data: &Value, depth: usize) -> Checked {
        expect(self.good, "a delta for a stale book")?;
        // Not always above: the first diff of futures may end where the snapshot did.
        expect(number(data, "lastUpdateId")? >= self.last_update_id, "lastUpdateId went back")?;
        for (side, name) in [(true, "bids"), (false, "asks")] {
            for (price, quantity) in levels(data, name)? {
                let key = self.key(price)?;
                let levels = if side { &mut self.bids } else { &mut self.asks };
                if is_zero(quantity) {
                    expect(levels.remove(&key).is_some(), "a level is removed that is not there")?;
                } else {
                    let level = (price.to_owned(), quantity.to_owned());
                    expect(
                        levels.insert(key, level.clone()) != Some(level),
                        "a level is told that did not change",
                    )?;
                }
            }
        }
        self.check(data, depth)
    }

    /// What holds after every message.
    fn check(&mut self, data: &Value, depth: usize) -> Checked {
        let (first, last) = (number(data, "firstUpdateId")?, number(data, "lastUpdateId")?);
        expect(first <= last, "firstUpdateId is above lastUpdateId")?;
        expect(data["time"].is_i64(), "no time")?;
        self.last_update_id = last;
        expect(self.bids.len().max(self.asks.len()) <= depth, "more levels than were asked for")?;
        let best = (self.bids.last_key_value(), self.asks.first_key_value());
        if let (Some((bid, _)), Some((ask, _))) = best {
            expect(bid < ask, "the book is crossed")?;
        }
        expect(number(data, "checksum")? == u64::from(self.checksum()), "the checksum is another")
    }

    /// The rule of the page: ten asks ascending, ten bids descending, of each price and quantity
    /// without the point and without leading zeros.
    pub fn checksum(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        for (price, quantity) in self.asks().take(10).chain(self.bids().take(10)) {
            for number in [price, quantity] {
                hasher.update(number.replace('.', "").trim_start_matches('0').as_bytes());
            }
        }
        hasher.finalize()
    }

    /// A price as a number to sort by. All prices of a book have the same number of decimals.
    fn key(&mut self, price: &str) -> Result<i128, String> {
        let decimals = price.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let known = *self.decimals.get_or_insert(decimals);
        expect(known == decimals, "prices with different numbers of decimals")?;
        price.replace('.', "").parse().map_err(|_| format!("{price:?} is no price"))
    }
}

impl Bars {
    fn hear(&mut self, kind: &str, message: &Value, bar: &Value) -> Checked {
        let (opens, ends) = (number(bar, "openTime")?, number(bar, "closeTime")?);
        expect(opens < ends, "a bar without length")?;
        let closed = bar["closed"].as_bool().ok_or("no closed")?;
        if message.get("correction").is_some() {
            expect(closed, "only a closed bar is corrected")?;
            return expect(self.open.is_none_or(|open| opens <= open), "a correction of a bar to come");
        }
        expect(self.closed.is_none_or(|closed| opens > closed), "a bar was told after it closed")?;
        let skipped = message.get("recovered").is_some_and(|recovered| recovered == false);
        if let Some(open) = self.open {
            expect(opens >= open, "open times went back")?;
            expect(opens == open || skipped, "the next bar began before this one was closed")?;
        }
        self.open = Some(opens);
        if closed {
            expect(kind == "update", "a closed bar is an update")?;
            (self.closed, self.open) = (Some(opens), None);
        }
        Ok(())
    }
}

/// How many levels a side a book topic may hold; read from the right, as names are.
fn depth(topic: &str) -> usize {
    let parts: Vec<_> = topic.rsplit(':').collect();
    let known = |speed: &str| matches!(speed, "raw" | "100ms" | "1000ms");
    match parts[..] {
        [speed, depth, ..] if known(speed) => depth.parse().unwrap_or(usize::MAX),
        _ => usize::MAX,
    }
}

fn levels<'a>(
    data: &'a Value,
    side: &str,
) -> Result<impl DoubleEndedIterator<Item = (&'a str, &'a str)> + use<'a>, String> {
    let list = data[side].as_array().ok_or_else(|| format!("no {side}"))?;
    let level = |level: &'a Value| match level.as_array().map(Vec::as_slice) {
        Some([Value::String(price), Value::String(quantity)]) => Ok((&**price, &**quantity)),
        _ => Err(format!("a level is [\"price\",\"quantity\"], not {level}")),
    };
    Ok(list.iter().map(level).collect::<Result<Vec<_>, _>>()?.into_iter())
}

fn is_zero(quantity: &str) -> bool {
    quantity.bytes().all(|byte| matches!(byte, b'0' | b'.'))
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, String> {
    value[field].as_str().ok_or_else(|| format!("no text {field:?} in {value}"))
}

fn number(value: &Value, field: &str) -> Result<u64, String> {
    value[field].as_u64().ok_or_else(|| format!("no whole number {field:?} in {value}"))
}

fn expect(holds: bool, broken: &str) -> Checked {
    if holds { Ok(()) } else { Err(broken.to_owned()) }
}

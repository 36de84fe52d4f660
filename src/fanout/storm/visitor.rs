//! A client in a storm: it follows the written rules, reads at its own pace, and holds every message
//! against what was true.

use std::collections::BTreeMap;
use std::rc::Rc;

use fastrand::Rng;
use flate2::{Decompress, FlushDecompress};
use serde_json::{Value, json};

use super::pipe::Pipe;
use super::rules::Client;
use super::truth::{Truth, of_all};
use crate::encode::Opcode;
use crate::fanout::connection::Connection;
use crate::market::Millis;
use crate::session::{Closing, Progress};

/// One client. Its connection may end and be replaced; what it holds stays.
#[derive(Default)]
pub(super) struct Visitor {
    pub(super) line: Option<Line>,
    rules: Client,
    topics: BTreeMap<String, Topic>,
    /// Of tickers and bars, the newest words.
    words: BTreeMap<String, Value>,
    pace: Pace,
    /// When it had last read all that was there for it, and the longest time on this connection that it
    /// had not.
    read_all: Millis,
    behind: Millis,
    pub(super) messages: u64,
    pub(super) closed: BTreeMap<u16, u64>,
}

/// A connection, from both sides.
pub(super) struct Line {
    pub(super) worker: u16,
    pub(super) pipe: Pipe,
    pub(super) connection: Rc<Connection>,
    buffer: Vec<u8>,
    /// Requests without an answer yet.
    asked: u32,
    is_closing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Topic {
    /// Subscribing was asked for.
    Asked,
    /// That was granted.
    Granted,
    /// Unsubscribing was asked for.
    Leaving,
    /// The connection on which it was subscribed has gone.
    Away,
}

/// How it reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pace {
    #[default]
    Eager,
    Trickling,
    /// Not at all before this time.
    Stopped(Millis),
}

impl Visitor {
    pub(super) fn connect(&mut self, worker: u16, pipe: Pipe, connection: Rc<Connection>, now: Millis) {
        let line = Line { worker, pipe, connection, buffer: Vec::new(), asked: 0, is_closing: false };
        self.line = Some(line);
        (self.read_all, self.behind) = (now, 0);
    }

    /// Does one thing that a client may do.
    pub(super) fn act(&mut self, now: Millis, random: &mut Rng) {
        match random.u8(0..40) {
            0..6 => self.subscribe(random),
            6..8 => self.unsubscribe(random),
            8..10 => self.ping(),
            10..11 => self.say(Opcode::Ping, b"are you there?"),
            11..14 => self.pace = Pace::Eager,
            14..18 => self.pace = Pace::Trickling,
            18..20 => self.pace = Pace::Stopped(now + random.i64(1..600)),
            20 if random.u8(0..8) == 0 => self.pace = Pace::Stopped(now + random.i64(1..20_000)),
            21 if random.u8(0..4) == 0 => self.leave(),
            22 if random.u8(0..4) == 0 => self.vanish(),
            23 if random.u8(0..8) == 0 => {
                self.line.iter().for_each(|line| line.pipe.end());
                self.gone();
            }
            _ => {}
        }
    }

    pub(super) fn ping(&mut self) {
        self.ask(&json!({"op": "ping"}));
    }

    pub(super) fn hurry(&mut self) {
        self.pace = Pace::Eager;
    }

    /// Subscribes to some topics, going on from where it was where it holds something.
    fn subscribe(&mut self, random: &mut Rng) {
        let is_free = |name: &&str| matches!(self.topics.get(*name), None | Some(Topic::Away));
        let free = TOPICS.iter().copied().filter(is_free);
        let chosen = random.choose_multiple(free, 4);
        let mut since = serde_json::Map::new();
        for &name in &chosen {
            let holds =
                |_: &_| !name.starts_with("book:") || self.rules.book(name).is_some_and(|book| book.good);
            match self.rules.since(name).filter(holds).filter(|_| random.u8(0..4) > 0) {
                Some((epoch, seq)) => {
                    since.insert(name.to_owned(), json!({"epoch": epoch, "seq": seq}));
                }
                None => self.forget(name),
            }
            self.topics.insert(name.to_owned(), Topic::Asked);
        }
        if !chosen.is_empty() {
            self.ask(&json!({"op": "subscribe", "topics": chosen, "since": since}));
        }
    }

    fn unsubscribe(&mut self, random: &mut Rng) {
        let granted = self.topics.iter_mut().filter(|(_, topic)| **topic == Topic::Granted);
        let chosen = random.choose_multiple(granted, 3);
        let leave = |(name, topic): (&String, &mut Topic)| {
            *topic = Topic::Leaving;
            name.clone()
        };
        let names: Vec<_> = chosen.into_iter().map(leave).collect();
        if !names.is_empty() {
            self.ask(&json!({"op": "unsubscribe", "topics": names}));
        }
    }

    fn ask(&mut self, request: &Value) {
        if let Some(line) = &mut self.line {
            line.asked += 1;
        }
        self.say(Opcode::Text, request.to_string().as_bytes());
    }

    fn say(&mut self, opcode: Opcode, payload: &[u8]) {
        let Some(line) = self.line.as_mut().filter(|line| !line.is_closing) else { return };
        line.is_closing = opcode == Opcode::Close;
        line.pipe.say(&masked(opcode, payload));
    }

    /// Says goodbye.
    pub(super) fn leave(&mut self) {
        self.say(Opcode::Close, &1000_u16.to_be_bytes());
    }

    /// Is gone from one moment to the next.
    pub(super) fn vanish(&mut self) {
        self.line.iter().for_each(|line| line.pipe.reset());
        self.gone();
    }

    fn gone(&mut self) {
        self.line = None;
        self.topics.retain(|_, topic| *topic == Topic::Granted || *topic == Topic::Away);
        self.topics.values_mut().for_each(|topic| *topic = Topic::Away);
    }

    fn forget(&mut self, name: &str) {
        self.rules.forget(name);
        self.words.retain(|known, _| known != name && !(name == "ticker:*" && known.starts_with(name)));
    }

    /// Reads as its pace allows, and looks at each message.
    pub(super) fn read(&mut self, now: Millis, truth: &Truth, random: &mut Rng) {
        if let Pace::Stopped(until) = self.pace
            && until <= now
        {
            self.pace = Pace::Eager;
        }
        let most = match self.pace {
            Pace::Eager => usize::MAX,
            Pace::Trickling => random.usize(0..300),
            Pace::Stopped(_) => return,
        };
        let Some(line) = &mut self.line else { return };
        self.behind = self.behind.max(now - self.read_all);
        if line.pipe.take(most, &mut line.buffer) < most {
            self.read_all = now;
        }
        while let Some((opcode, payload)) = self.line.as_mut().and_then(Line::next) {
            match opcode {
                Opcode::Text => self.hear(&payload, truth),
                Opcode::Ping => self.say(Opcode::Pong, &payload),
                Opcode::Pong => assert_eq!(payload, b"are you there?"),
                Opcode::Close => self.closed(&payload),
                Opcode::Binary | Opcode::Continuation => panic!("no {opcode:?} is ever sent"),
            }
        }
        if self.line.as_ref().is_some_and(Line::is_over) {
            self.line.iter().for_each(|line| line.pipe.end());
            self.gone();
        }
    }

    fn hear(&mut self, text: &[u8], truth: &Truth) {
        let message: Value = serde_json::from_slice(text).unwrap();
        self.messages += 1;
        if let Some(op) = message["op"].as_str() {
            assert_eq!(message["type"], "ok", "{message}");
            self.answered(op, &message);
            return;
        }
        let name = message["topic"].as_str().unwrap_or_else(|| panic!("{message}"));
        let progress = self.topics.get(name);
        assert!(
            matches!(progress, Some(Topic::Granted | Topic::Leaving)),
            "{name}: {progress:?}, and yet heard {message}"
        );
        if self.is_told_again(name, &message) {
            self.rules.forget(name);
        }
        self.rules.hear(&message).unwrap_or_else(|broken| panic!("{broken}"));
        truth.check(&message, self.rules.book(name));
        if name == "ticker:*" {
            for ticker in message["data"].as_array().unwrap() {
                self.words.insert(of_all(ticker), ticker.clone());
            }
        } else if name.starts_with("ticker:") {
            self.words.insert(name.to_owned(), message["data"].clone());
        }
    }

    /// Whether it is something that only those hear who fell behind: all tickers, also those that have not
    /// changed; that a book is stale again, which was good in between; a beginning for which there was
    /// no room, told once there was.
    fn is_told_again(&self, name: &str, message: &Value) -> bool {
        let held = self.rules.since(name).map(|(_, seq)| seq);
        let is_bad = self.rules.book(name).is_some_and(|book| !book.good);
        match name.split(':').next() {
            Some("book") => message["type"] == "stale" && is_bad,
            Some("ticker") => name == "ticker:*" || held == message["seq"].as_u64(),
            Some(_) | None => false,
        }
    }

    fn answered(&mut self, op: &str, message: &Value) {
        if let Some(line) = &mut self.line {
            line.asked -= 1;
        }
        let names = message["topics"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap());
        for name in names.map(str::to_owned) {
            match op {
                "subscribe" => {
                    assert_eq!(self.topics.insert(name, Topic::Granted), Some(Topic::Asked));
                }
                "unsubscribe" => {
                    assert_eq!(self.topics.remove(&name), Some(Topic::Leaving));
                    self.forget(&name);
                }
                _ => panic!("{message}"),
            }
        }
    }

    /// The server has closed: for a reason that the client has given it.
    fn closed(&mut self, payload: &[u8]) {
        let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
        let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned();
        *self.closed.entry(code).or_default() += 1;
        match code {
            1000 => assert!(self.line.as_ref().is_some_and(|line| line.is_closing)),
            1001 => assert!(self.behind >= LEAST_SILENCE, "it was behind for {} ms at most", self.behind),
            4008 => {
                let lossless = |(name, topic): (&String, &Topic)| {
                    *topic != Topic::Away
                        && (name.starts_with("trades:") || name.starts_with("kline:"))
                        && reason.contains(name.as_str())
                };
                assert!(self.topics.iter().any(lossless), "{reason}");
            }
            _ => panic!("closed with {code}: {reason}"),
        }
        self.say(Opcode::Close, payload);
    }

    /// Where nothing is on its way to it any more, it holds what is newest.
    pub(super) fn check_newest(&self, truth: &Truth, answered: impl Fn(u16, u64, &str) -> u64) -> bool {
        let Some(line) = self.line.as_ref().filter(|line| line.is_quiet()) else { return false };
        for name in self.topics.iter().filter(|(_, topic)| **topic == Topic::Granted).map(|(name, _)| name) {
            let held = self.rules.since(name);
            let since = answered(line.worker, line.connection.id, name);
            truth.check_newest(name, since, held.as_ref(), self.rules.book(name));
        }
        for (name, held) in &self.words {
            let topic = name.split_once('/').map_or(&**name, |(all, _)| all);
            if self.topics.get(topic) == Some(&Topic::Granted) {
                truth.check_words(name, held);
            }
        }
        true
    }
}

impl Line {
    /// The next frame that has come wholly.
    fn next(&mut self) -> Option<(Opcode, Vec<u8>)> {
        let (first, second) = (*self.buffer.first()?, *self.buffer.get(1)?);
        assert_eq!((first & 0xb0, second & 0x80), (0x80, 0), "whole frames, and no masks");
        let (start, length) = match second {
            126 => (4, usize::from(u16::from_be_bytes(*self.buffer.get(2..)?.first_chunk()?))),
            127 => panic!("nothing is that long"),
            short => (2, usize::from(short)),
        };
        let payload = self.buffer.get(start..start + length)?.to_vec();
        self.buffer.drain(..start + length);
        let opcode = Opcode::from_bits(first & 0x0f).unwrap();
        Some((opcode, if first & 0x40 == 0 { payload } else { inflated(payload) }))
    }

    /// Whether the server has ended it, and all before that was read.
    fn is_over(&self) -> bool {
        self.pipe.is_over() || (self.connection.is_over() && self.pipe.is_read())
    }

    /// Whether nothing is on its way in either direction, and nothing waits.
    fn is_quiet(&self) -> bool {
        let connection = &self.connection;
        self.buffer.is_empty()
            && self.asked == 0
            && !self.is_closing
            && self.pipe.is_empty()
            && connection.outbox().is_empty()
            && connection.closing() == Closing::Open
            && connection.subscriptions.borrow().iter().all(|(_, progress)| progress == Progress::Live)
    }
}

/// A client's frame.
fn masked(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let length = u16::try_from(payload.len()).unwrap();
    let mut frame = vec![0x80 | opcode as u8];
    match u8::try_from(length) {
        Ok(short) if short < 126 => frame.push(0x80 | short),
        Ok(_) | Err(_) => {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend(key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

fn inflated(mut payload: Vec<u8>) -> Vec<u8> {
    payload.extend([0, 0, 0xff, 0xff]);
    let mut out = Vec::with_capacity(64 << 10);
    Decompress::new(false).decompress_vec(&payload, &mut out, FlushDecompress::Sync).unwrap();
    assert!(out.len() < out.capacity());
    out
}

/// All topics that are asked for.
pub(super) const TOPICS: [&str; 18] = [
    "book:BTCUSDT",
    "book:BTCUSDT:5:raw",
    "book:BTCUSDT:10:100ms",
    "book:BTCUSDT:full:1000ms",
    "book:BTCUSDT:1:raw",
    "book:ETHUSDT",
    "book:ETHUSDT:20:100ms",
    "book:ETHUSDT:full:100ms",
    "ticker:BTCUSDT",
    "ticker:BTCUSDT:raw",
    "ticker:ETHUSDT:100ms",
    "ticker:*",
    "trades:BTCUSDT",
    "trades:ETHUSDT",
    "kline:BTCUSDT:1m",
    "kline:BTCUSDT:5m",
    "kline:ETHUSDT:1m",
    "kline:ETHUSDT:3m",
];

/// Where a pong came too late, the client took half of its time to come to the ping, or the server took
/// the other half to come to the pong, and the client heard nothing meanwhile.
const LEAST_SILENCE: Millis = 1_000;

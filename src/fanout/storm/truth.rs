//! What was true at each message: every book at every number, and what was said last of all else.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};
use serde_json::Value;

use super::rules::Book;
use crate::market::{Level, Side, Topic};
use crate::shard::{Broadcast, Joined, Outlet, Shard};

/// Everything that the shard has said, and the books that it had when it said it.
#[derive(Default)]
pub(super) struct Truth {
    /// By topic, epoch and number.
    books: FxHashMap<(String, String, u64), u64>,
    /// When something was said of a topic: the last time, by its words.
    words: FxHashMap<(String, u64), u64>,
    /// What everybody who listens has been told last, by topic.
    last: FxHashMap<String, Last>,
    said: u64,
}

#[derive(Clone, Debug)]
struct Last {
    epoch: String,
    seq: u64,
    is_stale: bool,
    at: u64,
}

/// What a shard has said in one call.
#[derive(Default)]
pub(super) struct Said(pub(super) Vec<Saying>);

pub(super) enum Saying {
    Broadcast(u16, Broadcast),
    Joined(u16, Joined),
}

impl Outlet for Said {
    fn broadcast(&mut self, worker: u16, mut broadcast: Broadcast) {
        broadcast.frame = broadcast.frame.shared_deflated();
        self.0.push(Saying::Broadcast(worker, broadcast));
    }

    fn joined(&mut self, worker: u16, joined: Joined) {
        self.0.push(Saying::Joined(worker, joined));
    }
}

impl Truth {
    /// Takes note of what was said in one call of the shard.
    pub(super) fn note(&mut self, said: &[Saying], shard: &mut Shard) {
        let mut noted = None;
        for saying in said {
            match saying {
                Saying::Broadcast(_, broadcast) => {
                    // The same frame goes to each worker.
                    let bytes = broadcast.frame.bytes().as_ptr();
                    if noted.replace(bytes) != Some(bytes) {
                        self.note_one(broadcast.channel.topic, broadcast.frame.payload(), true, shard);
                    }
                }
                Saying::Joined(_, joined) => {
                    let topic = joined.channel.topic;
                    joined.frames.iter().for_each(|one| self.note_one(topic, one.payload(), false, shard));
                }
            }
        }
    }

    fn note_one(&mut self, topic: Topic, payload: &[u8], to_all: bool, shard: &mut Shard) {
        let message: Value = serde_json::from_slice(payload).unwrap();
        let (name, epoch, seq, kind) = parts(&message);
        self.said += 1;
        let (at, is_stale) = (self.said, kind == "stale");
        match topic {
            Topic::Book { .. } if is_stale => {}
            Topic::Book { .. } => {
                let key = (name.to_owned(), epoch.to_owned(), seq);
                self.books.entry(key).or_insert_with(|| live(topic, shard));
            }
            Topic::Tickers => {
                for ticker in message["data"].as_array().unwrap() {
                    self.words.insert((of_all(ticker), words(ticker)), at);
                    if to_all {
                        let last = Last { epoch: epoch.to_owned(), seq, is_stale, at };
                        self.last.insert(of_all(ticker), last);
                    }
                }
            }
            Topic::Ticker { .. } | Topic::Trades { .. } | Topic::Kline { .. } => {
                self.words.insert((name.to_owned(), words(&message["data"])), at);
            }
            Topic::Room(_) | Topic::Account(_) => unreachable!("nobody asks for one"),
        }
        // A joiner of a book is told the picture that all hold, or begins it.
        if to_all || matches!(topic, Topic::Book { .. }) {
            self.last.insert(name.to_owned(), Last { epoch: epoch.to_owned(), seq, is_stale, at });
        }
    }

    /// How many things were said so far.
    pub(super) const fn said(&self) -> u64 {
        self.said
    }

    /// What a client has just been told was said so, and the book that it holds now was the true one
    /// at that number.
    pub(super) fn check(&self, message: &Value, book: Option<&Book>) {
        let (name, epoch, seq, kind) = parts(message);
        if name.starts_with("book:") {
            if kind != "stale" {
                let true_one = self.books.get(&(name.to_owned(), epoch.to_owned(), seq));
                assert_eq!(book.map(held), true_one.copied(), "{name}: not the book of {epoch} {seq}");
            }
        } else if name != "ticker:*" {
            let key = (name.to_owned(), words(&message["data"]));
            assert!(self.words.contains_key(&key), "never said: {message}");
        }
    }

    /// A client for which nothing is on its way is where everybody is; `since` is when its
    /// subscription was answered.
    pub(super) fn check_newest(
        &self,
        name: &str,
        since: u64,
        held: Option<&(String, u64)>,
        book: Option<&Book>,
    ) {
        let Some(last) = self.last.get(name) else { return };
        let Some((epoch, seq)) = held else {
            return assert!(last.at <= since, "{name}: {last:?} was said, and is held by all but one");
        };
        if let Some(book) = book.filter(|_| name.starts_with("book:")) {
            assert_eq!(book.good, !last.is_stale, "{name}: {last:?}");
            if last.is_stale {
                // Who comes while it is so may be told under the number with which it will go on.
                return;
            }
        }
        let is_newest = (epoch, *seq) == (&last.epoch, last.seq);
        // A ticker or a bar that was told to one alone may be newer than what all were told.
        let is_newer = !name.starts_with("book:") && *epoch == last.epoch && *seq > last.seq;
        assert!(is_newest || is_newer, "{name}: {last:?}, but a client holds {epoch} {seq}");
    }

    /// What a client holds of a ticker or a bar is not older than what all were told last.
    pub(super) fn check_words(&self, name: &str, held: &Value) {
        let Some(last) = self.last.get(name) else { return };
        let at = self.words.get(&(name.to_owned(), words(held)));
        assert!(at.is_some_and(|at| *at >= last.at), "{name}: {last:?} is newer than {at:?} {held}");
    }
}

/// A ticker in `ticker:*`.
pub(super) fn of_all(ticker: &Value) -> String {
    format!("ticker:*/{}", ticker["symbol"].as_str().unwrap())
}

fn parts(message: &Value) -> (&str, &str, u64, &str) {
    let text = |field: &str| message[field].as_str().unwrap();
    (text("topic"), text("epoch"), message["seq"].as_u64().unwrap(), text("type"))
}

fn words(data: &Value) -> u64 {
    let mut hasher = FxHasher::default();
    data.to_string().hash(&mut hasher);
    hasher.finish()
}

/// The shard's book at this moment, as a topic shows it.
fn live(topic: Topic, shard: &mut Shard) -> u64 {
    let Topic::Book { symbol, depth, .. } = topic else { return 0 };
    let state = shard.symbols().nth(symbol.index()).unwrap();
    let (book, mut levels, mut text, mut hasher) =
        (state.book(), Vec::<Level>::new(), Vec::new(), FxHasher::default());
    for side in [Side::Bid, Side::Ask] {
        book.side(side).copy_top(depth.limit().unwrap_or(usize::MAX), &mut levels);
        for level in &levels {
            text.clear();
            level.price.write(book.scale(), &mut text);
            text.push(b'@');
            level.quantity.write(&mut text);
            text.hash(&mut hasher);
        }
        side.hash(&mut hasher);
    }
    hasher.finish()
}

/// A client's book.
fn held(book: &Book) -> u64 {
    let (mut text, mut hasher) = (Vec::new(), FxHasher::default());
    let sides: [(Side, &mut dyn Iterator<Item = (&str, &str)>); 2] =
        [(Side::Bid, &mut book.bids()), (Side::Ask, &mut book.asks())];
    for (side, levels) in sides {
        for (price, quantity) in levels {
            text.clear();
            text.extend_from_slice(price.as_bytes());
            text.push(b'@');
            text.extend_from_slice(quantity.as_bytes());
            text.hash(&mut hasher);
        }
        side.hash(&mut hasher);
    }
    hasher.finish()
}

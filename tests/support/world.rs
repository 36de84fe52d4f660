//! A shard with clients around it: no sockets, no threads, the clock is an argument.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tickcast::dialect::{Dialect, Since};
use tickcast::ingest::Sink;
use tickcast::market::{
    BookChange, BookKind, Decimal, Depth, Event, Millis, Quantity, RawLevel, Side, Speed, SymbolId, Symbols,
    Topic, Trade, TradeId,
};
use tickcast::shard::{Broadcast, Class, Join, Joined, Leave, Outlet, Shard, ShardConfig, SymbolState};
use tickcast::state::{Board, BookStatus};

use super::client::Client;

/// One shard, its listeners, and the time.
///
/// After every call of the shard each book that was told of is compared with the shard's own.
pub struct World {
    pub symbols: Arc<Symbols>,
    pub board: Arc<Board>,
    pub shard: Shard,
    pub now: Millis,
    /// Everybody who joined, by number. A member that left hears nothing more.
    pub members: Vec<Member>,
    /// What was sent so far, parsed, with the time: only where [`World::keep`] was asked for.
    pub told: Vec<(Millis, Value)>,
    pub broadcasts: u64,
    pub compared: u64,
    keep: bool,
    out: Said,
    #[allow(clippy::vec_box, reason = "a sink is given boxes, and keeps them")]
    spare: Vec<Box<BookChange>>,
    last: HashMap<Topic, Millis>,
    ticking: bool,
}

/// One subscription of one client.
pub struct Member {
    pub client: Client,
    pub topic: Topic,
    pub name: String,
    pub worker: u16,
    pub here: bool,
}

/// What the shard said in one call.
#[derive(Default)]
pub struct Said {
    pub broadcasts: Vec<(u16, Broadcast)>,
    pub joined: Vec<Joined>,
}

impl Outlet for Said {
    fn broadcast(&mut self, worker: u16, broadcast: Broadcast) {
        self.broadcasts.push((worker, broadcast));
    }

    fn joined(&mut self, _: u16, joined: Joined) {
        self.joined.push(joined);
    }
}

impl World {
    pub fn new(config: ShardConfig) -> World {
        let (symbols, board) = (Arc::new(Symbols::new(1_000)), Arc::new(Board::default()));
        World {
            shard: Shard::new(symbols.clone(), board.clone(), config, "e1"),
            symbols,
            board,
            now: 0,
            members: Vec::new(),
            told: Vec::new(),
            broadcasts: 0,
            compared: 0,
            keep: false,
            out: Said::default(),
            spare: Vec::new(),
            last: HashMap::new(),
            ticking: false,
        }
    }

    /// From now on [`World::told`] is written.
    pub fn keep(mut self) -> World {
        self.keep = true;
        self
    }

    pub fn symbol(&self, name: &str) -> SymbolId {
        self.symbols.add(name).unwrap()
    }

    /// What the shard holds of a symbol.
    pub fn state(&mut self, name: &str) -> &mut SymbolState {
        self.shard.symbols().find(|state| state.name() == name).unwrap()
    }

    /// Lets time come to `now`, stopping wherever the shard has something to do.
    pub fn advance(&mut self, now: Millis) {
        while let Some(due) = self.shard.next_due().filter(|&due| due <= now) {
            self.now = self.now.max(due);
            self.ticking = true;
            self.shard.advance(self.now, &mut self.out);
            self.settle();
            self.ticking = false;
            assert!(self.shard.next_due() > Some(due), "the shard comes back for what it has done");
        }
        self.now = self.now.max(now);
    }

    /// Something happens now.
    pub fn event(&mut self, symbol: SymbolId, event: Event) {
        let spare = self.shard.apply(self.now, symbol, event, &mut self.out);
        self.spare.extend(spare);
        self.shard.end_turn();
        self.settle();
    }

    /// Somebody joins `topic`, a name as a client may write it; returns the member's number.
    pub fn join(&mut self, topic: &str) -> usize {
        self.join_on(topic, 0)
    }

    pub fn join_on(&mut self, topic: &str, worker: u16) -> usize {
        let topic = Topic::parse(topic, |name| Some(self.symbol(name))).unwrap();
        let mut name = Vec::new();
        let symbol = topic.symbol().map(|id| self.symbols.table().name(id).unwrap().clone());
        topic.write_name(symbol.as_deref().unwrap_or_default(), &mut name);
        let name = String::from_utf8(name).unwrap();
        self.members.push(Member { client: Client::default(), topic, name, worker, here: false });
        let at = self.members.len() - 1;
        self.enter(at, None);
        at
    }

    /// A member that left comes back, with what it last heard or without.
    pub fn rejoin(&mut self, at: usize, with_since: bool) {
        let member = &mut self.members[at];
        let since = member.client.since(&member.name).filter(|_| with_since);
        if since.is_none() {
            member.client.forget(&member.name.clone());
        }
        self.enter(at, since.map(|(epoch, seq)| Since { epoch, seq }));
    }

    fn enter(&mut self, at: usize, since: Option<Since>) {
        let (topic, worker) = (self.members[at].topic, self.members[at].worker);
        let join =
            Join { channel: Dialect::Native.of(topic), worker, connection: at as u64, since, missed: None };
        self.shard.join(self.now, &join, &mut self.out);
        self.settle();
        self.members[at].here = true;
    }

    pub fn leave(&mut self, at: usize) {
        let member = &mut self.members[at];
        member.here = false;
        let topic = member.topic;
        self.shard.leave(Leave { channel: Dialect::Native.of(topic), worker: member.worker });
        if !self.members.iter().any(|member| member.here && member.topic == topic) {
            self.last.remove(&topic);
        }
    }

    /// The book of a member.
    pub fn book(&self, at: usize) -> Option<&super::client::Book> {
        self.members[at].client.book(&self.members[at].name)
    }

    /// What was told since the last call.
    pub fn take_told(&mut self) -> Vec<Value> {
        self.told.drain(..).map(|(_, message)| message).collect()
    }

    fn settle(&mut self) {
        for joined in std::mem::take(&mut self.out.joined) {
            for frame in &joined.frames {
                let message: Value = serde_json::from_slice(frame.payload()).unwrap();
                let member = &mut self.members[usize::try_from(joined.connection).unwrap()];
                member.client.hear(&message).unwrap_or_else(|broken| panic!("{broken}"));
                self.remember(message);
            }
        }
        let mut parsed: Option<(*const u8, Value)> = None;
        let mut told = Vec::new();
        for (worker, said) in std::mem::take(&mut self.out.broadcasts) {
            let at = said.frame.bytes().as_ptr();
            if parsed.as_ref().is_none_or(|(held, _)| *held != at) {
                let message: Value = serde_json::from_slice(said.frame.payload()).unwrap();
                self.watch_rate(&said, &message);
                self.remember(message.clone());
                self.broadcasts += 1;
                parsed = Some((at, message));
            }
            let Some((_, message)) = &parsed else { continue };
            let listening = self.members.iter_mut().filter(|member| {
                (member.here, member.topic, member.worker) == (true, said.channel.topic, worker)
            });
            for member in listening {
                member.client.hear(message).unwrap_or_else(|broken| panic!("{broken}"));
            }
            told.push(said.channel.topic);
        }
        told.dedup();
        // Not before all workers were served: a topic has members on each.
        told.into_iter().for_each(|topic| self.compare(topic, self.broadcasts.is_multiple_of(25)));
    }

    fn remember(&mut self, message: Value) {
        if self.keep {
            self.told.push((self.now, message));
        }
    }

    /// At most one message in a window; what a tick brings comes on the grid.
    fn watch_rate(&mut self, said: &Broadcast, message: &Value) {
        if said.class == Class::Lossless && !matches!(said.channel.topic, Topic::Book { .. }) {
            // Trades, closed bars and corrections wait for nothing.
            return;
        }
        let window = match said.channel.topic {
            Topic::Book { speed, .. } | Topic::Ticker { speed, .. } => speed.window(),
            Topic::Tickers => 1_000,
            Topic::Kline { .. } => 250,
            Topic::Trades { .. } | Topic::Room(_) | Topic::Account(_) => 0,
        };
        if window == 0 || matches!(message["type"].as_str(), Some("stale" | "snapshot")) {
            // What heals does not wait, and begins a window of its own.
            self.last.insert(said.channel.topic, self.now);
            return;
        }
        let before = self.last.insert(said.channel.topic, self.now);
        assert!(before.is_none_or(|before| self.now - before >= window), "too soon: {message}");
        assert!(!self.ticking || self.now % window == 0, "off the grid at {}: {message}", self.now);
    }

    /// Every client of a book topic that was just told of holds the shard's book.
    pub fn compare(&mut self, topic: Topic, whole: bool) {
        let Topic::Book { symbol, depth, .. } = topic else { return };
        let name = self.symbols.table().name(symbol).unwrap().clone();
        let Some(state) = self.shard.symbols().find(|state| *state.name() == *name) else { return };
        let (book, scale) = (state.book(), state.book().scale());
        let mut levels = Vec::new();
        let mut text = Vec::new();
        for member in self.members.iter().filter(|member| member.here && member.topic == topic) {
            let held = member.client.book(&member.name).unwrap();
            assert!(!held.good || book.status() == BookStatus::Good, "{} trusts a bad book", member.name);
            if !held.good {
                continue;
            }
            self.compared += 1;
            for side in [Side::Bid, Side::Ask] {
                let ladder = book.side(side);
                let expected = ladder.len().min(depth.limit().unwrap_or(usize::MAX));
                let count = if side == Side::Bid { held.bids().len() } else { held.asks().len() };
                assert_eq!(count, expected, "{}: levels", member.name);
                ladder.copy_top(if whole { expected } else { expected.min(30) }, &mut levels);
                let of_client: &mut dyn Iterator<Item = (&str, &str)> =
                    if side == Side::Bid { &mut held.bids() } else { &mut held.asks() };
                for (level, (price, quantity)) in levels.iter().zip(of_client) {
                    text.clear();
                    level.price.write(scale, &mut text);
                    assert_eq!(text, price.as_bytes(), "{}: price", member.name);
                    text.clear();
                    level.quantity.write(&mut text);
                    assert_eq!(text, quantity.as_bytes(), "{}: quantity at {price}", member.name);
                }
            }
        }
    }

    /// Compares every member's book with the shard's, level by level.
    pub fn compare_all(&mut self) {
        let mut topics: Vec<_> = self.members.iter().map(|member| member.topic).collect();
        topics.sort_unstable();
        topics.dedup();
        topics.into_iter().for_each(|topic| self.compare(topic, true));
    }
}

impl Sink for World {
    fn put(&mut self, symbol: SymbolId, received: Millis, event: Event) {
        self.now = self.now.max(received);
        self.event(symbol, event);
    }

    fn blank(&mut self) -> Box<BookChange> {
        self.spare
            .pop()
            .map(|mut change| {
                change.clear();
                change
            })
            .unwrap_or_default()
    }

    fn recycle(&mut self, change: Box<BookChange>) {
        self.spare.push(change);
    }

    fn lost(&mut self, heard: &mut u64) -> Option<SymbolId> {
        self.board.lost(heard)
    }
}

/// Every variant of a book topic of `symbol`, by its full name.
pub fn book_topics(symbol: &str) -> Vec<String> {
    let variants = Depth::ALL.into_iter().flat_map(|depth| Speed::ALL.map(|speed| (depth, speed)));
    variants.map(|(depth, speed)| format!("book:{symbol}:{}:{}", depth.name(), speed.name())).collect()
}

/// A change of a book from texts; `(first, last)` are the venue's numbers.
pub fn change(
    kind: BookKind,
    (first, last): (u64, u64),
    bids: &[(&str, &str)],
    asks: &[(&str, &str)],
) -> Event {
    let level = |&(price, quantity): &(&str, &str)| RawLevel {
        price: price.parse().unwrap(),
        quantity: Quantity::parse(quantity.as_bytes()).unwrap(),
    };
    let levels = |side: &[(&str, &str)]| side.iter().map(level).collect();
    Event::Book(Box::new(BookChange {
        kind,
        first_update_id: first,
        last_update_id: last,
        time: i64::try_from(last).unwrap(),
        bids: levels(bids),
        asks: levels(asks),
    }))
}

pub fn snapshot(last: u64, bids: &[(&str, &str)], asks: &[(&str, &str)]) -> Event {
    change(BookKind::Snapshot, (last, last), bids, asks)
}

pub fn delta(last: u64, bids: &[(&str, &str)], asks: &[(&str, &str)]) -> Event {
    change(BookKind::Delta, (last, last), bids, asks)
}

pub fn trade(id: u64, time: Millis, price: &str, quantity: &str) -> Event {
    let quantity = Quantity::parse(quantity.as_bytes()).unwrap();
    let price: Decimal = price.parse().unwrap();
    Event::Trade(Trade { id: TradeId::Number(id), price, quantity, taker: Some(Side::Bid), time, count: 1 })
}

//! The sessions that benches run over: recorded ones where they are, an invented one otherwise.
#![allow(dead_code, reason = "no bench uses all of it")]
#![allow(unreachable_pub, reason = "every bench is a crate of its own, and this belongs to several")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on stops here")]
#![allow(clippy::vec_box, reason = "a sink is given boxes, and keeps them")]

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use fastrand::Rng;
use tickcast::ingest::Sink;
use tickcast::ingest::binance::{Feed, Market, UnknownSymbols};
use tickcast::ingest::recording::{RecordKind, Recording};
use tickcast::market::{BookChange, Decimal, Event, Millis, SymbolId, Symbols};
use tickcast::shard::{Broadcast, Joined, Outlet};

/// The messages of one symbol, one after the other in one buffer.
#[derive(Clone)]
pub struct Session {
    pub name: &'static str,
    pub market: Market,
    /// What the venue says of the symbol's prices, which every price is held against.
    pub tick: Decimal,
    pub bytes: Vec<u8>,
    pub messages: Vec<(Millis, What, Range<usize>)>,
}

/// What a message is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum What {
    Frame,
    Depth,
}

impl Session {
    /// The recorded BTCUSDT sessions, or the invented one.
    pub fn all() -> Vec<Session> {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
        let files = [
            ("spot_btcusdt", Market::Spot, "0.01", "binance_spot/hft_btcusdt_20240808.gz"),
            ("usdm_btcusdt", Market::UsdM, "0.1", "binance_usdm/hft_btcusdt_20240808.gz"),
        ];
        if !data.is_dir() {
            eprintln!("no recordings at {}: an invented session takes their place", data.display());
            return vec![Session::invented()];
        }
        files
            .map(|(name, market, tick, file)| Session::new(name, market, tick).recorded(&data.join(file)))
            .into()
    }

    fn new(name: &'static str, market: Market, tick: &str) -> Session {
        let tick = Decimal::parse(tick.as_bytes()).unwrap();
        Session { name, market, tick, bytes: Vec::new(), messages: Vec::new() }
    }

    fn recorded(mut self, file: &Path) -> Session {
        let mut recording = Recording::open(&[file.to_owned()]).unwrap();
        while let Some(record) = recording.next().unwrap() {
            let what = match record.kind {
                RecordKind::Frame => What::Frame,
                RecordKind::Depth { .. } => What::Depth,
                RecordKind::Connected
                | RecordKind::Instruments
                | RecordKind::Bar { .. }
                | RecordKind::Unreadable { .. } => continue,
            };
            self.push(record.received, what, record.payload);
        }
        self
    }

    /// Twelve quotes and three trades to each diff, as on a busy day.
    fn invented() -> Session {
        let mut session = Session::new("invented", Market::Spot, "0.01");
        let (mut random, mut now) = (Rng::with_seed(1), 1_723_161_253_000);
        let level = |price: i64, lots: i64| {
            format!(
                "[\"{}.{:02}000000\",\"{}.{:05}000\"]",
                price / 100,
                price % 100,
                lots / 100_000,
                lots % 100_000
            )
        };
        let side = |step: i64| {
            (1..500).map(|at| level(6_170_000 + at * step, 100 + at)).collect::<Vec<_>>().join(",")
        };
        let whole = format!(r#"{{"lastUpdateId":1,"bids":[{}],"asks":[{}]}}"#, side(-1), side(1));
        session.push(now, What::Depth, whole.as_bytes());
        for id in 2..4_000_u64 {
            now += 100;
            let mut changes = |step: i64| {
                let far = |random: &mut Rng| if random.bool() { 10 } else { 500 };
                let one = |_| {
                    let far = far(&mut random);
                    level(6_170_000 + random.i64(1..far) * step, random.i64(0..3) * random.i64(1..1_000_000))
                };
                (0..12).map(one).collect::<Vec<_>>().join(",")
            };
            let (bids, asks) = (changes(-1), changes(1));
            let diff = format!(
                r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{now},"s":"BTCUSDT","U":{id},"u":{id},"b":[{bids}],"a":[{asks}]}}}}"#
            );
            session.push(now, What::Frame, diff.as_bytes());
            for _ in 0..12 {
                let lots = random.i64(1..9_999_999);
                let quote = format!(
                    r#"{{"stream":"btcusdt@bookTicker","data":{{"u":{id},"s":"BTCUSDT","b":"61699.99000000","B":"{}.{:05}000","a":"61700.01000000","A":"2.66795000"}}}}"#,
                    lots / 100_000,
                    lots % 100_000
                );
                session.push(now, What::Frame, quote.as_bytes());
            }
            for part in 0..3 {
                let trade = id * 3 + part;
                let trade = format!(
                    r#"{{"stream":"btcusdt@trade","data":{{"e":"trade","E":{now},"s":"BTCUSDT","t":{trade},"p":"61700.01000000","q":"0.00123000","T":{now},"m":true,"M":true}}}}"#
                );
                session.push(now, What::Frame, trade.as_bytes());
            }
        }
        session
    }

    fn push(&mut self, now: Millis, what: What, message: &[u8]) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(message);
        self.messages.push((now, what, from..self.bytes.len()));
    }

    /// The book changes of the session as events, after the sequence rule.
    pub fn changes(&self) -> Vec<BookChange> {
        let mut kept = Kept::default();
        let mut feed = self.feed(&self.symbols());
        let mut bytes = self.bytes.clone();
        for (now, what, range) in &self.messages {
            tell(&mut feed, *now, *what, &mut bytes[range.clone()], &mut kept);
        }
        kept.0
    }

    pub fn symbols(&self) -> Arc<Symbols> {
        let symbols = Arc::new(Symbols::new(100));
        symbols.add("BTCUSDT").unwrap();
        symbols
    }

    pub fn feed(&self, symbols: &Arc<Symbols>) -> Feed {
        Feed::new(self.market, symbols.clone(), UnknownSymbols::Refuse)
    }
}

/// Gives one message to a feed.
#[inline]
pub fn tell(feed: &mut Feed, now: Millis, what: What, bytes: &mut [u8], sink: &mut impl Sink) {
    match what {
        What::Frame => drop(feed.message(now, bytes, sink).unwrap()),
        What::Depth => drop(feed.depth(now, "BTCUSDT", bytes, sink).unwrap()),
    }
}

/// Keeps the book changes.
#[derive(Default)]
struct Kept(Vec<BookChange>);

impl Sink for Kept {
    fn put(&mut self, _: SymbolId, _: Millis, event: Event) {
        if let Event::Book(change) = event {
            self.0.push(*change);
        }
    }

    fn blank(&mut self) -> Box<BookChange> {
        Box::default()
    }

    fn recycle(&mut self, _: Box<BookChange>) {}
}

/// For benches that time by themselves.
#[allow(clippy::disallowed_methods, reason = "a bench measures the machine's own time")]
pub fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Nobody listens.
pub struct Nobody;

impl Outlet for Nobody {
    fn broadcast(&mut self, _: u16, _: Broadcast) {}

    fn joined(&mut self, _: u16, _: Joined) {}
}

//! A live source on a thread of its own, and a sink that keeps what came out of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tickcast::clock::Clock;
use tickcast::ingest::Sink;
use tickcast::ingest::binance::Market;
use tickcast::ingest::live::{self, BackoffPolicy, LiveConfig, LiveCounters, LiveError, Raw, Tapped};
use tickcast::market::{
    BookChange, BookKind, Event, Millis, RawLevel, StaleReason, SymbolId, Symbols, TradeId,
};
use tokio::sync::watch;

use super::venue::{Book, PATIENCE, Venue};

/// A configuration whose waits are short.
pub(crate) fn quick(venue: &Venue, market: Market, symbols: &[&str]) -> LiveConfig {
    let millis = Duration::from_millis;
    let backoff = BackoffPolicy { first: millis(20), longest: millis(100), stable: Duration::from_secs(60) };
    LiveConfig {
        ws_url: Some(venue.ws_url()),
        rest_url: Some(venue.rest_url()),
        answer_deadline: Duration::from_secs(5),
        renew_overlap: millis(50),
        reconnect: backoff,
        retry: backoff,
        message_bytes: 64 << 10,
        rest_deadline: millis(500),
        rest_bytes: 256 << 10,
        rest_gap: millis(2),
        rest_weight: Some(1_000_000),
        seed: Some(1),
        ..LiveConfig::new(market, symbols.iter().map(|symbol| (*symbol).to_owned()).collect())
    }
}

/// What came of one symbol.
#[derive(Clone, Debug, Default)]
pub(crate) struct SymbolSeen {
    pub(crate) book: Book,
    pub(crate) stale: Vec<StaleReason>,
    pub(crate) trades: Vec<u64>,
    pub(crate) quotes: usize,
    pub(crate) tickers: usize,
    pub(crate) scaled: bool,
}

/// What came out of a source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    symbols: BTreeMap<String, SymbolSeen>,
    pub(crate) tapped: Vec<String>,
    latest: Millis,
}

impl Seen {
    /// What came of this symbol.
    pub(crate) fn symbol(&self, symbol: &str) -> SymbolSeen {
        self.symbols.get(symbol).cloned().unwrap_or_default()
    }
}

/// A source at work.
pub(crate) struct Follower {
    seen: Arc<Mutex<Seen>>,
    changed: watch::Receiver<u64>,
    counters: Arc<LiveCounters>,
    stop: watch::Sender<bool>,
    thread: JoinHandle<Result<(), LiveError>>,
}

impl Follower {
    pub(crate) fn start(config: LiveConfig) -> Follower {
        let (seen, counters) = (Arc::new(Mutex::new(Seen::default())), Arc::new(LiveCounters::default()));
        let symbols = Arc::new(Symbols::new(1_000));
        let (stop, stopping) = watch::channel(false);
        let (changes, changed) = watch::channel(0);
        let changes = Arc::new(changes);
        let sink = Keeper { seen: seen.clone(), symbols: symbols.clone(), changes: changes.clone() };
        let (tapped, counted) = (seen.clone(), counters.clone());
        let tap = move |what: Tapped<'_>| {
            tapped.lock().unwrap().tapped.push(shown(what));
            changes.send_modify(|count| *count += 1);
        };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(live::run(config, symbols, sink, Clock::start(), tap, counted, stopping))
        });
        Follower { seen, changed, counters, stop, thread }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn counters(&self) -> &LiveCounters {
        &self.counters
    }

    /// Waits until what came out is as wished.
    pub(crate) async fn until(&self, what: &str, wished: impl Fn(&Seen) -> bool) {
        let mut changed = self.changed.clone();
        let waiting = async {
            while !wished(&self.seen.lock().unwrap()) {
                changed.changed().await.expect("the source goes on");
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "waited in vain until {what}: {:#?}", self.counters);
    }

    /// Waits until the counters are as wished. They tell nobody of a change, so they are looked at.
    pub(crate) async fn until_counted(&self, what: &str, wished: impl Fn(&LiveCounters) -> bool) {
        let looking = async {
            let mut often = tokio::time::interval(Duration::from_millis(5));
            while !wished(&self.counters) {
                often.tick().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, looking).await;
        assert!(waited.is_ok(), "waited in vain until {what}: {:#?}", self.counters);
    }

    /// Sees that so many snapshots were taken. They are counted just after they came out.
    pub(crate) async fn snapshots(&self, taken: u64) {
        self.until_counted("the snapshots are counted", |counters| counters.snapshots_taken.read() >= taken)
            .await;
        assert_eq!(self.counters.snapshots_taken.read(), taken);
    }

    /// Waits until the book is the venue's own.
    pub(crate) async fn in_step(&self, venue: &Venue, symbol: &str) {
        let wished = venue.book(symbol);
        self.until("the book is in step", |seen| {
            seen.symbols.get(symbol).is_some_and(|seen| seen.book == wished)
        })
        .await;
    }

    /// Tells it to stop, and waits for its end.
    pub(crate) async fn stop(self) -> Result<(), LiveError> {
        self.stop.send_replace(true);
        self.ended().await
    }

    /// Waits for its end.
    pub(crate) async fn ended(self) -> Result<(), LiveError> {
        let Follower { thread, stop, .. } = self;
        let joined = tokio::task::spawn_blocking(|| thread.join().unwrap());
        let ended = tokio::time::timeout(PATIENCE, joined).await.expect("it ends").unwrap();
        drop(stop);
        ended
    }
}

fn shown(tapped: Tapped<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match tapped.what {
        Raw::Opened { path } => format!("opened {path}"),
        Raw::Sent(sent) => format!("sent {sent}"),
        Raw::Text(bytes) => format!("text {}", text(bytes)),
        Raw::Binary(bytes) => format!("binary {}", text(bytes)),
        Raw::Answer { path, status, body } => format!("answer {path} {status} {}", text(body)),
        Raw::Ended { why } => format!("ended {why}"),
    }
}

/// Keeps everything.
struct Keeper {
    seen: Arc<Mutex<Seen>>,
    symbols: Arc<Symbols>,
    changes: Arc<watch::Sender<u64>>,
}

impl Sink for Keeper {
    fn put(&mut self, symbol: SymbolId, received: Millis, event: Event) {
        let name = self.symbols.table().name(symbol).unwrap().to_string();
        let mut all = self.seen.lock().unwrap();
        assert!(received >= all.latest, "time goes back");
        all.latest = received;
        let seen = all.symbols.entry(name).or_default();
        match event {
            Event::Book(change) => apply(&mut seen.book, &change),
            Event::Stale(reason) => {
                seen.stale.push(reason);
                seen.book = Book::default();
            }
            Event::Trade(trade) => match trade.id {
                TradeId::Number(id) => seen.trades.push(id),
                TradeId::Text(id) => panic!("{id}"),
            },
            Event::Quote(_) => seen.quotes += 1,
            Event::Ticker(_) => seen.tickers += 1,
            Event::Bar(bar) => panic!("{bar:?}"),
            Event::Scale { .. } => seen.scaled = true,
            Event::Contract { .. } => {}
        }
        drop(all);
        self.changes.send_modify(|count| *count += 1);
    }

    fn blank(&mut self) -> Box<BookChange> {
        Box::default()
    }

    fn recycle(&mut self, _: Box<BookChange>) {}
}

fn apply(book: &mut Book, change: &BookChange) {
    if change.kind == BookKind::Snapshot {
        *book = Book::default();
    }
    let set = |side: &mut BTreeMap<String, String>, levels: &[RawLevel]| {
        for level in levels {
            let price = level.price.to_string();
            if level.quantity.is_zero() {
                side.remove(&price);
            } else {
                side.insert(price, level.quantity.decimal().to_string());
            }
        }
    };
    set(&mut book.bids, &change.bids);
    set(&mut book.asks, &change.asks);
}

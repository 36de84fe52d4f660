//! An engine and its server in this process, and a market whose true book is known.
#![allow(dead_code, reason = "no test uses all of it")]
#![allow(unreachable_pub, reason = "every test is a crate of its own, and this belongs to several")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tickcast::auth::{Mint, Tokens, mint};
use tickcast::config::{Config, Secrets};
use tickcast::engine::{Engine, EngineSink};
use tickcast::fanout::Workers;
use tickcast::ingest::Sink;
use tickcast::market::{
    BookKind, Decimal, Event, Millis, Quantity, RawLevel, Side, StaleReason, SymbolId, Symbols, Trade,
    TradeId,
};
use tickcast::server::{Door, Market, Server};
use tickcast::state::Board;
use tokio::sync::watch;

use crate::client::Book;

/// A server on a free port; dropping it shuts it down.
pub struct Running {
    pub address: SocketAddr,
    pub symbols: Arc<Symbols>,
    pub board: Arc<Board>,
    pub workers: Workers,
    pub tokens: Arc<Tokens>,
    config: Config,
    sink: EngineSink,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub fn start(change: impl FnOnce(&mut Config)) -> Running {
        let mut config = Config::default();
        config.listen.set_port(0);
        change(&mut config);
        let engine = Engine::start(&config).unwrap();
        let workers = engine.workers().clone();
        let (symbols, board, sink) = (engine.symbols().clone(), engine.board().clone(), engine.sink());
        let tokens = Arc::new(Tokens::new(&config).unwrap());
        read_keys(&tokens, &config);
        let (kept, taken) = (config.clone(), tokens.clone());
        let (stop, stopped) = watch::channel(false);
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let market = runtime.block_on(async {
                let door = Door::new(&config, engine.workers().clone());
                let market = Market::new(&config, engine, taken);
                let server = Server::bind(&config, market, door).await.unwrap();
                tell.send(server.address().unwrap()).unwrap();
                let market = server.serve(stopped).await;
                market.published(config.limits.shutdown).await;
                market
            });
            market.into_engine().shut_down(config.limits.shutdown);
        });
        let address = told.recv().unwrap();
        Running { address, symbols, board, workers, tokens, config: kept, sink, stop, thread: Some(thread) }
    }

    /// Reads the configured key set again, as the server does from time to time.
    pub fn read_keys(&self) {
        read_keys(&self.tokens, &self.config);
    }

    /// A market of one symbol.
    pub fn market(&self, symbol: &str) -> MarketMaker {
        let id = self.symbols.add(symbol).unwrap();
        MarketMaker::new(id, self.sink.clone(), self.board.clone())
    }

    /// Lets something happen to a symbol and waits until it has gone through the engine; `number`
    /// rises with each call.
    pub fn happen(&self, symbol: &str, event: Event, number: u64) {
        let id = self.symbols.with(|table| table.id(symbol)).expect("a known symbol");
        let mut sink = self.sink.clone();
        sink.put(id, now(), event);
        // A shard takes one thing after the other: what is put in behind it shows that it is through.
        let mark = self.symbols.add("MARK").unwrap();
        let mut change = sink.blank();
        change.clear();
        (change.kind, change.first_update_id, change.last_update_id) = (BookKind::Snapshot, number, number);
        sink.put(mark, now(), Event::Book(change));
        until("the event is through", || {
            let cells = self.board.cells(mark);
            cells.is_some_and(|cells| cells.book.with(|book| book.last_update_id == number))
        });
    }

    /// Begins to shut down.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits for the end.
    pub fn ended(mut self) {
        self.stop();
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server had panicked");
        }
    }
}

/// Puts events of one symbol into an engine, and knows its true book.
pub struct MarketMaker {
    board: Arc<Board>,
    symbol: SymbolId,
    sink: EngineSink,
    random: fastrand::Rng,
    /// Price in cents to quantity in thousandths.
    pub bids: BTreeMap<i64, i64>,
    pub asks: BTreeMap<i64, i64>,
    pub last_id: u64,
    pub trades: u64,
}

impl MarketMaker {
    fn new(symbol: SymbolId, sink: EngineSink, board: Arc<Board>) -> MarketMaker {
        let random = fastrand::Rng::with_seed(7);
        MarketMaker {
            board,
            symbol,
            sink,
            random,
            bids: BTreeMap::new(),
            asks: BTreeMap::new(),
            last_id: 0,
            trades: 0,
        }
    }

    /// Begins, or begins anew, with a book of 200 levels a side.
    pub fn snapshot(&mut self) {
        self.last_id += 10;
        self.bids = (0..200).map(|at| (10_000 - at, 1_000 + at)).collect();
        self.asks = (0..200).map(|at| (10_001 + at, 1_000 + at)).collect();
        let (bids, asks) = (levels(&self.bids), levels(&self.asks));
        self.book(BookKind::Snapshot, bids, asks);
    }

    /// Waits until the engine has taken in all that the book was told.
    pub fn settle(&self) {
        until("the book is taken in", || {
            let cells = self.board.cells(self.symbol);
            cells.is_some_and(|cells| cells.book.with(|book| book.last_update_id == self.last_id))
        });
    }

    /// Changes a few levels.
    pub fn delta(&mut self) {
        self.last_id += 1;
        let (mut bids, mut asks) = (BTreeMap::new(), BTreeMap::new());
        for _ in 0..self.random.usize(1..4) {
            let quantity = if self.random.u8(0..4) == 0 { 0 } else { self.random.i64(1..100_000) };
            // Near the best more often than far from it.
            let distance = self.random.i64(0..200) * self.random.i64(0..200) / 200;
            let (side, told, price) = match self.random.bool() {
                true => (&mut self.bids, &mut bids, 10_000 - distance),
                false => (&mut self.asks, &mut asks, 10_001 + distance),
            };
            told.insert(price, quantity);
            match quantity {
                0 => drop(side.remove(&price)),
                _ => drop(side.insert(price, quantity)),
            }
        }
        let (bids, asks) = (levels(&bids), levels(&asks));
        self.book(BookKind::Delta, bids, asks);
    }

    /// Whether a client's book is the true one, as far as its topic goes.
    pub fn is_held(&self, book: &Book, depth: usize) -> bool {
        let shown = |(&price, &quantity): (&i64, &i64)| {
            let price = format!("{}.{:02}", price / 100, price % 100);
            (price, format!("{}.{:03}", quantity / 1_000, quantity % 1_000))
        };
        let owned = |(price, quantity): (&str, &str)| (price.to_owned(), quantity.to_owned());
        book.good
            && book.bids().map(owned).eq(self.bids.iter().rev().take(depth).map(shown))
            && book.asks().map(owned).eq(self.asks.iter().take(depth).map(shown))
    }

    pub fn trade(&mut self) {
        self.trade_at(now(), 10_000);
    }

    /// A trade at this time and this price in cents.
    pub fn trade_at(&mut self, time: i64, cents: i64) {
        self.trades += 1;
        let trade = Trade {
            id: TradeId::Number(self.trades),
            price: Decimal::new(cents, 2),
            quantity: Quantity::new(Decimal::new(500, 3)).unwrap(),
            taker: Some(Side::Bid),
            time,
            count: 1,
        };
        self.sink.put(self.symbol, now(), Event::Trade(trade));
    }

    pub fn stale(&mut self) {
        self.sink.put(self.symbol, now(), Event::Stale(StaleReason::Gap));
    }

    fn book(&mut self, kind: BookKind, bids: Vec<RawLevel>, asks: Vec<RawLevel>) {
        let mut change = self.sink.blank();
        change.clear();
        (change.kind, change.bids, change.asks) = (kind, bids, asks);
        (change.first_update_id, change.last_update_id) = (self.last_id, self.last_id);
        change.time = now();
        self.sink.put(self.symbol, now(), Event::Book(change));
    }
}

fn levels(side: &BTreeMap<i64, i64>) -> Vec<RawLevel> {
    let level = |(&price, &quantity): (&i64, &i64)| RawLevel {
        price: Decimal::new(price, 2),
        quantity: Quantity::new(Decimal::new(quantity, 3)).unwrap(),
    };
    side.iter().map(level).collect()
}

/// Reads the configured key set, where there is one.
pub fn read_keys(tokens: &Tokens, config: &Config) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(tickcast::auth::fetch(tokens, config)).unwrap();
}

/// The keys of servers that ask for tokens.
pub fn secrets() -> Secrets {
    Secrets { jwt_secret: Some("a secret of at least thirty-two bytes".into()), ..Secrets::default() }
}

/// A token that such a server takes for so many seconds from now on.
pub fn token(user: &str, scope: &str, seconds: i64) -> String {
    token_at(now(), user, scope, seconds)
}

/// The same from `now` on.
pub fn token_at(now: Millis, user: &str, scope: &str, seconds: i64) -> String {
    let what = Mint { scope: scope.into(), ..Mint::new(user, now, seconds) };
    mint(&what, &secrets()).unwrap()
}

/// What the clock says.
pub fn now() -> i64 {
    tickcast::clock::Clock::start().now()
}

/// Looks again and again until something holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let mut clock = tickcast::clock::Clock::start();
    let deadline = clock.now() + 20_000;
    while !holds() {
        assert!(clock.now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

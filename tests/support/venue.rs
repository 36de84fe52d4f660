//! A venue of our own on loopback that speaks Binance's dialect and misbehaves on request.
//!
//! It knows nothing of the crate under test: a true book for each symbol, diffs, trades, quotes and
//! REST answers in the published format, and a list of what its clients did.
//!
//! Files: this one has the state and what a test may do; `market` the books and the texts, `server`
//! the sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]
#![allow(dead_code, reason = "each test makes its own kinds of trouble")]

#[path = "venue_market.rs"]
mod market;
#[path = "venue_server.rs"]
mod server;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::market::Market;
pub(crate) use self::market::{Book, Rule};

/// A running venue; dropping it closes everything.
pub(crate) struct Venue {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

/// The limits that the venue enforces, by closing the connection that breaks one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Frames that a client may send in `window`.
    pub(crate) messages: usize,
    /// See `messages`.
    pub(crate) window: Duration,
    /// Streams that a connection may have.
    pub(crate) streams: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { messages: 5, window: Duration::from_secs(1), streams: 1_024 }
    }
}

/// What the venue does wrong with the next diff of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiffMischief {
    /// It is never sent.
    Skip,
    /// It is sent twice.
    Repeat,
    /// It is sent after the one that follows it.
    SwapWithNext,
}

/// What the venue does wrong with its next REST answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RestMischief {
    /// This status, and `Retry-After` where given.
    Status(u16, Option<u64>),
    /// Status 200 and this body.
    Garbage(Vec<u8>),
    /// The right answer, after this long.
    Late(Duration),
    /// The book as it was before the client's first diff.
    Old,
}

/// One client connection, as the venue saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The path it asked for.
    pub(crate) path: String,
    /// Whether it is still open.
    pub(crate) open: bool,
    /// The streams it subscribed to.
    pub(crate) streams: BTreeSet<String>,
    /// When its frames came.
    pub(crate) frames: Vec<Instant>,
    /// Payloads of its pongs.
    pub(crate) pongs: Vec<Vec<u8>>,
    /// The code of its close frame.
    pub(crate) closed_with: Option<u16>,
    /// The limit that it broke.
    pub(crate) broke: Option<&'static str>,
}

impl Seen {
    /// The most frames that came in any stretch of `window`.
    pub(crate) fn busiest(&self, window: Duration) -> usize {
        let within =
            |from: Instant| self.frames.iter().filter(|at| (from..from + window).contains(at)).count();
        self.frames.iter().map(|from| within(*from)).max().unwrap_or(0)
    }
}

/// All that happened so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    /// The client connections, oldest first.
    pub(crate) connections: Vec<Seen>,
    /// The paths that were asked for over REST, and when.
    pub(crate) requests: Vec<(Instant, String)>,
}

impl Log {
    /// How many REST requests asked for a book.
    pub(crate) fn depth_requests(&self) -> usize {
        self.requests.iter().filter(|(_, path)| path.contains("/depth?")).count()
    }

    /// How many connections are open now.
    pub(crate) fn open(&self) -> usize {
        self.connections.iter().filter(|seen| seen.open).count()
    }
}

/// What goes to one client.
enum Out {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Close(u16, &'static str),
    /// End without a word.
    Drop,
}

struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

struct State {
    market: Market,
    limits: Limits,
    log: Log,
    outs: Vec<mpsc::Sender<Out>>,
    mischief: BTreeMap<String, DiffMischief>,
    held_back: BTreeMap<String, String>,
    rest: VecDeque<RestMischief>,
    refuse_sockets: Option<(u16, u64)>,
    silent: bool,
    mute: bool,
}

impl Venue {
    /// Opens a venue with these symbols on a free port.
    pub(crate) async fn start(rule: Rule, symbols: &[&str]) -> Venue {
        Venue::start_with(rule, symbols, Limits::default()).await
    }

    /// The same, with limits of its own.
    pub(crate) async fn start_with(rule: Rule, symbols: &[&str], limits: Limits) -> Venue {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            market: Market::new(rule, symbols),
            limits,
            log: Log::default(),
            outs: Vec::new(),
            mischief: BTreeMap::new(),
            held_back: BTreeMap::new(),
            rest: VecDeque::new(),
            refuse_sockets: None,
            silent: false,
            mute: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: watch::Sender::new(0) });
        let server = tokio::spawn(server::serve(listener, shared.clone()));
        Venue { address, shared, server }
    }

    /// Where its streams are.
    pub(crate) fn ws_url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Where its REST is.
    pub(crate) fn rest_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The true book.
    pub(crate) fn book(&self, symbol: &str) -> Book {
        self.shared.lock().market.book(symbol)
    }

    /// The numbers of all trades so far.
    pub(crate) fn trades(&self, symbol: &str) -> Vec<u64> {
        self.shared.lock().market.trades(symbol)
    }

    /// What happened so far.
    pub(crate) fn log(&self) -> Log {
        self.shared.lock().log.clone()
    }

    /// Tells of every change of the log.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    /// Changes the book of a symbol: a diff and a quote go out.
    pub(crate) fn change(&self, symbol: &str) {
        self.shared.act(|state| {
            let diff = state.market.change(symbol);
            state.send_diff(symbol, diff);
            let quote = state.market.quote(symbol);
            state.send(symbol, "@bookTicker", &quote);
        });
    }

    /// Somebody trades.
    pub(crate) fn trade(&self, symbol: &str) {
        self.shared.act(|state| {
            let trade = state.market.trade(symbol);
            state.send(symbol, "@trade", &trade);
        });
    }

    /// The statistics of a symbol go out.
    pub(crate) fn tick(&self, symbol: &str) {
        self.shared.act(|state| {
            let ticker = state.market.ticker(symbol);
            state.send(symbol, "@ticker", &ticker);
        });
    }

    /// Does this with the next diff of a symbol.
    pub(crate) fn spoil_next_diff(&self, symbol: &str, mischief: DiffMischief) {
        self.shared.act(|state| {
            state.mischief.insert(symbol.to_owned(), mischief);
        });
    }

    /// Does these with the next REST answers, in turn.
    pub(crate) fn spoil_rest(&self, mischief: impl IntoIterator<Item = RestMischief>) {
        self.shared.act(|state| state.rest.extend(mischief));
    }

    /// Refuses WebSocket handshakes with this status and `Retry-After`, or takes them again.
    pub(crate) fn refuse_sockets(&self, with: Option<(u16, u64)>) {
        self.shared.act(|state| state.refuse_sockets = with);
    }

    /// Sends nothing to anyone, not even answers; connections stay open.
    pub(crate) fn be_silent(&self, silent: bool) {
        self.shared.act(|state| state.silent = silent);
    }

    /// Answers no subscription, but goes on sending.
    pub(crate) fn answer_nothing(&self, mute: bool) {
        self.shared.act(|state| state.mute = mute);
    }

    /// Sends a text to all clients.
    pub(crate) fn say(&self, text: &str) {
        self.to_all(|| Out::Text(text.to_owned()));
    }

    /// Sends bytes to all clients.
    pub(crate) fn say_bytes(&self, bytes: &[u8]) {
        self.to_all(|| Out::Binary(bytes.to_vec()));
    }

    /// Asks all clients whether they are there.
    pub(crate) fn ping(&self, payload: &[u8]) {
        self.to_all(|| Out::Ping(payload.to_vec()));
    }

    /// Closes all connections with a code.
    pub(crate) fn close_all(&self, code: u16, reason: &'static str) {
        self.to_all(|| Out::Close(code, reason));
    }

    /// Ends all connections without a word.
    pub(crate) fn drop_all(&self) {
        self.to_all(|| Out::Drop);
    }

    fn to_all(&self, out: impl Fn() -> Out) {
        self.shared.act(|state| state.outs.iter().for_each(|to| drop(to.try_send(out()))));
    }

    /// Waits until the log is as wished.
    #[track_caller]
    pub(crate) fn until<'a>(
        &'a self,
        what: &'a str,
        wished: impl Fn(&Log) -> bool + 'a,
    ) -> impl Future<Output = ()> + 'a {
        let mut changes = self.changes();
        async move {
            let waiting = async {
                while !wished(&self.shared.lock().log) {
                    changes.changed().await.unwrap();
                }
            };
            let waited = tokio::time::timeout(PATIENCE, waiting).await;
            assert!(waited.is_ok(), "waited in vain until {what}: {:#?}", self.log());
        }
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        self.server.abort();
        self.drop_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Changes the state and tells whoever waits for a change.
    fn act<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let done = act(&mut self.lock());
        self.changed.send_modify(|changes| *changes += 1);
        done
    }
}

impl State {
    fn send_diff(&mut self, symbol: &str, diff: String) {
        let late = self.held_back.remove(symbol);
        match self.mischief.remove(symbol) {
            Some(DiffMischief::Skip) => {}
            Some(DiffMischief::SwapWithNext) => {
                self.held_back.insert(symbol.to_owned(), diff);
            }
            Some(DiffMischief::Repeat) => {
                self.send(symbol, "@depth@100ms", &diff);
                self.send(symbol, "@depth@100ms", &diff);
            }
            None => self.send(symbol, "@depth@100ms", &diff),
        }
        if let Some(late) = late {
            self.send(symbol, "@depth@100ms", &late);
        }
    }

    /// Sends to all that subscribed to it.
    fn send(&self, symbol: &str, stream: &str, data: &str) {
        let stream = format!("{}{stream}", symbol.to_lowercase());
        let text = format!(r#"{{"stream":"{stream}","data":{data}}}"#);
        for (seen, out) in self.log.connections.iter().zip(&self.outs) {
            if seen.open && seen.streams.contains(&stream) && !self.silent {
                // A client that does not read loses its connection to the real venue too.
                let _ = out.try_send(Out::Text(text.clone()));
            }
        }
    }
}

/// How long a test waits for something that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

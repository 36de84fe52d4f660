//! Every knob of the engine: its name, its default, its limits and the reason for them.
//!
//! [`Config`] holds the checked values, [`KNOBS`] is the one list that parser, checks and README
//! table are made of, and [`Config::load`] puts flags over environment over file over default.

mod auth;
mod error;
mod file;
mod knobs;
mod load;
mod publish;
mod reference;
mod setting;
mod source;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

pub use auth::{Auth, TokenAlgorithm};
pub use error::{ConfigError, Mismatch, Place, Problem};
pub use knobs::{KNOBS, Knob, SECRETS, Secret};
pub use load::{FlagValue, Layers};
pub use publish::{Journal, Publish, RoomNames};
pub use setting::Setting;
pub use source::{BinanceMarket, ReplaySpeed, Source, UnknownSource};

/// Everything that can be set, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Where market data comes from.
    pub source: Source,
    /// The symbols asked of the source.
    pub symbols: Vec<String>,
    /// Where durable data is kept.
    pub data_dir: Option<PathBuf>,
    /// Development mode.
    pub dev: bool,
    /// Whether clients may agree on compression.
    pub compression: bool,
    /// Origins that browsers may connect from; none is any.
    pub allowed_origins: Vec<String>,
    /// Whether the page is served.
    pub page: bool,
    /// Which log lines are written.
    pub log: String,
    /// How they are written.
    pub log_format: LogFormat,
    /// The simulated exchange.
    pub simulated: Simulated,
    /// The player of recordings.
    pub replay: Replay,
    /// The connection to Binance.
    pub binance: Binance,
    /// Books.
    pub book: Book,
    /// Bars.
    pub bars: Bars,
    /// The last trades.
    pub tape: Tape,
    /// How often conflated topics speak.
    pub throttle: Throttle,
    /// What a client, or all of them, may use.
    pub limits: Limits,
    /// The Socket.IO gateways.
    pub socketio: SocketIo,
    /// Threads.
    pub threads: Threads,
    /// Tokens.
    pub auth: Auth,
    /// Publishers.
    pub publish: Publish,
    /// What is kept on disk.
    pub journal: Journal,
    /// Rooms.
    pub rooms: RoomNames,
    /// How the hub's payloads stand in their messages, unless a client asks for the other way.
    pub hub_payload: HubPayload,
    /// What is never printed.
    pub secrets: Secrets,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How a payload stands in a message of the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HubPayload {
    /// As an object.
    Object,
    /// As a text that holds the object's JSON, for clients that parse it a second time.
    Text,
}

/// `[simulated]`: an exchange that does not exist.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulated {
    /// Same seed, same market.
    pub seed: u64,
    /// Events a second, over all symbols.
    pub rate: NonZeroUsize,
    /// How many symbols it makes up when none are named.
    pub symbols: NonZeroUsize,
    /// Minutes of trading that it makes up for the time before it opens.
    pub history: usize,
}

/// `[replay]`: how recordings are played.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// How much faster than life.
    pub speed: ReplaySpeed,
}

/// `[binance]`: the connection to the venue.
#[derive(Clone, Debug, PartialEq)]
pub struct Binance {
    /// Replaces the venue's stream address.
    pub ws_url: Option<String>,
    /// Replaces the venue's snapshot address.
    pub rest_url: Option<String>,
    /// How often the venue sends book changes.
    pub depth: Duration,
    /// A connection that says nothing this long is opened anew; none goes by the venue's pings.
    pub silence: Option<Duration>,
}

/// `[book]`: what is kept of a book.
#[derive(Clone, Debug, PartialEq)]
pub struct Book {
    /// Levels kept a side.
    pub levels_most: NonZeroUsize,
}

/// `[bars]`: how bars close and how many stay.
#[derive(Clone, Debug, PartialEq)]
pub struct Bars {
    /// How long after its boundary a bar waits for late trades.
    pub grace: Duration,
    /// Closed bars kept per symbol and interval.
    pub kept: NonZeroUsize,
    /// Quiet bars filled in at once.
    pub most_flat_bars: usize,
}

/// `[tape]`: the last trades of a symbol.
#[derive(Clone, Debug, PartialEq)]
pub struct Tape {
    /// Trades kept per symbol.
    pub kept: NonZeroUsize,
}

/// `[throttle]`: the shortest time between two messages of a conflated topic.
///
/// Books have none here: a client names their speed in the topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Throttle {
    /// `ticker:SYMBOL`.
    pub ticker: Duration,
    /// `ticker:*`.
    pub tickers: Duration,
    /// An open bar of `kline:SYMBOL:INTERVAL`.
    pub kline: Duration,
}

/// `[limits]`: bounds. Reaching one is a normal event with a named outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Symbols.
    pub symbols: NonZeroUsize,
    /// Connections of the process.
    pub connections: NonZeroUsize,
    /// Connections from one address; loopback has no such limit.
    pub connections_per_address: NonZeroUsize,
    /// Subscriptions of one connection.
    pub subscriptions: NonZeroUsize,
    /// One message of a client.
    pub message_bytes: NonZeroUsize,
    /// Messages of a client a second, in the long run.
    pub messages_per_second: NonZeroUsize,
    /// Messages of a client at once.
    pub messages_burst: NonZeroUsize,
    /// What may wait for one client.
    pub outbox_bytes: NonZeroUsize,
    /// From the connection to the end of its upgrade.
    pub handshake: Duration,
    /// Between two pings of ours.
    pub ping: Duration,
    /// For the answer to one.
    pub pong_timeout: Duration,
    /// Without progress on what waits for a client.
    pub stalled: Duration,
    /// Events that wait for one shard.
    pub shard_queue: NonZeroUsize,
    /// Broadcasts and commands that wait for one worker.
    pub worker_queue: NonZeroUsize,
    /// How long a shutdown may take.
    pub shutdown: Duration,
}

/// `[socketio]`: the gateways of Maven's and TradeWithAI's clients.
#[derive(Clone, Debug, PartialEq)]
pub struct SocketIo {
    /// From one answer of a client to the next ping.
    pub ping_interval: Duration,
    /// For the answer to a ping.
    pub ping_timeout: Duration,
    /// One request body or message.
    pub max_payload: NonZeroUsize,
    /// From the connection to the first namespace.
    pub connect_timeout: Duration,
    /// Messages of a Maven client in any minute.
    pub maven_messages_per_minute: NonZeroUsize,
    /// Messages of a TradeWithAI client in any minute.
    pub tradewithai_messages_per_minute: NonZeroUsize,
}

/// `[threads]`: who runs where.
#[derive(Clone, Debug, PartialEq)]
pub struct Threads {
    /// Threads that own connections; none is one per core.
    pub worker_threads: Option<NonZeroUsize>,
    /// Threads that own symbols.
    pub shards: NonZeroUsize,
}

impl Threads {
    /// How many threads own connections on this machine.
    pub fn workers(&self) -> NonZeroUsize {
        let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.worker_threads.unwrap_or_else(cores)
    }
}

/// What only the environment may hold, and nothing prints.
#[derive(Clone, Default, PartialEq)]
pub struct Secrets {
    /// Key of HS256 tokens.
    pub jwt_secret: Option<String>,
    /// PEM key of RS256, ES256 or EdDSA tokens.
    pub jwt_public_key: Option<String>,
    /// File or URL of a key set.
    pub jwt_jwks: Option<String>,
    /// The other nodes' meeting place; its URL may hold a password.
    pub redis_url: Option<String>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Secrets");
        for secret in &SECRETS {
            let state = if (secret.read)(self).is_some() { "set" } else { "unset" };
            shown.field(secret.variable, &format_args!("{state}"));
        }
        shown.finish()
    }
}

impl Config {
    /// What the operator should hear at the start although it is no error: what is set and has no
    /// effect, and what is dangerous.
    pub fn warnings(&self) -> Vec<String> {
        let set = SECRETS.iter().filter(|secret| (secret.read)(&self.secrets).is_some());
        let unused = |secret: &Secret| {
            secret.unused.map(|why| format!("{} is set and has no effect: {why}", secret.variable))
        };
        let mut warnings: Vec<String> = set.filter_map(unused).collect();
        if self.secrets.jwt_secret.as_ref().is_some_and(|secret| secret.len() < LEAST_SECRET) {
            warnings.push(format!(
                "JWT_SECRET is shorter than {LEAST_SECRET} bytes: it can be guessed, use a random one (openssl rand -hex 32)"
            ));
        }
        let takes_tokens = self.secrets.jwt_secret.is_some()
            || self.secrets.jwt_public_key.is_some()
            || self.secrets.jwt_jwks.is_some();
        if self.data_dir.is_none() && self.dev {
            warnings.push(
                "data_dir is not set: private events are kept in memory, and end with the process".into(),
            );
        } else if self.data_dir.is_none() && !self.journal.in_memory && takes_tokens {
            warnings.push(
                "data_dir is not set: private events are refused, for nothing can be made durable".into(),
            );
        }
        if self.dev {
            warnings.push("development mode: fit for this machine alone".into());
        }
        warnings
    }
}

/// The only home of the defaults; [`KNOBS`] holds the reason of each.
impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3000),
            source: Source::None,
            symbols: Vec::new(),
            data_dir: None,
            dev: false,
            compression: false,
            allowed_origins: Vec::new(),
            page: false,
            log: "info".into(),
            log_format: LogFormat::Text,
            simulated: Simulated { seed: 1, rate: at_least_one(2_000), symbols: at_least_one(4), history: 0 },
            replay: Replay { speed: ReplaySpeed::Times(NonZeroUsize::MIN) },
            binance: Binance {
                ws_url: None,
                rest_url: None,
                depth: Duration::from_millis(100),
                silence: None,
            },
            book: Book { levels_most: at_least_one(20_000) },
            bars: Bars { grace: Duration::from_millis(500), kept: at_least_one(240), most_flat_bars: 1_440 },
            tape: Tape { kept: at_least_one(500) },
            throttle: Throttle {
                ticker: Duration::from_secs(1),
                tickers: Duration::from_secs(1),
                kline: Duration::from_millis(250),
            },
            limits: Limits::default(),
            socketio: SocketIo {
                ping_interval: Duration::from_secs(25),
                ping_timeout: Duration::from_secs(20),
                max_payload: at_least_one(1_000_000),
                connect_timeout: Duration::from_secs(45),
                maven_messages_per_minute: at_least_one(3_000),
                tradewithai_messages_per_minute: at_least_one(60),
            },
            threads: Threads { worker_threads: None, shards: NonZeroUsize::MIN },
            auth: Auth::default(),
            publish: Publish::default(),
            journal: Journal::default(),
            rooms: RoomNames::default(),
            hub_payload: HubPayload::Object,
            secrets: Secrets::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            symbols: at_least_one(10_000),
            connections: at_least_one(50_000),
            connections_per_address: at_least_one(1_000),
            subscriptions: at_least_one(1_024),
            message_bytes: at_least_one(64 << 10),
            messages_per_second: at_least_one(50),
            messages_burst: at_least_one(100),
            outbox_bytes: at_least_one(1 << 20),
            handshake: Duration::from_secs(10),
            ping: Duration::from_secs(20),
            pong_timeout: Duration::from_secs(20),
            stalled: Duration::from_secs(120),
            shard_queue: at_least_one(16_384),
            worker_queue: at_least_one(8_192),
            shutdown: Duration::from_secs(5),
        }
    }
}

/// What RFC 7518 asks of a key for HS256.
const LEAST_SECRET: usize = 32;

const fn at_least_one(number: usize) -> NonZeroUsize {
    match NonZeroUsize::new(number) {
        Some(number) => number,
        None => NonZeroUsize::MIN,
    }
}

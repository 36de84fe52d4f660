//! The commands a person types: what they are called and what they take.
//!
//! Values of the engine's settings stay text here: [`Config`] checks them, so that a flag, a
//! variable and a line of the file are refused in the same words.

mod demo;
mod load;
mod record;
mod replay;
mod serve;
mod tail;
mod token;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::{
    BinanceMarket, Config, ConfigError, FlagValue, Layers, ReplaySpeed, Source, UnknownSource,
};
use crate::market::check_symbol;

pub use demo::demo;
pub use load::{
    BadTarget, Failures, LoadError, Plan, Publication, Quantiles, Report, Slow, Target, load,
    run as load_report,
};
pub use record::{RecordError, record};
pub use replay::{ReplayError, Summary, replay, run as replay_summary};
pub use serve::{ServeError, serve, start_logging};
pub use tail::{TailError, tail};
pub use token::{TokenError, token};

#[cfg(test)]
mod tests;

/// tickcast keeps the books, tickers, bars and trades of many symbols and streams them to many clients.
#[derive(Debug, Parser)]
#[command(name = "tickcast", version, about, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What tickcast can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve market data to clients
    Serve(ServeArgs),
    /// Play recordings through the engine, and say what came of them
    Replay(ReplayArgs),
    /// Write what a venue sends to a file that `replay` can play
    Record(RecordArgs),
    /// Print what a server sends on some topics
    Tail(TailArgs),
    /// Open many connections to a server, and report what they get and what it costs
    Load(Box<LoadArgs>),
    /// Print a token for development, signed with JWT_SECRET
    Token(TokenArgs),
    /// Serve a simulated exchange and a page that shows it
    Demo(DemoArgs),
}

/// `tickcast serve`.
///
/// A flag wins over the environment, which wins over the file, which wins over the default.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct ServeArgs {
    /// Where clients connect [default: 127.0.0.1:3000]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Where market data comes from: none, simulated, binance, binance-us, binance-usdm,
    /// binance-coinm, or replay:FILE[,FILE...] [default: none]
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<String>,
    /// The symbols asked of the source, as the venue writes them
    #[arg(long, value_name = "A,B,...")]
    pub symbols: Option<String>,
    /// A folder for private events and closed bars; without it they are not kept on disk
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<String>,
    /// A TOML file of settings; the README lists all of them
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Development mode; on loopback addresses only
    #[arg(long)]
    pub dev: bool,
    /// Serve a live page of the market at /
    #[arg(long)]
    pub page: bool,
    /// Events a second of the simulated source, over all symbols [default: 2000]
    #[arg(long, value_name = "NUMBER")]
    pub rate: Option<String>,
    /// Seed of the simulated source: the same one makes the same market [default: 1]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<String>,
    /// Threads that own connections [default: one per core]
    #[arg(long, value_name = "NUMBER")]
    pub worker_threads: Option<String>,
}

impl ServeArgs {
    /// The settings: these flags over `environment` over the file over the defaults.
    ///
    /// # Errors
    /// [`ConfigError`] lists all that is wrong with them.
    pub fn config(&self, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Config, ConfigError> {
        Config::load(&Layers { file: self.config.clone(), environment, flags: self.flags() })
    }

    fn flags(&self) -> Vec<FlagValue> {
        let [dev, page] = [self.dev, self.page].map(|given| given.then(|| "true".to_owned()));
        let given = [
            ("--listen", &self.listen),
            ("--source", &self.source),
            ("--symbols", &self.symbols),
            ("--data-dir", &self.data_dir),
            ("--dev", &dev),
            ("--page", &page),
            ("--rate", &self.rate),
            ("--seed", &self.seed),
            ("--worker-threads", &self.worker_threads),
        ];
        let typed = |(flag, value): (_, &Option<String>)| Some(FlagValue { flag, value: value.clone()? });
        given.into_iter().filter_map(typed).collect()
    }
}

/// `tickcast replay`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct ReplayArgs {
    /// The recordings, played one after the other
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How many times faster than life, or max [default: 1, with --summary max]
    #[arg(long, value_name = "N|max")]
    pub speed: Option<ReplaySpeed>,
    /// Print one JSON object at the end: what was applied, what was missing, and the final books
    #[arg(long)]
    pub summary: bool,
}

impl ReplayArgs {
    /// How fast to play. Nobody watches when only the summary is asked for.
    pub fn speed(&self) -> ReplaySpeed {
        let unasked = if self.summary { ReplaySpeed::Max } else { Config::default().replay.speed };
        self.speed.unwrap_or(unasked)
    }
}

/// `tickcast record`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct RecordArgs {
    /// The venue: binance, binance-us, binance-usdm or binance-coinm
    #[arg(long, value_name = "SOURCE", value_parser = read_market)]
    pub source: BinanceMarket,
    /// The symbols, as the venue writes them
    #[arg(long, required = true, value_name = "A,B,...", value_delimiter = ',', value_parser = read_symbol)]
    pub symbols: Vec<String>,
    /// The file to write; one that exists is not touched
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// A TOML file of settings, such as binance.ws_url; the README lists all of them
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Stop after this many seconds [default: when interrupted]
    #[arg(long = "for", value_name = "SECONDS", value_parser = read_seconds)]
    pub stop_after: Option<Duration>,
}

/// `tickcast tail`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct TailArgs {
    /// Topics, such as book:BTCUSDT:20:100ms, trades:BTCUSDT, ticker:* or kline:BTCUSDT:1m
    #[arg(required = true, value_name = "TOPIC")]
    pub topics: Vec<String>,
    /// The server
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:3000/v1/ws")]
    pub url: String,
    /// Print messages as they come, one JSON object a line, instead of for reading
    #[arg(long)]
    pub json: bool,
    /// Show one book as a live ladder; BTCUSDT is then short for book:BTCUSDT:20:100ms
    #[arg(long, conflicts_with = "json")]
    pub ladder: bool,
}

/// `tickcast load`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct LoadArgs {
    /// The server
    #[arg(value_name = "URL", default_value = "ws://127.0.0.1:3000/v1/ws")]
    pub url: Target,
    /// Connections
    #[arg(long, value_name = "NUMBER", default_value = "100", value_parser = read_count)]
    pub connections: usize,
    /// Topics that each connection subscribes to
    #[arg(long, value_name = "A,B,...", value_delimiter = ',')]
    pub topics: Vec<String>,
    /// A file of such topics, one a line
    #[arg(long, value_name = "FILE")]
    pub topics_file: Option<PathBuf>,
    /// Each connection subscribes to one of the topics, in turn
    #[arg(long)]
    pub spread: bool,
    /// Receive at this path of the server, and subscribe to nothing
    #[arg(long, value_name = "PATH", value_parser = read_path)]
    pub raw_path: Option<String>,
    /// Length of the measured part
    #[arg(long = "for", value_name = "SECONDS", default_value = "10", value_parser = read_seconds)]
    pub measured: Duration,
    /// Time before it, once all are subscribed
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = read_seconds_or_none)]
    pub warmup: Duration,
    /// Threads that receive
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = read_count)]
    pub threads: usize,
    /// Connections opened a second
    #[arg(long, value_name = "NUMBER", default_value = "5000", value_parser = read_count)]
    pub pace: usize,
    /// So many receivers never read once they are subscribed
    #[arg(long, value_name = "NUMBER", default_value = "0")]
    pub stopped: usize,
    /// So long into the measured part they read again
    #[arg(long, value_name = "SECONDS", requires = "stopped", value_parser = read_seconds)]
    pub resume_after: Option<Duration>,
    /// So many receivers read so many bytes a second each
    #[arg(long, value_name = "NUMBER:BYTES")]
    pub slow: Option<Slow>,
    /// Receivers leave after about so long, and come again
    #[arg(long, value_name = "SECONDS", value_parser = read_seconds)]
    pub churn: Option<Duration>,
    /// So many receivers, and all that stop or are slow, verify what they hear
    #[arg(long, value_name = "NUMBER", default_value = "0")]
    pub check: usize,
    /// Messages carry the time they were published, as "t":NANOSECONDS
    #[arg(long)]
    pub stamp: bool,
    /// Publish such messages here meanwhile
    #[arg(long, value_name = "URL")]
    pub publish: Option<Target>,
    /// Messages published a second
    #[arg(long, value_name = "NUMBER", default_value = "100", requires = "publish", value_parser = read_count)]
    pub rate: usize,
    /// Bytes of a published message
    #[arg(long, value_name = "BYTES", default_value = "252", requires = "publish", value_parser = read_size)]
    pub size: usize,
    /// Messages published together
    #[arg(long, value_name = "NUMBER", default_value = "1", requires = "publish", value_parser = read_count)]
    pub burst: usize,
    /// The server's process, to report what it spends
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// Print the report as one JSON object
    #[arg(long)]
    pub json: bool,
    /// What is random in a run comes from it
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    pub seed: u64,
}

/// `tickcast token`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct TokenArgs {
    /// Who it is for
    #[arg(long, value_name = "NAME", default_value = "test-user-id")]
    pub user: String,
    /// What it allows: publish, admin, or both
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub scope: Vec<String>,
    /// An address, which /stats shows
    #[arg(long, value_name = "ADDRESS")]
    pub email: Option<String>,
    /// How long it is good for
    #[arg(long = "for", value_name = "SECONDS", default_value = "86400", value_parser = read_seconds)]
    pub valid: Duration,
    /// A TOML file of settings, for auth.audience and auth.issuer
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `tickcast demo`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct DemoArgs {
    /// Where clients and browsers connect
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,
}

impl DemoArgs {
    /// The settings of the demo: the defaults with the simulated source, its past, and the page.
    pub fn config(&self) -> Config {
        let mut config =
            Config { listen: self.listen, source: Source::Simulated, page: true, ..Config::default() };
        config.simulated.history = DEMO_HISTORY;
        config.bars.kept = DEMO_BARS;
        // The account of the demo's trader; nothing of it is to outlive the demo.
        config.journal.in_memory = true;
        config.journal.events = DEMO_EVENTS;
        config
    }
}

/// Minutes of the past that the demo's chart begins with, and room for them and a day more.
const DEMO_HISTORY: usize = 1_380;
const DEMO_BARS: NonZeroUsize = const { NonZeroUsize::new(3_000).unwrap() };

/// Events of the trader that are kept of each topic: some minutes, a tenth of a megabyte.
const DEMO_EVENTS: NonZeroUsize = const { NonZeroUsize::new(200).unwrap() };

fn read_market(text: &str) -> Result<BinanceMarket, String> {
    const RECORDABLE: &str = "binance, binance-us, binance-usdm and binance-coinm can be recorded";
    match text.parse() {
        Ok(Source::Binance(market)) => Ok(market),
        Ok(Source::None | Source::Simulated | Source::Replay(_)) => Err(RECORDABLE.into()),
        Err(UnknownSource::NotBuilt) => Err(format!("this venue is not built yet; {RECORDABLE}")),
        Err(UnknownSource::Unknown | UnknownSource::NoFile) => {
            Err(format!("there is no such venue; {RECORDABLE}"))
        }
    }
}

fn read_symbol(text: &str) -> Result<String, String> {
    check_symbol(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

fn read_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|&seconds| seconds > 0);
    seconds.map(Duration::from_secs).ok_or_else(|| "a whole number of seconds from 1 is needed".into())
}

fn read_seconds_or_none(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).map_err(|_| "a whole number of seconds is needed".into())
}

fn read_count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=MOST_COUNT).contains(count));
    count.ok_or_else(|| format!("a whole number from 1 to {MOST_COUNT} is needed"))
}

fn read_size(text: &str) -> Result<usize, String> {
    let size = text.parse().ok().filter(|size| (load::LEAST_SIZE..=MOST_SIZE).contains(size));
    size.ok_or_else(|| {
        format!("a whole number from {} (the stamp alone) to {MOST_SIZE} is needed", load::LEAST_SIZE)
    })
}

fn read_path(text: &str) -> Result<String, String> {
    let fits = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(text.to_owned()) } else { Err("a path is needed, such as /sub".into()) }
}

/// Beyond it is no machine's work.
const MOST_COUNT: usize = 10_000_000;

/// The longest message that is published.
const MOST_SIZE: usize = 16 << 20;

//! Where market data comes from, as a name that an operator types.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// A source of market data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nothing but what publishers send.
    None,
    /// An exchange that does not exist.
    Simulated,
    /// A market of Binance.
    Binance(BinanceMarket),
    /// Recordings, one after the other.
    Replay(Vec<PathBuf>),
}

/// A market of Binance: each has addresses and a sequence rule of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinanceMarket {
    /// binance.com, spot.
    Spot,
    /// binance.us, spot.
    Us,
    /// Futures margined in USD.
    UsdMargined,
    /// Futures margined in coins.
    CoinMargined,
}

impl BinanceMarket {
    /// All of them.
    pub const ALL: [BinanceMarket; 4] =
        [BinanceMarket::Spot, BinanceMarket::Us, BinanceMarket::UsdMargined, BinanceMarket::CoinMargined];

    /// The name that operators type.
    pub const fn name(self) -> &'static str {
        match self {
            BinanceMarket::Spot => "binance",
            BinanceMarket::Us => "binance-us",
            BinanceMarket::UsdMargined => "binance-usdm",
            BinanceMarket::CoinMargined => "binance-coinm",
        }
    }

    /// How often book changes can be had, in milliseconds.
    pub const fn depth_speeds(self) -> &'static [u64] {
        match self {
            BinanceMarket::Spot | BinanceMarket::Us => &[100, 1000],
            BinanceMarket::UsdMargined | BinanceMarket::CoinMargined => &[100, 250],
        }
    }

    /// Whether it sends book changes that often.
    pub fn offers(self, depth: Duration) -> bool {
        self.depth_speeds().iter().any(|&speed| Duration::from_millis(speed) == depth)
    }
}

impl Source {
    /// Its name, without what it is made of.
    pub const fn name(&self) -> &'static str {
        match self {
            Source::None => "none",
            Source::Simulated => "simulated",
            Source::Binance(market) => market.name(),
            Source::Replay(_) => "replay",
        }
    }
}

impl FromStr for Source {
    type Err = UnknownSource;

    fn from_str(text: &str) -> Result<Source, UnknownSource> {
        if let Some(market) = BinanceMarket::ALL.into_iter().find(|market| market.name() == text) {
            return Ok(Source::Binance(market));
        }
        match text {
            "none" => Ok(Source::None),
            "simulated" => Ok(Source::Simulated),
            _ => match text.strip_prefix("replay:") {
                Some(files) if files.split(',').all(|file| !file.is_empty()) => {
                    Ok(Source::Replay(files.split(',').map(PathBuf::from).collect()))
                }
                Some(_) => Err(UnknownSource::NoFile),
                None if PLANNED.contains(&text) => Err(UnknownSource::NotBuilt),
                None => Err(UnknownSource::Unknown),
            },
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::None => f.write_str("none"),
            Source::Simulated => f.write_str("simulated"),
            Source::Binance(market) => f.write_str(market.name()),
            Source::Replay(files) => {
                let files: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
                write!(f, "replay:{}", files.join(","))
            }
        }
    }
}

/// Why a text names no source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UnknownSource {
    /// A venue that is not connected yet.
    #[error("this source is not built yet; {BUILT}")]
    NotBuilt,
    /// No venue that is known of.
    #[error("there is no such source; {BUILT}")]
    Unknown,
    /// `replay:` alone.
    #[error("a replay needs files: replay:FILE or replay:FILE,FILE")]
    NoFile,
}

const BUILT: &str =
    "there are none, simulated, binance, binance-us, binance-usdm, binance-coinm, replay:FILE[,FILE...]";

/// Venues that are meant to come.
const PLANNED: [&str; 6] = ["bitfinex", "bitstamp", "bybit", "coinbase", "kraken", "okx"];

/// How much faster than life a recording is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplaySpeed {
    /// This many times; once is as it was recorded.
    Times(NonZeroUsize),
    /// Without waiting.
    Max,
}

impl FromStr for ReplaySpeed {
    type Err = NotASpeed;

    fn from_str(text: &str) -> Result<ReplaySpeed, NotASpeed> {
        match text {
            "max" => Ok(ReplaySpeed::Max),
            _ => text.parse().map(ReplaySpeed::Times).map_err(|_| NotASpeed),
        }
    }
}

impl fmt::Display for ReplaySpeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplaySpeed::Times(times) => times.fmt(f),
            ReplaySpeed::Max => f.write_str("max"),
        }
    }
}

/// A text that is no [`ReplaySpeed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a whole number from 1, or max, is needed")]
pub struct NotASpeed;

//! What is wrong with a configuration: the place, the key, the value and what would be right.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::UnknownSource;
use crate::market::BadSymbol;

/// Everything that is wrong with a configuration, so that it can be mended in one go.
#[derive(Debug, Error)]
pub struct ConfigError {
    /// One entry for each wrong thing, at least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            let line_break = if at == 0 { "" } else { "\n" };
            write!(f, "{line_break}{problem}")?;
        }
        Ok(())
    }
}

/// One wrong thing.
#[derive(Debug, Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("{}: {error} (named by --config)", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The file is not TOML.
    #[error("{place}: not TOML: {message}")]
    NotToml {
        /// Where it stops being TOML.
        place: Place,
        /// The parser's word on it, in one line.
        message: String,
    },
    /// A key that means nothing.
    #[error("{place}: there is no key {key}{}", hint(*nearest))]
    UnknownKey {
        /// Where it stands.
        place: Place,
        /// The key with its section.
        key: String,
        /// A key that looks like it.
        nearest: Option<&'static str>,
    },
    /// A variable whose bytes are not text.
    #[error("environment variable {variable}: its value is not UTF-8 text")]
    NotText {
        /// Its name.
        variable: &'static str,
    },
    /// A value that its key cannot have.
    #[error("{place}: {key} = {value}: {mismatch}")]
    Wrong {
        /// Where it stands.
        place: Place,
        /// The key with its section.
        key: &'static str,
        /// As it was given.
        value: String,
        /// What is wrong with it.
        mismatch: Mismatch,
    },
    /// Development mode where strangers can reach it.
    #[error(
        "{place}: dev = true: development mode lets clients in without a token, so listen must be a loopback address such as 127.0.0.1:3000; it is {listen}"
    )]
    DevelopmentInTheOpen {
        /// What turned it on.
        place: Place,
        /// The address.
        listen: std::net::SocketAddr,
    },
    /// A venue was named without symbols.
    #[error("{place}: source = {source_name}: symbols are needed as well, such as --symbols BTCUSDT,ETHUSDT")]
    NoSymbols {
        /// What chose the source.
        place: Place,
        /// Its name.
        source_name: &'static str,
    },
    /// More symbols than may be kept.
    #[error(
        "{place}: symbols names {count} of them, more than limits.symbols = {most} allows: name fewer, or raise the limit"
    )]
    TooManySymbols {
        /// What named them.
        place: Place,
        /// How many.
        count: usize,
        /// The limit.
        most: usize,
    },
}

fn hint(nearest: Option<&'static str>) -> String {
    match nearest {
        Some(key) => format!("; did you mean {key}?"),
        None => "; the README lists all keys".into(),
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nobody gave it.
    Default,
    /// A line of the file.
    File {
        /// Which file.
        file: PathBuf,
        /// Its line, from 1.
        line: usize,
    },
    /// A variable of the environment.
    Environment(&'static str),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Default => f.write_str("default"),
            Place::File { file, line } => write!(f, "{}:{line}", file.display()),
            Place::Environment(variable) => write!(f, "environment variable {variable}"),
            Place::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// Why a value does not fit its key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// A number of another size or another thing altogether.
    #[error("a whole number{unit} from {least} to {most} is needed")]
    Whole {
        /// ` of bytes` or the like, or nothing.
        unit: &'static str,
        /// The smallest that fits.
        least: u64,
        /// The largest that fits.
        most: u64,
    },
    /// None of the few things it can be.
    #[error("{needed} is needed")]
    Needed {
        /// What it can be.
        needed: &'static str,
    },
    /// No source of that name.
    #[error(transparent)]
    Source(#[from] UnknownSource),
    /// A symbol that cannot be one.
    #[error("{symbol:?}: {error}")]
    Symbol {
        /// Which of them.
        symbol: String,
        /// Why.
        error: BadSymbol,
    },
    /// A depth that the chosen market does not offer.
    #[error("{market} sends book changes every {offered} ms only")]
    NotOffered {
        /// The market.
        market: &'static str,
        /// What it offers.
        offered: String,
    },
}

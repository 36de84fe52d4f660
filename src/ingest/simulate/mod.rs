//! The simulated exchange: books, orders and trades out of a seed, in Binance's words.
//!
//! Does no I/O and asks no clock: the same seed and the same calls give the same bytes. What it says
//! goes through the very parser that a live venue's messages go through.

mod fair;
mod instrument;
mod levels;
mod matching;
mod past;
mod schedule;
mod trader;
mod words;

use thiserror::Error;

pub use self::instrument::{LISTED, numbered};
pub use self::trader::{ORDERS_MOST, Touch, Trader};
use self::{instrument::Instrument, matching::Market, past::Past, schedule::Schedule};
use crate::market::{BadSymbol, Millis, check_symbol};

/// Several symbols, each with its book, and the orders that come in for them.
///
/// Invariants, of each symbol at any time:
/// - its book is never empty and never crossed;
/// - its update and trade numbers rise without a hole, and applying its diffs to any of its
///   snapshots gives its book.
#[derive(Debug)]
pub struct Exchange {
    markets: Vec<Market>,
    schedule: Schedule,
    orders: fastrand::Rng,
    past: Past,
    /// Taken from message to message.
    text: Vec<u8>,
}

impl Exchange {
    /// An exchange that opens at `start`, its books filled.
    ///
    /// # Errors
    /// [`BadExchange`] when the symbols cannot be used.
    pub fn new(config: &SimulateConfig, start: Millis) -> Result<Exchange, BadExchange> {
        if config.symbols.is_empty() {
            return Err(BadExchange::NoSymbols);
        }
        let mut orders = fastrand::Rng::with_seed(config.seed);
        let mut markets: Vec<Market> = Vec::with_capacity(config.symbols.len());
        let mut names = rustc_hash::FxHashSet::default();
        for symbol in &config.symbols {
            check_symbol(symbol).map_err(|error| BadExchange::BadSymbol { symbol: symbol.clone(), error })?;
            if !names.insert(symbol) {
                return Err(BadExchange::Twice { symbol: symbol.clone() });
            }
            markets.push(Market::open(Instrument::of(symbol), config.levels, start, &mut orders));
        }
        let schedule = Schedule::new(orders.fork(), config.rate, markets.len(), start);
        Ok(Exchange { markets, schedule, orders, past: Past::of(config), text: Vec::new() })
    }

    /// Lets everything happen that is due by `now`, and hands each message to `out`: the text of a
    /// combined stream, in a buffer that is used again for the next.
    ///
    /// The bytes do not depend on how often it is called, with one exception: what is more than
    /// [`CATCH_UP`] in the past (the process was paused) never happens, as if the exchange had
    /// stood still too, so that one call gives at most a second's worth of events. Called less often
    /// than that, it stays below its rate, and says so in [`Advanced::skipped`].
    pub fn advance(&mut self, now: Millis, mut out: impl FnMut(&mut Vec<u8>)) -> Advanced {
        let mut advanced = Advanced { events: 0, skipped: self.schedule.skip(now) };
        while let Some(due) = self.schedule.next(now) {
            self.markets[due.symbol].step(due.time, &mut self.orders);
            self.markets[due.symbol].report(due.time, &mut self.text, &mut out);
            advanced.events += 1;
        }
        advanced
    }

    /// The book of a symbol as the REST interface tells it, with all its levels; `None` where there
    /// is no such symbol.
    pub fn depth(&self, symbol: &str) -> Option<Vec<u8>> {
        let market = self.markets.iter().find(|market| market.name() == symbol)?;
        let mut out = Vec::new();
        words::depth_snapshot(market, &mut out);
        Some(out)
    }

    /// The list of symbols with their steps of price and quantity, as the REST interface tells it.
    pub fn exchange_info(&self) -> Vec<u8> {
        let mut out = Vec::new();
        words::exchange_info(&self.markets, &mut out);
        out
    }

    /// The names of the symbols.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        self.markets.iter().map(Market::name)
    }
}

/// What [`Exchange::advance`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advanced {
    /// Orders that came in; each gave a `depthUpdate`, and trades and a `bookTicker` where it made any.
    pub events: u64,
    /// Time in which nothing was let happen, because it was too long ago.
    pub skipped: Millis,
}

/// How much time one [`Exchange::advance`] makes up for.
pub const CATCH_UP: Millis = 200;

/// What is simulated.
#[derive(Clone, Debug)]
pub struct SimulateConfig {
    /// Everything follows from it.
    pub seed: u64,
    /// Their names: those of [`LISTED`] have prices and steps as one knows them, others have some
    /// that follow from the name. [`numbered`] makes any number of names.
    pub symbols: Vec<String>,
    /// Orders a second, of all symbols together. Each costs about a microsecond, and what follows
    /// from it (parsing, books, clients) more.
    pub rate: u32,
    /// About how many price levels each side of a book holds. Each costs 16 bytes, and a line in
    /// every snapshot.
    pub levels: usize,
}

impl Default for SimulateConfig {
    fn default() -> SimulateConfig {
        SimulateConfig {
            seed: 1,
            symbols: LISTED.iter().map(|listed| listed.name.to_owned()).collect(),
            // Enough that books visibly live, little enough for a laptop's fan.
            rate: 1_000,
            // What the busiest venues show within a few percent of the price.
            levels: 600,
        }
    }
}

/// Why an [`Exchange`] cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadExchange {
    /// Nothing to trade.
    #[error("the simulated exchange has no symbols: name at least one")]
    NoSymbols,
    /// A name that cannot be a symbol's.
    #[error("{symbol:?} cannot be simulated: {error}")]
    BadSymbol {
        /// The name.
        symbol: String,
        /// Why.
        error: BadSymbol,
    },
    /// A name that comes more than once.
    #[error("{symbol:?} is named twice: name it once")]
    Twice {
        /// The name.
        symbol: String,
    },
}

#[cfg(test)]
mod tests;

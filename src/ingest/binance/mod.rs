//! Binance: its four markets, their messages, and the feed that turns them into events.

mod feed;
mod heard;
mod line;
pub mod message;
mod quick;
mod statistics;

pub use feed::{Feed, LONGEST_ANSWER, LONGEST_MESSAGE};
pub use heard::{Heard, SymbolCounts, UnknownSymbols};

use crate::market::Decimal;

/// Which of the venue's exchanges: they differ in addresses and in the sequence rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Market {
    /// binance.com, spot.
    Spot,
    /// binance.us, spot.
    Us,
    /// Futures margined in USDT or USDC.
    UsdM,
    /// Futures margined in the coin itself.
    CoinM,
}

impl Market {
    /// All of them.
    pub const ALL: [Market; 4] = [Market::Spot, Market::Us, Market::UsdM, Market::CoinM];

    /// The name used in configuration and recordings.
    pub const fn name(self) -> &'static str {
        match self {
            Market::Spot => "spot",
            Market::Us => "us",
            Market::UsdM => "usdm",
            Market::CoinM => "coinm",
        }
    }

    /// What a contract of `symbol` is worth in US dollars, where quantities are contracts: 100 of
    /// bitcoin, 10 of everything else.
    fn contract_value(self, symbol: &str) -> Option<Decimal> {
        match self {
            Market::Spot | Market::Us | Market::UsdM => None,
            Market::CoinM => Some(Decimal::new(if symbol.starts_with("BTCUSD_") { 100 } else { 10 }, 0)),
        }
    }

    /// The market of that name.
    pub fn from_name(name: &str) -> Option<Market> {
        Market::ALL.into_iter().find(|market| market.name() == name)
    }
}

#[cfg(test)]
mod tests;

//! What is asked of a symbol's past: its bars and its last trades, copied out for who asks.

use std::sync::Arc;

use super::Shard;
use crate::market::{Bar, Decimal, Interval, Millis, Scale, SymbolId, Trade};

/// Which bars are asked for: the newest of those that open in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarsWanted {
    /// How long a bar is.
    pub interval: Interval,
    /// The first opening that counts.
    pub from: Millis,
    /// The first opening that no longer counts.
    pub to: Millis,
    /// At most so many, whatever the range.
    pub most: usize,
}

/// The bars of a range, and where their stream stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PastBars {
    /// How their prices are printed.
    pub scale: Scale,
    /// Names the run of numbers of [`PastBars::seq`]; empty where nothing is known of the symbol.
    pub epoch: Arc<str>,
    /// The number of the newest message of the bars' topic; what has a larger one is newer than these.
    pub seq: u64,
    /// Oldest first.
    pub bars: Vec<Bar>,
    /// Whether the last of them is still in progress.
    pub last_is_open: bool,
    /// When the newest bar before the range opened, if there is one.
    pub earlier: Option<Millis>,
}

/// A symbol's last trades, and where their stream stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PastTrades {
    /// Names the run of numbers of [`PastTrades::seq`]; empty where nothing is known of the symbol.
    pub epoch: Arc<str>,
    /// The number of the newest of them; those before it have the numbers before it.
    pub seq: u64,
    /// Oldest first, each with its price at the symbol's scale.
    pub trades: Vec<(Trade, Decimal)>,
}

impl Shard {
    /// The bars that are asked for, the one in progress among them.
    pub fn past_bars(&self, symbol: SymbolId, wanted: &BarsWanted) -> PastBars {
        let Some(state) = self.find(symbol) else { return PastBars::default() };
        let series = state.bars.series(wanted.interval);
        let bars = || series.closed().chain(series.open().copied());
        let mut found: Vec<Bar> = bars()
            .rev()
            .skip_while(|bar| bar.open_time >= wanted.to)
            .take_while(|bar| bar.open_time >= wanted.from)
            .take(wanted.most)
            .collect();
        found.reverse();
        let first = found.first().map_or(wanted.from.min(wanted.to), |bar| bar.open_time);
        let newest = found.last().map(|bar| bar.open_time);
        PastBars {
            scale: state.book.scale(),
            epoch: state.epoch.clone(),
            seq: state.klines[wanted.interval as usize].latest.seq,
            last_is_open: newest.is_some() && newest == series.open().map(|bar| bar.open_time),
            earlier: bars().rev().map(|bar| bar.open_time).find(|&open_time| open_time < first),
            bars: found,
        }
    }

    /// The newest trades, at most `most`.
    pub fn past_trades(&self, symbol: SymbolId, most: usize) -> PastTrades {
        let Some(state) = self.find(symbol) else { return PastTrades::default() };
        let scale = state.book.scale();
        let shown = |price: Decimal| price.at_scale(scale).map_or(price, |price| price.to_decimal(scale));
        let mut trades: Vec<_> =
            state.tape.iter().rev().take(most).map(|trade| (trade.clone(), shown(trade.price))).collect();
        trades.reverse();
        PastTrades { epoch: state.epoch.clone(), seq: state.tape.last_seq(), trades }
    }

    fn find(&self, symbol: SymbolId) -> Option<&super::SymbolState> {
        self.states.get(symbol.index())?.as_deref()
    }
}

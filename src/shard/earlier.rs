//! Bars of an earlier run, until their symbol is there.

use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;

use crate::market::KeptBar;

/// The bars that were kept of an earlier run. The shards share it, and each takes out what is its own
/// when a symbol begins: never on the path of an update.
#[derive(Debug, Default)]
pub struct EarlierBars(Mutex<FxHashMap<Box<str>, Vec<KeptBar>>>);

impl EarlierBars {
    /// These, of each symbol and interval the oldest first.
    pub fn new(bars: Vec<KeptBar>) -> EarlierBars {
        let mut symbols = FxHashMap::<_, Vec<_>>::default();
        for bar in bars {
            symbols.entry(bar.symbol.clone()).or_default().push(bar);
        }
        EarlierBars(Mutex::new(symbols))
    }

    /// Whether there are some of a symbol.
    pub(super) fn has(&self, symbol: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(symbol)
    }

    /// Those of a symbol, once.
    pub(super) fn take(&self, symbol: &str) -> Vec<KeptBar> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(symbol).unwrap_or_default()
    }
}

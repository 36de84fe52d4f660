//! Symbols: their names, and the small numbers that stand for them inside.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use rustc_hash::FxHashMap;
use thiserror::Error;

/// A symbol inside the engine: its place in the [`SymbolTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SymbolId(pub u32);

impl SymbolId {
    /// The place as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// All symbols known at one moment. Names are never removed and never change their number.
#[derive(Clone, Debug, Default)]
pub struct SymbolTable {
    names: Vec<Arc<str>>,
    ids: FxHashMap<Arc<str>, SymbolId>,
}

impl SymbolTable {
    /// The number of a name.
    pub fn id(&self, name: &str) -> Option<SymbolId> {
        self.ids.get(name).copied()
    }

    /// The name of a number.
    pub fn name(&self, id: SymbolId) -> Option<&Arc<str>> {
        self.names.get(id.index())
    }

    /// All symbols in the order in which they became known.
    pub fn iter(&self) -> impl Iterator<Item = (SymbolId, &Arc<str>)> {
        (0_u32..).map(SymbolId).zip(&self.names)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// The growing set of symbols, read without a lock from any thread.
#[derive(Debug)]
pub struct Symbols {
    table: ArcSwap<SymbolTable>,
    /// Adding is rare and copies the table; only writers wait for each other.
    adding: Mutex<()>,
    most: usize,
}

impl Symbols {
    /// An empty set that takes at most `most` names.
    pub fn new(most: usize) -> Symbols {
        Symbols { table: ArcSwap::default(), adding: Mutex::new(()), most }
    }

    /// Looks at the present table. The closure keeps the borrow from being held across an `.await`.
    pub fn with<R>(&self, look: impl FnOnce(&SymbolTable) -> R) -> R {
        look(&self.table.load())
    }

    /// The present table, to keep.
    pub fn table(&self) -> Arc<SymbolTable> {
        self.table.load_full()
    }

    /// The number of `name`, which becomes known if it was not.
    ///
    /// # Errors
    /// [`BadSymbol`] when the name cannot be a symbol's, or the set is full.
    pub fn add(&self, name: &str) -> Result<SymbolId, BadSymbol> {
        if let Some(id) = self.with(|table| table.id(name)) {
            return Ok(id);
        }
        check_symbol(name)?;
        let _adding = self.adding.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut table = SymbolTable::clone(&self.table.load());
        if let Some(id) = table.id(name) {
            return Ok(id);
        }
        let id = u32::try_from(table.len()).map_err(|_| BadSymbol::TooMany { most: self.most })?;
        if table.len() >= self.most {
            return Err(BadSymbol::TooMany { most: self.most });
        }
        let name: Arc<str> = name.into();
        table.names.push(name.clone());
        table.ids.insert(name, SymbolId(id));
        self.table.store(Arc::new(table));
        Ok(SymbolId(id))
    }
}

/// Whether `name` can be a symbol's: 1 to 64 bytes of text without spaces or control characters,
/// and neither `*` nor `all`, which mean every symbol.
///
/// # Errors
/// [`BadSymbol`] says what is wrong with it.
pub fn check_symbol(name: &str) -> Result<(), BadSymbol> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(BadSymbol::Length { length: name.len() });
    }
    if name == "*" || name == "all" {
        return Err(BadSymbol::Reserved);
    }
    if let Some(found) = name.chars().find(|c| c.is_control() || c.is_whitespace()) {
        return Err(BadSymbol::Character { found });
    }
    Ok(())
}

/// Why a text cannot be a symbol.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadSymbol {
    /// Empty or too long.
    #[error("a symbol has 1 to {MAX_NAME} bytes, this one {length}")]
    Length {
        /// Its length in bytes.
        length: usize,
    },
    /// `*` or `all`.
    #[error("`*` and `all` mean every symbol and cannot be one")]
    Reserved,
    /// A space or a control character.
    #[error("a symbol may not hold {found:?}")]
    Character {
        /// The first such character.
        found: char,
    },
    /// The configured number is reached.
    #[error("no more than {most} symbols (limits.symbols) are kept")]
    TooMany {
        /// That number.
        most: usize,
    },
}

const MAX_NAME: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_keeps_its_number() {
        let symbols = Symbols::new(2);
        let btc = symbols.add("BTC/USD").unwrap();
        assert_eq!(symbols.add("ETHUSDT"), Ok(SymbolId(1)));
        assert_eq!(symbols.add("BTC/USD"), Ok(btc));
        assert_eq!(symbols.add("third"), Err(BadSymbol::TooMany { most: 2 }));
        assert_eq!(
            symbols.with(|table| table.name(btc).map(|name| name.to_string())),
            Some("BTC/USD".into())
        );
    }

    #[test]
    fn names_with_spaces_controls_or_reserved_meaning_are_refused() {
        for wrong in ["", "*", "all", "BTC USD", "BTC\n", "a\u{7f}", &"x".repeat(65)] {
            assert!(check_symbol(wrong).is_err(), "{wrong:?}");
        }
        for right in ["BTCUSDT", "BTC/USD", "tETH2X:ETH", "币安USDT", "20", "raw"] {
            assert_eq!(check_symbol(right), Ok(()), "{right:?}");
        }
    }
}

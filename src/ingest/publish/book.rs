//! The order of a symbol's published books: nothing is applied twice, and no gap goes unnoticed.

use rustc_hash::FxHashMap;

use super::Rejection;
use crate::market::{BookChange, BookKind, SymbolId};

/// Where each symbol's published book stands.
#[derive(Debug, Default)]
pub struct BookOrder {
    /// The last update of a good book; `None` is one with a gap.
    last: FxHashMap<SymbolId, Option<u64>>,
}

/// What is to be done with a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes to the book.
    Apply,
    /// The book has it already.
    Ignore,
}

impl BookOrder {
    /// Judges a change, and cuts off what the book has of it.
    ///
    /// # Errors
    /// A [`Rejection`]; with code `GAP` the book is to be marked stale.
    pub fn judge(&mut self, symbol: SymbolId, change: &mut BookChange) -> Result<Verdict, Rejection> {
        if change.kind == BookKind::Snapshot {
            self.last.insert(symbol, Some(change.last_update_id));
            return Ok(Verdict::Apply);
        }
        let again = "publish a book.snapshot first";
        let last = match self.last.get(&symbol) {
            Some(Some(last)) => *last,
            Some(None) => return Err(Rejection::new("STALE_BOOK", format!("the book has a gap: {again}"))),
            None => return Err(Rejection::new("NO_SNAPSHOT", format!("there is no book yet: {again}"))),
        };
        if change.last_update_id <= last {
            return Ok(Verdict::Ignore);
        }
        if change.first_update_id > last.saturating_add(1) {
            self.last.insert(symbol, None);
            let first = change.first_update_id;
            let message =
                format!("the book stands at {last}, this begins at {first}: the book is stale, {again}");
            return Err(Rejection::new("GAP", message));
        }
        change.first_update_id = last + 1;
        self.last.insert(symbol, Some(change.last_update_id));
        Ok(Verdict::Apply)
    }
}

//! The order of a symbol's published books: nothing is applied twice, and no gap goes unnoticed.

use rustc_hash::FxHashMap;

use super::Rejection;
use crate::ingest::Sink;
use crate::market::{BookChange, BookKind, Decimal, Price, Scale, SymbolId};

/// Where each symbol's published book stands.
#[derive(Debug, Default)]
pub struct BookOrder {
    /// The last update of a good book; `None` is one with a gap.
    last: FxHashMap<SymbolId, Option<u64>>,
    reach: FxHashMap<SymbolId, Reach>,
    /// See [`Sink::lost`].
    losses_heard: u64,
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
    /// Takes note of books that could not be kept: they wait for their snapshots.
    pub fn hear_losses(&mut self, sink: &mut impl Sink) {
        while let Some(symbol) = sink.lost(&mut self.losses_heard) {
            if let Some(last) = self.last.get_mut(&symbol) {
                *last = None;
            }
        }
    }

    /// Whether a price, as a trade has it, can be held beside the others of its symbol.
    ///
    /// # Errors
    /// A [`Rejection`].
    pub fn admit(&mut self, symbol: SymbolId, price: Decimal) -> Result<(), Rejection> {
        self.reach.entry(symbol).or_default().take(std::iter::once(price))
    }

    /// Judges a change, and cuts off what the book has of it.
    ///
    /// # Errors
    /// A [`Rejection`]; with code `GAP` the book is to be marked stale.
    pub fn judge(&mut self, symbol: SymbolId, change: &mut BookChange) -> Result<Verdict, Rejection> {
        let prices = change.bids.iter().chain(&change.asks).map(|level| level.price);
        let reach = self.reach.entry(symbol).or_default();
        if change.kind == BookKind::Snapshot {
            reach.take(prices)?;
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
        // Refused as any other wrong field is: the change after it then shows the gap.
        reach.take(prices)?;
        change.first_update_id = last + 1;
        self.last.insert(symbol, Some(change.last_update_id));
        Ok(Verdict::Apply)
    }
}

/// How far the prices of a symbol reach: as many decimals as ever came, and the largest price. The
/// symbol's book keeps the same rule; here it is judged while the publisher can still be answered.
#[derive(Clone, Copy, Debug, Default)]
struct Reach {
    scale: Scale,
    largest: i64,
}

impl Reach {
    fn take(&mut self, prices: impl Iterator<Item = Decimal> + Clone) -> Result<(), Rejection> {
        let decimals = prices.clone().map(Decimal::decimals).max().unwrap_or(0);
        let scale = Scale::new(decimals).unwrap_or_default().max(self.scale);
        let most = if scale > self.scale { Price::LARGEST_RESCALED } else { i64::MAX };
        let mut largest =
            self.largest.checked_mul(self.scale.factor_to(scale)).filter(|&known| known <= most);
        for price in prices {
            let held = price.at_scale(scale).ok().map(|held| held.0.saturating_abs());
            largest = largest.zip(held.filter(|&held| held <= most)).map(|(largest, held)| largest.max(held));
            if largest.is_none() {
                let decimals = scale.decimals();
                let message = format!(
                    "price {price} and the other prices of this symbol do not fit 18 digits at {decimals} decimals"
                );
                return Err(Rejection::new("PRICE_TOO_LARGE", message));
            }
        }
        (self.scale, self.largest) = (scale, largest.unwrap_or(self.largest));
        Ok(())
    }
}

//! One symbol's book: both ladders, where the venue's numbering stands, and whether to trust it.

use thiserror::Error;

use super::Ladder;
use crate::market::{BookChange, BookKind, Decimal, Level, Price, Quantity, Scale, Side, StaleReason};

/// Bids and asks of one symbol at one scale.
///
/// Invariants: a book is [`BookStatus::Good`] only while its best bid is below its best ask and
/// every change since its snapshot was applied.
#[derive(Debug)]
pub struct Book {
    scale: Scale,
    /// The venue names the scale: prices that do not fit are off its tick.
    tick: Option<Decimal>,
    bids: Ladder,
    asks: Ladder,
    last_update_id: u64,
    time: i64,
    status: BookStatus,
    levels_most: usize,
    counts: BookCounts,
    /// The levels of the change at hand at this book's scale, bids first.
    fitted: Vec<Level>,
    /// The largest price that trades and bars were given at this scale: it must not shrink under
    /// them, and not grow until they no longer fit.
    largest_lent: Option<i64>,
}

/// Whether a book may be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookStatus {
    /// No snapshot has come yet.
    Empty,
    /// It is the venue's book.
    Good,
    /// The best bid is not below the best ask; changes go on being applied, and may heal it.
    Crossed,
    /// Something is missing; only a snapshot heals it.
    Stale(StaleReason),
}

/// What was unusual about the changes of a book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookCounts {
    /// Prices that are no multiple of the venue's tick.
    pub off_tick: u64,
    /// Levels beyond the limit that were let go.
    pub truncated: u64,
    /// Changes after which the best bid was not below the best ask.
    pub crossed: u64,
    /// Times that a price with more decimals made the scale larger.
    pub rescaled: u64,
}

/// One level that changed, as [`Book::apply`] reports it.
#[derive(Clone, Copy, Debug)]
pub struct LevelChange {
    /// On this side.
    pub side: Side,
    /// At this price.
    pub price: Price,
    /// What stood there before.
    pub before: Quantity,
}

/// Why a change was not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BookError {
    /// A price so large that the scale of this symbol cannot hold it.
    #[error("price {price} does not fit 18 digits at {decimals} decimals")]
    PriceTooLarge {
        /// The price.
        price: Decimal,
        /// The decimals that this symbol's prices are kept with.
        decimals: u8,
    },
    /// A delta for a book that has had no snapshot, or is stale.
    #[error("a delta for a book that waits for its snapshot")]
    NoSnapshot,
}

impl Book {
    /// An empty book that keeps at most `levels_most` levels a side.
    pub fn new(levels_most: usize) -> Book {
        Book {
            scale: Scale::default(),
            tick: None,
            bids: Ladder::new(Side::Bid),
            asks: Ladder::new(Side::Ask),
            last_update_id: 0,
            time: 0,
            status: BookStatus::Empty,
            levels_most,
            counts: BookCounts::default(),
            fitted: Vec::new(),
            largest_lent: None,
        }
    }

    /// Applies a change whose place in the venue's numbering was checked before.
    ///
    /// `changed` hears of each price whose quantity is another afterwards, whether a delta or a
    /// snapshot said so.
    ///
    /// # Errors
    /// [`BookError`]; the book then waits for a snapshot.
    pub fn apply(&mut self, change: &BookChange, changed: impl FnMut(LevelChange)) -> Result<(), BookError> {
        let applied = self.fit(change).and_then(|()| match change.kind {
            BookKind::Snapshot => {
                self.replace(change.bids.len(), changed);
                Ok(())
            }
            BookKind::Delta => self.change(change.bids.len(), changed),
        });
        if let Err(error) = applied {
            if self.status != BookStatus::Empty {
                self.status = BookStatus::Stale(StaleReason::Gap);
            }
            return Err(error);
        }
        self.last_update_id = change.last_update_id;
        self.time = self.time.max(change.time);
        self.status = if self.is_crossed() {
            self.counts.crossed += 1;
            BookStatus::Crossed
        } else {
            BookStatus::Good
        };
        Ok(())
    }

    /// The book is not to be trusted until the next snapshot.
    pub fn mark_stale(&mut self, reason: StaleReason) {
        if self.status != BookStatus::Empty {
            self.status = BookStatus::Stale(reason);
        }
    }

    /// The venue's tick: from now on prices have its decimals (or more, where some came already).
    pub fn set_tick(&mut self, tick: Decimal) {
        self.tick = Some(tick);
        let scale = Scale::new(tick.trimmed().decimals()).unwrap_or_default();
        // A book that nothing has come for may still take the smaller scale of its venue.
        if self.status == BookStatus::Empty && self.largest_lent.is_none() {
            self.scale = scale;
        } else if scale > self.scale {
            self.grow(scale);
        }
    }

    /// The price of a trade at this symbol's scale, which grows where it has to: to hold the value
    /// where the venue names its tick, to show all decimals that ever came where it does not.
    ///
    /// # Errors
    /// [`BookError::PriceTooLarge`]; the scale is then what it was.
    #[inline]
    pub fn price(&mut self, price: Decimal) -> Result<Price, BookError> {
        self.prices([price]).map(|[price]| price)
    }

    /// The prices of a bar, as [`Book::price`]: all of them or none.
    ///
    /// # Errors
    /// [`BookError::PriceTooLarge`]; the scale is then what it was.
    #[inline]
    pub fn prices<const N: usize>(&mut self, prices: [Decimal; N]) -> Result<[Price; N], BookError> {
        if prices.iter().any(|&price| self.held(price).is_none()) {
            let before = self.scale;
            self.make_room(prices.iter().copied())?;
            self.counts.off_tick += u64::from(self.tick.is_some() && self.scale != before);
        }
        let fitted = prices.map(|price| self.held(price).unwrap_or_default());
        for price in fitted {
            self.largest_lent = self.largest_lent.max(Some(price.0.saturating_abs()));
        }
        Ok(fitted)
    }

    /// The price at the present scale; `None` where that has to grow for it, or cannot.
    #[inline]
    fn held(&self, price: Decimal) -> Option<Price> {
        match price.at_scale(self.scale) {
            Ok(_) if self.tick.is_none() && price.decimals() > self.scale.decimals() => None,
            Ok(price) => Some(price),
            Err(_) => None,
        }
    }

    /// Makes the scale large enough for all of `prices`, or leaves it as it is: one that no change
    /// needed after all would be in the way of the prices to come.
    #[cold]
    fn make_room(&mut self, prices: impl Iterator<Item = Decimal> + Clone) -> Result<(), BookError> {
        let needed = |price: Decimal| match (self.tick, price.at_scale(self.scale)) {
            (None, _) => price.decimals(),
            (Some(_), Ok(_)) => self.scale.decimals(),
            (Some(_), Err(needed)) => needed.decimals(),
        };
        let finest = prices.clone().max_by_key(|&price| needed(price)).unwrap_or_default();
        let to = Scale::new(needed(finest)).unwrap_or_default().max(self.scale);
        let most = if to > self.scale { Price::LARGEST_RESCALED } else { i64::MAX };
        let fits = |price: Decimal| price.at_scale(to).is_ok_and(|price| price.0.saturating_abs() <= most);
        let too_large = match prices.clone().find(|&price| !fits(price)) {
            None if to == self.scale || self.grow(to) => return Ok(()),
            Some(price) if to == self.scale => price,
            Some(_) | None => finest,
        };
        Err(BookError::PriceTooLarge { price: too_large, decimals: to.decimals() })
    }

    /// How prices are printed.
    #[inline]
    pub const fn scale(&self) -> Scale {
        self.scale
    }

    /// Whether to trust it.
    pub const fn status(&self) -> BookStatus {
        self.status
    }

    /// The venue's number of the last update in it.
    pub const fn last_update_id(&self) -> u64 {
        self.last_update_id
    }

    /// The venue's time of the last update in it.
    pub const fn time(&self) -> i64 {
        self.time
    }

    /// One side.
    pub const fn side(&self, side: Side) -> &Ladder {
        match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        }
    }

    /// Best bid and best ask, of a good book.
    pub fn best(&self) -> (Option<Level>, Option<Level>) {
        match self.status {
            BookStatus::Good => (self.bids.best(), self.asks.best()),
            BookStatus::Empty | BookStatus::Crossed | BookStatus::Stale(_) => (None, None),
        }
    }

    /// What was unusual so far.
    pub const fn counts(&self) -> BookCounts {
        self.counts
    }

    /// Puts every price at this book's scale before any level is applied, so that a change is
    /// applied whole or not at all.
    fn fit(&mut self, change: &BookChange) -> Result<(), BookError> {
        if !self.fit_at_scale(change) {
            self.make_room(change.bids.iter().chain(&change.asks).map(|raw| raw.price))?;
            let fits = self.fit_at_scale(change);
            debug_assert!(fits, "there is room now");
        }
        self.count_off_tick();
        Ok(())
    }

    /// Whether all prices can be held as the scale is.
    #[inline]
    fn fit_at_scale(&mut self, change: &BookChange) -> bool {
        let mut fitted = std::mem::take(&mut self.fitted);
        fitted.clear();
        let fits = change.bids.iter().chain(&change.asks).all(|raw| match self.held(raw.price) {
            Some(price) => {
                fitted.push(Level { price, quantity: raw.quantity });
                true
            }
            None => false,
        });
        self.fitted = fitted;
        fits
    }

    fn replace(&mut self, bids: usize, mut changed: impl FnMut(LevelChange)) {
        let (bids, asks) = self.fitted.split_at(bids);
        self.bids.replace(bids, |price, before| changed(LevelChange { side: Side::Bid, price, before }));
        self.asks.replace(asks, |price, before| changed(LevelChange { side: Side::Ask, price, before }));
        self.truncate(changed);
    }

    fn change(&mut self, bids: usize, mut changed: impl FnMut(LevelChange)) -> Result<(), BookError> {
        if matches!(self.status, BookStatus::Empty | BookStatus::Stale(_)) {
            return Err(BookError::NoSnapshot);
        }
        let (bids, asks) = self.fitted.split_at(bids);
        for (ladder, levels) in [(&mut self.bids, bids), (&mut self.asks, asks)] {
            let side = ladder.side();
            for &Level { price, quantity } in levels {
                let before = ladder.set(price, quantity);
                if before != quantity {
                    changed(LevelChange { side, price, before });
                }
            }
        }
        self.truncate(changed);
        Ok(())
    }

    fn truncate(&mut self, mut changed: impl FnMut(LevelChange)) {
        for (side, ladder) in [(Side::Bid, &mut self.bids), (Side::Ask, &mut self.asks)] {
            ladder.truncate(self.levels_most, |level| {
                self.counts.truncated += 1;
                changed(LevelChange { side, price: level.price, before: level.quantity });
            });
        }
    }

    fn count_off_tick(&mut self) {
        let Some(Ok(tick)) = self.tick.map(|tick| tick.at_scale(self.scale)) else { return };
        // A tick of one unit (the usual case) needs no look at every price: the scale says it all.
        if tick.0 > 1 {
            let off = self.fitted.iter().filter(|level| level.price.0 % tick.0 != 0);
            self.counts.off_tick += off.count() as u64;
        }
    }

    fn grow(&mut self, to: Scale) -> bool {
        let factor = self.scale.factor_to(to);
        let fits = |price: i64| {
            price.checked_mul(factor).is_some_and(|grown| grown.abs() <= Price::LARGEST_RESCALED)
        };
        let levels = self.bids.iter().chain(self.asks.iter()).map(|level| level.price.0);
        if !levels.chain(self.largest_lent).all(fits) {
            return false;
        }
        self.bids.rescale(self.scale, to);
        self.asks.rescale(self.scale, to);
        self.largest_lent = self.largest_lent.map(|largest| largest * factor);
        self.counts.rescaled += u64::from(self.status != BookStatus::Empty);
        self.scale = to;
        true
    }

    fn is_crossed(&self) -> bool {
        matches!((self.bids.best(), self.asks.best()), (Some(bid), Some(ask)) if bid.price >= ask.price)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::RawLevel;

    fn change(kind: BookKind, bids: &[(&str, &str)], asks: &[(&str, &str)]) -> BookChange {
        let levels = |side: &[(&str, &str)]| {
            let level = |(price, quantity): &(&str, &str)| RawLevel {
                price: price.parse().unwrap(),
                quantity: Quantity::parse(quantity.as_bytes()).unwrap(),
            };
            side.iter().map(level).collect()
        };
        BookChange { kind, bids: levels(bids), asks: levels(asks), ..BookChange::default() }
    }

    fn shown(book: &Book, side: Side) -> Vec<String> {
        let show =
            |level: Level| format!("{} x {}", level.price.to_decimal(book.scale), level.quantity.decimal());
        book.side(side).iter().map(show).collect()
    }

    #[test]
    fn a_price_with_more_decimals_makes_the_scale_larger_for_all() {
        let mut book = Book::new(100);
        book.apply(&change(BookKind::Snapshot, &[("99.5", "1.50")], &[("100", "2")]), |_| {}).unwrap();
        assert_eq!(shown(&book, Side::Ask), ["100.0 x 2"]);
        book.apply(&change(BookKind::Delta, &[("99.75", "1")], &[]), |_| {}).unwrap();
        assert_eq!(shown(&book, Side::Bid), ["99.75 x 1", "99.50 x 1.50"]);
        assert_eq!(book.counts().rescaled, 1);
    }

    #[test]
    fn padding_behind_the_venues_tick_is_not_shown() {
        let mut book = Book::new(100);
        book.set_tick("0.01000000".parse().unwrap());
        book.apply(&change(BookKind::Snapshot, &[("61737.63000000", "0.02000000")], &[]), |_| {}).unwrap();
        assert_eq!(shown(&book, Side::Bid), ["61737.63 x 0.02000000"]);
        assert_eq!(book.counts().off_tick, 0);
    }

    #[test]
    fn the_scale_does_not_shrink_under_trades_that_came_before_the_tick() {
        let mut book = Book::new(100);
        book.price("61737.63000000".parse().unwrap()).unwrap();
        book.set_tick("0.01".parse().unwrap());
        assert_eq!(book.scale().decimals(), 8);
    }

    #[test]
    fn a_price_off_the_tick_is_kept_and_counted() {
        let mut book = Book::new(100);
        book.set_tick("0.05".parse().unwrap());
        book.apply(&change(BookKind::Snapshot, &[("1.05", "1"), ("1.03", "1")], &[("1.101", "1")]), |_| {})
            .unwrap();
        assert_eq!(shown(&book, Side::Bid), ["1.050 x 1", "1.030 x 1"]);
        assert_eq!(book.counts().off_tick, 2);
    }

    #[test]
    fn a_crossed_book_is_not_good_until_it_is_healed() {
        let mut book = Book::new(100);
        book.apply(&change(BookKind::Snapshot, &[("10", "1")], &[("11", "1")]), |_| {}).unwrap();
        book.apply(&change(BookKind::Delta, &[("11", "1")], &[]), |_| {}).unwrap();
        assert_eq!((book.status(), book.best()), (BookStatus::Crossed, (None, None)));
        book.apply(&change(BookKind::Delta, &[("11", "0")], &[]), |_| {}).unwrap();
        assert_eq!(book.status(), BookStatus::Good);
    }

    #[test]
    fn a_stale_book_takes_no_delta_and_is_healed_by_a_snapshot() {
        let mut book = Book::new(100);
        let delta = change(BookKind::Delta, &[("10", "1")], &[]);
        assert_eq!(book.apply(&delta, |_| {}), Err(BookError::NoSnapshot));
        book.apply(&change(BookKind::Snapshot, &[("9", "1")], &[]), |_| {}).unwrap();
        book.mark_stale(StaleReason::Gap);
        assert_eq!(book.apply(&delta, |_| {}), Err(BookError::NoSnapshot));
        book.apply(&change(BookKind::Snapshot, &[("8", "1")], &[]), |_| {}).unwrap();
        assert_eq!((book.status(), shown(&book, Side::Bid)), (BookStatus::Good, vec!["8 x 1".to_owned()]));
    }

    #[test]
    fn a_price_that_cannot_be_held_makes_the_book_wait_for_a_snapshot() {
        let mut book = Book::new(100);
        book.apply(&change(BookKind::Snapshot, &[("0.00000001", "1")], &[]), |_| {}).unwrap();
        let huge = change(BookKind::Delta, &[("999999999999999999", "1")], &[]);
        assert!(matches!(book.apply(&huge, |_| {}), Err(BookError::PriceTooLarge { decimals: 8, .. })));
        assert_eq!(book.status(), BookStatus::Stale(StaleReason::Gap));
    }

    #[test]
    fn a_change_that_is_refused_leaves_the_scale_as_it_was() {
        let mut book = Book::new(100);
        book.apply(&change(BookKind::Snapshot, &[("61737.63", "1")], &[("100000.00", "1")]), |_| {}).unwrap();
        let garbage = change(BookKind::Delta, &[("61737.123", "1"), ("61737.12345678901234", "1")], &[]);
        let refused =
            BookError::PriceTooLarge { price: "61737.12345678901234".parse().unwrap(), decimals: 14 };
        assert_eq!(book.apply(&garbage, |_| {}), Err(refused));
        assert!(book.price("45000.00000000000728".parse().unwrap()).is_err());
        let bar = ["1.5", "1.12345678901234", "99999.5", "1"].map(|price| price.parse().unwrap());
        assert!(book.prices(bar).is_err());
        assert_eq!(book.scale().decimals(), 2);
    }

    #[test]
    fn the_scale_does_not_grow_until_the_prices_of_trades_no_longer_fit() {
        let mut book = Book::new(100);
        book.price("95000.00".parse().unwrap()).unwrap();
        assert!(book.price("45000.00000000000728".parse().unwrap()).is_err());
        assert!(book.price("45000.0000000000072".parse().unwrap()).is_ok(), "18 digits are kept");
        assert_eq!(book.largest_lent, Some(950_000_000_000_000_000));
    }
}

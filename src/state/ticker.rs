//! A symbol's rolling 24 h statistics.

use std::collections::VecDeque;

use super::room::make_room;
use super::{Best, Traded};
use crate::market::{
    Bar, Decimal, Level, Millis, OfficialTicker, Price, Quote, RawLevel, Scale, TickerView, Total,
};

/// Statistics over the last 24 hours: exactly the 1,440 minutes that end with the present one.
///
/// Sums are kept up as minutes come and go; highest and lowest are looked up again only when a
/// minute that held one of them leaves. What a venue says itself (an [`OfficialTicker`]) stands
/// above what is computed here, but for the last price and the best bid and ask, where the newest counts.
#[derive(Debug, Default)]
pub struct Ticker {
    /// Minutes in which something was traded, oldest first.
    minutes: VecDeque<Minute>,
    /// The newest minute that the window has reached.
    newest: i64,
    volume: Total,
    quote_volume: Total,
    trades: u64,
    extremes: Option<(Price, Price)>,
    last: Option<(Price, Millis)>,
    official: OfficialTicker,
    quote: Option<Quote>,
    time: Millis,
}

#[derive(Clone, Copy, Debug)]
struct Minute {
    /// The venue told it: it holds all of its trades.
    is_the_venues: bool,
    first_time: Millis,
    last_time: Millis,
    open: Price,
    high: Price,
    low: Price,
    close: Price,
    trades: u64,
    volume: Total,
    quote_volume: Total,
}

/// What a trade, or a minute of trades, adds to the window.
struct Part {
    first_time: Millis,
    last_time: Millis,
    prices: [Price; 4],
    trades: u64,
    volume: Total,
    quote_volume: Total,
    is_the_venues: bool,
}

impl Ticker {
    /// Takes a trade in that came at `now`. One that is older than the window is left out. One that
    /// is dated far ahead counts as one of this moment: it may neither empty the window nor be the
    /// last one until its time comes.
    pub fn trade(&mut self, now: Millis, traded: &Traded) {
        let time = if traded.time > now.saturating_add(MINUTE) { now } else { traded.time };
        self.add(&Part {
            is_the_venues: false,
            first_time: time,
            last_time: time,
            prices: [traded.price; 4],
            trades: traded.count,
            volume: traded.volume,
            quote_volume: traded.quote_volume,
        });
    }

    /// Takes a closed minute of the venue's in, for symbols without a trade stream.
    pub fn minute(&mut self, bar: &Bar) {
        self.add(&Part {
            is_the_venues: true,
            first_time: bar.open_time,
            last_time: bar.close_time - 1,
            prices: [bar.open, bar.high, bar.low, bar.close],
            trades: bar.trades,
            volume: bar.volume,
            quote_volume: bar.quote_volume,
        });
    }

    fn add(&mut self, traded: &Part) {
        let number = traded.first_time.div_euclid(MINUTE);
        self.advance_to(number.max(self.newest));
        if number <= self.newest - WINDOW_MINUTES {
            return;
        }
        let [_, high, low, close] = traded.prices;
        if self.put(number, traded) {
            self.volume.add(traded.volume);
            self.quote_volume.add(traded.quote_volume);
            self.trades += traded.trades;
            if let Some((highest, lowest)) = &mut self.extremes {
                (*highest, *lowest) = ((*highest).max(high), (*lowest).min(low));
            } else {
                self.extremes = Some((high, low));
            }
        }
        if self.last.is_none_or(|(_, time)| traded.last_time >= time) {
            self.last = Some((close, traded.last_time));
            self.official.last_price = None;
        }
        self.time = self.time.max(traded.last_time);
    }

    /// Puts it into its minute; `false` where that holds it already.
    fn put(&mut self, number: i64, traded: &Part) -> bool {
        let place = self.minutes.partition_point(|minute| minute.first_time < number * MINUTE);
        match self.minutes.get_mut(place).filter(|minute| minute.first_time < (number + 1) * MINUTE) {
            Some(minute) if minute.is_the_venues => return false,
            Some(minute) => minute.merge(traded),
            None => {
                // One comes before the oldest goes.
                make_room(&mut self.minutes, MINUTES_MOST);
                self.minutes.insert(place, Minute::new(traded));
            }
        }
        true
    }

    /// Takes the venue's own best bid and ask in; `false` for one that is older than the last one, as
    /// they come while two connections overlap.
    pub fn quote(&mut self, quote: Quote) -> bool {
        let behind = self.quote.map_or(0, |known| known.update_id.saturating_sub(quote.update_id));
        if (1..OTHER_NUMBERS).contains(&behind) {
            return false;
        }
        self.time = self.time.max(quote.time.unwrap_or(0));
        self.quote = Some(quote);
        true
    }

    /// The connection ended: what the venue said last is no longer so.
    pub fn forget_quote(&mut self) {
        self.quote = None;
    }

    /// Takes the venue's own statistics in; what they do not name stays.
    pub fn official(&mut self, named: &OfficialTicker) {
        let own = &mut self.official;
        own.last_price = named.last_price.or(own.last_price);
        own.open_price = named.open_price.or(own.open_price);
        own.price_change = named.price_change.or(own.price_change);
        own.price_change_percent = named.price_change_percent.or(own.price_change_percent);
        own.high = named.high.or(own.high);
        own.low = named.low.or(own.low);
        own.volume = named.volume.or(own.volume);
        own.quote_volume = named.quote_volume.or(own.quote_volume);
        own.bid = named.bid.or(own.bid);
        own.ask = named.ask.or(own.ask);
        own.open_time = named.open_time.or(own.open_time);
        own.close_time = named.close_time.or(own.close_time);
        own.trades = named.trades.or(own.trades);
        self.time = self.time.max(named.time.unwrap_or(0));
    }

    /// Lets the minutes go that are more than 24 hours before `now`; whether there were any.
    ///
    /// A minute begins with its first moment but is only reached by the second: at midnight sharp
    /// the window is the day that ends there.
    pub fn advance(&mut self, now: Millis) -> bool {
        let before = self.minutes.len();
        self.advance_to((now - 1).div_euclid(MINUTE).max(self.newest));
        self.minutes.len() != before
    }

    /// All prices at a larger scale from now on.
    pub fn rescale(&mut self, from: Scale, to: Scale) {
        let factor = from.factor_to(to);
        let grow = |price: &mut Price| price.0 = price.0.saturating_mul(factor);
        for minute in &mut self.minutes {
            [&mut minute.open, &mut minute.high, &mut minute.low, &mut minute.close]
                .into_iter()
                .for_each(grow);
        }
        if let Some((high, low)) = &mut self.extremes {
            [high, low].into_iter().for_each(grow);
        }
        if let Some((price, _)) = &mut self.last {
            grow(price);
        }
    }

    /// Whether anything is known at all.
    pub fn is_known(&self) -> bool {
        self.last.is_some() || self.quote.is_some() || self.official != OfficialTicker::default()
    }

    /// Puts the statistics as they stand into `view`. `book` is the best bid and ask of the book
    /// and the update that made them; the quote counts where it is newer.
    pub fn fill(
        &self,
        scale: Scale,
        book: (Option<Level>, Option<Level>),
        book_update: u64,
        view: &mut TickerView,
    ) {
        let own = &self.official;
        let at_scale = |price: Price| Total::from(price.to_decimal(scale));
        let shown = |price: Decimal| price.at_scale(scale).map_or_else(|_| price.into(), at_scale);
        let open = own.open_price.map(shown).or(self.minutes.front().map(|minute| at_scale(minute.open)));
        let last = own.last_price.map(shown).or(self.last.map(|(price, _)| at_scale(price)));
        let change = own.price_change.map(shown).or_else(|| difference(last, open));
        *view = TickerView {
            last_price: last,
            open_price: open,
            price_change: change,
            official_percent: own.price_change_percent.map(Total::from),
            high: own.high.map(shown).or(self.extremes.map(|(high, _)| at_scale(high))),
            low: own.low.map(shown).or(self.extremes.map(|(_, low)| at_scale(low))),
            volume: own.volume.map(Total::from).or(Some(self.volume)),
            quote_volume: own.quote_volume.map(Total::from).or(Some(self.quote_volume)),
            quote_decimals: own.quote_volume.map_or(scale.decimals(), Decimal::decimals),
            bid: None,
            ask: None,
            open_time: own.open_time.unwrap_or((self.newest + 1 - WINDOW_MINUTES) * MINUTE),
            close_time: own.close_time.unwrap_or((self.newest + 1) * MINUTE),
            trades: own.trades.unwrap_or(self.trades),
            time: self.time,
        };
        self.best(scale, book, book_update).put_into(view);
    }

    /// The best bid and ask, which is all that is new after nearly every message. As in
    /// [`Ticker::fill`], the quote counts where it is newer than the book.
    pub fn best(&self, scale: Scale, (bid, ask): (Option<Level>, Option<Level>), book_update: u64) -> Best {
        let shown =
            |price: Decimal| price.at_scale(scale).map_or(price, |at_scale| at_scale.to_decimal(scale));
        let raw = |level: RawLevel| (shown(level.price), level.quantity);
        let level = |level: Level| (level.price.to_decimal(scale), level.quantity);
        // Also where the book is not good: what it told last must not come back older.
        let newer = |quote: &Quote| quote.update_id > book_update;
        let (bid, ask) = match self.quote.filter(newer) {
            Some(quote) => (Some(raw(quote.bid)), Some(raw(quote.ask))),
            None => {
                (bid.map(level).or(self.official.bid.map(raw)), ask.map(level).or(self.official.ask.map(raw)))
            }
        };
        Best { bid, ask, time: self.time }
    }

    fn advance_to(&mut self, newest: i64) {
        self.newest = newest;
        let oldest = newest + 1 - WINDOW_MINUTES;
        let mut lost_extreme = false;
        while let Some(minute) = self.minutes.front().filter(|minute| minute.first_time < oldest * MINUTE) {
            lost_extreme |= self.extremes.is_some_and(|(high, low)| minute.high == high || minute.low == low);
            self.volume.subtract(minute.volume);
            self.quote_volume.subtract(minute.quote_volume);
            self.trades -= minute.trades;
            self.minutes.pop_front();
        }
        if lost_extreme {
            let prices = self.minutes.iter().map(|minute| (minute.high, minute.low));
            self.extremes = prices.reduce(|(high, low), (h, l)| (high.max(h), low.min(l)));
        }
    }
}

impl Minute {
    fn new(traded: &Part) -> Minute {
        let [open, high, low, close] = traded.prices;
        Minute {
            is_the_venues: traded.is_the_venues,
            first_time: traded.first_time,
            last_time: traded.last_time,
            open,
            high,
            low,
            close,
            trades: traded.trades,
            volume: traded.volume,
            quote_volume: traded.quote_volume,
        }
    }

    fn merge(&mut self, traded: &Part) {
        let [open, high, low, close] = traded.prices;
        if traded.first_time < self.first_time {
            (self.open, self.first_time) = (open, traded.first_time);
        }
        if traded.last_time >= self.last_time {
            (self.close, self.last_time) = (close, traded.last_time);
        }
        self.high = self.high.max(high);
        self.low = self.low.min(low);
        self.trades += traded.trades;
        self.volume.add(traded.volume);
        self.quote_volume.add(traded.quote_volume);
    }
}

fn difference(last: Option<Total>, open: Option<Total>) -> Option<Total> {
    let mut change = last?;
    change.subtract(open?);
    Some(change)
}

const MINUTE: Millis = 60_000;

/// A quote that is so many updates older than the last one is of another run of numbers. Connections
/// that overlap are seconds apart, and futures, whose symbols share their numbers, counted eighty
/// thousand a second in the recorded session.
const OTHER_NUMBERS: u64 = 1_000_000_000;

const WINDOW_MINUTES: i64 = 24 * 60;

/// Those of the window, and the next.
const MINUTES_MOST: usize = 24 * 60 + 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::market::Quantity;

    fn trade(time: Millis, price: i64, quantity: i64) -> Traded {
        let (price, quantity) = (Decimal::new(price, 2), Quantity::new(Decimal::new(quantity, 1)).unwrap());
        Traded {
            time,
            price: Price(price.mantissa()),
            count: 1,
            volume: quantity.into(),
            quote_volume: Total::product(price, quantity),
            taker_bought: true,
        }
    }

    fn view(ticker: &Ticker) -> TickerView {
        let mut view = TickerView::default();
        ticker.fill(Scale::new(2).unwrap(), (None, None), 0, &mut view);
        view
    }

    fn text(total: Option<Total>) -> String {
        total.map_or_else(|| "none".into(), |total| total.to_string())
    }

    #[test]
    fn the_venues_own_word_stands_above_the_computed_and_the_newest_price_above_both() {
        let mut ticker = Ticker::default();
        ticker.trade(1_000, &trade(1_000, 10_000, 10));
        ticker.official(&OfficialTicker {
            last_price: Some("101.5".parse().unwrap()),
            high: Some("120".parse().unwrap()),
            ..OfficialTicker::default()
        });
        assert_eq!(
            (text(view(&ticker).last_price), text(view(&ticker).high)),
            ("101.50".into(), "120.00".into())
        );
        ticker.trade(2_000, &trade(2_000, 11_000, 10));
        let after = view(&ticker);
        assert_eq!((text(after.last_price), text(after.high)), ("110.00".into(), "120.00".into()));
        assert_eq!(text(after.price_change_percent()), "10.00");
        assert_eq!(after.close_time - after.open_time, 86_400_000);
    }

    #[test]
    fn a_trade_dated_ahead_neither_empties_the_window_nor_stays_the_last_one() {
        let mut ticker = Ticker::default();
        let now = 3 * 86_400_000;
        ticker.trade(now, &trade(now - 1_000, 10_000, 10));
        ticker.trade(now, &trade(now + 23 * 3_600_000, 50_000, 10));
        assert_eq!((view(&ticker).trades, text(view(&ticker).last_price)), (2, "500.00".into()));
        ticker.trade(now + 1, &trade(now, 10_100, 10));
        assert_eq!((view(&ticker).trades, text(view(&ticker).last_price)), (3, "101.00".into()));
        assert!(view(&ticker).close_time <= now + MINUTE && view(&ticker).time <= now);
    }

    #[test]
    fn a_trade_of_a_minute_that_the_venue_told_is_in_it_already() {
        let mut ticker = Ticker::default();
        let price = Price(10_000);
        let (volume, quote_volume) = (Total::from(Decimal::new(5, 0)), Total::from(Decimal::new(500, 0)));
        let (open_time, close_time) = (0, MINUTE);
        let bar = Bar {
            open_time,
            close_time,
            open: price,
            high: price,
            low: price,
            close: price,
            trades: 5,
            volume,
            quote_volume,
            ..Bar::default()
        };
        ticker.minute(&bar);
        ticker.trade(MINUTE, &trade(MINUTE - 1, 10_100, 10));
        ticker.trade(MINUTE, &trade(MINUTE, 10_200, 10));
        let seen = view(&ticker);
        assert_eq!(
            (seen.trades, text(seen.volume), text(seen.last_price)),
            (6, "6.0".into(), "102.00".into())
        );
    }

    #[test]
    fn an_older_quote_replaces_none_and_is_not_told_in_the_place_of_a_book() {
        let quote = |update_id, bid: &str| Quote {
            update_id,
            bid: RawLevel { price: bid.parse().unwrap(), quantity: Quantity::ZERO },
            ask: RawLevel { price: "200".parse().unwrap(), quantity: Quantity::ZERO },
            time: None,
        };
        let mut ticker = Ticker::default();
        assert!(ticker.quote(quote(OTHER_NUMBERS + 10, "1")), "some other run of numbers");
        assert!(ticker.quote(quote(10, "100")) && !ticker.quote(quote(9, "99")));
        let bid = |ticker: &Ticker, book_update| {
            let best = ticker.best(Scale::new(2).unwrap(), (None, None), book_update);
            best.bid.map(|(price, _)| price.to_string())
        };
        assert_eq!(bid(&ticker, 9), Some("100.00".into()));
        assert_eq!(bid(&ticker, 10), None, "the book, which is stale now, had told as much");
        ticker.forget_quote();
        assert_eq!(bid(&ticker, 0), None);
        assert!(ticker.quote(quote(3, "98")), "a new connection may tell what the last one told");
    }

    #[test]
    fn nothing_known_is_nothing_said() {
        let ticker = Ticker::default();
        assert!(!ticker.is_known());
        assert_eq!((view(&ticker).last_price, view(&ticker).price_change_percent()), (None, None));
    }

    proptest! {
        #[test]
        fn the_window_is_the_sum_of_its_minutes(
            steps in proptest::collection::vec((0_i64..6 * 3_600_000, -600_000_i64..1, 1_i64..50, 1_i64..9), 1..60),
        ) {
            let mut ticker = Ticker::default();
            let mut all: Vec<(Millis, i64, i64)> = Vec::new();
            let (mut now, mut newest) = (0, 0);
            for (forward, late, price, quantity) in steps {
                now += forward;
                let time = (now + late).max(0);
                newest = newest.max(time.div_euclid(MINUTE)).max((now - 1).div_euclid(MINUTE));
                ticker.advance(now);
                ticker.trade(now, &trade(time, price, quantity));
                all.push((time, price, quantity));
                let inside = all.iter().filter(|(time, ..)| time.div_euclid(MINUTE) > newest - WINDOW_MINUTES);
                let mut inside: Vec<_> = inside.collect();
                let volume: i64 = inside.iter().map(|(.., quantity)| quantity).sum();
                let quote: i64 = inside.iter().map(|(_, price, quantity)| price * quantity).sum();
                let seen = view(&ticker);
                prop_assert_eq!(seen.trades, inside.len() as u64);
                prop_assert_eq!(seen.volume, Some(Total::from(Decimal::new(volume, 1))));
                prop_assert_eq!(seen.quote_volume, Some(Total::from(Decimal::new(quote, 3))));
                let price = |of: Option<&i64>| of.map(|&price| Total::from(Decimal::new(price, 2)));
                prop_assert_eq!(seen.high, price(inside.iter().map(|(_, price, _)| price).max()));
                prop_assert_eq!(seen.low, price(inside.iter().map(|(_, price, _)| price).min()));
                inside.sort_by_key(|(time, ..)| *time);
                prop_assert_eq!(seen.open_price, price(inside.first().map(|(_, price, _)| price)));
            }
        }
    }
}

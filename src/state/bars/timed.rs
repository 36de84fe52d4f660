//! One bar with what is needed to take trades in that come out of order.

use super::Traded;
use crate::market::{Bar, Interval, Millis, Price, Total};

/// A bar and when its first and last trade happened, so that late trades find their place. Of a bar
/// that the venue told nobody knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timed {
    pub(super) bar: Bar,
    pub(super) first: Millis,
    pub(super) last: Millis,
}

impl Timed {
    /// No trade yet.
    pub(super) const NOTHING: Timed = Timed { bar: Bar::NOTHING, first: Millis::MAX, last: Millis::MIN };

    pub(super) fn begin(interval: Interval, open_time: Millis, trade: &Traded) -> Timed {
        let mut timed = Timed::flat(interval, open_time, trade.price);
        timed.trade(trade);
        timed
    }

    pub(super) fn flat(interval: Interval, open_time: Millis, price: Price) -> Timed {
        let close_time = interval.close_time(open_time);
        let bar = Bar {
            open_time,
            close_time,
            open: price,
            high: price,
            low: price,
            close: price,
            ..Bar::default()
        };
        Timed { bar, first: Millis::MAX, last: Millis::MIN }
    }

    /// A bar of the venue's, or several as one.
    pub(super) fn of_venue(interval: Interval, open_time: Millis, mut bar: Bar) -> Timed {
        (bar.open_time, bar.close_time) = (open_time, interval.close_time(open_time));
        Timed { bar, ..Timed::NOTHING }
    }

    /// Whether the venue told it: it has trades, and none of them came here.
    pub(super) const fn is_the_venues(&self) -> bool {
        self.bar.trades > 0 && self.first > self.last
    }

    pub(super) const fn spans(&self, time: Millis) -> bool {
        self.bar.open_time <= time && time < self.bar.close_time
    }

    /// Takes in what happened in a part of this bar's time, as if each trade of it had come here.
    pub(super) fn take_in(&mut self, part: &Timed) {
        if part.bar.trades == 0 {
            return;
        }
        if self.bar.trades == 0 {
            (self.bar.open, self.bar.high, self.bar.low) = (part.bar.open, part.bar.high, part.bar.low);
            (self.first, self.last) = (Millis::MAX, Millis::MIN);
        }
        let bar = &mut self.bar;
        if part.first < self.first {
            (bar.open, self.first) = (part.bar.open, part.first);
        }
        if part.last >= self.last {
            (bar.close, self.last) = (part.bar.close, part.last);
        }
        bar.high = bar.high.max(part.bar.high);
        bar.low = bar.low.min(part.bar.low);
        bar.add_sums(&part.bar);
    }

    pub(super) fn flatten(&mut self, price: Price) {
        let bar = &mut self.bar;
        (bar.open, bar.high, bar.low, bar.close) = (price, price, price, price);
    }

    pub(super) fn trade(&mut self, trade: &Traded) {
        if self.bar.trades == 0 {
            self.flatten(trade.price);
        }
        let bar = &mut self.bar;
        if trade.time < self.first {
            (bar.open, self.first) = (trade.price, trade.time);
        }
        if trade.time >= self.last {
            (bar.close, self.last) = (trade.price, trade.time);
        }
        bar.high = bar.high.max(trade.price);
        bar.low = bar.low.min(trade.price);
        bar.trades += trade.count;
        bar.volume.add(trade.volume);
        bar.quote_volume.add(trade.quote_volume);
        if trade.taker_bought {
            bar.taker_volume.add(trade.volume);
            bar.taker_quote_volume.add(trade.quote_volume);
        }
    }
}

impl Bar {
    const NOTHING: Bar = Bar {
        open_time: 0,
        close_time: 0,
        open: Price(0),
        high: Price(0),
        low: Price(0),
        close: Price(0),
        trades: 0,
        volume: Total::ZERO,
        quote_volume: Total::ZERO,
        taker_volume: Total::ZERO,
        taker_quote_volume: Total::ZERO,
    };

    /// This bar and the one right after it as one.
    pub(super) fn followed_by(&self, next: &Bar) -> Bar {
        let mut whole = *self;
        whole.close_time = next.close_time;
        whole.high = self.high.max(next.high);
        whole.low = self.low.min(next.low);
        whole.close = next.close;
        whole.add_sums(next);
        whole
    }

    pub(super) fn add_sums(&mut self, other: &Bar) {
        self.trades += other.trades;
        self.volume.add(other.volume);
        self.quote_volume.add(other.quote_volume);
        self.taker_volume.add(other.taker_volume);
        self.taker_quote_volume.add(other.taker_quote_volume);
    }

    pub(super) fn rescale(&mut self, factor: i64) {
        for price in [&mut self.open, &mut self.high, &mut self.low, &mut self.close] {
            price.0 = price.0.saturating_mul(factor);
        }
    }
}

//! Trades and the venue's own bars: what they make of bars, statistics and the tape.

use tracing::warn;

use super::{Old, SymbolState, Turn};
use crate::coalesce::Offer;
use crate::market::{
    Bar, BarKind, Decimal, Interval, Millis, Scale, SourceBar, SymbolId, Topic, Total, Trade, Update,
    UpdateBody,
};
use crate::shard::topics::KlineTopic;
use crate::shard::{BarsClose, Class, Outlet};
use crate::state::{BarChange, Bars, Traded};

impl SymbolState {
    pub(super) fn trade<O: Outlet>(&mut self, trade: Trade, turn: &mut Turn<'_, O>) {
        let scale = self.book.scale();
        let live = matches!(turn.config.bars_close, BarsClose::After(_));
        let in_time = is_plausible(trade.time) && !(live && trade.time.abs_diff(turn.now) > DAY);
        // A trade that is refused for its time must not make the scale grow.
        let price = if in_time { self.book.price(trade.price).ok() } else { None };
        let Some(price) = price else {
            self.counts.trades_refused += 1;
            if self.counts.trades_refused.is_power_of_two() {
                let refused = self.counts.trades_refused;
                warn!(symbol = &*self.name, price = %trade.price, time = trade.time, refused, "a trade was refused");
            }
            return;
        };
        if self.follow_scale(scale) {
            self.show_books_anew(turn);
        }
        let traded = Traded {
            time: trade.time,
            price,
            count: trade.count.into(),
            volume: trade.quantity.into(),
            quote_volume: Total::product(price.to_decimal(self.book.scale()), trade.quantity),
            taker_bought: trade.taker == Some(crate::market::Side::Bid),
        };
        self.feed_bars(turn, |bars, mut hear| bars.trade(&traded, &mut hear));
        self.ticker.trade(&traded);
        self.send_trade(trade, price.to_decimal(self.book.scale()), turn);
        self.ticker_changed(Old::Whole, turn);
    }

    fn send_trade<O: Outlet>(&mut self, trade: Trade, price: Decimal, turn: &mut Turn<'_, O>) {
        if self.trades.is_empty() {
            self.tape.push(trade, turn.now);
            return;
        }
        let topic = Topic::Trades { symbol: self.id };
        let update = Update {
            topic,
            symbol: &self.name,
            scale: self.book.scale(),
            epoch: &self.epoch,
            seq: self.tape.last_seq() + 1,
            taken_in: turn.now,
            body: UpdateBody::Trade { trade: &trade, price },
        };
        self.trades.send(topic, Class::Lossless, &update, turn.out);
        self.tape.push(trade, turn.now);
    }

    pub(super) fn source_bar<O: Outlet>(&mut self, bar: &SourceBar, turn: &mut Turn<'_, O>) {
        let scale = self.book.scale();
        let prices = [bar.open, bar.high, bar.low, bar.close].map(|price| self.book.price(price));
        if self.follow_scale(scale) {
            self.show_books_anew(turn);
        }
        let ([Ok(_), Ok(_), Ok(_), Ok(_)], true) = (prices, is_plausible(bar.open_time)) else {
            self.counts.bars_left_out += 1;
            return;
        };
        // Read again at the scale that holds all four.
        let at_scale = |price: Decimal| price.at_scale(self.book.scale()).unwrap_or_default();
        let whole = Bar {
            open_time: bar.open_time,
            close_time: bar.interval.close_time(bar.open_time),
            open: at_scale(bar.open),
            high: at_scale(bar.high),
            low: at_scale(bar.low),
            close: at_scale(bar.close),
            trades: bar.trades,
            volume: bar.volume.into(),
            quote_volume: bar.quote_volume.into(),
            taker_volume: bar.taker_volume.into(),
            taker_quote_volume: bar.taker_quote_volume.into(),
        };
        let mut used = false;
        self.feed_bars(turn, |bars, mut hear| {
            used = bars.source_bar(bar.interval, &whole, bar.closed, &mut hear);
        });
        if !used {
            self.counts.bars_left_out += 1;
        } else if bar.closed && bar.interval == Interval::M1 && bar.trades > 0 {
            self.ticker.minute(&whole);
            self.ticker_changed(Old::Whole, turn);
        }
    }

    /// Closes the bars whose time is over at `time`.
    pub(in crate::shard) fn advance_bars<O: Outlet>(&mut self, time: Millis, turn: &mut Turn<'_, O>) {
        self.feed_bars(turn, |bars, mut hear| bars.advance(time, &mut hear));
    }

    /// Lets `feed` change the bars, tells of closed and corrected ones at once and of open ones as
    /// their throttles allow.
    fn feed_bars<O: Outlet>(
        &mut self,
        turn: &mut Turn<'_, O>,
        feed: impl FnOnce(&mut Bars, &mut dyn FnMut(BarChange<'_>)),
    ) {
        let (klines, names) = (&mut self.klines, (&*self.name, &*self.epoch, self.id, self.book.scale()));
        let mut changed = [false; Interval::ALL.len()];
        feed(&mut self.bars, &mut |change| match change {
            BarChange::Open(interval) => changed[interval as usize] = true,
            BarChange::Closed(interval, bar) => {
                let kline = &mut klines[interval as usize];
                let seq = kline.close(turn.config.bars_kept);
                send_bar(kline, names, seq, bar, BarKind::Closed, turn);
                turn.out.closed(names.0, names.3, interval, bar);
            }
            BarChange::Corrected(interval, bar) => {
                let kline = &mut klines[interval as usize];
                let seq = kline.correct(bar.open_time, turn.config.bars_kept);
                send_bar(kline, names, seq, bar, BarKind::Correction, turn);
                turn.out.closed(names.0, names.3, interval, bar);
            }
        });
        for interval in Interval::ALL.into_iter().filter(|&interval| changed[interval as usize]) {
            let latest = &mut self.klines[interval as usize].latest;
            if !latest.interest.is_empty() {
                match latest.throttle.offer(turn.now) {
                    Offer::Now => self.send_open_bar(interval, false, turn),
                    Offer::At(tick) => turn.due.push(tick, Topic::Kline { symbol: self.id, interval }),
                    Offer::Waiting => {}
                }
            }
        }
    }

    pub(super) fn send_open_bar<O: Outlet>(
        &mut self,
        interval: Interval,
        on_tick: bool,
        turn: &mut Turn<'_, O>,
    ) {
        let names = (&*self.name, &*self.epoch, self.id, self.book.scale());
        let kline = &mut self.klines[interval as usize];
        if let Some(bar) = self.bars.series(interval).open() {
            kline.latest.throttle.mark_sent(turn.now, on_tick);
            kline.latest.seq += 1;
            let seq = kline.latest.seq;
            send_bar(kline, names, seq, bar, BarKind::Open, turn);
        }
    }
}

/// Whether a source's time is one that can be reckoned with: before the year 10000.
pub(in crate::shard) fn is_plausible(time: Millis) -> bool {
    (0..253_402_300_800_000).contains(&time)
}

fn send_bar<O: Outlet>(
    kline: &KlineTopic,
    (symbol, epoch, id, scale): (&str, &str, SymbolId, Scale),
    seq: u64,
    bar: &Bar,
    kind: BarKind,
    turn: &mut Turn<'_, O>,
) {
    let interval = kline.interval;
    let topic = Topic::Kline { symbol: id, interval };
    let body = UpdateBody::Kline { interval, bar, kind };
    let update = Update { topic, symbol, scale, epoch, seq, taken_in: turn.now, body };
    let class = if kind == BarKind::Open { Class::Conflated } else { Class::Lossless };
    kline.latest.interest.send(topic, class, &update, turn.out);
}

const DAY: u64 = 86_400_000;

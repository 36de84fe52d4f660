//! A symbol's statistics: how others see them, and when they are told.

use super::{Old, SymbolState, Turn};
use crate::coalesce::Offer;
use crate::market::{Speed, TickerView, Topic, Update, UpdateBody};
use crate::shard::{Class, Outlet};
use crate::state::Best;

impl SymbolState {
    /// Its statistics as they stand.
    pub fn ticker(&mut self) -> &TickerView {
        match std::mem::take(&mut self.view_is_old) {
            Old::Nothing => {}
            Old::Best => self.best().put_into(&mut self.view),
            Old::Whole => {
                let book = &self.book;
                self.ticker.fill(book.scale(), book.best(), book.last_update_id(), &mut self.view);
                self.view.time = self.view.time.max(book.time());
            }
        }
        &self.view
    }

    fn best(&self) -> Best {
        let mut best = self.ticker.best(self.book.scale(), self.book.best(), self.book.last_update_id());
        best.time = best.time.max(self.book.time());
        best
    }

    /// Lets others see them.
    pub(super) fn publish_ticker(&mut self) {
        let best = self.best();
        match std::mem::take(&mut self.published_is_old) {
            Old::Nothing | Old::Best => self.ticker_cell.publish_best(&best),
            Old::Whole => {
                self.ticker();
                self.ticker_cell.publish(&self.view, &best);
            }
        }
    }

    /// Lets what is older than a day leave the statistics.
    pub(in crate::shard) fn advance_ticker<O: Outlet>(&mut self, turn: &mut Turn<'_, O>) {
        if self.ticker.advance(turn.now) {
            self.ticker_changed(Old::Whole, turn);
        }
    }

    pub(super) fn ticker_changed<O: Outlet>(&mut self, old: Old, turn: &mut Turn<'_, O>) {
        self.touched.ticker = true;
        self.view_is_old = self.view_is_old.max(old);
        self.published_is_old = self.published_is_old.max(old);
        for speed in Speed::ALL {
            let latest = &mut self.tickers[speed as usize];
            if !latest.interest.is_empty() {
                match latest.throttle.offer(turn.now) {
                    Offer::Now => self.send_ticker(speed, false, turn),
                    Offer::At(tick) => turn.due.push(tick, Topic::Ticker { symbol: self.id, speed }),
                    Offer::Waiting => {}
                }
            }
        }
    }

    pub(super) fn send_ticker<O: Outlet>(&mut self, speed: Speed, on_tick: bool, turn: &mut Turn<'_, O>) {
        self.ticker();
        let latest = &mut self.tickers[speed as usize];
        latest.throttle.mark_sent(turn.now, on_tick);
        latest.seq += 1;
        let price_changed =
            std::mem::replace(&mut latest.price, self.view.last_price) != self.view.last_price;
        let topic = Topic::Ticker { symbol: self.id, speed };
        let update = Update {
            topic,
            symbol: &self.name,
            scale: self.book.scale(),
            epoch: &self.epoch,
            seq: latest.seq,
            taken_in: turn.now,
            body: UpdateBody::Ticker { ticker: &self.view, first: false, price_changed },
        };
        latest.interest.send(topic, Class::Conflated, &update, turn.out);
    }
}

//! When a symbol's statistics are told.

use super::{Old, SymbolState, Turn};
use crate::coalesce::Offer;
use crate::market::{Speed, Topic, Update, UpdateBody};
use crate::shard::{Class, Outlet};

impl SymbolState {
    /// Lets what is older than a day leave the statistics.
    pub(in crate::shard) fn advance_ticker<O: Outlet>(&mut self, turn: &mut Turn<'_, O>) {
        if self.ticker.advance(turn.now) {
            self.ticker_changed(Old::Whole, turn);
        }
    }

    pub(super) fn ticker_changed<O: Outlet>(&mut self, old: Old, turn: &mut Turn<'_, O>) {
        (self.touched.ticker, self.view_is_old) = (true, self.view_is_old.max(old));
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

//! What happens in a storm: two symbols' books and trades, holes in their numbering among them.

use fastrand::Rng;

use crate::market::{
    BookChange, BookKind, Decimal, Event, Millis, Quantity, RawLevel, Side, StaleReason, SymbolId, Trade,
    TradeId,
};

/// Makes events of one symbol up, in the order in which a venue would send them.
pub(super) struct Maker {
    pub(super) symbol: SymbolId,
    last_id: u64,
    trades: u64,
    /// Decimals of prices. They grow once in a while, and then the book begins anew.
    decimals: u8,
    is_stale: bool,
}

impl Maker {
    pub(super) fn new(symbol: SymbolId) -> Maker {
        Maker { symbol, last_id: 0, trades: 0, decimals: 1, is_stale: true }
    }

    pub(super) fn next(&mut self, now: Millis, random: &mut Rng) -> Event {
        match random.u32(0..1_000) {
            _ if self.is_stale && random.u8(0..8) == 0 => self.snapshot(now, random),
            0..4 => {
                self.is_stale = true;
                Event::Stale(StaleReason::Gap)
            }
            4..8 => self.snapshot(now, random),
            8 if self.decimals < 4 => {
                self.decimals += 1;
                self.delta(now, random)
            }
            8..600 => self.delta(now, random),
            _ => self.trade(now, random),
        }
    }

    /// The market goes on as usual, however the storm has left it.
    pub(super) fn heal(&mut self, now: Millis, random: &mut Rng) -> Event {
        self.snapshot(now, random)
    }

    fn snapshot(&mut self, now: Millis, random: &mut Rng) -> Event {
        self.is_stale = false;
        self.last_id += random.u64(1..10);
        let mut side = |first: i64, step: i64| -> Vec<_> {
            (0..LEVELS).map(|at| self.level(first + step * at, random.i64(1..100_000))).collect()
        };
        let (bids, asks) = (side(MID - 1, -1), side(MID + 1, 1));
        self.book(BookKind::Snapshot, self.last_id, now, bids, asks)
    }

    /// One to four levels, mostly near the best, a third of them removals.
    fn delta(&mut self, now: Millis, random: &mut Rng) -> Event {
        let first = self.last_id + 1;
        self.last_id = first + random.u64(0..3);
        let (mut bids, mut asks) = (Vec::new(), Vec::new());
        for _ in 0..random.u8(1..5) {
            let furthest = if random.bool() { 8 } else { LEVELS };
            let distance = random.i64(1..furthest);
            let quantity = if random.u8(0..3) == 0 { 0 } else { random.i64(1..100_000) };
            match random.bool() {
                true => bids.push(self.level(MID - distance, quantity)),
                false => asks.push(self.level(MID + distance, quantity)),
            }
        }
        self.book(BookKind::Delta, first, now, bids, asks)
    }

    fn book(
        &self,
        kind: BookKind,
        first_update_id: u64,
        time: Millis,
        bids: Vec<RawLevel>,
        asks: Vec<RawLevel>,
    ) -> Event {
        let last_update_id = self.last_id;
        Event::Book(Box::new(BookChange { kind, first_update_id, last_update_id, time, bids, asks }))
    }

    fn level(&self, price: i64, quantity: i64) -> RawLevel {
        let finer = 10_i64.pow(u32::from(self.decimals) - 1);
        let price = Decimal::new(price * finer + i64::from(self.decimals > 1), self.decimals);
        RawLevel { price, quantity: Quantity::new(Decimal::new(quantity, 3)).unwrap() }
    }

    fn trade(&mut self, time: Millis, random: &mut Rng) -> Event {
        self.trades += 1;
        let RawLevel { price, quantity } = self.level(MID + random.i64(-5..5), random.i64(1..10_000));
        let taker = Some(if random.bool() { Side::Bid } else { Side::Ask });
        Event::Trade(Trade { id: TradeId::Number(self.trades), price, quantity, taker, time, count: 1 })
    }
}

/// Prices move around here, with one decimal at first.
const MID: i64 = 5_000;

const LEVELS: i64 = 24;

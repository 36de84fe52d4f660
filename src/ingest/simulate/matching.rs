//! One simulated symbol: its book, the orders that come in, and the trades that they make.

use super::{
    fair::Fair,
    instrument::Instrument,
    levels::{Levels, Resting},
    words::Words,
};
use crate::market::{Millis, Side};

/// One symbol's book and numbers.
///
/// Invariants: each side always holds at least [`FLOOR`] levels, and the best bid is below the best
/// ask.
#[derive(Debug)]
pub(super) struct Market {
    pub(super) instrument: Instrument,
    pub(super) bids: Levels,
    pub(super) asks: Levels,
    pub(super) last_update: u64,
    fair: Fair,
    aim: usize,
    usual_lots: i64,
    usual_distance: i64,
    span: i64,
    words: Words,
    /// What the last order did.
    did: Did,
}

/// What one order did. Its buffers are used again.
#[derive(Debug, Default)]
pub(super) struct Did {
    /// The first number of its changes.
    pub(super) first_update: u64,
    /// What then rested at the prices that changed.
    pub(super) bids: Vec<Resting>,
    pub(super) asks: Vec<Resting>,
    /// What was traded, in order.
    pub(super) trades: Vec<Resting>,
    pub(super) first_trade: u64,
    pub(super) taker_sold: bool,
    quote: Option<[Resting; 2]>,
}

impl Market {
    /// A market whose books are filled, with about `aim` levels a side.
    pub(super) fn open(instrument: Instrument, aim: usize, start: Millis, rng: &mut fastrand::Rng) -> Market {
        let mut market = Market {
            bids: Levels::new(Side::Bid),
            asks: Levels::new(Side::Ask),
            last_update: FIRST_NUMBER,
            fair: Fair::new(instrument.ticks, start),
            aim: aim.max(2 * FLOOR),
            usual_lots: instrument.usual_lots(),
            usual_distance: instrument.usual_distance(),
            span: instrument.span(),
            words: Words::new(&instrument.name),
            did: Did { first_trade: FIRST_NUMBER, ..Did::default() },
            instrument,
        };
        market.fill(Side::Bid, -1, rng);
        market.fill(Side::Ask, 1, rng);
        market
    }

    /// Fills a side: next to the price what it always keeps, then as its orders will come in.
    fn fill(&mut self, side: Side, away: i64, rng: &mut fastrand::Rng) {
        let middle = self.fair.ticks();
        let mut ticks = middle;
        for _ in 0..FLOOR {
            ticks += away;
            let lots = self.lots(rng);
            self.side(side).add(ticks, lots);
        }
        // Where the ticks are coarse there may be fewer prices than levels are aimed at.
        for _ in 0..8 * self.aim {
            if self.side(side).len() >= self.aim {
                break;
            }
            let ticks = middle + away * (1 + far(rng, self.usual_distance, self.span));
            let lots = self.lots(rng);
            self.side(side).add(ticks, lots);
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.instrument.name
    }

    /// Lets one order come in: placed, cancelled, or taking what rests on the other side.
    pub(super) fn step(&mut self, now: Millis, rng: &mut fastrand::Rng) {
        let before = [self.bids.best(), self.asks.best()];
        self.did.begin(self.last_update);
        self.fair.walk(now, before[0].ticks, before[1].ticks, rng);
        match self.choose(rng) {
            Order::Place(side) => self.place(side, rng),
            Order::Cancel { side, rank } => self.cancel(side, rank, rng),
            Order::Take(side) => self.take(side, rng),
        }
        let changes = self.did.bids.len() + self.did.asks.len();
        self.last_update += changes as u64;
        let after = [self.bids.best(), self.asks.best()];
        self.did.quote = (after != before).then_some(after);
        debug_assert!(self.bids.best().ticks < self.asks.best().ticks);
        debug_assert!(self.bids.len() >= FLOOR && self.asks.len() >= FLOOR && changes > 0);
    }

    /// Puts what the last order did into words: its trades, the change of the book, and the best bid
    /// and ask where they are others now.
    pub(super) fn report(&mut self, now: Millis, text: &mut Vec<u8>, out: &mut impl FnMut(&mut Vec<u8>)) {
        let steps = (self.instrument.tick, self.instrument.lot);
        for trade in 0..self.did.trades.len() {
            text.clear();
            self.words.trade(&self.did, trade, steps, now, text);
            out(text);
        }
        self.did.first_trade += self.did.trades.len() as u64;
        text.clear();
        self.words.depth_update(&self.did, self.last_update, steps, now, text);
        out(text);
        if let Some([bid, ask]) = self.did.quote {
            text.clear();
            self.words.quote(self.last_update, bid, ask, steps, text);
            out(text);
        }
    }

    fn choose(&mut self, rng: &mut fastrand::Rng) -> Order {
        let fair = self.fair.ticks();
        let left_behind = if fair > self.asks.best().ticks {
            Some(Side::Ask)
        } else if fair < self.bids.best().ticks {
            Some(Side::Bid)
        } else {
            None
        };
        if self.is_wide() {
            let bid_is_further = fair - self.bids.best().ticks > self.asks.best().ticks - fair;
            return Order::Place(if bid_is_further { Side::Bid } else { Side::Ask });
        }
        let order = match (left_behind, rng.u32(..100)) {
            (Some(side), 0..35) => Order::Take(side),
            (Some(side), 35..70) => Order::Cancel { side, rank: 0 },
            (_, 94..100) => Order::Take(any_side(rng)),
            (_, _) => {
                let side = any_side(rng);
                // The fuller the side, the more is cancelled: half and half at the aim.
                let levels = self.side(side).len();
                if rng.usize(..2 * self.aim) >= levels {
                    Order::Place(side)
                } else if rng.bool() {
                    Order::Cancel { side, rank: rng.usize(..levels) }
                } else {
                    let near = usize::try_from(far(rng, 4, 64)).unwrap_or(0);
                    Order::Cancel { side, rank: near.min(levels - 1) }
                }
            }
        };
        match order {
            Order::Take(side) | Order::Cancel { side, .. } if self.side(side).len() <= FLOOR => {
                Order::Place(side)
            }
            Order::Place(_) | Order::Take(_) | Order::Cancel { .. } => order,
        }
    }

    fn place(&mut self, side: Side, rng: &mut fastrand::Rng) {
        let (bid, ask) = (self.bids.best().ticks, self.asks.best().ticks);
        let fair = self.fair.ticks();
        let lots = self.lots(rng);
        // Into the spread, on the best level, about the price, or anywhere: the last keeps the book deep.
        let gap = (ask - bid).min(self.usual_distance);
        let (from_best, from_fair) = match rng.u32(..10) {
            0 => (Some(-rng.i64(0..gap)), 0),
            1 => (Some(0), 0),
            6.. if !self.is_wide() => (None, rng.i64(0..self.span)),
            _ => (None, far(rng, self.usual_distance, self.span)),
        };
        // Never across.
        let ticks = match side {
            Side::Bid => from_best.map_or(fair - from_fair, |away| bid - away).clamp(1, ask - 1),
            Side::Ask => from_best.map_or(fair + from_fair, |away| ask + away).max(bid + 1),
        };
        let level = self.side(side).add(ticks, lots);
        self.did.changed(side, level);
    }

    fn cancel(&mut self, side: Side, rank: usize, rng: &mut fastrand::Rng) {
        // Three of four cancel all that is there.
        let lots = if rng.u8(..4) == 0 { self.lots(rng) } else { i64::MAX };
        let (_, left) = self.side(side).take(rank, lots);
        self.did.changed(side, left);
    }

    /// An order that takes what rests on `side`, level by level.
    fn take(&mut self, side: Side, rng: &mut fastrand::Rng) {
        let mut lots = self.lots(rng);
        if rng.u8(..8) == 0 {
            let levels = match side {
                Side::Bid => &self.bids,
                Side::Ask => &self.asks,
            };
            let swept = levels.iter().take(rng.usize(1..MOST_SWEPT));
            lots += swept.map(|level| level.lots).sum::<i64>();
        }
        // Whoever takes has a limit too: coarse or thin books would jump by percents otherwise.
        let first = self.side(side).best().ticks;
        self.did.taker_sold = side == Side::Bid;
        for _ in 0..MOST_SWEPT {
            let moved = (self.side(side).best().ticks - first).abs();
            if lots == 0 || moved > 2 * self.usual_distance || self.side(side).len() <= FLOOR {
                break;
            }
            let (taken, left) = self.side(side).take(0, lots);
            lots -= taken;
            self.did.trades.push(Resting { ticks: left.ticks, lots: taken });
            self.did.changed(side, left);
        }
    }

    /// Whether the spread wants closing before anything else.
    fn is_wide(&self) -> bool {
        self.asks.best().ticks - self.bids.best().ticks > 2 * self.usual_distance
    }

    fn lots(&self, rng: &mut fastrand::Rng) -> i64 {
        1 + far(rng, self.usual_lots, self.usual_lots * 500)
    }

    fn side(&mut self, side: Side) -> &mut Levels {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }
}

impl Did {
    fn begin(&mut self, last_update: u64) {
        self.first_update = last_update + 1;
        self.bids.clear();
        self.asks.clear();
        self.trades.clear();
    }

    fn changed(&mut self, side: Side, level: Resting) {
        match side {
            Side::Bid => self.bids.push(level),
            Side::Ask => self.asks.push(level),
        }
    }
}

/// What an order does; `Take` names the side that is taken from.
#[derive(Clone, Copy)]
enum Order {
    Place(Side),
    Cancel { side: Side, rank: usize },
    Take(Side),
}

fn any_side(rng: &mut fastrand::Rng) -> Side {
    if rng.bool() { Side::Bid } else { Side::Ask }
}

/// A number from 0 up, mostly below `usual`, with a heavy tail that ends before `most`: each
/// threefold is half as likely.
fn far(rng: &mut fastrand::Rng, usual: i64, most: i64) -> i64 {
    let threefolds = rng.u32(..).trailing_ones().min(12);
    let reach = (usual * 3_i64.pow(threefolds)).clamp(1, most);
    rng.i64(0..reach)
}

/// What a side keeps, whatever is cancelled and taken.
pub(super) const FLOOR: usize = 10;

/// The most levels that one order takes from.
const MOST_SWEPT: usize = 12;

/// Numbers begin above it: a client that keeps them in too small a type is found out at once.
const FIRST_NUMBER: u64 = 50_000_000_000;

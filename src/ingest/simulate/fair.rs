//! What a simulated symbol is worth: a bounded random walk with trends, which its orders follow.

use crate::market::Millis;

/// The price that a symbol drifts to, in 256ths of a tick.
#[derive(Clone, Debug)]
pub(super) struct Fair {
    at: i64,
    home: i64,
    trend: i64,
    trend_left: u32,
    stepped: Millis,
}

impl Fair {
    pub(super) fn new(ticks: i64, start: Millis) -> Fair {
        let at = ticks * FINE;
        Fair { at, home: at, trend: 0, trend_left: 0, stepped: start }
    }

    /// In whole ticks.
    pub(super) fn ticks(&self) -> i64 {
        self.at / FINE
    }

    /// Walks on until `now`. It never leaves the book far behind: where few orders come in, the price
    /// moves little too. (Held to the spread and not to its middle, which one thin side would drag.)
    pub(super) fn walk(&mut self, now: Millis, bid: i64, ask: i64, rng: &mut fastrand::Rng) {
        let mut steps = 0;
        while self.stepped + STEP <= now {
            self.stepped += STEP;
            steps += 1;
            if steps <= MOST_STEPS {
                self.step(rng);
            }
        }
        let leash = (bid * FINE / 2_000).max(4 * FINE);
        self.at = self.at.clamp(bid * FINE - leash, ask * FINE + leash);
        self.at = self.at.clamp(self.home / 2, self.home * 2);
    }

    fn step(&mut self, rng: &mut fastrand::Rng) {
        // The sum of two even draws, whose deviation is 0.8 of `reach`: two basis points in a second
        // of twenty steps, a wild day of a large coin, so that a chart has something to show.
        let reach = (self.at / 18_000).max(1);
        let noise = rng.i64(-reach..=reach) + rng.i64(-reach..=reach);
        if self.trend_left > 0 {
            self.trend_left -= 1;
        } else if rng.u32(..TREND_ODDS) == 0 {
            self.trend = rng.i64(-reach / 2..=reach / 2);
            self.trend_left = rng.u32(100..600);
        } else {
            self.trend = 0;
        }
        self.at += noise + self.trend + (self.home - self.at) / HOMESICK;
    }
}

/// Parts of a tick, so that coarse ticks still drift.
const FINE: i64 = 256;

/// Time between two steps.
const STEP: Millis = 50;

/// Steps that are made up for after a silence.
const MOST_STEPS: u32 = 100;

/// A trend begins about every half minute.
const TREND_ODDS: u32 = 600;

/// Of the way home, the part that is gone in a step: half of it in about ten minutes.
const HOMESICK: i64 = 16_384;

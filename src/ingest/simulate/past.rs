//! What the simulated exchange says it traded before it opened, so that a chart has a past.

use super::Exchange;
use super::instrument::Instrument;
use crate::market::{Decimal, Millis, Quantity, Side, Trade, TradeId};

impl Exchange {
    /// The trades of the `minutes` before `now` of each symbol, oldest first, leading up to the
    /// price at which it opened. The same seed gives the same ones, and the exchange does not change.
    pub fn past(&self, minutes: usize, now: Millis, mut out: impl FnMut(&str, Trade)) {
        let mut random = fastrand::Rng::with_seed(self.past.seed ^ PAST);
        for market in &self.markets {
            for trade in
                walk_back(&market.instrument, self.past.orders, minutes, now, &mut random).into_iter().rev()
            {
                out(&market.instrument.name, trade);
            }
        }
    }
}

/// What the past follows from.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) seed: u64,
    /// So many orders of the market stand behind one trade of the past, so that it was as lively.
    pub(super) orders: i64,
}

impl Past {
    pub(super) fn of(config: &super::SimulateConfig) -> Past {
        let symbols = i64::try_from(config.symbols.len()).unwrap_or(1).max(1);
        Past { seed: config.seed, orders: (i64::from(config.rate) * 60 / 4 / symbols).max(1) }
    }
}

/// From the opening price backwards: a random walk looks the same from both ends.
fn walk_back(
    instrument: &Instrument,
    orders: i64,
    minutes: usize,
    now: Millis,
    random: &mut fastrand::Rng,
) -> Vec<Trade> {
    let first_minute = now.div_euclid(MINUTE) - Millis::try_from(minutes).unwrap_or(0);
    let reach = (instrument.ticks / WILDNESS).max(1);
    let (mut ticks, mut trend) = (instrument.ticks, 0);
    let mut trades = Vec::with_capacity(minutes * A_MINUTE.len());
    for minute in (first_minute..now.div_euclid(MINUTE)).rev() {
        if random.u32(..TREND_ODDS) == 0 {
            trend = random.i64(-reach / 4..=reach / 4);
        }
        for offset in A_MINUTE.iter().rev() {
            let step = random.i64(-reach..=reach) + random.i64(-reach..=reach) + trend;
            // Large steps trade more, and now and then somebody trades a lot.
            let push = 1 + step.abs() * 4 / reach + i64::from(random.u32(..20) == 0) * random.i64(1..20);
            let lots = (instrument.usual_lots() * orders * random.i64(5..60) * push / 100).max(1);
            let id = TradeId::Text(format!("past-{minute}-{offset}").into());
            trades.extend(Quantity::new(exact(lots, instrument.lot)).map(|quantity| Trade {
                id,
                price: exact(ticks, instrument.tick),
                quantity,
                taker: Some(if step < 0 { Side::Bid } else { Side::Ask }),
                time: minute * MINUTE + offset,
                count: 1,
            }));
            ticks = (ticks + step).clamp(instrument.ticks / 2, instrument.ticks * 2);
        }
    }
    trades
}

/// So many steps of `10^-8` each.
fn exact(steps: i64, step: i64) -> Decimal {
    Decimal::new(steps * step, 8).trimmed()
}

const MINUTE: Millis = 60_000;

/// When in a minute something was traded: enough for a body and two wicks.
const A_MINUTE: [Millis; 4] = [2_000, 17_000, 32_000, 55_000];

/// Of the price, the part that one draw of a step reaches: a quarter of a minute's share of a lively day.
const WILDNESS: i64 = 3_000;

/// A trend lasts about half an hour.
const TREND_ODDS: u32 = 30;

/// Sets the draws of the past apart from those of the market.
const PAST: u64 = 0x7061_7374;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::simulate::SimulateConfig;

    #[test]
    fn the_past_ends_where_the_market_opens_and_follows_from_the_seed() {
        let now = 1_732_000_012_345;
        let past = |seed| {
            let exchange = Exchange::new(&SimulateConfig { seed, ..SimulateConfig::default() }, now).unwrap();
            let mut trades = Vec::new();
            exchange.past(90, now, |symbol, trade| trades.push((symbol.to_owned(), trade)));
            trades
        };
        let trades = past(3);
        assert_eq!(trades, past(3));
        assert_ne!(trades, past(4));
        let bitcoin: Vec<_> = trades.iter().filter(|(symbol, _)| symbol == "BTCUSDT").collect();
        assert_eq!(bitcoin.len(), 90 * 4);
        assert!(bitcoin.windows(2).all(|two| two[0].1.time < two[1].1.time));
        assert_eq!(bitcoin.last().unwrap().1.price.to_string(), "60000");
        assert!(bitcoin.iter().all(|(_, trade)| (now - 91 * MINUTE..now).contains(&trade.time)));
    }
}

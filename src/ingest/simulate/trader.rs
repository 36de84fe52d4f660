//! A trader on the simulated exchange: its orders, fills and balances, as a publisher would tell of them.
//!
//! Its orders rest in no book and move no price: they fill as far as the best level of the other side
//! reaches. Knows no socket and asks no clock; the same seed and the same looks give the same account.

use serde_json::{Value, json};

use crate::market::{Decimal, Level, Millis, Price, Scale, Side};

/// An account and what its owner does with it.
///
/// Invariants: nothing is negative; what is locked is what the open orders hold; there are at most
/// [`ORDERS_MOST`] of them, and each ends at its time at the latest.
#[derive(Debug)]
pub struct Trader {
    user: String,
    quote: Funds,
    pairs: Vec<Pair>,
    orders: Vec<Order>,
    rng: fastrand::Rng,
    /// Numbers that were given out.
    last_order: u64,
    last_fill: u64,
    next_order: Millis,
    said: Vec<String>,
}

/// The best prices of a market.
#[derive(Clone, Copy, Debug)]
pub struct Touch {
    /// How its prices are written.
    pub scale: Scale,
    /// The best bid.
    pub bid: Level,
    /// The best ask.
    pub ask: Level,
}

/// A symbol that is traded.
#[derive(Debug)]
struct Pair {
    symbol: String,
    /// What is bought and sold.
    asset: String,
    /// `None` before its prices were seen.
    market: Option<PairMarket>,
}

/// A quantity has so many decimals that price times quantity has [`QUOTE_DECIMALS`].
#[derive(Debug)]
struct PairMarket {
    scale: Scale,
    decimals: u8,
    funds: Funds,
}

/// What there is of an asset, in its smallest unit.
#[derive(Clone, Copy, Debug, Default)]
struct Funds {
    free: i64,
    /// What open orders hold.
    locked: i64,
}

#[derive(Debug)]
struct Order {
    number: u64,
    pair: usize,
    side: Side,
    price: Price,
    quantity: i64,
    filled: i64,
    placed: Millis,
    until: Millis,
}

impl Trader {
    /// A trader in these symbols, each of which ends in `USDT`, with nothing yet.
    pub fn new(user: &str, symbols: &[&str], seed: u64) -> Trader {
        let pair = |symbol: &&str| Pair {
            symbol: (*symbol).to_owned(),
            asset: symbol.strip_suffix(QUOTE).unwrap_or(symbol).to_owned(),
            market: None,
        };
        Trader {
            user: user.to_owned(),
            quote: Funds { free: START_QUOTE, locked: 0 },
            pairs: symbols.iter().map(pair).collect(),
            orders: Vec::new(),
            rng: fastrand::Rng::with_seed(seed),
            last_order: 0,
            last_fill: 0,
            next_order: 0,
            said: Vec::new(),
        }
    }

    /// Looks at the markets and acts. What happened to the account comes back as objects to publish,
    /// in order; `touch` gives the best prices of a symbol where it has good ones.
    pub fn look(&mut self, now: Millis, touch: impl Fn(&str) -> Option<Touch>) -> Vec<String> {
        let touches: Vec<_> = self.pairs.iter().map(|pair| touch(&pair.symbol)).collect();
        for (pair, touch) in touches.iter().enumerate() {
            if let Some(touch) = touch.filter(|touch| self.knows(pair, touch)) {
                self.fill(now, pair, &touch);
            }
        }
        self.cancel_old(now);
        if now >= self.next_order && self.orders.len() < ORDERS_MOST {
            let pair = self.rng.usize(..self.pairs.len());
            if let Some(touch) = touches[pair].filter(|touch| self.knows(pair, touch)) {
                self.next_order = now + self.rng.i64(BETWEEN_ORDERS);
                self.place(now, pair, &touch);
            }
        }
        debug_assert!(self.quote.free >= 0 && self.quote.locked >= 0);
        std::mem::take(&mut self.said)
    }

    /// Whether the market is one of before or can be begun with. One whose prices are written with
    /// other decimals than before is left alone.
    fn knows(&mut self, pair: usize, touch: &Touch) -> bool {
        if let Some(market) = &self.pairs[pair].market {
            return market.scale == touch.scale;
        }
        let Some(decimals) = QUOTE_DECIMALS.checked_sub(touch.scale.decimals()) else { return false };
        let funds = Funds { free: START_WORTH / touch.bid.price.0.max(1), locked: 0 };
        if self.pairs.iter().all(|pair| pair.market.is_none()) {
            self.say_quote();
        }
        self.pairs[pair].market = Some(PairMarket { scale: touch.scale, decimals, funds });
        self.say_asset(pair);
        true
    }

    fn place(&mut self, now: Millis, pair: usize, touch: &Touch) {
        let side = if self.rng.bool() { Side::Bid } else { Side::Ask };
        let (own, other, away) = match side {
            Side::Bid => (touch.bid.price.0, touch.ask.price.0, -1),
            Side::Ask => (touch.ask.price.0, touch.bid.price.0, 1),
        };
        // Half of the orders want to be filled now, the others wait for the price to come to them.
        let ticks = if self.rng.bool() {
            other
        } else {
            own + away * self.rng.i64(0..=(own / PATIENT_DISTANCE).max(2))
        };
        let quantity = (self.rng.i64(ORDER_WORTH) / ticks.max(1)).max(1);
        let Some(market) = &mut self.pairs[pair].market else { return };
        let enough = match side {
            Side::Bid => self.quote.lock(ticks.saturating_mul(quantity)),
            Side::Ask => market.funds.lock(quantity),
        };
        if !enough {
            return;
        }
        self.last_order += 1;
        let until = now + self.rng.i64(ORDER_LIFE);
        let (number, price) = (self.last_order, Price(ticks));
        let order = Order { number, pair, side, price, quantity, filled: 0, placed: now, until };
        self.say_order(now, "order.created", "NEW", &order, None);
        self.orders.push(order);
        self.say_side(pair, side);
    }

    /// Fills the orders of a market that the other side's best price has reached.
    fn fill(&mut self, now: Millis, pair: usize, touch: &Touch) {
        for mut order in std::mem::take(&mut self.orders) {
            let best = match order.side {
                Side::Bid => touch.ask,
                Side::Ask => touch.bid,
            };
            let reached = order.pair == pair && order.side.rank(order.price, best.price).is_le();
            if reached && order.placed < now {
                self.fill_one(now, &mut order, &best);
            }
            if order.filled < order.quantity {
                self.orders.push(order);
            }
        }
    }

    fn fill_one(&mut self, now: Millis, order: &mut Order, best: &Level) {
        let Some(market) = &mut self.pairs[order.pair].market else { return };
        // Others want some of it too.
        let offered = units(best.quantity.decimal(), market.decimals) * self.rng.i64(20..=60) / 100;
        let filled = offered.clamp(1, order.quantity - order.filled);
        let (at, worth) = (best.price.0, best.price.0 * filled);
        match order.side {
            Side::Bid => {
                // It held its own price, and pays the better one.
                self.quote.locked -= order.price.0 * filled;
                self.quote.free += order.price.0 * filled - worth;
                market.funds.free += filled;
            }
            Side::Ask => {
                market.funds.locked -= filled;
                self.quote.free += worth;
            }
        }
        order.filled += filled;
        self.last_fill += 1;
        let (event, status) = match order.filled == order.quantity {
            true => ("order.filled", "FILLED"),
            false => ("order.partially_filled", "PARTIALLY_FILLED"),
        };
        self.say_order(now, event, status, order, Some(at));
        self.say_fill(now, order, at, filled);
        self.say_asset(order.pair);
        self.say_quote();
    }

    fn cancel_old(&mut self, now: Millis) {
        for order in std::mem::take(&mut self.orders) {
            if now < order.until {
                self.orders.push(order);
                continue;
            }
            let left = order.quantity - order.filled;
            match (order.side, &mut self.pairs[order.pair].market) {
                (Side::Bid, _) => self.quote.unlock(order.price.0 * left),
                (Side::Ask, Some(market)) => market.funds.unlock(left),
                (Side::Ask, None) => {}
            }
            self.say_order(now, "order.cancelled", "CANCELLED", &order, None);
            self.say_side(order.pair, order.side);
        }
    }

    fn say_order(&mut self, now: Millis, event: &str, status: &str, order: &Order, filled_at: Option<i64>) {
        let pair = &self.pairs[order.pair];
        let Some(market) = &pair.market else { return };
        let price = |ticks: i64| Price(ticks).to_decimal(market.scale).to_string();
        let mut data = json!({
            "orderId": format!("demo-{}", order.number), "symbol": pair.symbol, "side": name(order.side),
            "type": "LIMIT", "status": status, "price": price(order.price.0),
            "quantity": market.text(order.quantity), "filledQuantity": market.text(order.filled),
            "createdAt": order.placed, "time": now,
        });
        if let Some(at) = filled_at {
            data["filledPrice"] = price(at).into();
        }
        self.say(event, data);
    }

    fn say_fill(&mut self, now: Millis, order: &Order, at: i64, filled: i64) {
        let pair = &self.pairs[order.pair];
        let Some(market) = &pair.market else { return };
        let data = json!({
            "tradeId": format!("demo-{}", self.last_fill), "orderId": format!("demo-{}", order.number),
            "symbol": pair.symbol, "side": name(order.side), "quantity": market.text(filled),
            "price": Price(at).to_decimal(market.scale).to_string(), "time": now,
        });
        self.say("trade.executed", data);
    }

    /// The balance that an order of this side holds.
    fn say_side(&mut self, pair: usize, side: Side) {
        match side {
            Side::Bid => self.say_quote(),
            Side::Ask => self.say_asset(pair),
        }
    }

    fn say_quote(&mut self) {
        self.say_balance(QUOTE.to_owned(), self.quote, QUOTE_DECIMALS);
    }

    fn say_asset(&mut self, pair: usize) {
        let pair = &self.pairs[pair];
        let Some(PairMarket { decimals, funds, .. }) = pair.market else { return };
        self.say_balance(pair.asset.clone(), funds, decimals);
    }

    fn say_balance(&mut self, currency: String, funds: Funds, decimals: u8) {
        let text = |units| Decimal::new(units, decimals).trimmed().to_string();
        let total = text(funds.free + funds.locked);
        let data = json!({
            "currency": currency, "free": text(funds.free), "locked": text(funds.locked), "total": total,
        });
        self.say("balance.updated", data);
    }

    fn say(&mut self, event: &str, data: Value) {
        self.said.push(json!({"type": event, "userId": self.user, "data": data}).to_string());
    }
}

impl Funds {
    /// Holds so much of it, where there is as much.
    fn lock(&mut self, units: i64) -> bool {
        let enough = units <= self.free;
        if enough {
            self.free -= units;
            self.locked += units;
        }
        enough
    }

    fn unlock(&mut self, units: i64) {
        self.locked -= units;
        self.free += units;
    }
}

impl PairMarket {
    fn text(&self, units: i64) -> String {
        Decimal::new(units, self.decimals).trimmed().to_string()
    }
}

/// A number in units of `10^-decimals`, what is smaller left out.
fn units(number: Decimal, decimals: u8) -> i64 {
    let ten = |power: u8| 10_i64.saturating_pow(power.into());
    match decimals.checked_sub(number.decimals()) {
        Some(more) => number.mantissa().saturating_mul(ten(more)),
        None => number.mantissa() / ten(number.decimals() - decimals),
    }
}

const fn name(side: Side) -> &'static str {
    match side {
        Side::Bid => "BUY",
        Side::Ask => "SELL",
    }
}

/// What prices are in.
const QUOTE: &str = "USDT";
const QUOTE_DECIMALS: u8 = 8;

/// What it begins with, in units of [`QUOTE_DECIMALS`]: 50,000, and 10,000 worth of each asset.
const START_QUOTE: i64 = 50_000 * 100_000_000;
const START_WORTH: i64 = 10_000 * 100_000_000;

/// What an order is worth: more than a usual level holds, so that many fill in parts.
const ORDER_WORTH: std::ops::Range<i64> = 300 * 100_000_000..3_000 * 100_000_000;

/// A patient order lies at most one part in so many from the price.
const PATIENT_DISTANCE: i64 = 5_000;

/// Orders that are open at once.
pub const ORDERS_MOST: usize = 6;

/// Milliseconds from an order to the next, and for how long one waits.
const BETWEEN_ORDERS: std::ops::Range<i64> = 600..2_400;
const ORDER_LIFE: std::ops::Range<i64> = 12_000..40_000;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::market::Quantity;

    fn decimal(value: &Value) -> i128 {
        let decimal = Decimal::parse(value.as_str().unwrap().as_bytes()).unwrap();
        i128::from(decimal.mantissa()) * 10_i128.pow(u32::from(12 - decimal.decimals()))
    }

    /// Two markets whose prices wander.
    struct Markets {
        rng: fastrand::Rng,
        middles: BTreeMap<&'static str, (i64, u8)>,
    }

    impl Markets {
        fn walk(&mut self) {
            for (middle, _) in self.middles.values_mut() {
                *middle += self.rng.i64(-*middle / 2_000..=*middle / 2_000);
            }
        }

        fn touch(&self, symbol: &str) -> Option<Touch> {
            let (middle, decimals) = *self.middles.get(symbol)?;
            let level = |price, lots| Level {
                price: Price(price),
                quantity: Quantity::new(Decimal::new(lots, 3)).unwrap(),
            };
            let scale = Scale::new(decimals).unwrap();
            Some(Touch { scale, bid: level(middle - 1, 40), ask: level(middle + 1, 70) })
        }
    }

    /// Lets a trader trade for five minutes; everything that it said, in order.
    fn five_minutes(seed: u64) -> Vec<(String, Value)> {
        let middles = [("BTCUSDT", (6_000_000, 2)), ("DOGEUSDT", (12_000, 5))].into();
        let mut markets = Markets { rng: fastrand::Rng::with_seed(seed), middles };
        let mut trader = Trader::new("ann", &["BTCUSDT", "DOGEUSDT"], seed);
        let mut said = Vec::new();
        for now in (0..300_000).step_by(200) {
            markets.walk();
            for text in trader.look(now, |symbol| markets.touch(symbol)) {
                let object: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(object["userId"], "ann");
                said.push((object["type"].as_str().unwrap().to_owned(), object["data"].clone()));
            }
        }
        said
    }

    #[test]
    fn orders_are_opened_filled_in_parts_and_ended_and_nothing_happens_to_others() {
        let mut open: BTreeMap<String, Value> = BTreeMap::new();
        let mut ends: BTreeMap<String, usize> = BTreeMap::new();
        for (event, data) in five_minutes(1) {
            let Some(event) = event.strip_prefix("order.") else { continue };
            let id = data["orderId"].as_str().unwrap().to_owned();
            let (filled, quantity) = (decimal(&data["filledQuantity"]), decimal(&data["quantity"]));
            *ends.entry(event.to_owned()).or_default() += 1;
            match event {
                "created" => {
                    assert_eq!(filled, 0);
                    assert!(open.insert(id, data).is_none());
                    assert!(open.len() <= ORDERS_MOST);
                }
                "partially_filled" => {
                    let before = open.insert(id, data).unwrap();
                    assert!(decimal(&before["filledQuantity"]) < filled && filled < quantity);
                }
                "filled" => assert!(open.remove(&id).is_some() && filled == quantity),
                "cancelled" => assert!(open.remove(&id).is_some() && filled < quantity),
                _ => panic!("{event}"),
            }
        }
        for event in ["created", "partially_filled", "filled", "cancelled"] {
            assert!(ends.get(event).is_some_and(|count| *count >= 5), "{ends:?}");
        }
    }

    #[test]
    fn balances_are_what_was_there_and_what_the_fills_moved() {
        for seed in 1..20 {
            let (mut last, mut first, mut moved) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
            for (event, data) in five_minutes(seed) {
                if event == "balance.updated" {
                    let currency = data["currency"].as_str().unwrap().to_owned();
                    let [free, locked, total] =
                        ["free", "locked", "total"].map(|field| decimal(&data[field]));
                    assert!(free >= 0 && locked >= 0 && free + locked == total, "{data}");
                    first.entry(currency.clone()).or_insert(total);
                    last.insert(currency, total);
                } else if event == "trade.executed" {
                    let (price, quantity) = (decimal(&data["price"]), decimal(&data["quantity"]));
                    let sign = if data["side"] == "BUY" { 1 } else { -1 };
                    let asset = data["symbol"].as_str().unwrap().strip_suffix(QUOTE).unwrap().to_owned();
                    *moved.entry(asset).or_default() += sign * quantity;
                    let worth = price * quantity / 10_i128.pow(12);
                    *moved.entry(QUOTE.to_owned()).or_insert(0) -= sign * worth;
                }
            }
            for (currency, total) in last {
                let moved = moved.get(&currency).copied().unwrap_or_default();
                assert_eq!(total - first[&currency], moved, "{currency}, seed {seed}");
            }
        }
    }

    #[test]
    fn a_market_without_good_prices_is_left_alone() {
        let mut trader = Trader::new("ann", &["BTCUSDT"], 1);
        assert!((0..100).all(|look| trader.look(look * 1_000, |_| None).is_empty()));
    }
}

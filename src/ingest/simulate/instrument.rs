//! What is traded on the simulated exchange: names, prices, and the steps of price and quantity.

use std::hash::Hasher;

/// A symbol with prices as one knows them. Numbers are in units of `10^-8`.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    /// The symbol.
    pub name: &'static str,
    /// Its price at the opening, in ticks.
    pub ticks: i64,
    /// The step of a price.
    pub tick: i64,
    /// The step of a quantity.
    pub lot: i64,
}

/// The symbols of the default exchange, the busiest first.
pub const LISTED: [Listed; 8] = [
    Listed { name: "BTCUSDT", ticks: 6_000_000, tick: 1_000_000, lot: 1_000 },
    Listed { name: "ETHUSDT", ticks: 300_000, tick: 1_000_000, lot: 10_000 },
    Listed { name: "SOLUSDT", ticks: 15_000, tick: 1_000_000, lot: 100_000 },
    Listed { name: "BNBUSDT", ticks: 60_000, tick: 1_000_000, lot: 100_000 },
    Listed { name: "XRPUSDT", ticks: 6_000, tick: 10_000, lot: 10_000_000 },
    Listed { name: "DOGEUSDT", ticks: 12_000, tick: 1_000, lot: 100_000_000 },
    Listed { name: "ADAUSDT", ticks: 4_000, tick: 10_000, lot: 10_000_000 },
    Listed { name: "LINKUSDT", ticks: 1_400, tick: 1_000_000, lot: 1_000_000 },
];

/// `SIM0001USDT`, `SIM0002USDT` …, as many as are asked for.
pub fn numbered(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("SIM{number:04}USDT")).collect()
}

/// One symbol's terms.
#[derive(Clone, Debug)]
pub(super) struct Instrument {
    pub(super) name: String,
    /// Price at the opening, in ticks.
    pub(super) ticks: i64,
    /// In units of `10^-8`, as is `lot`.
    pub(super) tick: i64,
    pub(super) lot: i64,
}

impl Instrument {
    /// The terms of a listed symbol, or some that follow from the name: 20.00 to 1000.00, in cents.
    pub(super) fn of(name: &str) -> Instrument {
        if let Some(listed) = LISTED.iter().find(|listed| listed.name == name) {
            return Instrument {
                name: name.to_owned(),
                ticks: listed.ticks,
                tick: listed.tick,
                lot: listed.lot,
            };
        }
        let mut hasher = rustc_hash::FxHasher::default();
        hasher.write(name.as_bytes());
        let ticks = 2_000 + (hasher.finish() % 98_000).cast_signed();
        Instrument { name: name.to_owned(), ticks, tick: 1_000_000, lot: 100_000 }
    }

    /// A usual order: worth about 300 of the quote asset.
    pub(super) fn usual_lots(&self) -> i64 {
        let lot_value = self.ticks * self.tick / 10_000 * self.lot / 10_000;
        (30_000_000_000 / lot_value.max(1)).max(1)
    }

    /// How far from the best price a usual order lies, in ticks.
    pub(super) fn usual_distance(&self) -> i64 {
        (self.ticks / 100_000).max(2)
    }

    /// How far from the price an order may lie, in ticks: two percent, or what gives some hundred
    /// levels where the ticks are coarse.
    pub(super) fn span(&self) -> i64 {
        (self.ticks / 50).max(1_200).min(self.ticks / 4)
    }

    /// The names of the two assets, where the symbol shows them.
    pub(super) fn assets(&self) -> (&str, &str) {
        match self.name.strip_suffix(QUOTE) {
            Some(base) if !base.is_empty() => (base, QUOTE),
            Some(_) | None => (&self.name, QUOTE),
        }
    }
}

const QUOTE: &str = "USDT";

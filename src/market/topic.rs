//! Topics: what a client can ask for, parsed once at the edge.

use thiserror::Error;

use super::{AccountTopic, Everyones, Interval, Millis, SymbolId};

/// A topic. Names are read from the right, because a symbol may hold `:` and `/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// A symbol's book.
    Book {
        /// Whose.
        symbol: SymbolId,
        /// How many levels a side.
        depth: Depth,
        /// How often.
        speed: Speed,
    },
    /// A symbol's rolling 24 h statistics.
    Ticker {
        /// Whose.
        symbol: SymbolId,
        /// How often.
        speed: Speed,
    },
    /// The tickers that changed, of all symbols.
    Tickers,
    /// Every trade of a symbol.
    Trades {
        /// Whose.
        symbol: SymbolId,
    },
    /// A symbol's bars.
    Kline {
        /// Whose.
        symbol: SymbolId,
        /// How long a bar is.
        interval: Interval,
    },
    /// Whatever is sent to a room. It has no picture to begin with, and no shard: its messages reach
    /// the workers ready-made.
    Room(RoomId),
    /// What publishers tell of users.
    Account(AccountTopic),
}

/// A room's number in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomId(pub u32);

impl Topic {
    /// Reads a topic's name. `find` knows the symbols.
    ///
    /// # Errors
    /// [`BadTopic`] says what part of the name is wrong.
    pub fn parse(name: &str, find: impl Fn(&str) -> Option<SymbolId>) -> Result<Topic, BadTopic> {
        let (kind, rest) = name.split_once(':').unwrap_or((name, ""));
        let find =
            |symbol: &str| find(symbol).ok_or_else(|| BadTopic::UnknownSymbol { symbol: symbol.into() });
        match kind {
            "ticker" if rest == "*" => Ok(Topic::Tickers),
            "ticker" => {
                let (symbol, speed) = split_last(rest, Speed::from_name);
                Ok(Topic::Ticker { symbol: find(symbol)?, speed: speed.unwrap_or(Speed::S1) })
            }
            "book" => {
                let (rest, speed) = split_last(rest, Speed::from_name);
                let (symbol, depth) = split_last(rest, Depth::from_name);
                Ok(Topic::Book {
                    symbol: find(symbol)?,
                    depth: depth.unwrap_or(Depth::Full),
                    speed: speed.unwrap_or(Speed::Raw),
                })
            }
            "trades" => Ok(Topic::Trades { symbol: find(rest)? }),
            "kline" => match split_last(rest, Interval::from_name) {
                (symbol, Some(interval)) => Ok(Topic::Kline { symbol: find(symbol)?, interval }),
                _ => Err(BadTopic::UnknownInterval),
            },
            _ => Err(BadTopic::UnknownKind),
        }
    }

    /// Appends the canonical name: the short one for the full raw book and the one-second ticker,
    /// all parts otherwise (also where the end of the symbol itself would read as a part). A room's
    /// or a strategy's own name stands in for the symbol.
    pub fn write_name(self, symbol: &str, out: &mut Vec<u8>) {
        let mut put = |parts: &[&str]| {
            for (at, part) in parts.iter().enumerate() {
                if at > 0 {
                    out.push(b':');
                }
                out.extend_from_slice(part.as_bytes());
            }
        };
        let ends_like = |part: fn(&str) -> bool| symbol.rsplit_once(':').is_some_and(|(_, last)| part(last));
        let like_speed = |last: &str| Speed::from_name(last).is_some();
        let like_part = |last: &str| Speed::from_name(last).is_some() || Depth::from_name(last).is_some();
        match self {
            Topic::Book { depth: Depth::Full, speed: Speed::Raw, .. } if !ends_like(like_part) => {
                put(&["book", symbol]);
            }
            Topic::Book { depth, speed, .. } => put(&["book", symbol, depth.name(), speed.name()]),
            Topic::Ticker { speed: Speed::S1, .. } if !ends_like(like_speed) => put(&["ticker", symbol]),
            Topic::Ticker { speed, .. } => put(&["ticker", symbol, speed.name()]),
            Topic::Tickers => put(&["ticker", "*"]),
            Topic::Trades { .. } => put(&["trades", symbol]),
            Topic::Kline { interval, .. } => put(&["kline", symbol, interval.name()]),
            Topic::Room(_) => put(&["room", symbol]),
            Topic::Account(AccountTopic::Fills) => put(&["trading"]),
            Topic::Account(AccountTopic::Everyones(Everyones::Orders)) => put(&["orders"]),
            Topic::Account(AccountTopic::Everyones(Everyones::Positions)) => put(&["positions"]),
            Topic::Account(AccountTopic::Everyones(Everyones::Strategies)) => put(&["strategies"]),
            Topic::Account(AccountTopic::Own { part, .. }) => part.write_name(symbol, out),
        }
    }

    /// Whose topic it is; `None` for the tickers of all symbols, for rooms and accounts.
    pub const fn symbol(self) -> Option<SymbolId> {
        match self {
            Topic::Book { symbol, .. }
            | Topic::Ticker { symbol, .. }
            | Topic::Trades { symbol }
            | Topic::Kline { symbol, .. } => Some(symbol),
            Topic::Tickers | Topic::Room(_) | Topic::Account(_) => None,
        }
    }
}

/// Splits the last part off when it reads as a `T`.
fn split_last<T>(text: &str, read: fn(&str) -> Option<T>) -> (&str, Option<T>) {
    match text.rsplit_once(':') {
        Some((rest, last)) => match read(last) {
            Some(part) => (rest, Some(part)),
            None => (text, None),
        },
        None => (text, None),
    }
}

/// How many levels a side of a book topic holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Depth {
    /// The best bid and ask.
    D1,
    /// Five a side.
    D5,
    /// Ten a side.
    D10,
    /// Twenty a side.
    D20,
    /// Fifty a side.
    D50,
    /// All that is known.
    Full,
}

impl Depth {
    /// All of them, smallest first.
    pub const ALL: [Depth; 6] = [Depth::D1, Depth::D5, Depth::D10, Depth::D20, Depth::D50, Depth::Full];

    /// The name that clients use.
    pub const fn name(self) -> &'static str {
        match self {
            Depth::D1 => "1",
            Depth::D5 => "5",
            Depth::D10 => "10",
            Depth::D20 => "20",
            Depth::D50 => "50",
            Depth::Full => "full",
        }
    }

    /// The depth of that name.
    pub fn from_name(name: &str) -> Option<Depth> {
        Depth::ALL.into_iter().find(|depth| depth.name() == name)
    }

    /// The number of levels, where there is a limit.
    pub const fn limit(self) -> Option<usize> {
        match self {
            Depth::D1 => Some(1),
            Depth::D5 => Some(5),
            Depth::D10 => Some(10),
            Depth::D20 => Some(20),
            Depth::D50 => Some(50),
            Depth::Full => None,
        }
    }
}

/// How often a topic may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Speed {
    /// With every change.
    Raw,
    /// At most ten times a second.
    Ms100,
    /// At most once a second.
    S1,
}

impl Speed {
    /// All of them, fastest first.
    pub const ALL: [Speed; 3] = [Speed::Raw, Speed::Ms100, Speed::S1];

    /// The name that clients use.
    pub const fn name(self) -> &'static str {
        match self {
            Speed::Raw => "raw",
            Speed::Ms100 => "100ms",
            Speed::S1 => "1000ms",
        }
    }

    /// The speed of that name.
    pub fn from_name(name: &str) -> Option<Speed> {
        Speed::ALL.into_iter().find(|speed| speed.name() == name)
    }

    /// The shortest time between two messages, in milliseconds; zero is none.
    pub const fn window(self) -> Millis {
        match self {
            Speed::Raw => 0,
            Speed::Ms100 => 100,
            Speed::S1 => 1000,
        }
    }
}

/// Why a text is not a topic.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadTopic {
    /// The first part is none of ours.
    #[error(
        "a topic is one of book:SYMBOL[:DEPTH[:SPEED]], ticker:SYMBOL[:SPEED], ticker:*, trades:SYMBOL, kline:SYMBOL:INTERVAL"
    )]
    UnknownKind,
    /// No such symbol here.
    #[error("no symbol {symbol:?} here")]
    UnknownSymbol {
        /// As it was asked for.
        symbol: String,
    },
    /// The last part is no interval.
    #[error("kline:SYMBOL:INTERVAL takes one of 1m 3m 5m 15m 30m 1h 4h 1d 1w 1M")]
    UnknownInterval,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 6] = ["BTCUSDT", "BTC/USD", "tETH2X:ETH", "ODD:20", "ODD:20:raw", "raw"];

    fn find(name: &str) -> Option<SymbolId> {
        NAMES.iter().position(|&known| known == name).map(|at| SymbolId(u32::try_from(at).unwrap()))
    }

    #[track_caller]
    fn check(name: &str, canonical: &str) {
        let topic = Topic::parse(name, find).unwrap_or_else(|bad| panic!("{name}: {bad}"));
        let mut shown = Vec::new();
        topic.write_name(topic.symbol().map_or("", |id| NAMES[id.index()]), &mut shown);
        assert_eq!(String::from_utf8_lossy(&shown), canonical);
    }

    #[test]
    fn names_are_read_from_the_right_and_written_in_full() {
        check("book:BTCUSDT", "book:BTCUSDT");
        check("book:BTCUSDT:full:raw", "book:BTCUSDT");
        check("book:BTCUSDT:20", "book:BTCUSDT:20:raw");
        check("book:BTCUSDT:100ms", "book:BTCUSDT:full:100ms");
        check("book:tETH2X:ETH:5:1000ms", "book:tETH2X:ETH:5:1000ms");
        check("ticker:BTC/USD", "ticker:BTC/USD");
        check("ticker:BTC/USD:raw", "ticker:BTC/USD:raw");
        check("ticker:*", "ticker:*");
        check("trades:tETH2X:ETH", "trades:tETH2X:ETH");
        check("kline:BTC/USD:1M", "kline:BTC/USD:1M");
        check("book:raw", "book:raw");
    }

    #[test]
    fn a_wrong_part_is_named() {
        let wrong = |name| Topic::parse(name, find).unwrap_err();
        assert_eq!(wrong("candles:BTCUSDT"), BadTopic::UnknownKind);
        assert_eq!(wrong("book"), BadTopic::UnknownSymbol { symbol: String::new() });
        assert_eq!(wrong("book:BTCUSDT:7"), BadTopic::UnknownSymbol { symbol: "BTCUSDT:7".into() });
        assert_eq!(wrong("kline:BTCUSDT:2m"), BadTopic::UnknownInterval);
        assert_eq!(wrong("trades:NOPE"), BadTopic::UnknownSymbol { symbol: "NOPE".into() });
    }

    proptest! {
        #[test]
        fn every_topic_is_found_again_by_its_canonical_name(symbol in 0..NAMES.len(), depth in 0..6_usize, speed in 0..3_usize, interval in 0..10_usize) {
            let id = SymbolId(u32::try_from(symbol).unwrap());
            for topic in [
                Topic::Book { symbol: id, depth: Depth::ALL[depth], speed: Speed::ALL[speed] },
                Topic::Ticker { symbol: id, speed: Speed::ALL[speed] },
                Topic::Trades { symbol: id },
                Topic::Kline { symbol: id, interval: Interval::ALL[interval] },
            ] {
                let mut name = Vec::new();
                topic.write_name(NAMES[symbol], &mut name);
                prop_assert_eq!(Topic::parse(std::str::from_utf8(&name).unwrap(), find), Ok(topic));
            }
        }
    }
}

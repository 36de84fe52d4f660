//! Reads what nearly all traffic consists of (diffs, trades, best bids and asks) in one pass.
//!
//! It takes only what the venue writes today: these fields in this order, no white space, no
//! escapes, plain ASCII, numbers of ordinary length. Whatever else comes, and all that is wrong, is
//! left to the tape, which reads any JSON and names what is wrong with it. The tape alone costs more
//! than all that is done here.

use super::message::{Diff, Message, Print, TradeStream};
use crate::ingest::json::Value;
use crate::market::{BookChange, Decimal, Millis, Quantity, Quote, RawLevel, plain_length, whole_number};

/// The levels of the diff read last, in buffers that are used again.
#[derive(Default)]
pub(super) struct Quick {
    bids: Vec<RawLevel>,
    asks: Vec<RawLevel>,
}

impl Quick {
    /// Reads a message, if it is one of the usual. The levels of a diff wait for [`Quick::fill`].
    #[inline]
    pub(super) fn read<'a>(&mut self, message: &'a [u8]) -> Option<Message<'a>> {
        let mut cursor = Cursor { rest: message };
        let enveloped = cursor.has(b"{\"stream\":\"");
        if enveloped {
            cursor.text();
            cursor.take(b"\",\"data\":")?;
        }
        let message = if cursor.has(b"{\"u\":") || cursor.has(b"{\"e\":\"bookTicker\",\"u\":") {
            cursor.quote()?
        } else if cursor.has(b"{\"e\":\"depthUpdate\",\"E\":") {
            self.diff(&mut cursor)?
        } else if cursor.has(b"{\"e\":\"trade\",\"E\":") {
            cursor.trade()?
        } else {
            cursor.take(b"{\"e\":\"aggTrade\",\"E\":")?;
            cursor.aggregated()?
        };
        cursor.take(if enveloped { b"}}" } else { b"}" })?;
        if cursor.rest.is_empty() { Some(message) } else { None }
    }

    /// Gives the levels of the diff read last to `change`, whose buffers are kept in exchange.
    pub(super) fn fill(&mut self, change: &mut BookChange) {
        std::mem::swap(&mut self.bids, &mut change.bids);
        std::mem::swap(&mut self.asks, &mut change.asks);
    }

    #[inline]
    fn diff<'a>(&mut self, cursor: &mut Cursor<'a>) -> Option<Message<'a>> {
        let event_time = cursor.number()?;
        let time = if cursor.has(b",\"T\":") { cursor.number()? } else { event_time };
        let symbol = cursor.symbol()?;
        cursor.take(b",\"U\":")?;
        let first = cursor.number()?;
        cursor.take(b",\"u\":")?;
        let last = cursor.number()?;
        let previous = if cursor.has(b",\"pu\":") { Some(cursor.number()?) } else { None };
        cursor.take(b",\"b\":")?;
        cursor.levels(&mut self.bids)?;
        cursor.take(b",\"a\":")?;
        cursor.levels(&mut self.asks)?;
        let (time, levels) = (Millis::try_from(time).ok()?, Value::default());
        let diff = Diff { symbol, first, last, previous, time, bids: levels, asks: levels };
        if first <= last { Some(Message::Diff(diff)) } else { None }
    }
}

/// What is left of a message.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// The best bid and ask, from their number on.
    #[inline]
    fn quote(&mut self) -> Option<Message<'a>> {
        let update_id = self.number()?;
        let symbol = self.symbol()?;
        self.take(b",\"b\":\"")?;
        let bid = self.level(b"\",\"B\":\"")?;
        self.take(b"\",\"a\":\"")?;
        let ask = self.level(b"\",\"A\":\"")?;
        self.take(b"\"")?;
        let mut time = None;
        if self.has(b",\"T\":") {
            time = Some(Millis::try_from(self.number()?).ok()?);
            self.take(b",\"E\":")?;
            self.number()?;
        }
        Some(Message::Quote(symbol, Quote { update_id, bid, ask, time }))
    }

    /// One trade, from its event time on.
    #[inline]
    fn trade(&mut self) -> Option<Message<'a>> {
        self.number()?;
        let early = if self.has(b",\"T\":") { Some(self.number()?) } else { None };
        let symbol = self.symbol()?;
        self.take(b",\"t\":")?;
        let id = self.number()?;
        let traded = self.price_and_quantity()?;
        let (time, market) = match early {
            Some(time) => {
                let market = self.has(b",\"X\":\"MARKET\"");
                if !market {
                    self.take(b",\"X\":\"")?;
                    self.text();
                    self.take(b"\"")?;
                }
                (time, market)
            }
            None => (self.time()?, true),
        };
        let (maker, each) = (self.maker()?, TradeStream::Each);
        let time = Millis::try_from(time).ok()?;
        Some(Message::Trade(Print::of(symbol, each, id, traded, Some(maker), time, (None, None), market)))
    }

    /// Several trades told as one, from their event time on.
    #[inline]
    fn aggregated(&mut self) -> Option<Message<'a>> {
        self.number()?;
        let early = if self.has(b",\"a\":") { Some(self.number()?) } else { None };
        let symbol = self.symbol()?;
        let id = match early {
            Some(id) => id,
            None => {
                self.take(b",\"a\":")?;
                self.number()?
            }
        };
        let traded = self.price_and_quantity()?;
        self.take(b",\"f\":")?;
        let first = self.number()?;
        self.take(b",\"l\":")?;
        let trades = (Some(first), Some(self.number()?));
        let time = Millis::try_from(self.time()?).ok()?;
        let (maker, stream) = (self.maker()?, TradeStream::Aggregated);
        Some(Message::Trade(Print::of(symbol, stream, id, traded, Some(maker), time, trades, true)))
    }

    #[inline]
    fn price_and_quantity(&mut self) -> Option<(Decimal, Quantity)> {
        self.take(b",\"p\":\"")?;
        let RawLevel { price, quantity } = self.level(b"\",\"q\":\"")?;
        self.take(b"\"")?;
        Some((price, quantity))
    }

    #[inline]
    fn time(&mut self) -> Option<u64> {
        self.take(b",\"T\":")?;
        self.number()
    }

    /// Whether the buyer was the maker; spot adds a word that means nothing.
    #[inline]
    fn maker(&mut self) -> Option<bool> {
        self.take(b",\"m\":")?;
        let maker = self.truth()?;
        if self.has(b",\"M\":") {
            self.truth()?;
        }
        Some(maker)
    }

    #[inline]
    fn truth(&mut self) -> Option<bool> {
        let truth = self.has(b"true");
        if !truth {
            self.take(b"false")?;
        }
        Some(truth)
    }

    /// Coin-margined futures name the pair as well.
    #[inline]
    fn symbol(&mut self) -> Option<&'a [u8]> {
        self.take(b",\"s\":\"")?;
        let symbol = self.text();
        self.take(b"\"")?;
        if self.has(b",\"ps\":\"") {
            self.text();
            self.take(b"\"")?;
        }
        Some(symbol)
    }

    #[inline]
    fn levels(&mut self, levels: &mut Vec<RawLevel>) -> Option<()> {
        levels.clear();
        self.take(b"[")?;
        if self.has(b"]") {
            return Some(());
        }
        self.take(b"[\"")?;
        loop {
            levels.push(self.level(b"\",\"")?);
            if self.has(b"\"],[\"") {
                continue;
            }
            return self.take(b"\"]]");
        }
    }

    /// A price and a quantity with `between` between them.
    #[inline(always)]
    fn level(&mut self, between: &[u8]) -> Option<RawLevel> {
        let price = self.decimal()?;
        self.take(between)?;
        Some(RawLevel { price, quantity: Quantity::new(self.decimal()?)? })
    }

    #[inline(always)]
    fn decimal(&mut self) -> Option<Decimal> {
        let (number, rest) = Decimal::parse_start(self.rest)?;
        self.rest = rest;
        Some(number)
    }

    #[inline]
    fn number(&mut self) -> Option<u64> {
        let (number, rest) = whole_number(self.rest)?;
        self.rest = rest;
        Some(number)
    }

    /// Text up to its closing quote.
    #[inline]
    fn text(&mut self) -> &'a [u8] {
        let (text, rest) = self.rest.split_at(plain_length(self.rest));
        self.rest = rest;
        text
    }

    #[inline(always)]
    fn has(&mut self, text: &[u8]) -> bool {
        self.take(text).is_some()
    }

    #[inline(always)]
    fn take(&mut self, text: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }
}

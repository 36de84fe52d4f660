//! Reads what nearly all traffic consists of (diffs, trades, best bids and asks) in one pass.
//!
//! It takes only what the venue writes today: no white space, no escapes, plain ASCII, numbers of
//! ordinary length. Whatever else comes, and all that is wrong, is left to the tape, which reads any
//! JSON and names what is wrong with it. The tape alone costs more than all that is done here.

use super::message::{Diff, Message, Print, TradeStream};
use crate::ingest::json::Value;
use crate::market::{BookChange, Decimal, Millis, Quantity, Quote, RawLevel};

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
        self.bids.clear();
        self.asks.clear();
        let mut cursor = Cursor { rest: message };
        let mut fields = Fields::default();
        if cursor.take(b"{\"stream\":").is_some() {
            cursor.text()?;
            cursor.take(b",\"data\":")?;
            self.object(&mut cursor, &mut fields)?;
            cursor.take(b"}")?;
        } else {
            self.object(&mut cursor, &mut fields)?;
        }
        if cursor.rest.is_empty() { fields.message() } else { None }
    }

    /// Gives the levels of the diff read last to `change`, whose buffers are kept in exchange.
    pub(super) fn fill(&mut self, change: &mut BookChange) {
        std::mem::swap(&mut self.bids, &mut change.bids);
        std::mem::swap(&mut self.asks, &mut change.asks);
    }

    #[inline]
    fn object<'a>(&mut self, cursor: &mut Cursor<'a>, fields: &mut Fields<'a>) -> Option<()> {
        cursor.take(b"{")?;
        loop {
            let name = cursor.text()?;
            cursor.take(b":")?;
            match cursor.rest.first()? {
                b'"' => fields.set_text(name, cursor)?,
                b'0'..=b'9' => fields.set_number(name, cursor.number()?)?,
                b't' | b'f' => {
                    let truth = cursor.take(b"true").is_some();
                    if !truth {
                        cursor.take(b"false")?;
                    }
                    fields.set_truth(name, truth)?;
                }
                b'[' => {
                    let (side, seen) = match name {
                        b"b" => (&mut self.bids, &mut fields.bids),
                        b"a" => (&mut self.asks, &mut fields.asks),
                        _ => return None,
                    };
                    if std::mem::replace(seen, true) {
                        return None;
                    }
                    cursor.levels(side)?;
                }
                _ => return None,
            }
            let (next, rest) = cursor.rest.split_first()?;
            cursor.rest = rest;
            match next {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }
}

/// What stands in a message, each field under the name that the venue gives it.
#[derive(Default)]
struct Fields<'a> {
    event: Option<&'a [u8]>,
    symbol: Option<&'a str>,
    execution: Option<&'a [u8]>,
    first: Option<u64>,
    last: Option<u64>,
    previous: Option<u64>,
    event_time: Option<u64>,
    time: Option<u64>,
    number_t: Option<u64>,
    number_a: Option<u64>,
    first_trade: Option<u64>,
    last_trade: Option<u64>,
    maker: Option<bool>,
    bid: Option<Decimal>,
    bid_size: Option<Decimal>,
    ask: Option<Decimal>,
    ask_size: Option<Decimal>,
    price: Option<Decimal>,
    quantity: Option<Decimal>,
    bids: bool,
    asks: bool,
}

impl<'a> Fields<'a> {
    #[inline]
    fn set_text(&mut self, name: &[u8], cursor: &mut Cursor<'a>) -> Option<()> {
        match name {
            b"e" => {
                let usual = self.event.is_none();
                self.event = Some(cursor.text()?);
                return usual.then_some(());
            }
            b"s" => self.symbol = std::str::from_utf8(cursor.text()?).ok(),
            b"X" => self.execution = Some(cursor.text()?),
            b"b" if !self.bids => self.bid = Some(cursor.decimal()?),
            b"a" if !self.asks => self.ask = Some(cursor.decimal()?),
            b"B" => self.bid_size = Some(cursor.decimal()?),
            b"A" => self.ask_size = Some(cursor.decimal()?),
            b"p" => self.price = Some(cursor.decimal()?),
            b"q" => self.quantity = Some(cursor.decimal()?),
            // `ps`, the pair at coin-margined futures, and `st` say nothing of use.
            b"ps" | b"st" => drop(cursor.text()?),
            _ => return None,
        }
        Some(())
    }

    #[inline]
    fn set_number(&mut self, name: &[u8], number: u64) -> Option<()> {
        let field = match name {
            b"U" => &mut self.first,
            b"u" => &mut self.last,
            b"pu" => &mut self.previous,
            b"E" => &mut self.event_time,
            b"T" => &mut self.time,
            b"t" => &mut self.number_t,
            b"a" if !self.asks => &mut self.number_a,
            b"f" => &mut self.first_trade,
            b"l" => &mut self.last_trade,
            _ => return None,
        };
        *field = Some(number);
        Some(())
    }

    #[inline]
    fn set_truth(&mut self, name: &[u8], truth: bool) -> Option<()> {
        match name {
            b"m" => self.maker = Some(truth),
            b"M" => {}
            _ => return None,
        }
        Some(())
    }

    #[inline]
    fn message(self) -> Option<Message<'a>> {
        match self.event {
            Some(b"depthUpdate") => self.diff().map(Message::Diff),
            Some(b"bookTicker") | None => self.quote(),
            Some(b"trade") => self.trade(TradeStream::Each).map(Message::Trade),
            Some(b"aggTrade") => self.trade(TradeStream::Aggregated).map(Message::Trade),
            Some(_) => None,
        }
    }

    fn time(&self) -> Option<Millis> {
        Millis::try_from(self.time.or(self.event_time)?).ok()
    }

    #[inline]
    fn diff(self) -> Option<Diff<'a>> {
        let (first, last) = (self.first?, self.last?);
        let whole = self.bids && self.asks && first <= last && self.bid.is_none() && self.ask.is_none();
        let levels = Value::default();
        whole.then_some(Diff {
            symbol: self.symbol?,
            first,
            last,
            previous: self.previous,
            time: self.time()?,
            bids: levels,
            asks: levels,
        })
    }

    #[inline]
    fn quote(self) -> Option<Message<'a>> {
        if self.bids || self.asks || self.number_a.is_some() {
            return None;
        }
        let level = |price: Option<Decimal>, size: Option<Decimal>| {
            Some(RawLevel { price: price?, quantity: Quantity::new(size?)? })
        };
        let quote = Quote {
            update_id: self.last?,
            bid: level(self.bid, self.bid_size)?,
            ask: level(self.ask, self.ask_size)?,
            time: self.time(),
        };
        Some(Message::Quote(self.symbol?, quote))
    }

    #[inline]
    fn trade(self, stream: TradeStream) -> Option<Print<'a>> {
        if self.ask.is_some() {
            return None;
        }
        let id = match stream {
            TradeStream::Each => self.number_t?,
            TradeStream::Aggregated => self.number_a?,
        };
        let market = self.execution.is_none_or(|execution| execution == b"MARKET");
        let trades = (self.first_trade, self.last_trade);
        let (price, quantity) = (self.price?, Quantity::new(self.quantity?)?);
        let time = self.time()?;
        Some(Print::of(self.symbol?, stream, id, (price, quantity), self.maker, time, trades, market))
    }
}

/// What is left of a message.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    #[inline]
    fn take(&mut self, text: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    #[inline]
    fn text(&mut self) -> Option<&'a [u8]> {
        let inside = self.rest.strip_prefix(b"\"")?;
        let plain = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
        let end = inside.iter().position(|&byte| !plain(byte))?;
        let (text, rest) = inside.split_at(end);
        self.rest = rest.strip_prefix(b"\"")?;
        Some(text)
    }

    /// A whole number of at most 18 digits.
    #[inline]
    fn number(&mut self) -> Option<u64> {
        let (mut number, mut length) = (0, 0);
        while let Some(byte @ b'0'..=b'9') = self.rest.get(length) {
            if length == 18 || (length == 1 && number == 0) {
                return None;
            }
            number = number * 10 + u64::from(byte - b'0');
            length += 1;
        }
        self.rest = &self.rest[length..];
        Some(number)
    }

    #[inline]
    fn decimal(&mut self) -> Option<Decimal> {
        let (number, rest) = Decimal::parse_start(self.rest.strip_prefix(b"\"")?)?;
        self.rest = rest.strip_prefix(b"\"")?;
        Some(number)
    }

    #[inline]
    fn levels(&mut self, levels: &mut Vec<RawLevel>) -> Option<()> {
        self.take(b"[")?;
        if self.take(b"]").is_some() {
            return Some(());
        }
        loop {
            self.take(b"[")?;
            let price = self.decimal()?;
            self.take(b",")?;
            let quantity = Quantity::new(self.decimal()?)?;
            levels.push(RawLevel { price, quantity });
            self.take(b"]")?;
            let (next, rest) = self.rest.split_first()?;
            self.rest = rest;
            match next {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }
}

//! Turns the messages of one Binance market into events. Knows no socket and no clock.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::heard::NOTHING;
use super::line::{Held, Line};
use super::message::{Diff, Message, Snapshot, read_instruments, read_levels};
use super::quick::Quick;
use super::{Heard, Market, SymbolCounts, UnknownSymbols};
use crate::ingest::json::{Json, Value};
use crate::ingest::sequence::Rule;
use crate::ingest::{FeedError, Sink};
use crate::market::{BookChange, BookKind, Decimal, Event, Millis, SymbolId, Symbols};

/// The reading side of one market.
///
/// The order of things for a book: subscribe to its diffs, [`Feed::want`] it, and ask for a depth
/// snapshot of whatever [`Feed::wanting`] names, best when its first diff has come; again whenever
/// it is named again.
pub struct Feed {
    quick: Quick,
    json: Json,
    lines: Lines,
    /// See [`Sink::lost`].
    losses_heard: u64,
}

impl Feed {
    /// A feed that has heard nothing yet.
    pub fn new(market: Market, symbols: Arc<Symbols>, unknown: UnknownSymbols) -> Feed {
        let (lines, wanting, ticks) = (Vec::new(), Vec::new(), FxHashMap::default());
        Feed {
            quick: Quick::default(),
            json: Json::new(),
            losses_heard: 0,
            lines: Lines {
                market,
                symbols,
                known: FxHashMap::default(),
                unknown,
                lines,
                wanting,
                held: Held::default(),
                ticks,
            },
        }
    }

    /// The market whose messages it understands.
    pub const fn market(&self) -> Market {
        self.lines.market
    }

    /// Says that the diffs of `symbol` were subscribed to: its book waits for a snapshot from now
    /// on, even where nothing happens in it for hours.
    pub fn want(&mut self, symbol: SymbolId) {
        if self.lines.line(symbol).is_waiting() {
            self.lines.want(symbol);
        }
    }

    /// Takes one message as it came over the socket; `bytes` are parsed in place.
    ///
    /// # Errors
    /// [`FeedError`] when the message was left out; the next ones may come all the same. A diff
    /// that is left out shows as a gap when the next one comes, and heals as one.
    pub fn message(
        &mut self,
        received: Millis,
        bytes: &mut [u8],
        sink: &mut impl Sink,
    ) -> Result<Heard, FeedError> {
        check_length(bytes, LONGEST_MESSAGE)?;
        while let Some(symbol) = sink.lost(&mut self.losses_heard) {
            self.lines.lost(symbol, received, sink);
        }
        match self.quick.read(bytes) {
            Some(Message::Diff(diff)) => {
                let quick = &mut self.quick;
                let fill = |change: &mut BookChange| {
                    quick.fill(change);
                    Ok(())
                };
                self.lines.diff(&diff, fill, received, sink)
            }
            Some(message) => self.lines.message(message, received, sink),
            None => self.message_by_tape(received, bytes, sink),
        }
    }

    /// As [`Feed::message`], for messages of any form.
    pub(super) fn message_by_tape(
        &mut self,
        received: Millis,
        bytes: &mut [u8],
        sink: &mut impl Sink,
    ) -> Result<Heard, FeedError> {
        let lines = &mut self.lines;
        self.json.read(bytes, |value| lines.message(Message::read(value)?, received, sink))?
    }

    /// Takes the answer to a REST request for the depth of `symbol`.
    ///
    /// # Errors
    /// [`FeedError`] when the answer was left out; the symbol still waits for a snapshot.
    pub fn depth(
        &mut self,
        received: Millis,
        symbol: &str,
        bytes: &mut [u8],
        sink: &mut impl Sink,
    ) -> Result<Heard, FeedError> {
        check_length(bytes, LONGEST_ANSWER)?;
        let lines = &mut self.lines;
        self.json.read(bytes, |value| match Snapshot::read(value) {
            Some(snapshot) => lines.snapshot(symbol, snapshot, received, sink),
            None => Heard::refusal(value, "a depth answer without lastUpdateId, bids or asks"),
        })?
    }

    /// Takes the answer to a REST request for the list of instruments.
    ///
    /// # Errors
    /// [`FeedError`] when the answer was left out.
    pub fn exchange_info(
        &mut self,
        received: Millis,
        bytes: &mut [u8],
        sink: &mut impl Sink,
    ) -> Result<Heard, FeedError> {
        check_length(bytes, LONGEST_ANSWER)?;
        let lines = &mut self.lines;
        // It comes once, and its tape takes more memory than all others together: not kept.
        Json::new().read(bytes, |value| match value.field("symbols") {
            Some(_) => lines.instruments(value, received, sink),
            None => Heard::refusal(value, "a list of instruments without symbols"),
        })?
    }

    /// Says that the connection ended: books stand still until a new snapshot.
    pub fn disconnected(&mut self, received: Millis, sink: &mut impl Sink) {
        let lines = &mut self.lines;
        for at in 0..lines.lines.len() {
            let Some(line) = &mut lines.lines[at] else { continue };
            if line.disconnected(received, sink) {
                let symbol = line.symbol;
                lines.want(symbol);
            }
        }
    }

    /// The symbols whose book waits for a snapshot, the longest waiting first.
    pub fn wanting(&self) -> impl Iterator<Item = SymbolId> {
        self.lines.wanting.iter().copied()
    }

    /// What was heard of a symbol so far.
    pub fn counts(&self, symbol: SymbolId) -> &SymbolCounts {
        match self.lines.lines.get(symbol.index()) {
            Some(Some(line)) => &line.counts,
            Some(None) | None => &NOTHING,
        }
    }
}

/// All symbols of the market; apart from the parser, because both are lent at once.
struct Lines {
    market: Market,
    symbols: Arc<Symbols>,
    /// The symbols heard of, by name: a look at the shared table costs several times as much.
    known: FxHashMap<Box<[u8]>, SymbolId>,
    unknown: UnknownSymbols,
    /// By the symbol's number. Other sources have symbols too: theirs are empty here.
    lines: Vec<Option<Box<Line>>>,
    wanting: Vec<SymbolId>,
    held: Held,
    /// Steps of symbols that were listed before anything else was heard of them.
    ticks: FxHashMap<Box<str>, Decimal>,
}

impl Lines {
    #[inline]
    fn message(
        &mut self,
        message: Message<'_>,
        received: Millis,
        sink: &mut impl Sink,
    ) -> Result<Heard, FeedError> {
        match message {
            Message::Diff(diff) => {
                let fill = |change: &mut BookChange| {
                    read_levels(diff.bids, &mut change.bids)?;
                    read_levels(diff.asks, &mut change.asks)
                };
                return self.diff(&diff, fill, received, sink);
            }
            Message::Trade(print) => {
                self.named(print.symbol, received, sink)?.trade(print, received, sink);
            }
            Message::Quote(symbol, quote) => {
                let line = self.named(symbol, received, sink)?;
                line.counts.quotes += 1;
                sink.put(line.symbol, received, Event::Quote(quote));
            }
            Message::Bar(symbol, bar) => {
                let line = self.named(symbol, received, sink)?;
                line.counts.bars += 1;
                sink.put(line.symbol, received, Event::Bar(bar));
            }
            Message::Ticker(symbol, ticker) => {
                let line = self.named(symbol, received, sink)?;
                line.counts.tickers += 1;
                sink.put(line.symbol, received, Event::Ticker(ticker));
            }
            Message::Answer { id } => return Ok(Heard::Answer { id }),
            Message::Refused { id, code, text } => {
                let message = text.chars().take(200).collect();
                return Ok(Heard::Refused { id, code, message });
            }
            Message::ShuttingDown => return Ok(Heard::ShuttingDown),
        }
        Ok(Heard::Market)
    }

    #[inline]
    fn diff(
        &mut self,
        diff: &Diff<'_>,
        fill: impl FnOnce(&mut BookChange) -> Result<(), FeedError>,
        received: Millis,
        sink: &mut impl Sink,
    ) -> Result<Heard, FeedError> {
        if self.rule() == Rule::Futures && diff.previous.is_none() {
            return Err(FeedError::NotUnderstood { what: "depthUpdate of futures without pu" });
        }
        let line = self.named(diff.symbol, received, sink)?;
        let mut change = sink.blank();
        change.kind = BookKind::Delta;
        change.first_update_id = diff.first;
        change.last_update_id = diff.last;
        change.time = diff.time;
        if let Err(bad) = fill(&mut change) {
            sink.recycle(change);
            return Err(bad);
        }
        let levels = change.bids.len() + change.asks.len();
        if line.diff(change, diff.previous, received, sink) {
            let symbol = line.symbol;
            self.want(symbol);
            self.held.hold(levels, &mut self.lines);
        }
        Ok(Heard::Market)
    }

    fn snapshot(
        &mut self,
        symbol: &str,
        snapshot: Snapshot<'_>,
        received: Millis,
        sink: &mut impl Sink,
    ) -> Result<Heard, FeedError> {
        let line = self.named(symbol.as_bytes(), received, sink)?;
        let mut change = sink.blank();
        change.kind = BookKind::Snapshot;
        change.first_update_id = snapshot.last;
        change.last_update_id = snapshot.last;
        change.time = snapshot.time.unwrap_or(received);
        let read = read_levels(snapshot.bids, &mut change.bids);
        if let Err(bad) = read.and_then(|()| read_levels(snapshot.asks, &mut change.asks)) {
            sink.recycle(change);
            return Err(bad);
        }
        let new_enough = line.snapshot(change, received, sink);
        let (symbol, waiting) = (line.symbol, line.is_waiting());
        if waiting {
            self.want(symbol);
        } else if std::mem::take(&mut line.wanted) {
            self.wanting.retain(|&other| other != symbol);
        }
        Ok(if new_enough { Heard::Market } else { Heard::TooOld { symbol } })
    }

    fn instruments(
        &mut self,
        list: Value<'_>,
        received: Millis,
        sink: &mut impl Sink,
    ) -> Result<Heard, FeedError> {
        let table = self.symbols.table();
        let mut known = Vec::new();
        read_instruments(list, |symbol, tick| {
            let id = table.id(symbol);
            known.extend(id);
            match (id, tick, self.unknown) {
                (Some(id), Some(tick), _) => sink.put(id, received, Event::Scale { tick }),
                (None, Some(tick), UnknownSymbols::Add) => _ = self.ticks.insert(symbol.into(), tick),
                (None, Some(_), UnknownSymbols::Refuse) | (_, None, _) => {}
            }
        })?;
        Ok(Heard::Instruments { known: known.into() })
    }

    #[cold]
    fn lost(&mut self, symbol: SymbolId, received: Millis, sink: &mut impl Sink) {
        if let Some(Some(line)) = self.lines.get_mut(symbol.index())
            && line.lost(received, sink)
        {
            self.want(symbol);
        }
    }

    /// The line of a symbol as the venue names it.
    #[inline]
    fn named(&mut self, name: &[u8], received: Millis, sink: &mut impl Sink) -> Result<&mut Line, FeedError> {
        let id = match self.known.get(name) {
            Some(id) => *id,
            None => self.find(name, received, sink)?,
        };
        Ok(self.line(id))
    }

    #[cold]
    fn find(&mut self, name: &[u8], received: Millis, sink: &mut impl Sink) -> Result<SymbolId, FeedError> {
        let text = String::from_utf8_lossy(name);
        let id = match self.symbols.with(|table| table.id(&text)) {
            Some(id) => id,
            None => self.add(&text, received, sink)?,
        };
        self.known.insert(name.into(), id);
        if let Some(value) = self.market.contract_value(&text) {
            sink.put(id, received, Event::Contract { value });
        }
        Ok(id)
    }

    fn add(&mut self, name: &str, received: Millis, sink: &mut impl Sink) -> Result<SymbolId, FeedError> {
        match self.unknown {
            UnknownSymbols::Refuse => Err(FeedError::UnknownSymbol { symbol: shortened(name) }),
            UnknownSymbols::Add => {
                let id = self
                    .symbols
                    .add(name)
                    .map_err(|error| FeedError::BadSymbol { symbol: shortened(name), error })?;
                if let Some(tick) = self.ticks.remove(name) {
                    sink.put(id, received, Event::Scale { tick });
                }
                Ok(id)
            }
        }
    }

    #[inline]
    fn line(&mut self, id: SymbolId) -> &mut Line {
        if self.lines.len() <= id.index() {
            self.lines.resize_with(id.index() + 1, || None);
        }
        let rule = self.rule();
        self.lines[id.index()].get_or_insert_with(|| Box::new(Line::new(id, rule)))
    }

    fn want(&mut self, symbol: SymbolId) {
        if !std::mem::replace(&mut self.line(symbol).wanted, true) {
            self.wanting.push(symbol);
        }
    }

    const fn rule(&self) -> Rule {
        match self.market {
            Market::Spot | Market::Us => Rule::Spot,
            Market::UsdM | Market::CoinM => Rule::Futures,
        }
    }
}

fn check_length(bytes: &[u8], limit: usize) -> Result<(), FeedError> {
    if bytes.len() > limit {
        return Err(FeedError::TooLong { bytes: bytes.len(), limit });
    }
    Ok(())
}

fn shortened(name: &str) -> String {
    name.chars().take(64).collect()
}

/// A diff after a long silence holds some thousand levels of 40 bytes; the largest recorded is
/// 40 kB. A hundred times that is no market message.
pub const LONGEST_MESSAGE: usize = 4 << 20;

/// The list of instruments was 1.5 MB in 2021 and grows; a depth of 5,000 levels has 400 kB.
pub const LONGEST_ANSWER: usize = 10 << 20;

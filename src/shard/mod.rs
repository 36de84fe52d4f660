//! One shard: the symbols that it owns, from a venue's event to encoded frames.
//!
//! This is the path of an update without threads, sockets or clocks: `now` is an argument, what
//! is to be sent goes into an [`Outlet`]. A thread drives it live, tests drive it directly.

mod due;
mod earlier;
mod interest;
mod join;
mod outlet;
mod past;
mod symbol;
mod topics;

use std::collections::VecDeque;
use std::sync::Arc;

use due::Due;
pub use earlier::EarlierBars;
pub(crate) use interest::Interest;
pub use outlet::{Broadcast, Class, Join, Joined, Leave, Outlet};
pub use past::{BarsWanted, PastBars, PastTrades};
pub use symbol::{SymbolCounts, SymbolState};
use symbol::{Turn, is_in_time};
use topics::LatestTopic;

use crate::coalesce::{Flush, Offer};
use crate::market::{BookChange, Event, Millis, Scale, SymbolId, Symbols, Topic, Update, UpdateBody};
use crate::state::{Board, TickerSnapshot};

/// How a shard keeps and tells things. The configuration fills it.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Levels a side beyond which the worst are let go.
    pub levels_most: usize,
    /// Trades kept for those who were away.
    pub trades_kept: usize,
    /// Closed bars kept of each interval.
    pub bars_kept: usize,
    /// Quiet intervals that are filled with flat bars at once.
    pub flat_bars_most: usize,
    /// When a bar closes that no later trade closes.
    pub bars_close: BarsClose,
    /// The shortest time between two messages of an open bar.
    pub kline_window: Millis,
    /// The shortest time between two messages of a ticker that names no speed.
    pub ticker_window: Millis,
    /// The shortest time between two messages of `ticker:*`.
    pub tickers_window: Millis,
}

/// What closes a bar when its own symbol does not trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarsClose {
    /// The clock, so long after the bar's end: live, where a trade takes a moment to arrive.
    After(Millis),
    /// The time of any symbol's trades: in a replay, where the clock says nothing of the recording.
    /// While nobody trades the recording's own time closes them, five seconds after their ends.
    WithTrades,
}

impl BarsClose {
    /// How long after its end a bar closes although nobody trades.
    const fn patience(self) -> Millis {
        match self {
            BarsClose::After(grace) => grace,
            // Long enough for any trade of a recording to have come.
            BarsClose::WithTrades => 5_000,
        }
    }
}

impl Default for ShardConfig {
    fn default() -> ShardConfig {
        ShardConfig {
            levels_most: 20_000,
            trades_kept: 500,
            bars_kept: 240,
            flat_bars_most: 1_500,
            bars_close: BarsClose::After(500),
            kline_window: 250,
            ticker_window: 1_000,
            tickers_window: 1_000,
        }
    }
}

/// The symbols of one shard, and what their subscribers are to hear.
///
/// Invariants: only this shard writes their state. A topic may stand in `due` more than once, where
/// it was ended and began anew: its throttle says whether a tick is its own.
#[derive(Debug)]
pub struct Shard {
    symbols: Arc<Symbols>,
    board: Arc<Board>,
    config: ShardConfig,
    /// Names this run of numbers: a restart begins new ones.
    epoch: Arc<str>,
    states: Vec<Option<Box<SymbolState>>>,
    /// Symbols that have something to publish at the end of the turn.
    touched: Vec<SymbolId>,
    due: Due,
    /// See [`Turn::crossed`].
    crossed: VecDeque<(Millis, SymbolId)>,
    flush: Flush,
    tickers: LatestTopic,
    /// The version of each symbol's statistics that `ticker:*` has told.
    told: Vec<u64>,
    next_minute: Millis,
    bars_minute: Millis,
    earlier: Arc<EarlierBars>,
}

impl Shard {
    /// A shard without symbols. `epoch` names the run of numbers that begins with it.
    pub fn new(symbols: Arc<Symbols>, board: Arc<Board>, config: ShardConfig, epoch: &str) -> Shard {
        Shard {
            symbols,
            board,
            epoch: epoch.into(),
            states: Vec::new(),
            touched: Vec::new(),
            due: Due::default(),
            crossed: VecDeque::new(),
            flush: Flush::default(),
            // Without a window there would be no tick that brings them.
            tickers: LatestTopic::new(config.tickers_window.max(1)),
            told: Vec::new(),
            next_minute: Millis::MIN,
            bars_minute: Millis::MIN,
            earlier: Arc::default(),
            config,
        }
    }

    /// The same, whose symbols begin with the bars of an earlier run.
    #[must_use]
    pub fn after(self, earlier: Arc<EarlierBars>) -> Shard {
        Shard { earlier, ..self }
    }

    /// Lets a symbol begin of which there is something of an earlier run, so that it can be asked for
    /// before anything new has come.
    pub fn recall(&mut self, now: Millis, symbol: SymbolId) {
        if self.states.get(symbol.index()).is_none_or(Option::is_none)
            && self.symbols.with(|table| table.name(symbol).is_some_and(|name| self.earlier.has(name)))
        {
            self.add(now, symbol);
        }
    }

    /// Takes an event in at `now`, and sends what may go out at once. Gives the buffers of a book
    /// change back, for its source to fill again.
    pub fn apply(
        &mut self,
        now: Millis,
        symbol: SymbolId,
        event: Event,
        out: &mut impl Outlet,
    ) -> Option<Box<BookChange>> {
        if let (Event::Trade(trade), by @ BarsClose::WithTrades) = (&event, self.config.bars_close)
            && is_in_time(trade.time, now, by)
        {
            self.advance_bars(now, trade.time, out);
        }
        let (state, mut turn) = self.state(now, symbol, out)?;
        let was_touched = state.is_touched();
        let spare = state.apply(event, &mut turn);
        if !was_touched && state.is_touched() {
            self.touched.push(symbol);
        }
        spare
    }

    /// Time has come to `now`: sends what is due, closes bars, lets old minutes go. To be called
    /// before the events of a turn, and when [`Shard::next_due`] says so.
    pub fn advance(&mut self, now: Millis, out: &mut impl Outlet) {
        if now >= self.next_minute {
            // A minute is over after its last moment: see `Ticker::advance`.
            self.next_minute = (now - 1).div_euclid(MINUTE) * MINUTE + MINUTE + 1;
            self.each(now, out, |state, turn| state.advance_ticker(turn));
        }
        self.advance_bars(now, now - self.config.bars_close.patience(), out);
        while self.crossed.front().is_some_and(|&(at, _)| at <= now)
            && let Some((_, symbol)) = self.crossed.pop_front()
        {
            let Some((state, mut turn)) = self.state(now, symbol, out) else { continue };
            let was_touched = state.is_touched();
            state.end_crossed(&mut turn);
            if !was_touched && state.is_touched() {
                self.touched.push(symbol);
            }
        }
        while let Some(topic) = self.due.pop(now) {
            match topic.symbol() {
                Some(symbol) => {
                    if let Some((state, mut turn)) = self.state(now, symbol, out) {
                        state.tick(topic, &mut turn);
                    }
                }
                None => self.send_tickers(now, out),
            }
        }
    }

    /// When [`Shard::advance`] has something to do next.
    pub fn next_due(&self) -> Option<Millis> {
        let minute = (!self.states.is_empty()).then_some(self.next_minute);
        let bars = minute.map(|_| self.bars_minute.saturating_add(self.config.bars_close.patience()));
        let crossed = self.crossed.front().map(|&(at, _)| at);
        [minute, bars, crossed, self.due.next()].into_iter().flatten().min()
    }

    /// Publishes what the turn changed, for everybody who reads the cells.
    pub fn end_turn(&mut self) {
        for symbol in self.touched.drain(..) {
            if let Some(Some(state)) = self.states.get_mut(symbol.index()) {
                state.publish();
            }
        }
    }

    /// Counts a subscriber and tells it where its topic stands.
    pub fn join(&mut self, now: Millis, join: &Join, out: &mut impl Outlet) {
        let frames = match join.channel.topic.symbol() {
            Some(symbol) => match self.state(now, symbol, out) {
                Some((state, mut turn)) => state.join(join, &mut turn),
                None => Vec::new(),
            },
            None => self.join_tickers(now, join),
        };
        let joined = Joined { connection: join.connection, channel: join.channel, frames };
        out.joined(join.worker, joined);
    }

    /// Counts a subscriber less.
    pub fn leave(&mut self, leave: Leave) {
        match leave.channel.topic.symbol() {
            Some(symbol) => {
                if let Some(Some(state)) = self.states.get_mut(symbol.index()) {
                    state.leave(leave);
                }
            }
            None => _ = self.tickers.interest.leave(leave.channel.dialect, leave.worker),
        }
    }

    /// The symbols that something came for.
    pub fn symbols(&mut self) -> impl Iterator<Item = &mut SymbolState> {
        self.states.iter_mut().flatten().map(|state| &mut **state)
    }

    fn advance_bars(&mut self, now: Millis, time: Millis, out: &mut impl Outlet) {
        if time >= self.bars_minute {
            self.bars_minute = time.div_euclid(MINUTE) * MINUTE + MINUTE;
            self.each(now, out, |state, turn| state.advance_bars(time, turn));
        }
    }

    /// A symbol's state, made where there is none yet, and what a turn of it may use.
    fn state<'a, O: Outlet>(
        &'a mut self,
        now: Millis,
        symbol: SymbolId,
        out: &'a mut O,
    ) -> Option<(&'a mut SymbolState, Turn<'a, O>)> {
        if self.states.get(symbol.index()).is_none_or(Option::is_none) {
            self.add(now, symbol)?;
        }
        let state = self.states[symbol.index()].as_deref_mut()?;
        let (config, board, crossed) = (&self.config, &*self.board, &mut self.crossed);
        Some((state, Turn { now, config, board, crossed, due: &mut self.due, flush: &mut self.flush, out }))
    }

    fn add(&mut self, now: Millis, symbol: SymbolId) -> Option<()> {
        let name = self.symbols.with(|table| table.name(symbol).cloned())?;
        let earlier = self.earlier.take(&name);
        let mut state = SymbolState::new(symbol, name, &self.epoch, &self.config, now);
        state.recall(&earlier);
        self.board.add(symbol, state.cells());
        if self.states.len() <= symbol.index() {
            self.states.resize_with(symbol.index() + 1, || None);
        }
        self.states[symbol.index()] = Some(Box::new(state));
        Some(())
    }

    fn each<O: Outlet>(
        &mut self,
        now: Millis,
        out: &mut O,
        mut act: impl FnMut(&mut SymbolState, &mut Turn<'_, O>),
    ) {
        for (at, state) in self.states.iter_mut().enumerate() {
            let Some(state) = state else { continue };
            let was_touched = state.is_touched();
            let (due, flush, crossed) = (&mut self.due, &mut self.flush, &mut self.crossed);
            let (config, board) = (&self.config, &*self.board);
            act(state, &mut Turn { now, config, board, crossed, due, flush, out });
            if !was_touched && state.is_touched() {
                self.touched.extend(u32::try_from(at).map(SymbolId));
            }
        }
    }

    fn join_tickers(&mut self, now: Millis, join: &Join) -> Vec<crate::encode::Frame> {
        if join.missed.is_none() && self.tickers.interest.join(join.channel.dialect, join.worker) {
            self.told.clear();
            self.collect_tickers();
            self.wait_for_tickers(now);
        }
        self.tickers.seq += u64::from(join.missed.is_some());
        let seq = self.tickers.first_seq();
        let mut all = Vec::new();
        self.board.each(|symbol, cells| all.push((symbol, cells.ticker.get())));
        all.retain(|(_, ticker)| ticker.version > 0);
        self.tickers_update(now, seq, &all, join.missed.is_none(), |update| {
            join.channel.dialect.encode(update)
        })
        .into_iter()
        .collect()
    }

    /// Tells the statistics that changed since the last tick, of all shards: their cells say so.
    fn send_tickers(&mut self, now: Millis, out: &mut impl Outlet) {
        if !self.tickers.throttle.take_due(now) || self.tickers.interest.is_empty() {
            return;
        }
        self.tickers.throttle.mark_sent(now, true);
        self.wait_for_tickers(now);
        let changed = self.collect_tickers();
        if !changed.is_empty() {
            self.tickers.seq += 1;
            let seq = self.tickers.seq;
            self.tickers_update(now, seq, &changed, false, |update| {
                self.tickers.interest.send(Topic::Tickers, Class::Conflated, update, out);
            });
        }
    }

    fn wait_for_tickers(&mut self, now: Millis) {
        self.tickers.throttle.mark_sent(now, true);
        if let Offer::At(tick) = self.tickers.throttle.offer(now) {
            self.due.push(tick, Topic::Tickers);
        }
    }

    fn collect_tickers(&mut self) -> Vec<(SymbolId, Arc<TickerSnapshot>)> {
        let mut changed = Vec::new();
        let told = &mut self.told;
        self.board.each(|symbol, cells| {
            if told.len() <= symbol.index() {
                told.resize(symbol.index() + 1, 0);
            }
            let version = cells.ticker.version();
            if std::mem::replace(&mut told[symbol.index()], version) != version {
                changed.push((symbol, cells.ticker.get()));
            }
        });
        changed
    }

    fn tickers_update<R>(
        &self,
        now: Millis,
        seq: u64,
        tickers: &[(SymbolId, Arc<TickerSnapshot>)],
        first: bool,
        then: impl FnOnce(&Update<'_>) -> R,
    ) -> R {
        let table = self.symbols.table();
        let named = |(symbol, ticker): &'_ (SymbolId, Arc<TickerSnapshot>)| {
            table.name(*symbol).map(|name| (name.clone(), ticker.clone()))
        };
        let named: Vec<_> = tickers.iter().filter_map(named).collect();
        let tickers: Vec<_> = named.iter().map(|(name, ticker)| (&**name, &ticker.view)).collect();
        then(&Update {
            topic: Topic::Tickers,
            symbol: "",
            scale: Scale::default(),
            epoch: &self.epoch,
            seq,
            taken_in: now,
            body: UpdateBody::Tickers { tickers: &tickers, first },
        })
    }
}

const MINUTE: Millis = 60_000;

//! What a new subscriber hears first: the picture that the others hold, or what it missed.

use super::symbol::{BookSlot, SymbolState, Turn, view};
use super::{Interest, Join, Leave, Outlet};
use crate::coalesce::{BookTopic, Flushed};
use crate::dialect::Since;
use crate::encode::Frame;
use crate::market::{BarKind, Decimal, Depth, Interval, Millis, Speed, Topic, Trade, Update, UpdateBody};

impl SymbolState {
    /// Counts the subscriber and returns what it must hear before anything else of the topic.
    pub(super) fn join<O: Outlet>(&mut self, join: &Join, turn: &mut Turn<'_, O>) -> Vec<Frame> {
        match join.channel.topic {
            Topic::Book { depth, speed, .. } => self.join_book(depth, speed, join, turn),
            Topic::Ticker { speed, .. } => {
                count(&mut self.tickers[speed as usize].interest, join);
                self.first_ticker(speed, join, turn).into_iter().collect()
            }
            Topic::Trades { .. } => {
                count(&mut self.trades, join);
                join.since.as_ref().map(|since| self.missed_trades(since, join, turn)).unwrap_or_default()
            }
            Topic::Kline { interval, .. } => {
                count(&mut self.klines[interval as usize].latest.interest, join);
                self.first_bars(interval, join, turn)
            }
            Topic::Tickers | Topic::Room(_) | Topic::Account(_) => Vec::new(),
        }
    }

    pub(super) fn leave(&mut self, leave: Leave) {
        match leave.channel.topic {
            Topic::Book { depth, speed, .. } => {
                if let Some(at) = self.find_book(depth, speed) {
                    let slot = &mut self.books[at];
                    if slot.interest.leave(leave.channel.dialect, leave.worker) {
                        slot.topic.deactivate();
                        (slot.picture, slot.missed) = (None, None);
                    }
                }
            }
            Topic::Ticker { speed, .. } => {
                self.tickers[speed as usize].interest.leave(leave.channel.dialect, leave.worker);
            }
            Topic::Trades { .. } => _ = self.trades.leave(leave.channel.dialect, leave.worker),
            Topic::Kline { interval, .. } => {
                self.klines[interval as usize].latest.interest.leave(leave.channel.dialect, leave.worker);
            }
            Topic::Tickers | Topic::Room(_) | Topic::Account(_) => {}
        }
    }

    fn join_book<O: Outlet>(
        &mut self,
        depth: Depth,
        speed: Speed,
        join: &Join,
        turn: &mut Turn<'_, O>,
    ) -> Vec<Frame> {
        let at = self.find_book(depth, speed).unwrap_or_else(|| {
            let topic = BookTopic::new(depth, speed);
            self.books.push(BookSlot { topic, interest: Interest::default(), picture: None, missed: None });
            self.books.len() - 1
        });
        let slot = &mut self.books[at];
        count(&mut slot.interest, join);
        if !slot.topic.is_active() {
            slot.topic.activate(turn.now, &self.book);
            slot.picture = None;
        }
        let holds_it = |since: &Since| *since.epoch == *self.book_epoch && since.seq == slot.topic.seq();
        if slot.topic.is_stale() {
            return self.stale_book(at, join, turn).into_iter().collect();
        }
        if join.since.as_ref().is_some_and(holds_it) {
            return Vec::new();
        }
        if let Some(missed) = join.missed.and_then(|place| self.missed_changes(at, place, join, turn)) {
            return vec![missed];
        }
        self.book_picture(at, join, turn).into_iter().collect()
    }

    /// One delta from where the client stood to where the topic stands, built once for all who
    /// stood there.
    fn missed_changes<O: Outlet>(
        &mut self,
        at: usize,
        place: u64,
        join: &Join,
        turn: &mut Turn<'_, O>,
    ) -> Option<Frame> {
        let slot = &self.books[at];
        let stretch = (place, slot.topic.place());
        if let Some((_, _, frame)) = slot
            .missed
            .as_ref()
            .filter(|(known, dialect, _)| (*known, *dialect) == (stretch, join.channel.dialect))
        {
            return Some(frame.clone());
        }
        let Some(Flushed::Delta { previous, merged }) = slot.topic.missed(place, &self.book, turn.flush)
        else {
            return None;
        };
        let (seq, taken_in) = (slot.topic.seq(), turn.flush.taken_in);
        let (book, window) = (view(turn.flush), slot.topic.window());
        let body = UpdateBody::BookDelta { book, previous, merged, window };
        let frame = join.channel.dialect.encode(&self.update(
            join.channel.topic,
            &self.book_epoch,
            seq,
            taken_in,
            body,
        ))?;
        let frame = turn.out.share(join.channel, frame);
        self.books[at].missed = Some((stretch, join.channel.dialect, frame.clone()));
        Some(frame)
    }

    /// The picture that the topic's subscribers hold, encoded once for all who join at it.
    fn book_picture<O: Outlet>(&mut self, at: usize, join: &Join, turn: &mut Turn<'_, O>) -> Option<Frame> {
        let slot = &mut self.books[at];
        let seq = slot.topic.seq();
        let which = (seq, join.channel.dialect, join.since.is_some());
        if let Some((_, frame)) = slot.picture.as_ref().filter(|(held, _)| *held == which) {
            return Some(frame.clone());
        }
        slot.topic.snapshot(&self.book, turn.flush);
        let recovered = join.since.is_some().then_some(false);
        let body = UpdateBody::BookSnapshot { book: view(turn.flush), recovered };
        let taken_in = turn.flush.taken_in;
        let frame = join.channel.dialect.encode(&self.update(
            join.channel.topic,
            &self.book_epoch,
            seq,
            taken_in,
            body,
        ))?;
        let frame = turn.out.share(join.channel, frame);
        self.books[at].picture = Some((which, frame.clone()));
        Some(frame)
    }

    fn stale_book<O: Outlet>(&self, at: usize, join: &Join, turn: &Turn<'_, O>) -> Option<Frame> {
        let seq = self.books[at].topic.seq();
        join.channel.dialect.encode(&self.update(
            join.channel.topic,
            &self.book_epoch,
            seq,
            turn.now,
            UpdateBody::Stale,
        ))
    }

    fn first_ticker<O: Outlet>(&mut self, speed: Speed, join: &Join, turn: &Turn<'_, O>) -> Option<Frame> {
        if !self.has_ticker() {
            return None;
        }
        // What is told to one that fell behind is newer than anything that it was told.
        self.tickers[speed as usize].seq += u64::from(join.missed.is_some());
        let seq = self.tickers[speed as usize].first_seq();
        let ticker = self.ticker().clone();
        let body = UpdateBody::Ticker { ticker: &ticker, first: join.missed.is_none(), price_changed: true };
        join.channel.dialect.encode(&self.update(join.channel.topic, &self.epoch, seq, turn.now, body))
    }

    /// The trades since `since`, or all that are held where some of them are not.
    fn missed_trades<O: Outlet>(&self, since: &Since, join: &Join, turn: &Turn<'_, O>) -> Vec<Frame> {
        let scale = self.book.scale();
        let shown = |price: Decimal| price.at_scale(scale).map_or(price, |price| price.to_decimal(scale));
        let missed = if *since.epoch == *self.epoch { self.tape.after(since.seq) } else { None };
        let Some(missed) = missed else {
            let trades: Vec<_> = self.tape.iter().map(|trade| (trade, shown(trade.price))).collect();
            let body = UpdateBody::TradesSnapshot { trades: &trades };
            let update = self.update(join.channel.topic, &self.epoch, self.tape.last_seq(), turn.now, body);
            return join.channel.dialect.encode(&update).into_iter().collect();
        };
        let encode = |(seq, trade, taken_in): (u64, &Trade, Millis)| {
            let body = UpdateBody::Trade { trade, price: shown(trade.price) };
            join.channel.dialect.encode(&self.update(join.channel.topic, &self.epoch, seq, taken_in, body))
        };
        missed.filter_map(encode).collect()
    }

    /// The closes and corrections since `since` and the open bar, or the open bar alone.
    fn first_bars<O: Outlet>(&mut self, interval: Interval, join: &Join, turn: &Turn<'_, O>) -> Vec<Frame> {
        let kline = &mut self.klines[interval as usize];
        // As for tickers; it may have been told of this bar's predecessor under the number that stands.
        kline.latest.seq += u64::from(join.missed.is_some());
        let first = kline.latest.first_seq();
        let since = join.since.as_ref().filter(|since| *since.epoch == *self.epoch);
        let series = self.bars.series(interval);
        let missed = since.and_then(|since| kline.missed(since.seq, &series));
        let mut frames = Vec::new();
        for (seq, bar, kind) in missed.iter().flatten() {
            let (seq, kind) = (*seq, *kind);
            let body = UpdateBody::Kline { interval, bar, kind };
            let update = self.update(join.channel.topic, &self.epoch, seq, turn.now, body);
            frames.extend(join.channel.dialect.encode(&update));
        }
        if let Some(bar) = series.open() {
            let recovered = missed.is_some() || join.since.is_none();
            let kind = match recovered {
                _ if join.missed.is_some() => BarKind::Open,
                true => BarKind::First,
                false => BarKind::NotRecovered,
            };
            let body = UpdateBody::Kline { interval, bar, kind };
            frames.extend(join.channel.dialect.encode(&self.update(
                join.channel.topic,
                &self.epoch,
                first,
                turn.now,
                body,
            )));
        }
        frames
    }

    fn update<'a>(
        &'a self,
        topic: Topic,
        epoch: &'a str,
        seq: u64,
        taken_in: Millis,
        body: UpdateBody<'a>,
    ) -> Update<'a> {
        Update { topic, symbol: &self.name, scale: self.book.scale(), epoch, seq, taken_in, body }
    }
}

fn count(interest: &mut Interest, join: &Join) {
    if join.missed.is_none() {
        interest.join(join.channel.dialect, join.worker);
    }
}

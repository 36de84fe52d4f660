//! A symbol's bars: open, high, low, close and volumes of ten intervals, in progress and closed.

mod recalled;
mod timed;

use std::collections::VecDeque;

use self::timed::Timed;
use crate::market::{Bar, Interval, Millis, Price, Scale, Total};

/// The bars of all intervals.
///
/// A bar closes with the first trade of a later interval, or when [`Bars::advance`] is told that its
/// time is over. Intervals without a trade give flat bars at the last price.
///
/// A trade like the one before it (nearly every trade) touches the open minute alone: longer bars
/// take it in when something else happens to them, or when somebody looks.
#[derive(Debug)]
pub struct Bars {
    rows: [Row; Interval::ALL.len()],
    fed_by_trades: bool,
    /// Trades of the open minute that the longer bars in progress have yet to take in.
    pending: Timed,
    /// The open minute lies within every longer bar in progress.
    nested: bool,
    /// The bars are those of an earlier run, and nothing has come since.
    recalled: bool,
}

/// What happened to a bar, in the order in which clients must hear it.
#[derive(Debug)]
pub enum BarChange<'a> {
    /// The bar in progress changed, or a new one began.
    Open(Interval),
    /// A bar is final. Comes exactly once for each, before anything of the next.
    Closed(Interval, &'a Bar),
    /// A final bar changed after all, because a trade came late.
    Corrected(Interval, &'a Bar),
}

/// A trade at its symbol's scale, as bars and tickers see it.
#[derive(Clone, Copy, Debug)]
pub struct Traded {
    /// When, by the source.
    pub time: Millis,
    /// The price.
    pub price: Price,
    /// How many of the venue's trades it stands for.
    pub count: u64,
    /// Base volume.
    pub volume: Total,
    /// Quote volume.
    pub quote_volume: Total,
    /// Whether the taker bought.
    pub taker_bought: bool,
}

impl Bars {
    /// Without bars, keeping `kept` closed ones of each interval, and filling at most `most_flat`
    /// quiet intervals at once (a longer silence is left as a hole).
    pub fn new(kept: usize, most_flat: usize) -> Bars {
        Bars {
            rows: Interval::ALL.map(|interval| Row::new(interval, kept, most_flat)),
            fed_by_trades: false,
            pending: Timed::NOTHING,
            nested: false,
            recalled: false,
        }
    }

    /// Takes a trade in.
    pub fn trade(&mut self, trade: &Traded, report: &mut impl FnMut(BarChange<'_>)) {
        if self.nested
            && let Some(minute) = &mut self.rows[0].open
            && minute.spans(trade.time)
        {
            minute.trade(trade);
            self.pending.trade(trade);
            return Interval::ALL.into_iter().for_each(|interval| report(BarChange::Open(interval)));
        }
        if !self.fed_by_trades {
            self.fed_by_trades = true;
            let recalled = std::mem::take(&mut self.recalled);
            for row in &mut self.rows {
                match recalled {
                    true => row.close_before(row.interval.open_time(trade.time), 0, report),
                    // Bars that the venue told so far stay as history; the one in progress begins
                    // anew, because nobody can tell which of its trades the venue's bar already held.
                    false => row.forget_open(),
                }
            }
        }
        self.settle();
        for row in &mut self.rows {
            row.trade(trade, report);
        }
        self.nested = self.is_nested();
    }

    /// Takes a bar of the venue's own in, for symbols without a trade stream; `false` where there
    /// is one. A one-minute bar feeds all intervals, any other its own.
    pub fn source_bar(
        &mut self,
        interval: Interval,
        bar: &Bar,
        closed: bool,
        report: &mut impl FnMut(BarChange<'_>),
    ) -> bool {
        if self.fed_by_trades {
            return false;
        }
        self.recalled = false;
        for row in &mut self.rows {
            if row.interval == interval || interval == Interval::M1 {
                row.source_bar(bar, closed, report);
            }
        }
        true
    }

    /// Closes the bars whose time is over at `now`, and begins the next ones. Bars that the venue
    /// tells are closed by the venue.
    pub fn advance(&mut self, now: Millis, report: &mut impl FnMut(BarChange<'_>)) {
        if !self.fed_by_trades {
            return;
        }
        self.settle();
        for row in &mut self.rows {
            row.advance(now, report);
        }
        self.nested = self.is_nested();
    }

    /// The bars of one interval.
    pub fn series(&self, interval: Interval) -> Series<'_> {
        let row = &self.rows[interval as usize];
        let mut open = row.open;
        if let Some(open) = open.as_mut().filter(|_| interval != Interval::M1) {
            open.take_in(&self.pending);
        }
        Series { row, open: open.map(|open| open.bar) }
    }

    /// All prices at a larger scale from now on.
    pub fn rescale(&mut self, from: Scale, to: Scale) {
        let factor = from.factor_to(to);
        self.settle();
        for row in &mut self.rows {
            row.closed.iter_mut().chain(&mut row.open).for_each(|timed| timed.bar.rescale(factor));
            row.settled.iter_mut().for_each(|bar| bar.rescale(factor));
        }
    }

    /// Lets the longer bars in progress take in what they lack.
    fn settle(&mut self) {
        let pending = std::mem::replace(&mut self.pending, Timed::NOTHING);
        if pending.bar.trades > 0 {
            self.rows[1..].iter_mut().flat_map(|row| &mut row.open).for_each(|open| open.take_in(&pending));
        }
    }

    fn is_nested(&self) -> bool {
        let Some(minute) = self.rows[0].open.map(|open| open.bar) else { return false };
        let within = |open: &Timed| open.spans(minute.open_time) && minute.close_time <= open.bar.close_time;
        self.rows.iter().all(|row| row.open.as_ref().is_some_and(within))
    }
}

/// The bars of one interval, as they stand.
#[derive(Debug)]
pub struct Series<'a> {
    row: &'a Row,
    open: Option<Bar>,
}

impl<'a> Series<'a> {
    /// The bar in progress.
    pub const fn open(&self) -> Option<&Bar> {
        self.open.as_ref()
    }

    /// Closed bars that are kept, oldest first.
    pub fn closed(&self) -> impl DoubleEndedIterator<Item = &'a Bar> + ExactSizeIterator + use<'a> {
        self.row.closed.iter().map(|timed| &timed.bar)
    }
}

/// The bars of one interval.
///
/// Invariants: open times rise; the bar in progress is later than every closed one.
#[derive(Debug)]
struct Row {
    interval: Interval,
    open: Option<Timed>,
    /// Of a bar that is built from the venue's shorter ones: the part of it that is final.
    settled: Option<Bar>,
    closed: VecDeque<Timed>,
    /// No bar opens before this: it is where the last closed one ended.
    floor: Millis,
    kept: usize,
    most_flat: usize,
}

impl Row {
    const fn new(interval: Interval, kept: usize, most_flat: usize) -> Row {
        Row {
            interval,
            open: None,
            settled: None,
            closed: VecDeque::new(),
            floor: Millis::MIN,
            kept,
            most_flat,
        }
    }

    fn trade(&mut self, trade: &Traded, report: &mut impl FnMut(BarChange<'_>)) {
        // No calendar is needed to see that it belongs to the bar in progress.
        if let Some(open) = &mut self.open
            && open.spans(trade.time)
        {
            open.trade(trade);
            return report(BarChange::Open(self.interval));
        }
        let open_time = self.interval.open_time(trade.time);
        if open_time < self.floor || self.open.is_some_and(|open| open_time < open.bar.open_time) {
            return self.late(open_time, trade, report);
        }
        self.close_before(open_time, self.most_flat, report);
        match &mut self.open {
            Some(open) => open.trade(trade),
            None => self.open = Some(Timed::begin(self.interval, open_time, trade)),
        }
        report(BarChange::Open(self.interval));
    }

    /// A trade of a bar that is closed: history changes, and the flat bars behind it follow its price.
    fn late(&mut self, open_time: Millis, trade: &Traded, report: &mut impl FnMut(BarChange<'_>)) {
        let Some(at) = self.closed.iter().rposition(|timed| timed.bar.open_time == open_time) else { return };
        self.closed[at].trade(trade);
        report(BarChange::Corrected(self.interval, &self.closed[at].bar));
        let close = self.closed[at].bar.close;
        for timed in self.closed.range_mut(at + 1..) {
            if timed.bar.trades > 0 || timed.bar.close == close {
                return;
            }
            timed.flatten(close);
            report(BarChange::Corrected(self.interval, &timed.bar));
        }
        if let Some(open) = self.open.as_mut().filter(|open| open.bar.trades == 0 && open.bar.close != close)
        {
            open.flatten(close);
            report(BarChange::Open(self.interval));
        }
    }

    fn source_bar(&mut self, bar: &Bar, closed: bool, report: &mut impl FnMut(BarChange<'_>)) {
        let open_time = self.interval.open_time(bar.open_time);
        if self.open.is_some_and(|open| open_time < open.bar.open_time)
            || open_time < self.floor
            || self.settled.is_some_and(|settled| bar.close_time <= settled.close_time)
        {
            return;
        }
        // Where the venue itself has no bar (trading was halted) there is none to make up.
        self.close_before(open_time, 0, report);
        let mut whole = self.settled.map_or(*bar, |settled| settled.followed_by(bar));
        if closed {
            self.settled = Some(whole);
        }
        let over = closed && bar.close_time >= self.interval.close_time(open_time);
        (whole.open_time, whole.close_time) = (open_time, self.interval.close_time(open_time));
        self.open = Some(Timed { bar: whole, first: whole.open_time, last: bar.close_time - 1 });
        report(BarChange::Open(self.interval));
        if over {
            self.close(report);
        }
    }

    /// Closes the bar in progress if it is over at `now`, and all quiet ones since.
    fn advance(&mut self, now: Millis, report: &mut impl FnMut(BarChange<'_>)) {
        if self.open.is_some_and(|open| open.bar.close_time <= now) {
            self.close_before(self.interval.open_time(now), self.most_flat, report);
            report(BarChange::Open(self.interval));
        }
    }

    /// Closes the bar in progress if it opened before `open_time`; flat bars fill what lies between.
    fn close_before(&mut self, open_time: Millis, most_flat: usize, report: &mut impl FnMut(BarChange<'_>)) {
        let mut filled = 0;
        while let Some(open) = self.open.filter(|open| open.bar.open_time < open_time) {
            self.close(report);
            let next = open.bar.close_time;
            if filled == most_flat {
                break;
            }
            filled += 1;
            self.open = Some(Timed::flat(self.interval, next, open.bar.close));
        }
    }

    fn close(&mut self, report: &mut impl FnMut(BarChange<'_>)) {
        self.settled = None;
        let Some(open) = self.open.take() else { return };
        self.floor = open.bar.close_time;
        report(BarChange::Closed(self.interval, &open.bar));
        self.keep(open);
    }

    fn keep(&mut self, closed: Timed) {
        if self.closed.len() >= self.kept {
            self.closed.pop_front();
        }
        if self.kept > 0 {
            self.closed.push_back(closed);
        }
    }

    fn forget_open(&mut self) {
        (self.open, self.settled) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::market::{Decimal, Quantity};

    fn traded(time: Millis, price: i64, units: i64) -> Traded {
        let quantity = Quantity::new(Decimal::new(units, 0)).unwrap();
        Traded {
            time,
            price: Price(price),
            count: 1,
            volume: quantity.into(),
            quote_volume: Total::product(Decimal::new(price, 0), quantity),
            taker_bought: units % 2 == 0,
        }
    }

    /// Open time, the four prices and the number of trades.
    type Row = (Millis, [i64; 4], u64);

    fn row(bar: &Bar) -> Row {
        (bar.open_time, [bar.open, bar.high, bar.low, bar.close].map(|price| price.0), bar.trades)
    }

    fn closes(bars: &mut Bars, act: impl FnOnce(&mut Bars, &mut dyn FnMut(BarChange<'_>))) -> Vec<Row> {
        let mut closed = Vec::new();
        act(bars, &mut |change| {
            if let BarChange::Closed(Interval::M1, bar) = change {
                closed.push(row(bar));
            }
        });
        closed
    }

    #[test]
    fn a_bar_closes_once_and_quiet_minutes_give_flat_bars() {
        let mut bars = Bars::new(10, 10);
        assert!(
            closes(&mut bars, |bars, mut report| bars.trade(&traded(30_000, 100, 1), &mut report)).is_empty()
        );
        let first = (0, [100; 4], 1);
        assert_eq!(closes(&mut bars, |bars, mut report| bars.advance(60_000, &mut report)), [first]);
        assert!(closes(&mut bars, |bars, mut report| bars.advance(119_999, &mut report)).is_empty());
        let rest = closes(&mut bars, |bars, mut report| bars.trade(&traded(200_000, 90, 1), &mut report));
        assert_eq!(rest, [(60_000, [100; 4], 0), (120_000, [100; 4], 0)]);
        assert_eq!(bars.series(Interval::M1).open().map(row), Some((180_000, [90; 4], 1)));
    }

    #[test]
    fn a_late_trade_corrects_its_bar_and_the_flat_ones_behind_it() {
        let mut bars = Bars::new(10, 10);
        bars.trade(&traded(30_000, 100, 1), &mut |_| {});
        bars.advance(180_000, &mut |_| {});
        let mut corrected = Vec::new();
        bars.trade(&traded(59_000, 105, 1), &mut |change| match change {
            BarChange::Corrected(Interval::M1, bar) => corrected.push(row(bar)),
            BarChange::Closed(..) => panic!("closed twice"),
            BarChange::Open(_) | BarChange::Corrected(..) => {}
        });
        assert_eq!(corrected, [(0, [100, 105, 100, 105], 2), (60_000, [105; 4], 0), (120_000, [105; 4], 0)]);
        assert_eq!(bars.series(Interval::M1).open().map(row), Some((180_000, [105; 4], 0)));
    }

    #[test]
    fn a_long_silence_is_left_as_a_hole() {
        let mut bars = Bars::new(10, 2);
        bars.trade(&traded(0, 100, 1), &mut |_| {});
        let closed =
            closes(&mut bars, |bars, mut report| bars.trade(&traded(86_400_000, 90, 1), &mut report));
        assert_eq!(closed.iter().map(|row| row.0).collect::<Vec<_>>(), [0, 60_000, 120_000]);
        let late = closes(&mut bars, |bars, mut report| bars.trade(&traded(600_000, 1, 1), &mut report));
        assert!(late.is_empty(), "open times never go back");
    }

    #[test]
    fn the_venues_minutes_make_up_every_longer_bar() {
        let mut bars = Bars::new(100, 10);
        let minute = |at: i64, price: i64| Bar {
            open_time: at * 60_000,
            close_time: (at + 1) * 60_000,
            open: Price(price),
            high: Price(price + 2),
            low: Price(price - 2),
            close: Price(price + 1),
            trades: 3,
            ..Bar::default()
        };
        let mut closed = Vec::new();
        for at in 0..3 {
            for is_final in [false, true, true] {
                bars.source_bar(Interval::M1, &minute(at, 10 * (at + 1)), is_final, &mut |change| {
                    if let BarChange::Closed(Interval::M3, bar) = change {
                        closed.push(row(bar));
                    }
                });
            }
        }
        assert_eq!(closed, [(0, [10, 32, 8, 31], 9)]);
    }

    proptest! {
            #[test]
            fn bars_are_what_a_recomputation_gives(
                steps in proptest::collection::vec((0_i64..90_000, -30_000_i64..1, 1_i64..50, 1_i64..9), 1..80),
                by_clock: bool,
            ) {
                let mut bars = Bars::new(10_000, 10_000);
                let mut closed_of = BTreeMap::<(usize, Millis), u32>::new();
                let mut now = 60_000;
                let mut all = Vec::new();
                for (forward, late, price, units) in steps {
                    now += forward;
                    let mut last_open = [Millis::MIN; 10];
                    let mut hear = |change: BarChange<'_>| if let BarChange::Closed(interval, bar) = change {
                        *closed_of.entry((interval as usize, bar.open_time)).or_default() += 1;
                        assert!(bar.open_time > last_open[interval as usize], "open times rise");
                        last_open[interval as usize] = bar.open_time;
                    };
                    if by_clock {
                        bars.advance(now, &mut hear);
                    }
                    let time = now + late;
                    bars.trade(&traded(time, price, units), &mut hear);
                    all.push((time, price, units));
                    let of_day = bars.series(Interval::D1).open().map(|bar| bar.trades);
                    let day = Interval::D1.open_time(now.max(time));
    prop_assert_eq!(of_day, Some(all.iter().filter(|trade| trade.0 >= day).count() as u64));
                }
                prop_assert!(closed_of.values().all(|&times| times == 1), "closed once");
                let first = all[0].0;
                for interval in [Interval::M1, Interval::M5, Interval::H1] {
                    // What came before the first bar that was opened belongs to no bar.
                    let from = interval.open_time(first);
                    let mut expected = BTreeMap::<Millis, Vec<(Millis, i64, i64)>>::new();
                    for &trade in all.iter().filter(|trade| trade.0 >= from) {
                        expected.entry(interval.open_time(trade.0)).or_default().push(trade);
                    }
                    let series = bars.series(interval);
                    let mut last_close = None;
                    for bar in series.closed().chain(series.open()) {
                        match expected.remove(&bar.open_time) {
                            Some(mut trades) => {
                                trades.sort_by_key(|trade| trade.0);
                                let prices = trades.iter().map(|trade| trade.1);
                                let units: i64 = trades.iter().map(|trade| trade.2).sum();
                                let (open, close) = (trades[0].1, trades[trades.len() - 1].1);
                                let (high, low) = (prices.clone().max().unwrap(), prices.min().unwrap());
                                prop_assert_eq!(row(bar), (bar.open_time, [open, high, low, close], trades.len() as u64));
                                prop_assert_eq!(bar.volume, Total::from(Decimal::new(units, 0)));
                                last_close = Some(close);
                            }
                            None => prop_assert_eq!(row(bar), (bar.open_time, [last_close.unwrap(); 4], 0)),
                        }
                    }
                    prop_assert!(expected.is_empty(), "no trade is left over");
                }
            }
        }
}

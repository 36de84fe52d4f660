//! Bars of an earlier run: history, and what the longer bars in progress had of it.

use super::timed::Timed;
use super::{Bars, Row};
use crate::market::{Bar, KeptBar, Millis, Scale};

impl Bars {
    /// Begins with closed bars of an earlier run, now at `scale`; of each interval the oldest come first.
    /// A longer bar that was in progress is put together of the shorter ones, and goes on.
    pub fn recall(&mut self, scale: Scale, kept: &[KeptBar]) {
        for kept in kept {
            let row = &mut self.rows[kept.interval as usize];
            if let Some(bar) = at_scale(kept, scale).filter(|bar| bar.open_time >= row.floor) {
                row.floor = bar.close_time;
                row.keep(Timed { bar, first: bar.open_time, last: bar.close_time - 1 });
            }
        }
        let end = self.rows.iter().map(|row| row.floor).max().unwrap_or(Millis::MIN);
        if end == Millis::MIN {
            return;
        }
        for at in 1..self.rows.len() {
            let open_time = self.rows[at].interval.open_time(end - 1);
            if open_time >= self.rows[at].floor
                && let Some(whole) = put_together(&self.rows[..at], open_time, end)
            {
                let row = &mut self.rows[at];
                row.settled = Some(whole);
                let bar = Bar { open_time, close_time: row.interval.close_time(open_time), ..whole };
                row.open = Some(Timed { bar, first: open_time, last: end - 1 });
            }
        }
        self.recalled = true;
    }
}

impl Row {
    /// The first closed bar that opens at `time` or later.
    fn closed_from(&self, time: Millis) -> Option<&Bar> {
        self.closed
            .get(self.closed.partition_point(|timed| timed.bar.open_time < time))
            .map(|timed| &timed.bar)
    }
}

/// A bar at a scale that is not smaller; `None` of one that cannot be shown at it.
fn at_scale(kept: &KeptBar, scale: Scale) -> Option<Bar> {
    let factor = (kept.scale <= scale).then(|| kept.scale.factor_to(scale))?;
    kept.bar.high.0.checked_mul(factor)?;
    let mut bar = kept.bar;
    bar.rescale(factor);
    Some(bar)
}

/// One bar of those that lie between two moments: of the longest that fit, with holes where there are none.
fn put_together(rows: &[Row], from: Millis, end: Millis) -> Option<Bar> {
    let (mut whole, mut time): (Option<Bar>, _) = (None, from);
    while time < end {
        let next = rows.iter().rev().filter_map(|row| row.closed_from(time));
        // The first of the earliest is the longest of them.
        let Some(bar) = next.min_by_key(|bar| bar.open_time).filter(|bar| bar.open_time < end) else { break };
        whole = Some(whole.map_or(*bar, |whole| whole.followed_by(bar)));
        time = bar.close_time;
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Decimal, Interval, Price, Quantity, Total};
    use crate::state::{BarChange, Traded};

    const MINUTE: Millis = 60_000;

    fn traded(time: Millis, price: i64) -> Traded {
        let quantity = Quantity::new(Decimal::new(1, 0)).unwrap();
        Traded {
            time,
            price: Price(price),
            count: 1,
            volume: quantity.into(),
            quote_volume: Total::product(Decimal::new(price, 0), quantity),
            taker_bought: true,
        }
    }

    /// Puts what closes into `closed`.
    fn keep(closed: &mut Vec<KeptBar>) -> impl FnMut(BarChange<'_>) + '_ {
        move |change| {
            if let BarChange::Closed(interval, bar) = change {
                closed.push(KeptBar { symbol: "X".into(), interval, scale: Scale::default(), bar: *bar });
            }
        }
    }

    /// Trades, one each minute.
    fn trade(bars: &mut Bars, minutes: std::ops::Range<i64>, closed: &mut Vec<KeptBar>) {
        for minute in minutes {
            bars.trade(&traded(minute * MINUTE + 7, 100 + minute % 13), &mut keep(closed));
        }
    }

    #[test]
    fn bars_go_on_after_a_restart_as_if_there_had_been_none() {
        let (mut closed, mut before) = (Vec::new(), Bars::new(100, 0));
        trade(&mut before, 1_000..1_607, &mut closed);
        // The last minute ends with the restart: it closes, as the clock closes it.
        before.advance(1_607 * MINUTE, &mut keep(&mut closed));
        let mut after = Bars::new(100, 0);
        after.recall(Scale::default(), &closed);
        let mut both = [Vec::new(), Vec::new()];
        trade(&mut before, 1_607..1_700, &mut both[0]);
        trade(&mut after, 1_607..1_700, &mut both[1]);
        assert_eq!(both[0], both[1], "what closes later is the same");
        for interval in Interval::ALL {
            let [before, after] = [&before, &after].map(|bars| bars.series(interval));
            assert_eq!(
                before.closed().collect::<Vec<_>>(),
                after.closed().collect::<Vec<_>>(),
                "{interval:?}"
            );
            assert_eq!(before.open(), after.open(), "{interval:?}");
        }
    }

    #[test]
    fn nothing_is_made_up_for_the_time_in_which_nobody_looked() {
        let (mut closed, mut before) = (Vec::new(), Bars::new(100, 50));
        trade(&mut before, 0..10, &mut closed);
        let mut after = Bars::new(100, 50);
        after.recall(Scale::default(), &closed);
        let mut told = Vec::new();
        trade(&mut after, 100..102, &mut told);
        let minutes: Vec<_> = after.series(Interval::M1).closed().map(|bar| bar.open_time / MINUTE).collect();
        assert_eq!(minutes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 100]);
        let hours: Vec<_> = told.iter().filter(|kept| kept.interval == Interval::H1).collect();
        assert!(hours.len() == 1 && hours[0].bar.trades == 9, "{hours:?}");
    }

    #[test]
    fn bars_of_a_smaller_scale_are_shown_at_the_larger_one() {
        let (mut closed, mut before) = (Vec::new(), Bars::new(100, 0));
        trade(&mut before, 0..2, &mut closed);
        let mut after = Bars::new(100, 0);
        let two = Scale::new(2).unwrap();
        after.recall(two, &closed);
        assert_eq!(after.series(Interval::M1).closed().next().unwrap().open, Price(10_000));
        let wide = KeptBar { scale: Scale::new(3).unwrap(), ..closed[0].clone() };
        let mut none = Bars::new(100, 0);
        none.recall(two, &[wide]);
        assert_eq!(none.series(Interval::M1).closed().len(), 0, "digits are not cut off");
    }
}

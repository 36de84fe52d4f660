//! The small topics of a symbol: tickers, bars and trades, with their numbers and throttles.

use std::collections::VecDeque;

use super::Interest;
use crate::coalesce::Throttle;
use crate::market::{Bar, BarKind, Interval, Millis, Speed, Total};
use crate::state::Series;

/// A topic of which only the newest state counts.
#[derive(Debug)]
pub(super) struct LatestTopic {
    pub(super) interest: Interest,
    pub(super) throttle: Throttle,
    pub(super) seq: u64,
    /// The last price that was told, where the topic has one.
    pub(super) price: Option<Total>,
}

impl LatestTopic {
    pub(super) fn new(window: Millis) -> LatestTopic {
        LatestTopic { interest: Interest::default(), throttle: Throttle::new(window), seq: 0, price: None }
    }

    /// The number of the picture that a new subscriber gets.
    pub(super) fn first_seq(&mut self) -> u64 {
        self.seq = self.seq.max(1);
        self.seq
    }
}

/// A symbol's ticker topics, one for each speed.
pub(super) fn ticker_topics(slowest: Millis) -> [LatestTopic; 3] {
    Speed::ALL.map(|speed| match speed {
        Speed::Raw | Speed::Ms100 => LatestTopic::new(speed.window()),
        Speed::S1 => LatestTopic::new(slowest),
    })
}

/// The bars of one interval: the open one is conflated, a closed one never lost.
#[derive(Debug)]
pub(super) struct KlineTopic {
    pub(super) interval: Interval,
    pub(super) latest: LatestTopic,
    /// The numbers of the closed bars that are kept, oldest first.
    closes: VecDeque<u64>,
    /// The numbers of corrections, each with its bar's open time, oldest first.
    corrections: VecDeque<(u64, Millis)>,
    /// The number of the newest close or correction that is no longer kept.
    forgotten: u64,
}

impl KlineTopic {
    pub(super) fn new(interval: Interval, window: Millis) -> KlineTopic {
        let (closes, corrections) = (VecDeque::new(), VecDeque::new());
        KlineTopic { interval, latest: LatestTopic::new(window), closes, corrections, forgotten: 0 }
    }

    /// Numbers a bar that closed just now; `kept` of them are kept with it.
    pub(super) fn close(&mut self, kept: usize) -> u64 {
        self.latest.seq += 1;
        self.closes.push_back(self.latest.seq);
        while self.closes.len() > kept {
            let oldest = self.closes.pop_front().unwrap_or(0);
            self.forgotten = self.forgotten.max(oldest);
        }
        self.latest.seq
    }

    /// Numbers a correction of the closed bar that opened at `open_time`; `kept` of them are kept.
    pub(super) fn correct(&mut self, open_time: Millis, kept: usize) -> u64 {
        self.latest.seq += 1;
        self.corrections.push_back((self.latest.seq, open_time));
        while self.corrections.len() > kept {
            let oldest = self.corrections.pop_front().map_or(0, |(seq, _)| seq);
            self.forgotten = self.forgotten.max(oldest);
        }
        self.latest.seq
    }

    /// The closes and corrections after `seq` in order, each with its number and its bar as it is
    /// now; `None` when some of them are no longer kept, or `seq` was never given out.
    ///
    /// A bar is told once: not corrected where its close was missed as well, and only as it was
    /// corrected last.
    pub(super) fn missed(&self, seq: u64, series: &Series<'_>) -> Option<Vec<(u64, Bar, BarKind)>> {
        if !(self.forgotten..=self.latest.seq).contains(&seq) {
            return None;
        }
        let closes = self.closes.iter().copied().filter(|&close| close > seq);
        let skipped = series.closed().len().saturating_sub(closes.clone().count());
        let mut missed: Vec<_> =
            closes.zip(series.closed().skip(skipped)).map(|(seq, bar)| (seq, bar, BarKind::Closed)).collect();
        let first_closed = missed.first().map_or(Millis::MAX, |(_, bar, _)| bar.open_time);
        for (at, &(number, open_time)) in self.corrections.iter().enumerate() {
            let again = || self.corrections.range(at + 1..).any(|(_, later)| *later == open_time);
            if number > seq && open_time < first_closed && !again() {
                let bar = series.closed().find(|bar| bar.open_time == open_time)?;
                missed.push((number, bar, BarKind::Correction));
            }
        }
        missed.sort_unstable_by_key(|(number, ..)| *number);
        Some(missed)
    }
}

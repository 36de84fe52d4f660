//! The small topics of a symbol: tickers, bars and trades, with their numbers and throttles.

use std::collections::VecDeque;

use super::Interest;
use crate::coalesce::Throttle;
use crate::market::{Interval, Millis, Speed, Total};

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
    /// The number of the newest closed bar that is no longer kept.
    forgotten: u64,
}

impl KlineTopic {
    pub(super) fn new(interval: Interval, window: Millis) -> KlineTopic {
        KlineTopic { interval, latest: LatestTopic::new(window), closes: VecDeque::new(), forgotten: 0 }
    }

    /// Numbers a bar that closed just now; `kept` of them are kept with it.
    pub(super) fn close(&mut self, kept: usize) -> u64 {
        self.latest.seq += 1;
        self.closes.push_back(self.latest.seq);
        while self.closes.len() > kept {
            self.forgotten = self.closes.pop_front().unwrap_or(self.forgotten);
        }
        self.latest.seq
    }

    /// The numbers of the bars that closed after `seq`, oldest first; `None` when some of them are
    /// no longer kept, or `seq` was never given out.
    pub(super) fn closed_after(&self, seq: u64) -> Option<Vec<u64>> {
        let known = self.forgotten <= seq && seq <= self.latest.seq;
        known.then(|| self.closes.iter().copied().filter(|&close| close > seq).collect())
    }
}

//! What waits for a tick, soonest first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::market::{Millis, Topic};

/// Topics by the time at which they are to be looked at again.
#[derive(Debug, Default)]
pub(super) struct Due {
    waiting: BinaryHeap<Reverse<(Millis, Topic)>>,
}

impl Due {
    pub(super) fn push(&mut self, at: Millis, topic: Topic) {
        self.waiting.push(Reverse((at, topic)));
    }

    /// The next topic whose time has come at `now`.
    pub(super) fn pop(&mut self, now: Millis) -> Option<Topic> {
        self.next().filter(|&at| at <= now)?;
        self.waiting.pop().map(|Reverse((_, topic))| topic)
    }

    pub(super) fn next(&self) -> Option<Millis> {
        self.waiting.peek().map(|Reverse((at, _))| *at)
    }
}

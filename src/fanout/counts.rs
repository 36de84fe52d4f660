//! What a worker has counted, and how others come to read it.

use std::cell::{Cell, RefCell};
use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;

use crate::encode::compressions;
use crate::market::Topic;

/// What became of messages that were not simply sent, by topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that were compressed: a broadcast counts once, however many got it.
    pub compressions: u64,
    /// By topic. Topics of which every message was sent are not in here.
    pub topics: FxHashMap<Topic, TopicCounts>,
}

/// What became of one topic's messages, one for each client that should have heard one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopicCounts {
    /// Left out for a client that was too slow, and taken in by a later one.
    pub merged: u64,
    /// Found no room although nothing makes up for them: the client was closed.
    pub dropped: u64,
}

impl Counts {
    /// Adds what another worker counted.
    pub fn add(&mut self, other: &Counts) {
        self.compressions += other.compressions;
        for (topic, counts) in &other.topics {
            let sum = self.topics.entry(*topic).or_default();
            sum.merged += counts.merged;
            sum.dropped += counts.dropped;
        }
    }
}

/// The worker's own side: plain numbers, which it shows to others a few times a second.
#[derive(Debug, Default)]
pub(super) struct Counting {
    topics: RefCell<FxHashMap<Topic, TopicCounts>>,
    has_changed: Cell<bool>,
}

impl Counting {
    pub(super) fn merged(&self, topic: Topic) {
        self.topics.borrow_mut().entry(topic).or_default().merged += 1;
        self.has_changed.set(true);
    }

    pub(super) fn dropped(&self, topic: Topic) {
        self.topics.borrow_mut().entry(topic).or_default().dropped += 1;
        self.has_changed.set(true);
    }

    /// Lets others see what was counted so far.
    pub(super) fn show(&self, shown: &Mutex<Counts>) {
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.compressions = compressions();
        if self.has_changed.take() {
            shown.topics.clone_from(&self.topics.borrow());
        }
    }
}

//! How many hub clients there are and what they hear, for `/ws/status`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;

use crate::market::Topic;

/// Counts over all hub connections. Written when somebody subscribes, not when something is told.
#[derive(Debug, Default)]
pub struct HubStatus(Mutex<Counts>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    connections: usize,
    topics: BTreeMap<String, usize>,
}

/// One connection's part of the counts, taken back when it goes.
#[derive(Debug)]
pub struct Presence {
    status: Arc<HubStatus>,
    counted: FxHashMap<Topic, String>,
}

impl HubStatus {
    /// Counts one connection more.
    pub fn enter(self: &Arc<HubStatus>) -> Presence {
        self.with(|counts| counts.connections += 1);
        Presence { status: self.clone(), counted: FxHashMap::default() }
    }

    /// The number of connections, and of subscriptions by topic.
    pub fn counts(&self) -> (usize, BTreeMap<String, usize>) {
        self.with(|counts| (counts.connections, counts.topics.clone()))
    }

    fn with<R>(&self, change: impl FnOnce(&mut Counts) -> R) -> R {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Presence {
    /// It hears this topic, which is counted under this name.
    pub(super) fn subscribed(&mut self, topic: Topic, name: &str) {
        if self.counted.insert(topic, name.to_owned()).is_none() {
            self.status.with(|counts| *counts.topics.entry(name.to_owned()).or_default() += 1);
        }
    }

    /// It hears it no more.
    pub(super) fn unsubscribed(&mut self, topic: Topic) {
        if let Some(name) = self.counted.remove(&topic) {
            self.status.with(|counts| take_off(counts, &name));
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let counted = std::mem::take(&mut self.counted);
        self.status.with(|counts| {
            counts.connections -= 1;
            counted.values().for_each(|name| take_off(counts, name));
        });
    }
}

fn take_off(counts: &mut Counts, name: &str) {
    if let Some(count) = counts.topics.get_mut(name) {
        *count -= 1;
        if *count == 0 {
            counts.topics.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_goes_is_counted_no_more() {
        let status = Arc::new(HubStatus::default());
        let (mut one, mut other) = (status.enter(), status.enter());
        one.subscribed(Topic::Tickers, "ticker:*");
        one.subscribed(Topic::Tickers, "ticker:*");
        other.subscribed(Topic::Tickers, "ticker:*");
        assert_eq!(status.counts(), (2, BTreeMap::from([("ticker:*".to_owned(), 2)])));
        other.unsubscribed(Topic::Tickers);
        other.unsubscribed(Topic::Tickers);
        assert_eq!(status.counts(), (2, BTreeMap::from([("ticker:*".to_owned(), 1)])));
        drop(one);
        assert_eq!(status.counts(), (1, BTreeMap::new()));
    }
}

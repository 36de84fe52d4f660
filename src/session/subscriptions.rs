//! The topics of one connection, and how far each subscription is.

use rustc_hash::FxHashMap;

use crate::market::Topic;

/// What one connection listens to.
///
/// Invariant: every topic in here was counted once at its shard and is taken back exactly once.
#[derive(Debug, Default)]
pub struct Subscriptions {
    topics: FxHashMap<Topic, Subscription>,
    asked: u64,
}

/// How far a subscription is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The shard was asked; nothing of the topic may be sent before its answer.
    Joining,
    /// It hears everything.
    Live,
    /// It was too slow for something that may be left out; when it has caught up it hears what
    /// changed since message number `since`.
    Behind {
        /// The last message that it was sent, of a topic whose messages follow on each other.
        since: u64,
    },
    /// That was asked for.
    Rejoining,
}

#[derive(Clone, Copy, Debug)]
struct Subscription {
    progress: Progress,
    /// Subscriptions are listed in the order in which they were asked for.
    asked: u64,
}

impl Subscriptions {
    /// Begins a subscription; `false` where there is one already.
    pub fn begin(&mut self, topic: Topic) -> bool {
        self.asked += 1;
        let new = Subscription { progress: Progress::Joining, asked: self.asked };
        match self.topics.entry(topic) {
            std::collections::hash_map::Entry::Occupied(_) => false,
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(new);
                true
            }
        }
    }

    /// Ends a subscription; `false` where there is none.
    pub fn end(&mut self, topic: Topic) -> bool {
        self.topics.remove(&topic).is_some()
    }

    /// Whether there is a subscription to `topic`.
    pub fn contains(&self, topic: Topic) -> bool {
        self.topics.contains_key(&topic)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.topics.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// How far the subscription to `topic` is; `None` where there is none.
    pub fn progress(&self, topic: Topic) -> Option<Progress> {
        self.topics.get(&topic).map(|subscription| subscription.progress)
    }

    /// The subscription to `topic`, where there is one, has come to `progress`.
    pub fn set_progress(&mut self, topic: Topic, progress: Progress) {
        if let Some(subscription) = self.topics.get_mut(&topic) {
            subscription.progress = progress;
        }
    }

    /// All topics, in no order, each with how far it is.
    pub fn iter(&self) -> impl Iterator<Item = (Topic, Progress)> {
        self.topics.iter().map(|(topic, subscription)| (*topic, subscription.progress))
    }

    /// All topics in the order in which they were asked for.
    pub fn in_order(&self) -> Vec<Topic> {
        let mut topics: Vec<_> = self.topics.iter().collect();
        topics.sort_by_key(|(_, subscription)| subscription.asked);
        topics.into_iter().map(|(topic, _)| *topic).collect()
    }
}

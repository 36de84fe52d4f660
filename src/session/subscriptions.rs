//! The topics of one connection, and how far each subscription is.

use rustc_hash::FxHashMap;

use crate::market::Topic;

/// What one connection listens to.
///
/// Invariant: every topic in here was counted once at its shard and is taken back exactly once; a
/// shard answers every join of a topic once, in order.
#[derive(Debug, Default)]
pub struct Subscriptions {
    topics: FxHashMap<Topic, Subscription>,
    /// Answers on their way to subscriptions that were given up before they came: a later
    /// subscription to the same topic must not take one of them for its own beginning.
    late: FxHashMap<Topic, u32>,
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

impl Progress {
    /// Whether an answer of the shard is on its way.
    const fn is_waiting(self) -> bool {
        matches!(self, Progress::Joining | Progress::Rejoining)
    }
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
        let Some(ended) = self.topics.remove(&topic) else { return false };
        if ended.progress.is_waiting() {
            *self.late.entry(topic).or_default() += 1;
        }
        true
    }

    /// A shard has answered a join of `topic`: how far the subscription is that waits for the
    /// answer; `None` where none does any more.
    pub fn answered(&mut self, topic: Topic) -> Option<Progress> {
        if let Some(late) = self.late.get_mut(&topic) {
            *late -= 1;
            if *late == 0 {
                self.late.remove(&topic);
            }
            return None;
        }
        self.progress(topic).filter(|progress| progress.is_waiting())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_join_that_was_given_up_begins_no_later_subscription() {
        let mut topics = Subscriptions::default();
        assert!(topics.begin(Topic::Tickers) && topics.end(Topic::Tickers) && topics.begin(Topic::Tickers));
        assert_eq!(topics.answered(Topic::Tickers), None, "this one was meant for the first");
        assert_eq!(topics.answered(Topic::Tickers), Some(Progress::Joining));
        topics.set_progress(Topic::Tickers, Progress::Live);
        assert_eq!(topics.answered(Topic::Tickers), None, "it waits for none");
        assert!(topics.end(Topic::Tickers) && topics.begin(Topic::Tickers));
        assert_eq!(topics.answered(Topic::Tickers), Some(Progress::Joining), "none was on its way");
    }
}

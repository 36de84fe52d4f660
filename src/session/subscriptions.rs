//! The channels of one connection, and how far each subscription is.

use rustc_hash::FxHashMap;

use crate::dialect::Channel;

/// What one connection listens to.
///
/// Invariant: every channel in here was counted once at its shard and is taken back exactly once; a
/// shard answers every join of a channel once, in order.
#[derive(Debug, Default)]
pub struct Subscriptions {
    /// By channel. Most connections have one or two, of which a table would take four times the room.
    channels: Vec<(Channel, Subscription)>,
    /// What most connections never have, and there are very many connections.
    rare: Option<Box<Rare>>,
    asked: u64,
}

#[derive(Debug, Default)]
struct Rare {
    /// Answers on their way to subscriptions that were given up before they came: a later
    /// subscription to the same channel must not take one of them for its own beginning.
    late: FxHashMap<Channel, u32>,
    /// Subscriptions that end when another one, the second of the pair, is answered.
    leaving: Vec<(Channel, Channel)>,
    /// Subscriptions that have ended so, and that no shard knows of yet.
    left: Vec<Channel>,
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
    pub const fn is_waiting(self) -> bool {
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
    /// Begins a subscription; `false` where there is one already. One that was to end goes on.
    pub fn begin(&mut self, channel: Channel) -> bool {
        if let Some(rare) = &mut self.rare {
            rare.leaving.retain(|(leaving, _)| *leaving != channel);
        }
        self.asked += 1;
        let new = Subscription { progress: Progress::Joining, asked: self.asked };
        let Err(place) = self.place(channel) else { return false };
        self.channels.reserve_exact(usize::from(self.channels.is_empty()));
        self.channels.insert(place, (channel, new));
        true
    }

    /// Ends a subscription; `false` where there is none.
    pub fn end(&mut self, channel: Channel) -> bool {
        let Ok(place) = self.place(channel) else { return false };
        let (_, ended) = self.channels.remove(place);
        if ended.progress.is_waiting() {
            *self.rare.get_or_insert_default().late.entry(channel).or_default() += 1;
        }
        if let Some(rare) = &mut self.rare {
            rare.leaving.retain(|(leaving, heir)| *leaving != channel && *heir != channel);
        }
        true
    }

    /// Whether a subscription ends with the answer to another one.
    pub fn is_leaving(&self, channel: Channel) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.leaving.iter().any(|(leaving, _)| *leaving == channel))
    }

    /// Ends a subscription as soon as the one to `heir` is answered: what happens until then is still
    /// heard, and what happens after that is not heard twice.
    pub fn end_with(&mut self, channel: Channel, heir: Channel) {
        self.rare.get_or_insert_default().leaving.push((channel, heir));
    }

    /// Whether some subscription ends with the answer to `heir`.
    pub fn has_heir(&self, heir: Channel) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.leaving.iter().any(|(_, of)| *of == heir))
    }

    /// Ends what was to end with the answer to `heir`.
    pub fn hand_over(&mut self, heir: Channel) {
        let Some(rare) = &mut self.rare else { return };
        let ended: Vec<Channel> =
            rare.leaving.extract_if(.., |(_, of)| *of == heir).map(|(channel, _)| channel).collect();
        rare.left.extend(&ended);
        ended.into_iter().for_each(|channel| _ = self.end(channel));
    }

    /// Whether subscriptions were handed over whose shards are to be told.
    pub fn has_left(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| !rare.left.is_empty())
    }

    /// The subscriptions that were handed over: their shards are to be told.
    pub fn take_left(&mut self) -> Vec<Channel> {
        self.rare.as_mut().map(|rare| std::mem::take(&mut rare.left)).unwrap_or_default()
    }

    /// A shard has answered a join of `channel`: how far the subscription is that waits for the
    /// answer; `None` where none does any more.
    pub fn answered(&mut self, channel: Channel) -> Option<Progress> {
        if let Some(rare) = &mut self.rare
            && let Some(late) = rare.late.get_mut(&channel)
        {
            *late -= 1;
            if *late == 0 {
                rare.late.remove(&channel);
            }
            return None;
        }
        self.progress(channel).filter(|progress| progress.is_waiting())
    }

    /// Whether there is a subscription to `channel`.
    pub fn contains(&self, channel: Channel) -> bool {
        self.place(channel).is_ok()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.channels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// How far the subscription to `channel` is; `None` where there is none.
    pub fn progress(&self, channel: Channel) -> Option<Progress> {
        self.place(channel).ok().map(|place| self.channels[place].1.progress)
    }

    /// The subscription to `channel`, where there is one, has come to `progress`.
    pub fn set_progress(&mut self, channel: Channel, progress: Progress) {
        if let Ok(place) = self.place(channel) {
            self.channels[place].1.progress = progress;
        }
    }

    /// All channels, each with how far it is.
    pub fn iter(&self) -> impl Iterator<Item = (Channel, Progress)> {
        self.channels.iter().map(|(channel, subscription)| (*channel, subscription.progress))
    }

    /// All channels in the order in which they were asked for.
    pub fn in_order(&self) -> Vec<Channel> {
        let mut channels = self.channels.clone();
        channels.sort_by_key(|(_, subscription)| subscription.asked);
        channels.into_iter().map(|(channel, _)| channel).collect()
    }

    /// Where a channel stands, or would stand.
    fn place(&self, channel: Channel) -> Result<usize, usize> {
        self.channels.binary_search_by_key(&channel, |(known, _)| *known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;
    use crate::market::Topic;

    const TICKERS: Channel = Dialect::Native.of(Topic::Tickers);

    #[test]
    fn the_answer_to_a_join_that_was_given_up_begins_no_later_subscription() {
        let mut topics = Subscriptions::default();
        assert!(topics.begin(TICKERS) && topics.end(TICKERS) && topics.begin(TICKERS));
        assert_eq!(topics.answered(TICKERS), None, "this one was meant for the first");
        assert_eq!(topics.answered(TICKERS), Some(Progress::Joining));
        topics.set_progress(TICKERS, Progress::Live);
        assert_eq!(topics.answered(TICKERS), None, "it waits for none");
        assert!(topics.end(TICKERS) && topics.begin(TICKERS));
        assert_eq!(topics.answered(TICKERS), Some(Progress::Joining), "none was on its way");
    }
}

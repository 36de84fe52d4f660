//! What a connection is told of its topics, and what becomes of it when it is slow.
//!
//! A book, a ticker or an open bar that finds no room falls behind: it is left out until the
//! connection has caught up, and then told in one message from where the client stands. A trade or a
//! closed bar that finds no room ends the connection.

use super::Pushed;
use super::connection::Connection;
use crate::dialect::Channel;
use crate::encode::Frame;
use crate::market::Topic;
use crate::session::{Closing, Progress, SessionEnd};
use crate::shard::{Broadcast, Class, Joined};

impl Connection {
    /// Whether an answer has to wait: as much waits for the socket already as may.
    pub(super) fn is_full(&self) -> bool {
        self.is_open() && self.stream().is_some() && self.outbox().len() >= self.most_answers()
    }

    /// How much may wait before an answer does.
    pub(super) fn most_answers(&self) -> usize {
        self.limit().saturating_mul(2)
    }

    /// Keeps the rest of a frame of which the socket took `written` bytes.
    pub(super) fn keep(&self, frame: &Frame, written: usize) {
        self.outbox_mut().begin(self.compression.bytes(frame), written);
    }

    /// Puts a broadcast into the outbox as far as the subscription allows it.
    pub(super) fn deliver(&self, broadcast: &Broadcast) -> Result<Delivered, SessionEnd> {
        if self.closing() != Closing::Open {
            return Ok(Delivered::Unwanted);
        }
        let channel = broadcast.channel;
        let is_book = matches!(channel.topic, Topic::Book { .. });
        let progress = self.subscriptions.borrow().progress(channel);
        let wanted = match (progress, broadcast.class) {
            (Some(Progress::Live), _) => true,
            // A book that waits for what it missed needs nothing before it; a closed bar or a trade
            // is told whatever became of the open one.
            (Some(Progress::Behind { .. } | Progress::Rejoining), Class::Lossless) => !is_book,
            (Some(Progress::Behind { .. } | Progress::Rejoining), Class::Conflated) => false,
            (Some(Progress::Joining) | None, _) => return Ok(Delivered::Unwanted),
        };
        if !wanted {
            return Ok(Delivered::Merged);
        }
        let frame = self.compression.bytes(&broadcast.frame);
        let pushed = match broadcast.class {
            Class::Lossless if !is_book => self.outbox_mut().push_lossless(frame, self.limit()),
            Class::Conflated | Class::Lossless => self.outbox_mut().push_within(frame, self.limit()),
        };
        match (pushed, broadcast.class) {
            (Pushed::Queued, _) => Ok(Delivered::Queued),
            (Pushed::Full, Class::Lossless) if !is_book => Err(self.too_slow(channel)),
            (Pushed::Full, Class::Conflated | Class::Lossless) => {
                self.fall_behind(channel, broadcast.follows);
                Ok(Delivered::Merged)
            }
        }
    }

    /// Takes the beginning of a subscription, or what it missed, where the subscription waits for
    /// it; whether the connection still wants anything.
    pub(super) fn join(&self, joined: Joined, was: Progress) -> Result<bool, SessionEnd> {
        let channel = joined.channel;
        // Behind a close frame nothing may follow.
        if self.closing() != Closing::Open {
            return Ok(false);
        }
        if was == Progress::Rejoining {
            self.set_behind(self.behind() - 1);
        }
        self.subscriptions.borrow_mut().set_progress(channel, Progress::Live);
        let lossless =
            matches!(channel.topic, Topic::Trades { .. } | Topic::Kline { .. } | Topic::Account(_));
        // What was missed must arrive, all of it or nothing; it is bounded by what the engine keeps.
        let has_room = self.outbox().len() < self.limit().saturating_mul(MISSED_FACTOR);
        for frame in joined.frames {
            let limit = if lossless && has_room { usize::MAX } else { self.limit() };
            match self.outbox_mut().push_within(self.compression.bytes(&frame), limit) {
                Pushed::Queued => {}
                Pushed::Full if lossless => return Err(self.too_slow(channel)),
                Pushed::Full => {
                    self.fall_behind(channel, 0);
                    break;
                }
            }
        }
        // A large beginning does not count against who takes it.
        self.outbox_mut().make_room(self.limit());
        Ok(true)
    }

    /// Subscriptions have ended: those that waited for something wait no more.
    pub(super) fn recount(&self) {
        let waits = |progress| matches!(progress, Progress::Behind { .. } | Progress::Rejoining);
        let subscriptions = self.subscriptions.borrow();
        self.set_behind(subscriptions.iter().filter(|(_, progress)| waits(*progress)).count());
    }

    /// Whether subscriptions were handed over whose shards are to be told.
    pub(super) fn has_left(&self) -> bool {
        self.subscriptions.borrow().has_left()
    }

    /// The channels that may be told what they missed now, each with the last message that it had;
    /// they count as asked for.
    pub(super) fn take_caught_up(&self) -> Vec<(Channel, u64)> {
        if self.behind() == 0 || !self.outbox().has_caught_up(self.limit()) {
            return Vec::new();
        }
        let mut subscriptions = self.subscriptions.borrow_mut();
        let missed = |(channel, progress)| match progress {
            Progress::Behind { since } => Some((channel, since)),
            Progress::Joining | Progress::Live | Progress::Rejoining => None,
        };
        let channels: Vec<_> = subscriptions.iter().filter_map(missed).collect();
        channels.iter().for_each(|&(channel, _)| subscriptions.set_progress(channel, Progress::Rejoining));
        channels
    }

    /// The channels of which it hears broadcasts.
    pub(super) fn heard(&self) -> Vec<Channel> {
        let subscriptions = self.subscriptions.borrow();
        let heard = subscriptions.iter().filter(|(_, progress)| *progress != Progress::Joining);
        heard.map(|(channel, _)| channel).collect()
    }

    fn fall_behind(&self, channel: Channel, since: u64) {
        self.set_behind(self.behind() + 1);
        self.subscriptions.borrow_mut().set_progress(channel, Progress::Behind { since });
    }

    fn too_slow(&self, channel: Channel) -> SessionEnd {
        SessionEnd::TooSlow { topic: self.conversation.borrow().name(channel.topic) }
    }
}

/// What became of a broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// It waits to be flushed.
    Queued,
    /// It was left out; a later message will take it in.
    Merged,
    /// The client has nothing to do with it any more, or not yet.
    Unwanted,
}

/// How many times an outbox what was missed may take: it must arrive, and is bounded by what is kept.
const MISSED_FACTOR: usize = 4;

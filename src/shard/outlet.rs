//! What a shard hands over to the workers that own the connections, and what they ask of it.

use crate::dialect::{Channel, Since};
use crate::encode::Frame;
use crate::market::{Bar, Interval, Scale};

/// Takes what a shard has to say. Never blocks for long: a worker waits for no client.
pub trait Outlet {
    /// A frame for every subscriber of a channel that this worker has.
    fn broadcast(&mut self, worker: u16, broadcast: Broadcast);

    /// A frame made ready to be shared by many clients, before its first clone is made.
    fn share(&self, frame: Frame) -> Frame {
        frame
    }

    /// A bar is final, or became another after all: for those who keep bars.
    fn closed(&mut self, _symbol: &str, _scale: Scale, _interval: Interval, _bar: &Bar) {}

    /// The answer to one [`Join`]. Broadcasts that come after it follow on it without a hole.
    fn joined(&mut self, worker: u16, joined: Joined);
}

/// A frame and who gets it.
#[derive(Clone, Debug)]
pub struct Broadcast {
    /// Those who listen to it.
    pub channel: Channel,
    /// What may become of it when a client is slow.
    pub class: Class,
    /// The place of the message that this one follows on, by the topic's own count; 0 where it
    /// follows on none. See [`Join::missed`].
    pub follows: u64,
    /// The bytes.
    pub frame: Frame,
}

/// What may become of a frame when a client is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Newer ones make it worthless, or a snapshot heals its loss: it may be left out.
    Conflated,
    /// It must arrive, or the connection ends.
    Lossless,
}

/// Somebody wants to hear a topic.
#[derive(Clone, Debug)]
pub struct Join {
    /// The topic, and the words for it.
    pub channel: Channel,
    /// The worker that owns the connection.
    pub worker: u16,
    /// The connection, by the worker's own count.
    pub connection: u64,
    /// What it last heard of the topic.
    pub since: Option<Since>,
    /// It was counted before and fell behind: it needs what it missed since it was at this place
    /// (see [`Broadcast::follows`]; 0 is nowhere).
    pub missed: Option<u64>,
}

/// The beginning of a subscription.
#[derive(Debug)]
pub struct Joined {
    /// The connection that asked.
    pub connection: u64,
    /// What it asked for.
    pub channel: Channel,
    /// What it must get before any broadcast of the topic.
    pub frames: Vec<Frame>,
}

/// Somebody no longer wants to hear a topic.
#[derive(Clone, Copy, Debug)]
pub struct Leave {
    /// The topic, and the words for it.
    pub channel: Channel,
    /// The worker that owns it.
    pub worker: u16,
}

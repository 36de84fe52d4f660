//! Who gets which frame: workers that own connections, their subscriber lists and outboxes.
//!
//! A worker is one thread with a runtime of its own; nothing in it is shared and nothing locked.
//! Shards hand it frames through a bounded [`Inbox`]; it asks them through theirs.

mod asking;
mod audience;
mod connection;
mod delivery;
mod inbox;
mod outbox;
mod round;
mod timers;
mod worker;
mod workers;

pub use inbox::{Closed, Inbox};
pub use outbox::{Outbox, Pushed};
pub use worker::{NewConnection, ToWorker, WorkerConfig, run};
pub use workers::Workers;

use crate::shard::{Join, Leave};

/// What a worker asks of a shard.
#[derive(Debug)]
pub enum ShardCommand {
    /// Somebody wants to hear a topic.
    Join(Join),
    /// Somebody no longer does.
    Leave(Leave),
}

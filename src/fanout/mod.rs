//! Who gets which frame: workers that own connections, their subscriber lists and outboxes.
//!
//! A worker is one thread with a runtime of its own; nothing in it is shared and nothing locked.
//! Shards hand it frames through a bounded [`Inbox`]; it asks them through theirs.

mod asking;
mod audience;
mod bell;
mod connection;
mod counts;
mod delivery;
mod inbox;
mod life;
mod mailbox;
mod message;
mod outbox;
mod round;
mod session;
mod socket;
mod sockets;
#[cfg(test)]
mod storm;
mod timers;
mod worker;
mod workers;

pub use counts::{Counts, TopicCounts};
pub use inbox::{Closed, Inbox};
pub use mailbox::{Asked, NewSession, Polled};
pub use message::{MakeConversation, NewConnection, ToWorker};
pub use outbox::{Outbox, Pushed};
pub use worker::{WorkerConfig, run};
pub use workers::Workers;

use tokio::sync::oneshot;

use crate::market::SymbolId;
use crate::shard::{BarsWanted, Join, Leave, PastBars, PastTrades};

/// What a worker asks of a shard.
#[derive(Debug)]
pub enum ShardCommand {
    /// Somebody wants to hear a topic.
    Join(Join),
    /// Somebody no longer does.
    Leave(Leave),
    /// Somebody asks for a symbol's bars.
    Bars(SymbolId, BarsWanted, oneshot::Sender<PastBars>),
    /// Somebody asks for so many of a symbol's last trades.
    Trades(SymbolId, usize, oneshot::Sender<PastTrades>),
}

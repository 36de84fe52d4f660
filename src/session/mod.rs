//! One connected client: what it may be told and why it ends, without sockets.

mod access;
mod allowance;
mod close;
pub mod engineio;
pub mod gateway;
pub mod hub;
mod misspoken;
mod native;
pub mod socketio;
mod subscriptions;
pub mod websocket;
mod window;

pub use access::Access;
use allowance::Allowance;
pub use allowance::SessionLimits;
pub use close::{CLOSE_WAIT, CloseCode, Closing, SessionEnd};
pub use misspoken::Misspoken;
pub use native::{Native, canonical};
pub use subscriptions::{Progress, Subscriptions};

use crate::dialect::{Channel, Since};
use crate::encode::Frame;
use crate::market::{Millis, Topic};
use crate::shard::Broadcast;

/// One client's side of a connection: what it says goes in, what is to be done comes out.
///
/// Knows no socket. A dialect has one, and so has any other service on the same workers.
pub trait Conversation {
    /// What happens before the client has said anything.
    fn begin(&mut self, _topics: &mut Subscriptions, _actions: &mut Vec<Action>) {}

    /// Takes a message in, and says what is to be done, in order.
    fn receive(&mut self, now: Millis, said: Said<'_>, topics: &mut Subscriptions, actions: &mut Vec<Action>);

    /// When it wants to [`advance`](Conversation::advance) although nothing was said.
    fn next_due(&self) -> Option<Millis> {
        None
    }

    /// Time has come to `now`: heartbeats, deadlines, what expires.
    fn advance(&mut self, _now: Millis, _topics: &mut Subscriptions, _actions: &mut Vec<Action>) {}

    /// Whether it finds out by itself that the client has gone; otherwise WebSocket pings do.
    fn has_heartbeat(&self) -> bool {
        false
    }

    /// The longest message of the client that it takes, in bytes, where it told the client another
    /// limit than all others have.
    fn most_bytes(&self) -> Option<usize> {
        None
    }

    /// What it counts as.
    fn kind(&self) -> ConversationKind {
        ConversationKind::Other
    }

    /// What a topic is called, for people.
    fn name(&self, topic: Topic) -> String;
}

/// What conversations count as: a place in [`crate::metrics::CONVERSATIONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConversationKind {
    /// At `/v1/ws`.
    Native,
    /// At `/ws`.
    Hub,
    /// At `/socket.io/`.
    SocketIo,
    /// An embedding program's own.
    Other,
}

/// A message of a client.
#[derive(Clone, Copy, Debug)]
pub enum Said<'a> {
    /// Text.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
}

/// What is to be done about a message.
#[derive(Debug)]
pub enum Action {
    /// Send this.
    Reply(Frame),
    /// Ask the topic's shard for its beginning; the subscription has begun.
    Join {
        /// The topic, and the words for it.
        channel: Channel,
        /// What the client last heard of it.
        since: Option<Since>,
    },
    /// Tell the topic's shard that there is one listener less; the subscription has ended.
    Leave {
        /// The topic, and the words for it.
        channel: Channel,
    },
    /// Send this to all who listen, on every worker.
    Publish(Broadcast),
    /// End the connection.
    End(SessionEnd),
}

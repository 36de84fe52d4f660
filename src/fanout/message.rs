//! What a worker is told by the threads around it.

use super::mailbox::{Asked, NewSession};
use crate::market::Millis;
use crate::session::Conversation;
use crate::session::engineio::Sid;
use crate::session::websocket::Compression;
use crate::shard::{Broadcast, Joined};

/// Makes a client's side of its conversation, on the thread and at the time of its worker.
pub type MakeConversation = Box<dyn FnOnce(Millis) -> Box<dyn Conversation> + Send>;

/// What a worker is told.
pub enum ToWorker {
    /// A client came.
    Connect(NewConnection),
    /// A session begins with polling.
    Open(Box<NewSession>),
    /// A request for a session that began with polling.
    Ask {
        /// Which.
        sid: Sid,
        /// What for.
        asked: Asked,
    },
    /// A frame for the subscribers of a topic.
    Broadcast(Broadcast),
    /// The beginning of a subscription.
    Joined(Joined),
    /// Something that conversations go by has changed: each is asked anew when it is due.
    LookAgain,
    /// The server goes down: every client is told, and the worker ends when all are gone or
    /// at this time.
    ShutDown {
        /// By the worker's clock.
        until: Millis,
    },
}

impl From<NewConnection> for ToWorker {
    fn from(connection: NewConnection) -> ToWorker {
        ToWorker::Connect(connection)
    }
}

/// A client whose upgrade is done.
pub struct NewConnection {
    /// The socket, not blocking.
    pub stream: std::net::TcpStream,
    /// What was agreed on compression.
    pub compression: Compression,
    /// What was read behind the upgrade request.
    pub early: Vec<u8>,
    /// Makes its side of the conversation.
    pub conversation: MakeConversation,
    /// Held as long as the connection lives.
    pub place: Box<dyn Send>,
}

//! What a client said that no client may say: it ends the session.

use thiserror::Error;

use super::{SessionEnd, engineio, socketio};

/// How a client broke the protocol that is spoken over its WebSocket, or over polling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Misspoken {
    /// Not an Engine.IO packet.
    #[error("{0}")]
    EngineIo(engineio::Malformed),
    /// A ping; only the server asks.
    #[error("the server sends pings, the client pongs")]
    Ping,
    /// Not a Socket.IO packet.
    #[error("{0}")]
    SocketIo(socketio::Malformed),
    /// A packet for a namespace that was not joined.
    #[error("a packet for a namespace that was not connected to")]
    NotConnected,
    /// A namespace was joined twice.
    #[error("connected to a namespace twice")]
    ConnectedTwice,
    /// A packet that only a server sends.
    #[error("a packet that only a server sends")]
    ServersOwn,
    /// No namespace was joined in time.
    #[error("no namespace was connected to in time")]
    NothingConnected,
    /// A packet's attachments did not come in time.
    #[error("a packet's attachments did not come in time")]
    Unfinished,
}

impl From<Misspoken> for SessionEnd {
    fn from(misspoken: Misspoken) -> SessionEnd {
        SessionEnd::Misspoken(misspoken)
    }
}

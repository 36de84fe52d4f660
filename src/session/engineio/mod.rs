//! Engine.IO, version 4: a session over long polling or a WebSocket, and the way from one to the other.
//!
//! Knows no socket and no clock. [`EngineIo`] is the conversation, the same on both transports;
//! [`Transport`] is where a session stands that began with polling.

mod conversation;
mod heartbeat;
mod packet;
mod payload;
mod refusal;
mod sid;
mod transport;

pub use conversation::EngineIo;
pub use packet::{Malformed, Packet};
pub use payload::{MOST_PACKETS, packets, payload};
pub use refusal::Refused;
pub use sid::Sid;
pub use transport::{Due, Poll, ProbeStep, Transport};

use crate::market::Millis;

/// What a server tells its clients when a session opens, and holds itself to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// From one answer of the client to the next ping.
    pub ping_interval: Millis,
    /// How long the answer to a ping may take.
    pub ping_timeout: Millis,
    /// The longest request body or message, in bytes.
    pub max_payload: usize,
    /// How long the way from polling to a WebSocket may take.
    pub upgrade_timeout: Millis,
}

impl Default for Options {
    /// What the protocol's own server does.
    fn default() -> Options {
        Options {
            ping_interval: 25_000,
            ping_timeout: 20_000,
            max_payload: 1_000_000,
            upgrade_timeout: 10_000,
        }
    }
}

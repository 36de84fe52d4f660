//! One connected client: what it may be told and why it ends, without sockets.

mod client;
mod close;
pub mod websocket;

pub use client::{Action, Progress, Session, SessionLimits, canonical};
pub use close::{CLOSE_WAIT, CloseCode, Closing, SessionEnd};

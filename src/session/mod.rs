//! One connected client: what it may be told and why it ends, without sockets.

mod close;
pub mod websocket;

pub use close::{CLOSE_WAIT, CloseCode, Closing, SessionEnd};

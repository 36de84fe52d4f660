//! The hub dialect at `/ws`: every message both ways is `{"type", "timestamp", "payload"}`.

mod command;
mod update;

pub use command::{Fault, Rejection, Word, authenticated, error, heartbeat, read, subscription};
pub use update::{encode, name};

use crate::encode::{Frame, json, time};
use crate::market::Millis;

/// How a payload stands in its message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Payload {
    /// As an object.
    #[default]
    Object,
    /// As a text that holds the object's JSON, for clients that parse it a second time.
    Text,
}

/// A message around the payload that `write` appends.
fn message(
    kind: &str,
    at: Millis,
    payload: Payload,
    length: usize,
    write: impl FnOnce(&mut Vec<u8>),
) -> Frame {
    Frame::text(80 + length, |out| {
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"timestamp\":\"");
        time::rfc3339(at, out);
        out.extend_from_slice(b"\",\"payload\":");
        match payload {
            Payload::Object => write(out),
            Payload::Text => {
                out.push(b'"');
                let start = out.len();
                write(out);
                let inside = out.split_off(start);
                json::escape(&inside, out);
                out.push(b'"');
            }
        }
        out.push(b'}');
    })
}

//! Updates as Socket.IO events: Engine.IO's type, Socket.IO's own and the namespace in front of one
//! array, alike for every receiver.

use crate::encode::{Frame, json};

/// Where an event is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Namespace {
    /// `/`, which is not written.
    Main,
    /// `/ws`.
    Ws,
}

/// One event as a frame; `write` appends its value.
pub(super) fn event(
    namespace: Namespace,
    name: &str,
    capacity: usize,
    write: impl FnOnce(&mut Vec<u8>),
) -> Frame {
    Frame::text(capacity + name.len() + 16, |out| append(namespace, name, out, write))
}

/// Appends one event.
pub(super) fn append(namespace: Namespace, name: &str, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(match namespace {
        Namespace::Main => b"42[",
        Namespace::Ws => b"42/ws,[",
    });
    json::string(name, out);
    out.push(b',');
    write(out);
    out.push(b']');
}

//! How what goes out to a client is compressed.

use bytes::Bytes;

use super::Agreed;
use crate::encode::{Frame, Window};

/// What was agreed on compression when the connection was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Nothing: RSV1 is refused.
    #[default]
    Off,
    /// permessage-deflate (RFC 7692): RSV1 on a message's first frame marks it as compressed.
    PerMessage(Window),
}

impl Compression {
    /// The bytes of `frame` as they go to a client that agreed on this. All messages are sent the
    /// same way: there are clients that take a change amiss.
    pub fn bytes(self, frame: &Frame) -> Bytes {
        match self {
            Compression::Off => frame.bytes().clone(),
            Compression::PerMessage(window) => frame.deflated(window),
        }
    }

    /// How many bytes those are.
    pub fn length(self, frame: &Frame) -> usize {
        match self {
            Compression::Off => frame.bytes().len(),
            Compression::PerMessage(window) => frame.deflated(window).len(),
        }
    }

    /// Appends those bytes.
    pub fn append(self, frame: &Frame, out: &mut Vec<u8>) {
        match self {
            Compression::Off => out.extend_from_slice(frame.bytes()),
            Compression::PerMessage(window) => out.extend_from_slice(&frame.deflated(window)),
        }
    }
}

impl From<Option<Agreed>> for Compression {
    fn from(agreed: Option<Agreed>) -> Compression {
        agreed.map_or(Compression::Off, |agreed| Compression::PerMessage(agreed.window))
    }
}

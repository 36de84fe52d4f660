//! One Engine.IO packet: what its first character says it is.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use thiserror::Error;

use crate::session::Said;

/// What a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Begins a session; only a server says it.
    Open,
    /// Ends the session.
    Close,
    /// Asks whether the other side is there, with this text.
    Ping(&'a str),
    /// The answer.
    Pong(&'a str),
    /// A message of whatever is spoken over Engine.IO.
    Text(&'a str),
    /// The same as bytes; where they came as base64 they are copied.
    Binary(Cow<'a, [u8]>),
    /// The client has moved to this transport.
    Upgrade,
    /// Nothing; it ends a poll.
    Noop,
}

/// What is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// No packet begins like this.
    #[error("no packet begins like this: 0 to 6, or b before base64")]
    UnknownType,
    /// It has not even a type.
    #[error("a packet without its type")]
    Empty,
    /// Bytes as text that is not base64.
    #[error("b is followed by base64")]
    NotBase64,
    /// More packets in one body than anybody sends.
    #[error("more packets in one body than are taken")]
    TooManyPackets,
    /// A body that is not text.
    #[error("a body is UTF-8 text: bytes are sent as b and base64")]
    NotText,
}

impl<'a> Packet<'a> {
    /// Reads one packet: a message of a WebSocket, or a part of a request's body.
    ///
    /// # Errors
    /// [`Malformed`] ends the session.
    pub fn read(said: Said<'a>) -> Result<Packet<'a>, Malformed> {
        let text = match said {
            Said::Binary(bytes) => return Ok(Packet::Binary(Cow::Borrowed(bytes))),
            Said::Text(text) => text,
        };
        let first = *text.as_bytes().first().ok_or(Malformed::Empty)?;
        if !first.is_ascii() {
            return Err(Malformed::UnknownType);
        }
        let rest = &text[1..];
        Ok(match first {
            b'0' => Packet::Open,
            b'1' => Packet::Close,
            b'2' => Packet::Ping(rest),
            b'3' => Packet::Pong(rest),
            b'4' => Packet::Text(rest),
            b'5' => Packet::Upgrade,
            b'6' => Packet::Noop,
            b'b' => {
                let bytes = BASE64.decode(rest).map_err(|_| Malformed::NotBase64)?;
                Packet::Binary(Cow::Owned(bytes))
            }
            _ => return Err(Malformed::UnknownType),
        })
    }
}

/// With or without padding: clients differ.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_is_read_by_its_first_character() {
        let read = |text| Packet::read(Said::Text(text));
        let bytes = || Packet::Binary(Cow::Borrowed(&[1, 2, 3, 4]));
        for (text, packet) in [
            ("0", Packet::Open),
            ("1", Packet::Close),
            ("2probe", Packet::Ping("probe")),
            ("3", Packet::Pong("")),
            ("4hello", Packet::Text("hello")),
            ("4", Packet::Text("")),
            ("5", Packet::Upgrade),
            ("6", Packet::Noop),
            ("bAQIDBA==", bytes()),
            ("bAQIDBA", bytes()),
        ] {
            assert_eq!(read(text), Ok(packet), "{text}");
        }
        assert_eq!(Packet::read(Said::Binary(&[1, 2, 3, 4])), Ok(bytes()));
    }

    #[test]
    fn what_is_no_packet_is_told_apart() {
        for (text, fault) in [
            ("", Malformed::Empty),
            ("7", Malformed::UnknownType),
            ("abc", Malformed::UnknownType),
            ("é", Malformed::UnknownType),
            ("b!", Malformed::NotBase64),
            ("b===", Malformed::NotBase64),
        ] {
            assert_eq!(Packet::read(Said::Text(text)), Err(fault), "{text}");
        }
    }
}

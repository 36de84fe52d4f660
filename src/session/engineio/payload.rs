//! Several packets in one HTTP body, and WebSocket frames as such a body.

use base64::Engine;
use bytes::{Bytes, BytesMut};

use super::packet::{BASE64, Malformed};
use crate::encode::{Frame, Opcode};

/// The packets of a request's body, in order, as text.
///
/// # Errors
/// [`Malformed`] where the body is not text or holds more than [`MOST_PACKETS`]. A part that is no
/// packet shows only when it is read.
pub fn packets(body: &[u8]) -> Result<impl Iterator<Item = &str>, Malformed> {
    let text = std::str::from_utf8(body).map_err(|_| Malformed::NotText)?;
    let separators = body.iter().filter(|&&byte| byte == SEPARATOR).count();
    if separators >= MOST_PACKETS {
        return Err(Malformed::TooManyPackets);
    }
    Ok(text.split(char::from(SEPARATOR)))
}

/// What waits for a client, written as WebSocket frames, as the parts of one HTTP body: the same
/// bytes past each frame's header, which are not copied, and separators between them. Bytes become
/// base64.
pub fn payload(waiting: impl IntoIterator<Item = Bytes>) -> Vec<Bytes> {
    let mut parts = Vec::new();
    for frames in waiting {
        for (opcode, message) in Frame::messages_in(&frames) {
            let part = match opcode {
                Opcode::Text | Opcode::Continuation => message,
                Opcode::Binary => in_base64(&message),
                // They belong to the WebSocket that never was.
                Opcode::Close | Opcode::Ping | Opcode::Pong => continue,
            };
            if !parts.is_empty() {
                parts.push(Bytes::from_static(&[SEPARATOR]));
            }
            parts.push(part);
        }
    }
    parts
}

fn in_base64(message: &[u8]) -> Bytes {
    let mut text = String::with_capacity(message.len().div_ceil(3) * 4 + 1);
    text.push('b');
    BASE64.encode_string(message, &mut text);
    BytesMut::from(text.as_bytes()).freeze()
}

/// Packets in one body: a client that was away for a moment sends some hundreds at once, and a body
/// of a million separators is an attack.
pub const MOST_PACKETS: usize = 16_384;

const SEPARATOR: u8 = 0x1E;

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(frames: &[Frame]) -> Vec<u8> {
        payload(frames.iter().map(|frame| frame.bytes().clone())).concat()
    }

    #[test]
    fn frames_become_one_body_of_the_same_bytes() {
        let text = |text: &str| Frame::text(text.len(), |out| out.extend_from_slice(text.as_bytes()));
        let long = format!("4{}", "x".repeat(300));
        let frames = [text("4a"), text(&long), Frame::binary(4, |out| out.extend_from_slice(&[1, 2, 3, 4]))];
        assert_eq!(joined(&frames), format!("4a\u{1e}{long}\u{1e}bAQIDBA==").into_bytes());
        let parts = payload([frames[1].bytes().clone()]);
        assert_eq!(parts[0].as_ptr(), frames[1].payload().as_ptr(), "not copied");
    }

    #[test]
    fn control_frames_are_left_out() {
        assert_eq!(joined(&[Frame::ping(b"x"), Frame::close(None, "")]), b"");
    }

    #[test]
    fn a_body_is_taken_apart_at_its_separators() {
        let found: Vec<_> = packets("4a\u{1e}bAQ==\u{1e}".as_bytes()).unwrap().collect();
        assert_eq!(found, ["4a", "bAQ==", ""]);
        assert!(matches!(packets(&[0xff]).err(), Some(Malformed::NotText)));
        assert!(matches!(packets(&[0x1e; MOST_PACKETS]).err(), Some(Malformed::TooManyPackets)));
        assert_eq!(packets(&[0x1e; MOST_PACKETS - 1]).unwrap().count(), MOST_PACKETS);
    }
}

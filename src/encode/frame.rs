//! WebSocket frames as a server writes them: header and payload in one buffer, alike for every receiver.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::deflate::{Window, deflate};

/// A complete server-to-client WebSocket frame (RFC 6455, section 5.2), unmasked.
///
/// Invariants: `bytes` is one whole final frame, or several ([`Frame::texts`]), and its first
/// `header` bytes are the header of the first; nothing about a client is inside, so that a clone (a
/// reference count) serves each receiver, and long polling uses the same buffer past its headers.
#[derive(Clone, Debug)]
pub struct Frame {
    bytes: Bytes,
    header: u8,
    /// What its clones share, where somebody may want it compressed.
    deflated: Option<Arc<[OnceLock<Bytes>; Window::ALL.len()]>>,
}

impl PartialEq for Frame {
    fn eq(&self, other: &Frame) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Frame {}

impl Frame {
    /// A text message. `write` appends the payload, which must be UTF-8; `capacity` is how long it
    /// will be, about: slack stays allocated as long as the frame lives.
    pub fn text(capacity: usize, write: impl FnOnce(&mut Vec<u8>)) -> Frame {
        Frame::data(Opcode::Text, capacity, write)
    }

    /// A binary message, written like [`Frame::text`].
    pub fn binary(capacity: usize, write: impl FnOnce(&mut Vec<u8>)) -> Frame {
        Frame::data(Opcode::Binary, capacity, write)
    }

    /// A ping; what is beyond the 125 bytes that a control frame holds is left out.
    pub fn ping(payload: &[u8]) -> Frame {
        Frame::control(Opcode::Ping, payload)
    }

    /// The answer to a ping, with the ping's payload.
    pub fn pong(payload: &[u8]) -> Frame {
        Frame::control(Opcode::Pong, payload)
    }

    /// The closing frame, its reason cut to 123 bytes at the end of a character. Without a code
    /// there is no room for a reason either.
    pub fn close(code: Option<u16>, reason: &str) -> Frame {
        let mut payload = Vec::with_capacity(MOST_CONTROL);
        if let Some(code) = code {
            payload.extend_from_slice(&code.to_be_bytes());
            payload.extend_from_slice(cut(reason, MOST_REASON).as_bytes());
        }
        Frame::control(Opcode::Close, &payload)
    }

    /// All bytes, as they go to a WebSocket.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The message alone, without the header.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[usize::from(self.header)..]
    }

    /// The message alone, sharing this frame's buffer.
    pub fn payload_bytes(&self) -> Bytes {
        self.bytes.slice(usize::from(self.header)..)
    }

    /// Makes its clones share what [`Frame::deflated`] gives, so that a broadcast is compressed once
    /// by whoever needs it first. Costs an allocation, and where nobody compresses nothing is owed.
    #[must_use]
    pub fn shared_deflated(mut self) -> Frame {
        self.deflated.get_or_insert_with(Arc::default);
        self
    }

    /// All bytes, as they go to a client that agreed on compression (RFC 7692) within `window`.
    /// Control frames are never compressed.
    pub fn deflated(&self, window: Window) -> Bytes {
        match &self.deflated {
            _ if self.bytes[0] & CONTROL != 0 => self.bytes.clone(),
            Some(shared) => shared[window as usize].get_or_init(|| self.deflate(window)).clone(),
            None => self.deflate(window),
        }
    }

    fn deflate(&self, window: Window) -> Bytes {
        let mut messages = Frame::messages_in(&self.bytes).map(|(opcode, payload)| {
            let mut buffer = vec![0; HEAD_ROOM];
            deflate(window, &payload, &mut buffer);
            // Many wait at once for who is slow, and a compressor takes more room than it needs.
            buffer.shrink_to_fit();
            seal(FIN | RSV1 | opcode as u8, buffer).0
        });
        let first = messages.next().unwrap_or_default();
        let Some(second) = messages.next() else { return first };
        let several = [first, second].into_iter().chain(messages);
        several.fold(Vec::new(), |all, one| [&all[..], &one].concat()).into()
    }

    /// Several text messages for the same receivers, which go out together and in order: `write`
    /// appends the payload of each one of `messages`.
    ///
    /// [`Frame::payload`] is that of the first of them.
    pub fn texts<T>(
        messages: impl IntoIterator<Item = T>,
        mut write: impl FnMut(T, &mut Vec<u8>),
    ) -> Option<Frame> {
        let mut messages = messages.into_iter();
        let first = messages.next()?;
        let first = Frame::text(EXPECTED, |out| write(first, out));
        let Some(second) = messages.next() else { return Some(first) };
        let mut bytes = first.bytes.to_vec();
        for message in std::iter::once(second).chain(messages) {
            bytes.extend_from_slice(Frame::text(EXPECTED, |out| write(message, out)).bytes());
        }
        Some(Frame { bytes: Bytes::from(bytes), header: first.header, deflated: None })
    }

    /// The messages in bytes that were written as frames, each sharing the buffer.
    pub fn messages_in(bytes: &Bytes) -> impl Iterator<Item = (Opcode, Bytes)> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let frame = bytes.get(at..)?;
            let opcode = Opcode::from_bits(frame.first()? & !FIN)?;
            let (header, length) = match *frame.get(1)? {
                126 => (4, u64::from(u16::from_be_bytes(*frame.get(2..)?.first_chunk()?))),
                127 => (10, u64::from_be_bytes(*frame.get(2..)?.first_chunk()?)),
                short => (2, u64::from(short)),
            };
            let start = at + header;
            at = start + usize::try_from(length).ok()?;
            Some((opcode, bytes.slice(start..at)))
        })
    }

    fn data(opcode: Opcode, capacity: usize, write: impl FnOnce(&mut Vec<u8>)) -> Frame {
        let mut buffer = Vec::with_capacity(HEAD_ROOM + capacity);
        buffer.resize(HEAD_ROOM, 0);
        write(&mut buffer);
        let (bytes, header) = seal(FIN | opcode as u8, buffer);
        Frame { bytes, header, deflated: None }
    }

    fn control(opcode: Opcode, payload: &[u8]) -> Frame {
        let payload = &payload[..payload.len().min(MOST_CONTROL)];
        Frame::data(opcode, payload.len(), |out| out.extend_from_slice(payload))
    }
}

/// Puts the header right before the payload, into the room that was left for the longest one: the
/// payload is not moved. Gives the header's length too.
fn seal(first: u8, mut buffer: Vec<u8>) -> (Bytes, u8) {
    assert!(buffer.len() >= HEAD_ROOM, "whoever writes a payload only appends");
    let length = (buffer.len() - HEAD_ROOM) as u64;
    let wide = length.to_be_bytes();
    let (header, short_length) = match length {
        0..=125 => (2, wide[7]),
        126..=0xFFFF => (4, 126),
        _ => (10, 127),
    };
    let start = HEAD_ROOM - usize::from(header);
    let head = &mut buffer[start..HEAD_ROOM];
    head[0] = first;
    head[1] = short_length;
    let long_length = &mut head[2..];
    long_length.copy_from_slice(&wide[wide.len() - long_length.len()..]);
    (Bytes::from(buffer).slice(start..), header)
}

/// What a frame is (RFC 6455, section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// The next fragment of a message.
    Continuation = 0x0,
    /// UTF-8 text.
    Text = 0x1,
    /// Bytes.
    Binary = 0x2,
    /// The end of the connection.
    Close = 0x8,
    /// A question whether the other side is there.
    Ping = 0x9,
    /// The answer.
    Pong = 0xA,
}

impl Opcode {
    /// Reads the low four bits of a frame's first byte; `None` of a reserved one.
    #[inline]
    pub const fn from_bits(bits: u8) -> Option<Opcode> {
        Some(match bits {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Text,
            0x2 => Opcode::Binary,
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xA => Opcode::Pong,
            _ => return None,
        })
    }

    /// Whether it may come between the fragments of a message.
    #[inline]
    pub const fn is_control(self) -> bool {
        self as u8 & CONTROL != 0
    }
}

/// The longest beginning of `text` that fits `most` bytes and does not end within a character.
fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// About how long one of several messages is.
const EXPECTED: usize = 192;

/// The longest header that a server writes.
const HEAD_ROOM: usize = 10;

/// The longest payload of a control frame (RFC 6455, section 5.5).
const MOST_CONTROL: usize = 125;

/// The longest reason beside a close code.
const MOST_REASON: usize = MOST_CONTROL - 2;

const FIN: u8 = 0x80;

/// The bit of a message that is compressed (RFC 7692, section 6).
const RSV1: u8 = 0x40;

/// The bit of the opcodes of control frames.
const CONTROL: u8 = 0x08;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(payload: &[u8]) -> Frame {
        Frame::text(payload.len(), |out| out.extend_from_slice(payload))
    }

    #[test]
    fn rfc_6455_5_7_a_single_frame_unmasked_text_message() {
        assert_eq!(text(b"Hello").bytes()[..], [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    }

    #[test]
    fn rfc_6455_5_7_an_unmasked_ping_and_its_pong() {
        assert_eq!(Frame::ping(b"Hello").bytes()[..], [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        assert_eq!(Frame::pong(b"Hello").bytes()[..], [0x8a, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    }

    #[test]
    fn rfc_6455_5_7_binary_messages_of_256_bytes_and_of_64_kib_in_one_frame() {
        let frame = Frame::binary(256, |out| out.resize(out.len() + 256, 7));
        assert_eq!(frame.bytes()[..5], [0x82, 0x7E, 0x01, 0x00, 7]);
        let frame = Frame::binary(65_536, |out| out.resize(out.len() + 65_536, 7));
        assert_eq!(frame.bytes()[..11], [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0, 7]);
        assert_eq!(frame.bytes().len(), 10 + 65_536);
    }

    #[test]
    fn rfc_6455_5_2_a_length_is_written_in_the_fewest_bytes() {
        for (length, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let payload = vec![b'x'; length];
            let frame = text(&payload);
            assert_eq!(frame.bytes().len(), header + length);
            assert_eq!(frame.payload(), payload);
            assert_eq!(frame.payload_bytes(), payload);
        }
    }

    #[test]
    fn the_payload_stays_where_it_was_written() {
        let mut written_at = std::ptr::null();
        let frame = Frame::text(32, |out| {
            written_at = out.as_ptr().wrapping_add(out.len());
            out.extend_from_slice(b"{\"type\":\"ok\"}");
        });
        assert_eq!(frame.payload().as_ptr(), written_at);
        assert_eq!(frame.clone().payload().as_ptr(), written_at);
        assert_eq!(frame.payload_bytes().as_ptr(), written_at);
    }

    #[test]
    fn the_messages_of_a_frame_are_found_again_without_a_copy() {
        let lengths = [0, 125, 126, 65_536];
        let write = |length, out: &mut Vec<u8>| out.resize(out.len() + length, b'x');
        let frame = Frame::texts(lengths, write).unwrap();
        let found: Vec<_> = Frame::messages_in(frame.bytes()).collect();
        assert_eq!(found.iter().map(|(_, message)| message.len()).collect::<Vec<_>>(), lengths);
        assert!(
            found
                .iter()
                .all(|(opcode, message)| *opcode == Opcode::Text && message.iter().all(|&b| b == b'x'))
        );
        let single = Frame::texts([3], write).unwrap();
        assert_eq!(single, text(b"xxx"));
        let (_, message) = Frame::messages_in(single.bytes()).next().unwrap();
        assert_eq!(message.as_ptr(), single.payload().as_ptr());
        assert_eq!(Frame::texts([], write), None);
    }

    #[test]
    fn rfc_6455_5_5_1_a_close_carries_its_code_and_a_whole_number_of_characters() {
        assert_eq!(Frame::close(Some(1012), "retry").bytes()[..], *b"\x88\x07\x03\xf4retry");
        assert_eq!(Frame::close(None, "unsaid").bytes()[..], [0x88, 0]);
        let long = Frame::close(Some(4008), &"é".repeat(100));
        assert_eq!(long.payload().len(), 124);
        assert_eq!(std::str::from_utf8(&long.payload()[2..]), Ok("é".repeat(61).as_str()));
    }

    #[test]
    fn rfc_6455_5_5_a_control_frame_holds_at_most_125_bytes() {
        assert_eq!(Frame::pong(&[1; 200]).payload(), [1; 125]);
        assert_eq!(Frame::close(Some(1000), &"x".repeat(200)).payload().len(), 125);
    }

    #[test]
    fn rfc_7692_6_1_a_compressed_message_has_the_first_reserved_bit_and_its_opcode() {
        assert_eq!(text(b"Hello").deflated(Window::Wide)[..], *b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00");
        let frame = Frame::binary(300, |out| out.resize(out.len() + 300, 7));
        let bytes = frame.deflated(Window::Narrow);
        assert_eq!((bytes[0], usize::from(bytes[1])), (0xC2, bytes.len() - 2));
    }

    #[test]
    fn rfc_7692_6_1_control_frames_are_never_compressed() {
        for frame in [Frame::ping(b"Hello"), Frame::pong(b"Hello"), Frame::close(Some(1000), "done")] {
            assert_eq!(frame.deflated(Window::Wide), frame.bytes());
        }
    }

    #[test]
    fn the_clones_of_a_shared_frame_are_compressed_once_for_each_window_on_whatever_thread() {
        let frame = text(&[b'x'; 1_000]).shared_deflated();
        let clones = [frame.clone(), frame.clone().shared_deflated(), frame.clone()];
        let compress = |frame: &Frame| {
            let before = crate::encode::compressions();
            (Window::ALL.map(|window| frame.deflated(window)), crate::encode::compressions() - before)
        };
        let (first, count) = compress(&frame);
        assert_eq!(count, 2);
        std::thread::scope(|scope| {
            for clone in clones {
                let (again, count) = scope.spawn(move || compress(&clone)).join().unwrap();
                assert_eq!(count, 0);
                assert_eq!(again.map(|bytes| bytes.as_ptr()), first.clone().map(|bytes| bytes.as_ptr()));
            }
        });
    }
}

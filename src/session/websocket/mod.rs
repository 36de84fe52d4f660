//! The server's frame reader (RFC 6455, strictly): bytes as they come from a socket → whole messages.
//!
//! Does no I/O and holds no future: state changes only inside a call, so nothing can be cancelled
//! half-way. The buffer is lent by whoever reads the socket.

mod compression;
mod extension;
mod head;
mod inflate;
mod violation;

pub use compression::Compression;
pub use extension::{Agreed, Malformed};
pub use violation::Violation;

use self::head::{Head, MOST_HEAD};
use self::inflate::inflate;
use crate::encode::Opcode;

/// Reads one client's frames.
///
/// Invariants:
/// - `tail` holds the payload so far of a message that has not ended and, behind it, that of a
///   control frame that has not ended; in between messages it has no capacity: a connection that
///   says nothing holds no buffer;
/// - `tail` never holds more than `max_message` bytes (a little more of a compressed message) and one
///   control frame;
/// - after a close frame or a violation nothing is read any more.
#[derive(Debug)]
pub struct Reader {
    max_message: usize,
    compression: Compression,
    /// The next frame's header as far as it has come, kept here so that a cut within a header
    /// allocates nothing.
    head: [u8; MOST_HEAD],
    head_length: usize,
    frame: Option<Incoming>,
    message: Option<Kind>,
    tail: Vec<u8>,
    /// How much of `tail` is known to be UTF-8.
    checked: usize,
    over: bool,
}

impl Reader {
    /// A reader that takes messages of up to `max_message` bytes, the sum of their fragments.
    pub fn new(max_message: usize, compression: Compression) -> Reader {
        Reader {
            max_message,
            compression,
            head: [0; MOST_HEAD],
            head_length: 0,
            frame: None,
            message: None,
            tail: Vec::new(),
            checked: 0,
            over: false,
        }
    }

    /// Forgets what has come, for a connection that begins now, without compression.
    pub fn begin_anew(&mut self) {
        *self = Reader::new(self.max_message, Compression::Off);
    }

    /// Takes in what was read from the socket, unmasks it in place, and hands every message that is
    /// complete to `on`. A message that lies within `bytes` is neither copied nor allocated for, unless
    /// it is compressed.
    ///
    /// After a [`Message::Close`] and after an error, whatever follows is ignored.
    ///
    /// # Errors
    /// [`Violation`], once: the connection is to be closed with its code. The messages before it
    /// were handed over.
    #[inline]
    pub fn feed(&mut self, bytes: &mut [u8], mut on: impl FnMut(Message<'_>)) -> Result<(), Violation> {
        let result = self.read(bytes, &mut on);
        if result.is_err() {
            self.over = true;
        }
        if self.over {
            self.tail = Vec::new();
        }
        result
    }

    /// Whether everything that was fed has been handed over: no frame and no message has begun.
    pub fn is_idle(&self) -> bool {
        self.head_length == 0 && self.frame.is_none() && self.message.is_none()
    }

    fn read(&mut self, mut bytes: &mut [u8], on: &mut impl FnMut(Message<'_>)) -> Result<(), Violation> {
        while !self.over {
            let frame = match self.frame.take() {
                Some(frame) => frame,
                None => {
                    let Some((head, used)) = self.next_head(bytes)? else { return Ok(()) };
                    bytes = &mut bytes[used..];
                    self.admit(head)?
                }
            };
            if bytes.len() < frame.left {
                return self.keep(frame, bytes);
            }
            let (payload, rest) = bytes.split_at_mut(frame.left);
            bytes = rest;
            fastwebsockets::unmask(payload, frame.mask);
            self.finish(&frame, payload, on)?;
        }
        Ok(())
    }

    /// The next frame's header and how many of `bytes` belonged to it, once it is complete.
    #[inline]
    fn next_head(&mut self, bytes: &[u8]) -> Result<Option<(Head, usize)>, Violation> {
        let kept = self.head_length;
        if kept == 0 {
            let found = Head::parse(bytes, self.compression)?;
            if found.is_none() {
                self.head[..bytes.len()].copy_from_slice(bytes);
                self.head_length = bytes.len();
            }
            return Ok(found);
        }
        let more = bytes.len().min(MOST_HEAD - kept);
        self.head[kept..kept + more].copy_from_slice(&bytes[..more]);
        let found = Head::parse(&self.head[..kept + more], self.compression)?;
        self.head_length = if found.is_some() { 0 } else { kept + more };
        Ok(found.map(|(head, length)| (head, length - kept)))
    }

    /// Checks a header against what came before it.
    #[inline]
    fn admit(&mut self, head: Head) -> Result<Incoming, Violation> {
        let control = |control| Ok(Incoming::new(Part::Control(control), head.mask, usize::from(head.short)));
        let kind = match (head.opcode, self.message) {
            (Opcode::Close, _) => return control(Control::Close),
            (Opcode::Ping, _) => return control(Control::Ping),
            (Opcode::Pong, _) => return control(Control::Pong),
            (Opcode::Continuation, None) => return Err(Violation::StrayContinuation),
            (Opcode::Continuation, Some(begun)) => begun,
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(Violation::UnfinishedMessage),
            (Opcode::Text, None) => Kind { text: true, compressed: head.compressed },
            (Opcode::Binary, None) => Kind { text: false, compressed: head.compressed },
        };
        // Before anything is allocated: a header of 14 bytes could ask for any amount of memory.
        let too_big = Violation::TooBig { limit: self.max_message };
        let left = match usize::try_from(head.length) {
            Ok(length) if length <= kind.most_bytes(self.max_message) - self.tail.len() => length,
            Ok(_) | Err(_) => return Err(too_big),
        };
        self.message = Some(kind);
        Ok(Incoming::new(Part::Data { kind, last: head.last }, head.mask, left))
    }

    /// Keeps the part of a frame that ends with the buffer.
    fn keep(&mut self, mut frame: Incoming, part: &mut [u8]) -> Result<(), Violation> {
        fastwebsockets::unmask(part, frame.mask);
        frame.mask.rotate_left(part.len() % 4);
        frame.left -= part.len();
        frame.kept += part.len();
        self.tail.extend_from_slice(part);
        self.frame = Some(frame);
        match frame.part {
            Part::Control(_) => Ok(()),
            Part::Data { kind, .. } => self.check_text(kind),
        }
    }

    /// Takes the (rest of the) payload of a frame that is complete.
    #[inline]
    fn finish(
        &mut self,
        frame: &Incoming,
        payload: &[u8],
        on: &mut impl FnMut(Message<'_>),
    ) -> Result<(), Violation> {
        match frame.part {
            Part::Data { kind, last } => {
                if last {
                    self.message = None;
                }
                if last && self.tail.is_empty() {
                    return self.hand_over(kind, payload, on);
                }
                self.join(kind, last, payload, on)
            }
            Part::Control(control) => {
                self.over = control == Control::Close;
                if frame.kept == 0 {
                    on(control.message(payload)?);
                    return Ok(());
                }
                self.join_control(control, frame.kept, payload, on)
            }
        }
    }

    fn join(
        &mut self,
        kind: Kind,
        last: bool,
        payload: &[u8],
        on: &mut impl FnMut(Message<'_>),
    ) -> Result<(), Violation> {
        self.tail.extend_from_slice(payload);
        self.check_text(kind)?;
        if last {
            let whole = std::mem::take(&mut self.tail);
            self.checked = 0;
            self.hand_over(kind, &whole, on)?;
        }
        Ok(())
    }

    #[inline]
    fn hand_over(
        &self,
        kind: Kind,
        payload: &[u8],
        on: &mut impl FnMut(Message<'_>),
    ) -> Result<(), Violation> {
        match kind.compressed {
            false => on(kind.message(payload)?),
            true => on(kind.message(&inflate(payload, self.max_message)?)?),
        }
        Ok(())
    }

    fn join_control(
        &mut self,
        control: Control,
        kept: usize,
        payload: &[u8],
        on: &mut impl FnMut(Message<'_>),
    ) -> Result<(), Violation> {
        let start = self.tail.len() - kept;
        self.tail.extend_from_slice(payload);
        on(control.message(&self.tail[start..])?);
        self.tail.truncate(start);
        if start == 0 {
            self.tail = Vec::new();
        }
        Ok(())
    }

    /// Refuses a text as soon as no continuation could make it UTF-8. What was found good is not
    /// looked at again until the message is whole.
    fn check_text(&mut self, kind: Kind) -> Result<(), Violation> {
        if !kind.text || kind.compressed {
            return Ok(());
        }
        match std::str::from_utf8(&self.tail[self.checked..]) {
            Ok(_) => self.checked = self.tail.len(),
            // A character that has not come wholly yet.
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(Violation::NotUtf8),
        }
        Ok(())
    }
}

/// What a client said, borrowed for as long as it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Text.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
    /// Wants the same bytes back in a pong.
    Ping(&'a [u8]),
    /// Answers a ping, or shows that the peer is alive.
    Pong(&'a [u8]),
    /// The last message.
    Close {
        /// `None` when the peer gave none.
        code: Option<u16>,
        /// May be empty.
        reason: &'a str,
    },
}

/// A frame whose payload is coming in.
#[derive(Clone, Copy, Debug)]
struct Incoming {
    part: Part,
    /// Turned so that it begins with the key of the next byte.
    mask: [u8; 4],
    /// Bytes of payload to come.
    left: usize,
    /// Bytes of payload in the tail.
    kept: usize,
}

impl Incoming {
    fn new(part: Part, mask: [u8; 4], left: usize) -> Incoming {
        Incoming { part, mask, left, kept: 0 }
    }
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Control(Control),
    Data { kind: Kind, last: bool },
}

/// What a message's first frame said of it.
#[derive(Clone, Copy, Debug)]
struct Kind {
    text: bool,
    compressed: bool,
}

impl Kind {
    /// How many bytes of a message that may have `limit` can come: what does not let itself be
    /// compressed comes with five more for each 16 KiB.
    #[inline]
    const fn most_bytes(self, limit: usize) -> usize {
        if self.compressed { limit.saturating_add(limit / 1_024 + 16) } else { limit }
    }

    #[inline]
    fn message(self, payload: &[u8]) -> Result<Message<'_>, Violation> {
        Ok(match self.text {
            true => Message::Text(std::str::from_utf8(payload).map_err(|_| Violation::NotUtf8)?),
            false => Message::Binary(payload),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    Close,
    Ping,
    Pong,
}

impl Control {
    fn message(self, payload: &[u8]) -> Result<Message<'_>, Violation> {
        match self {
            Control::Close => close_message(payload),
            Control::Ping => Ok(Message::Ping(payload)),
            Control::Pong => Ok(Message::Pong(payload)),
        }
    }
}

fn close_message(payload: &[u8]) -> Result<Message<'_>, Violation> {
    let (code, reason) = match payload {
        [] => return Ok(Message::Close { code: None, reason: "" }),
        [_] => return Err(Violation::HalfCloseCode),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    // 1004 is undefined, 1005, 1006 and 1015 only say that nothing was sent; 1016 to 2999 are the
    // RFC's to give, and it has not given them.
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Violation::BadCloseCode { code });
    }
    let reason = std::str::from_utf8(reason).map_err(|_| Violation::NotUtf8)?;
    Ok(Message::Close { code: Some(code), reason })
}

#[cfg(test)]
mod tests;

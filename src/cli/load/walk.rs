//! Finds the frames in what a server sends, wherever reads cut it, and copies nothing.

use thiserror::Error;

use crate::encode::Opcode;

/// Where one connection's stream of frames stands.
///
/// It skips from header to header and looks at no payload, so that hearing a message costs less
/// than sending it did.
#[derive(Clone, Debug, Default)]
pub(super) struct Walker {
    /// The bytes of a header whose rest has not come yet.
    started: [u8; MOST_HEAD],
    have: u8,
    /// The frame that it stands in.
    frame: Option<Head>,
    /// Payload of that frame still to come.
    left: u64,
    /// Whether some of its payload was given out.
    begun: bool,
}

/// Payload of one frame that came at once: all of it, usually.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// The frame's kind.
    pub(super) opcode: Opcode,
    /// Whether the frame ends its message.
    pub(super) fin: bool,
    /// Whether the frame's payload begins here.
    pub(super) first: bool,
    /// Whether it ends here.
    pub(super) last: bool,
    /// The payload.
    pub(super) bytes: &'a [u8],
}

impl Piece<'_> {
    /// Whether a message ends here.
    #[inline]
    pub(super) fn ends_message(&self) -> bool {
        self.last && self.fin && !self.opcode.is_control()
    }
}

/// What no server may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Malformed {
    /// Nothing was agreed on that uses these bits.
    #[error("a frame with reserved bits")]
    ReservedBits,
    /// There is no such kind of frame.
    #[error("a frame of a reserved kind")]
    ReservedOpcode,
    /// Servers do not mask.
    #[error("a masked frame")]
    Masked,
    /// Control frames are whole and short.
    #[error("a control frame that is long or in fragments")]
    Control,
}

impl Walker {
    /// Gives each piece of payload in `bytes` to `take`, in order.
    #[inline]
    pub(super) fn walk(
        &mut self,
        mut bytes: &[u8],
        mut take: impl FnMut(Piece<'_>),
    ) -> Result<(), Malformed> {
        loop {
            let head = match self.frame {
                Some(head) => head,
                None => match self.next_head(&mut bytes)? {
                    Some(head) => head,
                    None => return Ok(()),
                },
            };
            let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            if length == 0 && self.left > 0 {
                return Ok(());
            }
            let (now, later) = bytes.split_at(length);
            self.left -= length as u64;
            let (first, last) = (!self.begun, self.left == 0);
            self.begun = !last;
            self.frame = if last { None } else { Some(head) };
            take(Piece { opcode: head.opcode, fin: head.fin, first, last, bytes: now });
            bytes = later;
        }
    }

    /// The next header, taken off `bytes`; `None` while it is not complete.
    #[inline]
    fn next_head(&mut self, bytes: &mut &[u8]) -> Result<Option<Head>, Malformed> {
        if self.have == 0
            && let Some((head, length, used)) = parse(bytes)?
        {
            *bytes = &bytes[used..];
            (self.frame, self.left) = (Some(head), length);
            return Ok(Some(head));
        }
        while let Some((&byte, rest)) = bytes.split_first() {
            self.started[usize::from(self.have)] = byte;
            self.have += 1;
            *bytes = rest;
            if let Some((head, length, _)) = parse(&self.started[..usize::from(self.have)])? {
                self.have = 0;
                (self.frame, self.left) = (Some(head), length);
                return Ok(Some(head));
            }
        }
        Ok(None)
    }
}

#[derive(Clone, Copy, Debug)]
struct Head {
    opcode: Opcode,
    fin: bool,
}

/// The header that `bytes` begin with, its frame's length, and its own.
#[inline]
fn parse(bytes: &[u8]) -> Result<Option<(Head, u64, usize)>, Malformed> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    if first & 0x70 != 0 {
        return Err(Malformed::ReservedBits);
    }
    let opcode = Opcode::from_bits(first & 0x0F).ok_or(Malformed::ReservedOpcode)?;
    if second & 0x80 != 0 {
        return Err(Malformed::Masked);
    }
    let fin = first & 0x80 != 0;
    if opcode.is_control() && (!fin || *second > 125) {
        return Err(Malformed::Control);
    }
    let (length, used) = match second {
        126 => match rest.first_chunk() {
            Some(&length) => (u64::from(u16::from_be_bytes(length)), 4),
            None => return Ok(None),
        },
        127 => match rest.first_chunk() {
            Some(&length) => (u64::from_be_bytes(length), 10),
            None => return Ok(None),
        },
        length => (u64::from(*length), 2),
    };
    Ok(Some((Head { opcode, fin }, length, used)))
}

/// The longest header of a server.
const MOST_HEAD: usize = 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::encode::Frame;

    type Heard = Vec<(u8, bool, Vec<u8>)>;

    /// Frames put together again from their pieces.
    fn walk<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Result<Heard, Malformed> {
        let mut walker = Walker::default();
        let mut heard = Heard::new();
        let mut inside = false;
        for part in parts {
            walker.walk(part, |piece| {
                assert_eq!(piece.first, !inside, "pieces of a frame come one after the other");
                inside = !piece.last;
                if piece.first {
                    heard.push((piece.opcode as u8, piece.fin, Vec::new()));
                }
                heard.last_mut().unwrap().2.extend_from_slice(piece.bytes);
            })?;
        }
        assert!(!inside);
        Ok(heard)
    }

    fn frames() -> (Vec<u8>, Heard) {
        let texts: [&[u8]; 4] = [b"", b"{}", &[b'x'; 200], &[b'y'; 66_000]];
        let mut wire = Vec::new();
        let mut heard = Heard::new();
        for text in texts {
            wire.extend_from_slice(Frame::text(0, |out| out.extend_from_slice(text)).bytes());
            heard.push((1, true, text.to_vec()));
            wire.extend_from_slice(Frame::ping(b"ping").bytes());
            heard.push((9, true, b"ping".to_vec()));
        }
        wire.extend_from_slice(b"\x01\x01a\x89\x00\x80\x01b");
        heard.extend([(1, false, b"a".to_vec()), (9, true, vec![]), (0, true, b"b".to_vec())]);
        (wire, heard)
    }

    #[test]
    fn a_cut_at_any_place_changes_nothing() {
        let (wire, heard) = frames();
        let near_a_header = |at: &usize| *at < 500 || *at + 100 > wire.len();
        for at in (0..wire.len()).filter(near_a_header) {
            let (before, after) = wire.split_at(at);
            assert_eq!(walk([before, after]).unwrap(), heard, "cut at {at}");
        }
        assert_eq!(walk(wire.chunks(1)).unwrap(), heard);
    }

    proptest! {
        #[test]
        fn any_cuts_change_nothing(mut cuts in proptest::collection::vec(0_usize..66_500, 0..12)) {
            let (wire, heard) = frames();
            cuts.sort_unstable();
            let mut parts = Vec::new();
            let mut from = 0;
            for cut in cuts {
                let cut = cut.min(wire.len());
                parts.push(&wire[from..cut]);
                from = cut;
            }
            parts.push(&wire[from..]);
            prop_assert_eq!(walk(parts).unwrap(), heard);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Walker::default().walk(&bytes, |_| {});
        }
    }

    #[test]
    fn what_no_server_may_send_is_named() {
        let broken = |wire: &[u8]| walk([wire]).unwrap_err();
        assert_eq!(broken(b"\xc1\x00"), Malformed::ReservedBits);
        assert_eq!(broken(b"\x83\x00"), Malformed::ReservedOpcode);
        assert_eq!(broken(b"\x81\x80\0\0\0\0"), Malformed::Masked);
        assert_eq!(broken(b"\x09\x00"), Malformed::Control);
        assert_eq!(broken(b"\x88\x7e\x00\x80"), Malformed::Control);
    }
}

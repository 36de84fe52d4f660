//! A client frame's header, judged byte by byte as it comes.

use super::{Compression, Violation};
use crate::encode::Opcode;

/// A frame's header, correct by itself.
pub(super) struct Head {
    pub(super) last: bool,
    pub(super) compressed: bool,
    pub(super) opcode: Opcode,
    /// The length where it fits seven bits, which that of a control frame does.
    pub(super) short: u8,
    pub(super) length: u64,
    pub(super) mask: [u8; 4],
}

impl Head {
    /// The header that `bytes` begin with, and its length; `None` while it is not complete. Each
    /// byte is judged as soon as it is there.
    #[inline]
    pub(super) fn parse(bytes: &[u8], compression: Compression) -> Result<Option<(Head, usize)>, Violation> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let Some(opcode) = Opcode::from_bits(first & OPCODE) else {
            return Err(Violation::ReservedOpcode { opcode: first & OPCODE });
        };
        let compressed = first & RSV1 != 0;
        let may_compress = compression != Compression::Off && matches!(opcode, Opcode::Text | Opcode::Binary);
        if first & (RSV2 | RSV3) != 0 || (compressed && !may_compress) {
            return Err(Violation::ReservedBits);
        }
        let last = first & FIN != 0;
        if opcode.is_control() && !last {
            return Err(Violation::FragmentedControl);
        }
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        if second & MASKED == 0 {
            return Err(Violation::Unmasked);
        }
        let short = second & !MASKED;
        if opcode.is_control() && short > MOST_SHORT {
            return Err(Violation::LongControl);
        }
        let Some((length, mask_at)) = full_length(short, &bytes[2..])? else { return Ok(None) };
        let Some(&mask) = bytes.get(mask_at..).and_then(|rest| rest.first_chunk()) else { return Ok(None) };
        Ok(Some((Head { last, compressed, opcode, short, length, mask }, mask_at + mask.len())))
    }
}

/// The payload's length and where the mask begins; `None` while it is not complete.
#[inline]
fn full_length(short: u8, rest: &[u8]) -> Result<Option<(u64, usize)>, Violation> {
    let (length, mask_at, least) = match short {
        126 => {
            let Some(&wide) = rest.first_chunk() else { return Ok(None) };
            (u64::from(u16::from_be_bytes(wide)), 4, 126)
        }
        127 => {
            let Some(&wide) = rest.first_chunk() else { return Ok(None) };
            (u64::from_be_bytes(wide), 10, 0x1_0000)
        }
        _ => (u64::from(short), 2, 0),
    };
    if length < least {
        return Err(Violation::LengthNotMinimal);
    }
    if length >> 63 != 0 {
        return Err(Violation::LengthTopBit);
    }
    Ok(Some((length, mask_at)))
}

/// The longest header that a client sends: two bytes, a length of eight, a mask of four.
pub(super) const MOST_HEAD: usize = 14;

/// The longest length that fits the second byte.
const MOST_SHORT: u8 = 125;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2: u8 = 0x20;
const RSV3: u8 = 0x10;
const OPCODE: u8 = 0x0F;
const MASKED: u8 = 0x80;

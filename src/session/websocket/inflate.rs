//! Compressed messages of clients made plain again (RFC 7692), each by itself.

use std::cell::RefCell;

use flate2::{Decompress, FlushDecompress, Status};

use super::Violation;

/// What `payload` was before it was compressed, at most `limit` bytes of it. Memory is taken for
/// what came out, never for what might: a few bytes can stand for any number.
pub(super) fn inflate(payload: &[u8], limit: usize) -> Result<Vec<u8>, Violation> {
    if payload.is_empty() {
        // Not by the text, yet compressors that are asked to flush twice give just that.
        return Ok(Vec::new());
    }
    INFLATER.with_borrow_mut(|inflater| {
        let inflater = inflater.get_or_insert_with(|| Decompress::new(false));
        inflater.reset(false);
        let mut out = Vec::new();
        let left = run(inflater, payload, limit, &mut out)?;
        // After a last block without anything behind it the message is whole as it is.
        if left != Left::AfterLastBlock && run(inflater, &END, limit, &mut out)? != Left::AfterLastBlock {
            return Err(Violation::NotDeflate);
        }
        Ok(out)
    })
}

/// Where the compressed bytes stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Right behind a block that was marked as the last one.
    AfterLastBlock,
    /// Anywhere else.
    Within,
}

/// Takes all of `bytes` in. A block that is marked as the last one does not end a message
/// (RFC 7692, section 7.2.3.4): what follows begins anew.
fn run(
    inflater: &mut Decompress,
    mut bytes: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<Left, Violation> {
    loop {
        // One more than may be, so that it is seen when there are more.
        if out.len() == out.capacity() {
            out.reserve_exact((limit.saturating_add(1) - out.len()).min(STEP.max(out.len())));
        }
        let (had, before) = (out.len(), inflater.total_in());
        let status = inflater.decompress_vec(bytes, out, FlushDecompress::None);
        let taken = usize::try_from(inflater.total_in() - before).unwrap_or(bytes.len());
        bytes = &bytes[taken..];
        if out.len() > limit {
            return Err(Violation::TooBig { limit });
        }
        match status {
            Ok(Status::StreamEnd) => {
                inflater.reset(false);
                if bytes.is_empty() {
                    return Ok(Left::AfterLastBlock);
                }
            }
            // There may be more to come out only where all room was filled.
            Ok(Status::Ok | Status::BufError) if bytes.is_empty() && out.len() < out.capacity() => {
                return Ok(Left::Within);
            }
            Ok(Status::Ok | Status::BufError) if taken > 0 || out.len() > had => {}
            Ok(Status::Ok | Status::BufError) if bytes.is_empty() => return Ok(Left::Within),
            Ok(Status::Ok | Status::BufError) | Err(_) => return Err(Violation::NotDeflate),
        }
    }
}

thread_local! {
    /// Made when a thread first needs it: most never do.
    static INFLATER: RefCell<Option<Decompress>> = const { RefCell::new(None) };
}

/// What a message is sent without (RFC 7692, section 7.2.2), and an empty last block behind it: only
/// where that one is read as such did the message end where a block does.
const END: [u8; 6] = [0, 0, 0xFF, 0xFF, 0x03, 0];

/// Room for what comes out at first; then as much again as there is.
const STEP: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{Frame, Window};

    fn deflated(payload: &[u8]) -> Vec<u8> {
        let frame = Frame::binary(payload.len(), |out| out.extend_from_slice(payload));
        let header = |length| match length {
            0..=127 => 2,
            128..=0xFFFF => 4,
            _ => 10,
        };
        let bytes = frame.deflated(Window::Wide);
        let header = header(bytes.len());
        bytes[header..].to_vec()
    }

    #[test]
    fn rfc_7692_7_2_3_the_examples_of_the_text_are_read() {
        let examples: [&[u8]; 5] = [
            // One block.
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
            // A block without compression.
            &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
            // A block that is marked as the last one.
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            // Two blocks.
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
            // A last block with nothing behind it, which is how some end.
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        ];
        for bytes in examples {
            assert_eq!(inflate(bytes, 5).as_deref(), Ok(&b"Hello"[..]), "{bytes:x?}");
            assert_eq!(inflate(bytes, 4), Err(Violation::TooBig { limit: 4 }));
        }
        for empty in [&[0x00][..], &[0x02, 0x00], &[0x03, 0x00], &[]] {
            assert_eq!(inflate(empty, 5).as_deref(), Ok(&b""[..]), "{empty:x?}");
        }
    }

    #[test]
    fn several_last_blocks_are_one_message_and_cost_no_more_than_their_bytes() {
        let blocks = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00].repeat(1_000);
        assert_eq!(inflate(&blocks, 5_000).unwrap(), b"Hello".repeat(1_000));
        let nothing = [0x03, 0x00].repeat(100_000);
        assert_eq!(inflate(&nothing, 10).unwrap(), b"");
    }

    #[test]
    fn what_is_no_deflate_or_ends_within_a_block_is_refused() {
        let bad: [&[u8]; 5] = [
            &[0xff; 9],
            &[0x07],
            // Cut: a block has begun.
            &[0xf2, 0x48, 0xcd],
            // A distance that reaches before the message.
            &[0x02, 0x02, 0x00, 0x00],
            // A length whose complement is wrong.
            &[0x00, 0x05, 0x00, 0x00, 0x00, 0x48],
        ];
        for bytes in bad {
            assert_eq!(inflate(bytes, 1_000), Err(Violation::NotDeflate), "{bytes:x?}");
        }
    }

    #[test]
    fn a_message_of_the_limit_passes_and_one_byte_more_does_not() {
        for length in [1, STEP - 1, STEP, STEP + 1, 3 * STEP, 100_000] {
            for payload in [vec![b'x'; length], (0..length).map(|_| fastrand::u8(..)).collect()] {
                let bytes = deflated(&payload);
                assert!(inflate(&bytes, length).unwrap() == payload, "{length}");
                assert_eq!(inflate(&bytes, length - 1), Err(Violation::TooBig { limit: length - 1 }));
            }
        }
    }

    #[test]
    fn a_small_message_that_stands_for_a_large_one_takes_no_more_memory_than_the_limit() {
        let bomb = deflated(&vec![0; 10 << 20]);
        assert!(bomb.len() < 200 << 10);
        assert_eq!(inflate(&bomb, 64 << 10), Err(Violation::TooBig { limit: 64 << 10 }));
        let small = inflate(&deflated(&[b'x'; 200]), usize::MAX - 1).unwrap();
        assert!(small.capacity() <= STEP);
    }

    #[test]
    fn any_bytes_are_a_message_or_refused() {
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..random.usize(0..40)).map(|_| random.u8(..)).collect();
            if let Ok(message) = inflate(&bytes, 1_000) {
                assert!(message.len() <= 1_000);
            }
        }
    }
}

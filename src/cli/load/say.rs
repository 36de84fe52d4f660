//! What a client writes: masked frames.

use crate::encode::Opcode;

/// Appends one whole frame to `out`.
pub(super) fn frame(opcode: Opcode, payload: &[u8], random: &mut fastrand::Rng, out: &mut Vec<u8>) {
    out.push(FIN | opcode as u8);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..=125), _) => out.push(MASKED | length),
        (_, Ok(length)) => {
            out.push(MASKED | 126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        (_, Err(_)) => {
            out.push(MASKED | 127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    let mask = random.u32(..).to_be_bytes();
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_masked_and_its_length_takes_the_fewest_bytes() {
        for (length, head) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let payload = vec![b'x'; length];
            let mut out = Vec::new();
            frame(Opcode::Text, &payload, &mut fastrand::Rng::with_seed(1), &mut out);
            assert_eq!((out[0], out[1] & 0x80, out.len()), (0x81, 0x80, head + 4 + length));
            let (mask, masked) = out[head..].split_at(4);
            let unmasked: Vec<u8> = masked.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b).collect();
            assert_eq!(unmasked, payload);
        }
    }
}

//! What holds for any bytes, cut anywhere: the reader against a plain parser of the whole.

use proptest::prelude::*;

use super::*;

/// The rules again, written for a buffer that holds everything: slow, plain, and another way round.
/// Says what was said, and whether no rule was broken.
fn naive(bytes: &[u8]) -> (Vec<Said>, bool) {
    let (mut at, mut said, mut joined): (_, _, Option<(bool, Vec<u8>)>) = (0, Vec::new(), None);
    while let Some(&first) = bytes.get(at) {
        let (fin, opcode) = (first & 0x80 != 0, first & 0x0f);
        let control = opcode >= 8;
        if first & 0x70 != 0 || !matches!(opcode, 0..=2 | 8..=10) || (control && !fin) {
            return (said, false);
        }
        let Some(&second) = bytes.get(at + 1) else { break };
        if second < 0x80 || (control && second > 0x80 + 125) {
            return (said, false);
        }
        let wide = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some(number) = bytes.get(at + 2..at + 2 + wide) else { break };
        let length = if wide == 0 {
            usize::from(second & 0x7f)
        } else {
            number.iter().fold(0_usize, |sum, &byte| sum.wrapping_mul(256).wrapping_add(byte.into()))
        };
        if (wide == 2 && length < 126) || (wide == 8 && (length < 65_536 || length >> 63 == 1)) {
            return (said, false);
        }
        let Some(mask) = bytes.get(at + 2 + wide..at + 6 + wide) else { break };
        let so_far = joined.as_ref().map_or(0, |(_, joined)| joined.len());
        if !control && ((opcode == 0) != joined.is_some() || length + so_far > LIMIT) {
            return (said, false);
        }
        let start = at + 6 + wide;
        let end = (start + length).min(bytes.len());
        let payload: Vec<u8> =
            bytes[start..end].iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        let whole = payload.len() == length;
        at = start + length;
        if control {
            let message = match (whole, opcode) {
                (false, _) => break,
                (true, 9) => Some(Said::Ping(payload)),
                (true, 10) => Some(Said::Pong(payload)),
                (true, _) => naive_close(&payload),
            };
            let Some(message) = message else { return (said, false) };
            said.push(message);
            if opcode == 8 {
                break;
            }
            continue;
        }
        let (is_text, mut message) = joined.take().unwrap_or((opcode == 1, Vec::new()));
        message.extend_from_slice(&payload);
        let good = match std::str::from_utf8(&message) {
            Ok(_) => true,
            Err(error) => error.error_len().is_none() && !(fin && whole),
        };
        if is_text && !good {
            return (said, false);
        }
        match (fin && whole, is_text) {
            (false, _) => joined = Some((is_text, message)),
            (true, true) => said.push(Said::Text(String::from_utf8(message).unwrap())),
            (true, false) => said.push(Said::Binary(message)),
        }
    }
    (said, true)
}

fn naive_close(payload: &[u8]) -> Option<Said> {
    let [high, low, reason @ ..] = payload else {
        return payload.is_empty().then_some(Said::Close(None, String::new()));
    };
    match u16::from_be_bytes([*high, *low]) {
        0..1000 | 1004..=1006 | 1015..3000 | 5000.. => None,
        code => Some(Said::Close(Some(code), String::from_utf8(reason.to_vec()).ok()?)),
    }
}

/// A frame, mostly a good one.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => proptest::sample::select(vec![0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x80, 0x89, 0x8A]),
        1 => Just(0x88),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        4 => ".{0,40}".prop_map(String::into_bytes),
        1 => ".{120,140}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..300),
        1 => Just(vec![0x03, 0xe8, b'x']),
    ];
    (first, any::<[u8; 4]>(), payload).prop_map(|(first, mask, payload)| masked(first, mask, &payload))
}

proptest! {
    #[test]
    fn any_cuts_give_what_the_whole_gives_and_what_a_plain_parser_finds(
        frames in proptest::collection::vec(any_frame(), 0..12),
        cuts in proptest::collection::vec(any::<usize>(), 0..12),
        flips in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..3),
        keep in any::<usize>(),
    ) {
        let mut bytes = frames.concat();
        if !bytes.is_empty() {
            for (at, flip) in flips {
                let at = at % bytes.len();
                bytes[at] ^= flip;
            }
            bytes.truncate(keep % (bytes.len() * 2));
        }
        let whole = read_in(&bytes, &[], reader());
        prop_assert_eq!(read_in(&bytes, &cuts, reader()), whole.clone());
        let (said, good) = naive(&bytes);
        prop_assert_eq!(&whole.0, &said);
        prop_assert_eq!(whole.1.is_ok(), good, "{:?}", whole.1);
    }

    #[test]
    fn any_bytes_end_in_messages_or_a_violation(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        cuts in proptest::collection::vec(any::<usize>(), 0..6),
    ) {
        let whole = read_in(&bytes, &[], reader());
        prop_assert_eq!(read_in(&bytes, &cuts, reader()), whole);
    }
}

//! One test for each rule of RFC 6455.

use std::cell::Cell;

use super::*;

mod compression;
mod properties;

/// What a reader said, to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

impl From<Message<'_>> for Said {
    fn from(message: Message<'_>) -> Said {
        match message {
            Message::Text(text) => Said::Text(text.into()),
            Message::Binary(bytes) => Said::Binary(bytes.into()),
            Message::Ping(payload) => Said::Ping(payload.into()),
            Message::Pong(payload) => Said::Pong(payload.into()),
            Message::Close { code, reason } => Said::Close(code, reason.into()),
        }
    }
}

const LIMIT: usize = 1000;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A masked frame whose length is written as `length` says.
fn frame_with(first: u8, length: &[u8], mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    frame.extend_from_slice(length);
    frame[1] |= 0x80;
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

fn masked(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let length = match payload.len() {
        short @ 0..=125 => vec![u8::try_from(short).unwrap()],
        medium @ 126..=0xFFFF => [&[126][..], &u16::try_from(medium).unwrap().to_be_bytes()].concat(),
        long => [&[127][..], &(long as u64).to_be_bytes()].concat(),
    };
    frame_with(first, &length, mask, payload)
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    masked(first, MASK, payload)
}

/// Feeds `bytes` in the given pieces (the last one is the rest).
fn read_in(bytes: &[u8], cuts: &[usize], mut reader: Reader) -> (Vec<Said>, Result<(), Violation>) {
    let (mut said, mut result, mut from) = (Vec::new(), Ok(()), 0);
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    ends.sort_unstable();
    ends.push(bytes.len());
    for end in ends {
        let fed = reader.feed(&mut bytes[from..end].to_vec(), |message| said.push(message.into()));
        result = result.and(fed);
        from = end;
    }
    (said, result)
}

fn reader() -> Reader {
    Reader::new(LIMIT, Compression::Off)
}

/// Reads `bytes` at once, and cut at every position: the outcome must be the same.
#[track_caller]
fn read(bytes: &[u8]) -> (Vec<Said>, Result<(), Violation>) {
    let whole = read_in(bytes, &[], reader());
    for cut in 0..bytes.len().min(300) {
        assert_eq!(read_in(bytes, &[cut], reader()), whole, "cut at {cut}");
    }
    assert_eq!(read_in(bytes, &Vec::from_iter(0..bytes.len()), reader()), whole, "byte by byte");
    whole
}

#[track_caller]
fn says(frames: &[Vec<u8>], expected: &[Said]) {
    assert_eq!(read(&frames.concat()), (expected.to_vec(), Ok(())));
}

#[track_caller]
fn breaks(frames: &[Vec<u8>], expected: Violation, code: u16) {
    let (_, result) = read(&frames.concat());
    assert_eq!(result, Err(expected));
    assert_eq!(expected.close_code().number(), code);
}

fn text(text: &str) -> Said {
    Said::Text(text.into())
}

#[test]
fn rfc_6455_5_7_a_masked_text_message() {
    let bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(read(&bytes), (vec![text("Hello")], Ok(())));
}

#[test]
fn rfc_6455_5_7_a_masked_pong() {
    let bytes = [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(read(&bytes), (vec![Said::Pong(b"Hello".to_vec())], Ok(())));
}

#[test]
fn rfc_6455_5_7_a_fragmented_message() {
    says(&[frame(0x01, b"Hel"), frame(0x80, b"lo")], &[text("Hello")]);
}

#[test]
fn rfc_6455_5_7_binary_messages_of_256_bytes_and_of_64_kib() {
    for length in [256, 65_536] {
        let bytes = frame(0x82, &vec![7; length]);
        let whole = read_in(&bytes, &[], Reader::new(65_536, Compression::Off));
        assert_eq!(whole, (vec![Said::Binary(vec![7; length])], Ok(())));
        let cut = read_in(&bytes, &[3, 9, 100, 40_000], Reader::new(65_536, Compression::Off));
        assert_eq!(cut, whole);
    }
}

#[test]
fn rfc_6455_5_1_what_a_client_does_not_mask_is_refused() {
    // The unmasked examples of section 5.7, which only a server may send.
    breaks(&[vec![0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]], Violation::Unmasked, 1002);
    breaks(&[vec![0x01, 0x03, 0x48, 0x65, 0x6c], vec![0x80, 0x02, 0x6c, 0x6f]], Violation::Unmasked, 1002);
    breaks(&[vec![0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]], Violation::Unmasked, 1002);
    breaks(&[vec![0x82, 0x7E, 0x01, 0x00]], Violation::Unmasked, 1002);
}

#[test]
fn rfc_6455_5_2_reserved_bits_are_refused() {
    for bit in [0x40, 0x20, 0x10] {
        breaks(&[frame(0x81 | bit, b"x")], Violation::ReservedBits, 1002);
        breaks(&[frame(0x89 | bit, b"x")], Violation::ReservedBits, 1002);
    }
}

#[test]
fn rfc_6455_5_2_reserved_opcodes_are_refused() {
    for opcode in [0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF] {
        breaks(&[frame(0x80 | opcode, b"x")], Violation::ReservedOpcode { opcode }, 1002);
    }
}

#[test]
fn rfc_6455_5_2_a_length_is_written_in_the_fewest_bytes() {
    let refused = |length: &[u8]| {
        breaks(&[frame_with(0x82, length, MASK, &[])], Violation::LengthNotMinimal, 1002);
    };
    refused(&[126, 0, 125]);
    refused(&[126, 0, 0]);
    refused(&[127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]);
    refused(&[127, 0, 0, 0, 0, 0, 0, 0, 5]);
    says(
        &[frame(0x82, &[1; 125]), frame(0x82, &[2; 126])],
        &[Said::Binary(vec![1; 125]), Said::Binary(vec![2; 126])],
    );
}

#[test]
fn rfc_6455_5_2_the_top_bit_of_a_length_is_zero() {
    let length = [127, 0x80, 0, 0, 0, 0, 0, 0, 1];
    breaks(&[frame_with(0x82, &length, MASK, &[])], Violation::LengthTopBit, 1002);
}

#[test]
fn rfc_6455_5_3_every_key_at_every_alignment_is_taken_off() {
    let said: Vec<u8> = (b' '..b'~').collect();
    for mask in [[0; 4], MASK, [0xff, 0, 0xff, 0], [1, 2, 3, 4]] {
        for offset in 0..9 {
            for length in 0..said.len() {
                let mut bytes = vec![0xEE; offset];
                bytes.extend(masked(0x82, mask, &said[..length]));
                let mut heard = Vec::new();
                reader().feed(&mut bytes[offset..], |message| heard.push(Said::from(message))).unwrap();
                assert_eq!(heard, [Said::Binary(said[..length].to_vec())], "{mask:?} at {offset}");
            }
        }
        // Cut at every place, so that the key goes on in its middle.
        says(&[masked(0x82, mask, &said)], &[Said::Binary(said.clone())]);
    }
}

#[test]
fn rfc_6455_5_4_fragments_are_joined_in_order_however_small() {
    let empty = frame(0x00, b"");
    says(&[frame(0x01, b""), empty.clone(), frame(0x00, b"a"), empty, frame(0x80, b"")], &[text("a")]);
    says(&[frame(0x02, &[1]), frame(0x00, &[2]), frame(0x80, &[3])], &[Said::Binary(vec![1, 2, 3])]);
    says(&[frame(0x81, b""), frame(0x82, b"")], &[text(""), Said::Binary(vec![])]);
}

#[test]
fn rfc_6455_5_4_control_frames_may_come_between_fragments() {
    says(
        &[
            frame(0x01, b"one "),
            frame(0x89, b"ping"),
            frame(0x00, b"two "),
            frame(0x8A, b""),
            frame(0x80, b"three"),
        ],
        &[Said::Ping(b"ping".to_vec()), Said::Pong(vec![]), text("one two three")],
    );
}

#[test]
fn rfc_6455_5_4_a_continuation_continues_something() {
    breaks(&[frame(0x80, b"x")], Violation::StrayContinuation, 1002);
    breaks(&[frame(0x81, b"whole"), frame(0x00, b"x")], Violation::StrayContinuation, 1002);
}

#[test]
fn rfc_6455_5_4_messages_are_not_interleaved() {
    breaks(&[frame(0x01, b"begun"), frame(0x81, b"x")], Violation::UnfinishedMessage, 1002);
    breaks(&[frame(0x02, b"begun"), frame(0x01, b"x")], Violation::UnfinishedMessage, 1002);
}

#[test]
fn rfc_6455_5_5_control_frames_are_short_and_whole() {
    for opcode in [0x8, 0x9, 0xA] {
        breaks(&[frame(0x80 | opcode, &[b'x'; 126])], Violation::LongControl, 1002);
        breaks(&[frame(opcode, b"x")], Violation::FragmentedControl, 1002);
    }
    says(&[frame(0x89, &[1; 125])], &[Said::Ping(vec![1; 125])]);
}

#[test]
fn rfc_6455_5_5_1_nothing_is_read_after_a_close() {
    says(
        &[frame(0x88, b"\x03\xe8bye"), frame(0x81, b"more"), vec![0xFF; 20]],
        &[Said::Close(Some(1000), "bye".into())],
    );
    says(&[frame(0x88, b"")], &[Said::Close(None, String::new())]);
    says(&[frame(0x01, b"begun"), frame(0x88, b"\x0f\xa1")], &[Said::Close(Some(4001), String::new())]);
}

#[test]
fn rfc_6455_5_5_1_a_close_code_has_two_bytes_and_its_reason_is_text() {
    breaks(&[frame(0x88, b"\x03")], Violation::HalfCloseCode, 1002);
    breaks(&[frame(0x88, b"\x03\xe8\xff")], Violation::NotUtf8, 1007);
    breaks(&[frame(0x88, b"\x03\xe8\xe2\x82")], Violation::NotUtf8, 1007);
}

#[test]
fn rfc_6455_7_4_only_codes_that_may_be_sent_are_taken() {
    for code in 0..=u16::MAX {
        let good = (1000..5000).contains(&code)
            && ![1004, 1005, 1006, 1015].contains(&code)
            && !(1016..3000).contains(&code);
        let mut bytes = frame(0x88, &code.to_be_bytes());
        let result = reader().feed(&mut bytes, |message| {
            assert_eq!(message, Message::Close { code: Some(code), reason: "" });
        });
        assert_eq!(result, if good { Ok(()) } else { Err(Violation::BadCloseCode { code }) });
    }
}

#[test]
fn rfc_6455_8_1_text_is_utf_8() {
    let bad: [&[u8]; 6] =
        [b"\xff", b"ab\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80"];
    for bytes in bad {
        breaks(&[frame(0x81, bytes)], Violation::NotUtf8, 1007);
        breaks(&[frame(0x01, bytes), frame(0x80, b"")], Violation::NotUtf8, 1007);
        breaks(&[frame(0x01, b""), frame(0x80, bytes)], Violation::NotUtf8, 1007);
        says(&[frame(0x82, bytes)], &[Said::Binary(bytes.to_vec())]);
    }
}

#[test]
fn rfc_6455_8_1_a_character_may_be_split_over_fragments() {
    let said = "κόσμε €𐍈";
    for cut in 0..=said.len() {
        let (head, rest) = said.as_bytes().split_at(cut);
        says(
            &[frame(0x01, head), frame(0x89, b"p"), frame(0x80, rest)],
            &[Said::Ping(b"p".to_vec()), text(said)],
        );
    }
    let fragments: Vec<Vec<u8>> = said.bytes().map(|byte| frame(0x00, &[byte])).collect();
    says(&[vec![frame(0x01, b"")], fragments, vec![frame(0x80, b"")]].concat(), &[text(said)]);
}

#[test]
fn rfc_6455_8_1_text_that_nothing_can_mend_is_refused_before_its_end() {
    let mut reader = reader();
    let mut begun = frame(0x01, b"good \xe2\x82");
    assert_eq!(reader.feed(&mut begun, |_| unreachable!()), Ok(()));
    assert_eq!(reader.feed(&mut frame(0x00, b"("), |_| unreachable!()), Err(Violation::NotUtf8));
    // Within a frame that has not ended.
    let mut bytes = frame(0x81, b"\xff and then much more");
    assert_eq!(Reader::new(LIMIT, Compression::Off).feed(&mut bytes[..8], |_| ()), Err(Violation::NotUtf8));
}

#[test]
fn a_message_of_the_limit_passes_and_one_byte_more_does_not() {
    let too_big = Violation::TooBig { limit: LIMIT };
    says(&[frame(0x82, &[1; LIMIT])], &[Said::Binary(vec![1; LIMIT])]);
    breaks(&[frame(0x82, &[1; LIMIT + 1])], too_big, 1009);
    says(&[frame(0x02, &[1; LIMIT / 2]), frame(0x80, &[1; LIMIT / 2])], &[Said::Binary(vec![1; LIMIT])]);
    breaks(&[frame(0x02, &[1; LIMIT / 2]), frame(0x00, &[1; LIMIT / 2]), frame(0x80, &[1])], too_big, 1009);
}

#[test]
fn a_length_over_the_limit_is_refused_by_its_header_before_anything_is_allocated() {
    let huge = [127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    breaks(&[frame_with(0x82, &huge, MASK, &[])], Violation::TooBig { limit: LIMIT }, 1009);
    let mut reader = Reader::new(usize::MAX, Compression::Off);
    let mut bytes = frame_with(0x82, &huge, MASK, b"few");
    assert_eq!(reader.feed(&mut bytes, |_| unreachable!()), Ok(()));
    assert!(reader.tail.capacity() < 100, "only what came is kept, not room for what is announced");
}

#[test]
fn a_violation_is_said_once_and_ends_the_reading() {
    let mut reader = reader();
    let mut said = Vec::new();
    let mut bytes = [frame(0x81, b"before"), frame(0x80, b"stray"), frame(0x81, b"after")].concat();
    let result = reader.feed(&mut bytes, |message| said.push(Said::from(message)));
    assert_eq!((result, said), (Err(Violation::StrayContinuation), vec![text("before")]));
    assert_eq!(reader.feed(&mut frame(0x81, b"after"), |_| unreachable!()), Ok(()));
}

#[test]
fn a_message_within_the_buffer_is_neither_copied_nor_allocated_for() {
    let mut bytes = [frame(0x81, b"one"), frame(0x89, b"two"), frame(0x82, b"three")].concat();
    let range = bytes.as_ptr_range();
    let (mut reader, count) = (reader(), Cell::new(0));
    reader
        .feed(&mut bytes, |message| {
            let payload = match message {
                Message::Text(text) => text.as_bytes(),
                Message::Ping(payload) | Message::Binary(payload) => payload,
                Message::Pong(_) | Message::Close { .. } => {
                    panic!("{message:?}")
                }
            };
            assert!(range.contains(&payload.as_ptr()));
            count.set(count.get() + 1);
        })
        .unwrap();
    assert_eq!((count.get(), reader.tail.capacity()), (3, 0));
}

#[test]
fn a_quiet_connection_holds_no_buffer() {
    let mut reader = reader();
    let bytes = [frame(0x01, &[b'x'; 500]), frame(0x80, &[b'y'; 400])].concat();
    for (at, byte) in bytes.iter().enumerate() {
        let began = at > 8;
        assert_eq!(reader.tail.capacity() > 0, began, "a header allocates nothing: {at}");
        reader.feed(&mut [*byte], |_| ()).unwrap();
    }
    assert!(reader.is_idle());
    assert_eq!(reader.tail.capacity(), 0);
    // The same for a control frame that was cut, and for a message that a violation broke off.
    for mut bytes in [frame(0x89, b"ping"), [frame(0x01, b"begun"), frame(0x81, b"")].concat()] {
        let cut = bytes.len() - 1;
        reader.feed(&mut bytes[..cut], |_| ()).unwrap();
        assert!(reader.tail.capacity() > 0 && !reader.is_idle());
        let _ = reader.feed(&mut bytes[cut..], |_| ());
        assert_eq!(reader.tail.capacity(), 0);
    }
}

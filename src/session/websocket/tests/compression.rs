//! One test for each rule of RFC 7692 that the reader holds.

use super::*;
use crate::encode::Window;

fn agreed() -> Reader {
    Reader::new(LIMIT, Compression::PerMessage(Window::Wide))
}

/// Reads the frames at once, and byte by byte: the outcome must be the same.
#[track_caller]
fn read(frames: &[Vec<u8>]) -> (Vec<Said>, Result<(), Violation>) {
    let bytes = frames.concat();
    let whole = read_in(&bytes, &[], agreed());
    let cuts: Vec<usize> = (0..bytes.len()).collect();
    assert_eq!(read_in(&bytes, &cuts, agreed()), whole, "byte by byte");
    whole
}

/// A payload as the other side compresses it.
fn deflated(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() * 2 + 100);
    flate2::Compress::new(flate2::Compression::default(), false)
        .compress_vec(payload, &mut out, flate2::FlushCompress::Sync)
        .unwrap();
    out.truncate(out.len() - 4);
    out
}

const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

#[test]
fn rfc_7692_7_2_3_1_compressed_messages_are_read_whole_or_in_fragments() {
    assert_eq!(read(&[frame(0xC1, &HELLO)]), (vec![text("Hello")], Ok(())));
    assert_eq!(read(&[frame(0x41, &HELLO[..3]), frame(0x80, &HELLO[3..])]), (vec![text("Hello")], Ok(())));
    assert_eq!(read(&[frame(0xC2, &HELLO)]), (vec![Said::Binary(b"Hello".to_vec())], Ok(())));
    let twice = [frame(0xC1, &HELLO), frame(0xC1, &HELLO)];
    assert_eq!(read(&twice), (vec![text("Hello"), text("Hello")], Ok(())), "each message begins anew");
}

#[test]
fn rfc_7692_6_1_plain_messages_and_control_frames_may_come_between() {
    let frames = [
        frame(0x41, &HELLO[..2]),
        frame(0x89, b"ping"),
        frame(0x80, &HELLO[2..]),
        frame(0x81, b"plain"),
        frame(0xC1, &[0x00]),
    ];
    assert_eq!(
        read(&frames),
        (vec![Said::Ping(b"ping".to_vec()), text("Hello"), text("plain"), text("")], Ok(()))
    );
}

#[test]
fn rfc_7692_6_1_only_rsv1_of_a_messages_first_frame_may_mark_compression_and_only_where_agreed() {
    for frames in [
        [frame(0x41, &HELLO[..1]), frame(0xC0, &HELLO[1..])],
        [frame(0x01, b"a"), frame(0xC0, b"b")],
        [frame(0x81, b""), frame(0xC9, b"ping")],
        [frame(0x81, b""), frame(0xC8, b"")],
        [frame(0x81, b""), frame(0xE1, &HELLO)],
        [frame(0x81, b""), frame(0xA1, b"x")],
    ] {
        assert_eq!(read(&frames).1, Err(Violation::ReservedBits), "{frames:x?}");
    }
    breaks(&[frame(0xC1, &HELLO)], Violation::ReservedBits, 1002);
}

#[test]
fn rfc_7692_7_2_2_what_cannot_be_inflated_is_refused() {
    assert_eq!(read(&[frame(0xC1, &[0xFF; 5])]).1, Err(Violation::NotDeflate));
    assert_eq!(read(&[frame(0xC1, &HELLO[..3])]).1, Err(Violation::NotDeflate), "it ends within a block");
    assert_eq!(Violation::NotDeflate.close_code().number(), 1007);
}

#[test]
fn rfc_6455_8_1_inflated_text_is_utf_8() {
    assert_eq!(read(&[frame(0xC1, &deflated(b"\xff"))]).1, Err(Violation::NotUtf8));
    assert_eq!(read(&[frame(0xC1, &deflated("κόσμε".as_bytes()))]).0, [text("κόσμε")]);
    assert_eq!(read(&[frame(0xC2, &deflated(b"\xff"))]).0, [Said::Binary(vec![0xFF])]);
}

#[test]
fn the_limit_holds_for_what_comes_out() {
    for payload in [vec![7; LIMIT], (0..LIMIT).map(|_| fastrand::u8(..)).collect()] {
        assert_eq!(read(&[frame(0xC2, &deflated(&payload))]).0, [Said::Binary(payload)]);
    }
    let too_big = Err(Violation::TooBig { limit: LIMIT });
    assert_eq!(read(&[frame(0xC2, &deflated(&[7; LIMIT + 1]))]).1, too_big);
    assert_eq!(read(&[frame(0xC2, &deflated(&[7; 100 * LIMIT]))]).1, too_big);
    assert_eq!(read(&[frame(0xC2, &[0; 2 * LIMIT])]).1, too_big, "nor does what comes in grow beyond it");
}

#[test]
fn a_connection_holds_no_buffer_after_a_compressed_message() {
    let mut reader = agreed();
    let bytes = frame(0xC1, &HELLO);
    for byte in bytes {
        reader.feed(&mut [byte], |_| ()).unwrap();
    }
    assert!(reader.is_idle());
    assert_eq!(reader.tail.capacity(), 0);
}

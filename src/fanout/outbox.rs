//! Frames that wait for one socket.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

/// Frames in the order in which they go out, bounded in bytes.
///
/// Invariants: frames leave whole and in order; a frame is taken in only while less than its limit
/// waits, so that what waits is never more than the limit and one frame.
#[derive(Debug, Default)]
pub struct Outbox {
    frames: VecDeque<Bytes>,
    /// How much of the first frame has been written.
    written: usize,
    bytes: usize,
    /// How much may wait before a frame that must arrive finds no room.
    room: usize,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Pushed {
    /// It will be written.
    Queued,
    /// There is no room for it.
    Full,
}

impl Outbox {
    /// Takes a frame in that must arrive: where fewer than `limit` bytes wait, beside those that
    /// [`Outbox::make_room`] left out of the count and that have not all gone yet.
    pub fn push_lossless(&mut self, frame: Bytes, limit: usize) -> Pushed {
        if self.bytes < limit {
            self.room = limit;
        }
        self.push_within(frame, self.room)
    }

    /// What waits now does not count for frames that must arrive: `limit` bytes more may wait.
    pub const fn make_room(&mut self, limit: usize) {
        self.room = self.bytes.saturating_add(limit);
    }

    /// Takes a frame in where fewer than `limit` bytes wait.
    pub fn push_within(&mut self, frame: Bytes, limit: usize) -> Pushed {
        if self.bytes >= limit {
            return Pushed::Full;
        }
        self.bytes += frame.len();
        self.frames.push_back(frame);
        Pushed::Queued
    }

    /// Takes in what is left of a frame of which `written` bytes went out already. Only an empty
    /// outbox can: nothing may stand between the two parts.
    pub fn begin(&mut self, frame: Bytes, written: usize) {
        debug_assert!(self.is_empty() && written < frame.len());
        self.bytes = frame.len() - written;
        self.written = written;
        self.frames.push_back(frame);
    }

    /// What is to be written next, where it is one frame alone.
    pub fn only(&self) -> Option<&[u8]> {
        match self.frames.len() {
            1 => self.frames.front().map(|frame| &frame[self.written..]),
            _ => None,
        }
    }

    /// Fills `slices` with what is to be written next, and says how many it filled.
    pub fn fill<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (frame, slice) in self.frames.iter().zip(slices) {
            let from = if filled == 0 { self.written } else { 0 };
            *slice = IoSlice::new(&frame[from..]);
            filled += 1;
        }
        filled
    }

    /// So many bytes were written.
    pub fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        written += self.written;
        while let Some(first) = self.frames.front().filter(|first| first.len() <= written) {
            written -= first.len();
            self.frames.pop_front();
        }
        self.written = written;
        // A connection that has nothing to send holds no queue.
        if self.frames.is_empty() {
            self.frames = VecDeque::new();
        }
    }

    /// Takes all frames out. Only where none was begun: a poll takes them whole.
    pub fn take_all(&mut self) -> VecDeque<Bytes> {
        debug_assert_eq!(self.written, 0);
        self.bytes = 0;
        std::mem::take(&mut self.frames)
    }

    /// Lets go of every frame of which nothing was written yet.
    pub fn drop_unbegun(&mut self) {
        let begun = usize::from(self.written > 0);
        self.frames.truncate(begun);
        self.bytes = self.frames.iter().map(Bytes::len).sum::<usize>() - self.written;
    }

    /// Bytes that wait.
    pub const fn len(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits.
    pub const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Whether so little waits that a client that fell behind may be given a new picture.
    pub const fn has_caught_up(&self, limit: usize) -> bool {
        self.bytes * 4 <= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_way_of_writing_gives_the_same_bytes() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..200 {
            let mut outbox = Outbox::default();
            let (mut expected, mut sent) = (Vec::new(), Vec::new());
            for _ in 0..random.usize(1..20) {
                let frame: Vec<u8> = (0..random.usize(1..50)).map(|_| random.u8(..)).collect();
                expected.extend_from_slice(&frame);
                assert_eq!(outbox.push_within(frame.into(), usize::MAX), Pushed::Queued);
                while random.bool() && !outbox.is_empty() {
                    write_some(&mut outbox, &mut random, &mut sent);
                }
            }
            while !outbox.is_empty() {
                write_some(&mut outbox, &mut random, &mut sent);
            }
            assert_eq!(sent, expected);
        }
    }

    fn write_some(outbox: &mut Outbox, random: &mut fastrand::Rng, sent: &mut Vec<u8>) {
        let mut slices = [IoSlice::new(&[]); 4];
        let filled = outbox.fill(&mut slices);
        let ready: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
        let written = random.usize(0..=ready.len());
        sent.extend_from_slice(&ready[..written]);
        outbox.advance(written);
    }

    #[test]
    fn what_was_begun_is_finished_when_the_rest_is_let_go() {
        let mut outbox = Outbox::default();
        for _ in 0..3 {
            assert_eq!(outbox.push_within(Bytes::from_static(b"abcd"), 100), Pushed::Queued);
        }
        outbox.advance(5);
        outbox.drop_unbegun();
        assert_eq!(outbox.len(), 3);
        let mut slices = [IoSlice::new(&[]); 4];
        assert_eq!((outbox.fill(&mut slices), &*slices[0]), (1, &b"bcd"[..]));
        outbox.advance(3);
        outbox.drop_unbegun();
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_frame_larger_than_the_limit_still_gets_through_an_empty_outbox() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.push_within(Bytes::from_static(&[0; 100]), 10), Pushed::Queued);
        assert_eq!(outbox.push_within(Bytes::from_static(&[0; 1]), 10), Pushed::Full);
        outbox.advance(95);
        assert_eq!(outbox.push_within(Bytes::from_static(&[0; 1]), 10), Pushed::Queued);
    }

    #[test]
    fn a_large_beginning_leaves_the_room_that_there_is_without_it() {
        let frame = || Bytes::from_static(&[0; 4]);
        let mut outbox = Outbox::default();
        assert_eq!(outbox.push_within(Bytes::from_static(&[0; 100]), 10), Pushed::Queued);
        assert_eq!(outbox.push_lossless(frame(), 10), Pushed::Full);
        outbox.make_room(10);
        for _ in 0..3 {
            assert_eq!(outbox.push_lossless(frame(), 10), Pushed::Queued);
        }
        assert_eq!(outbox.push_lossless(frame(), 10), Pushed::Full);
        // Once the beginning has gone the limit is what it was.
        outbox.advance(112);
        for _ in 0..3 {
            assert_eq!(outbox.push_lossless(frame(), 10), Pushed::Queued);
        }
        assert_eq!(outbox.push_lossless(frame(), 10), Pushed::Full);
    }
}

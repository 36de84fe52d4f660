//! One round of a worker: what has come goes out to each connection with one write.

use std::rc::Rc;

use super::audience::{AudienceId, Audiences};
use super::connection::Connection;
use crate::market::Millis;
use crate::metrics::WorkerMeter;
use crate::session::websocket::Compression;
use crate::shard::Broadcast;

/// What goes out in the present round, and to whom.
///
/// A round ends when nothing more has come: under load rounds grow by themselves, and with them the
/// writes. Ten frames in one write cost about as much as one (the call is what costs).
pub(super) struct Round {
    number: usize,
    audiences: Audiences,
    broadcasts: Vec<Broadcast>,
    /// Audiences that get some of them.
    touched: Vec<AudienceId>,
    /// Connections whose topics changed since they were seated. They are seated anew before the next
    /// broadcast, not at once: a client that subscribes to a hundred topics would move a hundred times.
    pub(super) unsettled: Vec<Rc<Connection>>,
    /// The bytes of an audience that gets several frames: one contiguous buffer costs the kernel 18 ns
    /// a frame, a list of buffers 60.
    contiguous: Vec<u8>,
}

/// The frames that an audience gets, in order.
pub(super) struct Frames<'a> {
    broadcasts: &'a [Broadcast],
    places: std::slice::Iter<'a, u32>,
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a Broadcast;

    fn next(&mut self) -> Option<&'a Broadcast> {
        self.places.next().map(|&place| &self.broadcasts[place as usize])
    }
}

impl Round {
    pub(super) fn new() -> Round {
        Round {
            number: 0,
            audiences: Audiences::new(),
            broadcasts: Vec::new(),
            touched: Vec::new(),
            unsettled: Vec::new(),
            contiguous: Vec::new(),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.broadcasts.is_empty()
    }

    /// Whether nobody listens to anything.
    #[cfg(test)]
    pub(super) fn has_no_audience(&self) -> bool {
        self.audiences.are_none()
    }

    /// Takes a broadcast in, for those who listen to it now.
    pub(super) fn note(&mut self, broadcast: Broadcast) {
        let at = u32::try_from(self.broadcasts.len()).unwrap_or(u32::MAX);
        if self.audiences.note(broadcast.channel, at, &mut self.touched) {
            self.broadcasts.push(broadcast);
        }
    }

    /// Seats everybody whose topics changed. Only between rounds.
    pub(super) fn settle(&mut self) {
        debug_assert!(self.is_empty());
        for connection in self.unsettled.drain(..) {
            connection.unsettled.set(false);
            // One that has gone meanwhile was unseated for good.
            if !connection.is_over() {
                self.audiences.seat(&connection, &connection.heard());
            }
        }
    }

    /// Takes a connection from its audience. Only between rounds.
    pub(super) fn unseat(&mut self, connection: &Connection) {
        debug_assert!(self.is_empty());
        self.audiences.unseat(connection);
    }

    /// Writes what each audience gets to each of its members, and ends the round. `rest` hears of
    /// each connection whose socket did not take all: which frames, and how many bytes it took.
    pub(super) fn send(
        &mut self,
        now: Millis,
        meter: &WorkerMeter,
        mut rest: impl FnMut(&Rc<Connection>, Frames<'_>, usize),
    ) {
        self.number = self.number.wrapping_add(1);
        let (mut writes, mut sent, mut bytes_taken, mut cut_short) = (0, 0, 0, 0);
        // Each round begins with another audience, and below with another of its members, so that nobody
        // is always last.
        let first = self.number % self.touched.len().max(1);
        self.touched.rotate_left(first);
        for id in self.touched.drain(..) {
            let audience = self.audiences.get_mut(id);
            let frames = || Frames { broadcasts: &self.broadcasts, places: audience.pending.iter() };
            let compression = audience.compression;
            let bytes: &[u8] = match (&audience.pending[..], compression) {
                ([only], Compression::Off) => self.broadcasts[*only as usize].frame.bytes(),
                _ => {
                    self.contiguous.clear();
                    frames().for_each(|one| compression.append(&one.frame, &mut self.contiguous));
                    &self.contiguous
                }
            };
            let (later, first) = audience.members.split_at(self.number % audience.members.len());
            for together in first.chunks(TOGETHER).chain(later.chunks(TOGETHER)) {
                let mut keep_up = [false; TOGETHER];
                for (keeps_up, connection) in keep_up.iter_mut().zip(together) {
                    *keeps_up = connection.keeps_up();
                }
                for (connection, keeps_up) in together.iter().zip(keep_up) {
                    let mut written = 0;
                    if keeps_up {
                        written = connection.write(bytes, now);
                        writes += 1;
                        bytes_taken += written as u64;
                        cut_short += u64::from(written < bytes.len());
                    }
                    if written == bytes.len() {
                        sent += audience.pending.len() as u64;
                    } else {
                        rest(connection, frames(), written);
                    }
                }
            }
            audience.pending.clear();
        }
        meter.rounds.add(1);
        meter.broadcasts.add(self.broadcasts.len() as u64);
        meter.writes.add(writes);
        meter.frames.add(sent);
        meter.bytes.add(bytes_taken);
        meter.cut_short.add(cut_short);
        self.broadcasts.clear();
        // A burst must not be paid for ever after.
        self.contiguous.shrink_to(KEPT_BYTES);
    }
}

/// Members that are looked at before the first of them is written to: a write leaves little of what was in
/// the cache, and what is asked for together comes from memory together.
const TOGETHER: usize = 16;

/// What the buffer for several frames keeps of its size between rounds.
const KEPT_BYTES: usize = 256 << 10;

//! How a connection is written to: the bytes of a round, and what waits.

use std::cell::{Cell, OnceCell};
use std::io::{ErrorKind, IoSlice};

use super::Connection;
use crate::fanout::socket::Socket;
use crate::market::Millis;
use crate::session::Closing;

/// What a round looks at for each receiver, on a cache line of its own: of a thousand receivers nothing
/// is in the cache any more when their turn comes.
#[repr(align(64))]
pub(super) struct Front {
    /// Its WebSocket. A session that began with polling has none until it has moved to one.
    pub(super) stream: OnceCell<Socket>,
    /// When the socket last took something.
    pub(super) progress: Cell<Millis>,
    /// Whether it is known that the connection keeps up. Whatever could change that takes it back.
    pub(super) keeps_up: Cell<bool>,
}

impl Connection {
    /// Whether the bytes of a round can go straight to its socket: nothing waits before them, and
    /// it wants all of them.
    #[inline]
    pub(in crate::fanout) fn keeps_up(&self) -> bool {
        debug_assert!(!self.front.keeps_up.get() || self.is_in_step());
        self.front.keeps_up.get() || self.catches_up()
    }

    fn catches_up(&self) -> bool {
        let keeps_up = self.is_in_step();
        self.front.keeps_up.set(keeps_up);
        keeps_up
    }

    fn is_in_step(&self) -> bool {
        !self.blocked.get()
            && self.stream().is_some()
            && self.behind.get() == 0
            && self.closing.get() == Closing::Open
            && self.outbox.borrow().is_empty()
    }

    /// Writes the bytes of a round without a copy, and says how many the socket took. What it did
    /// not take is the caller's to [`Connection::keep`].
    #[inline]
    pub(in crate::fanout) fn write(&self, bytes: &[u8], now: Millis) -> usize {
        let Some(stream) = self.stream() else { return 0 };
        match stream.try_write(bytes) {
            Ok(written) => {
                self.note_progress(now);
                if written < bytes.len() {
                    self.block();
                }
                written
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.block();
                0
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => 0,
            Err(_) => {
                self.finish();
                bytes.len()
            }
        }
    }

    /// Writes what waits, as far as the socket takes it, in as few calls as can be.
    pub(in crate::fanout) fn flush(&self, now: Millis) {
        match (self.stream(), &self.mailbox) {
            (Some(stream), _) => self.flush_to(stream, now),
            (None, Some(mailbox)) => self.flush_mailbox(mailbox, now),
            (None, None) => {}
        }
        if self.behind.get() > 0 && self.outbox.borrow().has_caught_up(self.limit()) {
            self.stir();
        }
    }

    fn flush_to(&self, stream: &Socket, now: Millis) {
        let mut outbox = self.outbox_mut();
        while !outbox.is_empty() && !self.blocked.get() {
            let written = match outbox.only() {
                Some(bytes) => stream.try_write(bytes),
                None => {
                    let mut slices = [IoSlice::new(&[]); SLICES];
                    let filled = outbox.fill(&mut slices);
                    stream.try_write_vectored(&slices[..filled])
                }
            };
            match written {
                Ok(written) => {
                    outbox.advance(written);
                    self.note_progress(now);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.block(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.finish(),
            }
        }
        if outbox.is_empty() && matches!(self.closing.get(), Closing::Done { .. }) {
            self.end_our_half(stream);
        }
    }

    /// All is said: the peer sees the end of the stream, and ends its half.
    fn end_our_half(&self, stream: &Socket) {
        if self.ended.replace(true) {
            return;
        }
        if stream.end_our_half().is_err() {
            self.finish();
        }
    }

    fn block(&self) {
        self.front.keeps_up.set(false);
        self.blocked.set(true);
    }
}

/// Frames that one call writes: a longer list costs more than a second call.
const SLICES: usize = 64;

//! A simulated socket: it takes and gives bytes in pieces, blocks, and ends as the storm says.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::rc::Rc;

use fastrand::Rng;

/// Both ends of one socket: the server's has the methods of a socket, the client's the others.
#[derive(Clone)]
pub(in crate::fanout) struct Pipe(Rc<RefCell<Ends>>);

struct Ends {
    random: Rng,
    /// What the server wrote and the client has not read, at most `capacity` bytes.
    to_client: VecDeque<u8>,
    capacity: usize,
    to_server: VecDeque<u8>,
    client_ended: bool,
    is_reset: bool,
    server_ended: bool,
    /// A write found no room for all of it, and none of that has come free since.
    is_full: bool,
    /// What the server is to be told.
    is_readable: bool,
    is_writable: bool,
}

impl Pipe {
    /// A socket that holds `capacity` bytes for the client, and cuts what goes through it at random.
    pub(super) fn new(seed: u64, capacity: usize) -> Pipe {
        Pipe(Rc::new(RefCell::new(Ends {
            random: Rng::with_seed(seed),
            to_client: VecDeque::new(),
            capacity,
            to_server: VecDeque::new(),
            client_ended: false,
            is_reset: false,
            server_ended: false,
            is_full: false,
            is_readable: false,
            is_writable: false,
        })))
    }

    pub(in crate::fanout) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut ends = self.0.borrow_mut();
        assert!(!ends.server_ended, "the server writes after it has ended its half");
        if ends.is_reset {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if ends.random.u8(0..64) == 0 {
            return Err(ErrorKind::Interrupted.into());
        }
        let fits = ends.room().min(bytes.len());
        if fits == 0 {
            ends.is_full = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        // A socket may take less than it has room for, and says then that there is room.
        let taken = if ends.random.u8(0..4) == 0 { ends.random.usize(1..=fits) } else { fits };
        ends.to_client.extend(&bytes[..taken]);
        ends.is_full = taken < bytes.len();
        ends.is_writable |= ends.is_full && ends.room() > 0;
        Ok(taken)
    }

    pub(in crate::fanout) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut ends = self.0.borrow_mut();
        if ends.is_reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let there = ends.to_server.len().min(buffer.len());
        if there == 0 {
            return if ends.client_ended { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) };
        }
        let read = ends.random.usize(1..=there);
        for (byte, read) in buffer.iter_mut().zip(ends.to_server.drain(..read)) {
            *byte = read;
        }
        Ok(read)
    }

    pub(in crate::fanout) fn end_our_half(&self) -> io::Result<()> {
        let mut ends = self.0.borrow_mut();
        ends.server_ended = true;
        if ends.is_reset { Err(ErrorKind::NotConnected.into()) } else { Ok(()) }
    }

    /// Whether it can be read, and written again, since this was last asked: told once, as the kernel does.
    pub(super) fn take_changes(&self) -> (bool, bool) {
        let mut ends = self.0.borrow_mut();
        (std::mem::take(&mut ends.is_readable), std::mem::take(&mut ends.is_writable))
    }

    /// The client reads at most so many bytes.
    pub(super) fn take(&self, most: usize, into: &mut Vec<u8>) -> usize {
        let mut ends = self.0.borrow_mut();
        let taken = most.min(ends.to_client.len());
        into.extend(ends.to_client.drain(..taken));
        ends.changed();
        taken
    }

    /// The client says something.
    pub(super) fn say(&self, bytes: &[u8]) {
        let mut ends = self.0.borrow_mut();
        ends.to_server.extend(bytes);
        ends.changed();
    }

    /// The client ends its half: it says nothing more, and still reads.
    pub(super) fn end(&self) {
        let mut ends = self.0.borrow_mut();
        ends.client_ended = true;
        ends.changed();
    }

    /// The client is gone from one moment to the next.
    pub(super) fn reset(&self) {
        let mut ends = self.0.borrow_mut();
        ends.is_reset = true;
        ends.to_client.clear();
        ends.changed();
    }

    /// Whether all that either side said was read.
    pub(super) fn is_empty(&self) -> bool {
        let ends = self.0.borrow();
        ends.to_client.is_empty() && ends.to_server.is_empty()
    }

    /// Whether the client has read all that the server said.
    pub(super) fn is_read(&self) -> bool {
        self.0.borrow().to_client.is_empty()
    }

    /// Whether the server has ended its half, and all before that was read.
    pub(super) fn is_over(&self) -> bool {
        let ends = self.0.borrow();
        ends.server_ended && ends.to_client.is_empty()
    }
}

impl Ends {
    fn room(&self) -> usize {
        self.capacity - self.to_client.len()
    }

    /// The client did something.
    fn changed(&mut self) {
        self.is_readable |= !self.to_server.is_empty() || self.client_ended || self.is_reset;
        if self.is_reset || (self.is_full && self.room() > 0) {
            self.is_full = false;
            self.is_writable = true;
        }
    }
}

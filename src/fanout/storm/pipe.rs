//! A simulated socket: it takes and gives bytes in pieces, blocks, and ends as the storm says.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

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
    reader: Option<Waker>,
    writer: Option<Waker>,
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
            reader: None,
            writer: None,
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
            return Err(ErrorKind::WouldBlock.into());
        }
        // A socket may take less than it has room for.
        let taken = if ends.random.u8(0..4) == 0 { ends.random.usize(1..=fits) } else { fits };
        ends.to_client.extend(&bytes[..taken]);
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

    pub(in crate::fanout) async fn readable(&self) -> io::Result<()> {
        poll_fn(|context| self.poll(context, Ends::can_read, |ends| &mut ends.reader)).await
    }

    pub(in crate::fanout) async fn writable(&self) -> io::Result<()> {
        poll_fn(|context| self.poll(context, Ends::can_write, |ends| &mut ends.writer)).await
    }

    pub(in crate::fanout) fn end_our_half(&self) -> io::Result<()> {
        let mut ends = self.0.borrow_mut();
        ends.server_ended = true;
        if ends.is_reset { Err(ErrorKind::NotConnected.into()) } else { Ok(()) }
    }

    fn poll(
        &self,
        context: &Context<'_>,
        is_ready: impl Fn(&Ends) -> bool,
        waker: impl Fn(&mut Ends) -> &mut Option<Waker>,
    ) -> Poll<io::Result<()>> {
        let mut ends = self.0.borrow_mut();
        if is_ready(&ends) {
            return Poll::Ready(Ok(()));
        }
        *waker(&mut ends) = Some(context.waker().clone());
        Poll::Pending
    }

    /// The client reads at most so many bytes.
    pub(super) fn take(&self, most: usize, into: &mut Vec<u8>) -> usize {
        let mut ends = self.0.borrow_mut();
        let taken = most.min(ends.to_client.len());
        into.extend(ends.to_client.drain(..taken));
        ends.wake();
        taken
    }

    /// The client says something.
    pub(super) fn say(&self, bytes: &[u8]) {
        let mut ends = self.0.borrow_mut();
        ends.to_server.extend(bytes);
        ends.wake();
    }

    /// The client ends its half: it says nothing more, and still reads.
    pub(super) fn end(&self) {
        let mut ends = self.0.borrow_mut();
        ends.client_ended = true;
        ends.wake();
    }

    /// The client is gone from one moment to the next.
    pub(super) fn reset(&self) {
        let mut ends = self.0.borrow_mut();
        ends.is_reset = true;
        ends.to_client.clear();
        ends.wake();
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

    fn can_read(&self) -> bool {
        !self.to_server.is_empty() || self.client_ended || self.is_reset
    }

    fn can_write(&self) -> bool {
        self.room() > 0 || self.is_reset
    }

    fn wake(&mut self) {
        if self.can_read() {
            self.reader.take().into_iter().for_each(Waker::wake);
        }
        if self.can_write() {
            self.writer.take().into_iter().for_each(Waker::wake);
        }
    }
}

//! What the kernel says of a worker's sockets.
//!
//! The worker asks the kernel itself and does not have its runtime do it: a socket that the runtime
//! watches takes 1.4 kB for that alone, and the task that waits for it as much again, for each of very
//! many connections that mostly say nothing. So all of them are one thing to wait for, and a connection
//! has a task only while there is something to see to.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use tokio::io::unix::AsyncFd;

/// The sockets of one worker, each by the number of its connection.
///
/// They are edge-triggered: a change is told once, so that who hears that there is something to read has
/// to remember it until a read finds nothing.
pub(super) struct Sockets {
    poll: Rc<Shared>,
    events: RefCell<Events>,
}

/// What has become of a socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) connection: u64,
    /// There is something to read, or an end to find out about.
    pub(super) is_readable: bool,
    /// It takes something again.
    pub(super) is_writable: bool,
}

/// Waits until there are changes.
pub(super) struct Alarm(AsyncFd<Rc<Shared>>);

/// Stays open for as long as the runtime watches it.
struct Shared(RefCell<Poll>);

impl AsRawFd for Shared {
    fn as_raw_fd(&self) -> RawFd {
        self.0.borrow().as_raw_fd()
    }
}

impl Sockets {
    pub(super) fn new() -> io::Result<Sockets> {
        Ok(Sockets {
            poll: Rc::new(Shared(RefCell::new(Poll::new()?))),
            events: RefCell::new(Events::with_capacity(CHANGES_AT_ONCE)),
        })
    }

    /// Begins to watch the socket of this connection. It ends when the socket is dropped.
    pub(super) fn watch(&self, socket: &mut TcpStream, connection: u64) -> io::Result<()> {
        let token = Token(usize::try_from(connection).map_err(io::Error::other)?);
        self.poll.0.borrow().registry().register(socket, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// What is to be waited for, on the runtime that this is called on.
    pub(super) fn alarm(&self) -> io::Result<Alarm> {
        #[allow(
            deprecated,
            reason = "what replaces it is unsafe; the descriptor stays what it is, as that demands"
        )]
        AsyncFd::with_interest(self.poll.clone(), tokio::io::Interest::READABLE).map(Alarm)
    }

    /// Tells what has changed since it was last asked; whether there may be more.
    pub(super) fn changed(&self, mut on: impl FnMut(Change)) -> io::Result<bool> {
        let mut events = self.events.borrow_mut();
        match self.poll.0.borrow_mut().poll(&mut events, Some(Duration::ZERO)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error),
        }
        let mut told = 0;
        for event in &*events {
            told += 1;
            on(Change {
                connection: event.token().0 as u64,
                is_readable: event.is_readable() || event.is_read_closed() || event.is_error(),
                is_writable: event.is_writable() || event.is_write_closed() || event.is_error(),
            });
        }
        Ok(told >= CHANGES_AT_ONCE)
    }
}

impl Alarm {
    /// Waits until there are changes, and has `look` look at them until it says that it has seen all.
    pub(super) async fn rings(&self, look: impl FnOnce() -> io::Result<bool>) -> io::Result<()> {
        let mut ready = self.0.readable().await?;
        // What changes from here on rings again.
        if !look()? {
            ready.clear_ready();
        }
        Ok(())
    }
}

/// Changes that are looked at before what waits for the worker otherwise: each may be a large outbox that can be
/// written again.
const CHANGES_AT_ONCE: usize = 256;

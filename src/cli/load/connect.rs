//! Opens connections: from many addresses, at a bounded pace, so many at a time.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

/// Begins to connect to `server`. The stream is not connected yet, and may never be.
///
/// One address has some 28,000 ports to connect from: on loopback, where there are 16 million
/// addresses, receiver `number` is spread over some of them.
pub(super) fn begin(server: SocketAddr, number: usize, small: bool) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if small {
        socket.set_recv_buffer_size(SMALL)?;
    }
    if server.ip().is_loopback() && server.is_ipv4() {
        let last = u8::try_from(number / RECEIVERS_OF_AN_ADDRESS % 250 + 1).unwrap_or(1);
        socket.bind(&SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0).into())?;
    }
    match socket.connect(&server.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(IN_PROGRESS) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// Whether a stream that [`begin`] began is connected by now.
pub(super) fn is_connected(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// Who is to be connected, and when.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: VecDeque<usize>,
    pace: u64,
    since: u64,
    begun: u64,
    /// Those that are connecting, upgrading or subscribing.
    unsettled: usize,
    most_unsettled: usize,
}

impl Queue {
    /// Connects all of `waiting`, `pace` of them a second from `now` on.
    pub(super) fn new(waiting: VecDeque<usize>, pace: usize, most_unsettled: usize, now: u64) -> Queue {
        Queue { waiting, pace: pace as u64, since: now, begun: 0, unsettled: 0, most_unsettled }
    }

    /// The next one to connect now.
    pub(super) fn next(&mut self, now: u64) -> Option<usize> {
        if self.waiting.is_empty() || self.unsettled >= self.most_unsettled {
            return None;
        }
        let passed = u128::from(now.saturating_sub(self.since));
        if u128::from(self.begun) > passed * u128::from(self.pace) / NANOS {
            return None;
        }
        self.begun += 1;
        self.unsettled += 1;
        self.waiting.pop_front()
    }

    /// One of them is subscribed, or will never be.
    pub(super) fn settle(&mut self) {
        self.unsettled = self.unsettled.saturating_sub(1);
    }

    /// One is to come again.
    pub(super) fn again(&mut self, number: usize, now: u64) {
        if self.waiting.is_empty() {
            // What was not used while nobody waited is no reason to hurry.
            (self.since, self.begun) = (now, 0);
        }
        self.waiting.push_back(number);
    }

    /// Nobody else is to be connected.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// How long there is nothing to do at least; `None` while nobody waits.
    pub(super) fn pause(&self) -> Option<Duration> {
        (!self.waiting.is_empty()).then_some(TURN)
    }
}

/// Ports of one address that are used, of the 28,000 that there are: those of connections that have
/// gone stay taken for a minute.
const RECEIVERS_OF_AN_ADDRESS: usize = 1_000;

/// The smallest receive buffer that a kernel gives, about: what a stopped receiver hides in.
const SMALL: usize = 4 << 10;

/// What connecting says when it goes on by itself (`EINPROGRESS` on Linux); its kind is not stable.
const IN_PROGRESS: i32 = 115;

const TURN: Duration = Duration::from_millis(1);

const NANOS: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_begin_at_the_pace_and_wait_for_those_before_them() {
        let mut queue = Queue::new((0..100).collect(), 1_000, 10, 0);
        let mut begun_at = |now| std::iter::from_fn(|| queue.next(now)).count();
        assert_eq!(begun_at(0), 1);
        assert_eq!(begun_at(500_000), 0);
        assert_eq!(begun_at(3_000_000), 3);
        assert_eq!(begun_at(1_000_000_000), 6, "ten are on their way");
        for _ in 0..10 {
            queue.settle();
        }
        assert_eq!(queue.next(1_000_000_000), Some(10));
        queue.clear();
        assert_eq!((queue.next(2_000_000_000), queue.pause()), (None, None));
        queue.again(5, 3_000_000_000);
        assert_eq!(queue.next(3_000_000_000), Some(5));
    }
}

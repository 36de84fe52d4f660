//! The socket of a connection: bytes out and in, as far as it takes and has them, without waiting.

use std::io::{self, IoSlice};
use std::net::Shutdown;

use socket2::SockRef;
use tokio::net::TcpStream;

/// A socket that belongs to a worker.
///
/// An enum and not a trait: outside tests it has one variant, and costs nothing.
pub(super) enum Socket {
    Tcp(TcpStream),
    #[cfg(test)]
    Simulated(super::storm::Pipe),
}

impl Socket {
    /// Takes what it can of `bytes` at once, without a look at what the runtime knows of the socket: that
    /// is a cache line which nobody needs who keeps up. After a refusal [`Socket::try_write`] finds out
    /// again, and [`Socket::writable`] waits.
    #[inline]
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => SockRef::from(stream).send(bytes),
            #[cfg(test)]
            Socket::Simulated(pipe) => pipe.try_write(bytes),
        }
    }

    /// Takes what it can of `bytes` at once.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.try_write(bytes),
            #[cfg(test)]
            Socket::Simulated(pipe) => pipe.try_write(bytes),
        }
    }

    /// Takes what it can of several pieces at once.
    pub(super) fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.try_write_vectored(pieces),
            #[cfg(test)]
            Socket::Simulated(pipe) => {
                let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
                pipe.try_write(&all)
            }
        }
    }

    /// Reads what has come; 0 is the end.
    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.try_read(buffer),
            #[cfg(test)]
            Socket::Simulated(pipe) => pipe.try_read(buffer),
        }
    }

    /// Waits until there is something to read.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.readable().await,
            #[cfg(test)]
            Socket::Simulated(pipe) => pipe.readable().await,
        }
    }

    /// Waits until it takes something again.
    pub(super) async fn writable(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.writable().await,
            #[cfg(test)]
            Socket::Simulated(pipe) => pipe.writable().await,
        }
    }

    /// Ends our half: the peer sees the end of the stream.
    pub(super) fn end_our_half(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => SockRef::from(stream).shutdown(Shutdown::Write),
            #[cfg(test)]
            Socket::Simulated(pipe) => pipe.end_our_half(),
        }
    }
}

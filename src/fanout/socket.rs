//! The socket of a connection: bytes out and in, as far as it takes and has them, without waiting.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;

/// A socket that belongs to a worker.
///
/// An enum and not a trait: outside tests it has one variant, and costs nothing.
pub(super) enum Socket {
    Tcp(TcpStream),
    #[cfg(test)]
    Simulated(super::storm::Pipe),
}

impl Socket {
    /// Takes what it can of `bytes` at once.
    #[inline]
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&mut &*stream).write(bytes),
            #[cfg(test)]
            Socket::Simulated(pipe) => pipe.try_write(bytes),
        }
    }

    /// Takes what it can of several pieces at once.
    pub(super) fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&mut &*stream).write_vectored(pieces),
            #[cfg(test)]
            Socket::Simulated(pipe) => {
                let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
                pipe.try_write(&all)
            }
        }
    }

    /// Reads what has come; 0 is the end, and [`io::ErrorKind::WouldBlock`] that nothing has come.
    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&mut &*stream).read(buffer),
            #[cfg(test)]
            Socket::Simulated(pipe) => pipe.try_read(buffer),
        }
    }

    /// Ends our half: the peer sees the end of the stream.
    pub(super) fn end_our_half(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Write),
            #[cfg(test)]
            Socket::Simulated(pipe) => pipe.end_our_half(),
        }
    }
}

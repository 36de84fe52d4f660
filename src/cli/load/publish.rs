//! Publishes stamped messages, so that one clock measures the whole way to the receivers.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::LoadError;
use super::conversation::NORMAL;
use super::plan::Publication;
use super::say;
use super::tally::Control;
use super::target::{Answer, answer};
use crate::clock::FineClock;
use crate::encode::Opcode;

/// A connection that publishes.
pub(super) struct Publisher<'a> {
    publication: &'a Publication,
    clock: FineClock,
    stream: TcpStream,
    random: fastrand::Rng,
    wire: Vec<u8>,
    text: Vec<u8>,
}

/// What was published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Published {
    /// Messages.
    pub(super) messages: u64,
    /// How late the latest of them left: more than a few milliseconds, and the rate was not held.
    pub(super) latest: Duration,
    /// Why it ended too early.
    pub(super) broke: Option<io::ErrorKind>,
}

impl<'a> Publisher<'a> {
    /// Connects and upgrades.
    ///
    /// # Errors
    /// [`LoadError::Publisher`] says what did not work.
    pub(super) fn connect(
        publication: &'a Publication,
        clock: FineClock,
        seed: u64,
    ) -> Result<Publisher<'a>, LoadError> {
        let failed = |error| LoadError::Publisher { target: publication.target.clone(), error };
        let stream = upgraded(publication).map_err(failed)?;
        Ok(Publisher {
            publication,
            clock,
            stream,
            random: fastrand::Rng::with_seed(seed),
            wire: Vec::new(),
            text: Vec::new(),
        })
    }

    /// Publishes until the end of the measured part.
    pub(super) fn run(mut self, control: &Control) -> Published {
        let mut published = Published::default();
        let (begin, burst) = (self.clock.now(), self.publication.burst);
        let pause = NANOS * burst as u64 / self.publication.rate as u64;
        for tick in 1.. {
            let due = begin + pause * tick;
            let end = control.end.load(Ordering::Relaxed);
            if due >= end {
                std::thread::sleep(Duration::from_nanos(end.saturating_sub(self.clock.now())));
                break;
            }
            std::thread::sleep(Duration::from_nanos(due.saturating_sub(self.clock.now())));
            let late = Duration::from_nanos(self.clock.now().saturating_sub(due));
            published.latest = published.latest.max(late);
            if let Err(error) = self.publish(burst) {
                published.broke = Some(error.kind());
                return published;
            }
            published.messages += burst as u64;
        }
        self.wire.clear();
        say::frame(Opcode::Close, &NORMAL.to_be_bytes(), &mut self.random, &mut self.wire);
        let _ = self.stream.write_all(&self.wire);
        published
    }

    /// Sends so many messages in one write, all with the stamp of this moment.
    fn publish(&mut self, burst: usize) -> io::Result<()> {
        self.text.clear();
        let now = self.clock.now();
        write!(self.text, "{{\"t\":{now:019},\"x\":\"")?;
        self.text.resize(self.publication.size - END.len(), b'.');
        self.text.extend_from_slice(END);
        self.wire.clear();
        for _ in 0..burst {
            say::frame(Opcode::Text, &self.text, &mut self.random, &mut self.wire);
        }
        self.stream.write_all(&self.wire)?;
        self.hear()
    }

    /// Throws away what the server says: its pings are not answered, since messages show that we are here.
    fn hear(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4_096];
        self.stream.set_nonblocking(true)?;
        let heard = self.stream.read(&mut buffer);
        self.stream.set_nonblocking(false)?;
        match heard {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

fn upgraded(publication: &Publication) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&publication.target.resolve()?, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&publication.target.request())?;
    let mut heard = Vec::new();
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte)?;
        heard.extend_from_slice(&byte);
        match answer(&heard) {
            Answer::Unfinished => {}
            Answer::Accepted(_) => return Ok(stream),
            Answer::Status(status) => return Err(io::Error::other(format!("HTTP status {status}"))),
            Answer::Nonsense => return Err(io::Error::other("not answered as a WebSocket server does")),
        }
    }
}

/// The shortest message: a stamp of 19 digits and an empty text.
pub(crate) const LEAST_SIZE: usize = 32;

const END: &[u8] = b"\"}";

/// For each step of connecting, and for a write that the server does not take.
const PATIENCE: Duration = Duration::from_secs(10);

const NANOS: u64 = 1_000_000_000;

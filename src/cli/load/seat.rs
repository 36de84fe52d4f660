//! A receiver's place: it stays while the connections in it come and go.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::connect;
use super::conversation::{Conversation, Ear, Stage};
use super::ending::{Ending, Step};
use super::plan::{Habit, Plan};

/// A place.
#[derive(Debug)]
pub(super) struct Seat {
    /// Its number in the whole run.
    pub(super) number: usize,
    /// How whoever sits there behaves.
    pub(super) habit: Habit,
    /// Rises when a deadline of it is no longer meant.
    pub(super) turn: u32,
    /// Whether the first one who sat there was subscribed or failed.
    pub(super) settled: bool,
    /// Who sits there.
    pub(super) connection: Option<Connection>,
}

/// Who sits there.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    pub(super) conversation: Conversation,
    connected: bool,
    /// Whether it is known to be subscribed.
    pub(super) runs: bool,
    /// Whether nobody wants to know that there is something to read.
    pub(super) paused: bool,
}

/// Whether there is still a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Still {
    /// All was read that had come.
    Open,
    /// There may be more to read at once.
    More,
    /// It ended as it should.
    Gone,
}

impl Seat {
    /// The place of receiver `number`, still empty.
    pub(super) fn new(number: usize, habit: Habit) -> Seat {
        Seat { number, habit, turn: 0, settled: false, connection: None }
    }

    /// Begins to connect to `server`.
    pub(super) fn open(
        &mut self,
        plan: &Plan,
        server: SocketAddr,
        random: &mut fastrand::Rng,
        (registry, token): (&Registry, Token),
    ) -> io::Result<()> {
        let mut conversation = Conversation::new(&plan.target, plan.topics_of(self.number), random);
        if plan.checks(self.number) {
            conversation = conversation.check();
        }
        let reads = self.habit == Habit::Reads;
        if !reads {
            conversation = conversation.untimed();
        }
        let stream = connect::begin(server, self.number, !reads)?;
        let mut connection =
            Connection { stream, conversation, connected: false, runs: false, paused: false };
        connection.watch(registry, token)?;
        self.turn += 1;
        self.connection = Some(connection);
        Ok(())
    }

    /// Whether it reads now and then, on its own account.
    pub(super) fn dawdles(&self) -> bool {
        self.habit == Habit::Dawdles && self.connection.as_ref().is_some_and(|connection| connection.paused)
    }
}

impl Connection {
    /// Asks to be told of what happens to it.
    pub(super) fn watch(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.paused = false;
        registry.register(&mut self.stream, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Ends the smallness of its receive buffer: who reads again wants to catch up.
    pub(super) fn widen(&self) -> io::Result<()> {
        socket2::SockRef::from(&self.stream).set_recv_buffer_size(WIDE)
    }

    /// Asks to be told again of what was told already.
    pub(super) fn watch_again(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.reregister(&mut self.stream, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Asks not to be told any more.
    pub(super) fn pause(&mut self, registry: &Registry) -> io::Result<()> {
        self.paused = true;
        registry.deregister(&mut self.stream)
    }

    /// What it does until it runs.
    pub(super) fn step(&self) -> Step {
        if self.connected { self.conversation.step() } else { Step::Connecting }
    }

    /// Goes on where the socket allows it.
    pub(super) fn go_on(
        &mut self,
        scratch: &mut [u8],
        appetite: Appetite,
        ear: &mut Ear,
        bytes: &mut u64,
    ) -> Result<Still, Ending> {
        if !self.connected {
            let unconnected = |error: io::Error| Ending::Unconnected(error.kind());
            if !connect::is_connected(&self.stream).map_err(unconnected)? {
                return Ok(Still::Open);
            }
            self.connected = true;
        }
        self.write()?;
        let still = self.read(scratch, appetite, ear, bytes);
        // What was heard may have to be answered, a close frame too.
        self.write()?;
        still
    }

    fn read(
        &mut self,
        scratch: &mut [u8],
        appetite: Appetite,
        ear: &mut Ear,
        bytes: &mut u64,
    ) -> Result<Still, Ending> {
        let (most, reads) = match appetite {
            Appetite::Bytes(most) => (most.min(scratch.len()), 1),
            Appetite::All | Appetite::ToTheEnd => (scratch.len(), READS),
        };
        for _ in 0..reads {
            match self.stream.read(&mut scratch[..most]) {
                Ok(0) if self.conversation.stage() == Stage::Leaving => return Ok(Still::Gone),
                Ok(0) => return Err(Ending::Dropped),
                Ok(length) => {
                    *bytes += length as u64;
                    self.conversation.hear(&scratch[..length], ear)?;
                    if length < most && appetite != Appetite::ToTheEnd {
                        return Ok(Still::Open);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Still::Open),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) if self.conversation.was_answered() => return Ok(Still::Gone),
                Err(error) => return Err(Ending::Broken(error.kind())),
            }
        }
        Ok(Still::More)
    }

    /// Writes what is to be sent, as far as it goes.
    #[inline]
    fn write(&mut self) -> Result<(), Ending> {
        while !self.conversation.out().is_empty() {
            match self.stream.write(self.conversation.out()) {
                Ok(length) if length == self.conversation.out().len() => {
                    *self.conversation.out() = Vec::new();
                }
                Ok(length) => drop(self.conversation.out().drain(..length)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Why it broke stands in what can still be read.
                Err(_) => {
                    *self.conversation.out() = Vec::new();
                }
            }
        }
        Ok(())
    }
}

/// What most systems give a socket that asks for nothing.
const WIDE: usize = 128 << 10;

/// How much to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appetite {
    /// So many bytes.
    Bytes(usize),
    /// What there is, a few buffers of it at most. Less than a buffer is all that there is.
    All,
    /// The same, and the end of the stream, which is known to have come.
    ToTheEnd,
}

/// Buffers that are read of one connection before the others have their turn.
const READS: usize = 16;

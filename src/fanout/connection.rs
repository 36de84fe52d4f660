//! One connection: its socket, what waits for it, and its conversation.

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, IoSlice};
use std::net::Shutdown;
use std::os::fd::AsFd;

use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::{Outbox, Pushed, WorkerConfig};
use crate::encode::Frame;
use crate::market::{Millis, Topic};
use crate::session::websocket::{Compression, Message, Reader, Violation};
use crate::session::{Action, Closing, Progress, Session, SessionEnd};
use crate::shard::{Broadcast, Class, Joined};

/// One client's connection. Belongs to one worker's thread; nobody else touches it.
pub(super) struct Connection {
    pub(super) id: u64,
    pub(super) stream: TcpStream,
    pub(super) session: RefCell<Session>,
    /// Something changed that its task has to see to.
    pub(super) wake: Notify,
    pub(super) blocked: Cell<bool>,
    outbox: RefCell<Outbox>,
    reader: RefCell<Reader>,
    closing: Cell<Closing>,
    /// Whether it stands in the worker's list of connections to flush.
    pub(super) dirty: Cell<bool>,
    /// Whether some topic waits for a new picture.
    behind: Cell<bool>,
    over: Cell<bool>,
    /// Whether our half of the socket was ended.
    ended: Cell<bool>,
    heard: Cell<Millis>,
    pinged: Cell<bool>,
    progress: Cell<Millis>,
    limit: usize,
    /// Gives the connection's place back when it goes.
    _place: Box<dyn Send>,
}

impl Connection {
    pub(super) fn new(
        id: u64,
        stream: TcpStream,
        session: Session,
        config: &WorkerConfig,
        now: Millis,
        place: Box<dyn Send>,
    ) -> Connection {
        Connection {
            id,
            stream,
            session: RefCell::new(session),
            wake: Notify::new(),
            blocked: Cell::new(false),
            outbox: RefCell::new(Outbox::new(config.outbox_bytes)),
            reader: RefCell::new(Reader::new(config.message_bytes, Compression::Off)),
            closing: Cell::new(Closing::Open),
            dirty: Cell::new(false),
            behind: Cell::new(false),
            over: Cell::new(false),
            ended: Cell::new(false),
            heard: Cell::new(now),
            pinged: Cell::new(false),
            progress: Cell::new(now),
            limit: config.outbox_bytes,
            _place: place,
        }
    }

    /// Puts a broadcast into the outbox as far as the subscription allows it.
    /// Whether something waits to be flushed now.
    pub(super) fn deliver(&self, broadcast: &Broadcast) -> Result<bool, SessionEnd> {
        if self.closing.get() != Closing::Open {
            return Ok(false);
        }
        let topic = broadcast.topic;
        let progress = self.session.borrow().progress(topic);
        let wanted = match (progress, broadcast.class) {
            (Some(Progress::Live), _) => true,
            // A book that waits for its picture needs nothing before it; a closed bar or a trade is
            // told whatever became of the open one.
            (Some(Progress::Behind | Progress::Rejoining), Class::Lossless) => {
                !matches!(topic, Topic::Book { .. })
            }
            (Some(Progress::Behind | Progress::Rejoining), Class::Conflated) => false,
            (Some(Progress::Joining) | None, _) => false,
        };
        if !wanted {
            return Ok(false);
        }
        match (self.outbox.borrow_mut().push(broadcast.frame.bytes().clone()), broadcast.class) {
            (Pushed::Queued, _) => Ok(true),
            (Pushed::Full, Class::Conflated) => {
                self.fall_behind(topic);
                Ok(false)
            }
            (Pushed::Full, Class::Lossless) if matches!(topic, Topic::Book { .. }) => {
                self.fall_behind(topic);
                Ok(false)
            }
            (Pushed::Full, Class::Lossless) => Err(self.too_slow(topic)),
        }
    }

    /// Takes the beginning of a subscription that waits for it; whether the connection still wants
    /// anything.
    pub(super) fn join(&self, joined: Joined) -> Result<bool, SessionEnd> {
        let topic = joined.topic;
        // Behind a close frame nothing may follow.
        if self.closing.get() != Closing::Open {
            return Ok(false);
        }
        self.session.borrow_mut().set_progress(topic, Progress::Live);
        let lossless = matches!(topic, Topic::Trades { .. } | Topic::Kline { .. });
        for frame in joined.frames {
            // What was missed must arrive; it is bounded by what the engine keeps of it.
            let limit = if lossless { self.limit.saturating_mul(MISSED_FACTOR) } else { self.limit };
            match self.outbox.borrow_mut().push_within(frame.bytes().clone(), limit) {
                Pushed::Queued => {}
                Pushed::Full if lossless => return Err(self.too_slow(topic)),
                Pushed::Full => {
                    self.fall_behind(topic);
                    break;
                }
            }
        }
        Ok(true)
    }

    /// Puts an answer into the outbox.
    pub(super) fn reply(&self, frame: &Frame) -> Result<(), SessionEnd> {
        if self.closing.get() != Closing::Open {
            return Ok(());
        }
        let limit = self.limit.saturating_mul(2);
        match self.outbox.borrow_mut().push_within(frame.bytes().clone(), limit) {
            Pushed::Queued => Ok(()),
            Pushed::Full => Err(SessionEnd::TooSlow { topic: "answers".to_owned() }),
        }
    }

    /// Writes what waits, as far as the socket takes it, in as few calls as can be.
    pub(super) fn flush(&self, now: Millis) {
        let mut outbox = self.outbox.borrow_mut();
        while !outbox.is_empty() && !self.blocked.get() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = outbox.fill(&mut slices);
            match self.stream.try_write_vectored(&slices[..filled]) {
                Ok(written) => {
                    outbox.advance(written);
                    self.progress.set(now);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.blocked.set(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.finish(),
            }
        }
        if outbox.is_empty() && matches!(self.closing.get(), Closing::Done { .. }) {
            return self.end_our_half();
        }
        if self.blocked.get() || (self.behind.get() && outbox.has_caught_up()) {
            self.wake.notify_one();
        }
    }

    /// Reads what has come, and says what is to be done about it.
    pub(super) fn read(
        &self,
        now: Millis,
        scratch: &mut [u8],
        actions: &mut Vec<Action>,
    ) -> Result<(), SessionEnd> {
        for _ in 0..READS_A_TURN {
            match self.stream.try_read(scratch) {
                Ok(0) => return Err(SessionEnd::PeerLeft),
                Ok(length) => self.take(now, &mut scratch[..length], actions)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(SessionEnd::Io(error)),
            }
        }
        Ok(())
    }

    /// Takes bytes in that were read from the socket.
    pub(super) fn take(
        &self,
        now: Millis,
        bytes: &mut [u8],
        actions: &mut Vec<Action>,
    ) -> Result<(), SessionEnd> {
        self.heard.set(now);
        self.pinged.set(false);
        let mut session = self.session.borrow_mut();
        let open = self.closing.get() == Closing::Open;
        let (mut pong, mut closed) = (None, None);
        let fed: Result<(), Violation> = self.reader.borrow_mut().feed(bytes, |message| match message {
            Message::Text(text) if open => session.receive(now, text, actions),
            Message::Binary(_) | Message::Compressed { .. } if open => session.receive_binary(actions),
            // One call may bring many pings: the last is answered (RFC 6455, section 5.5.3).
            Message::Ping(payload) => pong = Some(Frame::pong(payload)),
            Message::Close { code, .. } => closed = Some(code),
            Message::Text(_) | Message::Binary(_) | Message::Compressed { .. } | Message::Pong(_) => {}
        });
        drop(session);
        if let (Some(pong), true) = (pong, open) {
            self.reply(&pong)?;
        }
        fed.map_err(SessionEnd::Violation)?;
        closed.map_or(Ok(()), |code| Err(SessionEnd::PeerClosed { code }))
    }

    /// Ends the session: the peer is told, as far as it can hear, and the socket goes.
    pub(super) fn end(&self, end: &SessionEnd, now: Millis) {
        let mut closing = self.closing.get();
        let frame = match end {
            SessionEnd::PeerClosed { code } => closing.peer_closed(*code, now),
            SessionEnd::Finished
            | SessionEnd::PeerLeft
            | SessionEnd::Silent
            | SessionEnd::Violation(_)
            | SessionEnd::TokenExpired
            | SessionEnd::TooSlow { .. }
            | SessionEnd::ShuttingDown { .. }
            | SessionEnd::Failed
            | SessionEnd::Io(_) => closing.end(end, now),
        };
        self.closing.set(closing);
        if matches!(end, SessionEnd::PeerLeft | SessionEnd::Io(_)) {
            self.finish();
        }
        if matches!(end, SessionEnd::TooSlow { .. }) {
            // It is to learn of this soon, and gets what it missed when it comes back.
            self.outbox.borrow_mut().drop_unbegun();
        }
        if let Some(frame) = frame {
            let pushed = self.outbox.borrow_mut().push_within(frame.bytes().clone(), usize::MAX);
            debug_assert_eq!(pushed, Pushed::Queued);
        }
        self.flush(now);
    }

    /// Looks at the connection's deadlines, about once a second.
    pub(super) fn sweep(&self, now: Millis, config: &WorkerConfig) {
        match self.closing.get().deadline() {
            None => {}
            Some(until) if now < until => return,
            // The close frame itself still waits: who is too slow is the last to take it, and has as
            // long for it as for anything else.
            Some(_) if !self.outbox.borrow().is_empty() && now - self.progress.get() <= config.stalled => {
                return;
            }
            Some(_) => return self.finish(),
        }
        let silent = now - self.heard.get();
        // A client that is busy reading answers a ping when it comes to it: what waits for it must
        // move, and only one for whom nothing waits has to be heard.
        let is_gone = match self.outbox.borrow().is_empty() {
            true => self.pinged.get() && silent > config.ping + config.pong_timeout,
            false => now - self.progress.get() > config.stalled,
        };
        if is_gone {
            self.end(&SessionEnd::Silent, now);
        } else if self.outbox.borrow().is_empty() && !self.pinged.get() && silent > config.ping {
            self.pinged.set(true);
            if self.reply(&Frame::ping(&[])).is_ok() {
                self.flush(now);
            }
        }
    }

    /// Whether it can be let go.
    pub(super) fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Whether it still may be told things.
    pub(super) fn is_open(&self) -> bool {
        self.closing.get() == Closing::Open && !self.over.get()
    }

    /// The topics that may be given a new picture now; they count as asked for.
    pub(super) fn take_caught_up(&self) -> Vec<Topic> {
        if !self.behind.get() || !self.outbox.borrow().has_caught_up() {
            return Vec::new();
        }
        self.behind.set(false);
        let mut session = self.session.borrow_mut();
        let topics: Vec<Topic> = session.topics_at(Progress::Behind).collect();
        topics.iter().for_each(|&topic| session.set_progress(topic, Progress::Rejoining));
        topics
    }

    fn fall_behind(&self, topic: Topic) {
        self.behind.set(true);
        self.session.borrow_mut().set_progress(topic, Progress::Behind);
    }

    fn too_slow(&self, topic: Topic) -> SessionEnd {
        SessionEnd::TooSlow { topic: self.session.borrow().name(topic) }
    }

    /// All is said: the peer sees the end of the stream, and ends its half.
    fn end_our_half(&self) {
        if self.ended.replace(true) {
            return;
        }
        let ended = self
            .stream
            .as_fd()
            .try_clone_to_owned()
            .and_then(|socket| std::net::TcpStream::from(socket).shutdown(Shutdown::Write));
        if ended.is_err() {
            self.finish();
        }
    }

    fn finish(&self) {
        self.over.set(true);
        self.wake.notify_one();
    }
}

/// Frames that one call writes: a longer list costs more than a second call.
const SLICES: usize = 64;

/// A client that sends without end must not keep the others of its worker waiting.
const READS_A_TURN: usize = 4;

/// How many times an outbox what was missed may take: it must arrive, and is bounded by what is kept.
const MISSED_FACTOR: usize = 4;

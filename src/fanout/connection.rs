//! One connection: its socket, what waits for it, and its conversation.

use std::cell::{Cell, OnceCell, RefCell};
use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::os::fd::AsFd;

use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::audience::Seat;
use super::mailbox::Mailbox;
use super::{Outbox, Pushed, WorkerConfig};
use crate::encode::Frame;
use crate::market::Millis;
use crate::session::websocket::{Compression, Message, Reader, Violation};
use crate::session::{Action, Closing, Conversation, ConversationKind, Said, SessionEnd, Subscriptions};

/// One client's connection. Belongs to one worker's thread; nobody else touches it.
pub(super) struct Connection {
    pub(super) id: u64,
    /// Its WebSocket. A session that began with polling has none until it has moved to one.
    pub(super) stream: OnceCell<TcpStream>,
    /// What it speaks.
    pub(super) kind: ConversationKind,
    /// How messages go to it and come from it.
    pub(super) compression: Compression,
    /// Where a session that began with polling is reached.
    pub(super) mailbox: Option<Box<Mailbox>>,
    pub(super) subscriptions: RefCell<Subscriptions>,
    pub(super) seat: Cell<Option<Seat>>,
    /// Something changed that its task has to see to.
    pub(super) wake: Notify,
    pub(super) blocked: Cell<bool>,
    /// Whether it stands in the worker's list of connections to flush.
    pub(super) dirty: Cell<bool>,
    /// Whether its topics changed since it was seated.
    pub(super) unsettled: Cell<bool>,
    pub(super) conversation: RefCell<Box<dyn Conversation>>,
    pub(super) outbox: RefCell<Outbox>,
    /// Whether it ends because it was too slow.
    pub(super) too_slow: Cell<bool>,
    pub(super) reader: RefCell<Reader>,
    pub(super) closing: Cell<Closing>,
    /// How many topics wait for what they missed.
    pub(super) behind: Cell<usize>,
    over: Cell<bool>,
    /// Whether our half of the socket was ended.
    ended: Cell<bool>,
    heard: Cell<Millis>,
    pinged: Cell<bool>,
    /// Whether its conversation asks by itself whether the client is there.
    has_heartbeat: bool,
    pub(super) progress: Cell<Millis>,
    /// When the conversation was last said to be due; [`Millis::MAX`] is never.
    pub(super) due: Cell<Millis>,
    /// Whether that time has come.
    pub(super) is_due: Cell<bool>,
    pub(super) limit: usize,
    /// The longest message of the client.
    pub(super) message_bytes: usize,
    /// Gives the connection's place back when it goes.
    _place: Box<dyn Send>,
}

impl Connection {
    pub(super) fn new(
        id: u64,
        socket: Option<(TcpStream, Compression)>,
        conversation: Box<dyn Conversation>,
        mailbox: Option<Mailbox>,
        config: &WorkerConfig,
        now: Millis,
        place: Box<dyn Send>,
    ) -> Connection {
        let (stream, compression) = socket.unzip();
        let compression = compression.unwrap_or_default();
        let message_bytes = conversation.most_bytes().unwrap_or(config.message_bytes);
        Connection {
            id,
            stream: stream.map(OnceCell::from).unwrap_or_default(),
            kind: conversation.kind(),
            compression,
            mailbox: mailbox.map(Box::new),
            has_heartbeat: conversation.has_heartbeat(),
            subscriptions: RefCell::default(),
            seat: Cell::new(None),
            wake: Notify::new(),
            blocked: Cell::new(false),
            dirty: Cell::new(false),
            unsettled: Cell::new(false),
            conversation: RefCell::new(conversation),
            outbox: RefCell::new(Outbox::new(config.outbox_bytes)),
            too_slow: Cell::new(false),
            reader: RefCell::new(Reader::new(message_bytes, compression)),
            closing: Cell::new(Closing::Open),
            behind: Cell::new(0),
            over: Cell::new(false),
            ended: Cell::new(false),
            heard: Cell::new(now),
            pinged: Cell::new(false),
            progress: Cell::new(now),
            due: Cell::new(Millis::MAX),
            is_due: Cell::new(false),
            limit: config.outbox_bytes,
            message_bytes,
            _place: place,
        }
    }

    /// Whether the bytes of a round can go straight to its socket: nothing waits before them, and
    /// it wants all of them.
    #[inline]
    pub(super) fn keeps_up(&self) -> bool {
        !self.blocked.get()
            && self.stream.get().is_some()
            && self.behind.get() == 0
            && self.closing.get() == Closing::Open
            && self.outbox.borrow().is_empty()
    }

    /// Writes the bytes of a round without a copy, and says how many the socket took. What it did
    /// not take is the caller's to [`Connection::keep`].
    #[inline]
    pub(super) fn write(&self, bytes: &[u8], now: Millis) -> usize {
        let Some(stream) = self.stream.get() else { return 0 };
        match stream.try_write(bytes) {
            Ok(written) => {
                self.progress.set(now);
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

    /// Puts an answer into the outbox.
    pub(super) fn reply(&self, frame: &Frame) -> Result<(), SessionEnd> {
        if self.closing.get() != Closing::Open {
            return Ok(());
        }
        match self.outbox.borrow_mut().push_within(self.compression.bytes(frame), self.most_answers()) {
            Pushed::Queued => Ok(()),
            Pushed::Full => Err(SessionEnd::TooSlow { topic: "answers".to_owned() }),
        }
    }

    /// Writes what waits, as far as the socket takes it, in as few calls as can be.
    pub(super) fn flush(&self, now: Millis) {
        match (self.stream.get(), &self.mailbox) {
            (Some(stream), _) => self.flush_to(stream, now),
            (None, Some(mailbox)) => self.flush_mailbox(mailbox, now),
            (None, None) => {}
        }
        if self.behind.get() > 0 && self.outbox.borrow().has_caught_up() {
            self.wake.notify_one();
        }
    }

    fn flush_to(&self, stream: &TcpStream, now: Millis) {
        let mut outbox = self.outbox.borrow_mut();
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
                    self.progress.set(now);
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

    /// Waits until the socket has something to read; for ever where there is none yet.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match self.stream.get() {
            Some(stream) => stream.readable().await,
            None => std::future::pending().await,
        }
    }

    /// Waits until the socket takes something again.
    pub(super) async fn writable(&self) -> io::Result<()> {
        match self.stream.get() {
            Some(stream) => stream.writable().await,
            None => std::future::pending().await,
        }
    }

    /// What happens before the client has said anything.
    pub(super) fn begin(&self, actions: &mut Vec<Action>) {
        self.conversation.borrow_mut().begin(&mut self.subscriptions.borrow_mut(), actions);
    }

    /// The conversation's time has come.
    pub(super) fn advance(&self, now: Millis, actions: &mut Vec<Action>) {
        if self.closing.get() == Closing::Open {
            self.conversation.borrow_mut().advance(now, &mut self.subscriptions.borrow_mut(), actions);
        }
    }

    /// When the conversation, or the way to it, wants to be looked at, where that is sooner than was
    /// known.
    pub(super) fn take_sooner(&self) -> Option<Millis> {
        let move_due = self.mailbox.as_ref().and_then(|mailbox| mailbox.transport.borrow().next_due());
        let due = self.conversation.borrow().next_due().into_iter().chain(move_due).min();
        let due = due.filter(|due| *due < self.due.get())?;
        self.due.set(due);
        Some(due)
    }

    /// Reads what has come, and says what is to be done about it.
    pub(super) fn read(
        &self,
        now: Millis,
        scratch: &mut [u8],
        actions: &mut Vec<Action>,
    ) -> Result<(), SessionEnd> {
        let Some(stream) = self.stream.get() else { return Ok(()) };
        for _ in 0..READS_A_TURN {
            match stream.try_read(scratch) {
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
        let open = self.closing.get() == Closing::Open;
        let answers = open && self.stream.get().is_some();
        let (mut pings, mut pong, mut closed) = (0, None, None);
        let mut conversation = self.conversation.borrow_mut();
        let mut topics = self.subscriptions.borrow_mut();
        let fed: Result<(), Violation> = self.reader.borrow_mut().feed(bytes, |message| {
            let said = match message {
                Message::Text(text) => Said::Text(text),
                Message::Binary(bytes) => Said::Binary(bytes),
                // Of a flood only the last is answered, which is enough (RFC 6455, section 5.5.3).
                Message::Ping(payload) if answers => {
                    pings += 1;
                    match pings <= PONGS_A_READ {
                        true => actions.push(Action::Reply(Frame::pong(payload))),
                        false => pong = Some(Frame::pong(payload)),
                    }
                    return;
                }
                Message::Close { code, .. } => return closed = Some(code),
                Message::Ping(_) | Message::Pong(_) => return,
            };
            if open && !self.is_for_the_move(said) {
                conversation.receive(now, said, &mut topics, actions);
            }
        });
        drop((conversation, topics));
        actions.extend(pong.map(Action::Reply));
        fed.map_err(SessionEnd::Violation)?;
        closed.map_or(Ok(()), |code| Err(SessionEnd::PeerClosed { code }))
    }

    /// Ends the session: the peer is told, as far as it can hear, and the socket goes.
    pub(super) fn end(&self, end: &SessionEnd, now: Millis) {
        if let (None, Some(mailbox)) = (self.stream.get(), &self.mailbox) {
            return self.end_polling(mailbox, end, now);
        }
        let mut closing = self.closing.get();
        let frame = match end {
            SessionEnd::PeerClosed { code } => closing.peer_closed(*code, now),
            SessionEnd::Finished
            | SessionEnd::PeerLeft
            | SessionEnd::Silent
            | SessionEnd::Violation(_)
            | SessionEnd::Misspoken(_)
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
            self.too_slow.set(true);
            // It is to learn of this soon, and gets what it missed when it comes back.
            self.outbox.borrow_mut().drop_unbegun();
        }
        if let Some(frame) = frame {
            let pushed = self.outbox.borrow_mut().push_within(frame.bytes().clone(), usize::MAX);
            debug_assert_eq!(pushed, Pushed::Queued);
        }
        self.flush(now);
    }

    /// Looks at the connection's deadlines, a few times a second.
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
        let nothing_waits = self.outbox.borrow().is_empty();
        let is_gone = if nothing_waits {
            self.pinged.get() && silent > config.ping + config.pong_timeout
        } else {
            now - self.progress.get() > config.stalled
        };
        if is_gone {
            self.end(&SessionEnd::Silent, now);
        } else if nothing_waits && !self.has_heartbeat && !self.pinged.get() && silent > config.ping {
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

    /// All is said: the peer sees the end of the stream, and ends its half.
    fn end_our_half(&self, stream: &TcpStream) {
        if self.ended.replace(true) {
            return;
        }
        let socket = stream.as_fd().try_clone_to_owned().map(std::net::TcpStream::from);
        if socket.and_then(|socket| socket.shutdown(Shutdown::Write)).is_err() {
            self.finish();
        }
    }

    fn block(&self) {
        self.blocked.set(true);
        self.wake.notify_one();
    }

    pub(super) fn finish(&self) {
        self.over.set(true);
        self.wake.notify_one();
    }
}

/// Frames that one call writes: a longer list costs more than a second call.
const SLICES: usize = 64;

/// Pings of one read that are answered one by one.
const PONGS_A_READ: usize = 64;

/// A client that sends without end must not keep the others of its worker waiting.
const READS_A_TURN: usize = 4;

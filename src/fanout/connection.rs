//! One connection: its socket, what waits for it, and its conversation.

mod hear;
mod write;

use std::cell::{Cell, OnceCell, Ref, RefCell, RefMut};

use self::write::Front;
use super::audience::Seat;
use super::bell::Cord;
use super::mailbox::Mailbox;
use super::socket::Socket;
use super::{Outbox, Pushed, WorkerConfig};
use crate::encode::Frame;
use crate::market::Millis;
use crate::session::websocket::{Compression, Reader};
use crate::session::{Action, Closing, Conversation, ConversationKind, SessionEnd, Subscriptions};

/// One client's connection. Belongs to one worker's thread; nobody else touches it.
pub(super) struct Connection {
    pub(super) id: u64,
    front: Front,
    /// What it speaks.
    pub(super) kind: ConversationKind,
    /// How messages go to it and come from it.
    pub(super) compression: Compression,
    /// Where a session that began with polling is reached.
    pub(super) mailbox: Option<Box<Mailbox>>,
    pub(super) subscriptions: RefCell<Subscriptions>,
    pub(super) seat: Cell<Option<Seat>>,
    pub(super) cord: Cord,
    blocked: Cell<bool>,
    /// Whether its socket may have something to read. It has until a read has found nothing.
    pub(super) readable: Cell<bool>,
    /// Whether it stands in the worker's list of connections to flush.
    pub(super) dirty: Cell<bool>,
    /// Whether its topics changed since it was seated.
    pub(super) unsettled: Cell<bool>,
    pub(super) conversation: RefCell<Box<dyn Conversation>>,
    outbox: RefCell<Outbox>,
    /// Whether it ends because it was too slow.
    pub(super) too_slow: Cell<bool>,
    pub(super) reader: RefCell<Reader>,
    closing: Cell<Closing>,
    /// How many topics wait for what they missed.
    behind: Cell<u32>,
    over: Cell<bool>,
    /// Whether our half of the socket was ended.
    ended: Cell<bool>,
    heard: Cell<Millis>,
    /// When it was asked whether it is there, and has not answered; [`Millis::MAX`] where it has.
    pinged: Cell<Millis>,
    /// Whether something is waited for before it is read again.
    pub(super) unread: Cell<bool>,
    /// Whether its conversation asks by itself whether the client is there.
    has_heartbeat: bool,
    /// When the conversation was last said to be due; [`Millis::MAX`] is never.
    pub(super) due: Cell<Millis>,
    /// Whether that time has come.
    pub(super) is_due: Cell<bool>,
    limit: u32,
    /// Gives the connection's place back when it goes.
    _place: Box<dyn Send>,
}

/// With the two counts of its `Rc`, which take 64 bytes of its alignment, that is 512: the next size that
/// the allocator has is 640, for each of very many connections.
const _: () = assert!(size_of::<Connection>() <= 448);

impl Connection {
    pub(super) fn new(
        (id, cord): (u64, Cord),
        socket: Option<(Socket, Compression)>,
        conversation: Box<dyn Conversation>,
        mailbox: Option<Mailbox>,
        config: &WorkerConfig,
        now: Millis,
        place: Box<dyn Send>,
    ) -> Connection {
        let (stream, compression) = socket.unzip();
        let compression = compression.unwrap_or_default();
        let stream = stream.map(OnceCell::from).unwrap_or_default();
        let front = Front { stream, progress: Cell::new(now), keeps_up: Cell::new(false) };
        let message_bytes = conversation.most_bytes().unwrap_or(config.message_bytes);
        Connection {
            id,
            front,
            kind: conversation.kind(),
            compression,
            mailbox: mailbox.map(Box::new),
            has_heartbeat: conversation.has_heartbeat(),
            subscriptions: RefCell::default(),
            seat: Cell::new(None),
            cord,
            blocked: Cell::new(false),
            readable: Cell::new(false),
            dirty: Cell::new(false),
            unsettled: Cell::new(false),
            conversation: RefCell::new(conversation),
            outbox: RefCell::new(Outbox::default()),
            too_slow: Cell::new(false),
            reader: RefCell::new(Reader::new(message_bytes, compression)),
            closing: Cell::new(Closing::Open),
            behind: Cell::new(0),
            over: Cell::new(false),
            ended: Cell::new(false),
            heard: Cell::new(now),
            pinged: Cell::new(Millis::MAX),
            unread: Cell::new(false),
            due: Cell::new(Millis::MAX),
            is_due: Cell::new(false),
            limit: u32::try_from(config.outbox_bytes).unwrap_or(u32::MAX),
            _place: place,
        }
    }

    /// Its WebSocket, where it has one.
    #[inline]
    pub(super) fn stream(&self) -> Option<&Socket> {
        self.front.stream.get()
    }

    /// The session has moved to a WebSocket.
    pub(super) fn move_to(&self, stream: Socket) {
        let is_new = self.front.stream.set(stream).is_ok();
        debug_assert!(is_new, "a session moves once");
    }

    /// What waits for the socket.
    pub(super) fn outbox(&self) -> Ref<'_, Outbox> {
        self.outbox.borrow()
    }

    /// The same, to put something into it or to take something out.
    pub(super) fn outbox_mut(&self) -> RefMut<'_, Outbox> {
        self.front.keeps_up.set(false);
        self.outbox.borrow_mut()
    }

    /// Where its end stands.
    pub(super) fn closing(&self) -> Closing {
        self.closing.get()
    }

    pub(super) fn set_closing(&self, closing: Closing) {
        self.front.keeps_up.set(false);
        self.closing.set(closing);
    }

    /// How many of its topics wait for what they missed.
    pub(super) fn behind(&self) -> usize {
        self.behind.get() as usize
    }

    pub(super) fn set_behind(&self, behind: usize) {
        self.front.keeps_up.set(false);
        self.behind.set(u32::try_from(behind).unwrap_or(u32::MAX));
    }

    /// The socket has taken something.
    pub(super) fn note_progress(&self, now: Millis) {
        self.front.progress.set(now);
    }

    /// Whether the socket was full when it was last written to.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.get()
    }

    /// How many bytes may wait for it, as most things go.
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// The socket takes something again. The client was busy with what came before the question whether it
    /// is there: that is asked anew.
    pub(super) fn unblock(&self, now: Millis) {
        self.pinged.set(Millis::MAX);
        self.blocked.set(false);
        self.flush(now);
        if self.unread.get() {
            self.stir();
        }
    }

    /// Something happened that is to be seen to.
    pub(super) fn stir(&self) {
        self.cord.stir(self.id);
    }

    /// Puts an answer into the outbox.
    pub(super) fn reply(&self, frame: &Frame) -> Result<(), SessionEnd> {
        if self.closing.get() != Closing::Open {
            return Ok(());
        }
        match self.outbox_mut().push_within(self.compression.bytes(frame), self.most_answers()) {
            Pushed::Queued => Ok(()),
            Pushed::Full => Err(SessionEnd::TooSlow { topic: "answers".to_owned() }),
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
        // Nobody advances a conversation that is over, whatever it was waiting for.
        let is_open = self.closing.get() == Closing::Open;
        let due = is_open.then(|| self.conversation.borrow().next_due()).flatten();
        let due = due.into_iter().chain(move_due).min();
        let due = due.filter(|due| *due < self.due.get())?;
        self.due.set(due);
        Some(due)
    }

    /// Ends the session: the peer is told, as far as it can hear, and the socket goes.
    pub(super) fn end(&self, end: &SessionEnd, now: Millis) {
        if let (None, Some(mailbox)) = (self.stream(), &self.mailbox) {
            return self.end_polling(mailbox, end, now);
        }
        let mut closing = self.closing.get();
        let frame = closing.end(end, now);
        self.set_closing(closing);
        // Its task may wait for something that will not come any more.
        self.stir();
        if matches!(end, SessionEnd::PeerLeft | SessionEnd::Io(_)) {
            self.finish();
        }
        if matches!(end, SessionEnd::TooSlow { .. }) {
            self.too_slow.set(true);
            // It is to learn of this soon, and gets what it missed when it comes back.
            self.outbox_mut().drop_unbegun();
        }
        if let Some(frame) = frame {
            let pushed = self.outbox_mut().push_within(frame.bytes().clone(), usize::MAX);
            debug_assert_eq!(pushed, Pushed::Queued);
        }
        self.flush(now);
    }

    /// The client is there.
    pub(super) fn heard_from(&self, now: Millis) {
        self.heard.set(now);
        self.pinged.set(Millis::MAX);
    }

    /// Looks at the connection's deadlines, a few times a second.
    pub(super) fn sweep(&self, now: Millis, config: &WorkerConfig) {
        match self.closing.get().deadline() {
            None => {}
            Some(until) if now < until => return,
            // The close frame itself still waits: who is too slow is the last to take it, and has as
            // long for it as for anything else.
            Some(until)
                if !self.outbox.borrow().is_empty()
                    && now - self.front.progress.get() <= config.stalled
                    && now - until <= config.stalled =>
            {
                return;
            }
            Some(_) => return self.finish(),
        }
        let silent = now - self.heard.get();
        // A client that is busy reading answers a ping when it comes to it: what waits for it must
        // move, and only one for whom nothing waits has to be heard.
        let nothing_waits = self.outbox.borrow().is_empty();
        if nothing_waits && self.unread.get() {
            return;
        }
        let is_gone = if nothing_waits {
            now.saturating_sub(self.pinged.get()) > config.pong_timeout
        } else {
            now - self.front.progress.get() > config.stalled
        };
        if is_gone {
            self.end(&SessionEnd::Silent, now);
        } else if nothing_waits
            && !self.has_heartbeat
            && self.pinged.get() == Millis::MAX
            && silent > config.ping
        {
            self.pinged.set(now);
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

    pub(super) fn finish(&self) {
        self.over.set(true);
        self.stir();
    }
}

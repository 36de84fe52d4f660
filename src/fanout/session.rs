//! Sessions that began with polling: what their requests lead to, and the move to a WebSocket.

use std::io::{ErrorKind, Read, Write};
use std::rc::Rc;

use mio::net::TcpStream;
use tracing::{debug, warn};

use super::connection::Connection;
use super::mailbox::{Asked, CLOSE, Mailbox, NOOP, NewSession, Polled, refuse};
use super::socket::Socket;
use super::worker::Worker;
use crate::encode::Frame;
use crate::market::Millis;
use crate::session::engineio::{Due, Malformed, Poll, ProbeStep, Refused, Sid, packets};
use crate::session::{Action, Closing, Misspoken, Said, SessionEnd};

impl Worker {
    /// A session begins with a poll.
    pub(super) fn open(self: &Rc<Worker>, new: NewSession) {
        let now = self.now();
        if self.is_shutting_down() {
            return;
        }
        let mailbox = Mailbox::new(new.sid, new.options, new.reply, now);
        let conversation = (new.conversation)(now);
        let connection = self.adopt(None, conversation, Some(mailbox), new.place);
        self.sessions.borrow_mut().insert(new.sid, connection.clone());
        tokio::task::spawn_local(self.clone().converse(connection, Vec::new()));
    }

    /// A request for a session.
    pub(super) fn asked(&self, sid: Sid, asked: Asked) {
        let sessions = self.sessions.borrow();
        let connection = sessions.get(&sid).filter(|connection| !connection.is_over());
        match connection.and_then(|connection| Some((connection, connection.mailbox.as_ref()?))) {
            Some((connection, mailbox)) => {
                mailbox.ask(asked);
                connection.stir();
            }
            None => refuse(asked, Refused::UnknownSession),
        }
    }

    /// Sees to everything that a session's mailbox holds.
    pub(super) async fn tend(
        &self,
        connection: &Rc<Connection>,
        mailbox: &Mailbox,
        actions: &mut Vec<Action>,
    ) {
        if mailbox.is_abandoned() {
            return connection.end(&SessionEnd::PeerLeft, self.now());
        }
        while let Some(asked) = mailbox.next_asked() {
            // A deadline that has passed counts before whatever comes after it, whoever woke first.
            connection.advance(self.now(), actions);
            self.act(connection, actions, Ok(())).await;
            if connection.is_over() {
                refuse(asked, Refused::UnknownSession);
                continue;
            }
            self.answer(connection, mailbox, asked, actions).await;
        }
        if connection.readable.get() && mailbox.trying.borrow().is_some() {
            connection.read_trying(self.now(), &mut self.scratch().borrow_mut(), mailbox, actions);
            self.act(connection, actions, Ok(())).await;
        }
        let due = mailbox.transport.borrow_mut().take_due(self.now());
        match due {
            Some(Due::Release) => _ = mailbox.answer([], Some(NOOP)),
            Some(Due::GiveUp) => connection.give_up_trying(mailbox),
            None => {}
        }
    }

    async fn answer(
        &self,
        connection: &Rc<Connection>,
        mailbox: &Mailbox,
        asked: Asked,
        actions: &mut Vec<Action>,
    ) {
        match asked {
            Asked::Poll(reply) => self.polled(connection, mailbox, reply),
            Asked::Post { body, reply } => {
                let taken = connection.post(self.now(), mailbox, &body, actions);
                let is_misspoken = matches!(taken, Err(Refused::BadRequest));
                self.act(connection, actions, Ok(())).await;
                let _ = reply.send(if is_misspoken { Err(Refused::BadRequest) } else { taken });
            }
            Asked::IsThere(reply) => _ = reply.send(Ok(())),
            Asked::Try { stream, early } => {
                let mut stream = TcpStream::from_std(stream);
                match self.sockets.watch(&mut stream, connection.id) {
                    Ok(()) => connection.try_over(self.now(), mailbox, stream, early, actions),
                    Err(error) => warn!(%error, "a WebSocket could not be taken over"),
                }
                self.act(connection, actions, Ok(())).await;
            }
            Asked::Drop => connection.end(&SessionEnd::PeerLeft, self.now()),
        }
    }

    fn polled(
        &self,
        connection: &Connection,
        mailbox: &Mailbox,
        reply: tokio::sync::oneshot::Sender<Polled>,
    ) {
        let now = self.now();
        let poll = mailbox.transport.borrow_mut().poll(now);
        match poll {
            Poll::Held => {
                mailbox.hold(reply);
                connection.flush(now);
            }
            Poll::Second => {
                let _ = reply.send(Err(Refused::BadRequest));
                connection.end(&SessionEnd::PeerLeft, now);
            }
            Poll::Moved => _ = reply.send(Err(Refused::BadRequest)),
        }
    }
}

impl Connection {
    /// Takes the packets of a post.
    fn post(
        &self,
        now: Millis,
        mailbox: &Mailbox,
        body: &[u8],
        actions: &mut Vec<Action>,
    ) -> Result<(), Refused> {
        if !mailbox.transport.borrow().is_polling() {
            return Err(Refused::BadRequest);
        }
        let misspoken = |malformed: Malformed, actions: &mut Vec<Action>| {
            actions.push(Action::End(Misspoken::EngineIo(malformed).into()));
            Err(Refused::BadRequest)
        };
        let packets = match packets(body) {
            Ok(packets) => packets,
            Err(malformed) => return misspoken(malformed, actions),
        };
        let mut conversation = self.conversation.borrow_mut();
        let mut topics = self.subscriptions.borrow_mut();
        for packet in packets {
            conversation.receive(now, Said::Text(packet), &mut topics, actions);
        }
        let is_misspoken = |action: &Action| matches!(action, Action::End(SessionEnd::Misspoken(_)));
        if actions.iter().any(is_misspoken) { Err(Refused::BadRequest) } else { Ok(()) }
    }

    /// A WebSocket tries to take over. One that may not is closed at once, and changes nothing.
    fn try_over(
        &self,
        now: Millis,
        mailbox: &Mailbox,
        mut stream: TcpStream,
        mut early: Vec<u8>,
        actions: &mut Vec<Action>,
    ) {
        if !self.is_open() || !mailbox.transport.borrow_mut().tries(now, &mailbox.options) {
            debug!(connection = self.id, "a WebSocket came that may not take over");
            // It took nothing yet, so that it takes this.
            let _ = stream.write(Frame::close(None, "").bytes());
            return;
        }
        *mailbox.trying.borrow_mut() = Some(stream);
        if !early.is_empty() {
            self.take_trying(now, &mut early, mailbox, actions);
        }
    }

    /// Reads what the WebSocket has said that tries to take over.
    fn read_trying(&self, now: Millis, scratch: &mut [u8], mailbox: &Mailbox, actions: &mut Vec<Action>) {
        let read = mailbox.trying.borrow().as_ref().map(|mut stream| stream.read(scratch));
        match read {
            None => {}
            Some(Ok(length)) if length > 0 => self.take_trying(now, &mut scratch[..length], mailbox, actions),
            Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => self.readable.set(false),
            Some(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
            Some(Ok(_) | Err(_)) => self.give_up_trying(mailbox),
        }
    }

    fn take_trying(&self, now: Millis, bytes: &mut [u8], mailbox: &Mailbox, actions: &mut Vec<Action>) {
        let taken = self.take(now, bytes, actions);
        if mailbox.moved.get() {
            if let Some(stream) = mailbox.trying.take() {
                // A poll that the client did not wait for ends; what waits goes to the socket, in order.
                mailbox.answer([], Some(NOOP));
                self.move_to(Socket::Tcp(stream));
            }
            if let Err(end) = taken {
                actions.push(Action::End(end));
            }
        } else if taken.is_err() || mailbox.trying.borrow().is_none() {
            self.give_up_trying(mailbox);
        }
    }

    /// Whether what was said belongs to the move from polling to this socket, not to the conversation.
    pub(super) fn is_for_the_move(&self, said: Said<'_>) -> bool {
        let Some(mailbox) = &self.mailbox else { return false };
        match mailbox.hear(said) {
            // On a socket that was given up nobody is heard any more.
            None => self.stream().is_none() && !mailbox.moved.get(),
            Some(step) => {
                let lost = match step {
                    ProbeStep::Answer => !mailbox.answer_probe(),
                    ProbeStep::GiveUp => true,
                    ProbeStep::Move => false,
                };
                if lost {
                    mailbox.give_up();
                }
                true
            }
        }
    }

    /// Forgets what was read of a socket that has gone.
    fn read_anew(&self) {
        self.reader.borrow_mut().begin_anew();
    }

    /// The WebSocket that tried goes; polling goes on as before.
    pub(super) fn give_up_trying(&self, mailbox: &Mailbox) {
        mailbox.give_up();
        self.readable.set(false);
        self.read_anew();
    }

    /// Answers the poll that is held with all that waits.
    pub(super) fn flush_mailbox(&self, mailbox: &Mailbox, now: Millis) {
        if mailbox.is_held() && !self.outbox().is_empty() {
            let frames = self.outbox_mut().take_all();
            if !mailbox.answer(frames, None) {
                // Something would be missing from what it hears, and nobody would know.
                return self.end(&SessionEnd::PeerLeft, now);
            }
            self.note_progress(now);
        }
        if let Closing::Waiting { .. } = self.closing()
            && mailbox.is_held()
        {
            mailbox.answer([], Some(CLOSE));
            self.finish();
        }
    }

    /// Ends a session that is on polling: the poll is answered with what waits and a goodbye. Without a
    /// poll, one that ends through no fault of the client's waits a moment for its next.
    pub(super) fn end_polling(&self, mailbox: &Mailbox, end: &SessionEnd, now: Millis) {
        if self.closing() != Closing::Open {
            return;
        }
        mailbox.trying.take();
        let last = if matches!(end, SessionEnd::PeerClosed { .. }) { NOOP } else { CLOSE };
        let waits = matches!(end, SessionEnd::Finished | SessionEnd::TokenExpired);
        let frames = self.outbox_mut().take_all();
        if waits && !mailbox.is_held() {
            self.set_closing(Closing::Waiting { until: now + GOODBYE_WAIT });
            frames.into_iter().for_each(|frame| _ = self.outbox_mut().push_within(frame, usize::MAX));
            return;
        }
        mailbox.answer(frames, Some(last));
        self.set_closing(Closing::Done { until: now });
        self.finish();
    }
}

/// How long a session that has ended waits for a poll to say so.
const GOODBYE_WAIT: Millis = 30_000;

//! The life of one connection on its worker: a task hears it, acts, and cleans up behind it. It is there
//! only while there is something to do.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use mio::net::TcpStream;
use tracing::{debug, warn};

use super::bell::Cord;
use super::connection::Connection;
use super::mailbox::Mailbox;
use super::message::NewConnection;
use super::socket::Socket;
use super::worker::{Worker, retry_in};
use crate::dialect::Channel;
use crate::session::websocket::Compression;
use crate::session::{Action, Conversation, SessionEnd};

impl Worker {
    /// A client came.
    pub(super) fn connect(self: &Rc<Worker>, new: NewConnection) {
        let mut stream = TcpStream::from_std(new.stream);
        if let Err(error) = self.sockets.watch(&mut stream, self.next_id.get()) {
            return warn!(%error, "a connection could not be taken over");
        }
        let conversation = (new.conversation)(self.now());
        // It takes the number under which its socket is watched.
        self.welcome((Socket::Tcp(stream), new.compression), conversation, new.early, new.place);
    }

    /// Begins to serve a client whose socket is the worker's own.
    pub(super) fn welcome(
        self: &Rc<Worker>,
        socket: (Socket, Compression),
        conversation: Box<dyn Conversation>,
        early: Vec<u8>,
        place: Box<dyn Send>,
    ) -> Rc<Connection> {
        let connection = self.adopt(Some(socket), conversation, None, place);
        if self.is_shutting_down() {
            connection.end(&SessionEnd::ShuttingDown { retry_in: retry_in() }, self.now());
        }
        tokio::task::spawn_local(self.clone().converse(connection.clone(), early));
        connection
    }

    /// Makes a connection one of the worker's own, with a task that is to be begun.
    pub(super) fn adopt(
        &self,
        socket: Option<(Socket, Compression)>,
        conversation: Box<dyn Conversation>,
        mailbox: Option<Mailbox>,
        place: Box<dyn Send>,
    ) -> Rc<Connection> {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        let now = self.now();
        let cord = Cord::attended(self.bell.clone());
        let connection = Connection::new((id, cord), socket, conversation, mailbox, &self.config, now, place);
        let connection = Rc::new(connection);
        self.connections.borrow_mut().insert(id, connection.clone());
        self.meter().connections[connection.kind as usize].add(1);
        connection
    }

    /// Begins a conversation, with what the client sent right behind its request.
    pub(super) async fn converse(self: Rc<Worker>, connection: Rc<Connection>, mut early: Vec<u8>) {
        let mut actions = Vec::new();
        connection.begin(&mut actions);
        let taken = match early.is_empty() {
            true => Ok(()),
            false => connection.take(self.now(), &mut early, &mut actions),
        };
        self.act(&connection, &mut actions, taken).await;
        drop(early);
        self.attend(connection).await;
    }

    /// Sees to a connection until there is nothing to see to. Whoever stirs it then has it seen to again.
    pub(super) async fn attend(self: Rc<Worker>, connection: Rc<Connection>) {
        let mut actions = Vec::new();
        while !connection.is_over() {
            connection.cord.settle();
            if connection.has_to_read() && connection.stream().is_some() {
                let read = connection.read(self.now(), &mut self.scratch().borrow_mut(), &mut actions);
                self.act(&connection, &mut actions, read).await;
            }
            if connection.is_due.replace(false) {
                connection.advance(self.now(), &mut actions);
                self.act(&connection, &mut actions, Ok(())).await;
            }
            if let Some(mailbox) = &connection.mailbox {
                self.tend(&connection, mailbox, &mut actions).await;
            }
            self.schedule(&connection);
            if connection.behind() > 0 {
                self.catch_up(&connection).await;
            }
            if connection.has_left() {
                self.give_back(&connection).await;
            }
            if connection.is_over() {
                break;
            }
            if connection.has_to_read() {
                // A socket that is never empty would never let the worker serve the others.
                tokio::task::yield_now().await;
            } else if connection.stream().is_none() {
                stirs(&connection).await;
            } else if connection.cord.rest() {
                return;
            }
        }
        self.forget(&connection).await;
    }

    /// Does what a client's messages asked for, then ends the session if they were its last.
    pub(super) async fn act(
        &self,
        connection: &Rc<Connection>,
        actions: &mut Vec<Action>,
        read: Result<(), SessionEnd>,
    ) {
        if !actions.is_empty() {
            self.carry_out(connection, actions).await;
        }
        match read {
            Ok(()) => connection.flush(self.now()),
            Err(end) => {
                debug!(connection = connection.id, worker = self.id, ?end, "a session ends");
                connection.end(&end, self.now());
            }
        }
    }

    async fn carry_out(&self, connection: &Rc<Connection>, actions: &mut Vec<Action>) {
        for action in actions.drain(..) {
            match action {
                Action::Reply(frame) => self.reply(connection, &frame).await,
                Action::Join { channel, since } => {
                    let resumes = since.is_some();
                    self.join(connection, channel, since, None).await;
                    if resumes {
                        self.resumed(connection, channel).await;
                    }
                }
                Action::Leave { channel } => {
                    connection.recount();
                    self.unsettle(connection);
                    self.leave(connection, channel).await;
                }
                Action::Publish(broadcast) => self.publish(connection, broadcast).await,
                Action::End(end) => connection.end(&end, self.now()),
            }
        }
    }

    /// Asks for what the connection missed, once it can take it.
    async fn catch_up(&self, connection: &Rc<Connection>) {
        for (channel, since) in connection.take_caught_up() {
            self.join(connection, channel, None, Some(since)).await;
        }
    }

    /// Tells the shards of the subscriptions that were handed over.
    async fn give_back(&self, connection: &Rc<Connection>) {
        let left = connection.subscriptions.borrow_mut().take_left();
        for channel in left {
            self.leave(connection, channel).await;
        }
    }

    async fn forget(&self, connection: &Rc<Connection>) {
        self.send_round();
        self.round.borrow_mut().unseat(connection);
        self.connections.borrow_mut().remove(&connection.id);
        self.meter().connections[connection.kind as usize].take(1);
        self.meter().slow_closes.add(u64::from(connection.too_slow.get()));
        if let Some(mailbox) = &connection.mailbox {
            self.sessions.borrow_mut().remove(&mailbox.sid);
        }
        self.timers.unset(connection.due.get(), connection.id);
        self.give_back(connection).await;
        let channels: Vec<Channel> =
            connection.subscriptions.borrow().iter().map(|(channel, _)| channel).collect();
        for channel in channels {
            self.leave(connection, channel).await;
        }
    }
}

/// Waits until something happens to a session that is on polling, or its client gives its poll up.
async fn stirs(connection: &Connection) {
    let mailbox = connection.mailbox.as_deref();
    poll_fn(|context| match mailbox.map(|mailbox| mailbox.poll_abandoned(context)) {
        Some(Poll::Ready(())) => Poll::Ready(()),
        Some(Poll::Pending) | None => connection.cord.poll_stirs(context),
    })
    .await;
}

//! The life of one connection on its worker: a task that hears it, acts, and cleans up behind it.

use std::rc::Rc;

use tracing::debug;

use super::connection::Connection;
use super::worker::Worker;
use crate::dialect::Channel;
use crate::session::{Action, SessionEnd};

impl Worker {
    /// The life of one connection: what it says, and what it can take again.
    pub(super) async fn converse(self: Rc<Worker>, connection: Rc<Connection>, mut early: Vec<u8>) {
        let mut actions = Vec::new();
        connection.begin(&mut actions);
        let taken = match early.is_empty() {
            true => Ok(()),
            false => connection.take(self.now(), &mut early, &mut actions),
        };
        self.act(&connection, &mut actions, taken).await;
        drop(early);
        self.schedule(&connection);
        while !connection.is_over() {
            // All branches may be dropped at any time without losing anything. In this order, so that who
            // sends without end cannot keep itself from being written to, and a storm can be repeated.
            tokio::select! {
                biased;
                ready = connection.writable(), if connection.is_blocked() => {
                    connection.unblock();
                    match ready {
                        Ok(()) => connection.flush(self.now()),
                        Err(error) => connection.end(&SessionEnd::Io(error), self.now()),
                    }
                }
                () = connection.wake.notified() => {}
                () = mailbox_stirs(&connection) => {}
                ready = connection.readable() => {
                    let read = match ready {
                        Ok(()) => connection.read(self.now(), &mut self.scratch().borrow_mut(), &mut actions),
                        Err(error) => Err(SessionEnd::Io(error)),
                    };
                    let goes_on = matches!(read, Ok(true));
                    self.act(&connection, &mut actions, read.map(|_| ())).await;
                    // A socket that is never empty is always ready: without this its task would never
                    // let the worker serve the others.
                    if goes_on {
                        tokio::task::yield_now().await;
                    }
                }
            }
            if connection.is_due.replace(false) {
                connection.advance(self.now(), &mut actions);
                self.act(&connection, &mut actions, Ok(())).await;
            }
            // What is not done all the time is done on the heap: a task is as large as its largest moment, for
            // as long as its client is here.
            if let Some(mailbox) = &connection.mailbox {
                Box::pin(self.tend(&connection, mailbox, &mut actions)).await;
            }
            self.schedule(&connection);
            if connection.behind() > 0 {
                Box::pin(self.catch_up(&connection)).await;
            }
            if connection.has_left() {
                Box::pin(self.give_back(&connection)).await;
            }
        }
        Box::pin(self.forget(&connection)).await;
    }

    /// Does what a client's messages asked for, then ends the session if they were its last.
    pub(super) async fn act(
        &self,
        connection: &Rc<Connection>,
        actions: &mut Vec<Action>,
        read: Result<(), SessionEnd>,
    ) {
        if !actions.is_empty() {
            Box::pin(self.carry_out(connection, actions)).await;
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
        // Taken, not drained: a connection that says nothing holds no list.
        for action in std::mem::take(actions) {
            match action {
                Action::Reply(frame) => self.reply(connection, &frame).await,
                Action::Join { channel, since } => {
                    let resumes = since.is_some();
                    self.join(connection, channel, since, None).await;
                    if resumes {
                        Box::pin(self.resumed(connection, channel)).await;
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

async fn mailbox_stirs(connection: &Connection) {
    match &connection.mailbox {
        Some(mailbox) => mailbox.stirs().await,
        None => std::future::pending().await,
    }
}

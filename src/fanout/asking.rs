//! What a worker asks of shards and of other workers, and how it waits for room in their queues and
//! in those of its clients.

use std::rc::Rc;
use std::time::Duration;

use crossbeam_channel::TrySendError;

use super::connection::Connection;
use super::worker::Worker;
use super::{ShardCommand, ToWorker};
use crate::dialect::{Channel, Since};
use crate::encode::Frame;
use crate::market::Topic;
use crate::metrics::Count;
use crate::session::Progress;
use crate::shard::{Broadcast, Join, Joined, Leave};

impl Worker {
    pub(super) async fn join(
        &self,
        connection: &Rc<Connection>,
        channel: Channel,
        since: Option<Since>,
        missed: Option<u64>,
    ) {
        let id = connection.id;
        if missed.is_none() {
            self.subscriptions(channel).add(1);
        }
        let is_asked = match channel.topic {
            Topic::Room(_) => false,
            Topic::Account(_) => self.workers.ledger().is_some(),
            Topic::Book { .. }
            | Topic::Ticker { .. }
            | Topic::Tickers
            | Topic::Trades { .. }
            | Topic::Kline { .. } => true,
        };
        if !is_asked {
            // Nobody knows more of it than this worker does.
            return self.joined(Joined { connection: id, channel, frames: Vec::new() });
        }
        let join = Join { channel, worker: self.id, connection: id, since, missed };
        self.ask(connection, channel.topic, ShardCommand::Join(join)).await;
    }

    pub(super) async fn leave(&self, connection: &Connection, channel: Channel) {
        self.subscriptions(channel).take(1);
        self.ask(connection, channel.topic, ShardCommand::Leave(Leave { channel, worker: self.id })).await;
    }

    /// Answers a client. While too much waits for it already, it waits and is not read: who asks
    /// without taking the answers slows itself down.
    pub(super) async fn reply(&self, connection: &Connection, frame: &Frame) {
        self.wait(connection, || connection.is_full()).await;
        if let Err(end) = connection.reply(frame) {
            connection.end(&end, self.now());
        }
    }

    /// Waits until a topic that a client resumes has told what was missed and the client has taken most
    /// of it: the next is asked for only then, so that what waits is never more than one topic's past.
    pub(super) async fn resumed(&self, connection: &Connection, channel: Channel) {
        let is_asked = || connection.subscriptions.borrow().progress(channel) == Some(Progress::Joining);
        let waits = || {
            connection.is_open()
                && connection.stream().is_some()
                && (is_asked() || connection.outbox().len() >= connection.limit())
        };
        self.wait(connection, waits).await;
    }

    /// Waits as long as `waits` says so. The connection is not read meanwhile, and its silence is not the
    /// client's.
    async fn wait(&self, connection: &Connection, waits: impl Fn() -> bool) {
        if !waits() {
            return;
        }
        connection.unread.set(true);
        connection.flush(self.now());
        while waits() {
            connection.cord.stirs().await;
        }
        connection.unread.set(false);
        connection.heard_from(self.now());
        // What happened meanwhile was looked at for this alone.
        connection.stir();
    }

    /// Waits a little for room in a queue.
    async fn pause(&self, connection: &Connection) {
        connection.unread.set(true);
        tokio::time::sleep(ASK_AGAIN).await;
        connection.unread.set(false);
        connection.heard_from(self.now());
    }

    fn subscriptions(&self, channel: Channel) -> &Count {
        &self.meter().subscriptions[channel.dialect as usize]
    }

    /// Sends a client's own broadcast to every worker. While one of them is full this connection
    /// waits, and is not read.
    pub(super) async fn publish(&self, connection: &Connection, mut broadcast: Broadcast) {
        if self.config.compression {
            broadcast.frame = broadcast.frame.shared_deflated();
        }
        for worker in self.workers.inboxes() {
            let mut message = ToWorker::Broadcast(broadcast.clone());
            while let Err(back) = worker.try_send(message) {
                message = back;
                self.pause(connection).await;
            }
        }
    }

    /// Sends a command to the topic's shard. While its queue is full this connection waits, and
    /// reads nothing more: one that asks too much slows itself down.
    async fn ask(&self, connection: &Connection, topic: Topic, mut command: ShardCommand) {
        let asked = match topic {
            Topic::Room(_) => None,
            Topic::Account(_) => self.workers.ledger(),
            Topic::Book { .. }
            | Topic::Ticker { .. }
            | Topic::Tickers
            | Topic::Trades { .. }
            | Topic::Kline { .. } => {
                let shards = self.shards.len().max(1);
                self.shards.get(topic.symbol().map_or(0, |symbol| symbol.index() % shards))
            }
        };
        let Some(asked) = asked else { return };
        while let Err(error) = asked.try_send(command) {
            match error {
                TrySendError::Full(back) => command = back,
                TrySendError::Disconnected(_) => return,
            }
            self.pause(connection).await;
        }
    }
}

/// How long to wait for room in a queue.
const ASK_AGAIN: Duration = Duration::from_millis(1);

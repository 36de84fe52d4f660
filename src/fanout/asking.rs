//! What a worker asks of shards and of other workers, and how it waits for room in their queues.

use std::time::Duration;

use crossbeam_channel::TrySendError;

use super::connection::Connection;
use super::worker::Worker;
use super::{ShardCommand, ToWorker};
use crate::dialect::{Dialect, Since};
use crate::market::Topic;
use crate::shard::{Broadcast, Join, Leave};

impl Worker {
    pub(super) async fn join(
        &self,
        connection: &Connection,
        topic: Topic,
        since: Option<Since>,
        missed: Option<u64>,
    ) {
        let (dialect, worker, id) = (connection.dialect, self.id, connection.id);
        let join = Join { topic, dialect, worker, connection: id, since, missed };
        self.ask(topic, ShardCommand::Join(join)).await;
    }

    pub(super) async fn leave(&self, dialect: Dialect, topic: Topic) {
        self.ask(topic, ShardCommand::Leave(Leave { topic, dialect, worker: self.id })).await;
    }

    /// Sends a client's own broadcast to every worker. While one of them is full this connection
    /// waits, and is not read.
    pub(super) async fn publish(&self, broadcast: Broadcast) {
        for worker in &self.workers {
            let mut message = ToWorker::Broadcast(broadcast.clone());
            while let Err(back) = worker.try_send(message) {
                message = back;
                tokio::time::sleep(ASK_AGAIN).await;
            }
        }
    }

    /// Sends a command to the topic's shard. While its queue is full this connection waits, and
    /// reads nothing more: one that asks too much slows itself down.
    async fn ask(&self, topic: Topic, mut command: ShardCommand) {
        let shard = topic.symbol().map_or(0, |symbol| symbol.index() % self.shards.len());
        while let Err(error) = self.shards[shard].try_send(command) {
            match error {
                TrySendError::Full(back) => command = back,
                TrySendError::Disconnected(_) => return,
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }
}

/// How long to wait for room in a queue.
const ASK_AGAIN: Duration = Duration::from_millis(1);

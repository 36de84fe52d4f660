//! What a worker asks of shards and of other workers, and how it waits for room in their queues.

use std::rc::Rc;
use std::time::Duration;

use crossbeam_channel::TrySendError;

use super::connection::Connection;
use super::worker::Worker;
use super::{ShardCommand, ToWorker};
use crate::dialect::{Channel, Since};
use crate::market::Topic;
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
        if let Topic::Room(_) = channel.topic {
            // A room has no shard that knows more of it than this worker does.
            return self.joined(Joined { connection: id, channel, frames: Vec::new() });
        }
        let join = Join { channel, worker: self.id, connection: id, since, missed };
        self.ask(channel.topic, ShardCommand::Join(join)).await;
    }

    pub(super) async fn leave(&self, channel: Channel) {
        self.ask(channel.topic, ShardCommand::Leave(Leave { channel, worker: self.id })).await;
    }

    /// Sends a client's own broadcast to every worker. While one of them is full this connection
    /// waits, and is not read.
    pub(super) async fn publish(&self, broadcast: Broadcast) {
        for worker in self.workers.inboxes() {
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
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }
}

/// How long to wait for room in a queue.
const ASK_AGAIN: Duration = Duration::from_millis(1);

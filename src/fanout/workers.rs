//! The workers as the rest of the process sees them: where clients and broadcasts are handed in.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::Sender;
use tracing::error;

use super::{Inbox, NewConnection, ShardCommand, ToWorker, WorkerConfig, run};
use crate::market::Millis;

/// A handle of all workers' inboxes. Cheap to clone.
#[derive(Clone)]
pub struct Workers {
    inboxes: Arc<[Arc<Inbox<ToWorker>>]>,
    next: Arc<AtomicUsize>,
    /// Who knows of accounts; none where there are none.
    ledger: Option<Sender<ShardCommand>>,
}

impl Workers {
    /// Inboxes for `count` workers, each for at most `capacity` messages. Nobody reads them before
    /// [`Workers::start`].
    pub fn new(count: NonZeroUsize, capacity: usize) -> Workers {
        let inboxes = (0..count.get()).map(|_| Arc::new(Inbox::new(capacity))).collect();
        Workers { inboxes, next: Arc::default(), ledger: None }
    }

    /// The same, asking `ledger` for the topics of accounts.
    #[must_use]
    pub fn with_ledger(self, ledger: Sender<ShardCommand>) -> Workers {
        Workers { ledger: Some(ledger), ..self }
    }

    pub(super) const fn ledger(&self) -> Option<&Sender<ShardCommand>> {
        self.ledger.as_ref()
    }

    /// Starts a thread for each. They ask `shards` for topics; where there are none they serve rooms
    /// alone.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(
        &self,
        shards: &[Sender<ShardCommand>],
        config: &WorkerConfig,
    ) -> io::Result<Vec<JoinHandle<()>>> {
        let start = |(id, _)| {
            let (workers, shards, config) = (self.clone(), shards.to_vec(), config.clone());
            std::thread::Builder::new().name(format!("worker-{id}")).spawn(move || {
                if let Err(error) = run(id, workers, shards, config) {
                    error!(%error, worker = id, "a worker could not start");
                }
            })
        };
        (0_u16..).zip(self.inboxes.iter()).map(start).collect()
    }

    /// Takes a client over. Workers get clients in turn.
    ///
    /// # Errors
    /// The client, when the worker's inbox is full of other things.
    pub fn connect(&self, connection: NewConnection) -> Result<(), NewConnection> {
        self.inboxes[usize::from(self.next())].try_send(ToWorker::Connect(connection)).map_err(|message| {
            match message {
                ToWorker::Connect(connection) => connection,
                ToWorker::Broadcast(_)
                | ToWorker::Joined(_)
                | ToWorker::Open(_)
                | ToWorker::Ask { .. }
                | ToWorker::ShutDown { .. } => unreachable!("the message comes back as it was"),
            }
        })
    }

    /// The number of the worker whose turn it is to get a client.
    pub fn next(&self) -> u16 {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.inboxes.len();
        u16::try_from(next).unwrap_or(0)
    }

    /// All inboxes, by the workers' numbers.
    pub fn inboxes(&self) -> &[Arc<Inbox<ToWorker>>] {
        &self.inboxes
    }

    /// Has every client told and what waits for it sent; the workers end when all clients have gone,
    /// at the latest at `until`.
    pub fn shut_down(&self, until: Millis) {
        for worker in self.inboxes.iter() {
            // A worker that has ended already takes no message and needs none.
            let _ = worker.put(ToWorker::ShutDown { until });
            worker.wake();
        }
    }
}

//! The workers as the rest of the process sees them: where clients and broadcasts are handed in.

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::Sender;
use tracing::error;

use super::{Counts, Inbox, NewConnection, ShardCommand, ToWorker, WorkerConfig, run};
use crate::clock::FineClock;
use crate::market::Millis;
use crate::metrics::WorkerMeter;

/// A handle of all workers' inboxes. Cheap to clone.
#[derive(Clone)]
pub struct Workers {
    inboxes: Arc<[Arc<Inbox<ToWorker>>]>,
    counts: Arc<[Mutex<Counts>]>,
    meters: Arc<[WorkerMeter]>,
    clock: FineClock,
    next: Arc<AtomicUsize>,
    /// Who knows of accounts; none where there are none.
    ledger: Option<Sender<ShardCommand>>,
}

impl Workers {
    /// Inboxes for `count` workers, each for at most `capacity` messages. Nobody reads them before
    /// [`Workers::start`].
    pub fn new(count: NonZeroUsize, capacity: usize) -> Workers {
        let inboxes = (0..count.get()).map(|_| Arc::new(Inbox::new(capacity))).collect();
        let counts = (0..count.get()).map(|_| Mutex::default()).collect();
        let meters = (0..count.get()).map(|_| WorkerMeter::default()).collect();
        Workers { inboxes, counts, meters, clock: FineClock::start(), next: Arc::default(), ledger: None }
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
                    error!(%error, worker = id, "a worker has ended");
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
                | ToWorker::LookAgain
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

    /// What all workers have counted, as of a quarter of a second ago.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for counts in self.counts.iter() {
            sum.add(&counts.lock().unwrap_or_else(PoisonError::into_inner));
        }
        sum
    }

    /// Where one worker shows what it counted.
    pub(super) fn shown(&self, worker: u16) -> &Mutex<Counts> {
        &self.counts[usize::from(worker)]
    }

    /// Has every conversation asked anew when it is due. Whether all workers had room for that.
    pub fn look_again(&self) -> bool {
        self.inboxes
            .iter()
            .map(|worker| worker.try_send(ToWorker::LookAgain))
            .fold(true, |all, sent| all & sent.is_ok())
    }

    /// What each of them counts, by the workers' numbers.
    pub fn meters(&self) -> &[WorkerMeter] {
        &self.meters
    }

    /// The clock by which it is measured how long a message takes.
    pub fn clock(&self) -> FineClock {
        self.clock
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

//! The thread of one shard: takes events and commands in turns, and wakes the workers.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Select};
use crossbeam_queue::ArrayQueue;

use super::Time;
use crate::clock::Clock;
use crate::fanout::{ShardCommand, ToWorker, Workers};
use crate::market::{BookChange, Event, Millis, SymbolId};
use crate::shard::{Broadcast, Joined, Outlet, Shard};

/// What a shard is told.
pub(super) enum ShardInput {
    /// Something happened.
    Event { symbol: SymbolId, received: Millis, event: Event },
    /// In a recording, time has come to this.
    Time(Millis),
    /// Nothing more will come.
    Stop,
}

/// A shard and its ends of the queues.
pub(super) struct ShardThread {
    pub(super) shard: Shard,
    pub(super) inputs: Receiver<ShardInput>,
    pub(super) commands: Receiver<ShardCommand>,
    pub(super) workers: Workers,
    pub(super) spare: Arc<ArrayQueue<Box<BookChange>>>,
    pub(super) time: Time,
}

impl ShardThread {
    /// Takes turns until it is told to stop.
    pub(super) fn run(mut self) {
        let mut clock = Clock::start();
        let mut recorded = 0;
        let mut out = WorkerOutlet::new(self.workers.clone());
        loop {
            self.wait(&mut clock);
            let now = match self.time {
                Time::Live => clock.now(),
                Time::Recorded => recorded,
            };
            if self.time == Time::Live {
                self.shard.advance(now, &mut out);
            }
            for command in self.commands.try_iter().take(TURN) {
                match command {
                    ShardCommand::Join(join) => self.shard.join(now, &join, &mut out),
                    ShardCommand::Leave(leave) => self.shard.leave(leave),
                    // Who asked may be gone by now.
                    ShardCommand::Bars(symbol, wanted, answer) => {
                        let _ = answer.send(self.shard.past_bars(symbol, &wanted));
                    }
                    ShardCommand::Trades(symbol, most, answer) => {
                        let _ = answer.send(self.shard.past_trades(symbol, most));
                    }
                }
            }
            for input in self.inputs.try_iter().take(TURN) {
                match input {
                    ShardInput::Event { symbol, received, event } => {
                        let now = match self.time {
                            Time::Live => now,
                            Time::Recorded => pass(&mut self.shard, &mut recorded, received, &mut out),
                        };
                        if let Some(mut spare) = self.shard.apply(now, symbol, event, &mut out) {
                            spare.clear();
                            let _ = self.spare.push(spare);
                        }
                    }
                    ShardInput::Time(time) => _ = pass(&mut self.shard, &mut recorded, time, &mut out),
                    ShardInput::Stop => return,
                }
            }
            self.shard.end_turn();
            out.end_turn();
        }
    }

    /// Waits until something has come or is due.
    fn wait(&self, clock: &mut Clock) {
        if !self.inputs.is_empty() || !self.commands.is_empty() {
            return;
        }
        let due = match self.time {
            Time::Live => self.shard.next_due().map(|due| due - clock.now()),
            Time::Recorded => None,
        };
        let patience = due.map_or(LONGEST_WAIT, |due| Duration::from_millis(due.max(0).unsigned_abs()));
        let mut queues = Select::new();
        queues.recv(&self.commands);
        queues.recv(&self.inputs);
        // Ready or late, the turn looks at both.
        let _ = queues.ready_timeout(patience.min(LONGEST_WAIT));
    }
}

/// Lets the recording's time come to `to`, which never goes back.
fn pass(shard: &mut Shard, recorded: &mut Millis, to: Millis, out: &mut WorkerOutlet) -> Millis {
    if to > *recorded {
        *recorded = to;
        shard.advance(to, out);
    }
    *recorded
}

/// The workers' inboxes; each is woken once a turn.
pub(super) struct WorkerOutlet {
    workers: Workers,
    touched: Vec<bool>,
}

impl WorkerOutlet {
    pub(super) fn new(workers: Workers) -> WorkerOutlet {
        WorkerOutlet { touched: vec![false; workers.inboxes().len()], workers }
    }

    fn send(&mut self, worker: u16, message: ToWorker) {
        let at = usize::from(worker);
        // A worker that has ended has no clients to miss it.
        if self.workers.inboxes()[at].put(message).is_ok() {
            self.touched[at] = true;
        }
    }

    pub(super) fn end_turn(&mut self) {
        for (inbox, touched) in self.workers.inboxes().iter().zip(&mut self.touched) {
            if std::mem::take(touched) {
                inbox.wake();
            }
        }
    }
}

impl Outlet for WorkerOutlet {
    fn broadcast(&mut self, worker: u16, broadcast: Broadcast) {
        self.send(worker, ToWorker::Broadcast(broadcast));
    }

    fn joined(&mut self, worker: u16, joined: Joined) {
        self.send(worker, ToWorker::Joined(joined));
    }
}

/// Inputs after which what they changed is published and sent although more have come.
const TURN: usize = 512;

/// A shard that has nothing to do looks around this often.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

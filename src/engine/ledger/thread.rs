//! The ledger's thread: takes what has come, shares one wait for the disk among all of it, answers.

use std::collections::VecDeque;
use std::time::Duration;

use crossbeam_channel::{Receiver, Select};
use tokio::sync::oneshot;
use tracing::warn;

use super::Ledger;
use super::record::{Item, Outcome};
use crate::clock::{Clock, FineClock};
use crate::engine::shard::WorkerOutlet;
use crate::fanout::ShardCommand;
use crate::journal::Journal;
use crate::market::Millis;

/// What the ledger is told.
pub(in crate::engine) enum LedgerInput {
    /// Publications, and who waits for what becomes of them.
    Publish(Vec<Item>, oneshot::Sender<Vec<Outcome>>),
    /// Nothing more will come.
    Stop,
}

/// The ledger and its ends of the queues.
pub(in crate::engine) struct LedgerThread {
    pub(in crate::engine) ledger: Ledger,
    pub(in crate::engine) inputs: Receiver<LedgerInput>,
    pub(in crate::engine) commands: Receiver<ShardCommand>,
    pub(in crate::engine) out: WorkerOutlet,
    pub(in crate::engine) fine: FineClock,
}

impl LedgerThread {
    /// Takes turns until it is told to stop. What was put in before is still recorded.
    pub(in crate::engine) fn run(mut self) {
        let mut clock = Clock::start();
        let (mut swept, mut is_swept) = (clock.now(), true);
        // Subscribers that something is still to be read for, in the order in which they came.
        let mut joining = VecDeque::new();
        loop {
            if joining.is_empty() && is_swept {
                self.wait();
            }
            let (now, began) = (clock.now(), self.fine.now());
            // Counted before the commands are taken: what is published after a client was told that
            // its subscription stands is never recorded before that subscription.
            let inputs = self.inputs.len();
            for command in self.commands.try_iter().take(self.commands.len()) {
                match command {
                    ShardCommand::Join(join) => {
                        self.ledger.join(&join);
                        // What has no picture hears what happens from its answer on: it does not wait.
                        if Ledger::is_read_for(&join) {
                            joining.push_back(join);
                        } else {
                            self.ledger.answer(now, &join, &mut self.out);
                        }
                    }
                    ShardCommand::Leave(leave) => self.ledger.leave(leave),
                    // Nobody asks the ledger for markets.
                    ShardCommand::Bars(..) | ShardCommand::Trades(..) => {}
                }
            }
            // What many of them missed may take long to read: what is published does not wait for all. What
            // is recorded before an answer is in it.
            while let Some(join) = joining.pop_front() {
                self.ledger.answer(now, &join, &mut self.out);
                let is_late = self.fine.now().saturating_sub(began) > ANSWERS;
                if is_late && joining.len() < MOST_JOINING {
                    break;
                }
            }
            let is_over = self.publish(now, inputs);
            self.out.end_turn(began);
            if is_over {
                return;
            }
            let is_full = self.ledger.journal.as_ref().is_some_and(Journal::is_full);
            let every = if is_full { SWEEP_FULL } else { SWEEP };
            if !is_swept || now - swept >= every {
                (swept, is_swept) = (now, !self.forget(now));
            }
        }
    }

    /// Records so many inputs in one transaction; whether there is nothing more to come.
    fn publish(&mut self, now: Millis, inputs: usize) -> bool {
        let (mut items, mut waiting) = (Vec::new(), Vec::new());
        let mut is_over = false;
        for input in self.inputs.try_iter().take(inputs) {
            match input {
                LedgerInput::Publish(more, answer) => {
                    waiting.push((more.len(), answer));
                    items.extend(more);
                }
                LedgerInput::Stop => is_over = true,
            }
            if items.len() >= GROUP {
                break;
            }
        }
        if !items.is_empty() {
            let mut outcomes = self.ledger.publish(now, &items, &mut self.out).into_iter();
            for (count, answer) in waiting {
                // Who has gone meanwhile needs no answer: what it published counts all the same.
                let _ = answer.send(outcomes.by_ref().take(count).collect());
            }
        }
        is_over
    }

    fn forget(&mut self, now: Millis) -> bool {
        let Some(journal) = &mut self.ledger.journal else { return false };
        journal.forget(now).unwrap_or_else(|error| {
            warn!(%error, "what is too old could not be let go");
            false
        })
    }

    fn wait(&self) {
        let mut queues = Select::new();
        queues.recv(&self.commands);
        queues.recv(&self.inputs);
        // Ready or late, the turn looks at both.
        let _ = queues.ready_timeout(LONGEST_WAIT);
    }
}

/// Items that share one transaction at most: beyond it waiting costs more than the disk.
const GROUP: usize = 4_096;

/// Subscribers that wait for their answer while something is published.
const MOST_JOINING: usize = 16_384;

/// After this many nanoseconds of answers to subscribers what was published is recorded.
const ANSWERS: u64 = 2_000_000;

/// How often what is too old is let go.
const SWEEP: Millis = 60_000;

/// The same where there is no room for more.
const SWEEP_FULL: Millis = 1_000;

/// A ledger that has nothing to do looks around this often.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

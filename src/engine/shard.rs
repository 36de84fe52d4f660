//! The thread of one shard: takes events and commands in turns, and wakes the workers.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Select, Sender};
use crossbeam_queue::ArrayQueue;

use super::Time;
use crate::clock::Clock;
use crate::dialect::Channel;
use crate::encode::Frame;
use crate::fanout::{ShardCommand, ToWorker, Workers};
use crate::market::{Bar, BookChange, Event, Interval, KeptBar, Millis, Scale, SymbolId};
use crate::metrics::{ShardMeter, class};
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
    /// Whether frames are to be ready for clients that agree on compression.
    pub(super) compression: bool,
    pub(super) meter: Arc<ShardMeter>,
    /// Where closed bars are kept.
    pub(super) bars: Option<Sender<KeptBar>>,
}

impl ShardThread {
    /// Takes turns until it is told to stop.
    pub(super) fn run(mut self) {
        let mut clock = Clock::start();
        let mut recorded = 0;
        let fine = self.workers.clock();
        let mut out = WorkerOutlet::new(self.workers.clone(), self.compression, self.meter.clone());
        out.bars = self.bars.take();
        loop {
            self.wait(&mut clock);
            let began = fine.now();
            let now = match self.time {
                Time::Live => clock.now(),
                Time::Recorded => recorded,
            };
            if self.time == Time::Live {
                self.shard.advance(now, &mut out);
            }
            // Counted before the commands are taken: what happens after a client was told that its
            // subscription stands is never taken in before that subscription.
            let inputs = self.inputs.len().min(TURN);
            for command in self.commands.try_iter().take(self.commands.len()) {
                match command {
                    ShardCommand::Join(join) => self.shard.join(now, &join, &mut out),
                    ShardCommand::Leave(leave) => self.shard.leave(leave),
                    // Who asked may be gone by now.
                    ShardCommand::Bars(symbol, wanted, answer) => {
                        self.meter.questions.add(1);
                        self.shard.recall(now, symbol);
                        let _ = answer.send(self.shard.past_bars(symbol, &wanted));
                    }
                    ShardCommand::Trades(symbol, most, answer) => {
                        self.meter.questions.add(1);
                        let _ = answer.send(self.shard.past_trades(symbol, most));
                    }
                }
            }
            for input in self.inputs.try_iter().take(inputs) {
                match input {
                    ShardInput::Event { symbol, received, event } => {
                        self.meter.events[kind(&event)].add(1);
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
            out.end_turn(began);
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
    compression: bool,
    meter: Arc<ShardMeter>,
    bars: Option<Sender<KeptBar>>,
}

impl WorkerOutlet {
    pub(super) fn new(workers: Workers, compression: bool, meter: Arc<ShardMeter>) -> WorkerOutlet {
        let touched = vec![false; workers.inboxes().len()];
        WorkerOutlet { touched, workers, compression, meter, bars: None }
    }

    fn send(&mut self, worker: u16, message: ToWorker) {
        let at = usize::from(worker);
        // A worker that has ended has no clients to miss it.
        if self.workers.inboxes()[at].put(message).is_ok() {
            self.touched[at] = true;
        }
    }

    pub(super) fn end_turn(&mut self, began: u64) {
        let ends = self.workers.inboxes().iter().zip(self.workers.meters());
        for ((inbox, meter), touched) in ends.zip(&mut self.touched) {
            if std::mem::take(touched) {
                meter.publish(began);
                inbox.wake();
            }
        }
    }
}

impl Outlet for WorkerOutlet {
    fn broadcast(&mut self, worker: u16, broadcast: Broadcast) {
        self.meter.frames[class(broadcast.channel.topic)].add(1);
        self.send(worker, ToWorker::Broadcast(broadcast));
    }

    fn share(&self, channel: Channel, frame: Frame) -> Frame {
        self.meter.encodes[channel.dialect as usize].add(1);
        if self.compression { frame.shared_deflated() } else { frame }
    }

    fn closed(&mut self, symbol: &str, scale: Scale, interval: Interval, bar: &Bar) {
        let Some(bars) = &self.bars else { return };
        // Never waited for: history has a hole where the disk is slower than the market.
        if bars.try_send(KeptBar { symbol: symbol.into(), interval, scale, bar: *bar }).is_err() {
            self.meter.bars_not_kept.add(1);
        }
    }

    fn joined(&mut self, worker: u16, joined: Joined) {
        self.send(worker, ToWorker::Joined(joined));
    }
}

/// An event's place in [`crate::metrics::EVENT_KINDS`].
const fn kind(event: &Event) -> usize {
    match event {
        Event::Book(_) => 0,
        Event::Stale(_) => 1,
        Event::Trade(_) => 2,
        Event::Quote(_) => 3,
        Event::Ticker(_) => 4,
        Event::Bar(_) => 5,
        Event::Scale { .. } | Event::Contract { .. } => 6,
    }
}

/// Inputs after which what they changed is published and sent although more have come.
const TURN: usize = 512;

/// A shard that has nothing to do looks around this often.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

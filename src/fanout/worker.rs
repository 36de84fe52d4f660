//! One worker: a thread's connections, who of them listens to what, and the rounds that serve them.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use crossbeam_channel::Sender;
use rustc_hash::FxHashMap;
use tokio::task::LocalSet;
use tokio::time::MissedTickBehavior;

use super::bell::Bell;
use super::connection::Connection;
use super::counts::Counting;
use super::delivery::Delivered;
use super::message::ToWorker;
use super::round::{Frames, Round};
use super::sockets::{Change, Sockets};
use super::timers::Timers;
use super::{Inbox, ShardCommand, Workers};
use crate::clock::Clock;
use crate::market::Millis;
use crate::metrics::WorkerMeter;
use crate::session::engineio::Sid;
use crate::session::{Progress, SessionEnd};
use crate::shard::{Broadcast, Joined};

/// How a worker treats its connections.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Whether clients may agree on compression, so that frames are to be ready for it.
    pub compression: bool,
    /// The longest message of a client, in bytes.
    pub message_bytes: usize,
    /// What may wait for one client, in bytes.
    pub outbox_bytes: usize,
    /// A client that was not heard for so long is pinged.
    pub ping: Millis,
    /// How long it may take to answer.
    pub pong_timeout: Millis,
    /// How long a socket may take nothing of what waits for it.
    pub stalled: Millis,
}

/// What a worker shares with nobody.
pub(super) struct Worker {
    pub(super) id: u16,
    pub(super) config: WorkerConfig,
    pub(super) shards: Vec<Sender<ShardCommand>>,
    /// All workers, itself among them.
    pub(super) workers: Workers,
    clock: Box<dyn Fn() -> Millis>,
    pub(super) connections: RefCell<FxHashMap<u64, Rc<Connection>>>,
    /// Those of them that began with polling, by the name that requests use.
    pub(super) sessions: RefCell<FxHashMap<Sid, Rc<Connection>>>,
    pub(super) round: RefCell<Round>,
    dirty: RefCell<Vec<Rc<Connection>>>,
    pub(super) sockets: Sockets,
    pub(super) bell: Rc<Bell>,
    pub(super) timers: Timers,
    scratch: RefCell<Vec<u8>>,
    counting: Counting,
    pub(super) next_id: Cell<u64>,
    until: Cell<Option<Millis>>,
}

/// Runs worker number `id` of `workers` on this thread until it is shut down.
///
/// # Errors
/// When the thread cannot have a runtime of its own, or ask the kernel for its sockets.
pub fn run(
    id: u16,
    workers: Workers,
    shards: Vec<Sender<ShardCommand>>,
    config: WorkerConfig,
) -> io::Result<()> {
    let inbox = workers.inboxes()[usize::from(id)].clone();
    let _closed = CloseInbox(&inbox);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clock = RefCell::new(Clock::start());
    let worker = Worker::new(id, workers, shards, config, move || clock.borrow_mut().now())?;
    runtime.block_on(LocalSet::new().run_until(worker.serve(&inbox)))
}

/// Lets shards go that wait for a worker which has ended, however it ended.
struct CloseInbox<'a>(&'a Inbox<ToWorker>);

impl Drop for CloseInbox<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Worker {
    pub(super) fn new(
        id: u16,
        workers: Workers,
        shards: Vec<Sender<ShardCommand>>,
        config: WorkerConfig,
        clock: impl Fn() -> Millis + 'static,
    ) -> io::Result<Rc<Worker>> {
        Ok(Rc::new(Worker {
            id,
            config,
            shards,
            workers,
            clock: Box::new(clock),
            connections: RefCell::default(),
            sessions: RefCell::default(),
            round: RefCell::new(Round::new()),
            dirty: RefCell::default(),
            sockets: Sockets::new()?,
            bell: Rc::default(),
            timers: Timers::default(),
            scratch: RefCell::new(vec![0; SCRATCH]),
            counting: Counting::default(),
            next_id: Cell::new(0),
            until: Cell::new(None),
        }))
    }

    async fn serve(self: Rc<Worker>, inbox: &Inbox<ToWorker>) -> io::Result<()> {
        let alarm = self.sockets.alarm()?;
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut goes_on = false;
            tokio::select! {
                // In this alone: a shard wakes its workers at the end of its turn, so that all of it is one round.
                () = inbox.awake() => goes_on = self.drain(inbox),
                _ = sweep.tick() => self.sweep(),
                () = self.timers.wait(self.now()) => {}
                () = self.bell.rings() => {}
                looked = alarm.rings(|| self.sockets.changed(|change| self.changed(change))) => looked?,
            }
            // Each time: where rounds follow on each other no wait for a time comes to its end.
            self.wake_due();
            self.end_round();
            if goes_on {
                inbox.wake();
                tokio::task::yield_now().await;
            }
            if self.is_over() {
                self.counting.show(self.workers.shown(self.id));
                return Ok(());
            }
        }
    }

    /// A round: what has come goes into outboxes and to the sockets. Under load rounds grow by themselves, and
    /// with them the writes, up to a limit: others have something to say, too. Whether there is more.
    pub(super) fn drain(self: &Rc<Worker>, inbox: &Inbox<ToWorker>) -> bool {
        for _ in 0..ROUND {
            let Some(message) = inbox.pop() else { break };
            self.take(message);
        }
        self.send_round();
        // What is left of a turn were answers to joins, which belong to single connections.
        self.meter().nothing_to_write();
        !inbox.is_empty()
    }

    pub(super) fn now(&self) -> Millis {
        (self.clock)()
    }

    fn take(self: &Rc<Worker>, message: ToWorker) {
        match message {
            ToWorker::Broadcast(broadcast) => self.broadcast(broadcast),
            ToWorker::Joined(joined) => self.joined(joined),
            ToWorker::Connect(connection) => self.connect(connection),
            ToWorker::Open(session) => self.open(*session),
            ToWorker::Ask { sid, asked } => self.asked(sid, asked),
            ToWorker::LookAgain => {
                self.connections.borrow().values().for_each(|connection| self.schedule(connection));
            }
            ToWorker::ShutDown { until } => self.shut_down(until),
        }
    }

    fn broadcast(&self, broadcast: Broadcast) {
        self.settle();
        self.round.borrow_mut().note(broadcast);
    }

    /// Seats those whose topics changed.
    fn settle(&self) {
        if !self.round.borrow().unsettled.is_empty() {
            // What the round holds so far goes to those who listened when it came.
            self.send_round();
            self.round.borrow_mut().settle();
        }
    }

    pub(super) fn joined(&self, joined: Joined) {
        let Some(connection) = self.connections.borrow().get(&joined.connection).cloned() else { return };
        let Some(was) = connection.subscriptions.borrow_mut().answered(joined.channel) else { return };
        let (channel, hands_over) =
            (joined.channel, connection.subscriptions.borrow().has_heir(joined.channel));
        if was == Progress::Rejoining || hands_over {
            // What came before this answer is in it, or in the topic that ends with it: it must find the
            // topics as they were.
            self.send_round();
        }
        if hands_over {
            connection.subscriptions.borrow_mut().hand_over(channel);
        }
        match connection.join(joined, was) {
            Ok(true) => {
                if was == Progress::Joining {
                    self.unsettle(&connection);
                }
                self.mark_dirty(&connection);
            }
            Ok(false) => {}
            Err(end) => connection.end(&end, self.now()),
        }
        // Its task may wait for this.
        connection.stir();
    }

    /// The connection's topics changed: before the next broadcast it is seated anew.
    pub(super) fn unsettle(&self, connection: &Rc<Connection>) {
        if !connection.unsettled.replace(true) {
            self.round.borrow_mut().unsettled.push(connection.clone());
        }
    }

    /// A socket has something to read, or takes something again.
    pub(super) fn changed(&self, change: Change) {
        let Some(connection) = self.connections.borrow().get(&change.connection).cloned() else { return };
        if change.is_writable && connection.is_blocked() {
            connection.unblock(self.now());
        }
        if change.is_readable {
            connection.readable.set(true);
            connection.stir();
        }
    }

    pub(super) fn is_shutting_down(&self) -> bool {
        self.until.get().is_some()
    }

    /// The buffer that is lent to whoever reads.
    pub(super) const fn scratch(&self) -> &RefCell<Vec<u8>> {
        &self.scratch
    }

    fn mark_dirty(&self, connection: &Rc<Connection>) {
        if !connection.dirty.replace(true) {
            self.dirty.borrow_mut().push(connection.clone());
        }
    }

    /// What waits for single connections goes out, and who has something to be seen to gets a task for it.
    pub(super) fn end_round(self: &Rc<Worker>) {
        self.flush();
        for id in self.bell.take() {
            if let Some(connection) = self.connections.borrow().get(&id) {
                tokio::task::spawn_local(self.clone().attend(connection.clone()));
            }
        }
    }

    fn flush(&self) {
        self.send_round();
        let mut dirty = std::mem::take(&mut *self.dirty.borrow_mut());
        if dirty.is_empty() {
            return;
        }
        let now = self.now();
        for connection in dirty.drain(..) {
            connection.dirty.set(false);
            connection.flush(now);
        }
        *self.dirty.borrow_mut() = dirty;
    }

    pub(super) fn send_round(&self) {
        let mut round = self.round.borrow_mut();
        if !round.is_empty() {
            let now = self.now();
            let meter = self.meter();
            round.send(now, meter, |connection, frames, written| self.keep(connection, frames, written, now));
            meter.written(|| self.workers.clock().now());
        }
    }

    /// Puts what a socket did not take into the connection's own outbox, frame by frame.
    fn keep(&self, connection: &Rc<Connection>, frames: Frames<'_>, mut written: usize, now: Millis) {
        let delivered = || self.meter().frames.add(1);
        for broadcast in frames {
            let length = connection.compression.length(&broadcast.frame);
            if written >= length {
                written -= length;
                delivered();
                continue;
            }
            if written > 0 {
                delivered();
                connection.keep(&broadcast.frame, std::mem::take(&mut written));
                continue;
            }
            match connection.deliver(broadcast) {
                Ok(Delivered::Queued) => {
                    delivered();
                    self.mark_dirty(connection);
                }
                Ok(Delivered::Merged) => self.counting.merged(broadcast.channel.topic),
                Ok(Delivered::Unwanted) => {}
                Err(end) => {
                    self.counting.dropped(broadcast.channel.topic);
                    return connection.end(&end, now);
                }
            }
        }
    }

    pub(super) fn meter(&self) -> &WorkerMeter {
        &self.workers.meters()[usize::from(self.id)]
    }

    /// Looks at everybody's deadlines.
    pub(super) fn sweep(&self) {
        self.counting.show(self.workers.shown(self.id));
        // Where nothing is broadcast for long, those who came and went would be held until it is.
        self.settle();
        let now = self.now();
        let mut waiting = 0;
        for connection in self.connections.borrow().values() {
            connection.sweep(now, &self.config);
            waiting += connection.outbox().len() as u64;
        }
        self.meter().outbox_bytes.set(waiting);
    }

    fn shut_down(&self, until: Millis) {
        self.until.set(Some(until));
        let now = self.now();
        for connection in self.connections.borrow().values().filter(|connection| connection.is_open()) {
            connection.end(&SessionEnd::ShuttingDown { retry_in: retry_in() }, now);
        }
    }

    fn is_over(&self) -> bool {
        self.until.get().is_some_and(|until| self.connections.borrow().is_empty() || self.now() >= until)
    }
}

/// When a client should come back after a restart: spread, so that not all return at once.
pub(super) fn retry_in() -> Millis {
    fastrand::i64(500..5_000)
}

/// How often deadlines are looked at. They are seconds; this is how late one may be.
const SWEEP: Duration = Duration::from_millis(250);

/// Messages after which connections are flushed and heard although more have come.
const ROUND: usize = 1_024;

/// What one read takes at most. Lent to each connection in turn. The answers to the shortest messages are
/// some fifty times as long as these, and wait in memory for who does not take them.
const SCRATCH: usize = 8 << 10;

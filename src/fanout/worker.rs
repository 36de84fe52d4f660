//! One worker: a thread's connections, who of them listens to what, and the rounds that serve them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError};
use rustc_hash::FxHashMap;
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::MissedTickBehavior;
use tracing::{debug, warn};

use super::connection::Connection;
use super::{Inbox, ShardCommand};
use crate::clock::Clock;
use crate::dialect::{Dialect, Since};
use crate::market::{Millis, Symbols, Topic};
use crate::session::{Action, Progress, Session, SessionEnd, SessionLimits};
use crate::shard::{Broadcast, Join, Joined, Leave};

/// How a worker treats its connections.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// What a client may ask for.
    pub session: SessionLimits,
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

/// What a worker is told.
pub enum ToWorker {
    /// A client came.
    Connect(NewConnection),
    /// A frame for the subscribers of a topic.
    Broadcast(Broadcast),
    /// The beginning of a subscription.
    Joined(Joined),
    /// The server goes down: every client is told, and the worker ends when all are gone or
    /// at this time.
    ShutDown {
        /// By the worker's clock.
        until: Millis,
    },
}

/// A client whose upgrade is done.
pub struct NewConnection {
    /// The socket, not blocking.
    pub stream: std::net::TcpStream,
    /// What was read behind the upgrade request.
    pub early: Vec<u8>,
    /// Which words it uses.
    pub dialect: Dialect,
    /// Held as long as the connection lives.
    pub place: Box<dyn Send>,
}

/// What a worker shares with nobody.
struct Worker {
    id: u16,
    config: WorkerConfig,
    symbols: Arc<Symbols>,
    shards: Vec<Sender<ShardCommand>>,
    clock: RefCell<Clock>,
    connections: RefCell<FxHashMap<u64, Rc<Connection>>>,
    subscribers: RefCell<FxHashMap<(Topic, Dialect), Listeners>>,
    dirty: RefCell<Vec<Rc<Connection>>>,
    scratch: RefCell<Vec<u8>>,
    next_id: Cell<u64>,
    round: Cell<usize>,
    until: Cell<Option<Millis>>,
}

/// The connections that listen to one topic in one dialect.
type Listeners = Vec<Rc<Connection>>;

/// Runs worker number `id` on this thread until it is shut down.
///
/// # Errors
/// When the thread cannot have a runtime of its own.
pub fn run(
    id: u16,
    inbox: &Arc<Inbox<ToWorker>>,
    shards: Vec<Sender<ShardCommand>>,
    symbols: Arc<Symbols>,
    config: WorkerConfig,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let worker = Rc::new(Worker {
        id,
        config,
        symbols,
        shards,
        clock: RefCell::new(Clock::start()),
        connections: RefCell::default(),
        subscribers: RefCell::default(),
        dirty: RefCell::default(),
        scratch: RefCell::new(vec![0; SCRATCH]),
        next_id: Cell::new(0),
        round: Cell::new(0),
        until: Cell::new(None),
    });
    let _closed = CloseInbox(inbox);
    runtime.block_on(LocalSet::new().run_until(worker.serve(inbox)));
    Ok(())
}

/// Lets shards go that wait for a worker which has ended, however it ended.
struct CloseInbox<'a>(&'a Inbox<ToWorker>);

impl Drop for CloseInbox<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Worker {
    async fn serve(self: Rc<Worker>, inbox: &Inbox<ToWorker>) {
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = inbox.awake() => {}
                _ = sweep.tick() => self.sweep(),
            }
            // A round: everything that has come goes into outboxes, then each touched connection is
            // flushed once. Under load rounds grow by themselves, and with them the writes.
            let mut taken = 0;
            while let Some(message) = inbox.pop() {
                self.take(message);
                taken += 1;
                if taken % ROUND == 0 {
                    self.flush();
                    tokio::task::yield_now().await;
                }
            }
            self.flush();
            if self.is_over() {
                return;
            }
        }
    }

    fn now(&self) -> Millis {
        self.clock.borrow_mut().now()
    }

    fn take(self: &Rc<Worker>, message: ToWorker) {
        match message {
            ToWorker::Broadcast(broadcast) => self.broadcast(&broadcast),
            ToWorker::Joined(joined) => self.joined(joined),
            ToWorker::Connect(connection) => self.connect(connection),
            ToWorker::ShutDown { until } => self.shut_down(until),
        }
    }

    fn broadcast(&self, broadcast: &Broadcast) {
        let subscribers = self.subscribers.borrow();
        let Some(list) = subscribers.get(&(broadcast.topic, broadcast.dialect)) else { return };
        // Each round begins with another subscriber, so that nobody is always last.
        let start = self.round.get() % list.len().max(1);
        let (later, first) = list.split_at(start);
        for connection in first.iter().chain(later) {
            match connection.deliver(broadcast) {
                Ok(true) => self.mark_dirty(connection),
                Ok(false) => {}
                Err(end) => connection.end(&end, self.now()),
            }
        }
    }

    fn joined(&self, joined: Joined) {
        let Some(connection) = self.connections.borrow().get(&joined.connection).cloned() else { return };
        let topic = joined.topic;
        let (progress, dialect) = {
            let mut session = connection.session.borrow_mut();
            (session.answered(topic), session.dialect())
        };
        let Some(progress) = progress else { return };
        match connection.join(joined) {
            Ok(true) if progress == Progress::Joining => {
                let mut subscribers = self.subscribers.borrow_mut();
                subscribers.entry((topic, dialect)).or_default().push(connection.clone());
                self.mark_dirty(&connection);
            }
            Ok(true) => self.mark_dirty(&connection),
            Ok(false) => {}
            Err(end) => connection.end(&end, self.now()),
        }
    }

    fn connect(self: &Rc<Worker>, new: NewConnection) {
        let stream = match TcpStream::from_std(new.stream) {
            Ok(stream) => stream,
            Err(error) => return warn!(%error, "a connection could not be taken over"),
        };
        let (id, now) = (self.next_id.get(), self.now());
        self.next_id.set(id + 1);
        let session = Session::new(new.dialect, self.symbols.clone(), self.config.session, now);
        let connection = Rc::new(Connection::new(id, stream, session, &self.config, now, new.place));
        if self.until.get().is_some() {
            connection.end(&SessionEnd::ShuttingDown { retry_in: retry_in() }, now);
        }
        self.connections.borrow_mut().insert(id, connection.clone());
        tokio::task::spawn_local(self.clone().converse(connection, new.early));
    }

    /// The life of one connection: what it says, and what it can take again.
    async fn converse(self: Rc<Worker>, connection: Rc<Connection>, mut early: Vec<u8>) {
        let mut actions = Vec::new();
        if !early.is_empty() {
            let taken = connection.take(self.now(), &mut early, &mut actions);
            self.act(&connection, &mut actions, taken).await;
        }
        drop(early);
        while !connection.is_over() {
            // All three branches may be dropped at any time without losing anything.
            tokio::select! {
                ready = connection.stream.readable() => {
                    let read = match ready {
                        Ok(()) => connection.read(self.now(), &mut self.scratch.borrow_mut(), &mut actions),
                        Err(error) => Err(SessionEnd::Io(error)),
                    };
                    self.act(&connection, &mut actions, read).await;
                }
                ready = connection.stream.writable(), if connection.blocked.get() => {
                    connection.blocked.set(false);
                    match ready {
                        Ok(()) => connection.flush(self.now()),
                        Err(error) => connection.end(&SessionEnd::Io(error), self.now()),
                    }
                }
                () = connection.wake.notified() => {}
            }
            for topic in connection.take_caught_up() {
                self.join(&connection, topic, None, true).await;
            }
        }
        self.forget(&connection).await;
    }

    /// Does what a client's messages asked for, then ends the session if they were its last.
    async fn act(
        &self,
        connection: &Rc<Connection>,
        actions: &mut Vec<Action>,
        read: Result<(), SessionEnd>,
    ) {
        for action in actions.drain(..) {
            match action {
                Action::Reply(frame) => {
                    if let Err(end) = connection.reply(&frame) {
                        connection.end(&end, self.now());
                    }
                }
                Action::Join { topic, since } => self.join(connection, topic, since, false).await,
                Action::Leave { topic } => self.leave(connection, topic).await,
            }
        }
        match read {
            Ok(()) => connection.flush(self.now()),
            Err(end) => {
                debug!(connection = connection.id, worker = self.id, ?end, "a session ends");
                connection.end(&end, self.now());
            }
        }
    }

    async fn join(&self, connection: &Connection, topic: Topic, since: Option<Since>, again: bool) {
        let dialect = connection.session.borrow().dialect();
        let join = Join { topic, dialect, worker: self.id, connection: connection.id, since, again };
        self.ask(topic, ShardCommand::Join(join)).await;
    }

    async fn leave(&self, connection: &Rc<Connection>, topic: Topic) {
        let dialect = connection.session.borrow().dialect();
        self.unlist(connection, (topic, dialect));
        self.ask(topic, ShardCommand::Leave(Leave { topic, dialect, worker: self.id })).await;
    }

    fn unlist(&self, connection: &Rc<Connection>, key: (Topic, Dialect)) {
        let mut subscribers = self.subscribers.borrow_mut();
        let Some(list) = subscribers.get_mut(&key) else { return };
        if let Some(at) = list.iter().position(|other| Rc::ptr_eq(other, connection)) {
            list.swap_remove(at);
        }
        if list.is_empty() {
            subscribers.remove(&key);
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

    async fn forget(&self, connection: &Rc<Connection>) {
        let topics: Vec<Topic> = connection.session.borrow().topics().collect();
        for topic in topics {
            self.leave(connection, topic).await;
        }
        self.connections.borrow_mut().remove(&connection.id);
    }

    fn mark_dirty(&self, connection: &Rc<Connection>) {
        if !connection.dirty.replace(true) {
            self.dirty.borrow_mut().push(connection.clone());
        }
    }

    fn flush(&self) {
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
        self.round.set(self.round.get().wrapping_add(1));
    }

    fn sweep(&self) {
        let now = self.now();
        for connection in self.connections.borrow().values() {
            connection.sweep(now, &self.config);
        }
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
fn retry_in() -> Millis {
    fastrand::i64(500..5_000)
}

/// How often deadlines are looked at. They are seconds; this is how late one may be.
const SWEEP: Duration = Duration::from_millis(250);

/// Messages after which connections are flushed although more have come.
const ROUND: usize = 1_024;

/// What one read takes at most. Lent to each connection in turn.
const SCRATCH: usize = 64 << 10;

/// How long to wait for room in a shard's queue.
const ASK_AGAIN: Duration = Duration::from_millis(1);

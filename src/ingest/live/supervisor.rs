//! The one task that owns a live source: it opens and closes connections, asks for books, and
//! passes what came to the feeds.

mod books;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, watch};
use tokio::task::{self, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use self::books::BookAnswer;
use super::Venue;
use super::config::LiveConfig;
use super::connect::{ConnectDeadlines, ConnectError};
use super::counters::{LiveCounters, Seldom};
use super::lane::{Lane, Loss, Renewal, Wish};
use super::pace::Pace;
use super::plan::{Plan, plan};
use super::resync::{Resync, ResyncLimits};
use super::session::{ConnectionId, Report, Session, SessionEnd, SessionLimits, What};
use super::tap::{Raw, Tapped};
use crate::clock::Clock;
use crate::ingest::binance::{Feed, Heard, UnknownSymbols};
use crate::ingest::{FeedError, Sink};
use crate::market::{Millis, SymbolId, Symbols};

/// See the module.
pub(crate) struct Supervisor {
    config: LiveConfig,
    venue: Venue,
    symbols: Arc<Symbols>,
    clock: Arc<Mutex<Clock>>,
    counters: Arc<LiveCounters>,
    random: Rng,
    branches: Vec<Branch>,
    connections: FxHashMap<ConnectionId, Connection>,
    last_connection: ConnectionId,
    connects: Pace,
    resync: Resync,
    sessions: JoinSet<ConnectionId>,
    requests: JoinSet<BookAnswer>,
    reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
    /// The newest time that was passed on: reports of two connections can overtake each other by
    /// a moment, and the time of events must not go back.
    latest: Millis,
    bad: Seldom,
}

/// One set of streams: its connections and what understands them.
///
/// Each has a feed of its own, so that the end of one connection makes only its own books stale.
struct Branch {
    lane: Lane,
    plan: Plan,
    feed: Feed,
}

/// A session as seen from here.
struct Connection {
    branch: usize,
    task: task::Id,
    leave: watch::Sender<bool>,
    unsent: usize,
    /// The requests without an answer, and when the answer is too late.
    unanswered: BTreeMap<u64, Instant>,
}

impl Supervisor {
    /// A supervisor of the symbols that the venue lists.
    pub(crate) fn new(
        config: LiveConfig,
        venue: Venue,
        (symbols, listed): (Arc<Symbols>, Vec<(SymbolId, Arc<str>)>),
        clock: Arc<Mutex<Clock>>,
        counters: Arc<LiveCounters>,
        random: Rng,
    ) -> Supervisor {
        let now = Instant::now();
        let renewal = Renewal {
            after: config.renew_after,
            patience: config.renew_patience,
            overlap: config.renew_overlap,
        };
        let branches = plan(venue.rules, &config, &listed).into_iter().map(|plan| {
            let mut feed = Feed::new(config.market, symbols.clone(), UnknownSymbols::Refuse);
            plan.books.iter().for_each(|symbol| feed.want(*symbol));
            Branch { lane: Lane::new(now, config.reconnect, renewal), plan, feed }
        });
        let limits = ResyncLimits {
            gap: config.rest_gap,
            weight: config.rest_weight.unwrap_or(venue.rules.weight_a_minute / 2),
            window: config.rest_window,
            request_weight: venue.rules.depth_weight,
            in_flight: config.rest_in_flight.max(1),
            retry: config.retry,
        };
        Supervisor {
            branches: branches.collect(),
            symbols,
            clock,
            counters,
            random,
            connections: FxHashMap::default(),
            last_connection: 0,
            connects: Pace::new(config.connects, config.connects_window),
            resync: Resync::new(limits, now, venue.rules.instruments_weight),
            sessions: JoinSet::new(),
            requests: JoinSet::new(),
            reports: mpsc::channel(config.queue_messages.max(1)),
            latest: Millis::MIN,
            bad: Seldom::default(),
            config,
            venue,
        }
    }

    /// Works until `stop` turns true, then closes all connections.
    pub(crate) async fn run<S: Sink, T: FnMut(Tapped<'_>)>(
        mut self,
        sink: &mut S,
        tap: &mut T,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let now = Instant::now();
            self.tend_connections(now);
            self.ask_for_books(now);
            let wake = self.next_due(now);
            // Biased: what is rare and small comes before the stream of messages, which never ends.
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                Some(answer) = self.requests.join_next() => match answer {
                    Ok(answer) => self.take_book(answer, sink, tap),
                    Err(_) => self.request_task_failed(),
                },
                Some(ended) = self.sessions.join_next() => if let Err(error) = ended {
                    self.session_task_failed(error.id(), sink, tap);
                },
                _ = self.reports.1.recv_many(&mut batch, BATCH) => {
                    for report in batch.drain(..) {
                        self.take(report, sink, tap);
                    }
                }
                () = sleep_until(wake) => {}
            }
        }
        self.end().await;
    }

    /// Opens and closes what the lanes wish for, and ends what the venue does not answer.
    fn tend_connections(&mut self, now: Instant) {
        for at in 0..self.branches.len() {
            while let Some(wish) = self.branches[at].lane.wish(now) {
                match wish {
                    Wish::Open if self.connects.ready_at(now, 1) > now => break,
                    Wish::Open => self.open(at, now),
                    Wish::Close(id) => {
                        self.counters.renewals.one();
                        self.leave(id);
                    }
                }
            }
        }
        for (id, connection) in &self.connections {
            let is_late = connection.unanswered.values().any(|deadline| *deadline <= now);
            if is_late && !*connection.leave.borrow() {
                tracing::warn!(connection = id, "the venue does not answer a subscription");
                connection.leave.send_replace(true);
            }
        }
    }

    fn open(&mut self, branch: usize, now: Instant) {
        self.connects.take(now, 1);
        self.last_connection += 1;
        let id = self.last_connection;
        let config = &self.config;
        let session = Session {
            id,
            endpoint: self.venue.ws.clone(),
            path: self.branches[branch].plan.path,
            requests: self.branches[branch].plan.requests.clone(),
            limits: SessionLimits {
                deadlines: ConnectDeadlines {
                    connect: config.connect_deadline,
                    handshake: config.handshake_deadline,
                },
                write: config.write_deadline,
                silence: config.silence.unwrap_or(self.venue.rules.ping_every + PING_GRACE),
                message_bytes: config.message_bytes,
                messages: config.messages,
                window: config.messages_window,
            },
            clock: self.clock.clone(),
        };
        let (leave, leaving) = watch::channel(false);
        let unsent = session.requests.len();
        let running = session.run(self.venue.connector.clone(), self.reports.0.clone(), leaving);
        let task = self.sessions.spawn(running).id();
        let connection = Connection { branch, task, leave, unsent, unanswered: BTreeMap::new() };
        self.connections.insert(id, connection);
        self.branches[branch].lane.opening(id);
    }

    fn leave(&self, id: ConnectionId) {
        if let Some(connection) = self.connections.get(&id) {
            connection.leave.send_replace(true);
        }
    }

    fn next_due(&mut self, now: Instant) -> Instant {
        let connect = self.connects.ready_at(now, 1);
        // A lane that is overdue waits for the pace of connecting.
        let lanes = self.branches.iter().filter_map(|branch| branch.lane.next_due());
        let lanes = lanes.map(|due| if due <= now { connect } else { due });
        let answers = self.connections.values().filter(|connection| !*connection.leave.borrow());
        let answers = answers.filter_map(|connection| connection.unanswered.values().min().copied());
        let books = self.resync.next_due(now);
        lanes.chain(answers).chain(books).min().unwrap_or(now + LONGEST_NAP)
    }

    fn take<S: Sink, T: FnMut(Tapped<'_>)>(&mut self, report: Report, sink: &mut S, tap: &mut T) {
        let id = report.connection;
        let received = self.in_order(report.received);
        let mut show = |what| tap(Tapped { received, connection: id, what });
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let branch = connection.branch;
        match report.what {
            What::Opened => {
                self.counters.connects.one();
                let path = self.branches[branch].plan.path;
                tracing::info!(connection = id, path, "connected");
                show(Raw::Opened { path });
            }
            What::Sent(at) => {
                connection.unsent -= 1;
                let deadline = Instant::now() + self.config.answer_deadline;
                connection.unanswered.insert(at as u64 + 1, deadline);
                show(Raw::Sent(&self.branches[branch].plan.requests[at]));
            }
            What::Text(mut bytes) => {
                self.counters.messages.one();
                show(Raw::Text(&bytes));
                let heard = self.branches[branch].feed.message(received, &mut bytes, sink);
                self.act_on(id, branch, heard);
            }
            What::Binary(mut bytes) => {
                self.counters.messages.one();
                show(Raw::Binary(&bytes));
                let heard = self.branches[branch].feed.message(received, &mut bytes, sink);
                self.act_on(id, branch, heard);
            }
            What::Ping => self.counters.pings.one(),
            What::Ended(end) => self.ended(id, &end, received, sink, tap),
        }
    }

    fn act_on(&mut self, id: ConnectionId, branch: usize, heard: Result<Heard, FeedError>) {
        match heard {
            Ok(Heard::Market) => {
                self.branches[branch].lane.delivered(id, Instant::now());
            }
            Ok(Heard::Answer { id: request }) => self.answered(id, branch, request),
            Ok(Heard::Refused { id: request, code, message }) => {
                self.counters.refused.one();
                tracing::error!(connection = id, request, code, %message, "the venue refused a subscription");
                self.answered(id, branch, request);
            }
            Ok(Heard::ShuttingDown) => {
                tracing::info!(connection = id, "the venue will close this connection");
                self.branches[branch].lane.shutdown_announced(id, Instant::now());
            }
            Ok(Heard::TooOld { .. } | Heard::Instruments { .. }) => {}
            Err(error) => self.bad_message(&error),
        }
    }

    fn answered(&mut self, id: ConnectionId, branch: usize, request: Option<u64>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if let Some(request) = request {
            connection.unanswered.remove(&request);
        }
        if connection.unsent == 0 && connection.unanswered.is_empty() {
            self.branches[branch].lane.subscribed(id, Instant::now());
        }
    }

    fn bad_message(&mut self, error: &FeedError) {
        self.counters.bad_messages.one();
        if let Some(held_back) = self.bad.may_log(Instant::now()) {
            tracing::warn!(%error, held_back, "a message was left out");
        }
    }

    fn ended<S: Sink, T: FnMut(Tapped<'_>)>(
        &mut self,
        id: ConnectionId,
        end: &SessionEnd,
        received: Millis,
        sink: &mut S,
        tap: &mut T,
    ) {
        let Some(Connection { branch, .. }) = self.connections.remove(&id) else { return };
        let now = Instant::now();
        tap(Tapped { received, connection: id, what: Raw::Ended { why: &end.to_string() } });
        let loss = self.branches[branch].lane.ended(id, now, &mut self.random);
        if loss == Loss::Interrupted || !matches!(end, SessionEnd::Left) {
            self.counters.ends.one();
            tracing::warn!(connection = id, %end, ?loss, "a connection ended");
        }
        if loss == Loss::Interrupted {
            self.counters.interruptions.one();
            let Branch { feed, plan, .. } = &mut self.branches[branch];
            feed.disconnected(received, sink);
            plan.books.iter().for_each(|symbol| self.resync.forget(*symbol));
        }
        if let SessionEnd::NotOpened(ConnectError::Refused { retry_after: Some(wait), .. }) = end {
            self.counters.holds.one();
            self.branches.iter_mut().for_each(|branch| branch.lane.hold(now + *wait));
        }
    }

    fn in_order(&mut self, received: Millis) -> Millis {
        self.latest = self.latest.max(received);
        self.latest
    }

    /// A session that panicked could not say that it ended.
    fn session_task_failed<S: Sink, T: FnMut(Tapped<'_>)>(
        &mut self,
        task: task::Id,
        sink: &mut S,
        tap: &mut T,
    ) {
        let failed = self.connections.iter().find(|(_, connection)| connection.task == task);
        if let Some(id) = failed.map(|(id, _)| *id) {
            self.ended(id, &SessionEnd::Failed, self.latest, sink, tap);
        }
    }

    async fn end(mut self) {
        self.requests.shutdown().await;
        self.connections.keys().for_each(|id| self.leave(*id));
        // A session may be waiting for room in the queue before it hears that it may leave.
        let draining = async {
            while !self.sessions.is_empty() {
                tokio::select! {
                    _ = self.sessions.join_next() => {}
                    _ = self.reports.1.recv() => {}
                }
            }
        };
        if timeout(GOODBYE, draining).await.is_err() {
            self.sessions.shutdown().await;
        }
    }
}

/// How many messages are taken before timers and rare events get their turn.
const BATCH: usize = 64;

/// How much later than promised a ping may come.
const PING_GRACE: Duration = Duration::from_secs(40);

/// With nothing due, somebody looks all the same.
const LONGEST_NAP: Duration = Duration::from_secs(60);

/// For all sessions to leave when the source is stopped; each has a second for that.
const GOODBYE: Duration = Duration::from_millis(1_500);

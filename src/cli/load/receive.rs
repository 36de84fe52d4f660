//! One thread of receivers: opens them, reads them, lets them go.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Token};

use super::connect::Queue;
use super::conversation::{Ear, Stage, Violations};
use super::ending::Ending;
use super::latency::{Latencies, Stamp};
use super::plan::{Habit, Plan};
use super::seat::{Appetite, Seat, Still};
use super::tally::{Control, Tally};
use crate::clock::FineClock;

/// A thread's receivers. One buffer serves all of them.
pub(super) struct Lane<'a> {
    plan: &'a Plan,
    control: &'a Control,
    clock: FineClock,
    server: SocketAddr,
    poll: Poll,
    seats: Vec<Seat>,
    queue: Queue,
    deadlines: BinaryHeap<Reverse<Deadline>>,
    scratch: Vec<u8>,
    ear: Ear,
    bytes: u64,
    phase: Phase,
    stopped_read_again: bool,
    regular: Regular,
    tally: Tally,
}

/// Nanoseconds since 1970, a seat, and its turn for which the deadline is meant.
type Deadline = (u64, usize, u32);

/// How far the run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Receivers come; then everything warms up.
    Opening,
    /// Since so many messages and bytes it is measured.
    Measured { messages: u64, bytes: u64 },
    /// What was on its way arrives.
    Over,
    /// Everybody leaves.
    Leaving,
}

/// What is done now and then.
#[derive(Clone, Copy, Debug)]
struct Regular {
    last: u64,
    messages: u64,
    slow_last: u64,
}

impl<'a> Lane<'a> {
    /// The receivers of thread `lane`: every so-many-th of all.
    pub(super) fn new(
        plan: &'a Plan,
        control: &'a Control,
        clock: FineClock,
        server: SocketAddr,
        lane: usize,
    ) -> io::Result<Lane<'a>> {
        let now = clock.now();
        let seat = |number| Seat::new(number, plan.habit(number));
        let seats: Vec<_> = (lane..plan.connections).step_by(plan.threads).map(seat).collect();
        let share = |whole: usize| whole.div_ceil(plan.threads);
        let waiting: VecDeque<_> = (0..seats.len()).collect();
        let mut random = fastrand::Rng::with_seed(plan.seed.wrapping_add(lane as u64));
        let stamp = if plan.stamped { Stamp::Publisher } else { Stamp::Engine };
        let latencies = Latencies::new(clock, stamp, random.u64(..));
        Ok(Lane {
            plan,
            control,
            clock,
            server,
            poll: Poll::new()?,
            seats,
            queue: Queue::new(waiting, share(plan.pace), share(MOST_UNSETTLED), now),
            deadlines: BinaryHeap::new(),
            scratch: vec![0; SCRATCH],
            ear: Ear { messages: 0, latencies, violations: Violations::default(), random },
            bytes: 0,
            phase: Phase::Opening,
            stopped_read_again: false,
            regular: Regular { last: now, messages: 0, slow_last: now },
            tally: Tally::default(),
        })
    }

    /// Runs until everybody has left.
    ///
    /// # Errors
    /// When the kernel no longer tells what happens to sockets.
    pub(super) fn run(mut self) -> io::Result<Tally> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            match self.poll.poll(&mut events, Some(self.patience())) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                Ok(()) | Err(_) => {}
            }
            let now = self.clock.now();
            self.change_phase(now);
            for event in &events {
                self.happened(event, now);
            }
            self.expire(now);
            self.open(now);
            self.now_and_then(now);
            let empty = || self.seats.iter().all(|seat| seat.connection.is_none());
            if self.phase == Phase::Leaving && empty() {
                self.tally.received = self.ear.messages;
                self.tally.checked.violations = self.ear.violations;
                return Ok(self.tally);
            }
        }
    }

    /// How long nothing has to be done but what sockets ask for.
    fn patience(&self) -> Duration {
        let now = self.clock.now();
        let moments = [&self.control.begin, &self.control.end, &self.control.leave];
        let moments = moments.map(|moment| moment.load(Ordering::Relaxed));
        let deadline = self.deadlines.peek().map(|Reverse((at, ..))| *at);
        let next = moments.into_iter().chain(deadline).filter(|&at| at > now).min();
        let wait = Duration::from_nanos(next.map_or(u64::MAX, |at| at - now));
        let slow = if self.plan.slow.receivers > 0 { SLOW_TURN } else { REGULAR };
        wait.min(slow).min(self.queue.pause().unwrap_or(REGULAR))
    }

    fn change_phase(&mut self, now: u64) {
        let is_past = |moment: &std::sync::atomic::AtomicU64| moment.load(Ordering::Relaxed) <= now;
        if self.phase == Phase::Opening && is_past(&self.control.begin) {
            self.phase = Phase::Measured { messages: self.ear.messages, bytes: self.bytes };
            self.ear.latencies.begin();
            for at in 0..self.seats.len() {
                self.plan_to_leave(at, now);
            }
        }
        if let (Phase::Measured { .. }, Some(after)) = (self.phase, self.plan.resume_after) {
            let begin = self.control.begin.load(Ordering::Relaxed);
            if !self.stopped_read_again && now >= begin.saturating_add(nanos(after)) {
                self.stopped_read_again = true;
                self.wake(|habit| habit == Habit::Stops, now);
            }
        }
        if let (Phase::Measured { messages, bytes }, true) = (self.phase, is_past(&self.control.end)) {
            self.phase = Phase::Over;
            self.queue.clear();
            self.tally.deliveries = self.ear.messages - messages;
            self.tally.bytes = self.bytes - bytes;
            self.tally.latencies = Some(self.ear.latencies.histogram().clone());
            self.look_at_checkers();
        }
        if self.phase == Phase::Over && is_past(&self.control.leave) {
            self.phase = Phase::Leaving;
            self.wake(|_| true, now);
            for at in 0..self.seats.len() {
                self.let_go(at, now);
            }
        }
    }

    fn look_at_checkers(&mut self) {
        for seat in &self.seats {
            let Some(connection) = seat.connection.as_ref().filter(|connection| connection.runs) else {
                continue;
            };
            self.tally.open_at_end += 1;
            let numbers = connection.conversation.checker().into_iter().flat_map(|checker| checker.numbers());
            let numbers = numbers.map(|(topic, seq)| (seat.habit, topic.to_owned(), seq));
            self.tally.checked.numbers.extend(numbers);
        }
    }

    /// Lets those read again that did not.
    fn wake(&mut self, who: impl Fn(Habit) -> bool, now: u64) {
        for at in 0..self.seats.len() {
            let seat = &mut self.seats[at];
            let Some(connection) = seat.connection.as_mut().filter(|it| it.paused && who(seat.habit)) else {
                continue;
            };
            let watched = connection.widen().and_then(|()| connection.watch(self.poll.registry(), Token(at)));
            if let Err(error) = watched {
                self.end(at, Some(Ending::Broken(error.kind())), now);
            }
        }
    }

    fn happened(&mut self, event: &Event, now: u64) {
        let over = event.is_read_closed() || event.is_error();
        self.go_on(event.token().0, if over { Appetite::ToTheEnd } else { Appetite::All }, now);
    }

    /// Goes on with one connection.
    #[inline]
    fn go_on(&mut self, at: usize, appetite: Appetite, now: u64) {
        let Some(connection) = &mut self.seats[at].connection else { return };
        match connection.go_on(&mut self.scratch, appetite, &mut self.ear, &mut self.bytes) {
            Ok(Still::Open) => {}
            Ok(Still::More) if connection.paused => {}
            Ok(Still::More) => {
                if let Err(error) = connection.watch_again(self.poll.registry(), Token(at)) {
                    return self.end(at, Some(Ending::Broken(error.kind())), now);
                }
            }
            Ok(Still::Gone) => return self.end(at, None, now),
            Err(ending) => return self.end(at, Some(ending), now),
        }
        if !connection.runs && connection.conversation.stage() == Stage::Running {
            self.subscribed(at, now);
        }
    }

    /// A receiver has what it came for.
    fn subscribed(&mut self, at: usize, now: u64) {
        let again = self.stopped_read_again;
        let seat = &mut self.seats[at];
        let Some(connection) = &mut seat.connection else { return };
        connection.runs = true;
        self.tally.subscribed += 1;
        self.control.open.fetch_add(1, Ordering::Relaxed);
        let pauses = match seat.habit {
            Habit::Reads => false,
            Habit::Stops => !again,
            Habit::Dawdles => true,
        };
        if pauses && let Err(error) = connection.pause(self.poll.registry()) {
            return self.end(at, Some(Ending::Broken(error.kind())), now);
        }
        self.settle(at);
        match self.phase {
            Phase::Measured { .. } => self.plan_to_leave(at, now),
            Phase::Leaving => self.let_go(at, now),
            Phase::Opening | Phase::Over => {}
        }
    }

    /// The opening of a connection has come to its end, for better or worse.
    fn settle(&mut self, at: usize) {
        let seat = &mut self.seats[at];
        seat.turn += 1;
        self.queue.settle();
        if !std::mem::replace(&mut seat.settled, true) {
            self.control.settled.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Where receivers come and go: this one goes after a while, not all at the same moment.
    fn plan_to_leave(&mut self, at: usize, now: u64) {
        let (Some(stay), seat) = (self.plan.churn, &self.seats[at]) else { return };
        if seat.connection.as_ref().is_some_and(|connection| connection.runs) {
            let stay = nanos(stay);
            let stay = self.ear.random.u64(stay - stay / 4..=stay + stay / 4);
            self.deadlines.push(Reverse((now + stay, at, seat.turn)));
        }
    }

    /// Says goodbye, or hangs up where nothing was said yet.
    fn let_go(&mut self, at: usize, now: u64) {
        let seat = &mut self.seats[at];
        let Some(connection) = &mut seat.connection else { return };
        match connection.conversation.stage() {
            Stage::Upgrading | Stage::Subscribing => return self.end(at, None, now),
            Stage::Leaving => return,
            Stage::Running => {}
        }
        connection.conversation.leave(&mut self.ear.random);
        seat.turn += 1;
        self.deadlines.push(Reverse((now + nanos(GOODBYE), at, seat.turn)));
        if connection.paused
            && let Err(error) = connection.watch(self.poll.registry(), Token(at))
        {
            return self.end(at, Some(Ending::Broken(error.kind())), now);
        }
        self.go_on(at, Appetite::All, now);
    }

    /// Does what deadlines ask for.
    fn expire(&mut self, now: u64) {
        while let Some(&Reverse((when, at, turn))) = self.deadlines.peek() {
            if when > now {
                return;
            }
            self.deadlines.pop();
            let seat = &self.seats[at];
            let Some(connection) = seat.connection.as_ref().filter(|_| seat.turn == turn) else { continue };
            match connection.conversation.stage() {
                Stage::Upgrading | Stage::Subscribing => {
                    let late = Ending::TimedOut(connection.step());
                    self.end(at, Some(late), now);
                }
                // Some people just close the lid.
                Stage::Running if self.ear.random.u8(..4) == 0 => {
                    self.tally.vanished += 1;
                    self.end(at, None, now);
                }
                Stage::Running => self.let_go(at, now),
                Stage::Leaving => self.end(at, None, now),
            }
        }
    }

    /// A connection is over.
    fn end(&mut self, at: usize, ending: Option<Ending>, now: u64) {
        let Some(connection) = self.seats[at].connection.take() else { return };
        if let Some(checker) = connection.conversation.checker() {
            self.tally.checked.receivers += 1;
            self.tally.checked.messages += checker.messages;
        }
        let leaves = connection.conversation.stage() == Stage::Leaving;
        match ending {
            Some(ending) => self.tally.failures.count(&ending),
            None if connection.conversation.was_answered() => self.tally.left += 1,
            None if leaves => self.tally.unanswered += 1,
            None => {}
        }
        if connection.runs {
            self.control.open.fetch_sub(1, Ordering::Relaxed);
            self.seats[at].turn += 1;
        } else {
            self.settle(at);
        }
        if self.plan.churn.is_some() && matches!(self.phase, Phase::Measured { .. }) {
            self.queue.again(at, now);
        }
    }

    /// Opens as many as the pace allows.
    fn open(&mut self, now: u64) {
        while let Some(at) = self.queue.next(now) {
            let (seat, watched) = (&mut self.seats[at], (self.poll.registry(), Token(at)));
            match seat.open(self.plan, self.server, &mut self.ear.random, watched) {
                Ok(()) => self.deadlines.push(Reverse((now + nanos(HANDSHAKE), at, seat.turn))),
                Err(error) => {
                    self.tally.failures.count(&Ending::Unconnected(error.kind()));
                    self.settle(at);
                }
            }
        }
    }

    /// What needs to be done regularly, whatever sockets do.
    fn now_and_then(&mut self, now: u64) {
        let since = Duration::from_nanos(now.saturating_sub(self.regular.last));
        if since >= REGULAR {
            let messages = self.ear.messages - self.regular.messages;
            self.ear.latencies.adapt(messages, since);
            self.control.messages.fetch_add(messages, Ordering::Relaxed);
            (self.regular.last, self.regular.messages) = (now, self.ear.messages);
        }
        let since = Duration::from_nanos(now.saturating_sub(self.regular.slow_last));
        if self.plan.slow.receivers > 0 && since >= SLOW_TURN {
            self.regular.slow_last = now;
            let most = self.plan.slow.bytes_per_second as u128 * since.as_millis() / 1_000;
            let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
            for at in 0..self.seats.len() {
                if self.seats[at].dawdles() {
                    self.go_on(at, Appetite::Bytes(most), now);
                }
            }
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The buffer that all connections of a thread are read through: whatever the kernel holds of one
/// comes in one read.
const SCRATCH: usize = 256 << 10;

/// Sockets told of at once.
const EVENTS: usize = 1_024;

/// Connections that may be connecting, upgrading or subscribing at one time.
const MOST_UNSETTLED: usize = 512;

/// From the first packet to the subscription: servers that take longer have failed.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// For the answer to a goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// How often slow receivers read.
const SLOW_TURN: Duration = Duration::from_millis(20);

/// How often counts are told and the sample is adapted.
const REGULAR: Duration = Duration::from_millis(50);

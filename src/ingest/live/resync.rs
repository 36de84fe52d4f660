//! Which book is asked for next, and when: in turn, at the venue's pace, and again after failures.
//!
//! A state machine without sockets: `now` is an argument.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::backoff::{Backoff, BackoffPolicy};
use super::pace::Pace;
use crate::market::SymbolId;

/// The limits of [`Resync`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResyncLimits {
    /// The shortest time between two requests.
    pub(crate) gap: Duration,
    /// The most weight in `window`.
    pub(crate) weight: u32,
    /// See `weight`.
    pub(crate) window: Duration,
    /// What one request weighs.
    pub(crate) request_weight: u32,
    /// The most requests under way.
    pub(crate) in_flight: usize,
    /// Waits between requests for the same book.
    pub(crate) retry: BackoffPolicy,
}

/// The books that are to be asked for.
#[derive(Debug)]
pub(crate) struct Resync {
    limits: ResyncLimits,
    gap: Pace,
    weight: Pace,
    /// The venue wants to hear nothing until then.
    held_until: Option<Instant>,
    asks: FxHashMap<SymbolId, Ask>,
    /// What is due, the earliest first: the same as the asks in [`AskState::Due`].
    due: BTreeSet<(Instant, SymbolId)>,
    in_flight: usize,
    tickets: u64,
}

#[derive(Debug)]
struct Ask {
    state: AskState,
    backoff: Backoff,
    asked_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AskState {
    /// The book is well, or cannot be helped yet.
    Idle,
    /// To be asked for from then on.
    Due(Instant),
    /// Asked for.
    Asked(Ticket),
}

/// Tells the answer that is waited for from one that came too late to matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

impl Resync {
    /// Nothing to ask for; `spent` is the weight of what was asked for until `now`.
    pub(crate) fn new(limits: ResyncLimits, now: Instant, spent: u32) -> Resync {
        let (mut gap, mut weight) = (Pace::new(1, limits.gap), Pace::new(limits.weight, limits.window));
        gap.take(now, 1);
        weight.take(now, spent);
        Resync {
            limits,
            gap,
            weight,
            held_until: None,
            asks: FxHashMap::default(),
            due: BTreeSet::new(),
            in_flight: 0,
            tickets: 0,
        }
    }

    /// Says that a book needs a snapshot. True when that is new.
    pub(crate) fn want(&mut self, symbol: SymbolId, now: Instant, random: &mut Rng) -> bool {
        let retry = self.limits.retry;
        let ask = self.asks.entry(symbol).or_insert_with(|| Ask {
            state: AskState::Idle,
            backoff: Backoff::new(retry),
            asked_at: None,
        });
        if ask.state != AskState::Idle {
            return false;
        }
        // At once, unless it was asked for just now: a book that breaks again and again must not
        // use up what the venue allows to all of them.
        let worked = ask.asked_at.map_or(retry.stable, |at| now - at);
        let wait = if worked >= retry.stable { Duration::ZERO } else { ask.backoff.after(worked, random) };
        if wait.is_zero() {
            ask.backoff = Backoff::new(retry);
        }
        self.put(symbol, AskState::Due(now + wait));
        true
    }

    /// The book to ask for now, if there is one.
    pub(crate) fn next(&mut self, now: Instant) -> Option<(SymbolId, Ticket)> {
        if self.next_due(now)? > now {
            return None;
        }
        let (_, symbol) = self.due.first().copied()?;
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.put(symbol, AskState::Asked(ticket));
        if let Some(ask) = self.asks.get_mut(&symbol) {
            ask.asked_at = Some(now);
        }
        self.gap.take(now, 1);
        self.weight.take(now, self.limits.request_weight);
        Some((symbol, ticket))
    }

    /// When [`Resync::next`] may have something; `None` until something else happens.
    pub(crate) fn next_due(&mut self, now: Instant) -> Option<Instant> {
        let (due, _) = self.due.first().copied()?;
        if self.in_flight >= self.limits.in_flight {
            return None;
        }
        let paced = self.gap.ready_at(now, 1).max(self.weight.ready_at(now, self.limits.request_weight));
        Some(due.max(paced).max(self.held_until.unwrap_or(now)))
    }

    /// Whether the answer with this ticket is still waited for.
    pub(crate) fn expects(&self, symbol: SymbolId, ticket: Ticket) -> bool {
        self.asks.get(&symbol).is_some_and(|ask| ask.state == AskState::Asked(ticket))
    }

    /// Says that the answer for a book was taken.
    pub(crate) fn done(&mut self, symbol: SymbolId) {
        self.put(symbol, AskState::Idle);
    }

    /// Says that there was no answer, or none of use: the book is asked for again, later.
    pub(crate) fn failed(&mut self, symbol: SymbolId, now: Instant, random: &mut Rng) {
        let Some(ask) = self.asks.get_mut(&symbol) else { return };
        let wait = ask.backoff.after(Duration::ZERO, random);
        self.put(symbol, AskState::Due(now + wait));
    }

    /// Says that a book cannot be helped for now; an answer under way is of no use any more.
    pub(crate) fn forget(&mut self, symbol: SymbolId) {
        if self.asks.contains_key(&symbol) {
            self.put(symbol, AskState::Idle);
        }
    }

    /// Asks for nothing until then.
    pub(crate) fn hold(&mut self, until: Instant) {
        self.held_until = self.held_until.max(Some(until));
    }

    /// The only writer of an [`AskState`]: keeps what is counted beside it.
    fn put(&mut self, symbol: SymbolId, state: AskState) {
        let Some(ask) = self.asks.get_mut(&symbol) else { return };
        match std::mem::replace(&mut ask.state, state) {
            AskState::Idle => {}
            AskState::Due(at) => {
                self.due.remove(&(at, symbol));
            }
            AskState::Asked(_) => self.in_flight -= 1,
        }
        match state {
            AskState::Idle => {}
            AskState::Due(at) => {
                self.due.insert((at, symbol));
            }
            AskState::Asked(_) => self.in_flight += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ResyncLimits = ResyncLimits {
        gap: Duration::from_millis(250),
        weight: 1_000,
        window: Duration::from_secs(60),
        request_weight: 250,
        in_flight: 3,
        retry: BackoffPolicy {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(8),
            stable: Duration::from_secs(60),
        },
    };

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn books_are_asked_for_in_turn_and_at_the_venues_pace() {
        let (start, mut random) = (Instant::now(), Rng::with_seed(1));
        let mut resync = Resync::new(LIMITS, start, 20);
        for symbol in 0..5 {
            assert!(resync.want(SymbolId(symbol), start, &mut random));
            assert!(!resync.want(SymbolId(symbol), start, &mut random), "it is known already");
        }
        let mut asked = Vec::new();
        let mut now = start;
        while let Some(due) = resync.next_due(now) {
            now = due;
            let (symbol, ticket) = resync.next(now).unwrap();
            assert!(resync.expects(symbol, ticket));
            asked.push((symbol.0, (now - start).as_millis()));
        }
        assert_eq!(asked, [(0, 250), (1, 500), (2, 750)], "then three are under way");
        resync.done(SymbolId(0));
        assert_eq!(resync.next_due(now), Some(at(start, 60_000)), "then the minute's weight is spent");
    }

    #[test]
    fn a_failed_request_is_made_again_after_growing_waits() {
        let (start, mut random) = (Instant::now(), Rng::with_seed(1));
        let mut resync = Resync::new(ResyncLimits { weight: 1_000_000, ..LIMITS }, start, 0);
        resync.want(SymbolId(0), start, &mut random);
        let mut now = start;
        for _ in 0..9 {
            now = resync.next_due(now).unwrap();
            resync.next(now).unwrap();
            resync.failed(SymbolId(0), now, &mut random);
            assert!(resync.next_due(now).unwrap() <= now + LIMITS.retry.longest);
        }
        assert_eq!(resync.asks[&SymbolId(0)].backoff.limit(), LIMITS.retry.longest);
    }

    #[test]
    fn a_book_that_breaks_again_waits_and_one_that_was_well_does_not() {
        let (start, mut random) = (Instant::now(), Rng::with_seed(1));
        let mut resync = Resync::new(LIMITS, start, 0);
        resync.want(SymbolId(0), start, &mut random);
        resync.next(at(start, 250)).unwrap();
        resync.done(SymbolId(0));
        resync.want(SymbolId(0), at(start, 500), &mut random);
        assert!(resync.next_due(at(start, 500)).unwrap() > at(start, 500));
        let well = at(start, 250) + LIMITS.retry.stable;
        resync.forget(SymbolId(0));
        resync.want(SymbolId(0), well, &mut random);
        assert_eq!(resync.next_due(well), Some(well));
    }

    #[test]
    fn an_answer_to_a_forgotten_request_is_not_expected() {
        let (start, mut random) = (at(Instant::now(), 0), Rng::with_seed(1));
        let mut resync = Resync::new(LIMITS, start, 0);
        resync.want(SymbolId(0), start, &mut random);
        let (symbol, first) = resync.next(at(start, 250)).unwrap();
        resync.forget(symbol);
        assert!(!resync.expects(symbol, first));
        resync.want(symbol, at(start, 300), &mut random);
        let (_, second) = resync.next(at(start, 9_000)).unwrap();
        assert!(resync.expects(symbol, second) && !resync.expects(symbol, first));
    }

    #[test]
    fn nothing_is_asked_for_while_the_venue_wants_to_hear_nothing() {
        let (start, mut random) = (Instant::now(), Rng::with_seed(1));
        let mut resync = Resync::new(LIMITS, start, 0);
        resync.want(SymbolId(0), start, &mut random);
        resync.hold(at(start, 60_000));
        resync.hold(at(start, 1_000));
        assert_eq!(resync.next_due(at(start, 500)), Some(at(start, 60_000)));
        assert!(resync.next(at(start, 59_999)).is_none());
        assert!(resync.next(at(start, 60_000)).is_some());
    }
}

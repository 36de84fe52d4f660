//! The supervisor's REST half: asking for books that have none or have a hole.

use std::sync::PoisonError;

use tokio::time::Instant;

use super::super::instruments::{asked_away, rest_limits};
use super::super::rest::{self, Answer, RestError};
use super::super::resync::Ticket;
use super::super::tap::{Raw, Tapped};
use super::Supervisor;
use crate::ingest::Sink;
use crate::ingest::binance::Heard;
use crate::market::{Millis, SymbolId};

/// A request for a book has ended.
pub(super) struct BookAnswer {
    symbol: SymbolId,
    ticket: Ticket,
    path: String,
    received: Millis,
    answer: Result<Answer, RestError>,
}

impl Supervisor {
    /// Makes the requests whose time has come, for books that something subscribed can carry on.
    pub(super) fn ask_for_books(&mut self, now: Instant) {
        for branch in self.branches.iter().filter(|branch| branch.lane.is_subscribed()) {
            for symbol in branch.feed.wanting() {
                self.resync.want(symbol, now, &mut self.random);
            }
        }
        while let Some((symbol, ticket)) = self.resync.next(now) {
            let name = self.symbols.with(|table| table.name(symbol).cloned());
            let path = self.venue.rules.depth_path(name.as_deref().unwrap_or_default());
            let (connector, endpoint) = (self.venue.connector.clone(), self.venue.rest.clone());
            let (limits, clock) = (rest_limits(&self.config), self.clock.clone());
            self.counters.snapshots_asked.one();
            self.requests.spawn(async move {
                let answer = rest::get(&connector, &endpoint, &path, limits).await;
                let received = clock.lock().unwrap_or_else(PoisonError::into_inner).now();
                BookAnswer { symbol, ticket, path, received, answer }
            });
        }
    }

    /// Passes the answer to a request on, and sees to it that it is made again where it was of no use.
    pub(super) fn take_book<S: Sink, T: FnMut(Tapped<'_>)>(
        &mut self,
        book: BookAnswer,
        sink: &mut S,
        tap: &mut T,
    ) {
        let BookAnswer { symbol, ticket, path, received, answer } = book;
        let (now, received) = (Instant::now(), self.in_order(received));
        if let Ok(Answer { status, body, .. }) = &answer {
            let what = Raw::Answer { path: &path, status: *status, body };
            tap(Tapped { received, connection: 0, what });
        }
        if let Some(wait) = answer.as_ref().ok().and_then(asked_away) {
            self.counters.holds.one();
            tracing::warn!(path, ?wait, "the venue wants to be asked for nothing");
            self.resync.hold(now + wait);
        }
        if !self.resync.expects(symbol, ticket) {
            return;
        }
        let taken = match answer {
            Ok(Answer { status: 200, body, .. }) => self.read_book(symbol, received, &body, sink),
            Ok(Answer { status, .. }) => {
                self.counters.rest_failures.one();
                tracing::warn!(path, status, "no book");
                false
            }
            Err(error) => {
                self.counters.rest_failures.one();
                tracing::warn!(path, %error, "no book");
                false
            }
        };
        if taken {
            self.counters.snapshots_taken.one();
            tracing::debug!(path, "a book begins");
            self.resync.done(symbol);
        } else {
            self.resync.failed(symbol, now, &mut self.random);
        }
    }

    /// True when the feed took the book.
    fn read_book<S: Sink>(&mut self, symbol: SymbolId, received: Millis, body: &[u8], sink: &mut S) -> bool {
        let name = self.symbols.with(|table| table.name(symbol).cloned()).unwrap_or_default();
        let Some(branch) = self.branches.iter_mut().find(|branch| branch.plan.books.contains(&symbol)) else {
            return false;
        };
        match branch.feed.depth(received, &name, &mut body.to_vec(), sink) {
            Ok(Heard::TooOld { .. }) => {
                self.counters.snapshots_too_old.one();
                false
            }
            Ok(Heard::Refused { code, message, .. }) => {
                self.counters.rest_failures.one();
                tracing::warn!(%name, code, %message, "the venue refused a book");
                false
            }
            Ok(Heard::Market) => true,
            // Not what a book can be answered with.
            Ok(Heard::Instruments { .. } | Heard::Answer { .. } | Heard::ShuttingDown) => false,
            Err(error) => {
                self.bad_message(&error);
                false
            }
        }
    }

    /// Which request it was is not known, and all of them can be made again.
    pub(super) fn request_task_failed(&mut self) {
        self.requests.abort_all();
        let books = self.branches.iter().flat_map(|branch| &branch.plan.books);
        books.for_each(|symbol| self.resync.forget(*symbol));
    }
}

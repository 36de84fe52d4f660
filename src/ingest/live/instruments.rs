//! The venue's list of instruments, asked for before anything else: which symbols there are, and
//! the scales of their prices.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::time::sleep;

use super::backoff::Backoff;
use super::config::LiveConfig;
use super::counters::LiveCounters;
use super::rest::{self, Answer, RestLimits};
use super::tap::{Raw, Tapped};
use super::{Sink, Venue};
use crate::clock::Clock;
use crate::ingest::binance::{Feed, Heard, UnknownSymbols};
use crate::market::{Millis, SymbolId, Symbols};

/// What is needed to ask for the list.
pub(crate) struct Instruments<'a> {
    pub(crate) config: &'a LiveConfig,
    pub(crate) venue: &'a Venue,
    pub(crate) symbols: &'a Arc<Symbols>,
    pub(crate) clock: &'a Mutex<Clock>,
    pub(crate) counters: &'a LiveCounters,
}

impl Instruments<'_> {
    /// Asks until there is a list, passes the scales on, and keeps those of `wanted` that are on it.
    pub(crate) async fn fetch(
        &self,
        wanted: &[(SymbolId, Arc<str>)],
        sink: &mut impl Sink,
        tap: &mut impl FnMut(Tapped<'_>),
        random: &mut Rng,
    ) -> Vec<(SymbolId, Arc<str>)> {
        let mut backoff = Backoff::new(self.config.retry);
        loop {
            let asked_away = match self.ask(tap).await {
                Some((received, answer)) if answer.status == 200 => {
                    if let Some(listed) = self.take(received, &answer, wanted, sink) {
                        return listed;
                    }
                    None
                }
                Some((_, answer)) => asked_away(&answer),
                None => None,
            };
            self.counters.rest_failures.one();
            let wait = backoff.after(Duration::ZERO, random);
            if asked_away.is_some() {
                self.counters.holds.one();
            }
            sleep(wait.max(asked_away.unwrap_or_default())).await;
        }
    }

    async fn ask(&self, tap: &mut impl FnMut(Tapped<'_>)) -> Option<(Millis, Answer)> {
        let path = self.venue.rules.instruments_path();
        let limits = rest_limits(self.config);
        match rest::get(&self.venue.connector, &self.venue.rest, &path, limits).await {
            Ok(answer) => {
                let received = self.clock.lock().unwrap_or_else(PoisonError::into_inner).now();
                let what = Raw::Answer { path: &path, status: answer.status, body: &answer.body };
                tap(Tapped { received, connection: 0, what });
                if answer.status != 200 {
                    tracing::warn!(path, status = answer.status, "no list of instruments");
                }
                Some((received, answer))
            }
            Err(error) => {
                tracing::warn!(path, %error, "no list of instruments");
                None
            }
        }
    }

    fn take(
        &self,
        received: Millis,
        answer: &Answer,
        wanted: &[(SymbolId, Arc<str>)],
        sink: &mut impl Sink,
    ) -> Option<Vec<(SymbolId, Arc<str>)>> {
        let mut feed = Feed::new(self.config.market, self.symbols.clone(), UnknownSymbols::Refuse);
        let known = match feed.exchange_info(received, &mut answer.body.to_vec(), sink) {
            Ok(Heard::Instruments { known }) => known,
            Ok(other) => {
                tracing::warn!(?other, "no list of instruments");
                return None;
            }
            Err(error) => {
                self.counters.bad_messages.one();
                tracing::warn!(%error, "the list of instruments is of no use");
                return None;
            }
        };
        let (listed, missing): (Vec<_>, Vec<_>) =
            wanted.iter().cloned().partition(|(id, _)| known.contains(id));
        for (_, symbol) in missing {
            let market = self.config.market.name();
            tracing::error!(%symbol, market, "the venue does not list this symbol; it is left out");
        }
        Some(listed)
    }
}

/// How long the venue wants us to stay away, if it does.
pub(crate) fn asked_away(answer: &Answer) -> Option<Duration> {
    let at_least = match answer.status {
        TOO_MANY_REQUESTS => Duration::from_secs(60),
        // The shortest ban that the venue names.
        BANNED => Duration::from_secs(120),
        _ => return None,
    };
    Some(answer.retry_after.unwrap_or(at_least))
}

/// The limits of every REST request.
pub(crate) fn rest_limits(config: &LiveConfig) -> RestLimits {
    RestLimits {
        connect: config.connect_deadline,
        whole: config.rest_deadline,
        body_bytes: config.rest_bytes,
    }
}

const TOO_MANY_REQUESTS: u16 = 429;
const BANNED: u16 = 418;

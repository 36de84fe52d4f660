//! A live market: connections to Binance that are opened, paced, watched, renewed and healed.
//!
//! ```text
//! session ─┐ reports, in order      ┌▶ Feed ─▶ Sink
//! session ─┼──────────────▶ supervisor
//! session ─┘                        └▶ REST requests for books that have a hole
//! ```
//!
//! One task, the supervisor, owns all state and understands all messages; a session only carries
//! bytes. It is meant for a thread of its own with a current-thread runtime, so that
//! [`Sink::put`] may wait: then the queue of reports fills, the sessions stop reading, and the
//! venue's own buffers hold what is to come.

mod backoff;
mod config;
mod connect;
mod counters;
mod instruments;
mod lane;
mod pace;
mod plan;
mod rest;
mod resync;
mod rules;
mod session;
mod socket;
mod supervisor;
mod tap;

use std::sync::{Arc, Mutex};

use tokio::sync::watch;

pub use backoff::{Backoff, BackoffPolicy};
pub use config::{DepthSpeed, LiveConfig, LiveError};
pub use connect::{BadUrl, ConnectError, Endpoint};
pub(crate) use connect::{ConnectDeadlines, Connector};
pub use counters::{Counter, LiveCounters};
pub use pace::Pace;
pub use rest::RestError;
pub(crate) use rest::{RestLimits, get};
pub use session::SessionEnd;
pub use socket::SocketError;
pub(crate) use socket::{Message, split};
pub use tap::{Raw, Tapped};

use self::instruments::Instruments;
use self::rules::Rules;
use self::supervisor::Supervisor;
use super::Sink;
use crate::clock::Clock;
use crate::market::{SymbolId, Symbols};

/// Follows the symbols of `config` until `stop` turns true or its sender is gone.
///
/// `tap` sees everything that passes between us and the venue, before it is understood. Nothing
/// that the venue does ends this: it waits and tries again.
///
/// # Errors
/// [`LiveError`] when the configuration leaves nothing to follow.
pub async fn run<S: Sink, T: FnMut(Tapped<'_>)>(
    config: LiveConfig,
    symbols: Arc<Symbols>,
    mut sink: S,
    clock: Clock,
    mut tap: T,
    counters: Arc<LiveCounters>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), LiveError> {
    let rules = Rules::of(config.market);
    let venue = Venue {
        rules,
        connector: Connector::new()?,
        ws: endpoint("ws_url", config.ws_url.as_deref().unwrap_or(rules.ws_url))?,
        rest: endpoint("rest_url", config.rest_url.as_deref().unwrap_or(rules.rest_url))?,
    };
    let mut random = config.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
    let clock = Arc::new(Mutex::new(clock));
    let wanted = wanted(&config, &symbols)?;
    let instruments =
        Instruments { config: &config, venue: &venue, symbols: &symbols, clock: &clock, counters: &counters };
    let fetching = instruments.fetch(&wanted, &mut sink, &mut tap, &mut random);
    let listed = tokio::select! {
        listed = fetching => listed,
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    };
    if listed.is_empty() {
        return Err(LiveError::NothingToFollow { market: config.market.name(), symbols: config.symbols });
    }
    let supervisor = Supervisor::new(config, venue, (symbols, listed), clock, counters, random);
    supervisor.run(&mut sink, &mut tap, stop).await;
    Ok(())
}

/// A market and how to reach it.
pub(crate) struct Venue {
    rules: &'static Rules,
    connector: Connector,
    ws: Endpoint,
    rest: Endpoint,
}

fn endpoint(key: &'static str, url: &str) -> Result<Endpoint, LiveError> {
    Endpoint::parse(url).map_err(|error| LiveError::Url { key, error })
}

/// The configured symbols, each once, as the venue writes them.
fn wanted(config: &LiveConfig, symbols: &Symbols) -> Result<Vec<(SymbolId, Arc<str>)>, LiveError> {
    let mut wanted: Vec<(SymbolId, Arc<str>)> = Vec::with_capacity(config.symbols.len());
    for symbol in &config.symbols {
        let name = symbol.to_uppercase();
        let id = symbols.add(&name).map_err(|error| LiveError::Symbol { symbol: symbol.clone(), error })?;
        if wanted.iter().all(|(known, _)| *known != id) {
            wanted.push((id, name.into()));
        }
    }
    Ok(wanted)
}

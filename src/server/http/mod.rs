//! What a market's server answers, address by address: a file for each group of them.

mod history;
mod hub;
mod metrics;
mod native;
mod page;
mod publish;
mod query;
mod reply;
mod socketio;
mod status;
mod udf;
mod visitor;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use tokio::sync::{Semaphore, watch};

pub use visitor::Visitor;

use super::answer::{Answer, error, wrong_method};
use super::token::presented;
use super::{Door, Routes};
use crate::auth::{Grant, Tokens, audit};
use crate::clock::Clock;
use crate::config::{Config, HubPayload, Source};
use crate::engine::Engine;
use crate::session::hub::HubShared;
use crate::session::{Access, SessionLimits};

/// A market's engine and what its addresses are answered from.
pub struct Market {
    engine: Engine,
    session: SessionLimits,
    /// Whether a source is to bring data before clients find anything.
    needs_data: bool,
    tokens: Arc<Tokens>,
    /// The rotations of keys that sessions were told of.
    rotations: AtomicU64,
    publish: publish::PublishLimits,
    /// Goes with the market: publishers that are connected hear it.
    going_down: watch::Sender<()>,
    hub: HubShared,
    hub_payload: HubPayload,
    socketio: socketio::SocketIo,
    /// Each request that publishes listens to it until it has.
    publications: watch::Sender<()>,
    /// A place for each of them.
    publishing: Arc<Semaphore>,
    /// Whether the page is served.
    page: bool,
    /// Whose account it shows; only a demo's does.
    visitor: Option<Visitor>,
}

impl Market {
    /// The addresses of this configuration for an engine that runs, for who comes with these tokens.
    pub fn new(config: &Config, engine: Engine, tokens: Arc<Tokens>) -> Market {
        let limits = &config.limits;
        let count = |number: NonZeroUsize| u32::try_from(number.get()).unwrap_or(u32::MAX);
        let session = SessionLimits {
            subscriptions: limits.subscriptions.get(),
            messages_per_second: count(limits.messages_per_second),
            messages_burst: count(limits.messages_burst),
        };
        let symbols = engine.symbols().clone();
        let socketio = socketio::SocketIo::new(config, &engine, engine.accounts().clone(), tokens.clone());
        let hub = HubShared { symbols, limits: session, status: Arc::default() };
        Market {
            engine,
            session,
            needs_data: config.source != Source::None,
            rotations: AtomicU64::new(tokens.rotations()),
            tokens,
            publish: publish::PublishLimits {
                bytes: config.publish.bytes.get(),
                ping: limits.ping,
                pong_timeout: limits.pong_timeout,
                stalled: limits.stalled,
            },
            going_down: watch::Sender::default(),
            publications: watch::Sender::default(),
            publishing: Arc::new(Semaphore::new(config.publish.queue.get().min(Semaphore::MAX_PERMITS))),
            hub,
            hub_payload: config.hub_payload,
            socketio,
            page: config.page,
            visitor: None,
        }
    }

    /// The engine, to be shut down when nothing is answered any more and all is [published](Market::published).
    pub fn into_engine(self) -> Engine {
        self.engine
    }

    /// What who came with this grant may hear.
    fn access(&self, grant: Option<Grant>) -> Access {
        let (accounts, rooms) = (self.engine.accounts().clone(), self.engine.rooms().clone());
        Access::new(accounts, rooms, self.tokens.clone(), grant)
    }

    /// Who asks. No token is nobody; a wrong one is refused, never treated as none.
    #[allow(clippy::result_large_err, reason = "an answer is made once a request")]
    fn grant<B>(
        &self,
        request: &Request<B>,
        peer: SocketAddr,
        place: &'static str,
    ) -> Result<Option<Grant>, Answer> {
        let Some(token) = presented(request) else { return Ok(None) };
        self.tokens.verify(Clock::start().now(), &token).map(Some).map_err(|refused| {
            audit::token_refused(peer, place, refused);
            error(StatusCode::UNAUTHORIZED, refused.code(), &refused.to_string())
        })
    }
}

impl Routes for Market {
    fn each_second(&self, door: &Arc<Door>) {
        self.socketio.tell_count(door, Clock::start().now());
        let rotations = self.tokens.rotations();
        // Where a worker has no room now, all are asked again a second later.
        if rotations != self.rotations.load(Ordering::Relaxed) && door.workers().look_again() {
            self.rotations.store(rotations, Ordering::Relaxed);
        }
    }

    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr, door: &Arc<Door>) -> Answer {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/v1/ws") => self.native(request, peer, door),
            (&Method::GET, "/healthz") => self.health(),
            (&Method::GET, "/readyz") => self.readiness(door),
            (&Method::POST, "/publish") => self.publish(request, peer).await,
            (&Method::GET, "/publish") => self.publish_socket(request, peer, door),
            (_, "/publish") => wrong_method("GET, POST"),
            (&Method::GET, "/ws") => self.hub(request, peer, door),
            (&Method::GET, "/ws/status") => self.hub_status(),
            (&Method::GET, "/metrics") => self.metrics(door),
            (_, "/socket.io/") => self.socketio.answer(request, peer, door).await,
            (&Method::GET, "/stats") => self.stats(&request, peer),
            (_, "/v1/ws" | "/healthz" | "/readyz" | "/metrics" | "/ws" | "/ws/status" | "/stats") => {
                wrong_method("GET")
            }
            (_, path) if path.starts_with("/api/v1/") || path.starts_with("/udf/") => {
                // Public, but a wrong token is told so here as everywhere.
                match self.grant(&request, peer, "history") {
                    Ok(_) => self.history(&request.into_parts().0, door).await,
                    Err(mut refusal) => {
                        // A page is to learn that its token has expired.
                        reply::open_to_pages(&mut refusal, request.headers(), door);
                        refusal
                    }
                }
            }
            (method, visitor::TOKEN) if self.visitor.is_some() => {
                self.visitor.as_ref().map_or_else(|| not_found(self.page), |visitor| visitor.answer(method))
            }
            (_, path) => match self.page.then(|| page::find(path, self.visitor.is_some())).flatten() {
                Some(asset) => page::answer(asset, request.method(), request.headers()),
                None => not_found(self.page),
            },
        }
    }
}

fn not_found(page: bool) -> Answer {
    let message = match page {
        true => {
            "there are / (a page), /v1/ws and /ws (WebSocket), /api/v1/…, /udf/…, /metrics, /healthz and /readyz here"
        }
        false => {
            "there are /v1/ws and /ws (WebSocket), /api/v1/…, /udf/…, /metrics, /healthz and /readyz here; page = true serves a page"
        }
    };
    error(StatusCode::NOT_FOUND, "NOT_FOUND", message)
}

//! Sockets, HTTP, upgrades and the orderly end of it all.

mod admission;
mod http;
mod upgrade;

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{debug, warn};

pub use admission::{Admission, Place, Refused};

use crate::config::{Config, Source};
use crate::engine::Engine;
use crate::session::SessionLimits;

/// What requests are answered from.
struct Shared {
    engine: Engine,
    admission: Arc<Admission>,
    allowed_origins: Vec<String>,
    session: SessionLimits,
    /// Whether a source is to bring data before clients find anything.
    needs_data: bool,
}

/// A server that is bound to its address.
pub struct Server {
    listener: TcpListener,
    shared: Arc<Shared>,
    handshake: Duration,
}

impl Server {
    /// Binds the configured address for an engine that runs.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn bind(config: &Config, engine: Engine) -> io::Result<Server> {
        let listener = TcpListener::bind(config.listen).await?;
        let limits = &config.limits;
        let count = |number: NonZeroUsize| u32::try_from(number.get()).unwrap_or(u32::MAX);
        let admission = Admission::new(limits.connections.get(), limits.connections_per_address.get());
        let shared = Arc::new(Shared {
            engine,
            admission: Arc::new(admission),
            allowed_origins: config.allowed_origins.clone(),
            session: SessionLimits {
                subscriptions: limits.subscriptions.get(),
                messages_per_second: count(limits.messages_per_second),
                messages_burst: count(limits.messages_burst),
            },
            needs_data: config.source != Source::None,
        });
        Ok(Server { listener, shared, handshake: limits.handshake })
    }

    /// The address that it really has; the port is chosen where the configuration says 0.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` says so, and gives the engine back to be shut down.
    pub async fn serve(self, mut stop: watch::Receiver<bool>) -> Engine {
        let mut requests = JoinSet::new();
        // What has not been upgraded yet is bounded by itself, so that a flood of half-open
        // connections neither fills the process nor reaches the clients that are there.
        let unfinished = Arc::new(Semaphore::new(UNFINISHED));
        loop {
            let (stream, peer, permit) = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                accepted = accept(&self.listener, &unfinished) => accepted,
            };
            let (shared, handshake) = (self.shared.clone(), self.handshake);
            requests.spawn(async move {
                let _permit = permit;
                answer(stream, peer, shared, handshake).await;
            });
            while requests.try_join_next().is_some() {}
        }
        drop(self.listener);
        requests.shutdown().await;
        // An upgrade that is just being handed over holds on to it for a moment.
        let mut shared = self.shared;
        loop {
            match Arc::try_unwrap(shared) {
                Ok(shared) => return shared.engine,
                Err(held) => shared = held,
            }
            tokio::task::yield_now().await;
        }
    }
}

async fn accept(
    listener: &TcpListener,
    unfinished: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // While too many are unfinished the kernel's backlog holds the next ones.
    let permit = unfinished.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, permit),
            Err(error) => {
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>, handshake: Duration) {
    if let Err(error) = stream.set_nodelay(true) {
        return debug!(%error, %peer, "a connection went as it came");
    }
    let service = service_fn(move |request| {
        let answer = http::answer(request, peer, &shared);
        async move { Ok::<_, std::convert::Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(handshake)
        .max_buf_size(REQUEST_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // A whole deadline for all of it: the one of the head alone begins again with each request, so
    // that requests whose answers nobody reads would hold their place for ever.
    match tokio::time::timeout(handshake, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, %peer, "a connection ended in the middle of a request"),
        Err(_) => debug!(%peer, "a connection was not upgraded in time"),
    }
}

/// Connections that have not been upgraded or answered at one time.
const UNFINISHED: usize = 2_048;

/// The longest head of a request. Tokens stand in it, and are at most a few kilobytes.
const REQUEST_HEAD: usize = 16 << 10;

/// How long to wait when there are no descriptors left for one more connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

//! Sockets, HTTP, upgrades and the orderly end of it all.

mod admission;
mod answer;
mod content;
mod door;
pub mod engineio;
mod http;
mod patience;
mod token;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tracing::{debug, warn};

pub use crate::fanout::MakeConversation;
pub use admission::{Admission, Place, Refused};
pub use answer::{Answer, body, error, wrong_method};
pub use content::Content;
pub use door::Door;
pub use http::{Market, Visitor};
pub use patience::{Held, Patience};
use patience::{Unfinished, Waits};

use crate::config::Config;

/// What a server answers. The market's is [`Market`]; an embedding program may bring its own.
pub trait Routes: Send + Sync + 'static {
    /// Called about once a second while the server serves.
    fn each_second(&self, _door: &Arc<Door>) {}

    /// Answers one request. WebSockets go in through the door.
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        door: &Arc<Door>,
    ) -> impl Future<Output = Answer> + Send;
}

/// A server that is bound to its address.
pub struct Server<R> {
    listener: TcpListener,
    shared: Arc<Shared<R>>,
    handshake: Duration,
}

struct Shared<R> {
    routes: R,
    door: Arc<Door>,
}

impl<R: Routes> Server<R> {
    /// Binds the configured address.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn bind(config: &Config, routes: R, door: Arc<Door>) -> io::Result<Server<R>> {
        let listener = TcpListener::bind(config.listen).await?;
        Ok(Server { listener, shared: Arc::new(Shared { routes, door }), handshake: config.limits.handshake })
    }

    /// The address that it really has; the port is chosen where the configuration says 0.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` says so, and gives the routes back with what they own.
    pub async fn serve(self, mut stop: watch::Receiver<bool>) -> R {
        let mut requests = JoinSet::new();
        let unfinished = Unfinished::new(UNFINISHED);
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let (stream, peer, waits) = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                _ = seconds.tick() => {
                    self.shared.routes.each_second(&self.shared.door);
                    let refused = unfinished.take_refused();
                    if refused > 0 {
                        warn!(refused, "connections were dropped: their addresses have too many that ask for nothing");
                    }
                    continue;
                }
                accepted = accept(&self.listener, &unfinished) => accepted,
            };
            let (shared, handshake) = (self.shared.clone(), self.handshake);
            let patience = Patience::new(waits, peer.ip(), unfinished.clone());
            requests.spawn(answer(stream, peer, shared, handshake, patience));
            while requests.try_join_next().is_some() {}
        }
        drop(self.listener);
        requests.shutdown().await;
        // A request that is just being answered holds on to it for a moment.
        let mut shared = self.shared;
        loop {
            match Arc::try_unwrap(shared) {
                Ok(shared) => return shared.routes,
                Err(held) => shared = held,
            }
            tokio::task::yield_now().await;
        }
    }
}

async fn accept(listener: &TcpListener, unfinished: &Unfinished) -> (TcpStream, SocketAddr, Waits) {
    loop {
        // While too many are unfinished the kernel's backlog holds the next ones.
        let Some(permit) = unfinished.room().await else { return std::future::pending().await };
        match listener.accept().await {
            // One of an address that has its share already is dropped as it came.
            Ok((stream, peer)) => match unfinished.enter(permit, peer.ip()) {
                Some(waits) => return (stream, peer, waits),
                None => debug!(%peer, "its address has too many connections that ask for nothing"),
            },
            Err(error) => {
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn answer<R: Routes>(
    stream: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared<R>>,
    handshake: Duration,
    patience: Patience,
) {
    if let Err(error) = stream.set_nodelay(true) {
        return debug!(%error, %peer, "a connection went as it came");
    }
    let held = patience.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let shared = shared.clone();
        request.extensions_mut().insert(held.clone());
        async move { Ok::<_, std::convert::Infallible>(shared.routes.answer(request, peer, &shared.door).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(handshake)
        .max_buf_size(REQUEST_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // A whole deadline for all of it: the one of the head alone begins again with each request, so
    // that requests whose answers nobody reads would hold their place for ever.
    tokio::select! {
        ended = connection => {
            if let Err(error) = ended {
                debug!(%error, %peer, "a connection ended in the middle of a request");
            }
        }
        () = patience.is_over(handshake) => debug!(%peer, "a connection was not upgraded in time"),
    }
}

/// Connections that have not been upgraded or answered at one time.
const UNFINISHED: usize = 2_048;

/// The longest head of a request. Tokens stand in it, and are at most a few kilobytes.
const REQUEST_HEAD: usize = 16 << 10;

/// How long to wait when there are no descriptors left for one more connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

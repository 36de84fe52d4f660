//! The way in: from an HTTP request to a connection of a worker.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fastwebsockets::upgrade::{is_upgrade_request, upgrade};
use hyper::body::Incoming;
use hyper::header::{HeaderValue, ORIGIN, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_VERSION};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tracing::{debug, warn};

use super::Content;
use super::admission::{Admission, Place, Refused};
use super::answer::{Answer, error};
use crate::config::Config;
use crate::fanout::{Asked, MakeConversation, NewConnection, ToWorker, Workers};
use crate::session::engineio::Sid;
use crate::session::websocket::{Agreed, Compression, Malformed};

/// Lets clients in, and gives them to the workers.
pub struct Door {
    workers: Workers,
    admission: Arc<Admission>,
    allowed_origins: Vec<String>,
    compression: bool,
}

impl Door {
    /// A door to `workers` with the limits of this configuration.
    pub fn new(config: &Config, workers: Workers) -> Arc<Door> {
        let limits = &config.limits;
        let admission = Admission::new(limits.connections.get(), limits.connections_per_address.get());
        let allowed_origins = config.allowed_origins.clone();
        let compression = config.compression;
        Arc::new(Door { workers, admission: Arc::new(admission), allowed_origins, compression })
    }

    /// Those who have come in.
    pub fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// The workers that clients are given to.
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Whether pages from there may connect. No list is no limit.
    pub fn allows(&self, origin: &HeaderValue) -> bool {
        let allowed = &self.allowed_origins;
        allowed.is_empty() || allowed.iter().any(|one| one.as_bytes() == origin.as_bytes())
    }

    /// Lets a client in that is no page, or one of a page that may, where there is room.
    ///
    /// # Errors
    /// The answer that says why not.
    #[allow(clippy::result_large_err, reason = "an answer is made once a connection")]
    pub fn enter(&self, origin: Option<&HeaderValue>, peer: SocketAddr) -> Result<Place, Answer> {
        // Programs send no origin; browsers do, and a page cannot change it.
        if let Some(origin) = origin.filter(|origin| !self.allows(origin)) {
            let origin = origin.to_str().unwrap_or("there");
            let message = format!("pages from {origin} may not connect (CLIENT_URL)");
            return Err(error(StatusCode::FORBIDDEN, "FORBIDDEN_ORIGIN", &message));
        }
        self.admission.enter(peer.ip()).map_err(|refused| {
            let status = match refused {
                Refused::Full { .. } => StatusCode::SERVICE_UNAVAILABLE,
                Refused::Address { .. } => StatusCode::TOO_MANY_REQUESTS,
            };
            error(status, "TOO_MANY_CONNECTIONS", &refused.to_string())
        })
    }

    /// Accepts a WebSocket for this conversation, or says why not.
    pub fn websocket(
        self: &Arc<Door>,
        request: Request<Incoming>,
        peer: SocketAddr,
        conversation: MakeConversation,
    ) -> Answer {
        let place = match self.place(&request, peer) {
            Ok(place) => place,
            Err(refusal) => return refusal,
        };
        let agreed = match self.agree(&request) {
            Ok(agreed) => agreed,
            Err(malformed) => return error(StatusCode::BAD_REQUEST, "BAD_UPGRADE", &malformed.to_string()),
        };
        let compression = Compression::from(agreed);
        let make = move |stream, early| {
            NewConnection { stream, compression, early, conversation, place: Box::new(place) }.into()
        };
        let mut answer = self.upgrade(request, None, make);
        if let Some(agreed) = agreed.filter(|_| answer.status() == StatusCode::SWITCHING_PROTOCOLS) {
            answer.headers_mut().insert(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(agreed.answer()));
        }
        answer
    }

    /// Accepts a WebSocket that is no client's but has a place all the same, or says why not; `take`
    /// gets its socket, and what was read behind the request.
    pub(super) fn own_websocket<F: Future<Output = ()> + Send + 'static>(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        take: impl FnOnce(std::net::TcpStream, Vec<u8>, Place) -> F + Send + 'static,
    ) -> Answer {
        match self.place(&request, peer) {
            Ok(place) => accept(request, move |stream, early| take(stream, early, place)),
            Err(refusal) => refusal,
        }
    }

    /// A place for a WebSocket.
    #[allow(clippy::result_large_err, reason = "an answer is made once a connection")]
    fn place(&self, request: &Request<Incoming>, peer: SocketAddr) -> Result<Place, Answer> {
        if !is_upgrade_request(request) {
            let message = "this address speaks WebSocket: connect with ws://";
            return Err(error(StatusCode::UPGRADE_REQUIRED, "UPGRADE_REQUIRED", message));
        }
        self.enter(request.headers().get(ORIGIN), peer)
    }

    /// Accepts a WebSocket for a session that is on polling, or says why not.
    pub(super) fn takes_over(self: &Arc<Door>, request: Request<Incoming>, sid: Sid) -> Answer {
        let make = move |stream, early| ToWorker::Ask { sid, asked: Asked::Try { stream, early } };
        self.upgrade(request, Some(sid.worker()), make)
    }

    /// Makes an upgrade, and gives the socket with what was read behind the request to this worker, or
    /// to the one whose turn it is.
    fn upgrade(
        self: &Arc<Door>,
        request: Request<Incoming>,
        worker: Option<u16>,
        make: impl FnOnce(std::net::TcpStream, Vec<u8>) -> ToWorker + Send + 'static,
    ) -> Answer {
        let door = Arc::downgrade(self);
        accept(request, move |stream, early| async move {
            hand_over(make(stream, early), worker, &door).await;
        })
    }

    /// What is taken of the compression that a client offers.
    fn agree(&self, request: &Request<Incoming>) -> Result<Option<Agreed>, Malformed> {
        if !self.compression {
            return Ok(None);
        }
        let offers = request.headers().get_all(SEC_WEBSOCKET_EXTENSIONS);
        Agreed::on(offers.iter().map(HeaderValue::as_bytes))
    }
}

/// Makes an upgrade, and gives the socket with what was read behind the request to `take`.
fn accept<F: Future<Output = ()> + Send + 'static>(
    mut request: Request<Incoming>,
    take: impl FnOnce(std::net::TcpStream, Vec<u8>) -> F + Send + 'static,
) -> Answer {
    let (accepted, upgraded) = match upgrade(&mut request) {
        Ok(both) => both,
        Err(problem) => {
            let message = format!("the upgrade cannot be made: {problem}");
            let mut answer = error(StatusCode::BAD_REQUEST, "BAD_UPGRADE", &message);
            answer.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            return answer;
        }
    };
    // Owned by nobody: it ends with its connection, at the latest when the server does, or when no
    // worker has taken the client for too long.
    tokio::spawn(async move {
        match upgraded.await {
            Ok(websocket) => {
                if let Some((stream, early)) = taken_apart(websocket.into_inner()) {
                    take(stream, early).await;
                }
            }
            Err(error) => debug!(%error, "an upgrade was not finished"),
        }
    });
    Response::from_parts(accepted.into_parts().0, Content::default())
}

/// The socket of an upgraded connection, and what the client sent right behind its request: that was
/// read with it.
fn taken_apart(upgraded: TokioIo<Upgraded>) -> Option<(std::net::TcpStream, Vec<u8>)> {
    let Ok(parts) = upgraded.into_inner().downcast::<TokioIo<TcpStream>>() else {
        warn!("an upgraded connection is no TCP socket");
        return None;
    };
    let early = parts.read_buf.to_vec();
    match parts.io.into_inner().into_std() {
        Ok(stream) => Some((stream, early)),
        Err(error) => {
            warn!(%error, "a connection could not be handed over");
            None
        }
    }
}

/// Gives the client to a worker. One whose inbox is full is asked again: under load that is
/// nothing special.
async fn hand_over(mut message: ToWorker, worker: Option<u16>, door: &Weak<Door>) {
    for _ in 0..HAND_OVERS {
        // Gone: the server goes down, and so does the connection.
        let Some(door) = door.upgrade() else { return };
        let worker = usize::from(worker.unwrap_or_else(|| door.workers.next()));
        let Some(inbox) = door.workers.inboxes().get(worker) else { return };
        match inbox.try_send(message) {
            Ok(()) => return,
            Err(back) => message = back,
        }
        drop(door);
        tokio::time::sleep(HAND_OVER_AGAIN).await;
    }
    warn!("the workers' inboxes stay full: a new connection is dropped");
}

/// How often, and how long apart, a worker is asked to take a client: for five seconds in all.
const HAND_OVERS: usize = 2_500;
const HAND_OVER_AGAIN: Duration = Duration::from_millis(2);

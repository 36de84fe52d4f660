//! Engine.IO over HTTP: polls, posts and upgrades find the session that they belong to.

mod cors;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fastwebsockets::upgrade::is_upgrade_request;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, ORIGIN};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::oneshot;
use tracing::warn;

use super::answer::{Answer, wrong_method};
use super::token::presented;
use super::{Content, Door, Patience};
use crate::fanout::{Asked, MakeConversation, NewSession, ToWorker};
use crate::market::Millis;
use crate::session::Conversation;
use crate::session::engineio::{EngineIo, Options, Refused, Sid};

/// An address where Engine.IO is spoken.
pub struct Endpoint {
    options: Options,
    speak: Arc<Speak>,
}

type Speak = dyn Fn(&Arrival, Millis) -> Box<dyn Conversation> + Send + Sync;

/// What a client brought when it came.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The address that it comes from.
    pub peer: SocketAddr,
    /// Its token, from the query or the header, where there is one that is not empty.
    pub token: Option<String>,
}

/// A request that belongs to a session.
struct Wanted {
    sid: Option<Sid>,
    /// A name was given, whether or not it could be one of ours.
    is_named: bool,
    websocket: bool,
    version_is_right: bool,
}

impl Endpoint {
    /// Whoever comes here is spoken to by what `speak` makes, inside an Engine.IO session.
    pub fn new(
        options: Options,
        speak: impl Fn(&Arrival, Millis) -> Box<dyn Conversation> + Send + Sync + 'static,
    ) -> Endpoint {
        Endpoint { options, speak: Arc::new(speak) }
    }

    /// Answers a request, whatever its method.
    pub async fn answer(&self, request: Request<Incoming>, peer: SocketAddr, door: &Arc<Door>) -> Answer {
        let asked = request.headers().clone();
        let mut answer = match *request.method() {
            Method::OPTIONS => cors::preflight(&asked),
            _ => self.route(request, peer, door).await.unwrap_or_else(refused),
        };
        cors::allow(&asked, &mut answer, door);
        answer
    }

    async fn route(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        door: &Arc<Door>,
    ) -> Result<Answer, Refused> {
        let wanted = Wanted::read(request.uri().query().unwrap_or_default())?;
        let patience = request.extensions().get::<Patience>().cloned();
        if !wanted.is_named {
            return self.handshake(request, peer, door, &wanted).await;
        }
        let sid = wanted.sid.ok_or(Refused::UnknownSession)?;
        if wanted.websocket {
            return self.take_over(request, sid, &wanted, door).await;
        }
        if !wanted.version_is_right {
            return Err(Refused::BadRequest);
        }
        match *request.method() {
            Method::GET => {
                let (reply, polled) = oneshot::channel();
                tell(door, sid, Asked::Poll(reply)).await?;
                let _held = patience.as_ref().map(Patience::hold);
                polled.await.unwrap_or(Err(Refused::UnknownSession)).map(packets)
            }
            Method::POST => self.post(request, sid, patience, door).await,
            _ => Ok(wrong_method("GET, POST, OPTIONS")),
        }
    }

    /// A session begins.
    async fn handshake(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        door: &Arc<Door>,
        wanted: &Wanted,
    ) -> Result<Answer, Refused> {
        if request.method() != Method::GET {
            return Err(Refused::BadMethod);
        }
        if wanted.websocket && !is_upgrade_request(&request) {
            return Err(Refused::BadRequest);
        }
        if !wanted.version_is_right {
            return Err(Refused::UnsupportedVersion);
        }
        let worker = door.workers().next();
        let Ok(sid) = Sid::random(worker) else { return Ok(unavailable()) };
        let conversation = self.conversation(sid, !wanted.websocket, Arrival::read(&request, peer));
        if wanted.websocket {
            return Ok(door.websocket(request, peer, conversation));
        }
        let origin = request.headers().get(ORIGIN);
        if origin.is_some_and(|origin| !door.allows(origin)) {
            return Err(Refused::Forbidden);
        }
        let place = match door.enter(origin, peer) {
            Ok(place) => place,
            Err(answer) => return Ok(answer),
        };
        let (reply, polled) = oneshot::channel();
        let place = Box::new(place);
        let session = NewSession { sid, options: self.options, conversation, place, reply };
        give(door, worker, ToWorker::Open(Box::new(session))).await?;
        polled.await.unwrap_or(Err(Refused::UnknownSession)).map(packets)
    }

    fn conversation(&self, sid: Sid, upgrades: bool, arrival: Arrival) -> MakeConversation {
        let (options, speak) = (self.options, self.speak.clone());
        Box::new(move |now| {
            let spoken = speak(&arrival, now);
            Box::new(EngineIo::new(sid, options, upgrades, spoken, now))
        })
    }

    /// A session's packets come.
    async fn post(
        &self,
        request: Request<Incoming>,
        sid: Sid,
        patience: Option<Patience>,
        door: &Arc<Door>,
    ) -> Result<Answer, Refused> {
        if is_octet_stream(request.headers()) {
            tell(door, sid, Asked::Drop).await?;
            return Err(Refused::BadRequest);
        }
        let body = match Limited::new(request.into_body(), self.options.max_payload).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Ok(status(StatusCode::PAYLOAD_TOO_LARGE));
            }
            // Whoever sent half a body has gone, or soon will.
            Err(_) => return Err(Refused::BadRequest),
        };
        let (reply, taken) = oneshot::channel();
        tell(door, sid, Asked::Post { body, reply }).await?;
        let _held = patience.as_ref().map(Patience::hold);
        taken.await.unwrap_or(Err(Refused::UnknownSession))?;
        let mut answer = Response::new(Content::from(Bytes::from_static(b"ok")));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
        Ok(answer)
    }

    /// A WebSocket comes for a session that is on polling.
    async fn take_over(
        &self,
        request: Request<Incoming>,
        sid: Sid,
        wanted: &Wanted,
        door: &Arc<Door>,
    ) -> Result<Answer, Refused> {
        if !wanted.version_is_right || !is_upgrade_request(&request) {
            return Err(Refused::BadRequest);
        }
        let (reply, is_there) = oneshot::channel();
        tell(door, sid, Asked::IsThere(reply)).await?;
        is_there.await.unwrap_or(Err(Refused::UnknownSession))?;
        Ok(door.takes_over(request, sid))
    }
}

impl Arrival {
    fn read(request: &Request<Incoming>, peer: SocketAddr) -> Arrival {
        Arrival { peer, token: presented(request).map(|token| token.into_owned()) }
    }
}

impl Wanted {
    fn read(query: &str) -> Result<Wanted, Refused> {
        let value = |name: &str| {
            let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
        };
        let websocket = match value("transport") {
            Some("polling") => false,
            Some("websocket") => true,
            Some(_) | None => return Err(Refused::UnknownTransport),
        };
        let sid = value("sid");
        let version_is_right = value("EIO") == Some("4");
        let is_named = sid.is_some();
        Ok(Wanted { sid: sid.and_then(Sid::read), is_named, websocket, version_is_right })
    }
}

/// Passes a request on to the worker that owns its session.
async fn tell(door: &Arc<Door>, sid: Sid, asked: Asked) -> Result<(), Refused> {
    give(door, sid.worker(), ToWorker::Ask { sid, asked }).await
}

/// Gives a worker something to do. One whose inbox is full is asked again: under load that is nothing
/// special.
pub(super) async fn give(door: &Door, worker: u16, mut message: ToWorker) -> Result<(), Refused> {
    let Some(inbox) = door.workers().inboxes().get(usize::from(worker)) else {
        return Err(Refused::UnknownSession);
    };
    for _ in 0..GIVES {
        match inbox.try_send(message) {
            Ok(()) => return Ok(()),
            Err(back) => message = back,
        }
        tokio::time::sleep(GIVE_AGAIN).await;
    }
    warn!(worker, "a worker's inbox stays full: a request is refused");
    Err(Refused::BadRequest)
}

fn is_octet_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/octet-stream"))
}

fn packets(parts: Vec<Bytes>) -> Answer {
    let mut answer = Response::new(Content::from(parts));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=UTF-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn refused(why: Refused) -> Answer {
    let forbidden = why == Refused::Forbidden;
    let mut answer = status(if forbidden { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST });
    *answer.body_mut() = why.body().into();
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn unavailable() -> Answer {
    status(StatusCode::SERVICE_UNAVAILABLE)
}

fn status(status: StatusCode) -> Answer {
    let mut answer = Response::new(Content::default());
    *answer.status_mut() = status;
    answer
}

/// How often, and how long apart, a worker is asked to take a request: for five seconds in all.
const GIVES: usize = 2_500;
const GIVE_AGAIN: Duration = Duration::from_millis(2);

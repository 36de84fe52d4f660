//! From an HTTP request to a connection of a worker.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fastwebsockets::upgrade::{is_upgrade_request, upgrade};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{HeaderValue, ORIGIN, SEC_WEBSOCKET_VERSION};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tracing::{debug, warn};

use super::http::{Answer, error};
use super::{Refused, Shared};
use crate::fanout::NewConnection;
use crate::market::Millis;
use crate::session::Conversation;

/// Makes a client's side of its conversation, on the thread and at the time of its worker.
pub(super) type MakeConversation = Box<dyn FnOnce(Millis) -> Box<dyn Conversation> + Send>;

/// Accepts a WebSocket for this conversation, or says why not.
pub(super) fn websocket(
    mut request: Request<Incoming>,
    peer: SocketAddr,
    conversation: MakeConversation,
    shared: &Arc<Shared>,
) -> Answer {
    if !is_upgrade_request(&request) {
        let message = "this address speaks WebSocket: connect with ws://";
        return error(StatusCode::UPGRADE_REQUIRED, "UPGRADE_REQUIRED", message);
    }
    if let Some(origin) = request.headers().get(ORIGIN).filter(|origin| !is_allowed(origin, shared)) {
        let origin = origin.to_str().unwrap_or("there");
        let message = format!("pages from {origin} may not connect (CLIENT_URL)");
        return error(StatusCode::FORBIDDEN, "FORBIDDEN_ORIGIN", &message);
    }
    let place = match shared.admission.enter(peer.ip()) {
        Ok(place) => place,
        Err(refused) => {
            let status = match refused {
                Refused::Full { .. } => StatusCode::SERVICE_UNAVAILABLE,
                Refused::Address { .. } => StatusCode::TOO_MANY_REQUESTS,
            };
            return error(status, "TOO_MANY_CONNECTIONS", &refused.to_string());
        }
    };
    let (accepted, upgraded) = match upgrade(&mut request) {
        Ok(both) => both,
        Err(problem) => {
            let message = format!("the upgrade cannot be made: {problem}");
            let mut answer = error(StatusCode::BAD_REQUEST, "BAD_UPGRADE", &message);
            answer.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            return answer;
        }
    };
    let shared = Arc::downgrade(shared);
    // Owned by nobody: it ends with the upgrade, at the latest when its connection does, or when no
    // worker has taken the client for too long.
    tokio::spawn(async move {
        match upgraded.await {
            Ok(websocket) => hand_over(websocket.into_inner(), conversation, Box::new(place), &shared).await,
            Err(error) => debug!(%error, %peer, "an upgrade was not finished"),
        }
    });
    Response::from_parts(accepted.into_parts().0, Full::default())
}

/// Gives the client to a worker. One whose inbox is full is asked again: under load that is
/// nothing special.
async fn hand_over(
    upgraded: TokioIo<Upgraded>,
    conversation: MakeConversation,
    place: Box<dyn Send>,
    shared: &Weak<Shared>,
) {
    let Ok(parts) = upgraded.into_inner().downcast::<TokioIo<TcpStream>>() else {
        return warn!("an upgraded connection is no TCP socket");
    };
    // What the client sent right behind its request was read with it.
    let early = parts.read_buf.to_vec();
    let stream = match parts.io.into_inner().into_std() {
        Ok(stream) => stream,
        Err(error) => return warn!(%error, "a connection could not be handed over"),
    };
    let mut connection = NewConnection { stream, early, conversation, place };
    for _ in 0..HAND_OVERS {
        // Gone: the server goes down, and so does the connection.
        let Some(shared) = shared.upgrade() else { return };
        match shared.engine.connect(connection) {
            Ok(()) => return,
            Err(back) => connection = back,
        }
        drop(shared);
        tokio::time::sleep(HAND_OVER_AGAIN).await;
    }
    warn!("the workers' inboxes stay full: a new connection is dropped");
}

/// No list is no limit. Programs send no origin; browsers do, and a page cannot change it.
fn is_allowed(origin: &HeaderValue, shared: &Shared) -> bool {
    let allowed = &shared.allowed_origins;
    allowed.is_empty() || allowed.iter().any(|one| one.as_bytes() == origin.as_bytes())
}

/// How often, and how long apart, a worker is asked to take a client: for five seconds in all.
const HAND_OVERS: usize = 2_500;
const HAND_OVER_AGAIN: Duration = Duration::from_millis(2);

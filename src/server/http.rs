//! What is asked over HTTP, and the answers to it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;

use super::upgrade::MakeConversation;
use super::{Shared, upgrade};
use crate::session::Native;
use crate::state::BookStatus;

/// An answer that is whole.
pub(super) type Answer = Response<Full<Bytes>>;

/// Answers one request. Nothing here waits: an upgrade goes on by itself.
pub(super) fn answer(request: Request<Incoming>, peer: SocketAddr, shared: &Arc<Shared>) -> Answer {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/v1/ws") => native(request, peer, shared),
        (&Method::GET, "/healthz") => body(StatusCode::OK, &json!({"status": "ok"})),
        (&Method::GET, "/readyz") => ready(shared),
        (_, "/v1/ws" | "/healthz" | "/readyz") => {
            let message = "this address answers GET";
            let mut answer = error(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            answer
        }
        _ => {
            let message = "there are /v1/ws (WebSocket), /healthz and /readyz here";
            error(StatusCode::NOT_FOUND, "NOT_FOUND", message)
        }
    }
}

/// An error as every address here tells it.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    body(status, &json!({"code": code, "message": message}))
}

fn native(request: Request<Incoming>, peer: SocketAddr, shared: &Arc<Shared>) -> Answer {
    // No key is configured, so that no token can be a right one; and a wrong token is refused, never
    // treated as none.
    let query = request.uri().query().unwrap_or_default();
    let is_token = |pair: &str| pair.strip_prefix("token=").is_some_and(|token| !token.is_empty());
    if query.split('&').any(is_token) || request.headers().contains_key(AUTHORIZATION) {
        let message = "this server has no key to check tokens with: connect without one for public topics";
        return error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message);
    }
    let (symbols, limits) = (shared.engine.symbols().clone(), shared.session);
    let conversation: MakeConversation = Box::new(move |now| Box::new(Native::new(symbols, limits, now)));
    upgrade::websocket(request, peer, conversation, shared)
}

/// Whether clients find what they come for: some book is good, or nothing is expected to come.
fn ready(shared: &Shared) -> Answer {
    let (mut good, mut not_good) = (0_usize, 0_usize);
    shared.engine.board().each(|_, cells| match cells.book.with(|book| book.status) {
        BookStatus::Good => good += 1,
        BookStatus::Empty | BookStatus::Crossed | BookStatus::Stale(_) => not_good += 1,
    });
    let ready = good > 0 || !shared.needs_data;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let clients = shared.admission.present();
    body(status, &json!({"ready": ready, "books": {"good": good, "notGood": not_good}, "clients": clients}))
}

fn body(status: StatusCode, value: &serde_json::Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(value.to_string())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

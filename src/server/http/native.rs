//! `/v1/ws`: the native dialect.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::{Request, StatusCode};

use super::Market;
use crate::server::Door;
use crate::server::answer::{Answer, error};
use crate::server::door::MakeConversation;
use crate::session::Native;

impl Market {
    pub(super) fn native(&self, request: Request<Incoming>, peer: SocketAddr, door: &Arc<Door>) -> Answer {
        // No key is configured, so that no token can be a right one; and a wrong token is refused, never
        // treated as none.
        let query = request.uri().query().unwrap_or_default();
        let is_token = |pair: &str| pair.strip_prefix("token=").is_some_and(|token| !token.is_empty());
        if query.split('&').any(is_token) || request.headers().contains_key(AUTHORIZATION) {
            let message =
                "this server has no key to check tokens with: connect without one for public topics";
            return error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message);
        }
        let (symbols, limits) = (self.engine.symbols().clone(), self.session);
        let conversation: MakeConversation = Box::new(move |now| Box::new(Native::new(symbols, limits, now)));
        door.websocket(request, peer, conversation)
    }
}

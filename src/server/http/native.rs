//! `/v1/ws`: the native dialect.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;

use super::Market;
use crate::fanout::MakeConversation;
use crate::server::Door;
use crate::server::answer::Answer;
use crate::session::Native;

impl Market {
    pub(super) fn native(&self, request: Request<Incoming>, peer: SocketAddr, door: &Arc<Door>) -> Answer {
        let grant = match self.grant(&request, peer, "/v1/ws") {
            Ok(grant) => grant,
            Err(refusal) => return refusal,
        };
        let access = self.access(grant);
        let (symbols, limits) = (self.engine.symbols().clone(), self.session);
        let conversation: MakeConversation =
            Box::new(move |now| Box::new(Native::new(symbols, limits, access, now)));
        door.websocket(request, peer, conversation)
    }
}

//! `/ws` and `/ws/status`: the hub dialect.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde_json::json;

use super::Market;
use crate::auth::Refused;
use crate::clock::Clock;
use crate::config::HubPayload;
use crate::dialect::hub::Payload;
use crate::encode::time;
use crate::server::answer::{Answer, body, error};
use crate::server::{Door, MakeConversation};
use crate::session::hub::Hub;

impl Market {
    pub(super) fn hub(&self, request: Request<Incoming>, peer: SocketAddr, door: &Arc<Door>) -> Answer {
        let grant = match self.grant(&request, peer, "/ws") {
            Ok(Some(grant)) => grant,
            Ok(None) => {
                let refused = Refused::Missing;
                return error(StatusCode::UNAUTHORIZED, refused.code(), &refused.to_string());
            }
            Err(refusal) => return refusal,
        };
        let query = request.uri().query().unwrap_or_default();
        let payload = match query.split('&').find_map(|pair| pair.strip_prefix("payload=")) {
            Some("string") => Payload::Text,
            Some("object") => Payload::Object,
            None => match self.hub_payload {
                HubPayload::Object => Payload::Object,
                HubPayload::Text => Payload::Text,
            },
            Some(_) => {
                let message = "payload is object or string";
                return error(StatusCode::BAD_REQUEST, "BAD_QUERY", message);
            }
        };
        let shared = self.hub.clone();
        let conversation: MakeConversation =
            Box::new(move |now| Box::new(Hub::new(shared, grant, payload, now)));
        door.websocket(request, peer, conversation)
    }

    pub(super) fn hub_status(&self) -> Answer {
        let (connections, topics) = self.hub.status.counts();
        let timestamp = time::rfc3339_text(Clock::start().now());
        let status = json!({
            "activeConnections": connections, "topicSubscriptions": topics, "timestamp": timestamp,
        });
        body(StatusCode::OK, &status)
    }
}

//! `/publish`: where an exchange's backend hands in what happened.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Request, StatusCode};
use serde_json::json;

use super::Market;
use crate::auth::{Refused, audit};
use crate::clock::Clock;
use crate::engine::Published;
use crate::server::answer::{Answer, body, error};

impl Market {
    pub(super) async fn publish(&self, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        if let Err(refusal) = self.publisher_of(&request, peer) {
            return refusal;
        }
        let limit = self.publish_bytes;
        let too_large = || {
            let message = format!("more than {limit} bytes at once (publish.bytes): send less, more often");
            error(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", &message)
        };
        let said =
            request.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
        if said.is_some_and(|said: usize| said > limit) {
            return too_large();
        }
        let bytes = match Limited::new(request.into_body(), limit).collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(failed) if failed.is::<http_body_util::LengthLimitError>() => return too_large(),
            // Cut off in the middle: nothing of it was taken, and nobody hears this.
            Err(_) => return error(StatusCode::BAD_REQUEST, "CUT_OFF", "the request ended before its body"),
        };
        let Ok(text) = std::str::from_utf8(&bytes) else {
            return error(StatusCode::BAD_REQUEST, "NOT_JSON", "the body is not UTF-8 text");
        };
        answered(&self.engine.publish(Clock::start().now(), text).await)
    }

    /// Lets a publisher in, or says why not.
    #[allow(clippy::result_large_err, reason = "an answer is made once a request")]
    pub(super) fn publisher_of<B>(&self, request: &Request<B>, peer: SocketAddr) -> Result<(), Answer> {
        let Some(grant) = self.grant(request, peer, "/publish")? else {
            let refused = Refused::Missing;
            audit::token_refused(peer, "/publish", refused);
            return Err(error(StatusCode::UNAUTHORIZED, refused.code(), &refused.to_string()));
        };
        if !grant.may_publish() {
            audit::forbidden(Some(grant.user()), "/publish", "publish");
            let message = "publishing needs a token whose scope holds \"publish\"";
            return Err(error(StatusCode::FORBIDDEN, "FORBIDDEN", message));
        }
        Ok(())
    }
}

fn answered(published: &Published) -> Answer {
    let status = match published.accepted {
        _ if published.is_unavailable() => StatusCode::SERVICE_UNAVAILABLE,
        // An empty list has nothing wrong in it.
        0 if !published.rejected.is_empty() => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    let mut answer = body(status, &json!(published));
    // A connection that is not upgraded lives no longer than the handshake may take: it ends here, and
    // not in the middle of a later publication.
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

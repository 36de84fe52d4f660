//! `/publish`: where an exchange's backend hands in what happened.

mod socket;

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde_json::json;

pub(super) use socket::PublishLimits;

use super::Market;
use crate::auth::{Grant, Refused, audit};
use crate::clock::Clock;
use crate::engine::Published;
use crate::server::Patience;
use crate::server::answer::{Answer, body, error};

impl Market {
    pub(super) async fn publish(&self, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        let grant = match self.publisher_of(&request, peer) {
            Ok(grant) => grant,
            Err(refusal) => return refusal,
        };
        let patience = request.extensions().get::<Patience>().cloned();
        let limit = self.publish.bytes;
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
        let Ok(text) = String::from_utf8(bytes.into()) else {
            return error(StatusCode::BAD_REQUEST, "NOT_JSON", "the body is not UTF-8 text");
        };
        // The disk takes as long as it takes. With the answer the connection's time begins anew, so
        // that one connection carries as many publications as come in time.
        let _held = patience.as_ref().map(Patience::hold);
        let place = tokio::time::timeout(PATIENCE, self.publishing.clone().acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            let message = "too much is being published (publish.queue): send it again";
            return error(StatusCode::SERVICE_UNAVAILABLE, "BUSY", message);
        };
        let (publisher, under_way) = (self.engine.publisher().clone(), self.publications.subscribe());
        // A task of its own: who goes away before the answer takes this request with it, and half of
        // what it published would be taken and the other half not.
        let published = tokio::spawn(async move {
            let published = publisher.publish_from(Clock::start().now(), grant.user(), &text).await;
            drop((under_way, place));
            published
        });
        match published.await {
            Ok(published) => answered(&published),
            Err(failed) => {
                tracing::error!(error = %failed, "a publication failed");
                let message = "publishing failed: what was taken of it is not known";
                error(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", message)
            }
        }
    }

    /// Waits until all that was handed in by requests is published, but no longer than `patience`.
    pub async fn published(&self, patience: Duration) {
        // What is not through by then is cut off by the end of the process, as by a failure of it.
        let _ = tokio::time::timeout(patience, self.publications.closed()).await;
    }

    /// Lets a publisher in, or says why not.
    #[allow(clippy::result_large_err, reason = "an answer is made once a request")]
    pub(super) fn publisher_of<B>(&self, request: &Request<B>, peer: SocketAddr) -> Result<Grant, Answer> {
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
        Ok(grant)
    }
}

fn answered(published: &Published) -> Answer {
    let status = match published.accepted {
        _ if published.is_unavailable() => StatusCode::SERVICE_UNAVAILABLE,
        _ if published.is_too_often() => StatusCode::TOO_MANY_REQUESTS,
        // An empty list has nothing wrong in it.
        0 if !published.rejected.is_empty() => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    body(status, &json!(published))
}

/// How long a request waits for a place among those that are published.
const PATIENCE: Duration = Duration::from_secs(5);

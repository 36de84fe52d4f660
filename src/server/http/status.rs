//! `/healthz` and `/readyz`: whether the process lives, and whether clients find what they come for.

use hyper::StatusCode;
use serde_json::json;

use super::Market;
use crate::server::Door;
use crate::server::answer::{Answer, body};
use crate::state::BookStatus;

impl Market {
    #[allow(clippy::unused_self, reason = "an address like the others")]
    pub(super) fn health(&self) -> Answer {
        body(StatusCode::OK, &json!({"status": "ok"}))
    }

    /// Ready: some book is good, or nothing is expected to come.
    pub(super) fn readiness(&self, door: &Door) -> Answer {
        let (mut good, mut not_good) = (0_usize, 0_usize);
        self.engine.board().each(|_, cells| match cells.book.with(|book| book.status) {
            BookStatus::Good => good += 1,
            BookStatus::Empty | BookStatus::Crossed | BookStatus::Stale(_) => not_good += 1,
        });
        let ready = good > 0 || !self.needs_data;
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let clients = door.admission().present();
        body(
            status,
            &json!({"ready": ready, "books": {"good": good, "notGood": not_good}, "clients": clients}),
        )
    }
}

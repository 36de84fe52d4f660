//! The account that a demo's page looks at: whoever opens the page is given a token for it.
//!
//! A token that is given to everybody protects nothing, so that only `tickcast demo` has such an
//! account, whose trades are made up; `serve` has none and answers 404.

use hyper::{Method, StatusCode};
use serde_json::json;

use super::Market;
use crate::auth::{CannotMint, Mint, mint};
use crate::clock::Clock;
use crate::config::Secrets;
use crate::server::answer::{Answer, body, error, wrong_method};

/// The account, and what its tokens are signed with.
#[derive(Debug)]
pub struct Visitor {
    /// Whose account it is.
    pub user: String,
    /// Must be those of the configuration, or its own server refuses the tokens.
    pub secrets: Secrets,
}

impl Market {
    /// The same, and its page shows this account to whoever opens it.
    #[must_use]
    pub fn with_visitor(self, visitor: Visitor) -> Market {
        Market { visitor: Some(visitor), ..self }
    }
}

impl Visitor {
    /// Answers a request for a token.
    pub(super) fn answer(&self, method: &Method) -> Answer {
        if *method != Method::GET {
            return wrong_method("GET");
        }
        // It grants nothing but to look: no scope.
        match mint(&Mint::new(&self.user, Clock::start().now(), VALID_SECONDS), &self.secrets) {
            Ok(token) => body(StatusCode::OK, &json!({ "token": token, "user": self.user })),
            Err(cannot @ (CannotMint::NoSecret | CannotMint::Signing)) => {
                error(StatusCode::INTERNAL_SERVER_ERROR, "NO_TOKEN", &cannot.to_string())
            }
        }
    }
}

/// Where the page asks for it. The page is told so by an attribute (see [`super::page`]).
pub(super) const TOKEN: &str = "/demo/token";

/// Short, so that renewing is part of what the demo shows.
const VALID_SECONDS: i64 = 90;

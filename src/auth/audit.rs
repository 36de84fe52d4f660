//! The audit log: who was refused what, under the log target `audit`, as fields and never with a token.

use std::fmt::Display;

use tracing::warn;

use super::Refused;

/// A token was refused.
pub fn token_refused(peer: impl Display, place: &'static str, refused: Refused) {
    warn!(target: "audit", event = "token_refused", %peer, place, code = refused.code(), reason = %refused);
}

/// Somebody asked for what it may not have.
pub fn forbidden(user: Option<&str>, place: &'static str, what: &str) {
    let what: String = what.chars().take(MOST_SHOWN).collect();
    warn!(target: "audit", event = "forbidden", user, place, what);
}

/// Somebody asked too often. Told once for each time that it begins.
pub fn rate_limited(user: Option<&str>, place: &'static str) {
    warn!(target: "audit", event = "rate_limited", user, place);
}

/// What a client wrote is repeated, but not at any length.
const MOST_SHOWN: usize = 128;

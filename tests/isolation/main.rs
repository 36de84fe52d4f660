//! Who sees what: every kind of token, in every place, on every dialect, with everything asked for that
//! there is, against an oracle that knows the protocol and nothing of the server.
//!
//! Every object that reaches anybody is held against the oracle; and what the oracle promises has to
//! arrive, so that a server which says nothing is wrong too.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here and says why")]

#[path = "../support/client.rs"]
#[allow(dead_code, unreachable_pub, clippy::wildcard_enum_match_arm, reason = "it belongs to several tests")]
mod client;
#[path = "../support/raw.rs"]
mod raw;
#[path = "../support/running.rs"]
mod running;

mod events;
mod listener;
mod matrix;
mod numbers;
mod once;
mod oracle;
mod rotation;
mod stage;
mod stats;
mod tokens;
mod words;

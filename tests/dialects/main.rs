//! Plays every transcript of `fixtures/dialects`, without sockets and over real ones, and tries what
//! needs several clients. What a line of a transcript means stands in `tests/support/transcript.rs`;
//! another case is another text.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

#[path = "../support/client.rs"]
#[allow(dead_code, unreachable_pub, clippy::wildcard_enum_match_arm, reason = "it belongs to several tests")]
mod client;
#[path = "../support/gateway.rs"]
mod gateway;
#[path = "../support/inside.rs"]
mod inside;
#[path = "../support/raw.rs"]
mod raw;
#[path = "../support/running.rs"]
mod running;
#[path = "../support/transcript.rs"]
mod transcript;

mod gateways;
mod native;
mod player;
mod users;

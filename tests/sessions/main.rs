//! Real sockets: everything that a client can do to a server, right and wrong.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on stops here and says why"
)]

#[path = "../support/client.rs"]
#[allow(dead_code, unreachable_pub, clippy::wildcard_enum_match_arm, reason = "it belongs to several tests")]
mod client;
#[path = "../support/given_up.rs"]
mod given_up;
#[path = "../support/polling.rs"]
mod polling;
#[path = "../support/raw.rs"]
mod raw;
#[path = "../support/running.rs"]
mod running;
#[path = "../../examples/pubsub/service.rs"]
mod service;

mod compression;
mod conversation;
mod frames;
mod handshake;
mod hub;
mod moves;
mod private;
mod publishing;
mod pubsub;
mod rooms;
mod shutdown;
mod slow;
mod storm;

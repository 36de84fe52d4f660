//! What the conformance suites of Engine.IO and Socket.IO demand, test by test, over real sockets, and
//! what they leave out: limits, abandoned moves, order through a move.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here and says why")]

#[path = "../support/raw.rs"]
mod raw;
#[path = "../../examples/conformance/suite.rs"]
#[allow(dead_code, reason = "the example begins it in another way")]
mod suite;

mod beyond;
mod client;
mod engineio;
mod order;
mod sessions;
mod socketio;

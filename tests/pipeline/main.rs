//! Messages in, frames out: the whole path of an update with a manual clock and without sockets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]
#![allow(clippy::print_stdout, reason = "what was left out, and what was measured, is said")]

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod bars;
mod books;
mod files;
mod recorded;
mod resume;
mod storm;

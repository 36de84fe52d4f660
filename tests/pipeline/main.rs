//! Messages in, frames out: the whole path of an update with a manual clock and without sockets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

#[path = "../support/mod.rs"]
mod support;

mod bars;
mod books;
mod files;
mod recorded;
mod resume;
mod storm;

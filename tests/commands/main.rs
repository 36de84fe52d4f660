//! The built binary, as a person or a service manager runs it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on stops here and says why"
)]

mod process;
#[path = "../support/raw.rs"]
mod raw;
#[path = "../support/venue.rs"]
mod venue;

mod durability;
mod full_disk;
mod record;
mod replay;
mod secrets;
mod serve;
mod tail;

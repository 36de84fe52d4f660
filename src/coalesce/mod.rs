//! When something is sent, and what of it: throttles, merged deltas, the pictures that clients hold.
//!
//! Holds no timer and no socket: `now` is an argument, and the caller asks when to come back.

mod book;
mod checksum;
mod delta;
mod flush;
mod history;
mod throttle;

pub use book::BookTopic;
pub use checksum::{CHECKSUM_DEPTH, checksum};
pub use delta::difference;
pub use flush::{Flush, Flushed};
pub use throttle::{Offer, Throttle};

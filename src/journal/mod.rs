//! What must outlive the process: private events, what they leave behind, and closed bars.
//!
//! An event is acknowledged when the transaction that holds it is on disk; many events share one.
//! Numbers have no holes: they are given out in the transaction, and a transaction that fails takes
//! its numbers back. Every row carries a checksum, and a row that fails it is named, never served.
//!
//! The store is SQLite: `benches/journal.rs` says what it was weighed against and why it was taken.

mod accounts;
mod bars;
mod events;
mod store;

#[cfg(test)]
mod tests;

pub use bars::KeptBar;
pub use events::{Entry, Missed, Recorded, Row};
pub use store::{Journal, JournalError, Retention};

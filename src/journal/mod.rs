//! What must outlive the process: private events and what they leave behind, and closed bars.
//!
//! An event is acknowledged when the transaction that holds it is on disk; many events share one.
//! Numbers have no holes: they are given out in the transaction, and a transaction that fails takes
//! its numbers back. Every row carries a checksum, and a row that fails it is named, never served.
//!
//! The store is SQLite. `benches/journal.rs` weighs it against redb and fjall; they were left for what
//! they do when something fails. A write that meets a full disk poisons fjall until it is opened anew,
//! and after a kill it may wait for ever to write (its issue 257); redb, too, has to be opened anew after
//! any error, and reads its whole file when it was killed. SQLite takes the transaction back and goes on,
//! and needs no repair after a kill. What it was slow in, a page for each of an event's tables and
//! indices, [`Journal`] avoids: only the event itself is written before it is acknowledged, behind the last
//! one, and what it changes of its user's numbers and things settles later (`settle`), together with that of
//! others. What an event costs does not grow with the users.

mod accounts;
mod bars;
mod events;
mod forget;
mod layout;
mod settle;
mod standing;
mod store;

#[cfg(test)]
mod tests;

pub use bars::{BarStore, FoundBars};
pub use events::{Entry, Missed, Recorded, Row, Taken};
pub use store::{Journal, JournalError, Retention};

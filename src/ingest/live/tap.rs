//! What a live source shows before it understands it: enough to write a recording.

use crate::market::Millis;

/// Something that passed between us and the venue, as it was.
#[derive(Clone, Copy, Debug)]
pub struct Tapped<'a> {
    /// When.
    pub received: Millis,
    /// On which connection of this run; 0 is REST.
    pub connection: u64,
    /// What.
    pub what: Raw<'a>,
}

/// See [`Tapped`].
#[derive(Clone, Copy, Debug)]
pub enum Raw<'a> {
    /// A connection was opened.
    Opened {
        /// The path of its streams.
        path: &'a str,
    },
    /// We sent this.
    Sent(&'a str),
    /// A text frame came.
    Text(&'a [u8]),
    /// A binary frame came.
    Binary(&'a [u8]),
    /// A REST answer came.
    Answer {
        /// The path and query that were asked for.
        path: &'a str,
        /// The HTTP status.
        status: u16,
        /// The body.
        body: &'a [u8],
    },
    /// A connection ended.
    Ended {
        /// Why, in words.
        why: &'a str,
    },
}

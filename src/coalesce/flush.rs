//! What a flush of a book topic holds, in buffers that are used again.

use super::{CHECKSUM_DEPTH, checksum};
use crate::market::{Level, Millis, Side};
use crate::state::{Book, LevelChange};

/// A flush's levels and numbers, in buffers that are used again.
#[derive(Debug, Default)]
pub struct Flush {
    /// Bids, best first.
    pub bids: Vec<Level>,
    /// Asks, best first.
    pub asks: Vec<Level>,
    /// The venue's number of the first update in it.
    pub first_update_id: u64,
    /// The venue's number of the last update in the state that it applies to; a snapshot's own.
    pub previous_update_id: u64,
    /// The venue's number of the last update in it.
    pub last_update_id: u64,
    /// The venue's time of the last update in it.
    pub time: Millis,
    /// When the engine took the last update in.
    pub taken_in: Millis,
    /// CRC-32 of the best levels that the client then holds.
    pub checksum: u32,
    pub(super) top_bids: Vec<Level>,
    pub(super) top_asks: Vec<Level>,
    pub(super) changed: Vec<LevelChange>,
}

/// What a flush is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// The whole picture.
    Snapshot,
    /// What changed since `previous`, in so many of the source's updates.
    Delta {
        /// The `seq` that it applies to.
        previous: u64,
        /// How many updates it stands for.
        merged: u32,
    },
}

/// Where the venue's numbering stood, its time and ours, at some change.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stamp {
    pub(super) first_update_id: u64,
    pub(super) previous_update_id: u64,
    pub(super) last_update_id: u64,
    pub(super) time: Millis,
    pub(super) taken_in: Millis,
}

impl Flush {
    pub(super) fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    pub(super) fn stamp(&mut self, stamp: Stamp) {
        (self.first_update_id, self.last_update_id) = (stamp.first_update_id, stamp.last_update_id);
        self.previous_update_id = stamp.previous_update_id;
        (self.time, self.taken_in) = (stamp.time, stamp.taken_in);
    }

    pub(super) fn checksum_of(&mut self, book: &Book) -> u32 {
        book.side(Side::Bid).copy_top(CHECKSUM_DEPTH, &mut self.top_bids);
        book.side(Side::Ask).copy_top(CHECKSUM_DEPTH, &mut self.top_asks);
        checksum(&self.top_bids, &self.top_asks)
    }
}

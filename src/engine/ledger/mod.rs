//! The ledger: private events are made durable, then told to those who may hear them.
//!
//! One thread owns the journal. What publishers, workers and shards want of it waits in bounded
//! queues; everything that has come is recorded in one transaction, so that a busy ledger shares
//! each wait for the disk among many events. The cost of an event does not depend on how many users
//! there are: what is looked up is looked up by key.

mod join;
mod record;
mod tell;
mod thread;

use std::sync::Arc;

use rustc_hash::FxHashMap;

pub use record::{Item, NOT_DURABLE, Outcome};
pub(super) use thread::{LedgerInput, LedgerThread};

use crate::clock::FineClock;
use crate::ingest::publish::Seen;
use crate::journal::Journal;
use crate::market::{AccountTopic, Accounts, RoomId, Rooms, Topic};
use crate::metrics::LedgerMeter;
use crate::shard::{Interest, Leave};

/// The ledger without its thread: `now` is an argument, what is to be sent goes into an outlet.
pub struct Ledger {
    /// `None` where nothing can be made durable.
    journal: Option<Journal>,
    accounts: Arc<Accounts>,
    rooms: Arc<Rooms>,
    workers: u16,
    listeners: FxHashMap<AccountTopic, Listeners>,
    /// The last number of what is told and not kept, by room.
    room_seqs: FxHashMap<RoomId, u64>,
    /// The names of what is told and not kept.
    seen: Seen,
    /// For how long commits take, which is asked of the clock and decides nothing.
    fine: FineClock,
    meter: Arc<LedgerMeter>,
    /// Names this run of the numbers that are not kept.
    epoch: Arc<str>,
}

/// Who listens to a topic, and the topic's last number where it is not kept.
#[derive(Debug, Default)]
struct Listeners {
    interest: Interest,
    seq: u64,
}

impl Ledger {
    /// A ledger over `journal`, for so many workers.
    pub fn new(
        journal: Option<Journal>,
        accounts: Arc<Accounts>,
        rooms: Arc<Rooms>,
        workers: u16,
        epoch: &str,
    ) -> Ledger {
        Ledger {
            journal,
            accounts,
            rooms,
            workers,
            listeners: FxHashMap::default(),
            room_seqs: FxHashMap::default(),
            seen: Seen::default(),
            fine: FineClock::start(),
            meter: Arc::default(),
            epoch: epoch.into(),
        }
    }

    /// What it counts.
    pub fn meter(&self) -> &Arc<LedgerMeter> {
        &self.meter
    }

    /// Counts a subscriber less.
    pub fn leave(&mut self, leave: Leave) {
        let Topic::Account(topic) = leave.channel.topic else { return };
        if let Some(listeners) = self.listeners.get_mut(&topic) {
            // The numbers of what is not kept go on as long as the process: an entry that holds one
            // stays.
            let last = listeners.interest.leave(leave.channel.dialect, leave.worker);
            if last && listeners.seq == 0 {
                self.listeners.remove(&topic);
            }
        }
    }
}

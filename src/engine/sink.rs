//! The door into the shards, for sources.

use std::sync::Arc;

use crossbeam_channel::Sender;
use crossbeam_queue::ArrayQueue;

use super::shard::ShardInput;
use crate::ingest::Sink;
use crate::market::{BookChange, Event, Millis, SymbolId};
use crate::state::Board;

/// Puts events into the queue of the shard that owns their symbol, and waits while it is full.
#[derive(Clone)]
pub struct EngineSink {
    shards: Vec<Sender<ShardInput>>,
    /// Changes that shards have applied; their buffers are filled again.
    spare: Arc<ArrayQueue<Box<BookChange>>>,
    board: Arc<Board>,
}

impl EngineSink {
    pub(super) const fn new(
        shards: Vec<Sender<ShardInput>>,
        spare: Arc<ArrayQueue<Box<BookChange>>>,
        board: Arc<Board>,
    ) -> EngineSink {
        EngineSink { shards, spare, board }
    }

    /// Time has come to `now` in a recording, whether or not anything happened.
    pub fn pass_time(&self, now: Millis) {
        for shard in &self.shards {
            let _ = shard.send(ShardInput::Time(now));
        }
    }
}

impl Sink for EngineSink {
    fn put(&mut self, symbol: SymbolId, received: Millis, event: Event) {
        let shard = &self.shards[symbol.index() % self.shards.len()];
        // A shard ends only when the engine does, and nobody misses the event then.
        let _ = shard.send(ShardInput::Event { symbol, received, event });
    }

    fn blank(&mut self) -> Box<BookChange> {
        self.spare.pop().unwrap_or_default()
    }

    fn recycle(&mut self, mut change: Box<BookChange>) {
        change.clear();
        // More than fit are simply let go.
        let _ = self.spare.push(change);
    }

    #[inline]
    fn lost(&mut self, heard: &mut u64) -> Option<SymbolId> {
        self.board.lost(heard)
    }
}

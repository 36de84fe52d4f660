//! The door into the shards, for sources.

use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::Sender;
use crossbeam_queue::ArrayQueue;

use super::shard::ShardInput;
use crate::ingest::Sink;
use crate::market::{BookChange, Event, Millis, SymbolId};
use crate::metrics::SourceMeter;
use crate::state::Board;

/// Puts events into the queue of the shard that owns their symbol, and waits while it is full.
pub struct EngineSink {
    shards: Vec<Sender<ShardInput>>,
    /// Changes that shards have applied; their buffers are filled again.
    spare: Arc<ArrayQueue<Box<BookChange>>>,
    board: Arc<Board>,
    sources: Sources,
    source: Arc<str>,
    /// Its own: a clone counts for itself, so that each may be on another thread.
    meter: Arc<SourceMeter>,
}

impl EngineSink {
    pub(super) fn new(
        shards: Vec<Sender<ShardInput>>,
        spare: Arc<ArrayQueue<Box<BookChange>>>,
        board: Arc<Board>,
        sources: &Sources,
        source: &str,
    ) -> EngineSink {
        let (meter, source) = (sources.meter(source), source.into());
        EngineSink { shards, spare, board, sources: sources.clone(), source, meter }
    }

    /// Time has come to `now` in a recording, whether or not anything happened.
    pub fn pass_time(&self, now: Millis) {
        for shard in &self.shards {
            let _ = shard.send(ShardInput::Time(now));
        }
    }
}

impl Clone for EngineSink {
    fn clone(&self) -> EngineSink {
        EngineSink::new(
            self.shards.clone(),
            self.spare.clone(),
            self.board.clone(),
            &self.sources,
            &self.source,
        )
    }
}

impl Sink for EngineSink {
    fn put(&mut self, symbol: SymbolId, received: Millis, event: Event) {
        self.meter.events.add(1);
        self.meter.newest.set(received.unsigned_abs());
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

/// What all sinks have counted, by the name of their source. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Sources(Arc<Mutex<Vec<Counted>>>);

#[derive(Debug)]
struct Counted {
    source: Box<str>,
    /// Of sinks that there are.
    meters: Vec<Arc<SourceMeter>>,
    /// Of sinks that have gone.
    gone: (u64, u64),
}

impl Sources {
    /// Each source: its name, its events, and when the newest was received, in milliseconds since
    /// 1970 (0 is never).
    pub fn read(&self) -> Vec<(Box<str>, u64, u64)> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |counted: &mut Counted| {
            counted.forget();
            let sum = |(events, newest): (u64, u64), meter: &Arc<SourceMeter>| {
                (events + meter.events.read(), newest.max(meter.newest.read()))
            };
            let (events, newest) = counted.meters.iter().fold(counted.gone, sum);
            (counted.source.clone(), events, newest)
        };
        all.iter_mut().map(read).collect()
    }

    fn meter(&self, source: &str) -> Arc<SourceMeter> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let meter = Arc::<SourceMeter>::default();
        match all.iter_mut().find(|counted| *counted.source == *source) {
            Some(counted) => {
                counted.forget();
                counted.meters.push(meter.clone());
            }
            None => {
                all.push(Counted { source: source.into(), meters: vec![meter.clone()], gone: (0, 0) });
            }
        }
        meter
    }
}

impl Counted {
    /// Adds up the sinks that have gone, so that many short-lived ones leave nothing behind.
    fn forget(&mut self) {
        let (events, newest) = &mut self.gone;
        self.meters.retain(|meter| {
            let is_used = Arc::strong_count(meter) > 1;
            if !is_used {
                *events += meter.events.read();
                *newest = (*newest).max(meter.newest.read());
            }
            is_used
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sink_counted_stays_when_it_has_gone() {
        let sources = Sources::default();
        let (one, other) = (sources.meter("a"), sources.meter("a"));
        let third = sources.meter("b");
        for (meter, events, newest) in [(&one, 3, 30), (&other, 4, 20), (&third, 1, 10)] {
            meter.events.add(events);
            meter.newest.set(newest);
        }
        let expect: [(Box<str>, u64, u64); 2] = [("a".into(), 7, 30), ("b".into(), 1, 10)];
        assert_eq!(sources.read(), expect);
        drop((one, third));
        assert_eq!(sources.read(), expect);
        assert_eq!(sources.0.lock().unwrap().iter().map(|counted| counted.meters.len()).sum::<usize>(), 1);
    }
}

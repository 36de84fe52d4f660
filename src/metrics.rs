//! What the threads count: each its own numbers, which others read when they are asked for them.
//!
//! A number has one writer, which loads and stores and never adds atomically: that is two plain moves,
//! and no cache line is fought for. Relaxed: each number stands for itself.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread writes and any other reads.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds, on the thread that writes it.
    #[inline]
    pub fn add(&self, more: u64) {
        self.set(self.read().wrapping_add(more));
    }

    /// Takes away, on the thread that writes it.
    #[inline]
    pub fn take(&self, less: u64) {
        self.set(self.read().saturating_sub(less));
    }

    /// Replaces it, on the thread that writes it.
    #[inline]
    pub fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }

    /// The number now.
    #[inline]
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one worker counts.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct WorkerMeter {
    /// Rounds in which something was sent.
    pub rounds: Count,
    /// Broadcasts that came for its clients.
    pub broadcasts: Count,
    /// Writes of rounds to sockets: the calls.
    pub writes: Count,
    /// Frames that clients were given, at once or into their outboxes: the deliveries.
    pub frames: Count,
    /// Bytes that sockets took at once.
    pub bytes: Count,
    /// Writes of which the socket did not take all.
    pub cut_short: Count,
    /// Clients that were closed because they were too slow.
    pub slow_closes: Count,
    /// Clients that there are.
    pub connections: Count,
    /// Bytes that wait for them, a quarter of a second ago.
    pub outbox_bytes: Count,
    /// Subscriptions of its clients, by the dialect's number.
    pub subscriptions: [Count; DIALECTS],
    /// From the turn of a shard in which something was published to the end of the round that wrote it.
    pub latency: Histogram,
    /// When the oldest turn began that has not been written yet; 0 is none. Written by the shards.
    pub published: AtomicU64,
}

impl WorkerMeter {
    /// A turn that began at `now` has put something into the worker's inbox. Of several the oldest
    /// counts, so that the latency is never shown too low.
    pub fn publish(&self, now: u64) {
        if self.published.load(Ordering::Relaxed) == 0 {
            self.published.store(now, Ordering::Relaxed);
        }
    }

    /// What was published needed no writing.
    pub fn nothing_to_write(&self) {
        self.published.store(0, Ordering::Relaxed);
    }

    /// What was published has been written by `now`.
    pub fn written(&self, now: u64) {
        let since = self.published.load(Ordering::Relaxed);
        if since != 0 {
            self.published.store(0, Ordering::Relaxed);
            self.latency.record(now.saturating_sub(since));
        }
    }
}

/// What one shard counts.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ShardMeter {
    /// Events by kind, in the order of [`EVENT_KINDS`].
    pub events: [Count; EVENT_KINDS.len()],
    /// When the newest of them was received, in milliseconds since 1970.
    pub newest: Count,
    /// Frames handed to workers, by the topic's class, in the order of [`TOPIC_CLASSES`].
    pub frames: [Count; TOPIC_CLASSES.len()],
    /// Updates put into words: once for each dialect that somebody listens in, however many they are.
    pub encodings: Count,
    /// Questions about the past.
    pub questions: Count,
    /// Closed bars that were not kept, because too many waited for the disk.
    pub bars_not_kept: Count,
}

/// What the ledger counts.
#[derive(Debug, Default)]
pub struct LedgerMeter {
    /// From the begin of a group of private events to its being on disk.
    pub commits: Histogram,
}

/// What events are called.
pub const EVENT_KINDS: [&str; 7] = ["book", "stale", "trade", "quote", "ticker", "bar", "scale"];

/// What topics are called.
pub const TOPIC_CLASSES: [&str; 5] = ["book", "ticker", "tickers", "trades", "kline"];

/// How many dialects can be told apart.
pub const DIALECTS: usize = 8;

/// How often something took how long, in nanoseconds.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Count; EDGES.len() + 1],
    sum: Count,
}

impl Histogram {
    /// Counts one that took so long.
    pub fn record(&self, nanos: u64) {
        self.buckets[EDGES.partition_point(|&edge| edge < nanos)].add(1);
        self.sum.add(nanos);
    }

    /// Upper edges in nanoseconds, each with how many were at most that and above the one before; the
    /// last has no edge.
    pub fn read(&self) -> Vec<(Option<u64>, u64)> {
        let edges = EDGES.iter().copied().map(Some).chain([None]);
        edges.zip(self.buckets.iter().map(Count::read)).collect()
    }

    /// The sum of all, in nanoseconds.
    pub fn sum(&self) -> u64 {
        self.sum.read()
    }
}

/// From 10 µs, below which nothing is written, to a second.
const EDGES: [u64; 16] = [
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_each_once_up_to_its_edge() {
        let histogram = Histogram::default();
        for nanos in [0, 10_000, 10_001, 999_999_999, 1_000_000_001, u64::from(u32::MAX) * 2] {
            histogram.record(nanos);
        }
        let found: Vec<_> = histogram.read().into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(found, [(Some(10_000), 2), (Some(20_000), 1), (Some(1_000_000_000), 1), (None, 2)]);
    }

    #[test]
    fn the_oldest_turn_that_was_not_written_counts() {
        let meter = WorkerMeter::default();
        meter.publish(1_000);
        meter.publish(900_000);
        meter.written(1_001_000);
        meter.written(2_000_000);
        assert_eq!((meter.latency.sum(), meter.latency.read()[6]), (1_000_000, (Some(1_000_000), 1)));
    }
}

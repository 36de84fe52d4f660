//! Why connections are not there, or no longer, counted by kind.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;
use thiserror::Error;

use super::walk::Malformed;

/// Why a connection ended before it was told to.
#[derive(Debug, Error)]
pub(super) enum Ending {
    /// It never came about.
    #[error("could not connect: {0}")]
    Unconnected(io::ErrorKind),
    /// A step took too long.
    #[error("timed out while {0}")]
    TimedOut(Step),
    /// Another status than 101.
    #[error("answered with HTTP status {0}")]
    Status(u16),
    /// Something that no WebSocket server says.
    #[error("not answered as a WebSocket server does")]
    NoWebSocket,
    /// Not all topics were had.
    #[error("not subscribed: {0}")]
    NotSubscribed(String),
    /// Frames were no frames.
    #[error("broke the protocol: {0}")]
    Malformed(#[from] Malformed),
    /// A message longer than anybody needs.
    #[error("sent a message of more than {} MiB", super::conversation::MOST_MESSAGE >> 20)]
    TooLong,
    /// The server closed it.
    #[error("closed with code {code}{reason}")]
    Closed {
        /// Its code; 1005 stands for none, as everywhere.
        code: u16,
        /// What it said, with a colon in front, or nothing.
        reason: String,
    },
    /// It ended without a close frame.
    #[error("ended without a close frame")]
    Dropped,
    /// It broke.
    #[error("broke: {0}")]
    Broken(io::ErrorKind),
}

/// What a connection does until it hears something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Step {
    /// TCP.
    #[error("connecting")]
    Connecting,
    /// HTTP.
    #[error("upgrading")]
    Upgrading,
    /// The dialect's.
    #[error("subscribing")]
    Subscribing,
}

/// Failures by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Failures(BTreeMap<String, u64>);

impl Failures {
    pub(super) fn count(&mut self, ending: &Ending) {
        self.add(ending.to_string(), 1);
    }

    pub(super) fn merge(&mut self, other: Failures) {
        for (kind, count) in other.0 {
            self.add(kind, count);
        }
    }

    fn add(&mut self, kind: String, count: u64) {
        // Reasons are the server's words and could be different each time.
        let kind =
            if self.0.len() >= MOST_KINDS && !self.0.contains_key(&kind) { OTHERS.into() } else { kind };
        *self.0.entry(kind).or_default() += count;
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Each kind and how often it came.
    pub fn each(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(kind, count)| (kind.as_str(), *count))
    }
}

/// Kinds that are told apart.
const MOST_KINDS: usize = 24;

const OTHERS: &str = "other reasons";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_counted_and_bounded() {
        let mut failures = Failures::default();
        for number in 0..100 {
            failures.count(&Ending::Status(503));
            failures.count(&Ending::Closed { code: 1012, reason: format!(": retry in {number} ms") });
        }
        assert_eq!(failures.total(), 200);
        assert!(failures.each().any(|kind| kind == ("answered with HTTP status 503", 100)));
        assert!(failures.each().count() <= MOST_KINDS + 1);
        let mut all = failures.clone();
        all.merge(failures);
        assert_eq!(all.total(), 400);
    }
}

//! Publishing, the journal and rooms: `[publish]`, `[journal]`, `[rooms]`.

use std::num::NonZeroUsize;
use std::time::Duration;

/// `[publish]`: what publishers may send.
#[derive(Clone, Debug, PartialEq)]
pub struct Publish {
    /// One request or message.
    pub bytes: NonZeroUsize,
    /// Objects in it.
    pub objects: NonZeroUsize,
    /// Objects a second of one publisher.
    pub objects_per_second: NonZeroUsize,
    /// Publications that wait for the disk.
    pub queue: NonZeroUsize,
}

/// `[journal]`: how much of the private past is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Journal {
    /// Events of one topic of one user.
    pub events: NonZeroUsize,
    /// How old one may become.
    pub age: Duration,
    /// What all of it may take on disk.
    pub bytes: NonZeroUsize,
}

/// `[rooms]`: what publishers may broadcast to, besides the topics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoomNames {
    /// Rooms for everybody.
    pub public: Vec<String>,
    /// Rooms for users with a token.
    pub users: Vec<String>,
}

impl Default for Publish {
    fn default() -> Publish {
        let count = super::at_least_one;
        Publish {
            bytes: count(4 << 20),
            objects: count(10_000),
            objects_per_second: count(100_000),
            queue: count(1_024),
        }
    }
}

impl Default for Journal {
    fn default() -> Journal {
        let count = super::at_least_one;
        Journal { events: count(1_000), age: Duration::from_secs(7 * 86_400), bytes: count(64 << 30) }
    }
}

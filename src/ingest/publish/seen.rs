//! The `eventId`s of objects that are not kept: those that were taken in the last hour are known.
//!
//! Those of private events stand in the journal, and outlive the process; these do not.

use std::collections::VecDeque;

use rustc_hash::FxHashSet;
use sha2::{Digest, Sha256};

use crate::market::Millis;

/// The names that were seen lately, each within its own scope: a symbol, a room, a user.
#[derive(Debug, Default)]
pub struct Seen {
    names: FxHashSet<Name>,
    /// In the order in which they came.
    ages: VecDeque<(Millis, Name)>,
}

/// Half of a hash of scope and name: whatever publishers call their objects, each takes the same room.
type Name = [u8; 16];

impl Seen {
    /// Whether `name` was seen in `scope` within the last hour.
    pub fn knows(&mut self, now: Millis, scope: &str, name: &str) -> bool {
        while let Some((at, old)) = self.ages.front()
            && now - at >= REMEMBERED
        {
            self.names.remove(old);
            self.ages.pop_front();
        }
        self.names.contains(&hash(scope, name))
    }

    /// From now on it was.
    pub fn add(&mut self, now: Millis, scope: &str, name: &str) {
        if self.ages.len() >= MOST
            && let Some((_, oldest)) = self.ages.pop_front()
        {
            self.names.remove(&oldest);
        }
        let name = hash(scope, name);
        if self.names.insert(name) {
            self.ages.push_back((now, name));
        }
    }
}

fn hash(scope: &str, name: &str) -> Name {
    let hash = Sha256::new().chain_update(scope).chain_update([0_u8]).chain_update(name).finalize();
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    half
}

/// How long a name is known.
const REMEMBERED: Millis = 3_600_000;

/// Names that are known at once, 60 MB of them. Beyond, the oldest are forgotten before their hour.
const MOST: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_in_its_scope_for_an_hour() {
        let mut seen = Seen::default();
        assert!(!seen.knows(0, "room a", "x"));
        seen.add(0, "room a", "x");
        assert!(seen.knows(3_599_999, "room a", "x"));
        assert!(!seen.knows(3_599_999, "room b", "x"));
        assert!(!seen.knows(3_600_000, "room a", "x"));
        seen.add(3_600_000, "room a", "x");
        assert!(seen.knows(3_600_001, "room a", "x"));
    }
}

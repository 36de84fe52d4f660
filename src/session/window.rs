//! How many messages a client may send in any minute.

use std::collections::VecDeque;

use crate::market::Millis;

/// A limit that looks back over the last minute, wherever it begins.
///
/// Invariant: `taken` holds the times of what was let through in the last minute, oldest first, and
/// never more than `most`.
#[derive(Debug)]
pub(super) struct RollingWindow {
    most: usize,
    taken: VecDeque<Millis>,
}

impl RollingWindow {
    /// Lets `most` through in a minute.
    pub(super) const fn new(most: usize) -> RollingWindow {
        RollingWindow { most, taken: VecDeque::new() }
    }

    /// Whether one more is let through. One that is not does not count.
    pub(super) fn take(&mut self, now: Millis) -> bool {
        while self.taken.front().is_some_and(|first| *first <= now - MINUTE) {
            self.taken.pop_front();
        }
        let lets = self.taken.len() < self.most;
        if lets {
            self.taken.push_back(now);
        }
        lets
    }
}

const MINUTE: Millis = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixty_first_in_any_minute_is_held_back() {
        let mut window = RollingWindow::new(60);
        assert!((0..60).all(|message| window.take(message * 100)));
        assert!(!window.take(59_999), "the first was a moment less than a minute ago");
        assert!(window.take(60_000) && !window.take(60_050));
        assert!(window.take(60_100), "what was held back did not count");
    }
}

//! What the threads of a run tell each other while it lasts, and what each of them brings home.

use std::sync::atomic::{AtomicU64, AtomicUsize};

use hdrhistogram::Histogram;

use super::conversation::Violations;
use super::ending::Failures;
use super::plan::Habit;

/// When things happen, set once by the one who watches, and how far they are, told by all.
#[derive(Debug)]
pub(super) struct Control {
    /// When the measured part begins, in nanoseconds since 1970; far away until all are subscribed.
    pub(super) begin: AtomicU64,
    /// When it ends.
    pub(super) end: AtomicU64,
    /// When receivers say goodbye.
    pub(super) leave: AtomicU64,
    /// Receivers that are subscribed for the first time, or failed to.
    pub(super) settled: AtomicUsize,
    /// Receivers that are subscribed.
    pub(super) open: AtomicUsize,
    /// Messages heard.
    pub(super) messages: AtomicU64,
}

impl Default for Control {
    fn default() -> Control {
        let far_away = || AtomicU64::new(u64::MAX);
        Control {
            begin: far_away(),
            end: far_away(),
            leave: far_away(),
            settled: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            messages: AtomicU64::new(0),
        }
    }
}

/// What a thread counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Messages of the measured part.
    pub(super) deliveries: u64,
    /// Bytes of the measured part, with frame headers.
    pub(super) bytes: u64,
    /// Messages from the first subscription to the last goodbye.
    pub(super) received: u64,
    /// Latencies of the measured part.
    pub(super) latencies: Option<Histogram<u64>>,
    /// What went wrong.
    pub(super) failures: Failures,
    /// Times that a receiver came to be subscribed.
    pub(super) subscribed: u64,
    /// Receivers subscribed at the end of the measured part.
    pub(super) open_at_end: u64,
    /// Receivers that left and were answered.
    pub(super) left: u64,
    /// Receivers that left without a word.
    pub(super) vanished: u64,
    /// Receivers that left and were not answered in time.
    pub(super) unanswered: u64,
    /// What was verified.
    pub(super) checked: Checked,
}

/// What was verified.
#[derive(Clone, Debug, Default)]
pub(super) struct Checked {
    /// Receivers that did.
    pub(super) receivers: u64,
    /// Messages that were.
    pub(super) messages: u64,
    /// Rules that were broken.
    pub(super) violations: Violations,
    /// The newest number of each topic of each receiver, at the end.
    pub(super) numbers: Vec<(Habit, String, u64)>,
}

impl Tally {
    /// Both together.
    pub(super) fn merge(&mut self, other: Tally) {
        self.deliveries += other.deliveries;
        self.bytes += other.bytes;
        self.received += other.received;
        match (&mut self.latencies, other.latencies) {
            (Some(ours), Some(theirs)) => {
                // They have the same bounds, so that nothing can fall outside.
                let _ = ours.add(theirs);
            }
            (ours @ None, theirs) => *ours = theirs,
            (Some(_), None) => {}
        }
        self.failures.merge(other.failures);
        self.subscribed += other.subscribed;
        self.open_at_end += other.open_at_end;
        self.left += other.left;
        self.vanished += other.vanished;
        self.unanswered += other.unanswered;
        self.checked.receivers += other.checked.receivers;
        self.checked.messages += other.checked.messages;
        self.checked.violations.merge(other.checked.violations);
        self.checked.numbers.extend(other.checked.numbers);
    }
}

impl Checked {
    /// How far the receivers of that habit are behind the one that is furthest, in the topic where it is most.
    pub(super) fn most_behind(&self, habit: Habit) -> Option<u64> {
        let of_habit = self.numbers.iter().filter(|(whose, ..)| *whose == habit);
        let behind = |(_, topic, seq): &(Habit, String, u64)| {
            let same = self.numbers.iter().filter(|(_, other, _)| other == topic);
            Some(same.map(|(.., seq)| *seq).max()?.saturating_sub(*seq))
        };
        of_habit.filter_map(behind).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_behind_is_held_against_the_furthest_in_the_same_topic() {
        let number = |habit, topic: &str, seq| (habit, topic.to_owned(), seq);
        let numbers = vec![
            number(Habit::Reads, "a", 100),
            number(Habit::Stops, "a", 98),
            number(Habit::Stops, "b", 5),
            number(Habit::Reads, "b", 12),
        ];
        let checked = Checked { numbers, ..Checked::default() };
        assert_eq!(checked.most_behind(Habit::Stops), Some(7));
        assert_eq!(checked.most_behind(Habit::Reads), Some(0));
        assert_eq!(checked.most_behind(Habit::Dawdles), None);
    }
}

//! A few numbers that one thread writes and any thread reads, without a lock and without a copy that
//! somebody would have to free.

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// `N` words, kept twice so that one of the two can always be read while the other is written.
///
/// Writing takes no locked instruction: it is what makes a value that changes with nearly every
/// message as cheap to publish as to keep (`benches/snapshot.rs`). A reader looks again where
/// the writer came round in the meantime; a writer that stands still, wherever it was stopped,
/// makes nobody wait.
///
/// Invariants: there is one writer ([`Latch::write`] is called by the owner of its cell alone);
/// while `turn` is even the first words are whole, while it is odd the second.
#[derive(Debug)]
pub(super) struct Latch<const N: usize> {
    turn: AtomicU64,
    words: [[AtomicU64; N]; 2],
}

impl<const N: usize> Default for Latch<N> {
    fn default() -> Latch<N> {
        Latch {
            turn: AtomicU64::new(0),
            words: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))),
        }
    }
}

impl<const N: usize> Latch<N> {
    /// Replaces all words.
    #[inline]
    pub(super) fn write(&self, words: [u64; N]) {
        let turn = self.turn.load(Ordering::Relaxed);
        for (next, half) in (turn + 1..).zip(&self.words) {
            // Readers go to the other half first. The fence keeps the words from being seen before
            // that, so that who reads one of them also sees that the turn is over.
            self.turn.store(next, Ordering::Release);
            fence(Ordering::Release);
            for (held, word) in half.iter().zip(words) {
                held.store(word, Ordering::Relaxed);
            }
        }
    }

    /// All words as one write left them.
    #[inline]
    pub(super) fn read(&self) -> [u64; N] {
        loop {
            let turn = self.turn.load(Ordering::Acquire);
            let half = &self.words[usize::from(turn % 2 == 1)];
            let words = std::array::from_fn(|at| half[at].load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if self.turn.load(Ordering::Relaxed) == turn {
                return words;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn a_reader_sees_one_write_whole_and_never_an_older_one_after_a_newer() {
        let (latch, done) = (Latch::<7>::default(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let readers = [(); 2].map(|()| {
                scope.spawn(|| {
                    let (mut last, mut seen) = (0, 0_u64);
                    while !done.load(Ordering::Relaxed) || seen == 0 {
                        let words = latch.read();
                        assert!(words.iter().all(|word| *word == words[0]), "torn: {words:?}");
                        assert!(words[0] >= last, "{} after {last}", words[0]);
                        (last, seen) = (words[0], seen + 1);
                    }
                })
            });
            for number in 1..=200_000 {
                latch.write([number; 7]);
            }
            done.store(true, Ordering::Relaxed);
            readers.into_iter().for_each(|reader| reader.join().unwrap());
        });
        assert_eq!(latch.read(), [200_000; 7]);
    }
}

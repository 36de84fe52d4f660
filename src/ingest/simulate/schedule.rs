//! When the next order comes in, and for which symbol: bursts and lulls, but the rate in every second.

use super::CATCH_UP;
use crate::market::Millis;

/// Spreads a rate over time and symbols.
///
/// Every second has exactly `rate` events. Within it some slices are busy and others are not; and
/// from second to second other symbols are.
#[derive(Debug)]
pub(super) struct Schedule {
    rng: fastrand::Rng,
    rate: u32,
    /// When the present second began.
    second: Millis,
    /// How many events of this second are due by the end of each slice.
    due: [u32; SLICES],
    slice: usize,
    /// Events of this second that have been given.
    given: u32,
    /// Running sums of the symbols' shares in this second.
    shares: Vec<u32>,
}

/// An order is to come in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) time: Millis,
    /// The symbol's place in the list.
    pub(super) symbol: usize,
}

impl Schedule {
    pub(super) fn new(rng: fastrand::Rng, rate: u32, symbols: usize, start: Millis) -> Schedule {
        let mut schedule = Schedule {
            rng,
            rate,
            second: start,
            due: [0; SLICES],
            slice: 0,
            given: 0,
            shares: vec![0; symbols],
        };
        schedule.begin_second(start);
        schedule
    }

    /// The next event that is due by `now`.
    pub(super) fn next(&mut self, now: Millis) -> Option<Due> {
        while self.given == self.rate {
            if self.second + SECOND > now {
                return None;
            }
            self.begin_second(self.second + SECOND);
        }
        let time = self.time_of_next();
        if time > now {
            return None;
        }
        self.given += 1;
        let share = self.rng.u32(..self.shares[self.shares.len() - 1]);
        Some(Due { time, symbol: self.shares.partition_point(|&sum| sum <= share) })
    }

    /// Leaves out what was due more than [`CATCH_UP`] before `now`, and says how much time that was.
    pub(super) fn skip(&mut self, now: Millis) -> Millis {
        let from = self.time_of_next();
        let oldest = now - CATCH_UP;
        if from >= oldest || self.rate == 0 {
            return 0;
        }
        let seconds = (oldest - self.second) / SECOND;
        if seconds > 0 {
            self.begin_second(self.second + seconds * SECOND);
        }
        while self.given < self.rate && self.time_of_next() < oldest {
            self.given += 1;
        }
        oldest - from
    }

    /// When the next event of this second is due; its end when none is left.
    fn time_of_next(&mut self) -> Millis {
        while self.slice < SLICES && self.due[self.slice] <= self.given {
            self.slice += 1;
        }
        if self.slice == SLICES {
            return self.second + SECOND;
        }
        let before = if self.slice == 0 { 0 } else { self.due[self.slice - 1] };
        let into = i64::from(self.given - before) * SLICE / i64::from(self.due[self.slice] - before);
        self.second + into + self.slice_start()
    }

    fn slice_start(&self) -> Millis {
        SLICE * Millis::try_from(self.slice).unwrap_or(0)
    }

    fn begin_second(&mut self, start: Millis) {
        (self.second, self.slice, self.given) = (start, 0, 0);
        let mut sum = 0;
        let sums: [u64; SLICES] = std::array::from_fn(|_| {
            sum += if self.rng.u8(..4) == 0 { BUSY } else { 1 };
            sum
        });
        for (due, until_here) in self.due.iter_mut().zip(sums) {
            *due = u32::try_from(u64::from(self.rate) * until_here / sum).unwrap_or(self.rate);
        }
        let mut sum = 0;
        for (place, share) in (1_u32..).zip(&mut self.shares) {
            // The first symbols are the busiest, and each has its quiet and its busy seconds.
            let usual = 4 + 32 / place;
            let lively = [1, 1, 1, 4, 4, 16][self.rng.usize(..6)];
            sum += usual * lively;
            *share = sum;
        }
    }
}

const SECOND: Millis = 1_000;

/// Parts of a second that are busy or not.
const SLICES: usize = 20;

/// The length of one.
const SLICE: Millis = 50;

/// How much more happens in a busy slice.
const BUSY: u64 = 4;

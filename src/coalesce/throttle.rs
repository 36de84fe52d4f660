//! How often a topic may speak.

use crate::market::Millis;

/// At most one message in `window` milliseconds, all topics of a window on one grid.
///
/// The first change after quiet goes out at once (leading edge); what comes after it waits for the
/// first grid tick that is a whole window later (trailing edge). Ticks are the multiples of the
/// window since 1970, not staggered: what is due leaves together, and a client with 50 topics
/// gets one write.
#[derive(Debug)]
pub struct Throttle {
    window: Millis,
    sent: Option<Millis>,
    due: Option<Millis>,
}

/// What to do with a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Send it.
    Now,
    /// Come back at this time; until then everything else joins it.
    At(Millis),
    /// It joins what is already waiting.
    Waiting,
}

impl Throttle {
    /// A throttle that has sent nothing yet; a window of zero never makes anything wait.
    pub const fn new(window: Millis) -> Throttle {
        Throttle { window, sent: None, due: None }
    }

    /// Says what to do with a change at `now`. After [`Offer::Now`] call [`Throttle::mark_sent`].
    pub fn offer(&mut self, now: Millis) -> Offer {
        if self.due.is_some() {
            return Offer::Waiting;
        }
        match self.sent.map(|sent| sent + self.window) {
            Some(free) if now < free => {
                let tick = free.div_euclid(self.window) * self.window;
                let due = if tick < free { tick + self.window } else { tick };
                self.due = Some(due);
                Offer::At(due)
            }
            _ => Offer::Now,
        }
    }

    /// Whether what waits is due; it then no longer waits. Something sent for it is reported
    /// with [`Throttle::mark_sent`].
    pub fn take_due(&mut self, now: Millis) -> bool {
        self.due.take_if(|due| *due <= now).is_some()
    }

    /// Something was sent at `now`. A tick that was served late still counts as the tick, so that
    /// the next one is not put off.
    pub fn mark_sent(&mut self, now: Millis, on_tick: bool) {
        let at = if on_tick && self.window > 0 { now.div_euclid(self.window) * self.window } else { now };
        self.sent = Some(at);
    }

    /// Whether something waits for a tick.
    pub const fn is_waiting(&self) -> bool {
        self.due.is_some()
    }

    /// Forgets what waits: nobody listens any more.
    pub const fn reset(&mut self) {
        (self.sent, self.due) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offers a change at each time and serves ticks as they come; returns when something was sent.
    fn sent_at(window: Millis, changes: &[Millis]) -> Vec<Millis> {
        let mut throttle = Throttle::new(window);
        let mut sent = Vec::new();
        let mut due = None;
        for &now in changes.iter().chain(&[Millis::MAX / 2]) {
            while let Some(tick) = due.filter(|&tick| tick <= now) {
                due = None;
                if throttle.take_due(tick) {
                    throttle.mark_sent(tick, true);
                    sent.push(tick);
                }
            }
            if now == Millis::MAX / 2 {
                break;
            }
            match throttle.offer(now) {
                Offer::Now => {
                    throttle.mark_sent(now, false);
                    sent.push(now);
                }
                Offer::At(tick) => due = Some(tick),
                Offer::Waiting => {}
            }
        }
        sent
    }

    #[test]
    fn the_first_change_after_quiet_goes_out_at_once() {
        assert_eq!(sent_at(100, &[1_042]), [1_042]);
        assert_eq!(sent_at(100, &[1_042, 1_500]), [1_042, 1_500]);
    }

    #[test]
    fn what_piled_up_goes_out_at_the_first_tick_a_whole_window_later() {
        assert_eq!(sent_at(100, &[1_042, 1_050, 1_070]), [1_042, 1_200]);
        assert_eq!(sent_at(100, &[1_000, 1_050]), [1_000, 1_100]);
    }

    #[test]
    fn a_busy_topic_speaks_on_every_tick() {
        let changes: Vec<Millis> = (1_042..1_600).collect();
        assert_eq!(sent_at(100, &changes), [1_042, 1_200, 1_300, 1_400, 1_500, 1_600]);
    }

    #[test]
    fn a_tick_that_is_served_late_does_not_put_off_the_next() {
        let mut throttle = Throttle::new(100);
        throttle.mark_sent(1_000, true);
        assert_eq!(throttle.offer(1_001), Offer::At(1_100));
        assert!(throttle.take_due(1_103));
        throttle.mark_sent(1_103, true);
        assert_eq!(throttle.offer(1_104), Offer::At(1_200));
    }

    #[test]
    fn without_a_window_nothing_waits() {
        assert_eq!(sent_at(0, &[5, 5, 6]), [5, 5, 6]);
    }

    #[test]
    fn the_promised_rate_holds_whatever_comes_in() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let mut changes: Vec<Millis> = (0..50).map(|_| random.i64(0..3_000)).collect();
            changes.sort_unstable();
            let sent = sent_at(100, &changes);
            assert!(sent.windows(2).all(|pair| pair[1] - pair[0] >= 100), "{changes:?} gave {sent:?}");
            assert!(sent.last() >= changes.last(), "nothing is left behind");
        }
    }
}

//! What one client may use of the server.

use crate::market::Millis;

/// What one client may use.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// Topics that it may be subscribed to at once.
    pub subscriptions: usize,
    /// Messages a second in the long run.
    pub messages_per_second: u32,
    /// Messages at once.
    pub messages_burst: u32,
}

/// How many messages a client may still send: so many a second in the long run, so many at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    left: f64,
    since: Millis,
}

impl Allowance {
    pub(super) fn new(limits: SessionLimits, now: Millis) -> Allowance {
        Allowance { left: f64::from(limits.messages_burst), since: now }
    }

    #[allow(clippy::cast_precision_loss, reason = "milliseconds since the last message, not money")]
    /// Takes one message off; whether there was one left.
    pub(super) fn take(&mut self, now: Millis, limits: SessionLimits) -> bool {
        let passed = (now - self.since).max(0) as f64 / 1_000.0;
        let grown = self.left + passed * f64::from(limits.messages_per_second);
        (self.left, self.since) = (grown.min(f64::from(limits.messages_burst)), now);
        let allowed = self.left >= 1.0;
        if allowed {
            self.left -= 1.0;
        }
        allowed
    }
}

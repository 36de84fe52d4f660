//! When a worker's conversations want to be looked at although nobody said anything.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::Notify;

use super::connection::Connection;
use super::worker::Worker;
use crate::market::Millis;

/// Due times by connection, soonest first. Knows no clock: `now` is an argument.
///
/// An entry whose connection has changed its mind is found out when it comes up.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: RefCell<BTreeSet<(Millis, u64)>>,
    /// A time was set that is sooner than all others.
    sooner: Notify,
}

impl Timers {
    /// Connection `id` is due at this time.
    pub(super) fn set(&self, at: Millis, id: u64) {
        let soonest = self.due.borrow().first().is_none_or(|(first, _)| at < *first);
        self.due.borrow_mut().insert((at, id));
        if soonest {
            self.sooner.notify_one();
        }
    }

    /// Connection `id` has gone: it is not due any more at this time.
    pub(super) fn unset(&self, at: Millis, id: u64) {
        self.due.borrow_mut().remove(&(at, id));
    }

    /// Takes the next connection that is due at `now`, with the time that was set.
    pub(super) fn pop(&self, now: Millis) -> Option<(Millis, u64)> {
        let mut due = self.due.borrow_mut();
        due.first().is_some_and(|(at, _)| *at <= now).then(|| due.pop_first())?
    }

    /// Waits until something is due or was set sooner.
    pub(super) async fn wait(&self, now: Millis) {
        let next = self.due.borrow().first().map(|(at, _)| *at);
        let patience =
            next.map_or(LONGEST_WAIT, |at| Duration::from_millis((at - now).max(0).unsigned_abs()));
        tokio::select! {
            () = tokio::time::sleep(patience.min(LONGEST_WAIT)) => {}
            () = self.sooner.notified() => {}
        }
    }
}

impl Worker {
    /// Notes when the conversation wants to be looked at next.
    pub(super) fn schedule(&self, connection: &Connection) {
        if let Some(due) = connection.take_sooner() {
            self.timers.set(due, connection.id);
        }
    }

    /// Has all connections seen to whose time has come.
    pub(super) fn wake_due(&self) {
        let now = self.now();
        while let Some((at, id)) = self.timers.pop(now) {
            let Some(connection) = self.connections.borrow().get(&id).cloned() else { continue };
            // A time that was set earlier and overtaken by a sooner one is nobody's any more.
            if connection.due.get() == at {
                connection.due.set(Millis::MAX);
                connection.is_due.set(true);
                connection.stir();
            }
        }
    }
}

/// A sleep of the runtime is not told of changes to the clock; so late a due time may be found then.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_order_and_nothing_before_its_time() {
        let timers = Timers::default();
        for (at, id) in [(30, 1), (10, 2), (20, 3)] {
            timers.set(at, id);
        }
        assert_eq!(timers.pop(9), None);
        assert_eq!((timers.pop(20), timers.pop(20), timers.pop(20)), (Some((10, 2)), Some((20, 3)), None));
        timers.set(25, 4);
        timers.unset(25, 4);
        assert_eq!(timers.pop(100), Some((30, 1)));
    }
}

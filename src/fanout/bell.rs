//! How a connection gets a task when there is something to see to, and has none otherwise.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

/// Where connections ring that have something to see to and nobody who sees to it.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: RefCell<Vec<u64>>,
    anybody: Notify,
}

impl Bell {
    /// Waits until somebody has rung.
    pub(super) async fn rings(&self) {
        self.anybody.notified().await;
    }

    /// Who has rung.
    pub(super) fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.rung.borrow_mut())
    }
}

/// One connection's cord.
///
/// Invariant: what happened is seen to: where `stirred` is set, the connection has a task that will look
/// at it, or stands in the bell's list.
pub(super) struct Cord {
    bell: Rc<Bell>,
    /// Something happened that was not looked at yet.
    stirred: Cell<bool>,
    /// There is a task, or one was rung for.
    is_attended: Cell<bool>,
    /// The task, while it waits for something to happen.
    waits: Cell<Option<Waker>>,
}

impl Cord {
    /// The cord of a connection that has a task from the beginning.
    pub(super) fn attended(bell: Rc<Bell>) -> Cord {
        Cord { bell, stirred: Cell::new(false), is_attended: Cell::new(true), waits: Cell::new(None) }
    }

    /// Something happened to connection `id` that is to be seen to.
    pub(super) fn stir(&self, id: u64) {
        self.stirred.set(true);
        if !self.is_attended.replace(true) {
            self.bell.rung.borrow_mut().push(id);
            self.bell.anybody.notify_one();
        } else if let Some(task) = self.waits.take() {
            task.wake();
        }
    }

    /// The task looks at everything now; whether something had happened.
    pub(super) fn settle(&self) -> bool {
        self.stirred.replace(false)
    }

    /// The task has looked at everything, and ends; unless something has happened meanwhile.
    pub(super) fn rest(&self) -> bool {
        let rests = !self.stirred.get();
        self.is_attended.set(!rests);
        rests
    }

    /// Whether the connection has a task.
    #[cfg(test)]
    pub(super) fn is_attended(&self) -> bool {
        self.is_attended.get()
    }

    /// Waits, in the connection's task, until something happens.
    pub(super) async fn stirs(&self) {
        poll_fn(|context| self.poll_stirs(context)).await;
    }

    pub(super) fn poll_stirs(&self, context: &Context<'_>) -> Poll<()> {
        if self.settle() {
            return Poll::Ready(());
        }
        self.waits.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_attended_rings_once_and_who_rests_can_ring_again() {
        let bell = Rc::<Bell>::default();
        let cord = Cord::attended(bell.clone());
        cord.stir(7);
        assert!(bell.take().is_empty(), "its task is there");
        assert!(!cord.rest(), "it has not looked at what happened");
        assert!(cord.settle() && cord.rest());
        cord.stir(7);
        cord.stir(7);
        assert_eq!(bell.take(), [7]);
    }
}

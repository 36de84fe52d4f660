//! How long an HTTP connection may take, and when that does not count.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// The time that one HTTP connection has.
///
/// A connection has one deadline for everything that it asks, so that requests whose answers nobody
/// reads hold no place for ever. While a session's request is held it has none, and takes no place
/// among the unfinished: the session is counted instead, and has a heartbeat. When the request is
/// answered the deadline begins anew, for the answer to be read and the next request to come.
#[derive(Clone, Debug)]
pub struct Patience(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    phase: watch::Sender<Phase>,
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    unfinished: Arc<Semaphore>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It has its time.
    Counting,
    /// A request is held.
    Held,
    /// It has only the time to take its answer: there are too many others.
    Leaving,
}

/// A request is held as long as this lives.
#[derive(Debug)]
pub struct Held(Arc<Shared>);

impl Patience {
    /// For a connection that was let in with `permit`, one of those of `unfinished`.
    pub(super) fn new(permit: Option<OwnedSemaphorePermit>, unfinished: Arc<Semaphore>) -> Patience {
        let phase = watch::Sender::new(Phase::Counting);
        Patience(Arc::new(Shared { phase, permit: Mutex::new(permit), unfinished }))
    }

    /// The answer takes as long as it takes, from here on.
    #[must_use]
    pub fn hold(&self) -> Held {
        self.0.permit.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.0.phase.send_replace(Phase::Held);
        Held(self.0.clone())
    }

    /// Waits until the time is over, of which there is this much at a time.
    pub(super) async fn is_over(&self, time: Duration) {
        let mut phases = self.0.phase.subscribe();
        loop {
            let phase = *phases.borrow_and_update();
            let time = match phase {
                Phase::Counting => time,
                Phase::Leaving => time.min(LEAVING),
                Phase::Held => Duration::MAX,
            };
            tokio::select! {
                _ = phases.changed() => {}
                () = tokio::time::sleep(time) => return,
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let permit = self.0.unfinished.clone().try_acquire_owned().ok();
        let phase = if permit.is_some() { Phase::Counting } else { Phase::Leaving };
        *self.0.permit.lock().unwrap_or_else(PoisonError::into_inner) = permit;
        self.0.phase.send_replace(phase);
    }
}

/// How long an answer may take to be read where there is no place for its connection any more.
const LEAVING: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_connection_has_its_time_and_none_while_a_request_is_held() {
        let unfinished = Arc::new(Semaphore::new(1));
        let permit = unfinished.clone().try_acquire_owned().ok();
        let patience = Patience::new(permit, unfinished.clone());
        let held = patience.hold();
        assert_eq!(unfinished.available_permits(), 1, "it takes no place meanwhile");
        let over = tokio::time::timeout(TIME * 5, patience.is_over(TIME)).await;
        assert!(over.is_err(), "a held request has no deadline");
        drop(held);
        assert_eq!(unfinished.available_permits(), 0);
        patience.is_over(TIME).await;
    }

    #[tokio::test]
    async fn who_finds_no_place_after_a_held_request_may_only_take_its_answer() {
        let unfinished = Arc::new(Semaphore::new(1));
        let patience = Patience::new(unfinished.clone().try_acquire_owned().ok(), unfinished.clone());
        let held = patience.hold();
        let _other = unfinished.clone().try_acquire_owned();
        drop(held);
        patience.is_over(Duration::MAX).await;
    }
}

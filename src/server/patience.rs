//! How long an HTTP connection may take, and when that does not count.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::admission::{Admission, Place};

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
    waits: Mutex<Option<Waits>>,
    address: IpAddr,
    unfinished: Unfinished,
}

/// The connections that have not been upgraded or answered: so many in all, so many of one address.
///
/// They are bounded by themselves, so that a flood of half-open connections neither fills the process
/// nor reaches the clients that are there, and no host takes all places of those who come.
#[derive(Clone, Debug)]
pub(super) struct Unfinished {
    places: Arc<Semaphore>,
    by_address: Arc<Admission>,
    /// How many were turned away since somebody looked.
    refused: Arc<AtomicU64>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Waits {
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

impl Unfinished {
    /// Lets `most` wait, a quarter of them from one address; loopback may have all.
    pub(super) fn new(most: usize) -> Unfinished {
        let by_address = Arc::new(Admission::new(usize::MAX, (most / 4).max(1)));
        Unfinished { places: Arc::new(Semaphore::new(most)), by_address, refused: Arc::default() }
    }

    /// How many were turned away since this was asked last.
    pub(super) fn take_refused(&self) -> u64 {
        self.refused.swap(0, Ordering::Relaxed)
    }

    /// Waits for room for one more.
    pub(super) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().acquire_owned().await.ok()
    }

    /// Gives the room to a connection; none where its address has its share.
    pub(super) fn enter(&self, permit: OwnedSemaphorePermit, address: IpAddr) -> Option<Waits> {
        let Ok(place) = self.by_address.enter(address) else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        Some(Waits { _permit: permit, _place: place })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It has its time.
    Counting,
    /// A held request was answered: a slow line may take a while to read it.
    Answered,
    /// A request is held.
    Held,
    /// It has only the time to take its answer: there are too many others.
    Leaving,
}

/// A request is held as long as this lives.
#[derive(Debug)]
pub struct Held(Arc<Shared>);

impl Patience {
    /// For a connection of `address` that was let in among those of `unfinished`.
    pub(super) fn new(waits: Waits, address: IpAddr, unfinished: Unfinished) -> Patience {
        let phase = watch::Sender::new(Phase::Counting);
        Patience(Arc::new(Shared { phase, waits: Mutex::new(Some(waits)), address, unfinished }))
    }

    /// The answer takes as long as it takes, from here on.
    #[must_use]
    pub fn hold(&self) -> Held {
        self.0.waits.lock().unwrap_or_else(PoisonError::into_inner).take();
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
                Phase::Answered => time * ANSWER,
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
        let unfinished = &self.0.unfinished;
        let permit = unfinished.places.clone().try_acquire_owned().ok();
        let waits = permit.and_then(|permit| unfinished.enter(permit, self.0.address));
        let phase = if waits.is_some() { Phase::Answered } else { Phase::Leaving };
        *self.0.waits.lock().unwrap_or_else(PoisonError::into_inner) = waits;
        self.0.phase.send_replace(phase);
    }
}

/// How long an answer may take to be read where there is no place for its connection any more.
const LEAVING: Duration = Duration::from_secs(1);

/// How many times the time of a handshake the answer to a held request has: it may be some megabytes,
/// and what was taken out for it is lost if it is cut short.
const ANSWER: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_millis(20);

    async fn enter(unfinished: &Unfinished) -> Patience {
        let address = [192, 0, 2, 1].into();
        let waits = unfinished.enter(unfinished.room().await.unwrap(), address).unwrap();
        Patience::new(waits, address, unfinished.clone())
    }

    #[tokio::test]
    async fn no_address_takes_all_places() {
        let unfinished = Unfinished::new(8);
        let mut kept = Vec::new();
        for _ in 0..2 {
            kept.push(enter(&unfinished).await);
        }
        let enter = |address: [u8; 4], permit| unfinished.enter(permit, address.into());
        assert!(enter([192, 0, 2, 1], unfinished.room().await.unwrap()).is_none());
        assert_eq!((unfinished.take_refused(), unfinished.take_refused()), (1, 0));
        assert_eq!(unfinished.places.available_permits(), 6, "who is not let in takes no place");
        assert!(enter([192, 0, 2, 2], unfinished.room().await.unwrap()).is_some());
        // A request that is held gives its address room for another.
        let held = kept[0].hold();
        assert!(enter([192, 0, 2, 1], unfinished.room().await.unwrap()).is_some());
        drop(held);
    }

    #[tokio::test]
    async fn a_connection_has_its_time_and_none_while_a_request_is_held() {
        let unfinished = Unfinished::new(1);
        let patience = enter(&unfinished).await;
        let held = patience.hold();
        assert_eq!(unfinished.places.available_permits(), 1, "it takes no place meanwhile");
        let over = tokio::time::timeout(TIME * 5, patience.is_over(TIME)).await;
        assert!(over.is_err(), "a held request has no deadline");
        drop(held);
        assert_eq!(unfinished.places.available_permits(), 0);
        patience.is_over(TIME).await;
    }

    #[tokio::test]
    async fn who_finds_no_place_after_a_held_request_may_only_take_its_answer() {
        let unfinished = Unfinished::new(1);
        let patience = enter(&unfinished).await;
        let held = patience.hold();
        let _other = unfinished.room().await;
        drop(held);
        patience.is_over(Duration::MAX).await;
    }
}

//! The bounded queue between threads, with a wake-up for the one that reads it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_queue::ArrayQueue;
use thiserror::Error;
use tokio::sync::Notify;

/// A queue of bounded length into one worker.
///
/// When it is full, a shard waits: a worker waits for no client, so that it always comes back to
/// its inbox within a flush of its connections. While the shard waits its own queue fills, and then
/// the source: nothing is lost and nothing grows.
#[derive(Debug)]
pub struct Inbox<T> {
    queue: ArrayQueue<T>,
    wake: Notify,
    closed: AtomicBool,
}

/// The worker is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the worker has ended")]
pub struct Closed;

impl<T> Inbox<T> {
    /// An empty inbox for at most `capacity` messages.
    pub fn new(capacity: usize) -> Inbox<T> {
        Inbox { queue: ArrayQueue::new(capacity), wake: Notify::new(), closed: AtomicBool::new(false) }
    }

    /// Puts a message in without waking the worker; waits while the inbox is full.
    ///
    /// # Errors
    /// [`Closed`] when nobody will ever read it.
    pub fn put(&self, mut message: T) -> Result<(), Closed> {
        let mut pause = Duration::from_micros(20);
        while let Err(back) = self.queue.push(message) {
            if self.closed.load(Ordering::Acquire) {
                return Err(Closed);
            }
            self.wake.notify_one();
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(1));
            message = back;
        }
        Ok(())
    }

    /// Puts a message in and wakes the worker, unless the inbox is full.
    ///
    /// # Errors
    /// The message, when there is no room.
    pub fn try_send(&self, message: T) -> Result<(), T> {
        self.queue.push(message)?;
        self.wake.notify_one();
        Ok(())
    }

    /// Wakes the worker: it has something to read.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// The next message.
    pub fn pop(&self) -> Option<T> {
        self.queue.pop()
    }

    /// Whether there is none at this moment.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Waits until somebody has called [`Inbox::wake`] since this last returned.
    pub async fn awake(&self) {
        self.wake.notified().await;
    }

    /// Nobody will read any more.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        while self.queue.pop().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_full_inbox_makes_its_writer_wait_and_loses_nothing() {
        let inbox = Arc::new(Inbox::new(2));
        let writer = std::thread::spawn({
            let inbox = inbox.clone();
            move || (0..1_000).all(|number| inbox.put(number).is_ok())
        });
        let mut next = 0;
        while next < 1_000 {
            match inbox.pop() {
                Some(number) => {
                    assert_eq!(number, next);
                    next += 1;
                }
                None => std::thread::yield_now(),
            }
        }
        assert!(writer.join().unwrap());
    }

    #[test]
    fn a_closed_inbox_lets_its_writer_go() {
        let inbox = Inbox::new(1);
        inbox.close();
        assert_eq!((inbox.put(1), inbox.put(2)), (Ok(()), Err(Closed)));
    }
}

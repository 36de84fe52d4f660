//! Who listens to a topic: how many, in which dialect, on which worker.

use super::{Broadcast, Class, Outlet};
use crate::dialect::Dialect;
use crate::market::{Topic, Update};

/// Subscribers of one topic by dialect and worker. Nobody interested: nothing is encoded.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    counts: Vec<Count>,
}

#[derive(Debug)]
struct Count {
    dialect: Dialect,
    worker: u16,
    subscribers: u32,
}

impl Interest {
    pub(crate) const fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Counts one more; whether it is the first of all.
    pub(crate) fn join(&mut self, dialect: Dialect, worker: u16) -> bool {
        let first = self.counts.is_empty();
        match self.find(dialect, worker) {
            Some(at) => self.counts[at].subscribers += 1,
            None => self.counts.push(Count { dialect, worker, subscribers: 1 }),
        }
        first
    }

    /// Counts one less; whether it was the last of all.
    pub(crate) fn leave(&mut self, dialect: Dialect, worker: u16) -> bool {
        let Some(at) = self.find(dialect, worker) else { return false };
        self.counts[at].subscribers -= 1;
        if self.counts[at].subscribers == 0 {
            self.counts.swap_remove(at);
        }
        self.counts.is_empty()
    }

    /// Encodes `update` once for each dialect that somebody listens in, and hands the same frame to
    /// each worker that has such listeners.
    pub(crate) fn send(&self, topic: Topic, class: Class, update: &Update<'_>, out: &mut impl Outlet) {
        self.send_after(0, topic, class, update, out);
    }

    /// The same for an update that follows on the one at the place `follows`.
    pub(super) fn send_after(
        &self,
        follows: u64,
        topic: Topic,
        class: Class,
        update: &Update<'_>,
        out: &mut impl Outlet,
    ) {
        for dialect in Dialect::ALL {
            let mut listeners = self.counts.iter().filter(|count| count.dialect == dialect).peekable();
            if listeners.peek().is_none() {
                continue;
            }
            let Some(frame) = dialect.encode(update) else { continue };
            let channel = dialect.of(topic);
            let frame = out.share(channel, frame);
            for count in listeners {
                out.broadcast(count.worker, Broadcast { channel, class, follows, frame: frame.clone() });
            }
        }
    }

    fn find(&self, dialect: Dialect, worker: u16) -> Option<usize> {
        self.counts.iter().position(|count| count.dialect == dialect && count.worker == worker)
    }
}

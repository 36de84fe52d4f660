//! What the kernel would tell the workers of their sockets.

use std::rc::Rc;

use super::pipe::Pipe;
use crate::fanout::sockets::Change;
use crate::fanout::worker::Worker;

/// All sockets that the workers have, each with its connection.
#[derive(Default)]
pub(super) struct Sockets(Vec<(Rc<Worker>, u64, Pipe)>);

impl Sockets {
    pub(super) fn add(&mut self, worker: &Rc<Worker>, connection: u64, pipe: &Pipe) {
        self.0.push((worker.clone(), connection, pipe.clone()));
    }

    /// The workers hear what has become of those of which `is_heard` says so.
    pub(super) fn tell_changes(&mut self, mut is_heard: impl FnMut() -> bool) {
        self.0.retain(|(worker, connection, _)| worker.connections.borrow().contains_key(connection));
        for (worker, connection, pipe) in self.0.iter().filter(|_| is_heard()) {
            let (is_readable, is_writable) = pipe.take_changes();
            worker.changed(Change { connection: *connection, is_readable, is_writable });
        }
    }
}

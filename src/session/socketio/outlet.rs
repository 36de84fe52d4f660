//! What a namespace can do for its client.

use std::collections::VecDeque;

use super::packet::{Kind, RESERVED, head};
use super::{AckId, Refusal};
use crate::dialect::Channel;
use crate::encode::{Frame, json};
use crate::session::{Action, SessionEnd, Subscriptions};
use crate::shard::Broadcast;

/// The way to one client in one namespace.
pub struct Outlet<'a> {
    pub(super) namespace: &'a str,
    pub(super) asked: &'a mut Asked,
    pub(super) topics: &'a mut Subscriptions,
    pub(super) actions: &'a mut Vec<Action>,
    pub(super) leave: bool,
}

impl Outlet<'_> {
    /// Tells the client that something happened. `write` appends the value that goes with it.
    pub fn emit(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.send(Kind::Event, None, &[], |out| {
            event_name(name, out);
            out.push(b',');
            write(out);
        });
    }

    /// Tells the client that something happened, with values as they are written and their bytes.
    pub fn emit_values(&mut self, name: &str, values: &[&str], attachments: &[Vec<u8>]) {
        self.send(Kind::Event, None, attachments, |out| {
            event_name(name, out);
            for value in values {
                out.push(b',');
                out.extend_from_slice(value.as_bytes());
            }
        });
    }

    /// The same as [`Outlet::emit`], to be answered: the number comes back in
    /// [`Namespace::acked`](super::Namespace::acked).
    pub fn ask(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) -> AckId {
        let id = self.asked.next();
        self.send(Kind::Event, Some(id), &[], |out| {
            event_name(name, out);
            out.push(b',');
            write(out);
        });
        id
    }

    /// Answers an event. `write` appends the value.
    pub fn answer(&mut self, id: AckId, write: impl FnOnce(&mut Vec<u8>)) {
        self.send(Kind::Ack, Some(id), &[], write);
    }

    /// Answers an event with values as they are written and their bytes.
    pub fn answer_values(&mut self, id: AckId, values: &[&str], attachments: &[Vec<u8>]) {
        self.send(Kind::Ack, Some(id), attachments, |out| out.extend_from_slice(values.join(",").as_bytes()));
    }

    /// Begins a subscription; `false` where there is one already.
    pub fn subscribe(&mut self, channel: Channel) -> bool {
        let new = self.topics.begin(channel);
        if new {
            self.actions.push(Action::Join { channel, since: None });
        }
        new
    }

    /// Ends a subscription; `false` where there is none.
    pub fn unsubscribe(&mut self, channel: Channel) -> bool {
        let ended = self.topics.end(channel);
        if ended {
            self.actions.push(Action::Leave { channel });
        }
        ended
    }

    /// What the connection listens to, in all its namespaces.
    pub fn topics(&self) -> &Subscriptions {
        self.topics
    }

    /// Sends this to all who listen, on every worker.
    pub fn publish(&mut self, broadcast: Broadcast) {
        self.actions.push(Action::Publish(broadcast));
    }

    /// Makes the client leave the namespace. The connection stays.
    pub fn disconnect(&mut self) {
        self.leave = true;
    }

    /// Ends the connection, with all its namespaces.
    pub fn end(&mut self, end: SessionEnd) {
        self.actions.push(Action::End(end));
    }

    pub(super) fn connected(&self, sid: &str) -> Action {
        self.packet(Kind::Connect, |out| {
            out.extend_from_slice(b"{\"sid\":");
            json::string(sid, out);
            out.push(b'}');
        })
    }

    pub(super) fn refused(&mut self, refusal: &Refusal) {
        let refused = self.packet(Kind::ConnectError, |out| {
            out.extend_from_slice(b"{\"message\":");
            json::string(&refusal.message, out);
            if let Some(data) = &refusal.data {
                json::key("data", out);
                out.extend_from_slice(data.as_bytes());
            }
            out.push(b'}');
        });
        self.actions.push(refused);
    }

    pub(super) fn disconnected(&mut self) {
        let left = self.packet(Kind::Disconnect, |_| {});
        self.actions.push(left);
    }

    fn packet(&self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) -> Action {
        Action::Reply(Frame::text(EXPECTED, |out| {
            head(kind, 0, self.namespace, out);
            write(out);
        }))
    }

    /// The text of a packet and, right behind it, its attachments.
    fn send(
        &mut self,
        kind: Kind,
        id: Option<AckId>,
        attachments: &[Vec<u8>],
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        self.actions.push(Action::Reply(Frame::text(EXPECTED, |out| {
            head(kind, attachments.len(), self.namespace, out);
            if let Some(id) = id {
                json::integer(id, out);
            }
            out.push(b'[');
            write(out);
            out.push(b']');
        })));
        let bytes = |bytes: &Vec<u8>| Frame::binary(bytes.len(), |out| out.extend_from_slice(bytes));
        self.actions.extend(attachments.iter().map(|attachment| Action::Reply(bytes(attachment))));
    }
}

/// The numbers of what was asked and not answered yet.
///
/// Invariant: at most [`MOST_ASKED`]; the oldest is forgotten for a newer one.
#[derive(Debug, Default)]
pub(super) struct Asked {
    next: AckId,
    waiting: VecDeque<AckId>,
}

impl Asked {
    fn next(&mut self) -> AckId {
        let id = self.next;
        self.next += 1;
        if self.waiting.len() == MOST_ASKED {
            self.waiting.pop_front();
        }
        self.waiting.push_back(id);
        id
    }

    /// Whether an answer was waited for; it is no longer.
    pub(super) fn take(&mut self, id: AckId) -> bool {
        let found = self.waiting.iter().position(|waiting| *waiting == id);
        found.and_then(|at| self.waiting.remove(at)).is_some()
    }
}

fn event_name(name: &str, out: &mut Vec<u8>) {
    debug_assert!(!RESERVED.contains(&name), "clients take {name} for an attack and leave");
    json::string(name, out);
}

/// Questions without an answer of one client in one namespace.
const MOST_ASKED: usize = 64;

/// About how long an answer is.
const EXPECTED: usize = 160;

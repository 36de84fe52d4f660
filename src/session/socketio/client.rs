//! One client's Socket.IO connection: the namespaces that it joined, and what it says in each.

use std::sync::Arc;

use super::assembly::{Assembly, Whole};
use super::outlet::Asked;
use super::{Event, Kind, Namespace, Outlet, Packet, Refusal, Service};
use crate::dialect::Channel;
use crate::market::{Millis, Topic};
use crate::session::engineio::Sid;
use crate::session::{Action, Conversation, ConversationKind, Misspoken, Said, Subscriptions};

/// What a server asks of its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long a connection may take to join its first namespace.
    pub connect_timeout: Millis,
    /// How long a packet's attachments may take.
    pub attachments_timeout: Millis,
    /// The longest attachments of one packet, together, in bytes.
    pub max_payload: usize,
}

impl Default for Options {
    /// What the protocol's own server does, where it does anything.
    fn default() -> Options {
        Options { connect_timeout: 45_000, attachments_timeout: 45_000, max_payload: 1_000_000 }
    }
}

/// The conversation with one client, inside an Engine.IO session.
///
/// Invariants: a namespace is joined at most once at a time; each subscription belongs to one of the
/// namespaces that are joined, and ends with it; there is a deadline until the first one is joined
/// and while attachments are to come.
pub struct SocketIo {
    service: Arc<dyn Service>,
    options: Options,
    joined: Vec<Joined>,
    assembly: Assembly,
    /// When the connection ends if nothing has been joined by then.
    connect_by: Option<Millis>,
    /// When it ends if the attachments have not come by then.
    attach_by: Option<Millis>,
}

struct Joined {
    name: String,
    namespace: Box<dyn Namespace>,
    asked: Asked,
    /// What it subscribed to.
    channels: Vec<Channel>,
}

impl SocketIo {
    /// A connection that begins at `now`.
    pub fn new(service: Arc<dyn Service>, options: Options, now: Millis) -> SocketIo {
        SocketIo {
            service,
            options,
            joined: Vec::new(),
            assembly: Assembly::new(options.max_payload),
            connect_by: Some(now + options.connect_timeout),
            attach_by: None,
        }
    }

    fn hear(
        &mut self,
        now: Millis,
        packet: &Packet<'_>,
        attachments: &[Vec<u8>],
        topics: &mut Subscriptions,
        actions: &mut Vec<Action>,
    ) -> Result<(), Misspoken> {
        let at = self.joined.iter().position(|joined| joined.name == packet.namespace);
        match (packet.kind, at) {
            (Kind::ConnectError, _) => Err(Misspoken::ServersOwn),
            (Kind::Connect, Some(_)) => Err(Misspoken::ConnectedTwice),
            (Kind::Connect, None) => {
                self.connect(now, packet, topics, actions);
                Ok(())
            }
            (Kind::Disconnect | Kind::Event | Kind::Ack, None) => Err(Misspoken::NotConnected),
            (Kind::Disconnect, Some(at)) => {
                self.leave(at, topics, actions);
                Ok(())
            }
            (Kind::Event, Some(at)) => {
                if let Some(event) = Event::read(packet.data, packet.id, attachments) {
                    self.with(at, topics, actions, |namespace, out| namespace.event(now, &event, out));
                }
                Ok(())
            }
            (Kind::Ack, Some(at)) => {
                let (Some(id), Some(data)) = (packet.id, packet.data) else { return Ok(()) };
                if self.joined[at].asked.take(id) {
                    self.with(at, topics, actions, |namespace, out| namespace.acked(now, id, data, out));
                }
                Ok(())
            }
        }
    }

    fn connect(
        &mut self,
        now: Millis,
        packet: &Packet<'_>,
        topics: &mut Subscriptions,
        actions: &mut Vec<Action>,
    ) {
        let name = packet.namespace;
        let mut asked = Asked::default();
        let from = actions.len();
        let mut out = Outlet { namespace: name, asked: &mut asked, topics, actions, leave: false };
        let connected = self.open(name).and_then(|(mut namespace, sid)| {
            namespace.connect(now, &sid, packet.data.unwrap_or("{}"), &mut out)?;
            Ok((namespace, sid))
        });
        match connected {
            Ok((namespace, sid)) => {
                let (connected, leave) = (out.connected(&sid), out.leave);
                actions.insert(from, connected);
                self.connect_by = None;
                let channels = begun(&actions[from..]);
                self.joined.push(Joined { name: name.to_owned(), namespace, asked, channels });
                if leave {
                    self.disconnect(self.joined.len() - 1, topics, actions);
                }
            }
            Err(refusal) => {
                debug_assert!(out.actions.len() == from, "a namespace that refuses has done nothing");
                out.refused(&refusal);
            }
        }
    }

    /// A client's side of a namespace, and the name that the client gets there: public, unlike that of
    /// its session.
    fn open(&self, name: &str) -> Result<(Box<dyn Namespace>, String), Refusal> {
        let refusal = |message: &'static str| Refusal { message: message.into(), data: None };
        let namespace = self.service.open(name).ok_or_else(|| refusal(INVALID))?;
        let sid = Sid::random(0).map_err(|_| refusal(NO_NAME))?;
        Ok((namespace, sid.to_string()))
    }

    /// Lets a namespace act, and keeps the books on what it subscribed to.
    fn with(
        &mut self,
        at: usize,
        topics: &mut Subscriptions,
        actions: &mut Vec<Action>,
        act: impl FnOnce(&mut dyn Namespace, &mut Outlet<'_>),
    ) {
        let from = actions.len();
        let joined = &mut self.joined[at];
        let mut out =
            Outlet { namespace: &joined.name, asked: &mut joined.asked, topics, actions, leave: false };
        act(&mut *joined.namespace, &mut out);
        let leave = out.leave;
        for action in &actions[from..] {
            match action {
                Action::Join { channel, .. } => joined.channels.push(*channel),
                Action::Leave { channel } => joined.channels.retain(|known| known != channel),
                Action::Reply(_) | Action::Publish(_) | Action::End(_) => {}
            }
        }
        if leave {
            self.disconnect(at, topics, actions);
        }
    }

    /// Makes the client leave.
    fn disconnect(&mut self, at: usize, topics: &mut Subscriptions, actions: &mut Vec<Action>) {
        let mut asked = Asked::default();
        let namespace = &self.joined[at].name;
        Outlet { namespace, asked: &mut asked, topics, actions, leave: false }.disconnected();
        self.leave(at, topics, actions);
    }

    fn leave(&mut self, at: usize, topics: &mut Subscriptions, actions: &mut Vec<Action>) {
        let mut left = self.joined.remove(at);
        left.namespace.disconnect();
        for channel in left.channels {
            if topics.end(channel) {
                actions.push(Action::Leave { channel });
            }
        }
    }
}

impl Conversation for SocketIo {
    fn receive(
        &mut self,
        now: Millis,
        said: Said<'_>,
        topics: &mut Subscriptions,
        actions: &mut Vec<Action>,
    ) {
        let heard = match self.assembly.take(said) {
            Ok(Whole::Not) => Ok(()),
            Ok(Whole::Text(packet)) => self.hear(now, &packet, &[], topics, actions),
            Ok(Whole::Attached(text, attachments)) => match Packet::read(&text) {
                Ok(packet) => self.hear(now, &packet, &attachments, topics, actions),
                Err(malformed) => Err(Misspoken::SocketIo(malformed)),
            },
            Err(malformed) => Err(Misspoken::SocketIo(malformed)),
        };
        self.attach_by = match (self.assembly.is_waiting(), self.attach_by) {
            (false, _) => None,
            (true, Some(by)) => Some(by),
            (true, None) => Some(now + self.options.attachments_timeout),
        };
        if let Err(misspoken) = heard {
            actions.push(Action::End(misspoken.into()));
        }
    }

    fn next_due(&self) -> Option<Millis> {
        let namespaces = self.joined.iter().filter_map(|joined| joined.namespace.next_due());
        namespaces.chain(self.connect_by).chain(self.attach_by).min()
    }

    fn advance(&mut self, now: Millis, topics: &mut Subscriptions, actions: &mut Vec<Action>) {
        let is_over = |by: Option<Millis>| by.is_some_and(|by| by <= now);
        if is_over(self.connect_by) {
            return actions.push(Action::End(Misspoken::NothingConnected.into()));
        }
        if is_over(self.attach_by) {
            return actions.push(Action::End(Misspoken::Unfinished.into()));
        }
        // From the last: one that makes its client leave takes no other's place.
        for at in (0..self.joined.len()).rev() {
            if is_over(self.joined[at].namespace.next_due()) {
                self.with(at, topics, actions, |namespace, out| namespace.advance(now, out));
            }
        }
    }

    fn kind(&self) -> ConversationKind {
        ConversationKind::SocketIo
    }

    fn name(&self, topic: Topic) -> String {
        let owns = |joined: &&Joined| joined.channels.iter().any(|channel| channel.topic == topic);
        self.joined.iter().find(owns).map_or_else(String::new, |joined| joined.namespace.name(topic))
    }
}

impl Drop for SocketIo {
    /// However the connection ends, each namespace hears of it.
    fn drop(&mut self) {
        self.joined.iter_mut().for_each(|joined| joined.namespace.disconnect());
    }
}

/// The subscriptions that actions begin and do not end.
fn begun(actions: &[Action]) -> Vec<Channel> {
    let mut channels = Vec::new();
    for action in actions {
        match action {
            Action::Join { channel, .. } => channels.push(*channel),
            Action::Leave { channel } => channels.retain(|known| known != channel),
            Action::Reply(_) | Action::Publish(_) | Action::End(_) => {}
        }
    }
    channels
}

/// What the protocol's own server says, letter for letter.
const INVALID: &str = "Invalid namespace";

const NO_NAME: &str = "the system has no random numbers to give: try again";

#[cfg(test)]
mod tests;

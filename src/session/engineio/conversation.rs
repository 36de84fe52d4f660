//! The conversation of an Engine.IO session: it opens, asks whether the client is there, and passes
//! messages on to whatever is spoken over it.

use super::heartbeat::{Beat, Heartbeat};
use super::{Options, Packet, Sid};
use crate::encode::Frame;
use crate::market::{Millis, Topic};
use crate::session::{Action, Conversation, ConversationKind, Misspoken, Said, SessionEnd, Subscriptions};

/// One client's session, on whatever transport.
///
/// What is spoken inside gets messages without Engine.IO's first character and answers with frames
/// that have it: `4` before text, nothing before bytes.
pub struct EngineIo {
    sid: Sid,
    options: Options,
    upgrades: bool,
    heartbeat: Heartbeat,
    spoken: Box<dyn Conversation>,
    over: bool,
}

impl EngineIo {
    /// A session that begins at `now` on polling, from where it may be upgraded, or on a WebSocket.
    pub fn new(
        sid: Sid,
        options: Options,
        upgrades: bool,
        spoken: Box<dyn Conversation>,
        now: Millis,
    ) -> EngineIo {
        EngineIo { sid, options, upgrades, heartbeat: Heartbeat::new(now, &options), spoken, over: false }
    }

    fn open(&self) -> Frame {
        let upgrades = if self.upgrades { "[\"websocket\"]" } else { "[]" };
        let Options { ping_interval, ping_timeout, max_payload, .. } = self.options;
        let text = format!(
            "0{{\"sid\":\"{}\",\"upgrades\":{upgrades},\"pingInterval\":{ping_interval},\
             \"pingTimeout\":{ping_timeout},\"maxPayload\":{max_payload}}}",
            self.sid
        );
        packet(&text)
    }

    fn end(&mut self, end: SessionEnd, actions: &mut Vec<Action>) {
        self.over = true;
        actions.push(Action::End(end));
    }

    /// Notes whether what is spoken inside has ended the session.
    fn look_at(&mut self, actions: &[Action]) {
        self.over |= actions.iter().any(|action| matches!(action, Action::End(_)));
    }
}

impl Conversation for EngineIo {
    fn begin(&mut self, topics: &mut Subscriptions, actions: &mut Vec<Action>) {
        actions.push(Action::Reply(self.open()));
        self.spoken.begin(topics, actions);
    }

    fn receive(
        &mut self,
        now: Millis,
        said: Said<'_>,
        topics: &mut Subscriptions,
        actions: &mut Vec<Action>,
    ) {
        if self.over {
            return;
        }
        let packet = match Packet::read(said) {
            Ok(packet) => packet,
            Err(malformed) => return self.end(Misspoken::EngineIo(malformed).into(), actions),
        };
        match packet {
            Packet::Pong(_) => return self.heartbeat.answered(now, &self.options),
            Packet::Close => return self.end(SessionEnd::PeerClosed { code: None }, actions),
            Packet::Ping(_) => return self.end(Misspoken::Ping.into(), actions),
            Packet::Text(text) => self.spoken.receive(now, Said::Text(text), topics, actions),
            Packet::Binary(bytes) => self.spoken.receive(now, Said::Binary(&bytes), topics, actions),
            // Of no meaning on a session that is open; the protocol's own server passes over them.
            Packet::Open | Packet::Upgrade | Packet::Noop => {}
        }
        self.heartbeat.heard(now, &self.options);
        self.look_at(actions);
    }

    fn next_due(&self) -> Option<Millis> {
        if self.over {
            return None;
        }
        let own = self.heartbeat.deadline();
        Some(self.spoken.next_due().map_or(own, |due| due.min(own)))
    }

    fn advance(&mut self, now: Millis, topics: &mut Subscriptions, actions: &mut Vec<Action>) {
        if self.over {
            return;
        }
        match self.heartbeat.advance(now, &self.options) {
            Beat::Nothing => {}
            Beat::Ping => actions.push(Action::Reply(packet("2"))),
            Beat::Gone => return self.end(SessionEnd::Silent, actions),
        }
        if self.spoken.next_due().is_some_and(|due| due <= now) {
            self.spoken.advance(now, topics, actions);
            self.look_at(actions);
        }
    }

    fn has_heartbeat(&self) -> bool {
        true
    }

    fn most_bytes(&self) -> Option<usize> {
        Some(self.options.max_payload)
    }

    fn kind(&self) -> ConversationKind {
        self.spoken.kind()
    }

    fn name(&self, topic: Topic) -> String {
        self.spoken.name(topic)
    }
}

/// A packet that is nothing but text.
fn packet(text: &str) -> Frame {
    Frame::text(text.len(), |out| out.extend_from_slice(text.as_bytes()))
}

#[cfg(test)]
mod tests;

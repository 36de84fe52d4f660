//! What one receiver says and hears, from the request for an upgrade to the goodbye.
//!
//! Knows no socket and no clock: bytes go in, bytes to send come out.

use serde_json::{Value, json};

use super::check::Checker;
use super::ending::{Ending, Step};
use super::latency::Latencies;
use super::say;
use super::target::{Answer, Target, answer};
use super::walk::{Piece, Walker};
use crate::encode::Opcode;

/// One receiver's side of a connection.
#[derive(Debug)]
pub(super) struct Conversation {
    walker: Walker,
    talk: Talk,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The request for an upgrade is on its way.
    Upgrading,
    /// The request for topics is on its way.
    Subscribing,
    /// It hears everything.
    Running,
    /// It said goodbye.
    Leaving,
}

#[derive(Debug)]
struct Talk {
    stage: Stage,
    /// What is to be sent.
    out: Vec<u8>,
    /// The frame that asks for topics, until it was sent.
    subscribe: Vec<u8>,
    topics: usize,
    /// The part of an answer, or of a message that is looked at, which has come so far.
    kept: Vec<u8>,
    /// The part of a control frame that has come so far.
    control: Vec<u8>,
    checker: Option<Box<Checker>>,
    timed: bool,
    /// The server's close frame came.
    closed: Option<Ending>,
}

/// What all receivers of a thread put together what they hear in.
#[derive(Debug)]
pub(super) struct Ear {
    /// Messages heard.
    pub(super) messages: u64,
    /// How long they took.
    pub(super) latencies: Latencies,
    /// Rules that were broken.
    pub(super) violations: Violations,
    /// Masks come from it.
    pub(super) random: fastrand::Rng,
}

/// Rules that were broken.
#[derive(Clone, Debug, Default)]
pub(super) struct Violations {
    pub(super) count: u64,
    /// The first few of them.
    pub(super) examples: Vec<String>,
}

impl Violations {
    fn add(&mut self, broken: String) {
        self.count += 1;
        if self.examples.len() < MOST_EXAMPLES {
            self.examples.push(broken);
        }
    }

    pub(super) fn merge(&mut self, other: Violations) {
        self.count += other.count;
        self.examples.extend(other.examples);
        self.examples.truncate(MOST_EXAMPLES);
    }
}

impl Conversation {
    /// One that asks `target` for `topics`; for nothing where there are none.
    pub(super) fn new(target: &Target, topics: &[String], random: &mut fastrand::Rng) -> Conversation {
        let mut subscribe = Vec::new();
        if !topics.is_empty() {
            let text = json!({"op": "subscribe", "id": 1, "topics": topics}).to_string();
            say::frame(Opcode::Text, text.as_bytes(), random, &mut subscribe);
        }
        let talk = Talk {
            stage: Stage::Upgrading,
            out: target.request(),
            subscribe,
            topics: topics.len(),
            kept: Vec::new(),
            control: Vec::new(),
            checker: None,
            timed: true,
            closed: None,
        };
        Conversation { walker: Walker::default(), talk }
    }

    /// Verifies what it hears from now on.
    pub(super) fn check(mut self) -> Conversation {
        self.talk.checker = Some(Box::default());
        self
    }

    /// Does not count in latencies: it is late by its own doing.
    pub(super) fn untimed(mut self) -> Conversation {
        self.talk.timed = false;
        self
    }

    /// How far it is.
    pub(super) fn stage(&self) -> Stage {
        self.talk.stage
    }

    /// What it does until it runs.
    pub(super) fn step(&self) -> Step {
        match self.talk.stage {
            Stage::Upgrading => Step::Upgrading,
            Stage::Subscribing | Stage::Running | Stage::Leaving => Step::Subscribing,
        }
    }

    /// What is to be sent; the caller takes off what it could send.
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.talk.out
    }

    /// What verifies it.
    pub(super) fn checker(&self) -> Option<&Checker> {
        self.talk.checker.as_deref()
    }

    /// Says goodbye.
    pub(super) fn leave(&mut self, random: &mut fastrand::Rng) {
        self.talk.stage = Stage::Leaving;
        say::frame(Opcode::Close, &NORMAL.to_be_bytes(), random, &mut self.talk.out);
    }

    /// Whether the server answered the goodbye.
    pub(super) fn was_answered(&self) -> bool {
        self.talk.stage == Stage::Leaving && self.talk.closed.is_some()
    }

    /// Takes in what was read.
    #[inline]
    pub(super) fn hear(&mut self, bytes: &[u8], ear: &mut Ear) -> Result<(), Ending> {
        match self.talk.stage {
            Stage::Upgrading => {
                self.talk.kept.extend_from_slice(bytes);
                match answer(&self.talk.kept) {
                    Answer::Unfinished => Ok(()),
                    Answer::Status(status) => Err(Ending::Status(status)),
                    Answer::Nonsense => Err(Ending::NoWebSocket),
                    Answer::Accepted(length) => {
                        let answered = std::mem::take(&mut self.talk.kept);
                        self.talk.upgraded();
                        self.walk(&answered[length..], ear)
                    }
                }
            }
            Stage::Subscribing | Stage::Running | Stage::Leaving => self.walk(bytes, ear),
        }
    }

    #[inline]
    fn walk(&mut self, bytes: &[u8], ear: &mut Ear) -> Result<(), Ending> {
        let Conversation { walker, talk } = self;
        if talk.stage == Stage::Running && talk.checker.is_none() {
            walker.walk(bytes, |piece| {
                if piece.opcode.is_control() {
                    return talk.control(piece, ear);
                }
                if piece.first && talk.timed && ear.latencies.due() {
                    ear.latencies.look(piece.bytes);
                }
                ear.messages += u64::from(piece.ends_message());
            })?;
        } else {
            walker.walk(bytes, |piece| talk.take(piece, ear))?;
        }
        match self.talk.closed.take_if(|_| self.talk.stage != Stage::Leaving) {
            Some(ending) => Err(ending),
            None => Ok(()),
        }
    }
}

impl Talk {
    fn upgraded(&mut self) {
        if self.subscribe.is_empty() {
            self.stage = Stage::Running;
        } else {
            self.out.append(&mut self.subscribe);
            self.subscribe = Vec::new();
            self.stage = Stage::Subscribing;
        }
    }

    /// Takes a piece of something that has to be looked at.
    fn take(&mut self, piece: Piece<'_>, ear: &mut Ear) {
        if piece.opcode.is_control() {
            return self.control(piece, ear);
        }
        let counts = self.stage != Stage::Subscribing;
        if counts && piece.first && self.timed && ear.latencies.due() {
            ear.latencies.look(piece.bytes);
        }
        if self.stage == Stage::Subscribing || self.checker.is_some() {
            if self.kept.len() + piece.bytes.len() > MOST_MESSAGE {
                self.closed.get_or_insert(Ending::TooLong);
                return;
            }
            self.kept.extend_from_slice(piece.bytes);
        }
        if !piece.ends_message() {
            return;
        }
        if let Some(checker) = &mut self.checker
            && let Err(broken) = checker.hear(&self.kept)
        {
            ear.violations.add(broken);
        }
        if self.stage == Stage::Subscribing {
            self.answered();
        }
        ear.messages += u64::from(counts);
        if self.checker.is_some() { self.kept.clear() } else { self.kept = Vec::new() }
    }

    /// Looks whether the message is what the server says to the subscription.
    ///
    /// A server that took some of the topics says so, and then why it did not take the others: all
    /// receivers of a measurement hear the same, so that one that does not is a failure.
    fn answered(&mut self) {
        let message: Value = serde_json::from_slice(&self.kept).unwrap_or_default();
        match message["type"].as_str() {
            Some("ok") if message["topics"].as_array().is_some_and(|all| all.len() == self.topics) => {
                self.stage = Stage::Running;
            }
            Some("error") => {
                let text = |field: &str| message[field].as_str().unwrap_or_default().to_owned();
                let why = [text("topic"), text("code"), text("message")];
                let why: Vec<_> = why.into_iter().filter(|text| !text.is_empty()).collect();
                self.closed.get_or_insert(Ending::NotSubscribed(why.join(": ")));
            }
            Some(_) | None => {}
        }
    }

    fn control(&mut self, piece: Piece<'_>, ear: &mut Ear) {
        self.control.extend_from_slice(piece.bytes);
        if !piece.last {
            return;
        }
        let payload = std::mem::take(&mut self.control);
        match piece.opcode {
            Opcode::Ping => say::frame(Opcode::Pong, &payload, &mut ear.random, &mut self.out),
            Opcode::Close => {
                if self.stage != Stage::Leaving {
                    let code = &payload[..payload.len().min(2)];
                    say::frame(Opcode::Close, code, &mut ear.random, &mut self.out);
                }
                self.closed.get_or_insert_with(|| closed(&payload));
            }
            Opcode::Pong | Opcode::Continuation | Opcode::Text | Opcode::Binary => {}
        }
    }
}

fn closed(payload: &[u8]) -> Ending {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return Ending::Closed { code: UNSAID, reason: String::new() };
    };
    let reason = String::from_utf8_lossy(reason);
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    Ending::Closed { code: u16::from_be_bytes(*code), reason }
}

/// The longest message that is put together: a full book of any depth that an engine keeps.
pub(super) const MOST_MESSAGE: usize = 64 << 20;

const MOST_EXAMPLES: usize = 5;

/// The purpose for which the connection was made is fulfilled (RFC 6455, section 7.4.1).
pub(super) const NORMAL: u16 = 1000;

/// Stands for a close frame without a code.
const UNSAID: u16 = 1005;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::load::latency::Stamp;
    use crate::clock::FineClock;
    use crate::encode::Frame;

    const ACCEPTED: &[u8] = b"HTTP/1.1 101 X\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    fn ear() -> Ear {
        let latencies = Latencies::new(FineClock::start(), Stamp::Engine, 1);
        let random = fastrand::Rng::with_seed(1);
        Ear { messages: 0, latencies, violations: Violations::default(), random }
    }

    fn text(text: &str) -> Vec<u8> {
        Frame::text(0, |out| out.extend_from_slice(text.as_bytes())).bytes().to_vec()
    }

    fn asking(topics: &[&str]) -> Conversation {
        let topics: Vec<_> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let target = "ws://127.0.0.1:1/x".parse().unwrap();
        let mut conversation = Conversation::new(&target, &topics, &mut fastrand::Rng::with_seed(1));
        assert!(conversation.out().starts_with(b"GET /x HTTP/1.1\r\n"));
        conversation.out().clear();
        conversation
    }

    #[test]
    fn it_upgrades_subscribes_counts_and_leaves_even_byte_by_byte() {
        let all = [
            ACCEPTED,
            &text(r#"{"type":"ok","id":1,"op":"subscribe","topics":["trades:A"]}"#),
            &text(r#"{"type":"update","topic":"trades:A","epoch":"e","seq":1,"ts":1}"#),
            Frame::ping(b"?").bytes(),
            &text(r#"{"type":"update","topic":"trades:A","epoch":"e","seq":2,"ts":1}"#),
        ]
        .concat();
        for step in [1, 7, all.len()] {
            for mut it in [asking(&["trades:A"]), asking(&["trades:A"]).check()] {
                let mut ear = ear();
                for part in all.chunks(step) {
                    it.hear(part, &mut ear).unwrap();
                }
                assert_eq!((it.stage(), ear.messages, ear.violations.count), (Stage::Running, 2, 0));
                assert_eq!(ear.latencies.histogram().len(), if step == all.len() { 2 } else { 0 });
                let [.., mask, _, _, _, payload] = it.out()[..] else { panic!("a pong is owed") };
                assert_eq!(payload, b'?' ^ mask);
                it.leave(&mut ear.random);
                it.hear(&text("{}"), &mut ear).unwrap();
                assert!(!it.was_answered());
                it.hear(Frame::close(Some(1000), "").bytes(), &mut ear).unwrap();
                assert!(it.was_answered());
            }
        }
    }

    #[test]
    fn without_topics_it_runs_once_it_is_upgraded() {
        let (mut it, mut ear) = (asking(&[]), ear());
        it.hear(&[ACCEPTED, &text("x")].concat(), &mut ear).unwrap();
        assert_eq!((it.stage(), ear.messages, it.out().len()), (Stage::Running, 1, 0));
    }

    #[test]
    fn what_goes_wrong_is_named() {
        let ending = |topics: &[&str], parts: &[&[u8]]| {
            asking(topics).hear(&parts.concat(), &mut ear()).unwrap_err().to_string()
        };
        assert_eq!(ending(&[], &[b"HTTP/1.1 503 X\r\n\r\n"]), "answered with HTTP status 503");
        assert_eq!(ending(&[], &[ACCEPTED, b"\xf1\x00"]), "broke the protocol: a frame with reserved bits");
        assert_eq!(ending(&[], &[ACCEPTED, b"\x88\x00"]), "closed with code 1005");
        let slow = Frame::close(Some(4008), "too slow for trades:A");
        assert_eq!(ending(&[], &[ACCEPTED, slow.bytes()]), "closed with code 4008: too slow for trades:A");
        let some = text(r#"{"type":"ok","id":1,"op":"subscribe","topics":["trades:A"]}"#);
        let error =
            text(r#"{"type":"error","id":1,"code":"UNKNOWN_SYMBOL","message":"no B","topic":"trades:B"}"#);
        assert_eq!(
            ending(&["trades:A", "trades:B"], &[ACCEPTED, &some, &error]),
            "not subscribed: trades:B: UNKNOWN_SYMBOL: no B"
        );
    }
}

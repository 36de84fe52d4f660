//! Where a session that began with polling is reached: the poll that waits for an answer, what was
//! asked and not looked at yet, and the WebSocket that wants to take over.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::Write;
use std::task::{Context, Poll};

use bytes::Bytes;
use mio::net::TcpStream;
use tokio::sync::oneshot;

use super::MakeConversation;
use crate::market::Millis;
use crate::session::Said;
use crate::session::engineio::{Options, ProbeStep, Refused, Sid, Transport, payload};

/// What a request wants of a session.
pub enum Asked {
    /// Whatever waits, or will.
    Poll(oneshot::Sender<Polled>),
    /// To take these packets.
    Post {
        /// The body, as it came.
        body: Bytes,
        /// Told when they were taken.
        reply: oneshot::Sender<Result<(), Refused>>,
    },
    /// Whether there is such a session: where not, no WebSocket is accepted for it.
    IsThere(oneshot::Sender<Result<(), Refused>>),
    /// A WebSocket that tries.
    Try {
        /// The socket, not blocking.
        stream: std::net::TcpStream,
        /// What was read behind the upgrade request.
        early: Vec<u8>,
    },
    /// To end: the client sent what no client sends.
    Drop,
}

/// The answer to a poll: the parts of its body.
pub type Polled = Result<Vec<Bytes>, Refused>;

/// One session's mailbox.
///
/// Invariant: at most [`MOST_ASKED`] requests wait, one of them a post; what is not answered in the
/// end is refused, because the sender of the answer goes.
pub(super) struct Mailbox {
    pub(super) sid: Sid,
    pub(super) options: Options,
    pub(super) transport: RefCell<Transport>,
    asked: RefCell<VecDeque<Asked>>,
    held: RefCell<Option<oneshot::Sender<Polled>>>,
    /// The WebSocket that tries to take over.
    pub(super) trying: RefCell<Option<TcpStream>>,
    /// It has taken over with what was read last.
    pub(super) moved: Cell<bool>,
}

impl Mailbox {
    pub(super) fn new(sid: Sid, options: Options, held: oneshot::Sender<Polled>, now: Millis) -> Mailbox {
        Mailbox {
            sid,
            options,
            transport: RefCell::new(Transport::polling(now)),
            asked: RefCell::default(),
            held: RefCell::new(Some(held)),
            trying: RefCell::default(),
            moved: Cell::new(false),
        }
    }

    /// Takes a request in, or refuses it where too many wait.
    pub(super) fn ask(&self, asked: Asked) {
        let mut waiting = self.asked.borrow_mut();
        let is_post = |asked: &Asked| matches!(asked, Asked::Post { .. });
        if waiting.len() >= MOST_ASKED || (is_post(&asked) && waiting.iter().any(is_post)) {
            refuse(asked, Refused::BadRequest);
            waiting.push_back(Asked::Drop);
        } else {
            waiting.push_back(asked);
        }
    }

    pub(super) fn next_asked(&self) -> Option<Asked> {
        self.asked.borrow_mut().pop_front()
    }

    /// Holds a poll until there is something to answer it with.
    pub(super) fn hold(&self, reply: oneshot::Sender<Polled>) {
        *self.held.borrow_mut() = Some(reply);
    }

    pub(super) fn is_held(&self) -> bool {
        self.held.borrow().is_some()
    }

    /// Answers the poll that is held with these frames and, behind them, `last`; whether there was one and
    /// somebody still waited for it. What is given to one that was given up is lost.
    pub(super) fn answer(&self, frames: impl IntoIterator<Item = Bytes>, last: Option<&'static str>) -> bool {
        let Some(held) = self.held.borrow_mut().take() else { return false };
        self.transport.borrow_mut().answered();
        let mut parts = payload(frames);
        if let Some(last) = last {
            if !parts.is_empty() {
                parts.push(Bytes::from_static(b"\x1e"));
            }
            parts.push(Bytes::from_static(last.as_bytes()));
        }
        held.send(Ok(parts)).is_ok()
    }

    /// Whether the client has given its poll up.
    pub(super) fn is_abandoned(&self) -> bool {
        self.held.borrow().as_ref().is_some_and(oneshot::Sender::is_closed)
    }

    /// What the WebSocket that tries has said; `None` where none does (any more).
    pub(super) fn hear(&self, said: Said<'_>) -> Option<ProbeStep> {
        if self.moved.get() || self.trying.borrow().is_none() {
            return None;
        }
        let step = self.transport.borrow_mut().hear(said);
        self.moved.set(step == ProbeStep::Move);
        Some(step)
    }

    /// Sends the answer to a probe; whether the socket took it, as a new one does.
    pub(super) fn answer_probe(&self) -> bool {
        const PROBED: &[u8] = b"\x81\x063probe";
        let trying = self.trying.borrow();
        trying.as_ref().is_some_and(|mut stream| stream.write(PROBED).is_ok_and(|sent| sent == PROBED.len()))
    }

    /// The WebSocket that tries goes; the session stays where it was.
    pub(super) fn give_up(&self) {
        self.trying.take();
        self.transport.borrow_mut().give_up();
    }

    /// Whether the client has given its poll up; the task is woken when it does.
    pub(super) fn poll_abandoned(&self, context: &mut Context<'_>) -> Poll<()> {
        self.held.borrow_mut().as_mut().map_or(Poll::Pending, |held| held.poll_closed(context))
    }
}

/// Refuses what a request wants.
pub(super) fn refuse(asked: Asked, why: Refused) {
    // Whoever asked may have gone.
    match asked {
        Asked::Poll(reply) => _ = reply.send(Err(why)),
        Asked::Post { reply, .. } | Asked::IsThere(reply) => _ = reply.send(Err(why)),
        Asked::Try { .. } | Asked::Drop => {}
    }
}

/// How a poll ends that the client's own goodbye ends, and one that is let go with nothing to say.
pub(super) const NOOP: &str = "6";

/// How a poll ends when the server ends the session.
pub(super) const CLOSE: &str = "1";

/// Requests of one session that wait to be looked at: a poll, a post and a WebSocket are all that a
/// client has at a time.
const MOST_ASKED: usize = 8;

/// A session that begins with a request.
pub struct NewSession {
    /// Its name; the worker that it names must be the one that gets this.
    pub sid: Sid,
    /// How long things may take.
    pub options: Options,
    /// Makes the client's side of the conversation, on the worker's thread and at the worker's time.
    pub conversation: MakeConversation,
    /// Held as long as the session lives.
    pub place: Box<dyn Send>,
    /// The first poll.
    pub reply: oneshot::Sender<Polled>,
}

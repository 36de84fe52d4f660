//! `/publish` as a WebSocket: one object a message, answered by the object's own `id`.
//!
//! What one read brings is one batch: it is published as a whole, answered in its order, and only then
//! is more read. So a publisher has at most [`READ`] bytes (or one message) under way, the rest waits
//! in its socket, and who sends faster shares each wait for the disk among more objects. A publisher
//! that goes away in the middle has published what came wholly and nothing of what did not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tracing::{debug, warn};

use super::Market;
use crate::auth::{Grant, Tokens};
use crate::clock::Clock;
use crate::encode::Frame;
use crate::engine::Publisher;
use crate::engine::ledger::Outcome;
use crate::ingest::publish::{Rejection, id_of};
use crate::market::Millis;
use crate::server::Door;
use crate::server::answer::Answer;
use crate::session::websocket::{Compression, Message, Reader};
use crate::session::{Closing, SessionEnd};

/// How publishers' connections are treated.
#[derive(Clone, Copy, Debug)]
pub(in crate::server::http) struct PublishLimits {
    /// Bytes of one message.
    pub(in crate::server::http) bytes: usize,
    /// How long one may say nothing before it is asked whether it is there.
    pub(in crate::server::http) ping: Duration,
    /// How long it has for its answer.
    pub(in crate::server::http) pong_timeout: Duration,
    /// How long it may leave an answer untaken.
    pub(in crate::server::http) stalled: Duration,
}

impl Market {
    pub(in crate::server::http) fn publish_socket(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        door: &Arc<Door>,
    ) -> Answer {
        let grant = match self.publisher_of(&request, peer) {
            Ok(grant) => grant,
            Err(refusal) => return refusal,
        };
        let (publisher, tokens, limits) =
            (self.engine.publisher().clone(), self.tokens.clone(), self.publish);
        let going_down = self.going_down.subscribe();
        door.own_websocket(request, peer, move |stream, early, place| async move {
            let stream = TcpStream::from_std(stream);
            match stream {
                Ok(stream) => {
                    let reader = Reader::new(limits.bytes, Compression::Off);
                    let socket = Socket { stream, reader, publisher, tokens, grant, limits, going_down };
                    socket.run(early).await;
                }
                Err(error) => warn!(%error, "a publisher could not be taken"),
            }
            drop(place);
        })
    }
}

/// One publisher's connection.
struct Socket {
    stream: TcpStream,
    reader: Reader,
    publisher: Publisher,
    tokens: Arc<Tokens>,
    grant: Grant,
    limits: PublishLimits,
    /// Ends with the server.
    going_down: watch::Receiver<()>,
}

/// What one read brought.
#[derive(Default)]
struct Batch {
    /// Objects to be published, or why a message is none.
    messages: Vec<Result<String, Rejection>>,
    /// What is to be sent back.
    out: Vec<u8>,
    end: Option<SessionEnd>,
}

impl Socket {
    async fn run(mut self, mut bytes: Vec<u8>) {
        let end = loop {
            if let Some(end) = self.take(&mut bytes).await {
                break end;
            }
            bytes.resize(READ, 0);
            match self.read(&mut bytes).await {
                Ok(length) => bytes.truncate(length),
                Err(end) => break end,
            }
        };
        self.close(&end).await;
    }

    /// Publishes what was read, and answers it; why the connection is over, if it is.
    async fn take(&mut self, bytes: &mut [u8]) -> Option<SessionEnd> {
        let mut batch = Batch::default();
        if let Err(violation) = self.reader.feed(bytes, |message| batch.add(message)) {
            batch.end = Some(SessionEnd::Violation(violation));
        }
        let now = Clock::start().now();
        let ended = self.tokens.ended(now, &self.grant);
        if !batch.messages.is_empty() {
            let outcomes = match ended {
                None => self.publish(now, &batch.messages).await,
                Some(ended) => refused(&batch.messages, "TOKEN_EXPIRED", &ended.to_string()),
            };
            for (message, outcome) in batch.messages.iter().zip(&outcomes) {
                answer(message.as_deref(), outcome, &mut batch.out);
            }
        }
        if let Err(end) = self.write(&batch.out).await {
            return Some(end);
        }
        batch.end.or_else(|| ended.map(|_| SessionEnd::TokenExpired))
    }

    async fn publish(&self, now: Millis, messages: &[Result<String, Rejection>]) -> Vec<Outcome> {
        let texts: Vec<_> = messages.iter().filter_map(|message| message.as_deref().ok()).collect();
        let mut published = self.publisher.publish_all_from(now, self.grant.user(), &texts).await.into_iter();
        let outcome = |message: &Result<String, Rejection>| match message {
            Ok(_) => published.next().unwrap_or(Ok(None)),
            Err(rejection) => Err(rejection.clone()),
        };
        messages.iter().map(outcome).collect()
    }

    /// Reads once, and asks who says nothing whether it is there.
    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, SessionEnd> {
        let mut was_asked = false;
        loop {
            let patience = if was_asked { self.limits.pong_timeout } else { self.limits.ping };
            let read = tokio::select! {
                biased;
                _ = self.going_down.changed() => return Err(SessionEnd::ShuttingDown { retry_in: RETRY_IN }),
                read = self.stream.read(bytes) => Some(read),
                () = tokio::time::sleep(patience) => None,
            };
            match read {
                Some(Ok(0)) => return Err(SessionEnd::PeerLeft),
                Some(Ok(length)) => return Ok(length),
                Some(Err(error)) => return Err(SessionEnd::Io(error)),
                None if was_asked => return Err(SessionEnd::Silent),
                None => {
                    if self.tokens.ended(Clock::start().now(), &self.grant).is_some() {
                        return Err(SessionEnd::TokenExpired);
                    }
                    self.write(Frame::ping(b"").bytes()).await?;
                    was_asked = true;
                }
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), SessionEnd> {
        match tokio::time::timeout(self.limits.stalled, self.stream.write_all(bytes)).await {
            Ok(written) => written.map_err(SessionEnd::Io),
            Err(_) => Err(SessionEnd::TooSlow { topic: "its own answers".to_owned() }),
        }
    }

    /// Says goodbye and lets the peer read it: a socket that ends with bytes unread is reset.
    async fn close(mut self, end: &SessionEnd) {
        debug!(?end, publisher = &**self.grant.user(), "a publisher's connection ended");
        let mut closing = Closing::default();
        // Who is too slow reads nothing, and would not read this.
        let hears = !matches!(end, SessionEnd::TooSlow { .. });
        let Some(frame) = closing.end(end, 0).filter(|_| hears) else { return };
        let goodbye = async {
            self.stream.write_all(frame.bytes()).await?;
            self.stream.shutdown().await?;
            let mut rest = [0; 4_096];
            while self.stream.read(&mut rest).await? > 0 {}
            Ok::<_, std::io::Error>(())
        };
        // Whatever becomes of it, the connection is over.
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }
}

impl Batch {
    fn add(&mut self, message: Message<'_>) {
        match message {
            Message::Text(text) => self.messages.push(Ok(text.to_owned())),
            Message::Binary(_) => {
                let rejection = Rejection::new("NOT_JSON", "messages are JSON text, not binary");
                self.messages.push(Err(rejection));
            }
            Message::Ping(payload) => self.out.extend_from_slice(Frame::pong(payload).bytes()),
            Message::Pong(_) => {}
            Message::Close { code, .. } => self.end = Some(SessionEnd::PeerClosed { code }),
        }
    }
}

fn refused(messages: &[Result<String, Rejection>], code: &'static str, why: &str) -> Vec<Outcome> {
    messages.iter().map(|_| Err(Rejection::new(code, why))).collect()
}

/// Answers an object by its `id`. One without is not answered, but for what is no object at all: its
/// publisher would wait for ever.
fn answer(message: Result<&str, &Rejection>, outcome: &Outcome, out: &mut Vec<u8>) {
    let id = message.ok().and_then(id_of);
    let is_object = !matches!(outcome, Err(rejection) if rejection.code == "NOT_JSON");
    if id.is_none() && is_object {
        return;
    }
    let id = id.as_deref().unwrap_or("null");
    let frame = Frame::text(64, |payload| {
        let text = match outcome {
            Ok(seq) => format!(r#"{{"id":{id},"ok":true,"seq":{}}}"#, json!(seq)),
            Err(Rejection { code, message }) => {
                let (code, message) = (json!(code), json!(message));
                format!(r#"{{"id":{id},"ok":false,"code":{code},"message":{message}}}"#)
            }
        };
        payload.extend_from_slice(text.as_bytes());
    });
    out.extend_from_slice(frame.bytes());
}

/// Bytes that one read takes at most, and so what a publisher has under way.
const READ: usize = 64 << 10;

/// How long a publisher may take to read why its connection is over.
const GOODBYE: Duration = Duration::from_secs(5);

/// When publishers are to come back after a restart. They are few: nothing is spread.
const RETRY_IN: Millis = 1_000;

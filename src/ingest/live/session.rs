//! One connection's life: open, subscribe, read until it ends.
//!
//! It understands no message. What comes in goes to the supervisor in order, with the time at which
//! it came; what goes out keeps to the venue's pace.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::connect::{ConnectDeadlines, ConnectError, Connector, Endpoint};
use super::pace::Pace;
use super::socket::{self, Message, Reader, SocketError, Writer};
use crate::clock::Clock;
use crate::market::Millis;

/// Names a connection within one run.
pub(crate) type ConnectionId = u64;

/// What a session needs to know.
pub(crate) struct Session {
    /// Its name.
    pub(crate) id: ConnectionId,
    /// The venue.
    pub(crate) endpoint: Endpoint,
    /// The path of its streams.
    pub(crate) path: &'static str,
    /// What to send once it is open; the reports name them by their place here.
    pub(crate) requests: Arc<[String]>,
    /// Its limits.
    pub(crate) limits: SessionLimits,
    /// For the time at which things come in.
    pub(crate) clock: Arc<Mutex<Clock>>,
}

/// What a session may take and send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionLimits {
    /// For getting connected.
    pub(crate) deadlines: ConnectDeadlines,
    /// For one frame to leave.
    pub(crate) write: Duration,
    /// Without any frame for this long it is dead.
    pub(crate) silence: Duration,
    /// The longest message.
    pub(crate) message_bytes: usize,
    /// The most frames that may be sent in `window`, pongs among them.
    pub(crate) messages: u32,
    /// See `messages`.
    pub(crate) window: Duration,
}

/// Something that a session has to say.
pub(crate) struct Report {
    /// Whose it is.
    pub(crate) connection: ConnectionId,
    /// When it happened.
    pub(crate) received: Millis,
    /// What it is.
    pub(crate) what: What,
}

/// See [`Report`].
pub(crate) enum What {
    /// The handshake is done.
    Opened,
    /// The request at this place was sent.
    Sent(usize),
    /// A text came.
    Text(BytesMut),
    /// Bytes came.
    Binary(BytesMut),
    /// A ping came (the answer is on its way).
    Ping,
    /// It is over; nothing follows.
    Ended(SessionEnd),
}

/// Why a session ended.
#[derive(Debug, Error)]
pub enum SessionEnd {
    /// It never was open.
    #[error(transparent)]
    NotOpened(#[from] ConnectError),
    /// The stream ended, or the venue broke the protocol or a limit.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The venue closed it.
    #[error("the venue closed the connection with code {code:?}: {reason:?}")]
    Closed {
        /// Its reason as a number.
        code: Option<u16>,
        /// Its reason as text.
        reason: String,
    },
    /// Nothing came, not even a ping.
    #[error("nothing came for {silence:?}")]
    Silent {
        /// How long nothing may come.
        silence: Duration,
    },
    /// The venue does not take what we send.
    #[error("a frame could not be sent within {within:?}")]
    Stuck {
        /// The deadline.
        within: Duration,
    },
    /// The supervisor does not need it any more.
    #[error("it was not needed any more")]
    Left,
    /// It stopped by a fault of our own.
    #[error("its task failed")]
    Failed,
}

impl Session {
    /// Lives until something ends it, or `leave` turns true.
    pub(crate) async fn run(
        self,
        connector: Connector,
        reports: mpsc::Sender<Report>,
        leave: watch::Receiver<bool>,
    ) -> ConnectionId {
        let id = self.id;
        let voice = Voice { id, clock: self.clock.clone(), reports };
        let end = self.live(&connector, &voice, leave).await;
        voice.say(What::Ended(end)).await;
        id
    }

    async fn live(
        &self,
        connector: &Connector,
        voice: &Voice,
        mut leave: watch::Receiver<bool>,
    ) -> SessionEnd {
        let opening = connector.open_websocket(&self.endpoint, self.path, self.limits.deadlines);
        let stream = tokio::select! {
            stream = opening => match stream {
                Ok(stream) => stream,
                Err(error) => return error.into(),
            },
            () = told(&mut leave) => return SessionEnd::Left,
        };
        voice.say(What::Opened).await;
        let (reader, writer) = socket::split(stream, self.limits.message_bytes);
        // Only the newest ping has to be answered (RFC 6455, 5.5.3), so that a flood of them
        // cannot make us break the venue's limit.
        let (ping, pinged) = watch::channel(Bytes::new());
        let reading = read(reader, voice, ping, self.limits.silence);
        tokio::pin!(reading);
        tokio::select! {
            end = &mut reading => end,
            end = write(writer, voice, pinged, leave, &self.requests, self.limits) => {
                // To drop a stream with something unread in it resets it, and a reset can overtake
                // our goodbye: so what is on its way is read until the venue closes too.
                if matches!(end, SessionEnd::Left) {
                    let _ = timeout(FAREWELL, reading).await;
                }
                end
            }
        }
    }
}

/// A session's way to the supervisor. A full queue makes the session wait, and with it the venue.
struct Voice {
    id: ConnectionId,
    clock: Arc<Mutex<Clock>>,
    reports: mpsc::Sender<Report>,
}

impl Voice {
    async fn say(&self, what: What) {
        let received = self.clock.lock().unwrap_or_else(PoisonError::into_inner).now();
        // Nobody listens once the supervisor is gone, and this task is about to be ended too.
        let _ = self.reports.send(Report { connection: self.id, received, what }).await;
    }
}

async fn read(
    mut reader: Reader,
    voice: &Voice,
    ping: watch::Sender<Bytes>,
    silence: Duration,
) -> SessionEnd {
    loop {
        let what = match timeout(silence, reader.read()).await {
            Err(_) => return SessionEnd::Silent { silence },
            Ok(Err(error)) => return error.into(),
            Ok(Ok(Message::Close { code, reason })) => return SessionEnd::Closed { code, reason },
            Ok(Ok(Message::Pong)) => continue,
            Ok(Ok(Message::Ping(payload))) => {
                ping.send_replace(payload);
                What::Ping
            }
            Ok(Ok(Message::Text(bytes))) => What::Text(bytes),
            Ok(Ok(Message::Binary(bytes))) => What::Binary(bytes),
        };
        voice.say(what).await;
    }
}

async fn write(
    mut writer: Writer,
    voice: &Voice,
    mut pinged: watch::Receiver<Bytes>,
    mut leave: watch::Receiver<bool>,
    requests: &[String],
    limits: SessionLimits,
) -> SessionEnd {
    let mut pace = Pace::new(limits.messages, limits.window);
    let (mut next, mut pong_due) = (0, false);
    loop {
        let slot = pace.ready_at(Instant::now(), 1);
        // Biased: leaving comes before everything, and a pong before a subscription, because the
        // venue closes a connection whose pong is late.
        tokio::select! {
            biased;
            () = told(&mut leave) => {
                let _ = timeout(limits.write, writer.close(NORMAL_CLOSURE)).await;
                return SessionEnd::Left;
            }
            changed = pinged.changed(), if !pong_due => match changed {
                Ok(()) => {
                    pong_due = true;
                    continue;
                }
                // The reader is gone, and this task with it.
                Err(_) => return SessionEnd::Left,
            },
            () = sleep_until(slot), if pong_due || next < requests.len() => {}
        }
        pace.take(Instant::now(), 1);
        let sent = if std::mem::take(&mut pong_due) {
            let payload = pinged.borrow_and_update().clone();
            timeout(limits.write, writer.pong(&payload)).await
        } else {
            next += 1;
            // Said before it is sent, or the answer could be heard first.
            voice.say(What::Sent(next - 1)).await;
            timeout(limits.write, writer.text(&requests[next - 1])).await
        };
        match sent {
            Err(_) => return SessionEnd::Stuck { within: limits.write },
            Ok(Err(error)) => return error.into(),
            Ok(Ok(())) => {}
        }
    }
}

/// Waits for a switch to turn true, or for whoever holds it to be gone.
async fn told(switch: &mut watch::Receiver<bool>) {
    // The value that comes back holds a lock and must not live across the next wait.
    let _ = switch.wait_for(|on| *on).await;
}

const NORMAL_CLOSURE: u16 = 1000;

/// How long the venue may take to close a connection that we leave.
const FAREWELL: Duration = Duration::from_secs(1);

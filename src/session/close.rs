//! Why a session ends, what the client is told of it, and where the closing handshake stands.

use std::{borrow::Cow, io};

use super::{Misspoken, websocket::Violation};
use crate::{encode::Frame, market::Millis};

/// The WebSocket close codes that we send. After 4001 a client needs a fresh token, after the others
/// it may come back as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum CloseCode {
    /// The session was ended on purpose, by the words of its dialect.
    Normal = 1000,
    /// The client no longer answers.
    GoingAway = 1001,
    /// The client broke the WebSocket protocol.
    ProtocolError = 1002,
    /// Text that is not UTF-8, or a compressed message that cannot be inflated.
    NotUtf8 = 1007,
    /// A message over the limit.
    TooBig = 1009,
    /// Our own fault.
    InternalError = 1011,
    /// The server restarts.
    Restart = 1012,
    /// The token ran out and no fresh one came.
    TokenExpired = 4001,
    /// A lossless topic overflowed; `since` gets everything back.
    TooSlow = 4008,
}

impl CloseCode {
    /// The number on the wire.
    pub const fn number(self) -> u16 {
        self as u16
    }
}

/// Why a session ended.
#[derive(Debug)]
pub enum SessionEnd {
    /// The dialect's own goodbye.
    Finished,
    /// The peer sent a close frame, with this code.
    PeerClosed {
        /// `None` when it gave none.
        code: Option<u16>,
    },
    /// The peer's socket ended without a close frame.
    PeerLeft,
    /// The peer sent nothing for too long, not even the answer to a ping.
    Silent,
    /// The peer broke the protocol.
    Violation(Violation),
    /// The peer broke the protocol that is spoken inside.
    Misspoken(Misspoken),
    /// The token ran out and no fresh one came in time.
    TokenExpired,
    /// A lossless topic overflowed.
    TooSlow {
        /// The topic's canonical name.
        topic: String,
    },
    /// The server goes down or restarts.
    ShuttingDown {
        /// When the client should come back: spread, so that not all return at once.
        retry_in: Millis,
    },
    /// We failed.
    Failed,
    /// The socket failed.
    Io(io::Error),
}

impl SessionEnd {
    /// What to tell the peer, if it can still hear us.
    ///
    /// No `_` arm: whoever adds a reason decides what clients do about it.
    pub fn close_code(&self) -> Option<CloseCode> {
        match self {
            SessionEnd::PeerClosed { .. } | SessionEnd::PeerLeft | SessionEnd::Io(_) => None,
            SessionEnd::Finished => Some(CloseCode::Normal),
            SessionEnd::Silent => Some(CloseCode::GoingAway),
            SessionEnd::Violation(violation) => Some(violation.close_code()),
            SessionEnd::Misspoken(_) => Some(CloseCode::ProtocolError),
            SessionEnd::TokenExpired => Some(CloseCode::TokenExpired),
            SessionEnd::TooSlow { .. } => Some(CloseCode::TooSlow),
            SessionEnd::ShuttingDown { .. } => Some(CloseCode::Restart),
            SessionEnd::Failed => Some(CloseCode::InternalError),
        }
    }

    /// The text beside the code.
    pub fn reason(&self) -> Cow<'_, str> {
        match self {
            SessionEnd::Finished
            | SessionEnd::PeerClosed { .. }
            | SessionEnd::PeerLeft
            | SessionEnd::Io(_) => Cow::Borrowed(""),
            SessionEnd::Silent => Cow::Borrowed("nothing heard for too long"),
            SessionEnd::Violation(violation) => Cow::Owned(violation.to_string()),
            SessionEnd::Misspoken(misspoken) => Cow::Owned(misspoken.to_string()),
            SessionEnd::TokenExpired => Cow::Borrowed("the token expired: connect with a fresh one"),
            SessionEnd::TooSlow { topic } => {
                Cow::Owned(format!("too slow for {topic}: connect again and use since"))
            }
            SessionEnd::ShuttingDown { retry_in } => Cow::Owned(format!("retry in {retry_in} ms")),
            SessionEnd::Failed => Cow::Borrowed("internal error"),
        }
    }
}

/// Where the closing handshake stands (RFC 6455, section 7.1).
///
/// Invariant: over its life it gives out at most one close frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Closing {
    /// Nobody has closed.
    #[default]
    Open,
    /// We sent a close frame and wait for the peer's.
    Waiting {
        /// When the socket is ended without it.
        until: Millis,
    },
    /// Nothing more will be said: once our last bytes are out, our half of the socket ends, and what
    /// still comes is dropped. A socket that ends with bytes unread is reset, and a reset can
    /// overtake the close frame on its way to whoever reads it.
    Done {
        /// When the socket goes although the peer has not ended its half.
        until: Millis,
    },
}

impl Closing {
    /// Ends the session: the frame to send, unless one was sent already or nobody would read it.
    ///
    /// An honest ending waits [`CLOSE_WAIT`] for the peer's answer. After a violation nothing that
    /// the peer says is understood any more, so nothing is waited for.
    pub fn end(&mut self, end: &SessionEnd, now: Millis) -> Option<Frame> {
        if let SessionEnd::PeerClosed { code } = end {
            return self.peer_closed(*code, now);
        }
        if *self != Closing::Open {
            return None;
        }
        let code = end.close_code();
        let until = now + CLOSE_WAIT;
        *self = match (end, code) {
            (SessionEnd::Violation(_), _) | (_, None) => Closing::Done { until },
            (_, Some(_)) => Closing::Waiting { until },
        };
        code.map(|code| Frame::close(Some(code.number()), &end.reason()))
    }

    /// The peer's close frame came: the answer to send, with the peer's own code, unless we closed first.
    fn peer_closed(&mut self, code: Option<u16>, now: Millis) -> Option<Frame> {
        match std::mem::replace(self, Closing::Done { until: now + CLOSE_WAIT }) {
            Closing::Open => Some(Frame::close(code, "")),
            Closing::Waiting { .. } | Closing::Done { .. } => None,
        }
    }

    /// When the socket is to be ended: `None` while the session is open.
    pub const fn deadline(self) -> Option<Millis> {
        match self {
            Closing::Open => None,
            Closing::Waiting { until } | Closing::Done { until } => Some(until),
        }
    }
}

/// How long a peer may take to answer our close frame, or to end its half of the socket: a round
/// trip to anywhere, and a slow phone.
pub const CLOSE_WAIT: Millis = 5_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn endings() -> Vec<(SessionEnd, Option<u16>)> {
        vec![
            (SessionEnd::Finished, Some(1000)),
            (SessionEnd::PeerLeft, None),
            (SessionEnd::Silent, Some(1001)),
            (SessionEnd::Violation(Violation::Unmasked), Some(1002)),
            (SessionEnd::Violation(Violation::NotUtf8), Some(1007)),
            (SessionEnd::Violation(Violation::TooBig { limit: 9 }), Some(1009)),
            (SessionEnd::Misspoken(Misspoken::Ping), Some(1002)),
            (SessionEnd::TokenExpired, Some(4001)),
            (SessionEnd::TooSlow { topic: "orders".into() }, Some(4008)),
            (SessionEnd::ShuttingDown { retry_in: 1500 }, Some(1012)),
            (SessionEnd::Failed, Some(1011)),
            (SessionEnd::Io(io::ErrorKind::ConnectionReset.into()), None),
        ]
    }

    #[test]
    fn each_ending_tells_its_code_from_an_open_session_and_nothing_from_any_other() {
        for (end, code) in endings() {
            let mut open = Closing::Open;
            let sent = open.end(&end, 100).map(|frame| code_in(&frame));
            assert_eq!(sent, code, "{end:?}");
            let expected = match (code, &end) {
                (None, _) | (_, SessionEnd::Violation(_)) => Closing::Done { until: 100 + CLOSE_WAIT },
                (Some(_), _) => Closing::Waiting { until: 100 + CLOSE_WAIT },
            };
            assert_eq!(open, expected, "{end:?}");
            for state in [Closing::Waiting { until: 7 }, Closing::Done { until: 7 }] {
                let mut closing = state;
                assert_eq!(closing.end(&end, 100), None, "{end:?} in {state:?}");
                assert_eq!(closing, state);
            }
        }
    }

    #[test]
    fn rfc_6455_5_5_1_a_close_is_answered_with_its_own_code_and_only_if_we_did_not_close_first() {
        for (state, answer) in [
            (Closing::Open, Some(Frame::close(Some(1001), ""))),
            (Closing::Waiting { until: 7 }, None),
            (Closing::Done { until: 7 }, None),
        ] {
            let mut closing = state;
            assert_eq!(closing.peer_closed(Some(1001), 100), answer, "{state:?}");
            assert_eq!(closing, Closing::Done { until: 100 + CLOSE_WAIT });
        }
        assert_eq!(Closing::Open.peer_closed(None, 0), Some(Frame::close(None, "")));
    }

    #[test]
    fn a_peer_that_does_not_answer_a_close_has_a_deadline() {
        let mut closing = Closing::Open;
        assert_eq!(closing.deadline(), None);
        closing.end(&SessionEnd::TokenExpired, 100);
        assert_eq!(closing.deadline(), Some(100 + CLOSE_WAIT));
        closing.peer_closed(Some(4001), 102);
        assert_eq!(closing.deadline(), Some(102 + CLOSE_WAIT));
    }

    #[test]
    fn the_reason_names_what_the_client_can_do() {
        assert_eq!(SessionEnd::ShuttingDown { retry_in: 1500 }.reason(), "retry in 1500 ms");
        let slow = SessionEnd::TooSlow { topic: "trades:BTCUSDT".into() };
        assert!(slow.reason().contains("trades:BTCUSDT"));
        for (end, _) in endings() {
            assert!(end.reason().len() <= 123, "{end:?}: the reason would be cut");
        }
    }

    fn code_in(frame: &Frame) -> u16 {
        u16::from_be_bytes([frame.payload()[0], frame.payload()[1]])
    }
}

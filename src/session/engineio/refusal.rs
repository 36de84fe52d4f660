//! Why a request is not answered by a session, in the words that Engine.IO clients know.

use thiserror::Error;

/// What is wrong with a request. Its text is what a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// `transport` is missing or none of ours.
    #[error("Transport unknown")]
    UnknownTransport,
    /// There is no such session (any more).
    #[error("Session ID unknown")]
    UnknownSession,
    /// A session begins with GET.
    #[error("Bad handshake method")]
    BadMethod,
    /// The session, or its transport, does not fit the request.
    #[error("Bad request")]
    BadRequest,
    /// The page, or the client, may not connect.
    #[error("Forbidden")]
    Forbidden,
    /// `EIO` is not 4.
    #[error("Unsupported protocol version")]
    UnsupportedVersion,
}

impl Refused {
    /// The number on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Refused::UnknownTransport => 0,
            Refused::UnknownSession => 1,
            Refused::BadMethod => 2,
            Refused::BadRequest => 3,
            Refused::Forbidden => 4,
            Refused::UnsupportedVersion => 5,
        }
    }

    /// The body of the answer.
    pub fn body(self) -> String {
        format!("{{\"code\":{},\"message\":\"{self}\"}}", self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_a_number_and_a_text() {
        assert_eq!(Refused::UnknownSession.body(), r#"{"code":1,"message":"Session ID unknown"}"#);
        assert_eq!(
            Refused::UnsupportedVersion.body(),
            r#"{"code":5,"message":"Unsupported protocol version"}"#
        );
    }
}

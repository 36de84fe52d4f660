//! The rules of RFC 6455 that a client can break, and the close code of each.

use thiserror::Error;

use crate::session::CloseCode;

/// How a client broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// RFC 6455, section 5.1.
    #[error("a client's frames must be masked")]
    Unmasked,
    /// RFC 6455, section 5.2.
    #[error("reserved bits are set, but no extension was agreed that uses them")]
    ReservedBits,
    /// RFC 6455, section 5.2.
    #[error("opcode {opcode} is reserved")]
    ReservedOpcode {
        /// As it came.
        opcode: u8,
    },
    /// RFC 6455, section 5.5.
    #[error("a control frame must not be fragmented")]
    FragmentedControl,
    /// RFC 6455, section 5.5.
    #[error("a control frame holds at most 125 bytes")]
    LongControl,
    /// RFC 6455, section 5.2.
    #[error("a length must be written in the fewest bytes")]
    LengthNotMinimal,
    /// RFC 6455, section 5.2.
    #[error("the highest bit of a length must not be set")]
    LengthTopBit,
    /// RFC 6455, section 5.4.
    #[error("a continuation of no message")]
    StrayContinuation,
    /// RFC 6455, section 5.4.
    #[error("a new message before the last fragment of the one before")]
    UnfinishedMessage,
    /// More than a message may have.
    #[error("a message holds at most {limit} bytes here")]
    TooBig {
        /// The limit.
        limit: usize,
    },
    /// RFC 6455, section 8.1.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// RFC 7692, section 7.2.2.
    #[error("a compressed message cannot be inflated")]
    NotDeflate,
    /// RFC 6455, section 5.5.1.
    #[error("a close frame's payload begins with a code of two bytes")]
    HalfCloseCode,
    /// RFC 6455, section 7.4.
    #[error("{code} is no close code that may be sent")]
    BadCloseCode {
        /// As it came.
        code: u16,
    },
}

impl Violation {
    /// What the connection is closed with.
    pub const fn close_code(self) -> CloseCode {
        match self {
            Violation::Unmasked
            | Violation::ReservedBits
            | Violation::ReservedOpcode { .. }
            | Violation::FragmentedControl
            | Violation::LongControl
            | Violation::LengthNotMinimal
            | Violation::LengthTopBit
            | Violation::StrayContinuation
            | Violation::UnfinishedMessage
            | Violation::HalfCloseCode
            | Violation::BadCloseCode { .. } => CloseCode::ProtocolError,
            Violation::TooBig { .. } => CloseCode::TooBig,
            Violation::NotUtf8 | Violation::NotDeflate => CloseCode::NotUtf8,
        }
    }
}

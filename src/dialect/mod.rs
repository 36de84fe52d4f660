//! The vocabularies that clients speak: one file each, the same functions in each.
//!
//! A dialect turns a client's words into [`Command`]s and an [`Update`] into the words that its
//! clients expect. Everything between the two is the same engine for all.

mod event;
pub mod hub;
pub mod maven;
pub mod native;
pub mod tradewithai;

use serde_json::error::Category;

use crate::encode::Frame;
use crate::market::{Topic, Update};

/// The vocabularies. Adding one: a file here, a variant, and transcripts in `fixtures/dialects/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Dialect {
    /// tickcast's own, at `/v1/ws`.
    Native,
    /// The hub's, at `/ws`.
    Hub,
    /// The hub's with each payload in a text.
    HubText,
    /// Maven's, in the Socket.IO namespace `/ws`: books whole each time.
    Maven,
    /// The same with books as deltas. Of no other topics.
    MavenDelta,
    /// TradeWithAI's, in the Socket.IO namespace `/`.
    TradeWithAi,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Dialect; 6] = [
        Dialect::Native,
        Dialect::Hub,
        Dialect::HubText,
        Dialect::Maven,
        Dialect::MavenDelta,
        Dialect::TradeWithAi,
    ];

    /// The update as a frame that every subscriber of this dialect gets; `None` where the dialect
    /// has no words for it.
    pub fn encode(self, update: &Update<'_>) -> Option<Frame> {
        match self {
            Dialect::Native => Some(native::encode(update)),
            Dialect::Hub => hub::encode(update, hub::Payload::Object),
            Dialect::HubText => hub::encode(update, hub::Payload::Text),
            Dialect::Maven => maven::encode(update, maven::Books::Whole),
            Dialect::MavenDelta => maven::encode(update, maven::Books::Deltas),
            Dialect::TradeWithAi => tradewithai::encode(update),
        }
    }
}

/// What is wrong with a message, and where. A value of the wrong kind is not repeated, as the library
/// would: it may be a token.
pub(crate) fn wrong(error: &serde_json::Error) -> String {
    match error.classify() {
        Category::Data => {
            format!("a value of another kind at line {} column {}", error.line(), error.column())
        }
        Category::Io | Category::Syntax | Category::Eof => error.to_string(),
    }
}

/// A topic as it is told in one dialect: what a connection subscribes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel {
    /// What is told.
    pub topic: Topic,
    /// In which words.
    pub dialect: Dialect,
}

impl Dialect {
    /// This topic in these words.
    pub const fn of(self, topic: Topic) -> Channel {
        Channel { topic, dialect: self }
    }
}

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// To hear topics from now on, or from where it was interrupted.
    Subscribe {
        /// What the client calls this request; raw JSON.
        id: Option<String>,
        /// As it wrote them, each with what it last heard.
        topics: Vec<(String, Option<Since>)>,
    },
    /// To hear topics no more.
    Unsubscribe {
        /// What the client calls this request; raw JSON.
        id: Option<String>,
        /// As it wrote them.
        topics: Vec<String>,
    },
    /// To be told what it is subscribed to.
    List {
        /// What the client calls this request; raw JSON.
        id: Option<String>,
    },
    /// To be answered.
    Ping {
        /// What the client calls this request; raw JSON.
        id: Option<String>,
    },
    /// To renew its token.
    Auth {
        /// What the client calls this request; raw JSON.
        id: Option<String>,
        /// The token.
        token: String,
    },
}

/// The last message that a client heard of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Since {
    /// Its epoch.
    pub epoch: String,
    /// Its number.
    pub seq: u64,
}

/// Why a client's message, or one topic of it, was not acted on. The client stays connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the client calls its request; raw JSON.
    pub id: Option<String>,
    /// What kind of fault it is, for programs.
    pub code: RefusalCode,
    /// What is wrong and what would be right, for people.
    pub message: String,
    /// Which topic it is about.
    pub topic: Option<String>,
}

/// The kinds of fault that a client can be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalCode {
    /// Not a message of this dialect.
    BadMessage,
    /// No such operation.
    UnknownOp,
    /// No such topic.
    UnknownTopic,
    /// No such symbol.
    UnknownSymbol,
    /// It is not subscribed.
    NotSubscribed,
    /// One topic more than a connection may have.
    TooManySubscriptions,
    /// More messages than a connection may send.
    RateLimited,
    /// The topic, or the operation, needs a token.
    Unauthorized,
    /// The token's time is over.
    TokenExpired,
    /// The topic is another's.
    Forbidden,
    /// What was kept cannot be read.
    Damaged,
}

impl RefusalCode {
    /// All of them.
    pub const ALL: [RefusalCode; 11] = [
        RefusalCode::BadMessage,
        RefusalCode::UnknownOp,
        RefusalCode::UnknownTopic,
        RefusalCode::UnknownSymbol,
        RefusalCode::NotSubscribed,
        RefusalCode::TooManySubscriptions,
        RefusalCode::RateLimited,
        RefusalCode::Unauthorized,
        RefusalCode::TokenExpired,
        RefusalCode::Forbidden,
        RefusalCode::Damaged,
    ];

    /// The code on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            RefusalCode::BadMessage => "BAD_MESSAGE",
            RefusalCode::UnknownOp => "UNKNOWN_OP",
            RefusalCode::UnknownTopic => "UNKNOWN_TOPIC",
            RefusalCode::UnknownSymbol => "UNKNOWN_SYMBOL",
            RefusalCode::NotSubscribed => "NOT_SUBSCRIBED",
            RefusalCode::TooManySubscriptions => "TOO_MANY_SUBSCRIPTIONS",
            RefusalCode::RateLimited => "RATE_LIMITED",
            RefusalCode::Unauthorized => "UNAUTHORIZED",
            RefusalCode::TokenExpired => "TOKEN_EXPIRED",
            RefusalCode::Forbidden => "FORBIDDEN",
            RefusalCode::Damaged => "DAMAGED",
        }
    }
}

//! The Socket.IO gateways: who may come in, and what Maven's and TradeWithAI's clients may ask for.

mod asked;
mod maven;
mod presence;
mod tradewithai;

use std::sync::{Arc, Mutex, PoisonError};

pub use presence::{Client, Presence};

use super::socketio::scan::members;
use super::socketio::{Namespace, Refusal, Service};
use super::window::RollingWindow;
use crate::auth::{Ended, Grant, Tokens};
use crate::dialect::tradewithai::EVERYBODY;
use crate::dialect::{Channel, Dialect};
use crate::market::{AccountTopic, Accounts, Audience, Millis, Part, Rooms, Symbols, Topic};
use crate::session::socketio::Outlet;

/// What all clients of the gateways share.
pub struct Gateway {
    /// The symbols that there are.
    pub symbols: Arc<Symbols>,
    /// The numbers of users.
    pub accounts: Arc<Accounts>,
    /// What publishers may broadcast to.
    pub rooms: Arc<Rooms>,
    /// What tokens are checked against.
    pub tokens: Arc<Tokens>,
    /// TradeWithAI's clients.
    pub presence: Arc<Presence>,
    /// What a client may use.
    pub limits: GatewayLimits,
    /// Whether TradeWithAI's clients may come without a token.
    pub dev: bool,
}

/// What one client of a gateway may use.
#[derive(Clone, Copy, Debug)]
pub struct GatewayLimits {
    /// Topics that a connection may be subscribed to at once.
    pub subscriptions: usize,
    /// Messages of a Maven client in any minute.
    pub maven_messages: usize,
    /// Messages of a TradeWithAI client in any minute.
    pub tradewithai_messages: usize,
}

/// The gateways as one client finds them.
pub struct Gateways {
    shared: Arc<Gateway>,
    /// The token that came with the client's first request.
    brought: Option<String>,
    maven: Arc<Counts>,
    tradewithai: Arc<Counts>,
}

impl Gateways {
    /// For a client that brought this token in the address or a header of its request.
    pub fn new(shared: Arc<Gateway>, brought: Option<String>) -> Gateways {
        let maven = Counts::new(shared.limits.maven_messages);
        let tradewithai = Counts::new(shared.limits.tradewithai_messages);
        Gateways { shared, brought, maven, tradewithai }
    }
}

/// What a connection has sent to one namespace: who leaves it and joins it again begins no new minute.
struct Counts {
    messages: Mutex<RollingWindow>,
    entries: Mutex<RollingWindow>,
}

impl Counts {
    fn new(messages: usize) -> Arc<Counts> {
        let window = |most| Mutex::new(RollingWindow::new(most));
        Arc::new(Counts { messages: window(messages), entries: window(ENTRIES) })
    }
}

/// How often a connection may join a namespace in any minute: each time costs the check of a token.
const ENTRIES: usize = 60;

impl Service for Gateways {
    fn open(&self, name: &str) -> Option<Box<dyn Namespace>> {
        let door = |counts: &Arc<Counts>| Door {
            shared: self.shared.clone(),
            brought: self.brought.clone(),
            counts: counts.clone(),
        };
        match name {
            "/ws" => Some(Box::new(maven::Maven::new(door(&self.maven)))),
            "/" => Some(Box::new(tradewithai::TradeWithAi::new(door(&self.tradewithai)))),
            _ => None,
        }
    }
}

/// What a client's namespace is made of: the gateway and the token that the client brought.
struct Door {
    shared: Arc<Gateway>,
    brought: Option<String>,
    counts: Arc<Counts>,
}

impl Door {
    /// Whether one more message is acted on.
    fn takes(&self, now: Millis) -> bool {
        self.counts.messages.lock().unwrap_or_else(PoisonError::into_inner).take(now)
    }

    /// Who the client is: by the token of its `auth` object, else by the one that came with its
    /// request. None, `null` and an empty one are none; anything else that is not right is refused.
    fn grant(&self, now: Millis, auth: &str) -> Result<Option<Grant>, Refusal> {
        if !self.counts.entries.lock().unwrap_or_else(PoisonError::into_inner).take(now) {
            return Err(refusal("RATE_LIMITED", &format!("at most {ENTRIES} times a minute")));
        }
        let named = members(auth).unwrap_or_default();
        let token = named.iter().rev().find(|(name, _)| *name == "\"token\"").map(|(_, value)| *value);
        let token = match token {
            None | Some("null" | "\"\"") => self.brought.clone(),
            Some(value) => match serde_json::from_str::<String>(value) {
                Ok(token) => Some(token),
                Err(_) => return Err(unauthorized("auth.token is a text")),
            },
        };
        let Some(token) = token else { return Ok(None) };
        // Some put the header's word in front here too.
        let token = token.strip_prefix("Bearer ").unwrap_or(&token);
        self.shared.tokens.verify(now, token).map(Some).map_err(|refused| {
            crate::auth::audit::token_refused("socket.io", "/socket.io/", refused);
            unauthorized(&refused.to_string())
        })
    }
}

impl Door {
    /// When a grant ends, of those that do.
    fn ends(&self, grant: Option<&Grant>) -> Option<Millis> {
        grant.and_then(|grant| self.shared.tokens.ends(grant))
    }

    /// Why a grant holds no longer.
    fn ended(&self, now: Millis, grant: Option<&Grant>) -> Option<Ended> {
        self.shared.tokens.ended(now, grant?)
    }

    /// The declared room of this name; `None` where there is none.
    fn room(&self, name: &str, grant: Option<&Grant>) -> Option<Result<Topic, Fault>> {
        let (room, audience) = self.shared.rooms.find(name)?;
        Some(match audience {
            Audience::Users if grant.is_none() => {
                Err(Fault::new("UNAUTHORIZED", "this room needs a connection with a token"))
            }
            Audience::Users | Audience::Public => Ok(Topic::Room(room)),
        })
    }

    /// Whether a client may be in a room under a token alone.
    fn is_for_users(&self, topic: Topic) -> bool {
        match topic {
            Topic::Account(AccountTopic::Own { .. } | AccountTopic::Everyones(_)) => true,
            Topic::Room(room) => self.shared.rooms.audience(room) == Some(Audience::Users),
            Topic::Account(AccountTopic::Fills)
            | Topic::Book { .. }
            | Topic::Ticker { .. }
            | Topic::Tickers
            | Topic::Trades { .. }
            | Topic::Kline { .. } => false,
        }
    }

    /// Ends all subscriptions in these words that a token was needed for.
    fn leave_private(&self, words: Dialect, out: &mut Outlet<'_>) {
        let is_private = |channel: &Channel| channel.dialect == words && self.is_for_users(channel.topic);
        for channel in out.topics().in_order().into_iter().filter(is_private) {
            out.unsubscribe(channel);
        }
    }

    /// Refuses a client that would have more subscriptions than it may with so many new ones. Those that
    /// it has without having asked do not count.
    fn has_room_for(&self, new: usize, out: &Outlet<'_>) -> Result<(), Fault> {
        let own = |Channel { topic, dialect }: Channel| {
            topic == EVERYBODY
                || matches!(topic, Topic::Account(AccountTopic::Own { part, .. })
                    if dialect == Dialect::TradeWithAi || part == Part::User)
        };
        let most = self.shared.limits.subscriptions;
        if out.topics().iter().filter(|(channel, _)| !own(*channel)).count() + new <= most {
            return Ok(());
        }
        let message = format!("a connection has at most {most} subscriptions: end some");
        Err(Fault::new("TOO_MANY_SUBSCRIPTIONS", message))
    }
}

/// Why a client may not connect, in the shape that both gateways tell it.
fn unauthorized(why: &str) -> Refusal {
    refusal("UNAUTHORIZED", why)
}

fn refusal(code: &str, why: &str) -> Refusal {
    let data = serde_json::json!({"code": code, "message": why});
    Refusal { message: format!("{code}: {why}").into(), data: Some(data.to_string()) }
}

/// A fault of a client's message: it is told, and stays connected.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    code: &'static str,
    message: String,
}

impl Fault {
    fn new(code: &'static str, message: impl Into<String>) -> Fault {
        Fault { code, message: message.into() }
    }
}

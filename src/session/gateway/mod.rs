//! The Socket.IO gateways: who may come in, and what Maven's and TradeWithAI's clients may ask for.

mod asked;
mod maven;
mod presence;
mod tradewithai;

use std::sync::Arc;

pub use presence::{Client, Presence};

use super::socketio::scan::members;
use super::socketio::{Namespace, Refusal, Service};
use super::window::RollingWindow;
use crate::auth::{Grant, Tokens};
use crate::market::{Accounts, Millis, Symbols};

/// What all clients of the gateways share.
pub struct Gateway {
    /// The symbols that there are.
    pub symbols: Arc<Symbols>,
    /// The numbers of users.
    pub accounts: Arc<Accounts>,
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
}

impl Gateways {
    /// For a client that brought this token in the address or a header of its request.
    pub const fn new(shared: Arc<Gateway>, brought: Option<String>) -> Gateways {
        Gateways { shared, brought }
    }
}

impl Service for Gateways {
    fn open(&self, name: &str) -> Option<Box<dyn Namespace>> {
        let door = Door { shared: self.shared.clone(), brought: self.brought.clone() };
        match name {
            "/ws" => Some(Box::new(maven::Maven::new(door))),
            "/" => Some(Box::new(tradewithai::TradeWithAi::new(door))),
            _ => None,
        }
    }
}

/// What a client's namespace is made of: the gateway and the token that the client brought.
struct Door {
    shared: Arc<Gateway>,
    brought: Option<String>,
}

impl Door {
    /// Who the client is: by the token of its `auth` object, else by the one that came with its
    /// request. None, `null` and an empty one are none; anything else that is not right is refused.
    fn grant(&self, now: Millis, auth: &str) -> Result<Option<Grant>, Refusal> {
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

/// Why a client may not connect, in the shape that both gateways tell it.
fn unauthorized(why: &str) -> Refusal {
    let data = serde_json::json!({"code": "UNAUTHORIZED", "message": why});
    Refusal { message: format!("UNAUTHORIZED: {why}").into(), data: Some(data.to_string()) }
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

/// When a grant ends, of those that do.
fn ends(grant: Option<&Grant>) -> Option<Millis> {
    grant.and_then(Grant::expires)
}

const fn window(most: usize) -> RollingWindow {
    RollingWindow::new(most)
}

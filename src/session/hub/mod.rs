//! The conversation with a hub client: who it is, what it may hear, and until when.

mod status;

use std::sync::Arc;

pub use status::{HubStatus, Presence};

use super::{Action, Allowance, Conversation, Said, SessionEnd, SessionLimits, Subscriptions};
use crate::auth::{Grant, Tokens};
use crate::dialect::hub::{self, Fault, Payload, Rejection, Word};
use crate::dialect::{Channel, Dialect};
use crate::market::{BadTopic, Depth, Millis, Speed, SymbolTable, Symbols, Topic};

/// What all hub conversations of a server share.
#[derive(Clone)]
pub struct HubShared {
    /// The symbols that there are.
    pub symbols: Arc<Symbols>,
    /// What a client may use.
    pub limits: SessionLimits,
    /// What fresh tokens are checked against.
    pub tokens: Arc<Tokens>,
    /// Who is there and hears what.
    pub status: Arc<HubStatus>,
}

/// The conversation with one hub client.
///
/// Invariant: what it is subscribed to is counted in the status, once each.
pub struct Hub {
    shared: HubShared,
    presence: Presence,
    payload: Payload,
    grant: Grant,
    allowance: Allowance,
    heartbeat: Millis,
    /// When the connection ends, unless a fresh token comes.
    ends: Option<Millis>,
}

impl Hub {
    /// A conversation that begins at `now` with somebody who has shown this grant.
    pub fn new(shared: HubShared, grant: Grant, payload: Payload, now: Millis) -> Hub {
        let presence = shared.status.enter();
        let allowance = Allowance::new(shared.limits, now);
        Hub { shared, presence, payload, grant, allowance, heartbeat: now + HEARTBEAT, ends: None }
    }

    const fn dialect(&self) -> Dialect {
        match self.payload {
            Payload::Object => Dialect::Hub,
            Payload::Text => Dialect::HubText,
        }
    }

    fn act(&mut self, now: Millis, text: &str, topics: &mut Subscriptions, actions: &mut Vec<Action>) {
        match hub::read(text) {
            Ok(Word::Subscribe(asked)) => self.subscribe(now, asked, topics, actions),
            Ok(Word::Unsubscribe(asked)) => self.unsubscribe(now, asked, topics, actions),
            Ok(Word::Authenticate(token)) => self.renew(now, &token, actions),
            Ok(Word::Heartbeat) => actions.push(Action::Reply(hub::heartbeat(now, self.payload))),
            Err(fault) => self.refuse(now, &fault, actions),
        }
    }

    fn subscribe(
        &mut self,
        now: Millis,
        asked: Vec<String>,
        topics: &mut Subscriptions,
        actions: &mut Vec<Action>,
    ) {
        let table = self.shared.symbols.table();
        let (mut names, mut rejected, mut joins) = (Vec::new(), Vec::new(), Vec::new());
        for name in asked {
            match self.find(&name, &table) {
                Ok((channel, known)) if topics.contains(channel) => names.push(known),
                Ok(_) if topics.len() >= self.shared.limits.subscriptions => {
                    let most = self.shared.limits.subscriptions;
                    let message = format!("a connection has at most {most} topics: unsubscribe some");
                    rejected.push(reject(name, Fault { code: "TOO_MANY_SUBSCRIPTIONS", message }));
                }
                Ok((channel, known)) => {
                    topics.begin(channel);
                    self.presence.subscribed(channel.topic, &known);
                    names.push(known);
                    joins.push(Action::Join { channel, since: None });
                }
                Err(fault) => rejected.push(reject(name, fault)),
            }
        }
        let answer = hub::subscription("subscribe", &names, &rejected, now, self.payload);
        actions.push(Action::Reply(answer));
        actions.append(&mut joins);
    }

    fn unsubscribe(
        &mut self,
        now: Millis,
        asked: Vec<String>,
        topics: &mut Subscriptions,
        actions: &mut Vec<Action>,
    ) {
        let table = self.shared.symbols.table();
        let (mut names, mut rejected) = (Vec::new(), Vec::new());
        for name in asked {
            match self.find(&name, &table) {
                Ok((channel, known)) if topics.end(channel) => {
                    self.presence.unsubscribed(channel.topic);
                    names.push(known);
                    actions.push(Action::Leave { channel });
                }
                Ok(_) => {
                    let fault = Fault { code: "NOT_SUBSCRIBED", message: "not subscribed to it".to_owned() };
                    rejected.push(reject(name, fault));
                }
                Err(fault) => rejected.push(reject(name, fault)),
            }
        }
        let answer = hub::subscription("unsubscribe", &names, &rejected, now, self.payload);
        actions.push(Action::Reply(answer));
    }

    /// The channel of that name, and the name that its messages carry.
    fn find(&self, name: &str, table: &SymbolTable) -> Result<(Channel, String), Fault> {
        let topic = Topic::parse(name, |symbol| table.id(symbol)).map_err(|bad| Fault {
            code: match bad {
                BadTopic::UnknownKind | BadTopic::UnknownInterval => "UNKNOWN_TOPIC",
                BadTopic::UnknownSymbol { .. } => "UNKNOWN_SYMBOL",
            },
            message: bad.to_string(),
        })?;
        let topic = match topic {
            // The short name is the dialect's own variant; beyond 50 levels nothing is told here.
            Topic::Book { symbol, depth: Depth::Full, speed } => {
                let speed = if name.ends_with(":raw") { speed } else { speed.max(Speed::Ms100) };
                Topic::Book { symbol, depth: Depth::D50, speed }
            }
            Topic::Book { .. }
            | Topic::Ticker { .. }
            | Topic::Tickers
            | Topic::Trades { .. }
            | Topic::Kline { .. }
            | Topic::Room(_)
            | Topic::Account(_) => topic,
        };
        let symbol = topic.symbol().and_then(|id| table.name(id));
        Ok((self.dialect().of(topic), hub::name(topic, symbol.map_or("", |symbol| symbol))))
    }

    /// Takes a fresh token in. It has to be of the same user: the topics are.
    fn renew(&mut self, now: Millis, token: &str, actions: &mut Vec<Action>) {
        match self.shared.tokens.verify(now, token) {
            Ok(grant) if grant.user() == self.grant.user() => {
                let answer = hub::authenticated(grant.user(), grant.expires(), now, self.payload);
                actions.push(Action::Reply(answer));
                (self.grant, self.ends) = (grant, None);
            }
            Ok(_) => {
                let message = "the token is another user's: connect anew with it".to_owned();
                self.refuse(now, &Fault { code: "FORBIDDEN", message }, actions);
            }
            Err(refused) => {
                let fault = Fault { code: refused.code(), message: refused.to_string() };
                self.refuse(now, &fault, actions);
            }
        }
    }

    fn refuse(&self, now: Millis, fault: &Fault, actions: &mut Vec<Action>) {
        actions.push(Action::Reply(hub::error(fault, now, self.payload)));
    }
}

impl Conversation for Hub {
    fn receive(
        &mut self,
        now: Millis,
        said: Said<'_>,
        topics: &mut Subscriptions,
        actions: &mut Vec<Action>,
    ) {
        if !self.allowance.take(now, self.shared.limits) {
            let most = self.shared.limits.messages_per_second;
            let message = format!("at most {most} messages a second are acted on: send fewer, larger ones");
            return self.refuse(now, &Fault { code: "RATE_LIMITED", message }, actions);
        }
        match said {
            Said::Text(text) => self.act(now, text, topics, actions),
            Said::Binary(_) => {
                let message = "messages are JSON text, not binary".to_owned();
                self.refuse(now, &Fault { code: "BAD_MESSAGE", message }, actions);
            }
        }
    }

    fn next_due(&self) -> Option<Millis> {
        let ends = self.ends.or(self.grant.expires()).unwrap_or(Millis::MAX);
        Some(self.heartbeat.min(ends))
    }

    fn advance(&mut self, now: Millis, _topics: &mut Subscriptions, actions: &mut Vec<Action>) {
        if now >= self.heartbeat {
            self.heartbeat = now + HEARTBEAT;
            actions.push(Action::Reply(hub::heartbeat(now, self.payload)));
        }
        match self.ends {
            Some(ends) if now >= ends => actions.push(Action::End(SessionEnd::TokenExpired)),
            Some(_) => {}
            None if self.grant.is_valid_at(now) => {}
            None => {
                self.ends = Some(now + RENEWAL);
                let message = format!(
                    "the token has expired: send AUTHENTICATION with a fresh one within {} seconds",
                    RENEWAL / 1_000
                );
                self.refuse(now, &Fault { code: "TOKEN_EXPIRED", message }, actions);
            }
        }
    }

    fn name(&self, topic: Topic) -> String {
        self.shared.symbols.with(|table| {
            let symbol = topic.symbol().and_then(|id| table.name(id));
            hub::name(topic, symbol.map_or("", |symbol| symbol))
        })
    }
}

fn reject(mut topic: String, fault: Fault) -> Rejection {
    // What a client wrote is repeated, but not at any length.
    if topic.len() > MOST_REPEATED {
        topic = topic.chars().take(MOST_REPEATED / 4).collect();
    }
    Rejection { topic, fault }
}

/// Time between two heartbeats.
const HEARTBEAT: Millis = 30_000;

/// How long a client whose token expired may take to send a fresh one.
const RENEWAL: Millis = 30_000;

const MOST_REPEATED: usize = 256;

#[cfg(test)]
mod tests;

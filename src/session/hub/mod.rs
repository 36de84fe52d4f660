//! The conversation with a hub client: who it is, what it may hear, and until when.

mod private;
mod status;

use std::sync::Arc;

pub use status::{HubStatus, Presence};

use private::Private;

use super::{
    Access, Action, Allowance, Conversation, ConversationKind, Said, SessionEnd, SessionLimits, Subscriptions,
};
use crate::dialect::hub::{self, Fault, Payload, Rejection, Word};
use crate::dialect::{Channel, Dialect};
use crate::market::{
    AccountTopic, BadTopic, Depth, Everyones, Millis, Part, Speed, SymbolTable, Symbols, Topic,
};

/// What all hub conversations of a server share.
#[derive(Clone)]
pub struct HubShared {
    /// The symbols that there are.
    pub symbols: Arc<Symbols>,
    /// What a client may use.
    pub limits: SessionLimits,
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
    access: Access,
    private: Private,
    allowance: Allowance,
    heartbeat: Millis,
    /// When the connection ends, unless a fresh token comes.
    ends: Option<Millis>,
}

impl Hub {
    /// A conversation that begins at `now` with somebody who has this access.
    pub fn new(shared: HubShared, access: Access, payload: Payload, now: Millis) -> Hub {
        let presence = shared.status.enter();
        let allowance = Allowance::new(shared.limits, now);
        let (private, heartbeat) = (Private::default(), now + HEARTBEAT);
        Hub { shared, presence, payload, access, private, allowance, heartbeat, ends: None }
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
            Ok(Word::Authenticate(token)) => self.renew(now, &token, topics, actions),
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
            let is_full = topics.len().max(self.private.len()) >= self.shared.limits.subscriptions;
            if self.private.contains(&name) {
                names.push(name);
                continue;
            }
            match self.find(&name, &table) {
                // A topic of users may have two names: each that is asked for is noted.
                Ok((channel, known)) if !is_account(channel) && topics.contains(channel) => names.push(known),
                Ok(_) if is_full => {
                    let most = self.shared.limits.subscriptions;
                    let message = format!("a connection has at most {most} topics: unsubscribe some");
                    rejected.push(reject(name, Fault { code: "TOO_MANY_SUBSCRIPTIONS", message }));
                }
                Ok((Channel { topic: Topic::Account(topic), .. }, known)) => {
                    self.private.add(topic, &known);
                    self.presence.subscribed(&known, counted_as(&known));
                    names.push(known);
                }
                Ok((channel, known)) => {
                    topics.begin(channel);
                    self.presence.subscribed(&known, &known);
                    names.push(known);
                    joins.push(Action::Join { channel, since: None });
                }
                Err(fault) => rejected.push(reject(name, fault)),
            }
        }
        let answer = hub::subscription("subscribe", &names, &rejected, now, self.payload);
        actions.push(Action::Reply(answer));
        actions.append(&mut joins);
        self.private.settle(self.dialect(), topics, actions);
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
            if self.private.remove(&name) {
                self.presence.unsubscribed(&name);
                names.push(name);
                continue;
            }
            match self.find(&name, &table) {
                // One of users ends with the last of its names, not with one that was not asked for.
                Ok((channel, known)) if !is_account(channel) && topics.end(channel) => {
                    self.presence.unsubscribed(&known);
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
        self.private.settle(self.dialect(), topics, actions);
        let answer = hub::subscription("unsubscribe", &names, &rejected, now, self.payload);
        actions.push(Action::Reply(answer));
    }

    /// The channel of that name, and the name that its messages carry.
    fn find(&self, name: &str, table: &SymbolTable) -> Result<(Channel, String), Fault> {
        if let Some(found) = self.private_topic(name) {
            return found.map(|topic| (self.dialect().of(Topic::Account(topic)), name.to_owned()));
        }
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

    /// The topic of users that a name means; `None` where it is a market's.
    fn private_topic(&self, name: &str) -> Option<Result<AccountTopic, Fault>> {
        let grant = self.access.grant();
        let is_admin = grant.is_some_and(crate::auth::Grant::is_admin);
        let wide = |own: Part, everyones: Everyones| match (is_admin, self.access.account()) {
            (true, _) => Ok(AccountTopic::Everyones(everyones)),
            (false, Some(account)) => Ok(AccountTopic::Own { account, part: own }),
            (false, None) => {
                let message = "the token has expired: send AUTHENTICATION with a fresh one".to_owned();
                Err(Fault { code: "TOKEN_EXPIRED", message })
            }
        };
        if let Some(rest) = name.strip_prefix("user:") {
            let (user, part) = rest.rsplit_once(':')?;
            let part = match part {
                "orders" => Part::Orders,
                "positions" => Part::Positions,
                _ => return None,
            };
            let own = grant.filter(|grant| **grant.user() == *user).and_then(|_| self.access.account());
            return Some(own.map(|account| AccountTopic::Own { account, part }).ok_or_else(|| {
                let (_, message) = self.access.forbidden(name, "it is another user's");
                Fault { code: "FORBIDDEN", message }
            }));
        }
        match name {
            "orders" => Some(wide(Part::Orders, Everyones::Orders)),
            "positions" => Some(wide(Part::Positions, Everyones::Positions)),
            "trading" => Some(Ok(AccountTopic::Fills)),
            "strategies" => Some(wide(Part::Strategies, Everyones::Strategies)),
            _ if name.starts_with("strategy:") => match self.access.find(name)? {
                Ok(Topic::Account(topic)) => Some(Ok(topic)),
                Ok(_) => None,
                Err((code, message)) => Some(Err(Fault { code: code.name(), message })),
            },
            _ => None,
        }
    }

    /// Takes a fresh token in. The topics of another user do not stay.
    fn renew(&mut self, now: Millis, token: &str, topics: &mut Subscriptions, actions: &mut Vec<Action>) {
        match self.access.renew(now, token) {
            Ok(may_stay) => {
                if !may_stay {
                    self.leave_private(topics, actions);
                }
                self.ends = None;
                let user = self.access.grant().map_or("", |grant| grant.user());
                let answer = hub::authenticated(user, self.access.expires(), now, self.payload);
                actions.push(Action::Reply(answer));
            }
            Err(refused) => {
                let fault = Fault { code: refused.code(), message: refused.to_string() };
                self.refuse(now, &fault, actions);
            }
        }
    }

    /// Ends all that a grant was needed for.
    fn leave_private(&mut self, topics: &mut Subscriptions, actions: &mut Vec<Action>) {
        for name in self.private.clear() {
            self.presence.unsubscribed(&name);
        }
        self.private.settle(self.dialect(), topics, actions);
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
        let ends = self.ends.or(self.access.ends()).unwrap_or(Millis::MAX);
        Some(self.heartbeat.min(ends))
    }

    fn advance(&mut self, now: Millis, topics: &mut Subscriptions, actions: &mut Vec<Action>) {
        if now >= self.heartbeat {
            self.heartbeat = now + HEARTBEAT;
            actions.push(Action::Reply(hub::heartbeat(now, self.payload)));
        }
        match self.ends {
            Some(ends) if now >= ends => actions.push(Action::End(SessionEnd::TokenExpired)),
            Some(_) => {}
            None => {
                let Some(ended) = self.access.expire(now) else { return };
                self.leave_private(topics, actions);
                self.ends = Some(now + RENEWAL);
                let seconds = RENEWAL / 1_000;
                let message =
                    format!("{ended}: send AUTHENTICATION with a fresh one within {seconds} seconds");
                self.refuse(now, &Fault { code: "TOKEN_EXPIRED", message }, actions);
            }
        }
    }

    fn kind(&self) -> ConversationKind {
        ConversationKind::Hub
    }

    fn name(&self, topic: Topic) -> String {
        self.shared.symbols.with(|table| {
            let symbol = topic.symbol().and_then(|id| table.name(id));
            hub::name(topic, symbol.map_or("", |symbol| symbol))
        })
    }
}

const fn is_account(channel: Channel) -> bool {
    matches!(channel.topic, Topic::Account(_))
}

/// Under which name `/ws/status` counts a topic of users: never by anybody's id.
fn counted_as(name: &str) -> &str {
    match (name.split(':').next(), name.ends_with(":orders")) {
        (Some("user"), true) => "user:*:orders",
        (Some("user"), false) => "user:*:positions",
        (Some("strategy"), true) => "strategy:*:orders",
        (Some("strategy"), false) => "strategy:*",
        _ => name,
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

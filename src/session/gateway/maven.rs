//! The namespace `/ws`, as Maven's clients use it.

use super::asked::{Asked, repeated};
use super::{Door, Fault, unauthorized};
use crate::auth::Grant;
use crate::dialect::{Channel, Dialect, maven};
use crate::encode::json;
use crate::market::{AccountTopic, Depth, Interval, Millis, Part, Speed, TRADING, Topic};
use crate::session::socketio::{AckId, Event, Namespace, Outlet, Refusal};

/// One Maven client.
pub(super) struct Maven {
    door: Door,
    grant: Option<Grant>,
}

impl Maven {
    pub(super) const fn new(door: Door) -> Maven {
        Maven { door, grant: None }
    }

    fn act(&mut self, now: Millis, event: &Event<'_>, out: &mut Outlet<'_>) -> Result<(), Fault> {
        if !self.door.takes(now) {
            let most = self.door.shared.limits.maven_messages;
            return Err(Fault::new("RATE_LIMITED", format!("at most {most} messages a minute are acted on")));
        }
        match &*event.name {
            "subscribe" | "subscribe.private" => self.subscribe(now, event, out),
            "unsubscribe" | "unsubscribe.private" => self.unsubscribe(now, event, out),
            "auth" => self.renew(now, event, out),
            "ping" => {
                tell("pong", event.ack, out, |out| {
                    out.extend_from_slice(b"{\"timestamp\":");
                    json::integer(now, out);
                    out.push(b'}');
                });
                Ok(())
            }
            // As in the gateway that this one stands in for: nobody listens, nobody answers.
            _ => Ok(()),
        }
    }

    fn subscribe(&self, now: Millis, event: &Event<'_>, out: &mut Outlet<'_>) -> Result<(), Fault> {
        let asked = Asked::read(event)?;
        let (channel, name) = self.find(event, &asked)?;
        // A book that is told in another way from now on takes no more room than it did.
        let other = other_books(channel).filter(|other| out.topics().contains(*other));
        if other.is_none() && !out.topics().contains(channel) {
            self.door.has_room_for(1, out)?;
        }
        if let Some(other) = other {
            out.unsubscribe(other);
        }
        self.answer("subscribed", now, channel, name, event.ack, out);
        out.subscribe(channel);
        Ok(())
    }

    fn unsubscribe(&self, now: Millis, event: &Event<'_>, out: &mut Outlet<'_>) -> Result<(), Fault> {
        let asked = Asked::read(event)?;
        let (channel, name) = self.find(event, &asked)?;
        out.unsubscribe(channel);
        if let Some(other) = other_books(channel) {
            out.unsubscribe(other);
        }
        self.answer("unsubscribed", now, channel, name, event.ack, out);
        Ok(())
    }

    /// A fresh token comes while the connection lives.
    fn renew(&mut self, now: Millis, event: &Event<'_>, out: &mut Outlet<'_>) -> Result<(), Fault> {
        let auth = event.arguments.first().copied().unwrap_or("{}");
        let grant =
            self.door.grant(now, auth).map_err(|refusal| Fault::new("UNAUTHORIZED", refusal.message))?;
        let grant = grant.ok_or_else(|| Fault::new("UNAUTHORIZED", "auth takes an object with token"))?;
        if self.grant.as_ref().is_some_and(|held| held.user() != grant.user()) {
            return Err(Fault::new("UNAUTHORIZED", "the token is another user's: connect anew with it"));
        }
        let user = grant.user().clone();
        self.grant = Some(grant);
        self.join_own(out);
        tell("authenticated", event.ack, out, |out| {
            out.extend_from_slice(b"{\"userId\":");
            json::string(&user, out);
            json::integer_field("timestamp", now, out);
            out.push(b'}');
        });
        Ok(())
    }

    /// The room of what publishers send to the user, where there is a user.
    fn join_own(&self, out: &mut Outlet<'_>) {
        let Some(grant) = &self.grant else { return };
        let account = self.door.shared.accounts.id(grant.user());
        out.subscribe(Dialect::Maven.of(Topic::Account(AccountTopic::Own { account, part: Part::User })));
    }

    /// What is asked for, and what the client calls it.
    fn find<'a>(&self, event: &Event<'_>, asked: &'a Asked) -> Result<(Channel, &'a str), Fault> {
        let name = asked.channel()?;
        let topic = match event.name.ends_with(".private") {
            true => self.private(name)?,
            false => self.public(name, asked)?,
        };
        let deltas = asked.mode.as_deref() == Some("delta") && matches!(topic, Topic::Book { .. });
        Ok((if deltas { Dialect::MavenDelta } else { Dialect::Maven }.of(topic), name))
    }

    fn public(&self, name: &str, asked: &Asked) -> Result<Topic, Fault> {
        let symbol = match (name, asked.symbol.as_deref()) {
            ("ticker", None | Some("all" | "" | "*")) => return Ok(Topic::Tickers),
            ("ticker" | "orderbook" | "trades" | "klines", symbol) => symbol.unwrap_or_default(),
            _ if name.starts_with("user.") => {
                return Err(Fault::new(
                    "UNKNOWN_TOPIC",
                    "private channels are asked for with subscribe.private",
                ));
            }
            _ => {
                // What is broadcast to that room is the other gateway's.
                let room = self.door.room(name, self.grant.as_ref()).filter(|_| name != TRADING);
                return room.unwrap_or_else(|| {
                    let name = repeated(name);
                    let message =
                        format!("no channel {name:?}: there are ticker, orderbook, trades and klines");
                    Err(Fault::new("UNKNOWN_TOPIC", message))
                });
            }
        };
        let found = self.door.shared.symbols.with(|table| table.id(symbol));
        let symbol = found
            .ok_or_else(|| Fault::new("UNKNOWN_SYMBOL", format!("no symbol {:?} here", repeated(symbol))))?;
        Ok(match name {
            "ticker" => Topic::Ticker { symbol, speed: Speed::S1 },
            "orderbook" => Topic::Book { symbol, depth: Depth::D50, speed: Speed::Ms100 },
            "trades" => Topic::Trades { symbol },
            _ => {
                let interval = asked.interval.as_deref().and_then(Interval::from_name).ok_or_else(|| {
                    Fault::new("UNKNOWN_TOPIC", "klines takes an interval of 1m 3m 5m 15m 30m 1h 4h 1d 1w 1M")
                })?;
                Topic::Kline { symbol, interval }
            }
        })
    }

    fn private(&self, name: &str) -> Result<Topic, Fault> {
        let part = match name {
            "user.orders" => Part::Orders,
            "user.trades" => Part::Trades,
            "user.balances" => Part::Balances,
            "user.deposits" => Part::Deposits,
            _ => {
                let name = repeated(name);
                let message = format!(
                    "no private channel {name:?}: there are user.orders, user.trades, user.balances and user.deposits"
                );
                return Err(Fault::new("UNKNOWN_TOPIC", message));
            }
        };
        let grant = self
            .grant
            .as_ref()
            .ok_or_else(|| Fault::new("UNAUTHORIZED", "a private channel needs a connection with a token"))?;
        let account = self.door.shared.accounts.id(grant.user());
        Ok(Topic::Account(AccountTopic::Own { account, part }))
    }

    fn user(&self) -> &str {
        self.grant.as_ref().map_or("", |grant| grant.user())
    }

    /// `subscribed` and `unsubscribed`, as an event and to the client's own callback.
    fn answer(
        &self,
        name: &str,
        now: Millis,
        channel: Channel,
        asked: &str,
        ack: Option<AckId>,
        out: &mut Outlet<'_>,
    ) {
        let table = self.door.shared.symbols.table();
        let symbol = channel.topic.symbol().and_then(|id| table.name(id));
        let room = self.name(channel.topic);
        tell(name, ack, out, |out| {
            out.extend_from_slice(b"{\"channel\":");
            json::string(asked, out);
            if let Some(symbol) = symbol {
                json::key("symbol", out);
                json::string(symbol, out);
            } else if channel.topic == Topic::Tickers {
                out.extend_from_slice(b",\"symbol\":\"all\"");
            }
            if let Topic::Kline { interval, .. } = channel.topic {
                json::key("interval", out);
                json::string(interval.name(), out);
            }
            json::key("room", out);
            json::string(&room, out);
            json::integer_field("timestamp", now, out);
            out.push(b'}');
        });
    }
}

impl Namespace for Maven {
    fn connect(&mut self, now: Millis, sid: &str, auth: &str, out: &mut Outlet<'_>) -> Result<(), Refusal> {
        self.grant = self.door.grant(now, auth)?;
        if self.grant.as_ref().is_some_and(|grant| !grant.is_valid_at(now)) {
            return Err(unauthorized("the token has expired"));
        }
        out.emit("connected", |out| {
            out.extend_from_slice(b"{\"clientId\":");
            json::string(sid, out);
            json::key("userId", out);
            match &self.grant {
                Some(grant) => json::string(grant.user(), out),
                None => out.extend_from_slice(b"null"),
            }
            json::integer_field("timestamp", now, out);
            out.push(b'}');
        });
        self.join_own(out);
        Ok(())
    }

    fn event(&mut self, now: Millis, event: &Event<'_>, out: &mut Outlet<'_>) {
        if let Err(fault) = self.act(now, event, out) {
            refuse(now, &fault, event.ack, out);
        }
    }

    fn next_due(&self) -> Option<Millis> {
        self.door.ends(self.grant.as_ref())
    }

    fn advance(&mut self, now: Millis, out: &mut Outlet<'_>) {
        let Some(ended) = self.door.ended(now, self.grant.as_ref()) else { return };
        self.grant = None;
        self.door.leave_private(Dialect::Maven, out);
        let message = format!("{ended}: the private channels are left, send auth with a fresh one");
        refuse(now, &Fault::new("TOKEN_EXPIRED", message), None, out);
    }

    fn name(&self, topic: Topic) -> String {
        let table = self.door.shared.symbols.table();
        let rooms = &self.door.shared.rooms;
        let name = match topic {
            Topic::Room(room) => rooms.name(room),
            Topic::Account(_) => None,
            Topic::Book { .. }
            | Topic::Ticker { .. }
            | Topic::Tickers
            | Topic::Trades { .. }
            | Topic::Kline { .. } => topic.symbol().and_then(|id| table.name(id)),
        };
        let mut room = Vec::new();
        maven::write_room(topic, name.map_or("", |name| name), self.user(), &mut room);
        String::from_utf8_lossy(&room).into_owned()
    }
}

/// The other way in which a book can be told.
fn other_books(channel: Channel) -> Option<Channel> {
    let other = match channel.dialect {
        Dialect::Maven => Dialect::MavenDelta,
        Dialect::MavenDelta => Dialect::Maven,
        Dialect::Native | Dialect::Hub | Dialect::HubText | Dialect::TradeWithAi => return None,
    };
    matches!(channel.topic, Topic::Book { .. }).then(|| other.of(channel.topic))
}

/// Tells the client, and its callback where it gave one, the same.
fn tell(name: &str, ack: Option<AckId>, out: &mut Outlet<'_>, write: impl Fn(&mut Vec<u8>)) {
    out.emit(name, &write);
    if let Some(id) = ack {
        out.answer(id, write);
    }
}

fn refuse(now: Millis, fault: &Fault, ack: Option<AckId>, out: &mut Outlet<'_>) {
    tell("error", ack, out, |out| {
        out.extend_from_slice(b"{\"message\":");
        json::string(&fault.message, out);
        json::key("code", out);
        json::string(fault.code, out);
        json::integer_field("timestamp", now, out);
        out.push(b'}');
    });
}

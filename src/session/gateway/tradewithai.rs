//! The namespace `/`, as TradeWithAI's clients use it.

use std::sync::Arc;

use super::asked::{Asked, repeated};
use super::{Client, Door, Fault, unauthorized};
use crate::auth::Grant;
use crate::dialect::Dialect;
use crate::dialect::tradewithai::EVERYBODY;
use crate::encode::json;
use crate::encode::time::rfc3339;
use crate::market::{AccountTopic, Audience, Depth, Interval, Millis, Part, Speed, SymbolId, TRADING, Topic};
use crate::session::native::TOPICS_A_MESSAGE;
use crate::session::socketio::{AckId, Event, Namespace, Outlet, Refusal};

/// One TradeWithAI client.
pub(super) struct TradeWithAi {
    door: Door,
    sid: String,
    /// Whose connection it is, also while no token holds: nobody takes it over.
    user: Arc<str>,
    grant: Option<Grant>,
    heartbeat: Millis,
    /// What it is subscribed to, by name, in the order in which it asked.
    subscriptions: Vec<String>,
    /// The length of the bars of each symbol that it is subscribed to.
    intervals: Vec<(SymbolId, Interval)>,
}

impl TradeWithAi {
    pub(super) fn new(door: Door) -> TradeWithAi {
        TradeWithAi {
            door,
            sid: String::new(),
            user: "".into(),
            grant: None,
            heartbeat: Millis::MAX,
            subscriptions: Vec::new(),
            intervals: Vec::new(),
        }
    }

    fn act(&mut self, now: Millis, event: &Event<'_>, out: &mut Outlet<'_>) -> Result<(), Fault> {
        if !self.door.takes(now) {
            let most = self.door.shared.limits.tradewithai_messages;
            return Err(Fault::new("RATE_LIMITED", format!("at most {most} messages a minute are acted on")));
        }
        match &*event.name {
            "subscribe" => self.subscribe(now, event, out),
            "unsubscribe" => self.unsubscribe(now, event, out),
            "auth" => self.renew(now, event, out),
            "ping" => {
                tell("pong", now, event.ack, out, |_| {});
                Ok(())
            }
            "get-subscriptions" => {
                let subscriptions = &self.subscriptions;
                tell("subscriptions", now, event.ack, out, |out| {
                    json::key("subscriptions", out);
                    texts(subscriptions, out);
                    json::integer_field("count", subscriptions.len(), out);
                });
                Ok(())
            }
            // As in the gateway that this one stands in for: nobody listens, nobody answers.
            _ => Ok(()),
        }
    }

    fn subscribe(&mut self, now: Millis, event: &Event<'_>, out: &mut Outlet<'_>) -> Result<(), Fault> {
        let asked = Asked::read(event)?;
        let interval = interval(&asked)?;
        let wanted = self.wanted(now, &asked, out)?;
        let of_symbols = wanted.symbols.iter().flat_map(|symbol| topics(*symbol, interval));
        let joins: Vec<Topic> = wanted.topic.into_iter().chain(of_symbols).collect();
        let is_new = |topic: &&Topic| !out.topics().contains(Dialect::TradeWithAi.of(**topic));
        self.door.has_room_for(joins.iter().filter(is_new).count(), out)?;
        wanted.symbols.iter().for_each(|symbol| self.let_go_of_bars(*symbol, interval, out));
        for name in listed(wanted.channel, &wanted.names) {
            if !self.subscriptions.contains(&name) {
                self.subscriptions.push(name);
            }
        }
        self.answer("subscribed", now, &wanted, event.ack, out);
        joins.into_iter().for_each(|topic| _ = out.subscribe(Dialect::TradeWithAi.of(topic)));
        Ok(())
    }

    fn unsubscribe(&mut self, now: Millis, event: &Event<'_>, out: &mut Outlet<'_>) -> Result<(), Fault> {
        let asked = Asked::read(event)?;
        let wanted = self.wanted(now, &asked, out)?;
        let mut leaves: Vec<Topic> = wanted.topic.into_iter().collect();
        for symbol in &wanted.symbols {
            if let Some(at) = self.intervals.iter().position(|(held, _)| held == symbol) {
                let (_, interval) = self.intervals.remove(at);
                leaves.extend(topics(*symbol, interval));
            }
        }
        let gone = listed(wanted.channel, &wanted.names);
        self.subscriptions.retain(|name| !gone.contains(name));
        leaves.into_iter().for_each(|topic| _ = out.unsubscribe(Dialect::TradeWithAi.of(topic)));
        self.answer("unsubscribed", now, &wanted, event.ack, out);
        Ok(())
    }

    /// What a client asks to hear, or to hear no more.
    fn wanted<'a>(&self, now: Millis, asked: &'a Asked, out: &mut Outlet<'_>) -> Result<Wanted<'a>, Fault> {
        let channel = asked.channel()?;
        let symbols = asked.symbols.as_deref().unwrap_or_default();
        let topic = match channel {
            "trading" => Some(Topic::Account(AccountTopic::Fills)),
            // The answers of models come to all of a user's sessions, asked for or not.
            "llm" => None,
            "market-data" if symbols.is_empty() => Some(Topic::Tickers),
            "market-data" => {
                let (names, symbols) = self.known(now, symbols, out)?.into_iter().unzip();
                return Ok(Wanted { channel, topic: None, names, symbols });
            }
            _ => {
                let room = self.door.room(channel, self.grant.as_ref());
                Some(room.unwrap_or_else(|| Err(unknown(channel)))?)
            }
        };
        Ok(Wanted { channel, topic, names: Vec::new(), symbols: Vec::new() })
    }

    /// The symbols that there are of those asked for. The others are told one by one, and spoil
    /// nothing; where there are no others, that is the answer.
    fn known(
        &self,
        now: Millis,
        symbols: &[String],
        out: &mut Outlet<'_>,
    ) -> Result<Vec<(String, SymbolId)>, Fault> {
        let most = self.door.shared.limits.subscriptions.max(TOPICS_A_MESSAGE);
        if symbols.len() > most {
            let message = format!("{} symbols in one message: at most {most}, send several", symbols.len());
            return Err(Fault::new("TOO_MANY_SUBSCRIPTIONS", message));
        }
        let table = self.door.shared.symbols.table();
        let mut known: Vec<(String, SymbolId)> = Vec::new();
        let mut faults = Vec::new();
        for name in symbols {
            match table.id(name) {
                Some(id) if known.iter().any(|(_, other)| *other == id) => {}
                Some(id) => known.push((name.clone(), id)),
                None => {
                    faults.push(Fault::new("UNKNOWN_SYMBOL", format!("no symbol {:?} here", repeated(name))))
                }
            }
        }
        if known.is_empty()
            && let Some(last) = faults.pop()
        {
            faults.iter().for_each(|fault| refuse(now, fault, None, out));
            return Err(last);
        }
        faults.iter().for_each(|fault| refuse(now, fault, None, out));
        Ok(known)
    }

    /// A symbol's bars are told in one length at a time.
    fn let_go_of_bars(&mut self, symbol: SymbolId, interval: Interval, out: &mut Outlet<'_>) {
        match self.intervals.iter_mut().find(|(held, _)| *held == symbol) {
            None => self.intervals.push((symbol, interval)),
            Some((_, held)) if *held == interval => {}
            Some((_, held)) => {
                let before = std::mem::replace(held, interval);
                out.unsubscribe(Dialect::TradeWithAi.of(Topic::Kline { symbol, interval: before }));
            }
        }
    }

    fn answer(&self, name: &str, now: Millis, wanted: &Wanted<'_>, ack: Option<AckId>, out: &mut Outlet<'_>) {
        self.door.shared.presence.subscribed(&self.sid, &self.subscriptions);
        let Wanted { channel, names, .. } = wanted;
        let room = match &names[..] {
            [] => (*channel).to_owned(),
            names => format!("{channel}:{}", names.join(",")),
        };
        tell(name, now, ack, out, |out| {
            json::key("channel", out);
            json::string(channel, out);
            json::key("symbols", out);
            texts(names, out);
            json::key("room", out);
            json::string(&room, out);
        });
    }

    /// A fresh token comes while the connection lives.
    fn renew(&mut self, now: Millis, event: &Event<'_>, out: &mut Outlet<'_>) -> Result<(), Fault> {
        let auth = event.arguments.first().copied().unwrap_or("{}");
        let grant =
            self.door.grant(now, auth).map_err(|refusal| Fault::new("UNAUTHORIZED", refusal.message))?;
        let grant = grant.ok_or_else(|| Fault::new("UNAUTHORIZED", "auth takes an object with token"))?;
        if self.user != *grant.user() {
            return Err(Fault::new("UNAUTHORIZED", "the token is another user's: connect anew with it"));
        }
        self.grant = Some(grant);
        self.join_own(out);
        let user = &self.user;
        tell("authenticated", now, event.ack, out, |out| {
            json::key("userId", out);
            json::string(user, out);
        });
        Ok(())
    }

    /// The user's own room, where there is a user.
    fn join_own(&self, out: &mut Outlet<'_>) {
        let Some(grant) = &self.grant else { return };
        let account = self.door.shared.accounts.id(grant.user());
        for part in [Part::Orders, Part::Positions, Part::Balances, Part::Llm, Part::User] {
            let topic = Topic::Account(AccountTopic::Own { account, part });
            out.subscribe(Dialect::TradeWithAi.of(topic));
        }
    }
}

impl Namespace for TradeWithAi {
    fn connect(&mut self, now: Millis, sid: &str, auth: &str, out: &mut Outlet<'_>) -> Result<(), Refusal> {
        let grant = match self.door.grant(now, auth)? {
            Some(grant) => grant,
            None if self.door.shared.dev => Grant::development(DEVELOPER),
            None => return Err(unauthorized("a token is needed: io(url, { auth: { token } })")),
        };
        let user = grant.user().clone();
        self.user = user.clone();
        let client = Client { user: user.clone(), email: grant.email().cloned(), subscriptions: Vec::new() };
        self.door.shared.presence.enter(sid, client);
        (self.grant, self.sid, self.heartbeat) = (Some(grant), sid.to_owned(), now + HEARTBEAT);
        tell("connected", now, None, out, |out| {
            out.extend_from_slice(b",\"message\":\"connected to tickcast\"");
            json::key("clientId", out);
            json::string(sid, out);
            json::key("userId", out);
            json::string(&user, out);
        });
        out.subscribe(Dialect::TradeWithAi.of(EVERYBODY));
        self.join_own(out);
        Ok(())
    }

    fn event(&mut self, now: Millis, event: &Event<'_>, out: &mut Outlet<'_>) {
        if let Err(fault) = self.act(now, event, out) {
            refuse(now, &fault, event.ack, out);
        }
    }

    fn disconnect(&mut self) {
        self.door.shared.presence.leave(&self.sid);
    }

    fn next_due(&self) -> Option<Millis> {
        Some(self.door.ends(self.grant.as_ref()).map_or(self.heartbeat, |ends| ends.min(self.heartbeat)))
    }

    fn advance(&mut self, now: Millis, out: &mut Outlet<'_>) {
        if self.heartbeat <= now {
            // A late look does not make up for the heartbeats that were missed.
            self.heartbeat = (self.heartbeat + HEARTBEAT).max(now + 1);
            tell("heartbeat", now, None, out, |_| {});
        }
        if let Some(ended) = self.door.ended(now, self.grant.as_ref()) {
            self.grant = None;
            self.door.leave_private(Dialect::TradeWithAi, out);
            let rooms = &self.door.shared.rooms;
            let is_public = |name: &String| rooms.find(name).is_none_or(|(_, of)| of == Audience::Public);
            self.subscriptions.retain(is_public);
            self.door.shared.presence.subscribed(&self.sid, &self.subscriptions);
            let message = format!("{ended}: the user's room is left, send auth with a fresh one");
            refuse(now, &Fault::new("TOKEN_EXPIRED", message), None, out);
        }
    }

    fn name(&self, topic: Topic) -> String {
        let shared = &self.door.shared;
        match topic {
            Topic::Tickers => "market-data".to_owned(),
            Topic::Room(room) => shared.rooms.name(room).map_or_else(String::new, |name| (**name).to_owned()),
            Topic::Account(AccountTopic::Fills) => TRADING.to_owned(),
            Topic::Account(AccountTopic::Own { .. } | AccountTopic::Everyones(_)) => "user".to_owned(),
            Topic::Ticker { symbol, .. }
            | Topic::Book { symbol, .. }
            | Topic::Trades { symbol }
            | Topic::Kline { symbol, .. } => {
                let table = shared.symbols.table();
                format!("market-data:{}", table.name(symbol).map_or("", |name| name))
            }
        }
    }
}

/// What is asked for, read.
struct Wanted<'a> {
    channel: &'a str,
    /// What it is but for symbols, where there is anything.
    topic: Option<Topic>,
    /// The symbols, as the client calls them.
    names: Vec<String>,
    symbols: Vec<SymbolId>,
}

/// What a subscription to a symbol consists of.
fn topics(symbol: SymbolId, interval: Interval) -> [Topic; 4] {
    [
        Topic::Ticker { symbol, speed: Speed::S1 },
        Topic::Book { symbol, depth: Depth::D50, speed: Speed::Ms100 },
        Topic::Trades { symbol },
        Topic::Kline { symbol, interval },
    ]
}

fn interval(asked: &Asked) -> Result<Interval, Fault> {
    let Some(name) = asked.interval.as_deref() else { return Ok(Interval::M1) };
    Interval::from_name(name)
        .ok_or_else(|| Fault::new("UNKNOWN_TOPIC", "interval is one of 1m 3m 5m 15m 30m 1h 4h 1d 1w 1M"))
}

/// How subscriptions are listed: one entry a symbol.
fn listed(channel: &str, symbols: &[String]) -> Vec<String> {
    match symbols {
        [] => vec![channel.to_owned()],
        symbols => symbols.iter().map(|symbol| format!("{channel}:{symbol}")).collect(),
    }
}

fn unknown(channel: &str) -> Fault {
    let channel = repeated(channel);
    Fault::new("UNKNOWN_TOPIC", format!("no channel {channel:?}: there are trading, market-data and llm"))
}

/// Tells the client, and its callback where it gave one, the same. `write` appends fields that each
/// begin with a comma.
fn tell(name: &str, now: Millis, ack: Option<AckId>, out: &mut Outlet<'_>, write: impl Fn(&mut Vec<u8>)) {
    let object = |out: &mut Vec<u8>| {
        let from = out.len();
        write(out);
        json::key("timestamp", out);
        out.push(b'"');
        rfc3339(now, out);
        out.extend_from_slice(b"\"}");
        out[from] = b'{';
    };
    out.emit(name, object);
    if let Some(id) = ack {
        out.answer(id, object);
    }
}

fn refuse(now: Millis, fault: &Fault, ack: Option<AckId>, out: &mut Outlet<'_>) {
    tell("error", now, ack, out, |out| {
        json::key("message", out);
        json::string(&fault.message, out);
        json::key("code", out);
        json::string(fault.code, out);
    });
}

fn texts(texts: &[String], out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, text) in texts.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::string(text, out);
    }
    out.push(b']');
}

/// Who somebody without a token is in development mode.
const DEVELOPER: &str = "test-user-id";

/// Between two heartbeats.
const HEARTBEAT: Millis = 30_000;

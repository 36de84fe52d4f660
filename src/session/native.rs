//! The conversation with a native client: what it may ask for, and what it is answered.

use std::sync::Arc;

use super::{Access, Action, Allowance, Conversation, ConversationKind, Said, SessionLimits, Subscriptions};
use crate::auth::{Refused, audit};
use crate::dialect::{Command, Dialect, Refusal, RefusalCode, Since, native};
use crate::market::{BadTopic, Millis, SymbolTable, Symbols, Topic};

/// The conversation with one native client.
pub struct Native {
    symbols: Arc<Symbols>,
    limits: SessionLimits,
    allowance: Allowance,
    access: Access,
    /// Whether the client was told that it is asking too often.
    is_limited: bool,
}

impl Native {
    /// A conversation that begins at `now`.
    pub fn new(symbols: Arc<Symbols>, limits: SessionLimits, access: Access, now: Millis) -> Native {
        let allowance = Allowance::new(limits, now);
        Native { symbols, limits, allowance, access, is_limited: false }
    }

    fn act(&mut self, now: Millis, text: &str, topics: &mut Subscriptions, actions: &mut Vec<Action>) {
        match native::read(text) {
            Ok(Command::Subscribe { id, topics: asked }) => self.subscribe(id, asked, topics, actions),
            Ok(Command::Unsubscribe { id, topics: asked }) => self.unsubscribe(id, asked, topics, actions),
            Ok(Command::List { id }) => {
                let table = self.symbols.table();
                let names: Vec<_> = topics
                    .in_order()
                    .into_iter()
                    .map(|channel| self.canonical(channel.topic, &table))
                    .collect();
                let names = names.iter().map(String::as_str);
                actions.push(Action::Reply(native::listed(id.as_deref(), names)));
            }
            Ok(Command::Ping { id }) => actions.push(Action::Reply(native::pong(id.as_deref(), now))),
            Ok(Command::Auth { id, token }) => self.renew(now, id, &token, topics, actions),
            Err(refusal) => refuse(refusal, actions),
        }
    }

    fn renew(
        &mut self,
        now: Millis,
        id: Option<String>,
        token: &str,
        topics: &mut Subscriptions,
        actions: &mut Vec<Action>,
    ) {
        match self.access.renew(now, token) {
            Ok(may_stay) => {
                if !may_stay {
                    self.leave_private(topics, actions);
                }
                let user = self.access.grant().map_or("", |grant| grant.user());
                actions.push(Action::Reply(native::renewed(id.as_deref(), user, self.access.expires())));
            }
            Err(refused) => {
                let is_over = refused == Refused::Expired;
                let code = if is_over { RefusalCode::TokenExpired } else { RefusalCode::Unauthorized };
                refuse(Refusal { id, code, message: refused.to_string(), topic: None }, actions);
            }
        }
    }

    fn leave_private(&self, topics: &mut Subscriptions, actions: &mut Vec<Action>) {
        for channel in topics.in_order() {
            if self.access.is_private(channel.topic) && topics.end(channel) {
                actions.push(Action::Leave { channel });
            }
        }
    }

    fn canonical(&self, topic: Topic, table: &SymbolTable) -> String {
        let Some(own) = self.access.inner_name(topic) else { return canonical(topic, table) };
        let mut name = Vec::new();
        topic.write_name(&own, &mut name);
        String::from_utf8_lossy(&name).into_owned()
    }

    fn subscribe(
        &self,
        id: Option<String>,
        asked: Vec<(String, Option<Since>)>,
        topics: &mut Subscriptions,
        actions: &mut Vec<Action>,
    ) {
        if let Err(refusal) = self.few_enough(&id, asked.len()) {
            return refuse(refusal, actions);
        }
        let table = self.symbols.table();
        let (mut names, mut joins, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
        for (name, since) in asked {
            match self.find(&name, &table) {
                Ok(topic) if topics.contains(NATIVE.of(topic)) => names.push(self.canonical(topic, &table)),
                Ok(_) if topics.len() >= self.limits.subscriptions => {
                    let most = self.limits.subscriptions;
                    let message =
                        format!("a connection has at most {most} topics: unsubscribe some, or open another");
                    refusals.push((RefusalCode::TooManySubscriptions, message, name));
                }
                Ok(topic) => {
                    topics.begin(NATIVE.of(topic));
                    names.push(self.canonical(topic, &table));
                    joins.push(Action::Join { channel: NATIVE.of(topic), since });
                }
                Err((code, message)) => refusals.push((code, message, name)),
            }
        }
        if refusals.is_empty() || !names.is_empty() {
            let names = names.iter().map(String::as_str);
            actions.push(Action::Reply(native::subscribed(id.as_deref(), names)));
        }
        refuse_topics(&id, refusals, actions);
        actions.append(&mut joins);
    }

    fn unsubscribe(
        &self,
        id: Option<String>,
        asked: Vec<String>,
        topics: &mut Subscriptions,
        actions: &mut Vec<Action>,
    ) {
        if let Err(refusal) = self.few_enough(&id, asked.len()) {
            return refuse(refusal, actions);
        }
        let table = self.symbols.table();
        let (mut names, mut leaves, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
        for name in asked {
            match self.find(&name, &table) {
                Ok(topic) if topics.end(NATIVE.of(topic)) => {
                    names.push(self.canonical(topic, &table));
                    leaves.push(Action::Leave { channel: NATIVE.of(topic) });
                }
                Ok(_) => refusals.push((RefusalCode::NotSubscribed, "not subscribed to it".to_owned(), name)),
                Err((code, message)) => refusals.push((code, message, name)),
            }
        }
        actions.append(&mut leaves);
        if refusals.is_empty() || !names.is_empty() {
            let names = names.iter().map(String::as_str);
            actions.push(Action::Reply(native::unsubscribed(id.as_deref(), names)));
        }
        refuse_topics(&id, refusals, actions);
    }

    /// Each topic of a message may be refused by itself, so that there are not many more of them than a
    /// connection may have.
    fn few_enough(&self, id: &Option<String>, topics: usize) -> Result<(), Refusal> {
        let most = self.limits.subscriptions.max(TOPICS_A_MESSAGE);
        if topics <= most {
            return Ok(());
        }
        let message = format!("{topics} topics in one message: at most {most}, send several");
        Err(Refusal { id: id.clone(), code: RefusalCode::TooManySubscriptions, message, topic: None })
    }

    fn find(&self, name: &str, table: &SymbolTable) -> Result<Topic, (RefusalCode, String)> {
        if let Some(found) = self.access.find(name) {
            return found;
        }
        Topic::parse(name, |symbol| table.id(symbol)).map_err(|bad| {
            let code = match bad {
                BadTopic::UnknownKind | BadTopic::UnknownInterval => RefusalCode::UnknownTopic,
                BadTopic::UnknownSymbol { .. } => RefusalCode::UnknownSymbol,
            };
            (code, bad.to_string())
        })
    }
}

impl Conversation for Native {
    fn receive(
        &mut self,
        now: Millis,
        said: Said<'_>,
        topics: &mut Subscriptions,
        actions: &mut Vec<Action>,
    ) {
        let is_limited = !self.allowance.take(now, self.limits);
        if is_limited && !self.is_limited {
            audit::rate_limited(self.access.grant().map(|grant| &**grant.user()), "/v1/ws");
        }
        self.is_limited = is_limited;
        if is_limited {
            let most = self.limits.messages_per_second;
            let message = format!("at most {most} messages a second are acted on: send fewer, larger ones");
            let code = RefusalCode::RateLimited;
            return refuse(Refusal { id: None, code, message, topic: None }, actions);
        }
        match said {
            Said::Text(text) => self.act(now, text, topics, actions),
            Said::Binary(_) => {
                let message = "messages are JSON text, not binary".to_owned();
                refuse(Refusal { id: None, code: RefusalCode::BadMessage, message, topic: None }, actions);
            }
        }
    }

    fn kind(&self) -> ConversationKind {
        ConversationKind::Native
    }

    fn name(&self, topic: Topic) -> String {
        self.symbols.with(|table| self.canonical(topic, table))
    }

    fn next_due(&self) -> Option<Millis> {
        self.access.ends()
    }

    fn advance(&mut self, now: Millis, topics: &mut Subscriptions, actions: &mut Vec<Action>) {
        if let Some(ended) = self.access.expire(now) {
            self.leave_private(topics, actions);
            let message = format!("{ended}: send {{\"op\":\"auth\",\"token\":…}} and subscribe again");
            refuse(Refusal { id: None, code: RefusalCode::TokenExpired, message, topic: None }, actions);
        }
    }
}

/// A topic's canonical name.
pub fn canonical(topic: Topic, table: &SymbolTable) -> String {
    let symbol = topic.symbol().and_then(|id| table.name(id));
    let mut name = Vec::new();
    topic.write_name(symbol.map_or("", |symbol| symbol), &mut name);
    String::from_utf8_lossy(&name).into_owned()
}

fn refuse(refusal: Refusal, actions: &mut Vec<Action>) {
    actions.push(Action::Reply(native::error(&refusal)));
}

fn refuse_topics(
    id: &Option<String>,
    refusals: Vec<(RefusalCode, String, String)>,
    actions: &mut Vec<Action>,
) {
    for (code, message, mut topic) in refusals {
        // What a client wrote is repeated, but not at any length.
        if topic.len() > MOST_REPEATED {
            topic = topic.chars().take(MOST_REPEATED / 4).collect();
        }
        refuse(Refusal { id: id.clone(), code, message, topic: Some(topic) }, actions);
    }
}

const NATIVE: Dialect = Dialect::Native;

const MOST_REPEATED: usize = 256;

/// Topics that one message may name, where the limit of subscriptions is not more.
pub(super) const TOPICS_A_MESSAGE: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    /// A conversation and its topics.
    struct Client(Native, Subscriptions);

    fn client(subscriptions: usize) -> Client {
        let symbols = Arc::new(Symbols::new(10));
        symbols.add("BTC/USD").unwrap();
        symbols.add("ETHUSDT").unwrap();
        let limits = SessionLimits { subscriptions, messages_per_second: 10, messages_burst: 20 };
        let config = crate::config::Config::default();
        let tokens = Arc::new(crate::auth::Tokens::new(&config).unwrap());
        let access = Access::new(Arc::default(), Arc::default(), tokens, None);
        Client(Native::new(symbols, limits, access, 0), Subscriptions::default())
    }

    /// Plays a message and shows what is done about it, one line each.
    fn play(client: &mut Client, now: Millis, text: &str) -> Vec<String> {
        let mut actions = Vec::new();
        client.0.receive(now, Said::Text(text), &mut client.1, &mut actions);
        let show = |action| match action {
            Action::Reply(frame) => String::from_utf8_lossy(frame.payload()).into_owned(),
            Action::Join { channel, since } => {
                format!(
                    "join {}{}",
                    canonical(channel.topic, &client.0.symbols.table()),
                    if since.is_some() { " since" } else { "" }
                )
            }
            Action::Publish(_) | Action::End(_) => panic!("no word of a native client does that"),
            Action::Leave { channel } => {
                format!("leave {}", canonical(channel.topic, &client.0.symbols.table()))
            }
        };
        actions.into_iter().map(show).collect()
    }

    #[test]
    fn one_bad_topic_does_not_spoil_the_others() {
        let mut client = client(10);
        let text = r#"{"op":"subscribe","id":1,"topics":["book:BTC/USD:20","nope","trades:XXX","kline:ETHUSDT:1m","orders"]}"#;
        let done = play(&mut client, 0, text);
        assert_eq!(
            done[0],
            r#"{"type":"ok","id":1,"op":"subscribe","topics":["book:BTC/USD:20:raw","kline:ETHUSDT:1m"]}"#
        );
        assert!(
            done[1].contains(r#""code":"UNKNOWN_TOPIC""#) && done[1].ends_with(r#""topic":"nope"}"#),
            "{}",
            done[1]
        );
        assert!(done[2].contains(r#""code":"UNKNOWN_SYMBOL""#), "{}", done[2]);
        assert!(done[3].contains(r#""code":"UNAUTHORIZED""#), "{}", done[3]);
        assert_eq!(done[4..], ["join book:BTC/USD:20:raw", "join kline:ETHUSDT:1m"]);
    }

    #[test]
    fn a_topic_is_joined_once_and_left_once() {
        let mut client = client(10);
        assert_eq!(play(&mut client, 0, r#"{"op":"subscribe","topics":["ticker:*","ticker:*"]}"#).len(), 2);
        assert_eq!(play(&mut client, 0, r#"{"op":"subscribe","topics":["ticker:*"]}"#).len(), 1);
        let left = play(&mut client, 0, r#"{"op":"unsubscribe","topics":["ticker:*"]}"#);
        assert_eq!(left, ["leave ticker:*", r#"{"type":"ok","op":"unsubscribe","topics":["ticker:*"]}"#]);
        let again = play(&mut client, 0, r#"{"op":"unsubscribe","topics":["ticker:*"]}"#);
        assert!(again[0].contains("NOT_SUBSCRIBED"), "{again:?}");
    }

    #[test]
    fn the_list_is_in_the_order_of_asking() {
        let mut client = client(10);
        play(
            &mut client,
            0,
            r#"{"op":"subscribe","topics":["trades:ETHUSDT","book:BTC/USD","ticker:BTC/USD"]}"#,
        );
        let list = play(&mut client, 0, r#"{"op":"list","id":"x"}"#);
        assert_eq!(
            list,
            [
                r#"{"type":"ok","id":"x","op":"list","topics":["trades:ETHUSDT","book:BTC/USD","ticker:BTC/USD"]}"#
            ]
        );
    }

    #[test]
    fn too_many_topics_are_refused_one_by_one() {
        let mut client = client(1);
        let done = play(&mut client, 0, r#"{"op":"subscribe","topics":["trades:ETHUSDT","book:BTC/USD"]}"#);
        assert!(done[1].contains("TOO_MANY_SUBSCRIPTIONS") && done[2] == "join trades:ETHUSDT", "{done:?}");
    }

    #[test]
    fn a_message_of_more_topics_than_anybody_needs_is_refused_as_one() {
        let mut client = client(1);
        let names = vec!["x"; TOPICS_A_MESSAGE + 1];
        for op in ["subscribe", "unsubscribe"] {
            let done = play(&mut client, 0, &serde_json::json!({"op": op, "topics": names}).to_string());
            assert!(done.len() == 1 && done[0].contains("1025 topics in one message"), "{op}");
        }
    }

    #[test]
    fn messages_beyond_the_rate_are_answered_and_not_acted_on() {
        let mut client = client(10);
        for _ in 0..20 {
            assert!(play(&mut client, 0, r#"{"op":"ping"}"#)[0].contains("ok"));
        }
        assert!(play(&mut client, 0, r#"{"op":"ping"}"#)[0].contains("RATE_LIMITED"));
        assert!(play(&mut client, 100, r#"{"op":"ping"}"#)[0].contains("ok"));
    }
}

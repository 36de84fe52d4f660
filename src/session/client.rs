//! One client's conversation: what it asked for, what it may have, what it is answered.
//!
//! Knows no socket: text goes in, frames to send and topics to join come out.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::dialect::{Command, Dialect, Refusal, RefusalCode, Since, native};
use crate::encode::Frame;
use crate::market::{BadTopic, Millis, SymbolTable, Symbols, Topic};

/// The conversation with one client.
///
/// Invariants: every topic it holds was counted once at its shard by an [`Action::Join`] and is
/// taken back by exactly one [`Action::Leave`] or by [`Session::topics`] at the end. A shard
/// answers every join of a topic once, in order.
#[derive(Debug)]
pub struct Session {
    dialect: Dialect,
    symbols: Arc<Symbols>,
    subscriptions: FxHashMap<Topic, Subscription>,
    /// Answers on their way to subscriptions that were given up before they came: a later
    /// subscription to the same topic must not take one of them for its own beginning.
    late: FxHashMap<Topic, u32>,
    asked: u64,
    limits: SessionLimits,
    allowance: Allowance,
}

/// What one client may use.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// Topics that it may be subscribed to at once.
    pub subscriptions: usize,
    /// Messages a second in the long run.
    pub messages_per_second: u32,
    /// Messages at once.
    pub messages_burst: u32,
}

/// How far a subscription is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The shard was asked; nothing of the topic may be sent before its answer.
    Joining,
    /// It hears everything.
    Live,
    /// It was too slow for something that may be left out; it gets a new picture when it has caught up.
    Behind,
    /// That picture was asked for.
    Rejoining,
}

impl Progress {
    /// Whether an answer of the shard is on its way.
    const fn is_waiting(self) -> bool {
        matches!(self, Progress::Joining | Progress::Rejoining)
    }
}

#[derive(Clone, Copy, Debug)]
struct Subscription {
    progress: Progress,
    /// Subscriptions are listed in the order in which they were asked for.
    asked: u64,
}

/// What is to be done about a message.
#[derive(Debug)]
pub enum Action {
    /// Send this.
    Reply(Frame),
    /// Ask the topic's shard for its beginning.
    Join {
        /// The topic.
        topic: Topic,
        /// What the client last heard of it.
        since: Option<Since>,
    },
    /// Tell the topic's shard that there is one listener less.
    Leave {
        /// The topic.
        topic: Topic,
    },
}

impl Session {
    /// A conversation that begins at `now`.
    pub fn new(dialect: Dialect, symbols: Arc<Symbols>, limits: SessionLimits, now: Millis) -> Session {
        let allowance = Allowance { left: f64::from(limits.messages_burst), since: now };
        let (subscriptions, late) = Default::default();
        Session { dialect, symbols, subscriptions, late, asked: 0, limits, allowance }
    }

    /// Which words it uses.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Takes a message in, and says what is to be done, in order.
    pub fn receive(&mut self, now: Millis, text: &str, actions: &mut Vec<Action>) {
        if !self.allowance.take(now, self.limits) {
            let most = self.limits.messages_per_second;
            let message = format!("at most {most} messages a second are acted on: send fewer, larger ones");
            let code = RefusalCode::RateLimited;
            return refuse(Refusal { id: None, code, message, topic: None }, actions);
        }
        match native::read(text) {
            Ok(Command::Subscribe { id, topics }) => self.subscribe(id, topics, actions),
            Ok(Command::Unsubscribe { id, topics }) => self.unsubscribe(id, topics, actions),
            Ok(Command::List { id }) => {
                let names = self.names();
                let names = names.iter().map(String::as_str);
                actions.push(Action::Reply(native::listed(id.as_deref(), names)));
            }
            Ok(Command::Ping { id }) => actions.push(Action::Reply(native::pong(id.as_deref(), now))),
            Ok(Command::Auth { id, token: _ }) => {
                let message =
                    "this server has no key to check tokens with: public topics need none".to_owned();
                refuse(Refusal { id, code: RefusalCode::Unauthorized, message, topic: None }, actions);
            }
            Err(refusal) => refuse(refusal, actions),
        }
    }

    /// Binary messages are none of any dialect's.
    pub fn receive_binary(&mut self, actions: &mut Vec<Action>) {
        let message = "messages are JSON text, not binary".to_owned();
        refuse(Refusal { id: None, code: RefusalCode::BadMessage, message, topic: None }, actions);
    }

    /// How far its subscription to `topic` is; `None` where it has none.
    pub fn progress(&self, topic: Topic) -> Option<Progress> {
        self.subscriptions.get(&topic).map(|subscription| subscription.progress)
    }

    /// A shard has answered a join of `topic`: how far the subscription is that waits for the
    /// answer; `None` where none does any more.
    pub fn answered(&mut self, topic: Topic) -> Option<Progress> {
        if let Some(late) = self.late.get_mut(&topic) {
            *late -= 1;
            if *late == 0 {
                self.late.remove(&topic);
            }
            return None;
        }
        self.progress(topic).filter(|progress| progress.is_waiting())
    }

    /// Its subscription to `topic`, where it has one, has come to `progress`.
    pub fn set_progress(&mut self, topic: Topic, progress: Progress) {
        if let Some(subscription) = self.subscriptions.get_mut(&topic) {
            subscription.progress = progress;
        }
    }

    /// The topics that it is subscribed to and whose subscription is as far as that.
    pub fn topics_at(&self, progress: Progress) -> impl Iterator<Item = Topic> {
        let at = move |(topic, subscription): (&Topic, &Subscription)| {
            (subscription.progress == progress).then_some(*topic)
        };
        self.subscriptions.iter().filter_map(at)
    }

    /// The canonical name of a topic, for people.
    pub fn name(&self, topic: Topic) -> String {
        self.symbols.with(|table| canonical(topic, table))
    }

    /// All topics that it is subscribed to.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = Topic> {
        self.subscriptions.keys().copied()
    }

    fn subscribe(
        &mut self,
        id: Option<String>,
        asked: Vec<(String, Option<Since>)>,
        actions: &mut Vec<Action>,
    ) {
        let table = self.symbols.table();
        let (mut names, mut joins, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
        for (name, since) in asked {
            match self.find(&name, &table) {
                Ok(topic) if self.subscriptions.contains_key(&topic) => names.push(canonical(topic, &table)),
                Ok(_) if self.subscriptions.len() >= self.limits.subscriptions => {
                    let most = self.limits.subscriptions;
                    let message =
                        format!("a connection has at most {most} topics: unsubscribe some, or open another");
                    refusals.push((RefusalCode::TooManySubscriptions, message, name));
                }
                Ok(topic) => {
                    self.asked += 1;
                    let subscription = Subscription { progress: Progress::Joining, asked: self.asked };
                    self.subscriptions.insert(topic, subscription);
                    names.push(canonical(topic, &table));
                    joins.push(Action::Join { topic, since });
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

    fn unsubscribe(&mut self, id: Option<String>, asked: Vec<String>, actions: &mut Vec<Action>) {
        let table = self.symbols.table();
        let (mut names, mut leaves, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
        for name in asked {
            match self.find(&name, &table) {
                Ok(topic) => match self.subscriptions.remove(&topic) {
                    Some(given_up) => {
                        if given_up.progress.is_waiting() {
                            *self.late.entry(topic).or_default() += 1;
                        }
                        names.push(canonical(topic, &table));
                        leaves.push(Action::Leave { topic });
                    }
                    None => {
                        let message = "not subscribed to it".to_owned();
                        refusals.push((RefusalCode::NotSubscribed, message, name));
                    }
                },
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

    fn find(&self, name: &str, table: &SymbolTable) -> Result<Topic, (RefusalCode, String)> {
        let kind = name.split(':').next().unwrap_or_default();
        if PRIVATE.contains(&kind) && !(kind == "trades" && name.contains(':')) {
            let message = "a private topic needs a connection with a token".to_owned();
            return Err((RefusalCode::Unauthorized, message));
        }
        Topic::parse(name, |symbol| table.id(symbol)).map_err(|bad| {
            let code = match bad {
                BadTopic::UnknownKind | BadTopic::UnknownInterval => RefusalCode::UnknownTopic,
                BadTopic::UnknownSymbol { .. } => RefusalCode::UnknownSymbol,
            };
            (code, bad.to_string())
        })
    }

    fn names(&self) -> Vec<String> {
        let table = self.symbols.table();
        let mut topics: Vec<_> = self.subscriptions.iter().collect();
        topics.sort_by_key(|(_, subscription)| subscription.asked);
        topics.into_iter().map(|(topic, _)| canonical(*topic, &table)).collect()
    }
}

/// A topic's canonical name.
pub fn canonical(topic: Topic, table: &SymbolTable) -> String {
    let symbol = topic.symbol().and_then(|id| table.name(id));
    let mut name = Vec::new();
    topic.write_name(symbol.map_or("", |symbol| symbol), &mut name);
    String::from_utf8_lossy(&name).into_owned()
}

/// How many messages a client may still send: so many a second in the long run, so many at once.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    left: f64,
    since: Millis,
}

impl Allowance {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds since the last message, not money")]
    fn take(&mut self, now: Millis, limits: SessionLimits) -> bool {
        let passed = (now - self.since).max(0) as f64 / 1_000.0;
        let grown = self.left + passed * f64::from(limits.messages_per_second);
        (self.left, self.since) = (grown.min(f64::from(limits.messages_burst)), now);
        let allowed = self.left >= 1.0;
        if allowed {
            self.left -= 1.0;
        }
        allowed
    }
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

/// Topics of one user; they need a token.
const PRIVATE: [&str; 8] =
    ["orders", "trades", "balances", "deposits", "positions", "strategy", "llm", "user"];

const MOST_REPEATED: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn session(subscriptions: usize) -> Session {
        let symbols = Arc::new(Symbols::new(10));
        symbols.add("BTC/USD").unwrap();
        symbols.add("ETHUSDT").unwrap();
        let limits = SessionLimits { subscriptions, messages_per_second: 10, messages_burst: 20 };
        Session::new(Dialect::Native, symbols, limits, 0)
    }

    /// Plays a message and shows what is done about it, one line each.
    fn play(session: &mut Session, now: Millis, text: &str) -> Vec<String> {
        let mut actions = Vec::new();
        session.receive(now, text, &mut actions);
        let show = |action| match action {
            Action::Reply(frame) => String::from_utf8_lossy(frame.payload()).into_owned(),
            Action::Join { topic, since } => {
                format!(
                    "join {}{}",
                    canonical(topic, &session.symbols.table()),
                    if since.is_some() { " since" } else { "" }
                )
            }
            Action::Leave { topic } => format!("leave {}", canonical(topic, &session.symbols.table())),
        };
        actions.into_iter().map(show).collect()
    }

    #[test]
    fn one_bad_topic_does_not_spoil_the_others() {
        let mut session = session(10);
        let text = r#"{"op":"subscribe","id":1,"topics":["book:BTC/USD:20","nope","trades:XXX","kline:ETHUSDT:1m","orders"]}"#;
        let done = play(&mut session, 0, text);
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
        let mut session = session(10);
        assert_eq!(play(&mut session, 0, r#"{"op":"subscribe","topics":["ticker:*","ticker:*"]}"#).len(), 2);
        assert_eq!(play(&mut session, 0, r#"{"op":"subscribe","topics":["ticker:*"]}"#).len(), 1);
        let left = play(&mut session, 0, r#"{"op":"unsubscribe","topics":["ticker:*"]}"#);
        assert_eq!(left, ["leave ticker:*", r#"{"type":"ok","op":"unsubscribe","topics":["ticker:*"]}"#]);
        let again = play(&mut session, 0, r#"{"op":"unsubscribe","topics":["ticker:*"]}"#);
        assert!(again[0].contains("NOT_SUBSCRIBED"), "{again:?}");
    }

    #[test]
    fn the_answer_to_a_join_that_was_given_up_begins_no_later_subscription() {
        let mut session = session(10);
        play(&mut session, 0, r#"{"op":"subscribe","topics":["ticker:*"]}"#);
        play(&mut session, 0, r#"{"op":"unsubscribe","topics":["ticker:*"]}"#);
        play(&mut session, 0, r#"{"op":"subscribe","topics":["ticker:*"]}"#);
        assert_eq!(session.answered(Topic::Tickers), None, "this one was meant for the first");
        assert_eq!(session.answered(Topic::Tickers), Some(Progress::Joining));
        session.set_progress(Topic::Tickers, Progress::Live);
        assert_eq!(session.answered(Topic::Tickers), None, "it waits for none");
        play(&mut session, 0, r#"{"op":"unsubscribe","topics":["ticker:*"]}"#);
        play(&mut session, 0, r#"{"op":"subscribe","topics":["ticker:*"]}"#);
        assert_eq!(session.answered(Topic::Tickers), Some(Progress::Joining), "none was on its way");
    }

    #[test]
    fn the_list_is_in_the_order_of_asking() {
        let mut session = session(10);
        play(
            &mut session,
            0,
            r#"{"op":"subscribe","topics":["trades:ETHUSDT","book:BTC/USD","ticker:BTC/USD"]}"#,
        );
        let list = play(&mut session, 0, r#"{"op":"list","id":"x"}"#);
        assert_eq!(
            list,
            [
                r#"{"type":"ok","id":"x","op":"list","topics":["trades:ETHUSDT","book:BTC/USD","ticker:BTC/USD"]}"#
            ]
        );
    }

    #[test]
    fn too_many_topics_are_refused_one_by_one() {
        let mut session = session(1);
        let done = play(&mut session, 0, r#"{"op":"subscribe","topics":["trades:ETHUSDT","book:BTC/USD"]}"#);
        assert!(done[1].contains("TOO_MANY_SUBSCRIPTIONS") && done[2] == "join trades:ETHUSDT", "{done:?}");
    }

    #[test]
    fn messages_beyond_the_rate_are_answered_and_not_acted_on() {
        let mut session = session(10);
        for _ in 0..20 {
            assert!(play(&mut session, 0, r#"{"op":"ping"}"#)[0].contains("ok"));
        }
        assert!(play(&mut session, 0, r#"{"op":"ping"}"#)[0].contains("RATE_LIMITED"));
        assert!(play(&mut session, 100, r#"{"op":"ping"}"#)[0].contains("ok"));
    }
}

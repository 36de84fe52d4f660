//! A hub conversation, message by message, by a clock of the test's own.

use serde_json::{Value, json};

use super::*;
use crate::auth::{Mint, Tokens, mint};
use crate::config::Config;
use crate::market::{Accounts, Rooms};
use crate::session::Progress;

struct Client {
    hub: Hub,
    topics: Subscriptions,
    config: Config,
}

const NOW: Millis = 1_743_675_330_000;

fn token(config: &Config, user: &str, seconds: i64) -> String {
    mint(&Mint::new(user, NOW, seconds), &config.secrets).unwrap()
}

fn client(payload: Payload) -> Client {
    let mut config = Config::default();
    config.secrets.jwt_secret = Some("0123456789abcdef0123456789abcdef".to_owned());
    let tokens = Arc::new(Tokens::new(&config).unwrap());
    let grant = tokens.verify(NOW, &token(&config, "alice", 100)).unwrap();
    let symbols = Arc::new(Symbols::new(10));
    symbols.add("BTC/USD").unwrap();
    let limits = SessionLimits { subscriptions: 3, messages_per_second: 10, messages_burst: 20 };
    let shared = HubShared { symbols, limits, status: Arc::default() };
    let accounts = Arc::new(Accounts::default());
    let (alice, bob) = (accounts.id("alice"), accounts.id("bob"));
    accounts.add_strategy("grid", alice);
    accounts.add_strategy("secret", bob);
    let access = Access::new(accounts, Arc::new(Rooms::new(&[], &[])), tokens, Some(grant));
    Client { hub: Hub::new(shared, access, payload, NOW), topics: Subscriptions::default(), config }
}

impl Client {
    /// What is replied, and what else is done.
    fn say(&mut self, now: Millis, message: &Value) -> (Vec<Value>, Vec<String>) {
        let mut actions = Vec::new();
        self.hub.receive(now, Said::Text(&message.to_string()), &mut self.topics, &mut actions);
        shown(actions)
    }

    fn wait(&mut self, now: Millis) -> (Vec<Value>, Vec<String>) {
        let mut actions = Vec::new();
        self.hub.advance(now, &mut self.topics, &mut actions);
        shown(actions)
    }

    /// The ledger answers all that wait for it, in order; how many topics it took the place of.
    fn answered(&mut self) -> usize {
        for channel in self.topics.in_order() {
            if self.topics.progress(channel).is_some_and(Progress::is_waiting) {
                self.topics.answered(channel).unwrap();
                self.topics.hand_over(channel);
                self.topics.set_progress(channel, Progress::Live);
            }
        }
        self.topics.take_left().len()
    }

    fn subscribe(&mut self, topics: &[&str]) -> Value {
        let message = json!({"type": "SUBSCRIPTION", "payload": {"action": "subscribe", "topics": topics}});
        self.say(NOW, &message).0[0]["payload"].clone()
    }
}

fn shown(actions: Vec<Action>) -> (Vec<Value>, Vec<String>) {
    let (mut replies, mut others) = (Vec::new(), Vec::new());
    for action in actions {
        match action {
            Action::Reply(frame) => replies.push(serde_json::from_slice(frame.payload()).unwrap()),
            Action::Join { .. } => others.push("join".to_owned()),
            Action::Leave { .. } => others.push("leave".to_owned()),
            Action::Publish(_) => others.push("publish".to_owned()),
            Action::End(end) => others.push(format!("{end:?}")),
        }
    }
    (replies, others)
}

#[test]
fn each_topic_is_answered_for_and_the_right_ones_are_joined() {
    let mut client = client(Payload::Object);
    let answer = client.subscribe(&["book:BTC/USD", "ticker:NOPE", "dance", "trades:BTC/USD"]);
    assert_eq!(answer["topics"], json!(["book:BTC/USD", "trades:BTC/USD"]));
    let codes: Vec<_> = answer["rejected"].as_array().unwrap().iter().map(|one| &one["code"]).collect();
    assert_eq!(codes, [&json!("UNKNOWN_SYMBOL"), &json!("UNKNOWN_TOPIC")]);
    assert_eq!(
        client.subscribe(&["ticker:*", "ticker:BTC/USD"])["rejected"][0]["code"],
        "TOO_MANY_SUBSCRIPTIONS"
    );
    let (connections, counts) = client.hub.shared.status.counts();
    assert_eq!((connections, counts.len(), counts["book:BTC/USD"]), (1, 3, 1));
    let gone = json!({"type": "SUBSCRIPTION", "payload": {"action": "unsubscribe", "topics": ["book:BTC/USD", "book:BTC/USD:5"]}});
    let (replies, others) = client.say(NOW, &gone);
    assert_eq!((&replies[0]["payload"]["topics"], others.len()), (&json!(["book:BTC/USD"]), 1));
    assert_eq!(replies[0]["payload"]["rejected"][0]["code"], "NOT_SUBSCRIBED");
}

#[test]
fn the_short_name_of_a_book_is_the_top_50_ten_times_a_second() {
    let mut client = client(Payload::Object);
    let asked = ["book:BTC/USD", "book:BTC/USD:50:100ms", "book:BTC/USD:full:100ms", "book:BTC/USD:full"];
    let answer = client.subscribe(&asked);
    assert_eq!(answer["topics"], json!(vec!["book:BTC/USD"; 4]));
    assert_eq!(client.topics.len(), 1);
    assert_eq!(client.subscribe(&["book:BTC/USD:5:raw"])["topics"], json!(["book:BTC/USD:5:raw"]));
}

#[test]
fn an_expired_token_is_said_and_the_connection_ends_unless_a_fresh_one_comes() {
    let mut renewed = client(Payload::Object);
    assert_eq!(renewed.hub.next_due(), Some(NOW + 30_000), "a heartbeat");
    for beat in 1..=3 {
        let (replies, _) = renewed.wait(NOW + beat * 30_000);
        assert_eq!(replies[0]["type"], "HEARTBEAT");
    }
    assert_eq!(renewed.hub.next_due(), Some(NOW + 100_000), "the expiry");
    let (replies, _) = renewed.wait(NOW + 100_000);
    assert_eq!(replies[0]["payload"]["code"], "TOKEN_EXPIRED");
    let fresh = token(&renewed.config, "alice", 1_000);
    let authenticate = |token: &str| json!({"type": "AUTHENTICATION", "payload": {"token": token}});
    let (replies, _) = renewed.say(NOW + 110_000, &authenticate("x.y.z"));
    assert_eq!(replies[0]["payload"]["code"], "UNAUTHORIZED");
    let (replies, _) = renewed.say(NOW + 110_000, &authenticate(&fresh));
    assert_eq!(replies[0]["payload"]["userId"], "alice");
    assert_eq!(renewed.wait(NOW + 140_000).1, Vec::<String>::new());

    let mut late = client(Payload::Object);
    late.wait(NOW + 100_000);
    assert_eq!(late.hub.next_due(), Some(NOW + 130_000));
    assert_eq!(late.wait(NOW + 130_000).1, ["TokenExpired"]);
}

#[test]
fn one_s_own_topics_are_joined_once_and_nobody_else_s_at_all() {
    let mut client = client(Payload::Object);
    let answer = client.subscribe(&["strategy:grid:orders", "user:bob:orders", "strategy:secret"]);
    assert_eq!(answer["topics"], json!(["strategy:grid:orders"]));
    for rejected in answer["rejected"].as_array().unwrap() {
        assert_eq!(rejected["code"], "FORBIDDEN", "{rejected}");
    }
    assert_eq!((client.topics.len(), client.answered()), (1, 0));
    // All of one's orders hold those of a strategy, and have two names.
    client.subscribe(&["orders", "user:alice:orders"]);
    assert_eq!(client.answered(), 1);
    assert_eq!(client.topics.len(), 1);
    let counts = client.hub.shared.status.counts().1;
    assert_eq!(counts.keys().collect::<Vec<_>>(), ["orders", "strategy:*:orders", "user:*:orders"]);
    let gone = json!({"type": "SUBSCRIPTION", "payload": {"action": "unsubscribe", "topics": ["orders"]}});
    assert_eq!(client.say(NOW, &gone).1, Vec::<String>::new(), "the other name still holds them");
    let gone = json!({"type": "SUBSCRIPTION", "payload": {"action": "unsubscribe", "topics": ["user:alice:orders"]}});
    assert_eq!(client.say(NOW, &gone).1, ["join"], "and then the strategy's alone");
    assert_eq!((client.answered(), client.topics.len()), (1, 1));
    let (replies, others) = client.wait(NOW + 100_000);
    assert_eq!(
        (&replies[1]["payload"]["code"], &others[..]),
        (&json!("TOKEN_EXPIRED"), &["leave".to_owned()][..])
    );
    assert!(client.hub.shared.status.counts().1.is_empty());
}

#[test]
fn what_another_topic_takes_the_place_of_is_heard_until_that_one_is() {
    let (narrow, wide) = ("strategy:grid:orders", "orders");
    let act = |client: &mut Client, action: &str, topic: &str| {
        client.say(NOW, &json!({"type": "SUBSCRIPTION", "payload": {"action": action, "topics": [topic]}})).1
    };
    let mut client = client(Payload::Object);
    act(&mut client, "subscribe", narrow);
    client.answered();
    let [heard] = client.topics.in_order()[..] else { panic!("one topic") };
    // It goes on while the ledger has not answered for the other one, and also when that is given up.
    assert_eq!(act(&mut client, "subscribe", wide), ["join"]);
    assert_eq!(client.topics.progress(heard), Some(Progress::Live));
    assert_eq!(act(&mut client, "unsubscribe", wide), ["leave"]);
    assert_eq!((client.topics.len(), client.topics.progress(heard)), (1, Some(Progress::Live)));
    assert_eq!(act(&mut client, "subscribe", wide), ["join"]);
    let other = client.topics.in_order()[1];
    // The answer to the one that was given up means nothing.
    assert_eq!(client.topics.answered(other), None);
    assert!(client.topics.has_heir(other));
    assert_eq!((client.answered(), client.topics.len()), (1, 1));
    // And back: the wide one goes when the narrow one is heard, or at once where nothing is wanted.
    assert_eq!(act(&mut client, "unsubscribe", wide), ["join"]);
    assert_eq!(client.topics.progress(other), Some(Progress::Live));
    assert!(client.topics.is_leaving(other));
    let mut both = act(&mut client, "unsubscribe", narrow);
    both.dedup();
    assert_eq!((client.topics.len(), both), (0, vec!["leave".to_owned()]));
    assert!(client.topics.take_left().is_empty());
}

#[test]
fn a_second_name_for_one_s_own_topic_holds_it_whenever_it_was_asked_for() {
    let unsubscribe = |client: &mut Client, topic: &str| {
        let message =
            json!({"type": "SUBSCRIPTION", "payload": {"action": "unsubscribe", "topics": [topic]}});
        let (replies, others) = client.say(NOW, &message);
        (replies[0]["payload"]["rejected"][0]["code"].clone(), others)
    };
    for [first, second] in [["orders", "user:alice:orders"], ["user:alice:orders", "orders"]] {
        let mut client = client(Payload::Object);
        client.subscribe(&[first]);
        assert_eq!(client.subscribe(&[second])["topics"], json!([second]));
        assert_eq!(unsubscribe(&mut client, first), (Value::Null, Vec::new()), "the other name holds it");
        assert_eq!(client.topics.len(), 1);
        // A name that was not asked for, or is not any more, ends nothing.
        assert_eq!(unsubscribe(&mut client, first), (json!("NOT_SUBSCRIBED"), Vec::new()));
        assert_eq!(client.topics.len(), 1);
        assert_eq!(unsubscribe(&mut client, second), (Value::Null, vec!["leave".to_owned()]));
        assert!(client.hub.shared.status.counts().1.is_empty());
    }
}

#[test]
fn bad_messages_are_answered_and_nothing_else_happens() {
    let mut client = client(Payload::Text);
    let (replies, others) = client.say(NOW, &json!({"type": "DANCE", "payload": {}}));
    assert!(others.is_empty());
    let inside: Value = serde_json::from_str(replies[0]["payload"].as_str().unwrap()).unwrap();
    assert_eq!((replies[0]["type"].as_str(), inside["code"].as_str()), (Some("ERROR"), Some("UNKNOWN_TYPE")));
    let heartbeat = json!({"type": "HEARTBEAT"});
    for _ in 0..19 {
        assert_eq!(client.say(NOW, &heartbeat).0[0]["type"], "HEARTBEAT");
    }
    let (replies, _) = client.say(NOW, &heartbeat);
    assert!(replies[0]["payload"].as_str().unwrap().contains("RATE_LIMITED"));
}

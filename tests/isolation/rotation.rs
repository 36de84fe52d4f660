//! Sessions whose key rotated away lose what they had by it, as at the end of a token.

use std::sync::Arc;

use serde_json::{Value, json};
use tickcast::auth::{Grant, Tokens};
use tickcast::config::Config;
use tickcast::dialect::hub::Payload;
use tickcast::market::{Rooms, Symbols};
use tickcast::session::gateway::{Gateway, GatewayLimits, Gateways};
use tickcast::session::hub::{Hub, HubShared};
use tickcast::session::{
    Access, Action, Conversation, Native, Said, SessionEnd, SessionLimits, Subscriptions, engineio, socketio,
};

use crate::listener::{Listener, Place};
use crate::oracle::{Dialect, User};
use crate::running::{now, read_keys};
use crate::stage::{Stage, order, with_keys};
use crate::tokens::{Token, write_keys};

/// What a client of a dialect asks for to hear its own orders.
fn orders(dialect: Dialect) -> Vec<(String, Value)> {
    let plain = |name: &str| (name.to_owned(), Value::Null);
    let trades = |event: &str, more: Value| (format!("{event} trades"), more);
    match dialect {
        Dialect::Native | Dialect::Hub | Dialect::HubText => vec![plain("trades:END"), plain("orders")],
        Dialect::Maven => vec![
            trades("subscribe", json!({"channel": "trades", "symbol": "END"})),
            ("subscribe.private user.orders".to_owned(), json!({"channel": "user.orders"})),
        ],
        Dialect::TradeWithAi => {
            vec![trades("subscribe", json!({"channel": "market-data", "symbols": ["END"]}))]
        }
    }
}

#[test]
fn a_session_ends_for_its_user_when_the_key_of_its_token_goes_and_goes_on_with_a_fresh_one() {
    let stage = Stage::start();
    stage.server.symbols.add("END").unwrap();
    let enter = |dialect, token| {
        let mut listener = stage.enter(dialect, token, Place::Header);
        listener.ask(&orders(dialect));
        assert!(listener.refused.is_empty());
        listener
    };
    let mut gone: Vec<Listener> =
        Dialect::ALL.into_iter().map(|dialect| enter(dialect, Token::RotatedAway)).collect();
    let mut kept: Vec<Listener> =
        Dialect::ALL.into_iter().map(|dialect| enter(dialect, Token::Good(User::Ann))).collect();
    stage.rotate();
    gone.iter_mut().for_each(|session| assert_eq!(session.hear_code(), "TOKEN_EXPIRED"));

    let fresh = Token::Good(User::Ann).text().unwrap();
    stage.publish([order(User::Ann, 1)]);
    kept.iter_mut().for_each(|session| session.hear_mark("1"));
    for (session, dialect) in gone.iter_mut().zip(Dialect::ALL) {
        let refused = Token::RotatedAway.text().unwrap();
        assert!(!session.renew(&refused), "{dialect:?}");
        assert!(session.told.is_empty(), "{dialect:?}: told after its token had ended");
        assert!(session.renew(&fresh), "{dialect:?}");
        session.ask(&orders(dialect));
    }
    stage.publish([order(User::Ann, 2)]);
    gone.iter_mut().chain(&mut kept).for_each(|session| session.hear_mark("2"));
}

/// A conversation without sockets, and its topics.
struct Quiet {
    dialect: Dialect,
    conversation: Box<dyn Conversation>,
    topics: Subscriptions,
}

impl Quiet {
    fn say(&mut self, now: i64, text: &str) -> Vec<Action> {
        let mut actions = Vec::new();
        self.conversation.receive(now, Said::Text(text), &mut self.topics, &mut actions);
        actions
    }

    fn advance(&mut self, now: i64) -> Vec<Action> {
        let mut actions = Vec::new();
        self.conversation.advance(now, &mut self.topics, &mut actions);
        actions
    }
}

/// Four conversations of who came with this grant.
fn conversations(tokens: &Arc<Tokens>, grant: &Grant, token: &str, now: i64) -> Vec<Quiet> {
    let limits = SessionLimits { subscriptions: 9, messages_per_second: 100, messages_burst: 100 };
    let (symbols, rooms) = (Arc::new(Symbols::new(1)), Arc::new(Rooms::default()));
    let access = Access::new(Arc::default(), rooms.clone(), tokens.clone(), Some(grant.clone()));
    let shared = HubShared { symbols: symbols.clone(), limits, status: Arc::default() };
    let gateway = Arc::new(Gateway {
        symbols: symbols.clone(),
        accounts: Arc::default(),
        rooms,
        tokens: tokens.clone(),
        presence: Arc::default(),
        limits: GatewayLimits { subscriptions: 9, maven_messages: 99, tradewithai_messages: 99 },
        dev: false,
    });
    let socketio = || {
        let gateways = Arc::new(Gateways::new(gateway.clone(), Some(token.to_owned())));
        let spoken = socketio::SocketIo::new(gateways, socketio::Options::default(), now);
        let sid = engineio::Sid::random(0).unwrap();
        engineio::EngineIo::new(sid, engineio::Options::default(), false, Box::new(spoken), now)
    };
    let quiet = |dialect, conversation| Quiet { dialect, conversation, topics: Subscriptions::default() };
    vec![
        quiet(Dialect::Native, Box::new(Native::new(symbols, limits, access.clone(), now))),
        quiet(Dialect::Hub, Box::new(Hub::new(shared, access, Payload::Object, now))),
        quiet(Dialect::Maven, Box::new(socketio())),
        quiet(Dialect::TradeWithAi, Box::new(socketio())),
    ]
}

fn texts(actions: &[Action]) -> String {
    let text = |action: &Action| match action {
        Action::Reply(frame) => String::from_utf8_lossy(frame.payload()).into_owned(),
        Action::Join { .. } => " join ".to_owned(),
        Action::Leave { .. } => " leave ".to_owned(),
        Action::Publish(_) => " publish ".to_owned(),
        Action::End(SessionEnd::TokenExpired) => " end: token expired ".to_owned(),
        Action::End(end) => format!(" end: {end:?} "),
    };
    actions.iter().map(text).collect()
}

#[test]
fn a_key_that_goes_is_an_end_that_is_due_at_once_and_the_hub_closes_half_a_minute_later() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.json");
    write_keys(&keys, false);
    let mut config = Config::default();
    with_keys(&mut config, &keys);
    let tokens = Arc::new(Tokens::new(&config).unwrap());
    read_keys(&tokens, &config);
    let (now, token) = (now(), Token::RotatedAway.text().unwrap());
    let grant = tokens.verify(now, &token).unwrap();
    let mut quiet = conversations(&tokens, &grant, &token, now);
    for Quiet { conversation, topics, .. } in &mut quiet {
        conversation.begin(topics, &mut Vec::new());
    }
    let begun = [
        (r#"{"op":"subscribe","topics":["orders"]}"#, 1),
        (r#"{"type":"SUBSCRIPTION","payload":{"action":"subscribe","topics":["orders"]}}"#, 1),
        ("40/ws,", 1),
        ("40", 5),
    ];
    for (client, (words, joins)) in quiet.iter_mut().zip(begun) {
        let said = texts(&client.say(now, words));
        assert!(said.matches(" join ").count() >= joins, "{:?}: {said}", client.dialect);
        assert!(client.conversation.next_due().is_none_or(|due| due > now), "{:?}", client.dialect);
    }
    assert_eq!(tokens.rotations(), 0);
    write_keys(&keys, true);
    read_keys(&tokens, &config);
    assert_eq!(tokens.rotations(), 1);
    for client in &mut quiet {
        assert!(client.conversation.next_due().is_some_and(|due| due <= now), "{:?}", client.dialect);
        let said = texts(&client.advance(now));
        assert!(said.contains(" leave ") && said.contains("TOKEN_EXPIRED"), "{:?}: {said}", client.dialect);
        assert!(!said.contains(" end: "), "{:?}: {said}", client.dialect);
        assert!(client.conversation.next_due().is_none_or(|due| due > now), "told once");
    }
    let hub = &mut quiet[1];
    assert!(!texts(&hub.advance(now + 29_999)).contains(" end: "));
    assert!(texts(&hub.advance(now + 30_000)).contains(" end: token expired "));
    read_keys(&tokens, &config);
    assert_eq!(tokens.rotations(), 1, "the same keys again are no rotation");
}

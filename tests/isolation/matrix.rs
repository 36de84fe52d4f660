//! The matrix itself: who comes how, and what each has to hear.

use serde_json::{Value, json};

use crate::events::{Event, Events};
use crate::listener::{Listener, Outside, Place, knock};
use crate::oracle::{Dialect, Standing, User, is_market, may_have, pictures, standing, told};
use crate::running::until;
use crate::stage::{Stage, trade};
use crate::tokens::Token;

const SYMBOL: &str = "BTC/USD";

/// Somebody of the matrix.
struct Member {
    dialect: Dialect,
    /// How it came, for people.
    how: String,
    me: Standing,
    /// A wrong token that it sends while connected: it stays who it was.
    renews: Option<Token>,
    listener: Listener,
}

#[test]
fn everybody_hears_what_the_protocol_says_and_nobody_hears_more() {
    let stage = Stage::start();
    let before = Events::before();
    begin(&stage, &before);
    // A token of the key that now goes was good until here.
    drop(stage.enter(Dialect::Native, Token::RotatedAway, Place::Query));
    stage.rotate();

    let (mut members, outsiders) = gather(&stage);
    for member in &mut members {
        ask(member);
    }
    let events = Events::while_listening();
    stage.publish(events.iter().map(|event| event.body.clone()));
    stage.publish([trade(SYMBOL, 2, "1.60")]);
    stage.publish([trade("END", 1, "1")]);
    let heard: usize = members.iter_mut().map(|member| check(member, &before, &events)).sum();
    assert!(heard > 4_000, "only {heard} objects were held against the oracle");
    outsiders.into_iter().for_each(|(dialect, outside)| outside.heard_nothing(dialect));
}

/// A market, and something open of every user.
fn begin(stage: &Stage, before: &[Event]) {
    let server = &stage.server;
    let symbol = server.symbols.add(SYMBOL).unwrap();
    server.symbols.add("END").unwrap();
    let levels = json!({"bids": [["1.00", "1"]], "asks": [["2.00", "1"]]});
    let book = json!({"type": "book.snapshot", "symbol": SYMBOL, "bids": levels["bids"],
        "asks": levels["asks"], "lastUpdateId": 7});
    let bodies = before.iter().map(|event| event.body.clone());
    stage.publish([trade(SYMBOL, 1, "1.50"), book].into_iter().chain(bodies));
    until("the market is there", || {
        let cells = server.board.cells(symbol);
        cells.is_some_and(|cells| cells.book.with(|book| book.last_update_id == 7))
    });
}

/// Everybody comes. Those who must not come in are seen to stay outside.
fn gather(stage: &Stage) -> (Vec<Member>, Vec<(Dialect, Outside)>) {
    let (mut members, mut outsiders) = (Vec::new(), Vec::new());
    let good = User::ALL.map(Token::Good);
    for dialect in Dialect::ALL {
        for token in Token::BAD.into_iter().chain(good).chain([Token::None]) {
            for place in [Place::Query, Place::Header, Place::Auth] {
                let has_place = dialect.namespace().is_some() || place != Place::Auth;
                if !has_place || (token == Token::None && place != Place::Query) {
                    continue;
                }
                let how = format!("{dialect:?} with {token:?} in {place:?}");
                let me = standing(dialect, token);
                match (me, knock(stage.server.address, dialect, token.text().as_deref(), place)) {
                    (Standing::Refused, Err(outside)) => {
                        check_refusal(&how, dialect, token, &outside);
                        outsiders.push((dialect, outside));
                    }
                    (Standing::Nobody | Standing::User(_), Ok(listener)) => {
                        members.push(Member { dialect, how, me, renews: None, listener });
                    }
                    (Standing::Refused, Ok(_)) => panic!("{how}: was let in"),
                    (_, Err(outside)) => panic!("{how}: was refused: {}", outside.answer),
                }
            }
        }
        for token in Token::BAD {
            let listener = stage.enter(dialect, Token::Good(User::Ann), Place::Header);
            let how = format!("{dialect:?}, Ann, who sends {token:?} afterwards");
            let me = Standing::User(User::Ann);
            members.push(Member { dialect, how, me, renews: Some(token), listener });
        }
    }
    (members, outsiders)
}

/// A refusal has the dialect's own form, and repeats nothing of the token.
fn check_refusal(how: &str, dialect: Dialect, token: Token, outside: &Outside) {
    match dialect.namespace() {
        _ if token == Token::Huge && outside.status == 431 => {}
        Some(_) => {
            assert_eq!(outside.status, 0, "{how}");
            assert!(outside.answer.contains("UNAUTHORIZED"), "{how}: {}", outside.answer);
        }
        None => assert_eq!(outside.status, 401, "{how}: {}", outside.answer),
    }
    for part in token.text().iter().flat_map(|text| text.split('.')).filter(|part| part.len() > 8) {
        assert!(!outside.answer.contains(part), "{how}: the token is repeated: {}", outside.answer);
    }
}

/// Asks for all that there is, and is given what the oracle says.
fn ask(member: &mut Member) {
    let asks = asks(member.dialect);
    member.listener.ask(&asks);
    for (name, argument) in &asks {
        let may = may_have(member.dialect, member.me, name);
        let had = !member.listener.refused.contains(name);
        assert_eq!(had, may, "{}: {name} {argument}", member.how);
    }
    if let Some(token) = member.renews {
        assert!(!member.listener.renew(&token.text().unwrap()), "{}", member.how);
    }
}

/// Compares what was heard with the oracle, and says how much it was.
fn check(member: &mut Member, before: &[Event], events: &[Event]) -> usize {
    let Member { dialect, how, me, listener, .. } = member;
    listener.hear_all();
    let mut expected = pictures(*dialect, *me, before);
    expected.extend(events.iter().flat_map(|event| told(*dialect, *me, event)));
    let mut heard = listener.told.clone();
    expected.sort();
    heard.sort();
    let missing: Vec<_> = expected.iter().filter(|one| !heard.contains(one)).collect();
    let leaked: Vec<_> = heard.iter().filter(|one| !expected.contains(one)).collect();
    assert!(missing.is_empty() && leaked.is_empty(), "{how}: missing {missing:#?}, not promised {leaked:#?}");
    assert_eq!(heard, expected, "{how}: something came twice");
    let is_admin = matches!(dialect, Dialect::Hub | Dialect::HubText) && *me == Standing::User(User::Root);
    for user in listener.names() {
        assert!(is_admin || *me == Standing::User(user), "{how}: was told of {user:?}");
    }
    heard.len()
}

/// Everything that a client of a dialect can ask for, its own and others', real and not.
fn asks(dialect: Dialect) -> Vec<(String, Value)> {
    let plain = |name: String| (name, Value::Null);
    let with = |event: &str, channel: &str, more: Value| {
        let mut argument = json!({"channel": channel});
        argument.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        (format!("{event} {channel}"), argument)
    };
    let mut asks = Vec::new();
    match dialect {
        Dialect::Native | Dialect::Hub | Dialect::HubText => {
            asks.extend(engine_topics().into_iter().map(plain));
        }
        Dialect::Maven => {
            for channel in ["user.orders", "user.trades", "user.balances", "user.deposits", "user.positions"]
            {
                asks.push(with("subscribe.private", channel, json!({})));
                asks.push(with("subscribe", channel, json!({})));
            }
            for channel in ["ticker", "orderbook", "trades"] {
                asks.push(with("subscribe", channel, json!({"symbol": SYMBOL})));
            }
            asks.push(with("subscribe", "ticker", json!({"symbol": "all"})));
            for interval in ["1m", "1d"] {
                asks.push(with("subscribe", "klines", json!({"symbol": SYMBOL, "interval": interval})));
            }
            asks.push(with("subscribe", "trades", json!({"symbol": "END"})));
        }
        Dialect::TradeWithAi => {
            for channel in ["llm", "user"] {
                asks.push(with("subscribe", channel, json!({})));
            }
            asks.push(with("subscribe", "market-data", json!({})));
            asks.push(with("subscribe", "market-data", json!({"symbols": [SYMBOL, "END"]})));
        }
    }
    if dialect.namespace().is_some() {
        for room in ["news", "lounge", "attic", "orders", "trading"] {
            asks.push(with("subscribe", room, json!({})));
        }
        for user in User::ALL {
            for room in [format!("user:{}", user.name()), format!("user:{}:orders", user.name())] {
                asks.push(with("subscribe", &room, json!({})));
                // The other gateway has no such event: it would not be answered.
                if dialect == Dialect::Maven {
                    asks.push(with("subscribe.private", &room, json!({})));
                }
            }
        }
    }
    asks
}

/// The names of the plain WebSocket dialects.
fn engine_topics() -> Vec<String> {
    let mut names: Vec<String> = [
        "orders",
        "trades",
        "balances",
        "deposits",
        "positions",
        "strategies",
        "llm",
        "user",
        "trading",
        "room:news",
        "room:lounge",
        "room:attic",
        "room:trading",
        "strategy:nobodys",
        "strategy:nobodys:orders",
        "user:orders",
        "everyone",
        "admin",
    ]
    .map(str::to_owned)
    .to_vec();
    for user in User::ALL {
        let (id, strategy) = (user.name(), user.strategy());
        names.extend(["orders", "positions", "balances", "trades"].map(|part| format!("user:{id}:{part}")));
        names.extend([format!("user:{id}"), format!("orders:{id}"), format!("llm:{id}")]);
        names.extend([format!("strategy:{strategy}"), format!("strategy:{strategy}:orders")]);
    }
    names.extend(["ticker:*".to_owned(), "trades:END".to_owned(), format!("trades:{SYMBOL}")]);
    for speed in ["", ":raw", ":100ms", ":1000ms"] {
        names.push(format!("ticker:{SYMBOL}{speed}"));
        for depth in ["", ":1", ":5", ":10", ":20", ":50", ":full"] {
            names.push(format!("book:{SYMBOL}{depth}{speed}"));
        }
    }
    for interval in ["1m", "3m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "1M"] {
        names.push(format!("kline:{SYMBOL}:{interval}"));
    }
    debug_assert!(names.iter().any(|name| is_market(name)));
    names
}

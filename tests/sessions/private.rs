//! Publishing, and what users hear of it: theirs, in order, once, and nobody else's.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tickcast::config::Config;

use crate::raw::{Raw, post, upgrade};
use crate::running::{Running, now, secrets, token};

pub(crate) fn running(change: impl FnOnce(&mut Config)) -> Running {
    Running::start(|config| {
        config.secrets = secrets();
        config.rooms.public = vec!["news".into()];
        config.rooms.users = vec!["lounge".into()];
        change(config);
    })
}

fn connect(address: SocketAddr, user: &str, seconds: i64) -> Raw {
    Raw::connect_to(address, &format!("/v1/ws?token={}", token(user, "", seconds)))
}

pub(crate) fn order(user: &str, id: u32) -> Value {
    json!({"type": "order.created", "userId": user, "data": {"orderId": id.to_string(), "price": "1.50"}})
}

#[test]
fn a_user_hears_what_is_its_own_from_a_snapshot_on_and_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let server = running(|config| config.data_dir = Some(folder.path().into()));
    let publisher = token("backend", "publish", 60);
    let publish = |body: Value| post(server.address, &publisher, &body.to_string());
    let (status, answer) = publish(json!([order("ann", 1), order("bob", 1), {"type": "nope"}]));
    assert_eq!((status, &answer["accepted"], &answer["seqs"]), (200, &json!(2), &json!([1, 1, null])));
    assert_eq!(
        (&answer["rejected"][0]["index"], &answer["rejected"][0]["code"]),
        (&json!(2), &json!("UNKNOWN_TYPE"))
    );

    let mut ann = connect(server.address, "ann", 60);
    assert_eq!(
        ann.subscribe(&["orders", "balances", "trading"])["topics"],
        json!(["orders", "balances", "trading"])
    );
    let snapshot = ann.hear();
    assert_eq!(
        (&snapshot["type"], &snapshot["seq"], &snapshot["userSeq"]),
        (&json!("snapshot"), &json!(1), &json!(1))
    );
    assert_eq!(snapshot["data"], json!({"orders": [{"orderId": "1", "price": "1.50"}]}));
    assert_eq!(ann.hear()["data"], json!({"balances": []}));

    publish(json!([
        {"type": "balance.locked", "userId": "ann", "data": {"currency": "USD", "amount": "5.00"}},
        {"type": "order.filled", "userId": "ann", "eventId": "f1",
         "data": {"orderId": "1", "symbol": "X", "side": "BUY", "price": "1.50"}},
    ]));
    let locked = ann.hear();
    assert_eq!(
        (&locked["topic"], &locked["seq"], &locked["userSeq"]),
        (&json!("balances"), &json!(1), &json!(2))
    );
    assert_eq!(locked["data"], json!({"event": "balance.locked", "currency": "USD", "amount": "5.00"}));
    let filled = ann.hear();
    assert_eq!(
        (&filled["topic"], &filled["seq"], &filled["userSeq"]),
        (&json!("orders"), &json!(2), &json!(3))
    );
    let copy = ann.hear();
    assert_eq!(
        (&copy["topic"], &copy["data"]),
        (&json!("trading"), &json!({"symbol": "X", "side": "BUY", "price": "1.50"}))
    );

    let again = json!({"type": "order.filled", "userId": "ann", "eventId": "f1", "data": {"orderId": "1"}});
    assert_eq!(publish(again).1["seqs"], json!([2]), "a repetition gets its first number");
    publish(order("ann", 9));
    assert_eq!(ann.hear()["seq"], json!(3), "and is not told again");
    let epoch = filled["epoch"].as_str().unwrap().to_owned();
    drop(ann);
    server.ended();

    let server = running(|config| config.data_dir = Some(folder.path().into()));
    let mut ann = connect(server.address, "ann", 60);
    let since = |seq: u64| {
        json!({"op": "subscribe", "topics": ["orders"], "since": {"orders": {"epoch": epoch, "seq": seq}}})
            .to_string()
    };
    ann.say(&since(1));
    assert_eq!(ann.hear()["type"], json!("ok"));
    assert_eq!([ann.hear()["seq"].clone(), ann.hear()["seq"].clone()], [json!(2), json!(3)]);
    let mut other = connect(server.address, "ann", 60);
    other.say(&since(77));
    assert_eq!(other.hear()["type"], json!("ok"));
    assert_eq!(other.hear()["recovered"], json!(false));
}

#[test]
fn nobody_hears_what_is_anothers() {
    let server = running(|config| config.dev = true);
    let publisher = token("backend", "publish", 60);
    let mut nobody = Raw::connect(server.address);
    for topic in ["orders", "trades", "balances", "strategy:grid", "llm", "user", "room:lounge"] {
        assert_eq!(nobody.subscribe(&[topic])["code"], json!("UNAUTHORIZED"), "{topic}");
    }
    let strategy =
        json!({"type": "strategy.updated", "strategyId": "grid", "userId": "ann", "data": {"pnl": "1"}});
    assert_eq!(post(server.address, &publisher, &strategy.to_string()).0, 200);
    let mut bob = connect(server.address, "bob", 60);
    for topic in ["strategy:grid", "strategy:grid:orders", "strategy:unknown"] {
        assert_eq!(bob.subscribe(&[topic])["code"], json!("FORBIDDEN"), "{topic}");
    }
    for topic in ["user:ann:orders", "orders:ann", "room:none"] {
        assert_eq!(bob.subscribe(&[topic])["code"], json!("UNKNOWN_TOPIC"), "{topic}");
    }
    bob.subscribe(&["orders", "user"]);
    assert_eq!(bob.hear()["data"], json!({"orders": []}));
    let stolen =
        json!({"type": "order.created", "userId": "bob", "strategyId": "grid", "data": {"orderId": "1"}});
    let stolen = post(server.address, &publisher, &stolen.to_string());
    assert_eq!((stolen.0, &stolen.1["rejected"][0]["code"]), (400, &json!("FOREIGN_STRATEGY")));
    let sent = json!([order("ann", 1), {"userId": "ann", "event": "hi", "data": 1}, {"userId": "bob", "event": "hi", "data": 2}]);
    post(server.address, &publisher, &sent.to_string());
    let heard = bob.hear();
    assert_eq!((&heard["topic"], &heard["data"]), (&json!("user"), &json!({"event": "hi", "data": 2})));
    let mut ann = connect(server.address, "ann", 60);
    ann.subscribe(&["strategy:grid"]);
    assert_eq!(ann.hear()["data"], json!({"strategy": {"pnl": "1"}}));
}

#[test]
fn rooms_reach_those_who_joined_them() {
    let server = running(|_| {});
    let publisher = token("backend", "publish", 60);
    let mut nobody = Raw::connect(server.address);
    nobody.subscribe(&["room:news"]);
    let room = |name: &str| json!({"room": name, "event": "flash", "data": {"a": 1.50}}).to_string();
    assert_eq!(post(server.address, &publisher, &room("news")).0, 200);
    let heard = nobody.hear();
    assert_eq!((&heard["topic"], &heard["seq"]), (&json!("room:news"), &json!(1)));
    assert_eq!(
        post(server.address, &publisher, &room("other")).1["rejected"][0]["code"],
        json!("UNKNOWN_ROOM")
    );
}

#[test]
fn publishing_needs_a_token_with_the_scope_and_a_body_within_the_limit() {
    let server = running(|config| config.publish.bytes = 2_000.try_into().unwrap());
    let body = order("ann", 1).to_string();
    assert_eq!(post(server.address, "", &body).0, 401);
    assert_eq!(post(server.address, "a.b.c", &body).0, 401);
    assert_eq!(post(server.address, &token("ann", "publish", -1), &body).1["code"], json!("TOKEN_EXPIRED"));
    assert_eq!(post(server.address, &token("ann", "admin", 60), &body).0, 403);
    let good = token("backend", "publish", 60);
    assert_eq!(post(server.address, &good, &"x".repeat(2_001)).0, 413);
    assert_eq!(post(server.address, &good, "[]").0, 200);
    assert_eq!(post(server.address, &good, "nonsense").0, 400);
    let (status, answer) = post(server.address, &good, &body);
    assert_eq!(
        (status, &answer["rejected"][0]["code"]),
        (503, &json!("NOT_DURABLE")),
        "there is no data_dir"
    );
}

#[test]
fn a_body_that_is_cut_off_changes_nothing() {
    let server = running(|config| config.dev = true);
    let good = token("backend", "publish", 60);
    let body = format!("{}\n{}", order("ann", 1), order("ann", 2));
    let mut raw = Raw::socket(server.address);
    let head = format!(
        "POST /publish?token={good} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len() + 1
    );
    raw.send(head.as_bytes());
    raw.send(body.as_bytes());
    drop(raw);
    assert_eq!(post(server.address, &good, &order("ann", 3).to_string()).1["seqs"], json!([1]));
}

#[test]
fn a_published_market_is_a_market() {
    let server = running(|_| {});
    server.symbols.add("BTC/USD").unwrap();
    let good = token("backend", "publish", 60);
    let mut client = Raw::connect(server.address);
    client.subscribe(&["trades:BTC/USD"]);
    let trade = json!({"type": "trade", "symbol": "BTC/USD", "price": "45000.00", "quantity": "1.5",
        "tradeId": "t1", "timestamp": now(), "side": "BUY"});
    assert_eq!(post(server.address, &good, &trade.to_string()).0, 200);
    let heard = client.hear();
    assert_eq!((&heard["data"]["price"], &heard["data"]["quantity"]), (&json!("45000.00"), &json!("1.5")));
}

#[test]
fn a_token_that_ends_takes_its_topics_along_and_a_fresh_one_brings_them_back() {
    let server = running(|config| config.dev = true);
    let publisher = token("backend", "publish", 60);
    let mut ann = connect(server.address, "ann", 2);
    ann.subscribe(&["orders"]);
    assert_eq!(ann.hear()["type"], json!("snapshot"));
    assert_eq!(ann.hear()["code"], json!("TOKEN_EXPIRED"));
    post(server.address, &publisher, &order("ann", 1).to_string());
    ann.say(r#"{"op":"list"}"#);
    assert_eq!(ann.hear()["topics"], json!([]));
    assert_eq!(ann.subscribe(&["orders"])["code"], json!("UNAUTHORIZED"));
    ann.say(&json!({"op": "auth", "token": token("ann", "", -5)}).to_string());
    assert_eq!(ann.hear()["code"], json!("TOKEN_EXPIRED"));
    ann.say(&json!({"op": "auth", "token": token("ann", "", 60)}).to_string());
    assert_eq!(ann.hear()["user"], json!("ann"));
    ann.subscribe(&["orders"]);
    assert_eq!(ann.hear()["seq"], json!(1));
    ann.say(&json!({"op": "auth", "token": token("bob", "", 60)}).to_string());
    assert_eq!(ann.hear()["user"], json!("bob"));
    ann.say(r#"{"op":"list"}"#);
    assert_eq!(ann.hear()["topics"], json!([]), "another user's topics do not stay");
}

#[test]
fn a_wrong_token_is_refused_at_the_door() {
    let server = running(|_| {});
    for wrong in ["x".to_owned(), token("ann", "", -1), "e30.e30.".to_owned()] {
        let mut raw = Raw::socket(server.address);
        raw.send(upgrade(&format!("/v1/ws?token={wrong}"), "").as_bytes());
        assert!(raw.head().starts_with("HTTP/1.1 401 "), "{wrong}");
    }
}

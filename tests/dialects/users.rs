//! What the gateways do for many clients at once: whose events reach whom, who is counted, who comes in.

use std::num::NonZeroUsize;

use serde_json::{Value, json};
use tickcast::auth::{Mint, mint};

use crate::gateway::{Gateway, MAVEN, TRADEWITHAI};
use crate::raw::{Raw, post, upgrade};
use crate::running::{Running, now, secrets, token, until};

fn running() -> (Running, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(|config| {
        config.secrets = secrets();
        config.data_dir = Some(folder.path().into());
        config.rooms.public = vec!["news".into()];
    });
    (server, folder)
}

fn publish(server: &Running, objects: &Value) {
    let (status, answer) = post(server.address, &token("backend", "publish", 60), &objects.to_string());
    assert_eq!((status, &answer["rejected"]), (200, &json!([])), "{answer}");
}

/// Clients of one user on each gateway, with everything that they may ask for.
fn clients(server: &Running, user: &str) -> [Gateway; 4] {
    let token = token(user, "", 60);
    let connect = |namespace| Gateway::connect(server.address, namespace, Some(&token));
    let mut clients = [connect(MAVEN), connect(MAVEN), connect(TRADEWITHAI), connect(TRADEWITHAI)];
    for client in &mut clients[..2] {
        for channel in ["user.orders", "user.trades", "user.balances", "user.deposits"] {
            let answer = client.ask("subscribe.private", &json!({"channel": channel}));
            assert_eq!(answer["room"], format!("user:{user}:{}", &channel[5..]));
            assert_eq!(client.hear(), ("subscribed".to_owned(), answer));
        }
    }
    clients
}

#[test]
fn what_happens_to_a_user_reaches_each_of_its_sessions_once_and_nobody_elses() {
    let (server, _folder) = running();
    let (mut ann, mut bob) = (clients(&server, "ann"), clients(&server, "bob"));
    let mut nobody = Gateway::connect(server.address, MAVEN, None);
    nobody.ask("subscribe", &json!({"channel": "news"}));
    nobody.hear();
    let order = json!({"orderId": "1", "symbol": "BTC/USD", "side": "BUY", "price": "1.50", "note": "ann's"});
    let trade = json!({"tradeId": "1", "role": "maker", "price": "1.50", "quantity": "2", "fee": "0.01"});
    let balance = json!({"currency": "USD", "newBalance": "10.00"});
    publish(
        &server,
        &json!([
            {"type": "order.filled", "userId": "ann", "data": order},
            {"type": "trade.executed", "userId": "ann", "data": trade},
            {"type": "balance.updated", "userId": "ann", "data": balance},
            {"userId": "ann", "event": "hello", "data": "ann"},
            {"userId": "bob", "event": "hello", "data": "bob"},
            {"room": "news", "event": "hello", "data": "all"},
        ]),
    );
    let own = |room: &str| format!("user:ann{room}");
    for client in &mut ann[..2] {
        for (name, room, data) in [
            ("order.filled", ":orders", &order),
            ("trade.executed", ":trades", &trade),
            ("balance.updated", ":balances", &balance),
            ("hello", "", &json!("ann")),
        ] {
            let (heard, told) = client.hear();
            assert_eq!((&*heard, &told["room"], &told["data"]), (name, &json!(own(room)), data));
            assert!(told["timestamp"].is_i64() && told.as_object().unwrap().len() == 3, "{told}");
        }
    }
    for client in &mut ann[2..] {
        for event in [("order:filled", &order), ("balance:updated", &balance), ("hello", &json!("ann"))] {
            let (name, told) = client.hear();
            assert_eq!((&*name, &told), event);
        }
    }
    // Everything was told in one order: what comes first to the others is what comes behind ann's.
    for client in &mut bob[..2] {
        let (name, told) = client.hear();
        assert_eq!((&*name, &told["data"]), ("hello", &json!("bob")));
    }
    for client in &mut bob[2..] {
        assert_eq!(client.hear(), ("hello".to_owned(), json!("bob")));
    }
    assert_eq!(nobody.hear().1["data"], "all");
}

#[test]
fn the_public_copy_of_a_fill_holds_its_three_fields_alone() {
    let (server, _folder) = running();
    let mut watching = Gateway::connect(server.address, TRADEWITHAI, Some(&token("bob", "", 60)));
    watching.ask("subscribe", &json!({"channel": "trading"}));
    watching.hear();
    let mut on_maven = Gateway::connect(server.address, MAVEN, Some(&token("bob", "", 60)));
    let data = json!({"orderId": "o1", "userId": "ann", "symbol": "BTC/USD", "side": "BUY", "price": "1.00",
        "filledPrice": "1.50", "filledAt": 5, "email": "ann@example.com", "strategyId": "grid"});
    publish(
        &server,
        &json!([
            {"type": "strategy.updated", "strategyId": "grid", "userId": "ann", "data": {}},
            {"type": "order.filled", "userId": "ann", "data": data},
            {"userId": "bob", "event": "end", "data": null},
        ]),
    );
    let copy = json!({"symbol": "BTC/USD", "side": "BUY", "price": "1.50"});
    assert_eq!(watching.hear(), ("order:filled".to_owned(), copy));
    assert_eq!(watching.hear().0, "end");
    assert_eq!(on_maven.hear().0, "end");
}

#[test]
fn a_token_is_taken_from_the_address_and_the_header_as_well_and_the_auth_object_counts_most() {
    let (server, _folder) = running();
    let (ann, bob, late) = (token("ann", "", 60), token("bob", "", 60), token("ann", "", -1));
    for namespace in [MAVEN, TRADEWITHAI] {
        let joined = |query: &str, header: &str, auth: Value| {
            let mut client = Gateway::connect_with(server.address, namespace, query, header);
            client.join(&auth)?;
            Ok::<_, Value>(client.hear().1["userId"].clone())
        };
        let header = |token: &str| format!("Authorization: Bearer {token}\r\n");
        assert_eq!(joined(&format!("&token={ann}"), "", json!({})), Ok(json!("ann")));
        assert_eq!(joined("", &header(&ann), json!({})), Ok(json!("ann")));
        assert_eq!(joined(&format!("&token={bob}"), "", json!({"token": ann})), Ok(json!("ann")));
        assert_eq!(joined("", &header(&bob), json!({"token": null})), Ok(json!("bob")));
        for refused in [
            joined("&token=a.b.c", "", json!({})),
            joined("", &header(&late), json!({})),
            joined(&format!("&token={ann}"), "", json!({"token": late})),
        ] {
            assert_eq!(refused.unwrap_err()["data"]["code"], "UNAUTHORIZED");
        }
    }
}

#[test]
fn clients_are_told_how_many_they_are_at_most_once_a_second_however_many_come_and_go() {
    let (server, _folder) = running();
    let token = token("ann", "", 60);
    let connect = || Gateway::connect(server.address, TRADEWITHAI, Some(&token));
    let (began, mut first) = (now(), connect());
    let mut others: Vec<_> = (0..40).map(|_| connect()).collect();
    others.truncate(20);
    let mut counts = 0;
    loop {
        let (name, told) = first.hear_any();
        assert_eq!((&*name, told.as_object().unwrap().len()), ("connection-count", 2), "{told}");
        assert!(told["timestamp"].as_str().unwrap().ends_with('Z'));
        counts += 1;
        if told["count"] == 21 {
            break;
        }
    }
    // One more, where the first tick came right at the begin.
    assert!(counts <= (now() - began) / 1_000 + 1, "{counts} in {} ms", now() - began);
    // Maven's clients are none of them.
    let mut maven = Gateway::connect(server.address, MAVEN, Some(&token));
    drop(others.pop());
    while first.hear_any().1["count"] != 20 {}
    assert_eq!(maven.ask("ping", &json!(null))["timestamp"].as_i64().map(|time| time >= began), Some(true));
    assert_eq!(maven.hear().0, "pong");
}

/// What `/stats` answers somebody with this token.
fn stats(server: &Running, token: &str) -> (u16, Value) {
    let mut raw = Raw::socket(server.address);
    let head = format!("GET /stats?token={token} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    raw.send(head.as_bytes());
    let status = raw.head()[9..12].parse().unwrap();
    (status, serde_json::from_slice(&raw.rest()).unwrap())
}

#[test]
fn admins_are_shown_who_is_there_and_others_are_not() {
    let (server, _folder) = running();
    server.symbols.add("BTC/USD").unwrap();
    let admin = token("root", "admin", 60);
    for (token, status) in [("", 401), ("a.b.c", 401), (&*token("ann", "publish", 60), 403)] {
        assert_eq!(stats(&server, token).0, status, "{token}");
    }
    let nobody = json!({"connectedClients": 0, "totalSubscriptions": 0, "clients": []});
    assert_eq!(stats(&server, &admin), (200, nobody.clone()));
    let what = Mint { email: Some("ann@example.com".into()), ..Mint::new("ann", now(), 60) };
    let mut ann = Gateway::connect_with(server.address, TRADEWITHAI, "", "");
    let sid = ann.join(&json!({"token": mint(&what, &secrets()).unwrap()})).unwrap()["sid"].clone();
    ann.ask("subscribe", &json!({"channel": "trading"}));
    ann.ask("subscribe", &json!({"channel": "market-data", "symbols": ["BTC/USD"]}));
    // Maven's clients are none of them.
    let _maven = Gateway::connect(server.address, MAVEN, None);
    let expected = json!({"connectedClients": 1, "totalSubscriptions": 2, "clients": [{"id": sid,
        "userId": "ann", "email": "ann@example.com", "subscriptions": ["trading", "market-data:BTC/USD"]}]});
    assert_eq!(stats(&server, &admin), (200, expected));
    drop(ann);
    until("nobody is there", || stats(&server, &admin).1 == nobody);
}

#[test]
fn one_client_too_many_is_told_so_on_either_transport_until_another_goes() {
    let server = Running::start(|config| config.limits.connections = NonZeroUsize::MIN);
    let status = |transport: &str| {
        let mut raw = Raw::socket(server.address);
        raw.send(upgrade(&format!("/socket.io/?EIO=4&transport={transport}"), "").as_bytes());
        raw.head()[9..12].to_owned()
    };
    let first = Gateway::connect_with(server.address, MAVEN, "", "");
    assert_eq!(["polling", "websocket"].map(status), ["503", "503"]);
    drop(first);
    until("the place is free", || status("polling") == "200");
    assert_eq!(status("websocket"), "503", "a session on polling has a place, too");
}

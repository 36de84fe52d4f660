//! One rising number over all that happens to a user: also what is told under two topics has two.

use serde_json::{Value, json};

use crate::oracle::User;
use crate::raw::Raw;
use crate::stage::{Stage, order};
use crate::tokens::Token;

/// The topic, `seq` and `userSeq` of each of the next messages, in the order of `userSeq`.
fn numbers(client: &mut Raw, count: usize) -> Vec<(String, u64, u64)> {
    let number = |message: &Value, name: &str| message[name].as_u64().unwrap();
    let one = |_| {
        let message = client.hear();
        assert_eq!(message["type"], "update", "{message}");
        let topic = message["topic"].as_str().unwrap().to_owned();
        (topic, number(&message, "seq"), number(&message, "userSeq"))
    };
    let mut numbers: Vec<_> = (0..count).map(one).collect();
    numbers.sort_by_key(|(_, _, user_seq)| *user_seq);
    numbers
}

#[test]
fn an_order_of_a_strategy_has_a_number_of_its_own_in_each_of_its_topics_also_when_it_is_resumed() {
    let stage = Stage::start();
    let of_strategy = |id: u32| {
        let mut order = order(User::Ann, id);
        order["strategyId"] = User::Ann.strategy().into();
        order
    };
    stage.publish([of_strategy(1)]);
    let orders_of_it = format!("strategy:{}:orders", User::Ann.strategy());
    let topics = ["orders", &*orders_of_it];
    let token = Token::Good(User::Ann).text().unwrap();
    let connect = || Raw::connect_to(stage.server.address, &format!("/v1/ws?token={token}"));

    let mut client = connect();
    assert_eq!(client.subscribe(&topics)["topics"], json!(topics));
    let pictures = [client.hear(), client.hear()];
    let at = |picture: &Value| (picture["seq"].as_u64(), picture["userSeq"].as_u64());
    assert_eq!(pictures.each_ref().map(at), [(Some(1), Some(2)); 2]);
    stage.publish([of_strategy(2), order(User::Ann, 3)]);
    let name = |topic: &str| topic.to_owned();
    let expected = [(name("orders"), 2, 3), (orders_of_it.clone(), 2, 4), (name("orders"), 3, 5)];
    assert_eq!(numbers(&mut client, 3), expected);

    let since = json!({"epoch": pictures[0]["epoch"], "seq": 1});
    let mut again = connect();
    let ask = json!({"op": "subscribe", "topics": topics, "since": {"orders": since, &*orders_of_it: since}});
    again.say(&ask.to_string());
    assert_eq!(again.hear()["type"], "ok");
    assert_eq!(numbers(&mut again, 3), expected);
}

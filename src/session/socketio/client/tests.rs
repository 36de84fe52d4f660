//! Connections without sockets: what is said in namespaces, and what comes back.

use super::*;
use crate::dialect::Dialect;

/// `/` and `/custom` as the conformance suites want them, and more events that try the rest.
struct Suite;

impl Service for Suite {
    fn open(&self, name: &str) -> Option<Box<dyn Namespace>> {
        matches!(name, "/" | "/custom").then(|| Box::new(Room::default()) as Box<dyn Namespace>)
    }
}

#[derive(Default)]
struct Room {
    due: Option<Millis>,
}

impl Namespace for Room {
    fn connect(&mut self, _: Millis, _: &str, auth: &str, out: &mut Outlet<'_>) -> Result<(), Refusal> {
        if auth.contains("wrong") {
            return Err(Refusal { message: "no".into(), data: Some("{\"code\":1}".into()) });
        }
        out.emit("auth", |out| out.extend_from_slice(auth.as_bytes()));
        if auth.contains("bye") {
            out.disconnect();
        }
        Ok(())
    }

    fn event(&mut self, now: Millis, event: &Event<'_>, out: &mut Outlet<'_>) {
        let channel = Dialect::Native.of(Topic::Tickers);
        match (&*event.name, event.ack) {
            ("message", _) => out.emit_values("message-back", &event.arguments, event.attachments),
            ("message-with-ack", Some(id)) => out.answer_values(id, &event.arguments, event.attachments),
            ("subscribe", _) => _ = out.subscribe(channel),
            ("unsubscribe", _) => _ = out.unsubscribe(channel),
            ("ask", _) => _ = out.ask("well", |out| out.push(b'1')),
            ("leave", _) => out.disconnect(),
            ("later", _) => self.due = Some(now + 10),
            _ => {}
        }
    }

    fn acked(&mut self, _: Millis, id: AckId, answer: &str, out: &mut Outlet<'_>) {
        let value = format!("[{id},{answer}]");
        out.emit("acked", |out| out.extend_from_slice(value.as_bytes()));
    }

    fn next_due(&self) -> Option<Millis> {
        self.due
    }

    fn advance(&mut self, _: Millis, out: &mut Outlet<'_>) {
        self.due = None;
        out.emit("now", |out| out.push(b'0'));
    }

    fn name(&self, _: Topic) -> String {
        "a topic".into()
    }
}

use super::super::AckId;

struct Client(SocketIo, Subscriptions);

impl Client {
    fn new() -> Client {
        let options = Options { connect_timeout: 1_000, attachments_timeout: 500, max_payload: 100 };
        Client(SocketIo::new(Arc::new(Suite), options, 0), Subscriptions::default())
    }

    fn joined() -> Client {
        let mut client = Client::new();
        client.says("0");
        client
    }

    fn says(&mut self, text: &str) -> Vec<String> {
        self.said(100, Said::Text(text))
    }

    fn said(&mut self, now: Millis, said: Said<'_>) -> Vec<String> {
        let mut actions = Vec::new();
        self.0.receive(now, said, &mut self.1, &mut actions);
        shown(actions)
    }

    fn waits(&mut self, until: Millis) -> Vec<String> {
        let mut actions = Vec::new();
        self.0.advance(until, &mut self.1, &mut actions);
        shown(actions)
    }
}

/// What is done, a line each; random names are replaced by `*`.
fn shown(actions: Vec<Action>) -> Vec<String> {
    let show = |action| match action {
        Action::Reply(frame) => {
            let text = String::from_utf8_lossy(frame.payload()).into_owned();
            match text.split_once("{\"sid\":\"") {
                Some((head, name)) => format!("{head}{{\"sid\":\"*{}", &name[24..]),
                None => text,
            }
        }
        Action::End(end) => format!("{end:?}"),
        Action::Join { .. } => "join".into(),
        Action::Leave { .. } => "leave".into(),
        Action::Publish(_) => panic!("nothing here does it"),
    };
    actions.into_iter().map(show).collect()
}

#[test]
fn a_namespace_is_joined_with_or_without_a_payload() {
    assert_eq!(Client::new().says("0"), ["40{\"sid\":\"*\"}", "42[\"auth\",{}]"]);
    assert_eq!(Client::new().says("0{\"token\":\"123\"}")[1], "42[\"auth\",{\"token\":\"123\"}]");
    for text in ["0/custom,", "0/custom"] {
        assert_eq!(Client::new().says(text), ["40/custom,{\"sid\":\"*\"}", "42/custom,[\"auth\",{}]"]);
    }
}

#[test]
fn an_unknown_namespace_and_a_wrong_token_are_refused_and_may_be_tried_again() {
    let mut client = Client::new();
    assert_eq!(client.says("0/random"), ["44/random,{\"message\":\"Invalid namespace\"}"]);
    assert_eq!(client.says("0{\"token\":\"wrong\"}"), ["44{\"message\":\"no\",\"data\":{\"code\":1}}"]);
    assert_eq!(client.0.next_due(), Some(1_000), "the time to join goes on");
    assert_eq!(client.says("0").len(), 2);
    assert_eq!(client.0.next_due(), None);
}

#[test]
fn what_no_client_may_say_ends_the_connection() {
    for (before, text, end) in [
        ("", "2[\"message\",1]", "NotConnected"),
        ("", "1", "NotConnected"),
        ("0", "0", "ConnectedTwice"),
        ("0", "0{\"token\":\"wrong\"}", "ConnectedTwice"),
        ("0", "2/custom,[\"message\",1]", "NotConnected"),
        ("0", "4{\"message\":\"x\"}", "ServersOwn"),
        ("0", "2{}", "SocketIo(InvalidPayload)"),
        ("0", "2abc[\"message-with-ack\",1]", "SocketIo(InvalidPayload)"),
        ("0", "abc", "SocketIo(UnknownType)"),
    ] {
        let mut client = Client::new();
        if !before.is_empty() {
            client.says(before);
        }
        assert_eq!(client.says(text), [format!("Misspoken({end})")], "{text}");
    }
}

#[test]
fn values_come_back_as_they_were_written() {
    let mut client = Client::joined();
    let said = r#"2["message",1,"2",{"3":[true],"a":1.50}]"#;
    assert_eq!(client.says(said), [r#"42["message-back",1,"2",{"3":[true],"a":1.50}]"#]);
    assert_eq!(
        client.says(r#"2456["message-with-ack",1,"2",{"3":[false]}]"#),
        [r#"43456[1,"2",{"3":[false]}]"#]
    );
    assert_eq!(client.says(r#"2456["nobody listens"]"#), [""; 0]);
    assert_eq!(client.says("2"), [""; 0], "an event without a payload");
}

#[test]
fn attachments_go_with_their_packet_both_ways() {
    let mut client = Client::joined();
    let places = r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}"#;
    assert_eq!(client.says(&format!(r#"52-["message",{places}]"#)), [""; 0]);
    assert_eq!(client.said(100, Said::Binary(b"one")), [""; 0]);
    assert_eq!(
        client.said(100, Said::Binary(b"two")),
        [&format!(r#"452-["message-back",{places}]"#), "one", "two"]
    );
    client.says(&format!(r#"52-789["message-with-ack",{places}]"#));
    client.said(100, Said::Binary(b"one"));
    assert_eq!(client.said(100, Said::Binary(b"two")), [&format!("462-789[{places}]"), "one", "two"]);
}

#[test]
fn attachments_have_a_deadline() {
    let mut client = Client::joined();
    client.says(r#"51-["message",{"_placeholder":true,"num":0}]"#);
    assert_eq!(client.0.next_due(), Some(600));
    assert_eq!((client.waits(599), client.waits(600)), (vec![], vec!["Misspoken(Unfinished)".into()]));
}

#[test]
fn who_joins_nothing_is_let_go() {
    let mut client = Client::new();
    assert_eq!(
        (client.waits(999), client.waits(1_000)),
        (vec![], vec!["Misspoken(NothingConnected)".into()])
    );
}

#[test]
fn leaving_is_not_answered_and_the_others_stay() {
    let mut client = Client::joined();
    client.says("0/custom");
    assert_eq!(client.says("1/custom"), [""; 0]);
    assert_eq!(client.says("2[\"message\",1]"), ["42[\"message-back\",1]"]);
    assert_eq!(client.says("1"), [""; 0]);
    assert_eq!(client.0.next_due(), None, "a connection without namespaces has no deadline of its own");
    assert_eq!(client.says("0").len(), 2, "and may join again");
}

#[test]
fn subscriptions_end_with_their_namespace() {
    let mut client = Client::joined();
    assert_eq!(client.says("2[\"subscribe\"]"), ["join"]);
    assert_eq!(client.says("2[\"subscribe\"]"), [""; 0]);
    assert_eq!(client.says("2[\"unsubscribe\"]"), ["leave"]);
    assert_eq!(client.says("2[\"subscribe\"]"), ["join"]);
    assert_eq!(client.says("1"), ["leave"]);
    assert!(client.1.is_empty());
}

#[test]
fn a_namespace_can_make_its_client_leave() {
    let mut client = Client::joined();
    client.says("2[\"subscribe\"]");
    assert_eq!(client.says("2[\"leave\"]"), ["41", "leave"]);
    assert_eq!(client.says("2[\"message\",1]"), ["Misspoken(NotConnected)"]);
    let mut client = Client::new();
    let done = client.says("0{\"bye\":1}");
    assert_eq!(done, ["40{\"sid\":\"*\"}", "42[\"auth\",{\"bye\":1}]", "41"]);
}

#[test]
fn what_a_server_asks_is_answered_once() {
    let mut client = Client::joined();
    assert_eq!(client.says("2[\"ask\"]"), ["420[\"well\",1]"]);
    assert_eq!(client.says("30[\"yes\"]"), ["42[\"acked\",[0,[\"yes\"]]]"]);
    assert_eq!(client.says("30[\"yes\"]"), [""; 0], "answered already");
    assert_eq!(client.says("37[]"), [""; 0], "never asked");
    assert_eq!(client.says("3[]"), [""; 0], "of no number");
}

#[test]
fn a_namespace_is_looked_at_when_it_is_due() {
    let mut client = Client::joined();
    client.says("2[\"later\"]");
    assert_eq!(client.0.next_due(), Some(110));
    assert_eq!(client.waits(110), ["42[\"now\",0]"]);
    assert_eq!(client.0.next_due(), None);
}

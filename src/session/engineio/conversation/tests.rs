//! Sessions without sockets: what is said, what is answered, and what time does.

use super::*;

/// Says everything back, and ends at `bye`.
struct Echo;

impl Conversation for Echo {
    fn receive(&mut self, _: Millis, said: Said<'_>, _: &mut Subscriptions, actions: &mut Vec<Action>) {
        actions.push(match said {
            Said::Text("bye") => Action::End(SessionEnd::Finished),
            Said::Text(text) => Action::Reply(packet(&format!("4{text}"))),
            Said::Binary(bytes) => {
                Action::Reply(Frame::binary(bytes.len(), |out| out.extend_from_slice(bytes)))
            }
        });
    }

    fn name(&self, _: Topic) -> String {
        String::new()
    }
}

struct Client(EngineIo, Subscriptions);

impl Client {
    fn new(upgrades: bool) -> Client {
        let options =
            Options { ping_interval: 300, ping_timeout: 200, max_payload: 1_000_000, upgrade_timeout: 1 };
        let sid = Sid::random(0).unwrap();
        Client(EngineIo::new(sid, options, upgrades, Box::new(Echo), 0), Subscriptions::default())
    }

    fn says(&mut self, now: Millis, said: Said<'_>) -> Vec<String> {
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

fn shown(actions: Vec<Action>) -> Vec<String> {
    let show = |action| match action {
        Action::Reply(frame) => String::from_utf8_lossy(frame.payload()).into_owned(),
        Action::End(end) => format!("{end:?}"),
        Action::Join { .. } | Action::Leave { .. } | Action::Publish(_) => panic!("an echo does none of it"),
    };
    actions.into_iter().map(show).collect()
}

#[test]
fn a_session_opens_with_exactly_what_clients_need() {
    for (upgrades, listed) in [(true, r#"["websocket"]"#), (false, "[]")] {
        let mut client = Client::new(upgrades);
        let mut actions = Vec::new();
        client.0.begin(&mut client.1, &mut actions);
        let sid = client.0.sid;
        let expected = format!(
            r#"0{{"sid":"{sid}","upgrades":{listed},"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}}"#
        );
        assert_eq!(shown(actions), [expected]);
    }
}

#[test]
fn messages_go_in_without_their_type_and_come_out_with_it() {
    let mut client = Client::new(false);
    assert_eq!(client.says(0, Said::Text("4hello")), ["4hello"]);
    assert_eq!(client.says(0, Said::Binary(b"bytes")), ["bytes"]);
    assert_eq!(client.says(0, Said::Text("bYnl0ZXM=")), ["bytes"]);
}

#[test]
fn packets_without_a_meaning_here_are_passed_over() {
    let mut client = Client::new(false);
    for text in ["0", "5", "6", "3", "3probe"] {
        assert_eq!(client.says(0, Said::Text(text)), [""; 0], "{text}");
    }
}

#[test]
fn what_ends_a_session_ends_it_once() {
    for (text, end) in [
        ("1", "PeerClosed { code: None }"),
        ("2", "Misspoken(Ping)"),
        ("abc", "Misspoken(EngineIo(UnknownType))"),
        ("", "Misspoken(EngineIo(Empty))"),
        ("4bye", "Finished"),
    ] {
        let mut client = Client::new(false);
        assert_eq!(client.says(0, Said::Text(text)), [end]);
        assert_eq!(client.says(0, Said::Text("4more")), [""; 0]);
        assert_eq!((client.0.next_due(), client.waits(10_000)), (None, Vec::new()));
    }
}

#[test]
fn a_client_is_asked_and_lives_as_long_as_it_answers() {
    let mut client = Client::new(false);
    assert_eq!(client.0.next_due(), Some(300));
    assert_eq!(client.waits(299), [""; 0], "nothing at the beginning");
    assert_eq!(client.waits(300), ["2"]);
    assert_eq!(client.says(400, Said::Text("3")), [""; 0]);
    assert_eq!(client.waits(700), ["2"]);
    assert_eq!(client.waits(900), ["Silent"]);
}

//! What the suites leave out: limits, headers, abandoned moves, and what must be left behind: nothing.

use std::time::Duration;

use tickcast::session::engineio::Options;

use crate::client::{Server, Session};

const PATH: &str = "/engine.io/";

/// Sessions that nothing ends while a test looks at them.
fn patient() -> Server {
    Server::with(Options { upgrade_timeout: 300, ..Options::default() })
}

#[track_caller]
fn echoes(session: &Session<'_>) {
    session.says("4still here");
    session.hears("4still here");
}

#[test]
fn a_body_of_the_limit_is_taken_and_one_byte_more_is_not() {
    let server = patient();
    let session = server.open(PATH);
    let most = format!("4{}", "x".repeat(999_999));
    session.says(&most);
    session.hears(&most);
    let answer = session.post(&format!("{most}x"));
    assert_eq!((answer.status, &*answer.body), (413, ""));
    echoes(&session);
}

#[test]
fn a_message_of_the_limit_is_taken_and_one_byte_more_closes_the_socket() {
    let server = patient();
    let mut socket = server.websocket(PATH);
    let most = format!("4{}", "x".repeat(999_999));
    socket.says(&most);
    assert_eq!(socket.hear(), most);
    socket.says(&format!("{most}x"));
    assert_eq!(socket.closed(), Some(1009));
}

#[test]
fn a_body_of_bytes_ends_the_session() {
    let server = patient();
    let session = server.open(PATH);
    assert_eq!(session.post_as("application/octet-stream", "4x").status, 400);
    session.is_gone();
}

#[test]
fn other_methods_are_refused_and_the_session_lives() {
    let server = patient();
    let session = server.open(PATH);
    let target = format!("{PATH}?EIO=4&transport=polling&sid={}", session.sid);
    assert_eq!(server.ask("DELETE", &target, "").status, 405);
    echoes(&session);
}

#[test]
fn a_request_of_another_version_is_refused_and_the_session_lives() {
    let server = patient();
    let session = server.open(PATH);
    for version in ["", "EIO=3&"] {
        let target = format!("{PATH}?{version}transport=polling&sid={}", session.sid);
        let answer = server.ask("GET", &target, "");
        assert_eq!((answer.status, &*answer.body), (400, r#"{"code":3,"message":"Bad request"}"#));
    }
    echoes(&session);
}

#[test]
fn an_unknown_session_is_named_so() {
    let server = patient();
    let wrong = server.open(PATH).sid.replace(|c: char| c.is_ascii_lowercase(), "a");
    for sid in ["", "abc", "__proto__", &wrong] {
        let answer = server.ask("GET", &format!("{PATH}?EIO=4&transport=polling&sid={sid}"), "");
        assert_eq!(
            (answer.status, &*answer.body),
            (400, r#"{"code":1,"message":"Session ID unknown"}"#),
            "{sid}"
        );
    }
}

#[test]
fn pages_are_told_that_they_may_read_and_what_they_may_send() {
    let server = patient();
    let target = format!("{PATH}?EIO=4&transport=polling");
    let asked = "Origin: http://page.example\r\nAccess-Control-Request-Headers: x-one\r\n";
    let answer = server.begin("OPTIONS", &target, asked, "").answer();
    let head = answer.head.to_lowercase();
    assert_eq!(answer.status, 204, "{head}");
    assert!(head.contains("access-control-allow-origin: http://page.example"), "{head}");
    assert!(head.contains("access-control-allow-headers: x-one"), "{head}");
    for target in [&*target, PATH] {
        let head = server.begin("GET", target, asked, "").answer().head.to_lowercase();
        assert!(head.contains("access-control-allow-origin: http://page.example"), "{target}: {head}");
        assert!(head.contains("access-control-allow-credentials: true"), "{target}: {head}");
    }
}

#[test]
fn a_move_that_is_abandoned_leaves_polling_as_it_was() {
    let server = patient();
    let session = server.open(PATH);
    for words in [&[][..], &["2probe"], &["4hello"], &["2"], &["2probe", "4hello"], &["x"]] {
        let mut socket = session.websocket();
        words.iter().for_each(|text| socket.says(text));
        if words.first() == Some(&"2probe") {
            assert_eq!(socket.hear(), "3probe");
        }
        drop(socket);
        echoes(&session);
    }
}

#[test]
fn a_move_that_takes_too_long_is_given_up_by_the_server() {
    let server = patient();
    let session = server.open(PATH);
    let mut socket = session.websocket();
    socket.says("2probe");
    assert_eq!(socket.hear(), "3probe");
    assert_eq!(socket.closed(), None, "after the time for it");
    echoes(&session);
    let mut socket = session.moves();
    socket.says("4hello");
    assert_eq!(socket.hear(), "4hello");
}

#[test]
fn nothing_is_said_on_the_socket_before_the_client_has_moved_and_then_everything_in_order() {
    let server = patient();
    let session = server.open(PATH);
    let mut socket = session.websocket();
    socket.says("2probe");
    assert_eq!(socket.hear(), "3probe");
    session.says("4one\u{1e}4two");
    socket.says("5");
    socket.says("4three");
    for text in ["4one", "4two", "4three"] {
        assert_eq!(socket.hear(), text);
    }
}

#[test]
fn polls_are_not_answered_in_haste_before_the_probe_and_let_go_after_it() {
    let server = patient();
    let session = server.open(PATH);
    let mut socket = session.websocket();
    let poll = session.begin_poll();
    // Were the poll let go at once, this would go with the next one.
    session.says("4held");
    assert_eq!(poll.answer().body, "4held");
    let poll = session.begin_poll();
    socket.says("2probe");
    assert_eq!(socket.hear(), "3probe");
    assert_eq!(poll.answer().body, "6");
    for _ in 0..3 {
        session.hears("6");
    }
}

#[test]
fn packets_behind_the_probe_in_the_same_segment_are_heard() {
    use crate::raw::{TEXT, frame, upgrade};
    let server = patient();
    let session = server.open(PATH);
    let mut raw = crate::raw::Raw::socket(server.address);
    let target = format!("{PATH}?EIO=4&transport=websocket&sid={}", session.sid);
    let mut bytes = upgrade(&target, "").into_bytes();
    for text in ["2probe", "5", "4early"] {
        bytes.extend(frame(TEXT, true, text.as_bytes()));
    }
    raw.send(&bytes);
    assert!(raw.head().starts_with("HTTP/1.1 101 "));
    let texts = [raw.frame(), raw.frame()].map(|got| String::from_utf8(got.payload).unwrap());
    assert_eq!(texts, ["3probe", "4early"]);
}

#[test]
fn a_session_that_is_held_outlives_the_time_that_a_request_has() {
    // The heartbeat is what ends this poll.
    let options = Options { ping_interval: 1_000, ..Options::default() };
    let server = Server::within(options, Duration::from_millis(300));
    let session = server.open(PATH);
    session.hears("2");
    session.says("3");
    echoes(&session);
}

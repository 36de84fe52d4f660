//! The 25 tests of the Engine.IO suite, at `/engine.io/`.

use crate::client::Server;
use crate::sessions::{self, Place};

const HERE: Place = Place { path: "/engine.io/", says: "4hello", hears: "4hello" };

#[test]
fn polling_a_session_opens_with_exactly_what_clients_need() {
    sessions::polling_opens(HERE);
}

#[test]
fn polling_another_protocol_version_is_refused() {
    sessions::polling_refuses_versions(HERE);
}

#[test]
fn polling_an_unknown_transport_is_refused() {
    sessions::polling_refuses_transports(HERE);
}

#[test]
fn polling_a_session_opens_with_get_alone() {
    sessions::polling_refuses_methods(HERE);
}

#[test]
fn websocket_a_session_opens_with_its_first_frame() {
    sessions::websocket_opens(HERE);
}

#[test]
fn websocket_another_protocol_version_is_refused() {
    sessions::websocket_refuses_versions(HERE);
}

#[test]
fn websocket_an_unknown_transport_is_refused() {
    sessions::websocket_refuses_transports(HERE);
}

#[test]
fn polling_a_client_that_answers_pings_lives() {
    sessions::polling_is_asked_and_answers(HERE);
}

#[test]
fn polling_a_client_that_is_silent_is_gone_at_the_deadline() {
    sessions::polling_ends_in_silence(HERE);
}

#[test]
fn websocket_a_client_that_answers_pings_lives() {
    sessions::websocket_is_asked_and_answers(HERE);
}

#[test]
fn websocket_a_client_that_is_silent_is_closed() {
    sessions::websocket_ends_in_silence(HERE);
}

#[test]
fn polling_a_goodbye_ends_the_poll_and_the_session() {
    sessions::polling_says_goodbye(HERE);
}

#[test]
fn websocket_a_goodbye_closes_the_socket() {
    sessions::websocket_says_goodbye(HERE);
}

#[test]
fn a_session_moves_from_polling_to_a_websocket() {
    sessions::moves(HERE);
}

#[test]
fn polls_after_the_move_are_refused_and_the_socket_lives() {
    sessions::polls_after_a_move_are_refused(HERE);
}

#[test]
fn a_second_socket_after_the_move_is_closed_and_the_first_lives() {
    sessions::sockets_after_a_move_are_closed(HERE);
}

#[test]
fn polling_one_text_comes_back() {
    let server = Server::start();
    let session = server.open(HERE.path);
    session.says("4hello");
    session.hears("4hello");
}

#[test]
fn polling_several_texts_come_back_in_one_body() {
    let server = Server::start();
    let session = server.open(HERE.path);
    let body = "4test1\u{1e}4test2\u{1e}4test3";
    session.says(body);
    session.hears(body);
}

#[test]
fn polling_text_and_bytes_come_back() {
    let server = Server::start();
    let session = server.open(HERE.path);
    let body = "4hello\u{1e}bAQIDBA==";
    session.says(body);
    session.hears(body);
}

#[test]
fn polling_what_is_no_packet_ends_the_session() {
    let server = Server::start();
    let session = server.open(HERE.path);
    assert_eq!(session.post("abc").status, 400);
    session.is_gone();
}

#[test]
fn polling_a_second_poll_ends_the_session() {
    let server = Server::start();
    let session = server.open(HERE.path);
    let polls = [session.begin_poll(), session.begin_poll()];
    let mut answers = polls.map(|poll| poll.answer()).map(|answer| (answer.status, answer.body));
    // Which of the two came first is the network's to say.
    answers.sort();
    assert_eq!((answers[0].0, &*answers[0].1), (200, "1"));
    assert_eq!(answers[1].0, 400);
    session.is_gone();
}

#[test]
fn polling_a_poll_that_is_given_up_ends_the_session() {
    let server = Server::start();
    let session = server.open(HERE.path);
    let poll = session.begin_poll();
    // The server holds the poll once it has answered what came behind it.
    session.says("3");
    drop(poll);
    while session.post("3").status == 200 {}
    session.is_gone();
}

#[test]
fn websocket_text_comes_back() {
    let server = Server::start();
    let mut socket = server.websocket(HERE.path);
    socket.says("4hello");
    assert_eq!(socket.hear(), "4hello");
}

#[test]
fn websocket_bytes_come_back() {
    let server = Server::start();
    let mut socket = server.websocket(HERE.path);
    socket.says_bytes(&[1, 2, 3, 4]);
    assert_eq!(socket.hear_bytes(), [1, 2, 3, 4]);
}

#[test]
fn websocket_what_is_no_packet_closes_it() {
    let server = Server::start();
    let mut socket = server.websocket(HERE.path);
    socket.says("abc");
    assert_eq!(socket.closed(), Some(1002));
}

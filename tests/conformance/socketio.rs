//! The 32 tests of the Socket.IO suite, at `/socket.io/`.

use crate::client::{Server, Socket};
use crate::sessions::{self, Place};

const HERE: Place = Place { path: "/socket.io/", says: "40", hears: "40{\"sid\":" };

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

/// A client that has joined `/`.
fn joined(server: &Server) -> Socket {
    let mut socket = server.websocket(HERE.path);
    socket.says("40");
    socket.hear_like("40{\"sid\":");
    assert_eq!(socket.hear(), "42[\"auth\",{}]");
    socket
}

#[track_caller]
fn check_join(says: &str, head: &str, auth: &str) {
    let server = Server::start();
    let mut socket = server.websocket(HERE.path);
    socket.says(says);
    let heard = socket.hear();
    let json: serde_json::Value = serde_json::from_str(heard.strip_prefix(head).unwrap()).unwrap();
    let members = json.as_object().unwrap();
    assert!(members.len() == 1 && members["sid"].is_string(), "{heard}");
    assert_eq!(socket.hear(), auth);
}

#[test]
fn the_main_namespace_is_joined() {
    check_join("40", "40", "42[\"auth\",{}]");
}

#[test]
fn the_main_namespace_is_joined_with_a_payload() {
    check_join("40{\"token\":\"123\"}", "40", "42[\"auth\",{\"token\":\"123\"}]");
}

#[test]
fn another_namespace_is_joined() {
    check_join("40/custom,", "40/custom,", "42/custom,[\"auth\",{}]");
}

#[test]
fn another_namespace_is_joined_with_a_payload() {
    check_join("40/custom,{\"token\":\"abc\"}", "40/custom,", "42/custom,[\"auth\",{\"token\":\"abc\"}]");
}

#[test]
fn an_unknown_namespace_is_refused() {
    let server = Server::start();
    let mut socket = server.websocket(HERE.path);
    socket.says("40/random");
    assert_eq!(socket.hear(), "44/random,{\"message\":\"Invalid namespace\"}");
}

#[test]
fn what_is_no_handshake_closes_the_connection() {
    let server = Server::start();
    let mut socket = server.websocket(HERE.path);
    socket.says("4abc");
    assert_eq!(socket.closed(), Some(1002));
}

#[test]
fn who_joins_nothing_is_closed() {
    let server = Server::start();
    assert!(server.websocket(HERE.path).closed().is_some());
}

#[test]
fn leaving_the_main_namespace_is_not_answered() {
    let server = Server::start();
    let mut socket = joined(&server);
    socket.says("41");
    assert_eq!(socket.hear(), "2");
}

#[test]
fn another_namespace_is_joined_and_left_and_the_main_one_lives() {
    let server = Server::start();
    let mut socket = joined(&server);
    assert_eq!(socket.hear(), "2");
    socket.says("40/custom");
    socket.hear_like("40/custom,{\"sid\":");
    assert_eq!(socket.hear(), "42/custom,[\"auth\",{}]");
    socket.says("41/custom");
    socket.says("42[\"message\",\"message to main namespace\"]");
    assert_eq!(socket.hear(), "42[\"message-back\",\"message to main namespace\"]");
}

#[test]
fn text_comes_back_as_it_was_written() {
    let server = Server::start();
    let mut socket = joined(&server);
    socket.says(r#"42["message",1,"2",{"3":[true]}]"#);
    assert_eq!(socket.hear(), r#"42["message-back",1,"2",{"3":[true]}]"#);
}

const PLACES: &str = r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}"#;

#[test]
fn attachments_come_back() {
    let server = Server::start();
    let mut socket = joined(&server);
    socket.says(&format!(r#"452-["message",{PLACES}]"#));
    socket.says_bytes(&[1, 2, 3]);
    socket.says_bytes(&[4, 5, 6]);
    assert_eq!(socket.hear(), format!(r#"452-["message-back",{PLACES}]"#));
    assert_eq!((socket.hear_bytes(), socket.hear_bytes()), (vec![1, 2, 3], vec![4, 5, 6]));
}

#[test]
fn text_is_acknowledged() {
    let server = Server::start();
    let mut socket = joined(&server);
    socket.says(r#"42456["message-with-ack",1,"2",{"3":[false]}]"#);
    assert_eq!(socket.hear(), r#"43456[1,"2",{"3":[false]}]"#);
}

#[test]
fn attachments_are_acknowledged() {
    let server = Server::start();
    let mut socket = joined(&server);
    socket.says(&format!(r#"452-789["message-with-ack",{PLACES}]"#));
    socket.says_bytes(&[1, 2, 3]);
    socket.says_bytes(&[4, 5, 6]);
    assert_eq!(socket.hear(), format!("462-789[{PLACES}]"));
    assert_eq!((socket.hear_bytes(), socket.hear_bytes()), (vec![1, 2, 3], vec![4, 5, 6]));
}

#[track_caller]
fn check_closes(says: &str) {
    let server = Server::start();
    let mut socket = joined(&server);
    socket.says(says);
    assert_eq!(socket.closed(), Some(1002), "{says}");
}

#[test]
fn an_unknown_packet_type_closes_the_connection() {
    check_closes("4abc");
}

#[test]
fn an_invalid_payload_closes_the_connection() {
    check_closes("42{}");
}

#[test]
fn an_invalid_acknowledgement_number_closes_the_connection() {
    check_closes("42abc[\"message-with-ack\",1,\"2\",{\"3\":[false]}]");
}

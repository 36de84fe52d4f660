//! Order through a move: many clients are told many things while they move, and miss nothing.

use std::thread;

use tickcast::session::engineio::Options;

use crate::client::{Server, Session, Socket};

const CLIENTS: usize = 100;
const EVENTS: usize = 300;

/// What comes back of what is posted must come once and in order, wherever the client stands.
#[test]
fn a_hundred_clients_that_move_while_they_are_told_things_miss_nothing() {
    let server = Server::with(Options::default());
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let server = &server;
            scope.spawn(move || talk(server, client));
        }
    });
}

fn talk(server: &Server, client: usize) {
    let session = server.open("/engine.io/");
    // Each moves at another point.
    let moves_at = 20 + client * 2;
    let mut heard = Vec::new();
    post(&session, 0..moves_at);
    let mut socket = session.websocket();
    socket.says("2probe");
    assert_eq!(socket.hear(), "3probe");
    // As a stock client does: the poll that is under way ends, then it moves.
    let under_way = session.begin_poll();
    post(&session, moves_at..moves_at + 10);
    hear(&under_way.answer().body, &mut heard);
    socket.says("5");
    finish(&mut socket, moves_at + 10, &mut heard);
    let expected: Vec<_> = (0..EVENTS).collect();
    assert_eq!(heard, expected, "client {client}");
}

fn post(session: &Session<'_>, numbers: std::ops::Range<usize>) {
    let packets: Vec<_> = numbers.map(|number| format!("4{number}")).collect();
    session.says(&packets.join("\u{1e}"));
}

fn hear(body: &str, heard: &mut Vec<usize>) {
    let packets = body.split('\u{1e}').filter_map(|packet| packet.strip_prefix('4'));
    heard.extend(packets.map(|number| number.parse::<usize>().unwrap()));
}

fn finish(socket: &mut Socket, from: usize, heard: &mut Vec<usize>) {
    for number in from..EVENTS {
        socket.says(&format!("4{number}"));
    }
    while heard.len() < EVENTS {
        hear(&socket.hear(), heard);
    }
}

//! Socket.IO sessions that are given up in every way there is.
#![allow(dead_code, reason = "no test uses all of it")]
#![allow(unreachable_pub, reason = "every test is a crate of its own, and this belongs to several")]

use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use tickcast::config::Config;

use crate::polling::{Session, probe};
use crate::raw::{Raw, TEXT, frame};

/// Deadlines that are over soon.
pub fn impatient(config: &mut Config) {
    config.socketio.ping_interval = Duration::from_secs(2);
    config.socketio.ping_timeout = Duration::from_secs(1);
}

/// One session of each kind on a server that is [`impatient`]. What is returned must be held until the
/// server has let go of all of it: some of these clients keep their sockets open.
pub fn give_up(address: SocketAddr, symbol: &str) -> Vec<Raw> {
    let session = || Session::open(address, symbol);
    let mut held = Vec::new();

    // Never polls again.
    session();

    // Polls, and goes away without waiting for the answer; or closes its half and waits.
    let abandoned = session();
    drop(abandoned.begin_poll());
    let half = session().begin_poll();
    half.stream.shutdown(Shutdown::Write).unwrap();
    held.push(half);

    // Sends half of what it says it would.
    let mut posting = Raw::socket(address);
    posting.send(session().head("POST", "Content-Length: 100\r\n").as_bytes());
    posting.send(b"42/ws,");
    held.push(posting);

    // Tries to move: and says nothing, and goes after the probe, and stays without moving.
    held.push(session().websocket());
    let mut gone = session().websocket();
    probe(&mut gone);
    drop(gone);
    let mut undecided = session().websocket();
    probe(&mut undecided);
    held.push(undecided);

    // Moves, and goes away, or closes its half, or says nothing more.
    for end in [Some(Shutdown::Both), Some(Shutdown::Write), None] {
        let mut moved = session().websocket();
        probe(&mut moved);
        moved.say("5");
        if let Some(how) = end {
            moved.stream.shutdown(how).unwrap();
        }
        held.push(moved);
    }

    // The same for one that was on a WebSocket from the start; and one in the middle of a frame.
    for end in [Some(Shutdown::Both), Some(Shutdown::Write), None] {
        let mut socket = Raw::connect_to(address, "/socket.io/?EIO=4&transport=websocket");
        socket.say("40/ws,");
        match end {
            Some(how) => socket.stream.shutdown(how).unwrap(),
            None => socket.send(&frame(TEXT, true, b"42/ws,[\"ping\"]")[..9]),
        }
        held.push(socket);
    }
    held
}

//! Connections without a task.

use tokio::task::LocalSet;

use super::{Pipe, Storm};
use crate::fanout::socket::Socket;
use crate::market::{Millis, Topic};
use crate::session::websocket::Compression;
use crate::session::{Action, Conversation, Said, SessionEnd, Subscriptions};

#[test]
fn a_connection_has_a_task_only_while_there_is_something_to_see_to() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let mut storm = Storm::new(1);
        let rest = async |storm: &mut Storm| {
            for _ in 0..4 {
                storm.turn().await;
            }
        };
        storm.connect(0);
        let connection = storm.visitors[0].line.as_ref().unwrap().connection.clone();
        assert!(connection.cord.is_attended());
        rest(&mut storm).await;
        assert!(!connection.cord.is_attended());
        storm.visitors[0].ping();
        storm.sockets.tell_changes(|| true);
        assert!(connection.cord.is_attended());
        rest(&mut storm).await;
        assert!(!connection.cord.is_attended() && storm.visitors[0].messages == 1);
    });
}

/// Is due all the time.
struct Overdue;

impl Conversation for Overdue {
    fn name(&self, _: Topic) -> String {
        String::new()
    }

    fn receive(&mut self, _: Millis, _: Said<'_>, _: &mut Subscriptions, _: &mut Vec<Action>) {}

    fn next_due(&self) -> Option<Millis> {
        Some(0)
    }
}

#[test]
fn what_a_conversation_waited_for_is_nothing_any_more_once_it_is_over() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let mut storm = Storm::new(1);
        let (worker, now) = (storm.workers[0].clone(), storm.now.get());
        let socket = (Socket::Simulated(Pipe::new(1, 1_000)), Compression::Off);
        let connection = worker.welcome(socket, Box::new(Overdue), Vec::new(), Box::new(()));
        connection.end(&SessionEnd::TokenExpired, now);
        for _ in 0..4 {
            storm.turn().await;
        }
        assert!(!connection.cord.is_attended() && !connection.is_over());
        assert_eq!(worker.timers.pop(now), None);
    });
}

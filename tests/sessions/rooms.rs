//! Routes and conversations that know nothing of markets: rooms and timers on the same workers.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use tickcast::config::Config;
use tickcast::dialect::{Channel, Dialect};
use tickcast::encode::Frame;
use tickcast::engine::worker_config;
use tickcast::fanout::Workers;
use tickcast::market::{Millis, RoomId, Topic};
use tickcast::server::{Answer, Door, MakeConversation, Routes, Server};
use tickcast::session::{Action, Conversation, Said, Subscriptions};
use tickcast::shard::{Broadcast, Class};
use tokio::sync::watch;

use crate::raw::Raw;
use crate::running::now;

/// Hears the one room there is, tells it what the client says, and speaks up when its time comes.
struct Talk {
    due: Option<Millis>,
}

const ROOM: Channel = Dialect::Native.of(Topic::Room(RoomId(1)));

fn text(text: &str) -> Frame {
    Frame::text(text.len(), |out| out.extend_from_slice(text.as_bytes()))
}

impl Conversation for Talk {
    fn begin(&mut self, topics: &mut Subscriptions, actions: &mut Vec<Action>) {
        topics.begin(ROOM);
        actions.push(Action::Join { channel: ROOM, since: None });
        actions.push(Action::Reply(text("welcome")));
    }

    fn receive(
        &mut self,
        now: Millis,
        said: Said<'_>,
        topics: &mut Subscriptions,
        actions: &mut Vec<Action>,
    ) {
        match said {
            Said::Text("later") => self.due = Some(now + 5),
            Said::Text("leave") if topics.end(ROOM) => {
                actions.push(Action::Leave { channel: ROOM });
                actions.push(Action::Reply(text("left")));
            }
            Said::Text(words) => actions.push(Action::Publish(Broadcast {
                channel: ROOM,
                class: Class::Lossless,
                follows: 0,
                frame: text(words),
            })),
            Said::Binary(_) => {}
        }
    }

    fn next_due(&self) -> Option<Millis> {
        self.due
    }

    fn advance(&mut self, now: Millis, _topics: &mut Subscriptions, actions: &mut Vec<Action>) {
        if self.due.take_if(|due| *due <= now).is_some() {
            actions.push(Action::Reply(text("now")));
        }
    }

    fn name(&self, _topic: Topic) -> String {
        "the room".to_owned()
    }
}

struct OnlyTalk;

impl Routes for OnlyTalk {
    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr, door: &Arc<Door>) -> Answer {
        let conversation: MakeConversation = Box::new(|_| Box::new(Talk { due: None }));
        door.websocket(request, peer, conversation)
    }
}

/// Serves [`OnlyTalk`] while `then` runs.
fn with_talk(then: impl FnOnce(SocketAddr)) {
    let mut config = Config::default();
    config.listen.set_port(0);
    let workers = Workers::new(config.threads.workers(), 100);
    let threads = workers.start(&[], &worker_config(&config)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (stop, stopped) = watch::channel(false);
    let door = Door::new(&config, workers.clone());
    let server = runtime.block_on(Server::bind(&config, OnlyTalk, door)).unwrap();
    let address = server.address().unwrap();
    let serving = runtime.spawn(server.serve(stopped));
    then(address);
    stop.send_replace(true);
    runtime.block_on(serving).unwrap();
    workers.shut_down(now() + 1_000);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[track_caller]
fn hears(client: &mut Raw, words: &str) {
    assert_eq!(client.frame().payload, words.as_bytes());
}

#[test]
fn a_room_is_heard_by_those_in_it_on_every_worker_without_any_shard() {
    with_talk(|address| {
        let mut clients: Vec<_> = (0..5).map(|_| Raw::connect_to(address, "/")).collect();
        clients.iter_mut().for_each(|client| hears(client, "welcome"));
        clients[4].say("leave");
        hears(&mut clients[4], "left");
        clients[0].say("one");
        clients.iter_mut().take(4).for_each(|client| hears(client, "one"));
        clients[4].say("two");
        clients.iter_mut().take(4).for_each(|client| hears(client, "two"));
        clients[4].say("later");
        hears(&mut clients[4], "now");
    });
}

#[test]
fn a_conversation_is_looked_at_when_it_is_due() {
    with_talk(|address| {
        let mut client = Raw::connect_to(address, "/");
        hears(&mut client, "welcome");
        for _ in 0..3 {
            let said = now();
            client.say("later");
            hears(&mut client, "now");
            assert!(now() - said >= 4, "before its time");
        }
    });
}

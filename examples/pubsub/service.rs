//! What listens at `/sub`, `/pub` and `/echo`, and the threads that serve it.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::JoinHandle;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use tickcast::clock::Clock;
use tickcast::config::Config;
use tickcast::dialect::{Channel, Dialect};
use tickcast::encode::Frame;
use tickcast::engine::worker_config;
use tickcast::fanout::Workers;
use tickcast::market::{Millis, RoomId, Topic};
use tickcast::server::{Answer, Door, MakeConversation, Routes, Server, error};
use tickcast::session::{Action, Conversation, Said, Subscriptions};
use tickcast::shard::{Broadcast, Class};

/// The three addresses.
pub(crate) struct PubSub {
    compressing: Arc<Door>,
}

/// The threads that connections live on.
pub(crate) struct Threads {
    workers: Workers,
    threads: Vec<JoinHandle<()>>,
}

impl PubSub {
    /// Binds the address; connections live on so many threads, one per core where that is not said.
    pub(crate) async fn bind(
        listen: SocketAddr,
        threads: Option<NonZeroUsize>,
    ) -> io::Result<(Server<PubSub>, Threads)> {
        let mut config = Config { listen, compression: true, ..Config::default() };
        config.threads.worker_threads = threads;
        config.limits.message_bytes = MESSAGE_BYTES;
        config.limits.outbox_bytes = OUTBOX_BYTES;
        config.limits.connections = CONNECTIONS;
        // A broadcast here is never compressed: that is what the market's server is for.
        let bare = Config { compression: false, ..config.clone() };
        let workers = Workers::new(config.threads.workers(), config.limits.worker_queue.get());
        let threads = workers.start(&[], &worker_config(&bare))?;
        let service = PubSub { compressing: Door::new(&config, workers.clone()) };
        let server = Server::bind(&config, service, Door::new(&bare, workers.clone())).await?;
        Ok((server, Threads { workers, threads }))
    }
}

impl Threads {
    /// Says goodbye to all clients, and ends the threads.
    pub(crate) fn end(self) {
        self.workers.shut_down(Clock::start().now() + PATIENCE);
        self.threads.into_iter().for_each(|thread| _ = thread.join());
    }
}

impl Routes for PubSub {
    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr, door: &Arc<Door>) -> Answer {
        let (door, role) = match request.uri().path() {
            "/pub" => (door, Role::Publisher),
            "/sub" => (door, Role::Subscriber),
            "/echo" => (&self.compressing, Role::Echo),
            _ => return error(StatusCode::NOT_FOUND, "NOT_FOUND", "there are /pub, /sub and /echo here"),
        };
        let conversation: MakeConversation = Box::new(move |_| Box::new(role));
        door.websocket(request, peer, conversation)
    }
}

/// What a client is here for, by its address.
#[derive(Clone, Copy)]
enum Role {
    Publisher,
    Subscriber,
    Echo,
}

impl Conversation for Role {
    fn begin(&mut self, topics: &mut Subscriptions, actions: &mut Vec<Action>) {
        if matches!(self, Role::Subscriber) {
            topics.begin(EVERYBODY);
            actions.push(Action::Join { channel: EVERYBODY, since: None });
        }
    }

    fn receive(&mut self, _: Millis, said: Said<'_>, _: &mut Subscriptions, actions: &mut Vec<Action>) {
        match (self, said) {
            (Role::Echo, Said::Text(words)) => actions.push(Action::Reply(text(words))),
            (Role::Echo, Said::Binary(bytes)) => {
                let frame = Frame::binary(bytes.len(), |out| out.extend_from_slice(bytes));
                actions.push(Action::Reply(frame));
            }
            (Role::Publisher, Said::Text(words)) => {
                let (class, frame) = (Class::Lossless, text(words));
                actions.push(Action::Publish(Broadcast { channel: EVERYBODY, class, follows: 0, frame }));
            }
            (Role::Publisher, Said::Binary(_)) | (Role::Subscriber, _) => {}
        }
    }

    fn name(&self, _: Topic) -> String {
        "/sub".to_owned()
    }
}

fn text(words: &str) -> Frame {
    Frame::text(words.len(), |out| out.extend_from_slice(words.as_bytes()))
}

const EVERYBODY: Channel = Dialect::Native.of(Topic::Room(RoomId(0)));

const MESSAGE_BYTES: NonZeroUsize = NonZeroUsize::new(64 << 20).expect("not zero");

/// What may wait for one client: who falls further behind than this is closed.
const OUTBOX_BYTES: NonZeroUsize = NonZeroUsize::new(16 << 20).expect("not zero");

const CONNECTIONS: NonZeroUsize = NonZeroUsize::new(1_000_000).expect("not zero");

/// How long clients have for their goodbyes.
const PATIENCE: Millis = 2_000;

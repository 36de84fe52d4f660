//! The two servers that the conformance suites assume: an Engine.IO echo, and two Socket.IO namespaces.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::JoinHandle;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use tickcast::clock::Clock;
use tickcast::config::Config;
use tickcast::encode::Frame;
use tickcast::fanout::{WorkerConfig, Workers};
use tickcast::market::{Millis, Topic};
use tickcast::server::engineio::Endpoint;
use tickcast::server::{Answer, Door, Routes, Server, error};
use tickcast::session::engineio::Options;
use tickcast::session::socketio::{self, Event, Namespace, Outlet, Refusal, Service, SocketIo};
use tickcast::session::{Action, Conversation, Said, Subscriptions};

/// What the suites find.
pub(crate) struct Suite {
    engineio: Endpoint,
    socketio: Endpoint,
}

/// The threads that sessions live on.
pub(crate) struct Running {
    workers: Workers,
    threads: Vec<JoinHandle<()>>,
}

impl Suite {
    /// Binds the address, with the times that the suites assume.
    pub(crate) async fn bind(listen: SocketAddr) -> io::Result<(Server<Suite>, Running)> {
        let options =
            Options { ping_interval: 300, ping_timeout: 200, max_payload: 1_000_000, ..Options::default() };
        Suite::bind_with(&Config { listen, ..Config::default() }, options).await
    }

    /// The same with other limits and times.
    pub(crate) async fn bind_with(config: &Config, options: Options) -> io::Result<(Server<Suite>, Running)> {
        let limits = &config.limits;
        let workers = Workers::new(NonZeroUsize::MIN.saturating_add(1), limits.worker_queue.get());
        let worker = WorkerConfig {
            compression: false,
            message_bytes: limits.message_bytes.get(),
            outbox_bytes: limits.outbox_bytes.get() * 4,
            ping: 20_000,
            pong_timeout: 20_000,
            stalled: 20_000,
        };
        let threads = workers.start(&[], &worker)?;
        let door = Door::new(config, workers.clone());
        let socketio = socketio::Options { connect_timeout: 1_000, ..socketio::Options::default() };
        let service: Arc<dyn Service> = Arc::new(Namespaces);
        let suite = Suite {
            engineio: Endpoint::new(options, |_, _| Box::new(Echo)),
            socketio: Endpoint::new(options, move |_, now| {
                Box::new(SocketIo::new(service.clone(), socketio, now))
            }),
        };
        Ok((Server::bind(config, suite, door).await?, Running { workers, threads }))
    }
}

impl Running {
    /// Ends all sessions and the threads.
    pub(crate) fn end(self) {
        self.workers.shut_down(Clock::start().now() + 1_000);
        self.threads.into_iter().for_each(|thread| _ = thread.join());
    }
}

impl Routes for Suite {
    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr, door: &Arc<Door>) -> Answer {
        match request.uri().path() {
            "/engine.io/" => self.engineio.answer(request, peer, door).await,
            "/socket.io/" => self.socketio.answer(request, peer, door).await,
            _ => error(StatusCode::NOT_FOUND, "NOT_FOUND", "there are /engine.io/ and /socket.io/ here"),
        }
    }
}

/// Sends every message back.
struct Echo;

impl Conversation for Echo {
    fn receive(&mut self, _: Millis, said: Said<'_>, _: &mut Subscriptions, actions: &mut Vec<Action>) {
        actions.push(Action::Reply(match said {
            Said::Text(text) => Frame::text(text.len() + 1, |out| {
                out.push(b'4');
                out.extend_from_slice(text.as_bytes());
            }),
            Said::Binary(bytes) => Frame::binary(bytes.len(), |out| out.extend_from_slice(bytes)),
        }));
    }

    fn name(&self, _: Topic) -> String {
        String::new()
    }
}

struct Namespaces;

impl Service for Namespaces {
    fn open(&self, name: &str) -> Option<Box<dyn Namespace>> {
        match name {
            "/" => Some(Box::new(Room { answers: true })),
            "/custom" => Some(Box::new(Room { answers: false })),
            _ => None,
        }
    }
}

/// Says who came, and in `/` sends messages back.
struct Room {
    answers: bool,
}

impl Namespace for Room {
    fn connect(&mut self, _: Millis, _: &str, auth: &str, out: &mut Outlet<'_>) -> Result<(), Refusal> {
        out.emit("auth", |out| out.extend_from_slice(auth.as_bytes()));
        Ok(())
    }

    fn event(&mut self, _: Millis, event: &Event<'_>, out: &mut Outlet<'_>) {
        match (&*event.name, event.ack) {
            ("message", _) if self.answers => {
                out.emit_values("message-back", &event.arguments, event.attachments);
            }
            ("message-with-ack", Some(id)) if self.answers => {
                out.answer_values(id, &event.arguments, event.attachments);
            }
            _ => {}
        }
    }

    fn name(&self, _: Topic) -> String {
        String::new()
    }
}

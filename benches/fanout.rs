//! What one delivery costs the worker's thread, against the bare loop of `write(2)` over the same
//! sockets in the same run. A regression here is fewer clients on a core, and a later last client.
//!
//! `cargo bench --bench fanout [-- --receivers N] [-- --runs N]`; as a test (`--test`, or no `--bench`) a small round of all of
//! it, to see that it works. Figures are deliveries a CPU second of the one thread that writes, medians
//! over the runs; ratios are taken within each run. The receivers are a process of their own.
#![allow(clippy::print_stdout, reason = "it prints a table")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on stops here")]

use std::cell::RefCell;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use fastwebsockets::{OpCode, Payload, Role, WebSocket};
use mio::{Events, Interest, Poll, Token};
use tickcast::config::Config;
use tickcast::dialect::{Channel, Dialect};
use tickcast::encode::Frame;
use tickcast::engine::worker_config;
use tickcast::fanout::{NewConnection, ToWorker, WorkerConfig, Workers};
use tickcast::market::{Millis, RoomId, Topic};
use tickcast::session::websocket::Compression;
use tickcast::session::{Action, Conversation, Said, Subscriptions};
use tickcast::shard::{Broadcast, Class};
use tokio::task::LocalSet;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<usize>().ok()
    };
    let descriptors = usize::try_from(rlimit::increase_nofile_limit(u64::MAX).unwrap()).unwrap_or(usize::MAX);
    if let [_, role, address, receivers] = &arguments[..]
        && role == HEAR
    {
        return hear(address, receivers.parse().unwrap());
    }
    let is_given = |name: &str| arguments.iter().any(|argument| argument == name);
    if is_given("--test") || !is_given("--bench") {
        compare(20, 2, 3);
        return compare_naive(20, 2, 3);
    }
    let runs = number("--runs").unwrap_or(45);
    let sizes = number("--receivers").map_or(vec![1_000, 10_000], |receivers| vec![receivers]);
    for receivers in sizes {
        // Each socket is held twice, so that two ways can write to it.
        let receivers = receivers.min((descriptors - 100) / 2);
        let rounds = (20_000 / receivers).max(1);
        compare(receivers, runs, rounds);
        compare_naive(receivers, runs, rounds);
    }
}

/// Measures tickcast and the bare loop in turn, `runs` times, each for so many rounds.
fn compare(receivers: usize, runs: usize, rounds: usize) {
    let (hearing, servers) = Hearing::start(receivers);
    let engine = Engine::start(&servers, &hearing);
    let floor = Floor::start(servers);
    let grid_rounds = rounds.div_ceil(TOPICS);
    let mut figures = Figures::default();
    for _ in 0..runs {
        let measure = |way: &dyn Way, frames, rounds| measure(way, &hearing, receivers, frames, rounds);
        figures.note(ONE, measure(&floor, Frames::One, rounds));
        figures.note("tickcast, one frame", measure(&engine, Frames::One, rounds));
        figures.note(UNMEASURED, measure(&Unmeasured(&engine), Frames::One, rounds));
        figures.note(TIMES, measure(&floor, Frames::Grid, grid_rounds));
        figures.note(JOINED, measure(&floor, Frames::Joined, grid_rounds * 4));
        figures.note("tickcast, 20 topics", measure(&engine, Frames::Grid, grid_rounds * 4));
    }
    println!("{receivers} receivers, frames of {FRAME} bytes, medians of {runs} runs");
    figures.show("tickcast, one frame", ONE);
    figures.show("tickcast, one frame", UNMEASURED);
    figures.show("tickcast, 20 topics", TIMES);
    figures.show("tickcast, 20 topics", JOINED);
}

/// The same for what is written first.
fn compare_naive(receivers: usize, runs: usize, rounds: usize) {
    let (hearing, servers) = Hearing::start(receivers);
    let naive = Naive::start(&servers);
    let floor = Floor::start(servers);
    let mut figures = Figures::default();
    for _ in 0..runs {
        figures.note(ONE, measure(&floor, &hearing, receivers, Frames::One, rounds));
        figures.note("a channel and a task each", measure(&naive, &hearing, receivers, Frames::One, rounds));
    }
    figures.show("a channel and a task each", ONE);
}

const ONE: &str = "write(2), one frame";
const UNMEASURED: &str = "tickcast without latency";
const TIMES: &str = "write(2), 20 times";
const JOINED: &str = "write(2), one buffer of 20";

/// What was measured, by name, run after run.
#[derive(Default)]
struct Figures(Vec<(&'static str, Vec<f64>)>);

impl Figures {
    fn note(&mut self, name: &'static str, value: f64) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => self.0.push((name, vec![value])),
        }
    }

    fn of(&self, name: &str) -> &[f64] {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, values)| &values[..]).unwrap()
    }

    fn show(&self, name: &str, against: &str) {
        let (values, base) = (self.of(name), self.of(against));
        let mut ratios: Vec<f64> = values.iter().zip(base).map(|(value, base)| value / base).collect();
        ratios.sort_by(f64::total_cmp);
        println!(
            "  {name:<26} {:>9.0} deliveries/CPU-s, {:>5.2} of `{against}`, {:.0} [{:.2}..{:.2}]",
            median(values.to_vec()),
            median(ratios.clone()),
            median(base.to_vec()),
            ratios[0],
            ratios[ratios.len() - 1],
        );
    }
}

/// Deliveries a CPU second of the thread that writes.
fn measure(
    way: &dyn Way,
    hearing: &RefCell<Hearing>,
    receivers: usize,
    frames: Frames,
    rounds: usize,
) -> f64 {
    let deliveries = receivers * frames.count();
    let round = || {
        hearing.borrow_mut().expect(deliveries * FRAME);
        way.publish(frames);
        hearing.borrow_mut().wait();
    };
    round();
    let before = cpu_ns(way.thread());
    (0..rounds).for_each(|_| round());
    #[allow(clippy::cast_precision_loss, reason = "a figure of a measurement")]
    let per_second = (deliveries * rounds) as f64 * 1e9 / (cpu_ns(way.thread()) - before).max(1) as f64;
    per_second
}

/// What a round sends to every receiver.
#[derive(Clone, Copy)]
enum Frames {
    /// A frame of one topic.
    One,
    /// A frame of each of 20 topics that are due at one tick.
    Grid,
    /// The same, put together beforehand.
    Joined,
}

impl Frames {
    const fn count(self) -> usize {
        match self {
            Frames::One => 1,
            Frames::Grid | Frames::Joined => TOPICS,
        }
    }
}

/// A way of writing frames to all receivers.
trait Way {
    fn publish(&self, frames: Frames);

    /// The thread that does it, which is at rest between rounds.
    fn thread(&self) -> &str;
}

/// One worker of tickcast.
struct Engine {
    workers: Workers,
    thread: String,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    fn start(servers: &[TcpStream], hearing: &RefCell<Hearing>) -> Engine {
        let workers = Workers::new(NonZeroUsize::MIN, servers.len() + 100);
        // The receivers answer no pings, and a ping is none of the bytes that they expect.
        let config = WorkerConfig { ping: Millis::MAX / 4, ..worker_config(&Config::default()) };
        let threads = workers.start(&[], &config).unwrap();
        hearing.borrow_mut().expect(servers.len() * FRAME);
        for server in servers {
            let connection = NewConnection {
                stream: server.try_clone().unwrap(),
                compression: Compression::Off,
                early: Vec::new(),
                conversation: Box::new(|_| Box::new(Listener)),
                place: Box::new(()),
            };
            assert!(workers.connect(connection).is_ok(), "there is room for all");
        }
        hearing.borrow_mut().wait();
        Engine { workers, thread: thread_named("worker-0"), threads }
    }
}

impl Way for Engine {
    fn publish(&self, frames: Frames) {
        // As a shard does at the end of its turn: the worker measures from here.
        self.workers.meters()[0].publish(self.workers.clock().now());
        self.put(frames);
    }

    fn thread(&self) -> &str {
        &self.thread
    }
}

/// The same worker, which finds nothing to measure: what the histogram of latencies costs.
struct Unmeasured<'a>(&'a Engine);

impl Way for Unmeasured<'_> {
    fn publish(&self, frames: Frames) {
        self.0.put(frames);
    }

    fn thread(&self) -> &str {
        &self.0.thread
    }
}

impl Engine {
    fn put(&self, frames: Frames) {
        let inbox = &self.workers.inboxes()[0];
        let rooms = match frames {
            Frames::One => 0..1,
            Frames::Grid | Frames::Joined => 1..TOPICS + 1,
        };
        for room in rooms {
            let (class, frame) = (Class::Lossless, frame());
            inbox
                .put(ToWorker::Broadcast(Broadcast { channel: channel(room), class, follows: 0, frame }))
                .unwrap();
        }
        inbox.wake();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.workers.shut_down(0);
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

/// Hears the one topic and the 20.
struct Listener;

impl Conversation for Listener {
    fn begin(&mut self, topics: &mut Subscriptions, actions: &mut Vec<Action>) {
        for room in 0..TOPICS + 1 {
            topics.begin(channel(room));
            actions.push(Action::Join { channel: channel(room), since: None });
        }
        actions.push(Action::Reply(frame()));
    }

    fn receive(&mut self, _: Millis, _: Said<'_>, _: &mut Subscriptions, _: &mut Vec<Action>) {}

    fn name(&self, _: Topic) -> String {
        "a room".to_owned()
    }
}

/// The bare loop.
struct Floor {
    thread: String,
    rounds: SyncSender<Frames>,
}

impl Floor {
    fn start(servers: Vec<TcpStream>) -> Floor {
        let (rounds, coming) = sync_channel(1);
        let (tell, told) = sync_channel(1);
        std::thread::spawn(move || {
            tell.send(this_thread()).unwrap();
            let (one, many) = (frame(), frame().bytes().repeat(TOPICS));
            for frames in coming {
                let (bytes, times): (&[u8], _) = match frames {
                    Frames::One => (one.bytes(), 1),
                    Frames::Grid => (one.bytes(), TOPICS),
                    Frames::Joined => (&many, 1),
                };
                for server in &servers {
                    (0..times).for_each(|_| write(server, bytes));
                }
            }
        });
        Floor { thread: told.recv().unwrap(), rounds }
    }
}

impl Way for Floor {
    fn publish(&self, frames: Frames) {
        self.rounds.send(frames).unwrap();
    }

    fn thread(&self) -> &str {
        &self.thread
    }
}

fn write(mut server: &TcpStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match server.write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// What is written first: a channel and a task for each connection, and the library's `write_frame`.
struct Naive {
    thread: String,
    rounds: tokio::sync::mpsc::Sender<()>,
}

impl Naive {
    fn start(servers: &[TcpStream]) -> Naive {
        let servers: Vec<_> = servers.iter().map(|server| server.try_clone().unwrap()).collect();
        let (rounds, mut coming) = tokio::sync::mpsc::channel(1);
        let (tell, told) = sync_channel(1);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(LocalSet::new().run_until(async {
                let mut queues = Vec::new();
                for server in servers {
                    let (queue, mut frames) = tokio::sync::mpsc::channel::<Bytes>(64);
                    queues.push(queue);
                    let stream = tokio::net::TcpStream::from_std(server).unwrap();
                    tokio::task::spawn_local(async move {
                        let mut socket = WebSocket::after_handshake(stream, Role::Server);
                        while let Some(payload) = frames.recv().await {
                            let payload = Payload::Borrowed(&payload);
                            let frame = fastwebsockets::Frame::new(true, OpCode::Text, None, payload);
                            socket.write_frame(frame).await.unwrap();
                        }
                    });
                }
                tell.send(this_thread()).unwrap();
                let payload = frame().payload_bytes();
                while coming.recv().await.is_some() {
                    for queue in &queues {
                        queue.send(payload.clone()).await.unwrap();
                    }
                }
            }));
        });
        Naive { thread: told.recv().unwrap(), rounds }
    }
}

impl Way for Naive {
    fn publish(&self, _: Frames) {
        self.rounds.blocking_send(()).unwrap();
    }

    fn thread(&self) -> &str {
        &self.thread
    }
}

/// The receivers: a process that reads all sockets, and checks that nothing but the frames came.
struct Hearing {
    process: Child,
    answers: BufReader<ChildStdout>,
}

impl Hearing {
    /// So many receivers, and the servers' ends of their sockets.
    fn start(receivers: usize) -> (RefCell<Hearing>, Vec<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([HEAR, &address, &receivers.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let accept = |_| {
            let (server, _) = listener.accept().unwrap();
            server.set_nodelay(true).unwrap();
            server.set_nonblocking(true).unwrap();
            server
        };
        let servers = (0..receivers).map(accept).collect();
        let answers = BufReader::new(process.stdout.take().unwrap());
        (RefCell::new(Hearing { process, answers }), servers)
    }

    /// So many bytes will come to all receivers together.
    fn expect(&mut self, bytes: usize) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{bytes}").unwrap();
    }

    fn wait(&mut self) {
        let mut answer = String::new();
        assert!(self.answers.read_line(&mut answer).unwrap() > 0, "the receivers are gone");
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// What the process of the receivers does.
fn hear(address: &str, receivers: usize) {
    let connect = |_| {
        let client = TcpStream::connect(address).unwrap();
        client.set_nonblocking(true).unwrap();
        mio::net::TcpStream::from_std(client)
    };
    let mut ears = Ears::new((0..receivers).map(connect).collect());
    for line in std::io::stdin().lines() {
        ears.hear(line.unwrap().parse().unwrap());
        println!("heard");
    }
}

struct Ears {
    poll: Poll,
    events: Events,
    clients: Vec<mio::net::TcpStream>,
    buffer: Vec<u8>,
    frames: Vec<u8>,
    /// How far within a frame each client is.
    within: Vec<usize>,
}

impl Ears {
    fn new(mut clients: Vec<mio::net::TcpStream>) -> Ears {
        let poll = Poll::new().unwrap();
        for (at, client) in clients.iter_mut().enumerate() {
            poll.registry().register(client, Token(at), Interest::READABLE).unwrap();
        }
        let within = vec![0; clients.len()];
        let frames = frame().bytes().repeat(2 * TOPICS + 2);
        Ears {
            poll,
            events: Events::with_capacity(1_024),
            clients,
            buffer: vec![0; 64 << 10],
            frames,
            within,
        }
    }

    fn hear(&mut self, mut bytes: usize) {
        while bytes > 0 {
            self.poll.poll(&mut self.events, None).unwrap();
            for event in &self.events {
                let at = event.token().0;
                let read = match self.clients[at].read(&mut self.buffer) {
                    Ok(read) => read,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                    Err(error) => panic!("{error}"),
                };
                assert!(read > 0 && read <= self.frames.len() - FRAME, "{read} bytes at once");
                let from = self.within[at];
                assert!(self.buffer[..read] == self.frames[from..from + read], "other bytes than were sent");
                self.within[at] = (from + read) % FRAME;
                bytes = bytes.checked_sub(read).expect("no more than is expected");
            }
        }
    }
}

fn frame() -> Frame {
    Frame::text(FRAME, |out| out.resize(out.len() + FRAME - 4, b'x'))
}

fn channel(room: usize) -> Channel {
    Dialect::Native.of(Topic::Room(RoomId(u32::try_from(room).unwrap())))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The folder of this thread's figures.
fn this_thread() -> String {
    format!("/proc/{}", std::fs::read_link("/proc/thread-self").unwrap().display())
}

fn thread_named(name: &str) -> String {
    let is_it = |folder: &std::path::PathBuf| {
        std::fs::read_to_string(folder.join("comm")).is_ok_and(|comm| comm.trim_end() == name)
    };
    let threads = std::fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path());
    // Those of an earlier comparison were joined.
    threads.filter(is_it).max().unwrap().display().to_string()
}

/// How long a thread has run, in nanoseconds.
fn cpu_ns(thread: &str) -> u64 {
    let figures = std::fs::read_to_string(format!("{thread}/schedstat")).unwrap();
    figures.split(' ').next().unwrap().parse().unwrap()
}

/// Header and payload.
const FRAME: usize = 256;
const TOPICS: usize = 20;

/// Begins the arguments of the process of the receivers.
const HEAR: &str = "--hear";

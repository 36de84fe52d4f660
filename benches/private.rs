//! What private events cost: from the moment of publishing to the receipt, to the acknowledgement (which
//! comes when they are on disk), in processor time and in bytes written, at more and more users. A
//! regression here is an order that its owner hears of later, or an exchange that outgrows its server.
//!
//! `cargo bench --bench private [-- --users N --connected N --rate N --seconds N]`; as a test a small
//! round of all of it, to see that it works. The server is a process of its own, with its journal on
//! disk; publishers post batches on a fixed schedule, and times count from when a batch was due.
#![allow(clippy::print_stdout, reason = "it prints a table")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on stops here")]
#![allow(clippy::cast_precision_loss, reason = "figures of a measurement")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};
use tickcast::auth::{Mint, mint};
use tickcast::config::Secrets;

#[path = "support/mod.rs"]
mod support;

/// One measurement.
#[derive(Clone, Copy)]
struct Load {
    /// How many users there are.
    users: usize,
    /// How many of them are connected, evenly among all; what is published is theirs.
    connected: usize,
    /// Events a second.
    rate: usize,
    seconds: usize,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<usize>().ok()
    };
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let is_given = |name: &str| arguments.iter().any(|argument| argument == name);
    if is_given("--test") || !is_given("--bench") {
        return measure(Load { users: 50, connected: 20, rate: 500, seconds: 1 });
    }
    let load = Load {
        users: number("--users").unwrap_or(100_000),
        connected: number("--connected").unwrap_or(10_000),
        rate: number("--rate").unwrap_or(5_000),
        seconds: number("--seconds").unwrap_or(60),
    };
    measure(load);
    if number("--users").is_none() {
        for users in [1_000, 10_000, 100_000] {
            measure(Load { users, connected: 1_000, rate: 5_000, seconds: 60 });
        }
    }
}

fn measure(load: Load) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let publisher = token("backend", "publish");
    // Every user is one to whom something has happened.
    for from in (0..load.users).step_by(BATCH_OF_FIRST) {
        let to = (from + BATCH_OF_FIRST).min(load.users);
        post(server.address, &publisher, &(from..to).map(|user| event(user, 0, 0)).collect::<String>());
    }
    let apart = load.users / load.connected;
    let mut ears = Ears::connect(server.address, load.connected, apart);
    let (begin, before) = (support::now(), server.spent());
    let acknowledged = Mutex::new(histogram());
    let next = AtomicUsize::new(0);
    let batches = load.rate * load.seconds / BATCH;
    let every = Duration::from_secs_f64(BATCH as f64 / load.rate as f64);
    std::thread::scope(|scope| {
        for _ in 0..PUBLISHERS {
            scope.spawn(|| {
                loop {
                    let batch = next.fetch_add(1, Ordering::Relaxed);
                    if batch >= batches {
                        return;
                    }
                    let due = every * u32::try_from(batch).unwrap();
                    std::thread::sleep(due.saturating_sub(begin.elapsed()));
                    let one = |at: usize| {
                        let number = batch * BATCH + at;
                        event(number % load.connected * apart, 1 + number / load.connected, due.as_micros())
                    };
                    post(server.address, &publisher, &(0..BATCH).map(one).collect::<String>());
                    let took = begin.elapsed().saturating_sub(due);
                    acknowledged.lock().unwrap().record(micros(took)).unwrap();
                }
            });
        }
        let ears = &mut ears;
        scope.spawn(move || ears.hear(begin, batches * BATCH));
    });
    let (took, after) = (begin.elapsed(), server.spent());
    let events = batches * BATCH;
    assert_eq!(ears.heard, events, "everything arrived, once");
    let load_line = format!("{} users, {} connected, {} events/s", load.users, load.connected, load.rate);
    println!("{load_line} for {:.1} s, posted {BATCH} at a time", took.as_secs_f64());
    show("  published to received", &ears.latency);
    show("  published to acknowledged", &acknowledged.lock().unwrap());
    let cpu = after.cpu - before.cpu;
    println!(
        "  server: {:.0} % of one core, {:.1} us of CPU and {:.0} bytes to disk an event{}",
        100.0 * cpu.as_secs_f64() / took.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / events as f64,
        (after.written - before.written) as f64 / events as f64,
        after.threads_since(&before, events),
    );
}

fn show(what: &str, histogram: &Histogram<u64>) {
    let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
    println!(
        "{what}: p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, most {:.1} ms",
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

/// One object on a line of its own. A user's orders are made and filled in turn.
fn event(user: usize, turn: usize, due: u128) -> String {
    let (kind, order) = if turn.is_multiple_of(2) { ("created", turn / 2) } else { ("filled", turn / 2) };
    format!(
        "{{\"type\":\"order.{kind}\",\"userId\":\"user{user}\",\"data\":{{\"orderId\":\"{order}\",\"symbol\":\"BTC/USD\",\"side\":\"BUY\",\"type\":\"LIMIT\",\"price\":\"45000.00\",\"quantity\":\"1.5\",\"filledQuantity\":\"0\",\"status\":\"OPEN\",\"due\":{due}}}}}\n"
    )
}

fn token(user: &str, scope: &str) -> String {
    let now = tickcast::clock::Clock::start().now();
    let what = Mint { scope: scope.into(), ..Mint::new(user, now, 3_600) };
    mint(&what, &Secrets { jwt_secret: Some(SECRET.into()), ..Secrets::default() }).unwrap()
}

fn post(address: SocketAddr, token: &str, body: &str) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let length = body.len();
    let request = format!(
        "POST /publish HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"rejected\":[]"), "{answer}");
}

/// The server's process.
struct Server {
    process: Child,
    address: SocketAddr,
}

/// What it has spent so far.
struct Spent {
    cpu: Duration,
    written: u64,
    threads: Vec<(String, u64)>,
}

impl Server {
    fn start(folder: &Path) -> Server {
        let config = folder.join("config.toml");
        std::fs::write(&config, CONFIG).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_tickcast"))
            .args(["serve", "--listen", "127.0.0.1:0", "--source", "none", "--data-dir"])
            .arg(folder.join("data"))
            .arg("--config")
            .arg(&config)
            .env("JWT_SECRET", SECRET)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let listening = lines.find(|line| line.contains("listening")).expect("it starts");
        let address = listening.split_whitespace().find_map(|word| word.strip_prefix("address=")).unwrap();
        let address = address.parse().unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Server { process, address }
    }

    fn spent(&self) -> Spent {
        let folder = format!("/proc/{}", self.process.id());
        let io = std::fs::read_to_string(format!("{folder}/io")).unwrap();
        let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap();
        let mut threads = Vec::new();
        for task in std::fs::read_dir(format!("{folder}/task")).unwrap() {
            let task = task.unwrap().path();
            let name = std::fs::read_to_string(task.join("comm")).unwrap().trim_end().to_owned();
            let run = std::fs::read_to_string(task.join("schedstat")).unwrap();
            threads.push((name, run.split(' ').next().unwrap().parse().unwrap()));
        }
        let cpu = Duration::from_nanos(threads.iter().map(|(_, nanos)| nanos).sum());
        Spent { cpu, written: written.trim().parse().unwrap(), threads }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Spent {
    /// Which threads it were, in microseconds an event.
    fn threads_since(&self, before: &Spent, events: usize) -> String {
        let sum = |spent: &Spent, name: &str| -> u64 {
            spent.threads.iter().filter(|(known, _)| known == name).map(|(_, nanos)| nanos).sum()
        };
        let mut names: Vec<_> = self.threads.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        names.dedup();
        let mut out = String::new();
        for name in names {
            let micros = sum(self, &name).saturating_sub(sum(before, &name)) as f64 / 1e3 / events as f64;
            if micros >= 0.1 {
                write!(out, "{}{name} {micros:.1}", if out.is_empty() { " (" } else { ", " }).unwrap();
            }
        }
        if out.is_empty() { out } else { out + " us)" }
    }
}

/// The users that are connected, each on a WebSocket of its own.
struct Ears {
    poll: Poll,
    clients: Vec<Client>,
    heard: usize,
    latency: Histogram<u64>,
}

struct Client {
    stream: mio::net::TcpStream,
    pending: Vec<u8>,
}

impl Ears {
    fn connect(address: SocketAddr, connected: usize, apart: usize) -> Ears {
        let poll = Poll::new().unwrap();
        let numbered = Arc::new(AtomicUsize::new(0));
        let enter = || {
            let (numbered, mut mine) = (numbered.clone(), Vec::new());
            std::thread::spawn(move || {
                loop {
                    let user = numbered.fetch_add(1, Ordering::Relaxed);
                    if user >= connected {
                        return mine;
                    }
                    mine.push(enter(address, user * apart));
                }
            })
        };
        let threads: Vec<_> = (0..PUBLISHERS).map(|_| enter()).collect();
        let streams = threads.into_iter().flat_map(|thread| thread.join().unwrap());
        let mut clients: Vec<_> = streams.map(|stream| Client { stream, pending: Vec::new() }).collect();
        for (at, client) in clients.iter_mut().enumerate() {
            poll.registry().register(&mut client.stream, Token(at), Interest::READABLE).unwrap();
        }
        Ears { poll, clients, heard: 0, latency: histogram() }
    }

    /// Hears until so many events have come.
    fn hear(&mut self, begin: Instant, events: usize) {
        let (mut ready, mut buffer) = (Events::with_capacity(1_024), vec![0; 64 << 10]);
        while self.heard < events {
            self.poll.poll(&mut ready, Some(PATIENCE)).unwrap();
            assert!(!ready.is_empty(), "{} of {events} events came", self.heard);
            for event in &ready {
                let client = &mut self.clients[event.token().0];
                loop {
                    match client.stream.read(&mut buffer) {
                        Ok(0) => panic!("the server ended a connection"),
                        Ok(read) => client.pending.extend_from_slice(&buffer[..read]),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(error) => panic!("{error}"),
                    }
                }
                let now = begin.elapsed();
                self.heard += client.take(|due| {
                    self.latency.record(micros(now.saturating_sub(Duration::from_micros(due)))).unwrap();
                });
            }
        }
    }
}

impl Client {
    /// Takes all whole frames; how many events they were.
    fn take(&mut self, mut received: impl FnMut(u64)) -> usize {
        let (mut at, mut events) = (0, 0);
        while let Some((opcode, payload, end)) = frame(&self.pending[at..]) {
            let payload = &self.pending[at..][payload..end];
            if opcode == PING {
                // An empty mask leaves the payload as it is.
                let head = [0x8A, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
                self.stream.write_all(&[&head, payload].concat()).unwrap();
            }
            if let Some(due) = due(payload) {
                received(due);
                events += 1;
            }
            at += end;
        }
        self.pending.drain(..at);
        events
    }
}

/// The opcode, and where the payload begins and ends, of the first whole frame.
fn frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (&first, &length) = (bytes.first()?, bytes.get(1)?);
    let (from, length) = match length {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap()))),
        127 => panic!("no event is so long"),
        short => (2, usize::from(short)),
    };
    (bytes.len() >= from + length).then_some((first & 0x0f, from, from + length))
}

fn due(payload: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(payload).ok()?;
    let (_, rest) = text.split_once("\"due\":")?;
    let digits = rest.split(|byte: char| !byte.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// One user comes, asks for its orders, and is told where they stand.
fn enter(address: SocketAddr, user: usize) -> mio::net::TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let token = token(&format!("user{user}"), "");
    let request = format!(
        "GET /v1/ws?token={token} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let ask = br#"{"op":"subscribe","topics":["orders"]}"#;
    stream.write_all(&[0x81, 0x80 | u8::try_from(ask.len()).unwrap(), 0, 0, 0, 0]).unwrap();
    stream.write_all(ask).unwrap();
    // What comes is the head, the answer and the snapshot.
    let (mut heard, mut buffer) = (Vec::new(), [0; 4_096]);
    while !heard.windows(10).any(|part| part == b"\"snapshot\"") || !heard.ends_with(b"}") {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&buffer[..read]);
    }
    stream.set_nonblocking(true).unwrap();
    mio::net::TcpStream::from_std(stream)
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).unwrap()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap().clamp(1, 60_000_000)
}

const SECRET: &str = "a secret of at least thirty-two bytes";

const CONFIG: &str = "limits.connections = 50000\nlimits.connections_per_address = 50000\npublish.objects_per_second = 1000000\n";

/// Events of one request.
const BATCH: usize = 25;
const BATCH_OF_FIRST: usize = 1_000;

/// Requests that are under way at once, at most.
const PUBLISHERS: usize = 16;

/// Nothing takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

const PING: u8 = 9;

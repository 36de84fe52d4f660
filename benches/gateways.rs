//! What a broadcast costs the server for receivers on Socket.IO WebSockets, against the same broadcast to
//! native receivers in the same run. A regression here makes the gateways dearer than the rest.
//!
//! `cargo bench --bench gateways [-- --receivers N] [-- --runs N]`; as a test a small round of it. One
//! worker has all receivers, half of each kind; a trade of one kind's symbol goes to that half. What is
//! counted is the CPU time of the shard and the worker, medians over the runs, ratios within each run.
//! The receivers are a process of their own.
#![allow(clippy::print_stdout, reason = "it prints a table")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on stops here")]

#[path = "../tests/support/client.rs"]
#[allow(dead_code, unreachable_pub, clippy::wildcard_enum_match_arm, reason = "it belongs to several tests")]
mod client;
#[path = "../tests/support/raw.rs"]
mod raw;
#[path = "../tests/support/running.rs"]
mod running;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

use crate::raw::Raw;
use crate::running::{MarketMaker, Running};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<usize>().ok()
    };
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    if let [_, role, address, receivers] = &arguments[..]
        && role == HEAR
    {
        return hear(address.parse().unwrap(), receivers.parse().unwrap());
    }
    let is_given = |name: &str| arguments.iter().any(|argument| argument == name);
    match is_given("--test") || !is_given("--bench") {
        true => compare(10, 2, 3),
        false => compare(number("--receivers").unwrap_or(1_000), number("--runs").unwrap_or(11), 200),
    }
}

/// The two kinds of receivers: what they are called, and the symbol that each listens to.
const KINDS: [(&str, &str); 2] = [("native", "NATIVEUSD"), ("Socket.IO", "SOCKETUSD")];

fn compare(receivers: usize, runs: usize, trades: usize) {
    let server = Running::start(|config| {
        config.threads.worker_threads = Some(NonZeroUsize::MIN);
        // A ping is none of the messages that the receivers count.
        config.limits.ping = Duration::from_secs(3_600);
        config.socketio.ping_interval = Duration::from_secs(3_600);
    });
    let mut markets = KINDS.map(|(_, symbol)| server.market(symbol));
    for market in &mut markets {
        market.snapshot();
        market.settle();
    }
    let mut hearing = Hearing::start(server.address, receivers);
    let mut figures = [Vec::new(), Vec::new()];
    for run in 0..=runs {
        // Which of them is first must not matter.
        for kind in if run % 2 == 0 { [0, 1] } else { [1, 0] } {
            let cost = measure(&mut markets[kind], &mut hearing, kind, receivers, trades);
            // The first run warms everything up.
            if run > 0 {
                figures[kind].push(cost);
            }
        }
    }
    println!("{receivers} receivers of each kind, medians of {runs} runs of {trades} trades");
    for ((name, _), figures) in KINDS.iter().zip(&figures) {
        println!("  {name:<10} {:>6.0} ns of CPU a delivery", median(figures.clone()));
    }
    let mut ratios: Vec<f64> = figures[1].iter().zip(&figures[0]).map(|(one, other)| one / other).collect();
    ratios.sort_by(f64::total_cmp);
    println!(
        "  Socket.IO takes {:.3} of native [{:.3}..{:.3}]",
        median(ratios.clone()),
        ratios[0],
        ratios[ratios.len() - 1]
    );
}

/// Nanoseconds of CPU for each delivery.
fn measure(
    market: &mut MarketMaker,
    hearing: &mut Hearing,
    kind: usize,
    receivers: usize,
    trades: usize,
) -> f64 {
    let before = cpu_ns();
    for _ in 0..trades {
        hearing.expect(kind);
        market.trade();
        hearing.wait();
    }
    #[allow(clippy::cast_precision_loss, reason = "a figure of a measurement")]
    let cost = (cpu_ns() - before) as f64 / (receivers * trades) as f64;
    cost
}

/// How long the server's shards and workers have run, in nanoseconds.
fn cpu_ns() -> u64 {
    let mut sum = 0;
    for thread in std::fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path()) {
        let name = std::fs::read_to_string(thread.join("comm")).unwrap_or_default();
        if name.starts_with("worker-") || name.starts_with("shard-") {
            let figures = std::fs::read_to_string(thread.join("schedstat")).unwrap();
            sum += figures.split(' ').next().unwrap().parse::<u64>().unwrap();
        }
    }
    assert!(sum > 0, "the server's threads are found by their names");
    sum
}

/// The process of the receivers.
struct Hearing {
    process: Child,
    answers: BufReader<ChildStdout>,
}

impl Hearing {
    fn start(address: SocketAddr, receivers: usize) -> Hearing {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([HEAR, &address.to_string(), &receivers.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let mut hearing = Hearing { process, answers };
        hearing.wait();
        hearing
    }

    /// Every receiver of this kind will get one message.
    fn expect(&mut self, kind: usize) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{kind}").unwrap();
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
fn hear(address: SocketAddr, receivers: usize) {
    let natives = (0..receivers).map(|_| native(address));
    let gateways = (0..receivers).map(|_| gateway(address));
    let mut ears = Ears::new(natives.chain(gateways).collect());
    println!("ready");
    for line in std::io::stdin().lines() {
        let kind: usize = line.unwrap().parse().unwrap();
        ears.hear(kind * receivers..(kind + 1) * receivers);
        println!("heard");
    }
}

/// A receiver of trades. The book comes behind them in the queue of the symbol: with it they are heard.
fn native(address: SocketAddr) -> Raw {
    let mut raw = Raw::connect(address);
    raw.subscribe(&["trades:NATIVEUSD", "book:NATIVEUSD:1:1000ms"]);
    assert_eq!(raw.hear()["type"], "snapshot");
    raw
}

fn gateway(address: SocketAddr) -> Raw {
    let mut raw = Raw::connect_to(address, "/socket.io/?EIO=4&transport=websocket");
    raw.say("40/ws,");
    for channel in ["trades", "orderbook"] {
        raw.say(&format!(r#"42/ws,["subscribe",{{"channel":"{channel}","symbol":"SOCKETUSD"}}]"#));
    }
    while !raw.frame().payload.starts_with(br#"42/ws,["orderbook.update""#) {}
    raw
}

struct Ears {
    poll: Poll,
    events: Events,
    clients: Vec<mio::net::TcpStream>,
    /// What has come of the next message of each.
    begun: Vec<Vec<u8>>,
}

impl Ears {
    fn new(clients: Vec<Raw>) -> Ears {
        let poll = Poll::new().unwrap();
        let register = |(at, client): (usize, Raw)| {
            client.stream.set_nonblocking(true).unwrap();
            let mut stream = mio::net::TcpStream::from_std(client.stream);
            poll.registry().register(&mut stream, Token(at), Interest::READABLE).unwrap();
            stream
        };
        let clients: Vec<_> = clients.into_iter().enumerate().map(register).collect();
        let begun = vec![Vec::new(); clients.len()];
        Ears { poll, events: Events::with_capacity(1_024), clients, begun }
    }

    /// Waits for one message to each of these clients.
    fn hear(&mut self, clients: std::ops::Range<usize>) {
        let mut missing = clients.len();
        let mut part = [0; 4 << 10];
        while missing > 0 {
            self.poll.poll(&mut self.events, None).unwrap();
            for at in self.events.iter().map(|event| event.token().0) {
                loop {
                    match self.clients[at].read(&mut part) {
                        Ok(read) => {
                            assert!(read > 0 && clients.contains(&at), "nobody else hears it");
                            self.begun[at].extend_from_slice(&part[..read]);
                        }
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(error) => panic!("{error}"),
                    }
                }
                if let Some((message, length)) = raw::parse(&self.begun[at]) {
                    assert_eq!((length, message.opcode), (self.begun[at].len(), raw::TEXT), "one message");
                    assert!(message.payload.windows(7).any(|text| text == b"tradeId"), "a trade");
                    self.begun[at].clear();
                    missing -= 1;
                }
            }
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Begins the arguments of the process of the receivers.
const HEAR: &str = "--hear";

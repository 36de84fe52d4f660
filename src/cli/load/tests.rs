//! Whole runs, against servers in this process.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use clap::Parser;
use tokio::sync::watch;

use super::*;
use crate::auth::Tokens;
use crate::cli::{Cli, Command};
use crate::config::{Config, Source};
use crate::encode::Frame;
use crate::engine::{Engine, RunningSource};
use crate::server::{Door, Market, Server};

/// An engine with the simulated exchange, served until it is dropped.
struct Served {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    fn with(change: impl FnOnce(&mut Config)) -> Served {
        let mut config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            source: Source::Simulated,
            symbols: vec!["BTCUSDT".into(), "ETHUSDT".into()],
            ..Config::default()
        };
        change(&mut config);
        let (stop, stopped) = watch::channel(false);
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async {
                let engine = Engine::start(&config).unwrap();
                for symbol in &config.symbols {
                    engine.symbols().add(symbol).unwrap();
                }
                let source = RunningSource::start(&config, &engine).unwrap();
                let door = Door::new(&config, engine.workers().clone());
                let tokens = Arc::new(Tokens::new(&config).unwrap());
                let server = Server::bind(&config, Market::new(&config, engine, tokens), door).await.unwrap();
                tell.send(server.address().unwrap()).unwrap();
                let market = server.serve(stopped).await;
                source.stop();
                market.into_engine().shut_down(config.limits.shutdown);
            });
        });
        Served { address: told.recv().unwrap(), stop, thread: Some(thread) }
    }

    fn plan(&self, options: &str) -> Plan {
        plan(&format!("ws://{}/v1/ws {options}", self.address)).unwrap()
    }

    /// Whether the server comes to have no clients.
    #[track_caller]
    fn empties(&self) {
        let mut answer = String::new();
        for _ in 0..20_000 {
            let mut stream = TcpStream::connect(self.address).unwrap();
            stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            answer.clear();
            stream.read_to_string(&mut answer).unwrap();
            if answer.contains("\"clients\":0") {
                return;
            }
        }
        panic!("clients are left: {answer}");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn plan(line: &str) -> Result<Plan, LoadError> {
    let words = ["tickcast", "load"].into_iter().chain(line.split_whitespace());
    match Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}")).command {
        Command::Load(args) => Plan::of(&args),
        other @ (Command::Serve(_)
        | Command::Replay(_)
        | Command::Record(_)
        | Command::Tail(_)
        | Command::Token(_)
        | Command::Demo(_)) => {
            panic!("{other:?}")
        }
    }
}

const TOPICS: &str =
    "--topics book:BTCUSDT,book:ETHUSDT:10:100ms,trades:BTCUSDT,ticker:BTCUSDT:100ms,kline:BTCUSDT:1m";

#[test]
fn receivers_hear_by_the_rules_also_those_that_stop_for_a_while_or_are_slow() {
    let served = Served::with(|_| {});
    let options = format!("{TOPICS} --connections 20 --check 5 --stopped 4 --slow 2:200000 --threads 2");
    let plan = Plan {
        warmup: Duration::ZERO,
        measured: Duration::from_secs(2),
        resume_after: Some(Duration::from_millis(800)),
        pid: Some(std::process::id()),
        ..served.plan(&options)
    };
    let report = run(&plan).unwrap();
    assert_eq!(report.connections.failures, Failures::default());
    assert_eq!((report.connections.subscribed, report.connections.open_at_end), (20, 20));
    let check = report.check.as_ref().unwrap();
    assert_eq!((check.receivers, check.violations), (11, 0), "{:?}", check.examples);
    assert!(check.stopped_behind.is_some() && check.messages > 100, "{check:?}");
    assert!(report.deliveries > 500 && report.received >= report.deliveries, "{report}");
    assert!(report.latency.as_ref().unwrap().samples > 100, "{report}");
    assert_eq!(report.connections.left, 20, "{report}");
    assert!(report.server.is_some());
    served.empties();
}

#[test]
fn receivers_that_come_and_go_are_all_gone_in_the_end() {
    let served = Served::with(|_| {});
    let plan = Plan {
        warmup: Duration::ZERO,
        measured: Duration::from_secs(2),
        churn: Some(Duration::from_millis(200)),
        ..served.plan(&format!("{TOPICS} --connections 30 --check 30 --spread"))
    };
    let report = run(&plan).unwrap();
    let all = &report.connections;
    assert_eq!(all.failures, Failures::default());
    assert_eq!(report.violations(), 0, "{:?}", report.check);
    assert!(all.subscribed > 60, "{report}");
    assert_eq!(all.left + all.vanished, all.subscribed, "{report}");
    served.empties();
}

#[test]
fn what_fails_is_told_by_kind_and_does_not_end_the_run() {
    let served = Served::with(|config| config.limits.connections = NonZeroUsize::new(5).unwrap());
    let short = |plan: Plan| Plan { warmup: Duration::ZERO, measured: Duration::from_millis(50), ..plan };
    let report = run(&short(served.plan(&format!("{TOPICS} --connections 8")))).unwrap();
    let failed: Vec<_> = report.connections.failures.each().collect();
    assert_eq!(failed, [("answered with HTTP status 503", 3)]);
    assert_eq!(report.connections.open_at_end, 5);
    let nobody = |plan| run(&short(plan)).unwrap_err().to_string();
    let unknown = nobody(served.plan("--topics trades:XYZ --connections 2"));
    assert!(unknown.contains("not subscribed: trades:XYZ: UNKNOWN_SYMBOL"), "{unknown}");
    let no_websocket = nobody(served.plan("--raw-path /healthz --connections 2"));
    assert!(no_websocket.contains("answered with HTTP status 200 (2 times)"), "{no_websocket}");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = nobody(plan(&format!("ws://{free}/ --topics a --connections 2")).unwrap());
    assert!(refused.contains("could not connect: connection refused (2 times)"), "{refused}");
}

/// A server that hands what comes at `/pub` to everybody at `/sub`: plain, and strict enough.
fn pubsub() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let all: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, all) = (stream.unwrap(), all.clone());
            std::thread::spawn(move || converse(stream, &all));
        }
    });
    address
}

fn converse(mut stream: TcpStream, all: &Mutex<Vec<TcpStream>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let accept = "HTTP/1.1 101 X\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    stream.write_all(accept.as_bytes()).unwrap();
    if head.starts_with(b"GET /sub ") {
        all.lock().unwrap().push(stream.try_clone().unwrap());
    }
    loop {
        let mut head = [0; 2];
        stream.read_exact(&mut head).unwrap();
        let mut length = usize::from(head[1] & 0x7F);
        if length == 126 {
            let mut wide = [0; 2];
            stream.read_exact(&mut wide).unwrap();
            length = u16::from_be_bytes(wide).into();
        }
        let mut rest = vec![0; 4 + length];
        stream.read_exact(&mut rest).unwrap();
        let (mask, payload) = rest.split_at(4);
        let payload: Vec<u8> = payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b).collect();
        if head[0] == 0x88 {
            return stream.write_all(Frame::close(Some(1000), "").bytes()).unwrap();
        }
        let frame = Frame::text(payload.len(), |out| out.extend_from_slice(&payload));
        for receiver in all.lock().unwrap().iter_mut() {
            receiver.write_all(frame.bytes()).unwrap();
        }
    }
}

#[test]
fn all_that_is_published_is_received_by_all_and_timed_by_one_clock() {
    let address = pubsub();
    let line = format!(
        "ws://{address} --raw-path /sub --connections 10 --publish ws://{address}/pub --rate 500 --burst 5 --size 300"
    );
    let plan =
        Plan { warmup: Duration::from_millis(200), measured: Duration::from_secs(1), ..plan(&line).unwrap() };
    let report = run(&plan).unwrap();
    let published = report.published.as_ref().unwrap();
    assert_eq!(published.broke, None);
    assert!((550..=600).contains(&published.messages), "{report}");
    assert_eq!(report.received, published.deliveries_expected, "{report}");
    assert_eq!(report.deliveries * 304, report.bytes, "a header of 4 bytes, 300 of payload");
    let latency = report.latency.as_ref().unwrap();
    assert_eq!((latency.from, latency.resolution_us), ("t", 0.0));
    assert!(latency.samples > 1_000 && latency.p50_us < 500_000.0, "{report}");
    assert_eq!(report.connections.left, 10, "{report}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["deliveries"], report.deliveries);
    assert_eq!(json["connections"]["failures"], serde_json::json!({}));
}

#[test]
fn what_makes_no_sense_is_refused_with_the_remedy() {
    let refused = |line: &str| plan(line).unwrap_err().to_string();
    assert!(refused("").contains("--topics: nothing to subscribe to: name some"));
    assert!(refused("--raw-path /sub --topics a").contains("leave out one of the two"));
    assert!(refused("--raw-path /sub --check 1").contains("leave out one of the two"));
    assert!(refused("--topics a --publish ws://127.0.0.1/pub").contains("--raw-path"));
    assert!(
        refused("--topics a --connections 5 --stopped 3 --slow 3:1")
            .contains("ask for 6 receivers, and there are 5")
    );
    assert!(refused("--topics a --connections 5 --check 6").contains("raise --connections"));
    assert!(refused("--topics a --for 5 --stopped 1 --resume-after 5").contains("--resume-after"));
    assert!(refused("--topics-file /nowhere/topics").contains("--topics-file: /nowhere/topics: "));
    let gone = run(&plan("--topics a --pid 4194999").unwrap()).unwrap_err().to_string();
    assert_eq!(gone, "--pid: there is no process 4194999 here, or it may not be looked at");
}

#[test]
fn topics_come_from_the_line_and_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("topics");
    std::fs::write(&file, "# books\nbook:A\n\n  trades:A  \n").unwrap();
    let plan = plan(&format!("--topics ticker:* --topics-file {} --spread", file.display())).unwrap();
    assert_eq!(plan.topics, ["ticker:*", "book:A", "trades:A"]);
    assert_eq!(plan.topics_of(4), ["book:A"]);
}

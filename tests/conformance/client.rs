//! A client that does exactly what a test says, on polling and on WebSockets.

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tickcast::config::Config;
use tickcast::session::engineio::Options;
use tokio::sync::watch;

use crate::raw::{BINARY, CLOSE, Raw, TEXT, frame};
use crate::suite::Suite;

/// The conformance server in this process; dropping it ends it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start() -> Server {
        Server::with(Options { ping_interval: 300, ping_timeout: 200, ..Options::default() })
    }

    pub(crate) fn with(options: Options) -> Server {
        Server::within(options, Duration::from_secs(10))
    }

    /// One where a request has so much time.
    pub(crate) fn within(options: Options, handshake: Duration) -> Server {
        let mut config = Config::default();
        config.listen.set_port(0);
        config.limits.handshake = handshake;
        let (stop, stopped) = watch::channel(false);
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let workers = runtime.block_on(async {
                let (server, workers) = Suite::bind_with(&config, options).await.unwrap();
                tell.send(server.address().unwrap()).unwrap();
                server.serve(stopped).await;
                workers
            });
            workers.end();
        });
        Server { address: told.recv().unwrap(), stop, thread: Some(thread) }
    }

    /// Asks and reads the whole answer.
    pub(crate) fn ask(&self, method: &str, target: &str, body: &str) -> Answer {
        self.begin(method, target, "", body).answer()
    }

    /// Sends a request, whose answer is read later or never.
    pub(crate) fn begin(&self, method: &str, target: &str, header: &str, body: &str) -> Pending {
        let mut raw = Raw::socket(self.address);
        let length = body.len();
        raw.send(
            format!(
                "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{header}Content-Length: {length}\r\n\r\n{body}"
            )
            .as_bytes(),
        );
        Pending(raw)
    }

    /// Opens a session on polling.
    pub(crate) fn open(&self, path: &'static str) -> Session<'_> {
        let opened = self.ask("GET", &format!("{path}?EIO=4&transport=polling"), "");
        assert_eq!(opened.status, 200, "{opened:?}");
        let handshake = opened.json();
        Session { server: self, path, sid: handshake["sid"].as_str().unwrap().to_owned() }
    }

    /// Opens a WebSocket and hears its first packet.
    pub(crate) fn websocket(&self, path: &str) -> Socket {
        let mut socket = self.connect(&format!("{path}?EIO=4&transport=websocket"));
        assert!(socket.hear().starts_with("0{"));
        socket
    }

    pub(crate) fn connect(&self, target: &str) -> Socket {
        Socket(Raw::connect_to(self.address, target))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking(), "the server had panicked");
        }
    }
}

/// A request that was sent.
pub(crate) struct Pending(pub(crate) Raw);

impl Pending {
    pub(crate) fn answer(mut self) -> Answer {
        let head = self.0.head();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: String::from_utf8(self.0.rest()).unwrap() }
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The JSON of an open packet.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.body.strip_prefix('0').unwrap()).unwrap()
    }
}

/// A session on polling.
pub(crate) struct Session<'a> {
    server: &'a Server,
    path: &'static str,
    pub(crate) sid: String,
}

impl Session<'_> {
    fn target(&self, transport: &str) -> String {
        format!("{}?EIO=4&transport={transport}&sid={}", self.path, self.sid)
    }

    pub(crate) fn poll(&self) -> Answer {
        self.server.ask("GET", &self.target("polling"), "")
    }

    pub(crate) fn begin_poll(&self) -> Pending {
        self.server.begin("GET", &self.target("polling"), "", "")
    }

    pub(crate) fn post(&self, body: &str) -> Answer {
        self.server.ask("POST", &self.target("polling"), body)
    }

    pub(crate) fn post_as(&self, kind: &str, body: &str) -> Answer {
        let header = format!("Content-Type: {kind}\r\n");
        self.server.begin("POST", &self.target("polling"), &header, body).answer()
    }

    /// What a poll brings.
    #[track_caller]
    pub(crate) fn hears(&self, body: &str) {
        let answer = self.poll();
        assert_eq!((answer.status, &*answer.body), (200, body));
    }

    /// Posts, and is told that it was taken.
    #[track_caller]
    pub(crate) fn says(&self, body: &str) {
        let answer = self.post(body);
        assert_eq!((answer.status, &*answer.body), (200, "ok"));
    }

    #[track_caller]
    pub(crate) fn is_gone(&self) {
        let answer = self.poll();
        assert_eq!(answer.status, 400, "{answer:?}");
    }

    /// A WebSocket that is to take over.
    pub(crate) fn websocket(&self) -> Socket {
        self.server.connect(&self.target("websocket"))
    }

    /// Moves to a WebSocket.
    pub(crate) fn moves(&self) -> Socket {
        let mut socket = self.websocket();
        socket.says("2probe");
        assert_eq!(socket.hear(), "3probe");
        socket.says("5");
        socket
    }
}

/// A WebSocket.
pub(crate) struct Socket(pub(crate) Raw);

impl Socket {
    pub(crate) fn says(&mut self, text: &str) {
        self.0.say(text);
    }

    pub(crate) fn says_bytes(&mut self, bytes: &[u8]) {
        self.0.send(&frame(BINARY, true, bytes));
    }

    pub(crate) fn hear(&mut self) -> String {
        let got = self.0.frame();
        assert_eq!(got.opcode, TEXT, "{got:?}");
        String::from_utf8(got.payload).unwrap()
    }

    pub(crate) fn hear_bytes(&mut self) -> Vec<u8> {
        let got = self.0.frame();
        assert_eq!(got.opcode, BINARY, "{got:?}");
        got.payload
    }

    /// Hears a packet whose rest is another each time.
    #[track_caller]
    pub(crate) fn hear_like(&mut self, begin: &str) {
        let heard = self.hear();
        assert!(heard.starts_with(begin), "{heard}");
    }

    /// The code with which the server closes, behind whatever else it says.
    pub(crate) fn closed(&mut self) -> Option<u16> {
        loop {
            match self.0.try_frame() {
                Ok(Some(got)) if got.opcode == CLOSE => {
                    return got.payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

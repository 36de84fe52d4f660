//! The transcripts of the Socket.IO gateways.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tickcast::auth::Tokens;
use tickcast::config::Config;
use tickcast::market::{Event, Millis, Rooms, Symbols};
use tickcast::session::engineio::{self, EngineIo, Sid};
use tickcast::session::gateway::{Gateway, GatewayLimits, Gateways};
use tickcast::session::{Conversation, socketio};

use crate::inside::Inside;
use crate::raw::{Raw, TEXT, post};
use crate::running::{Running, now, secrets, token, token_at};
use crate::transcript::{Settings, Stage, Transcript};

/// What a transcript can say of tokens.
fn tokens(now: Millis) -> Vec<(&'static str, String)> {
    vec![
        ("ann", token_at(now, "ann", "", 3_600)),
        ("ann_again", token_at(now, "ann", "admin", 7_200)),
        ("bob", token_at(now, "bob", "", 3_600)),
        ("ann_for_5_s", token_at(now, "ann", "", 5)),
        ("expired", token_at(now, "ann", "", -1)),
    ]
}

/// A connection to a server of its own.
struct OverSocket {
    // It goes first, so that the server has nobody to wait for.
    raw: Raw,
    server: Running,
    happened: u64,
    /// Where the server keeps what is published.
    _folder: tempfile::TempDir,
}

impl OverSocket {
    fn new(settings: &Settings) -> OverSocket {
        let folder = tempfile::tempdir().unwrap();
        let server = Running::start(|config| {
            config.secrets = secrets();
            config.data_dir = Some(folder.path().into());
            config.dev = settings.dev;
            config.rooms.public = settings.rooms.clone();
            config.rooms.users = settings.user_rooms.clone();
            config.limits.subscriptions = NonZeroUsize::new(settings.subscriptions).unwrap();
            let messages = NonZeroUsize::new(settings.messages as usize).unwrap();
            config.socketio.maven_messages_per_minute = messages;
            config.socketio.tradewithai_messages_per_minute = messages;
        });
        settings.symbols.iter().for_each(|symbol| _ = server.symbols.add(symbol).unwrap());
        let raw = Raw::connect_to(server.address, "/socket.io/?EIO=4&transport=websocket");
        let mut stage = OverSocket { raw, server, happened: 0, _folder: folder };
        assert!(stage.hear().unwrap().starts_with("0{"));
        stage
    }
}

impl Stage for OverSocket {
    fn now(&self) -> Millis {
        now()
    }

    fn known(&self) -> Vec<(&'static str, String)> {
        tokens(now())
    }

    fn say(&mut self, text: &str) {
        self.raw.say(text);
    }

    fn happen(&mut self, symbol: &str, event: Event) {
        self.happened += 1;
        self.server.happen(symbol, event, self.happened);
    }

    fn publish(&mut self, object: &str) {
        let answer = post(self.server.address, &token("backend", "publish", 60), object);
        assert_eq!(answer.0, 200, "{}", answer.1);
    }

    fn pass(&mut self, _: Millis) {
        panic!("no test turns the clock of a real server");
    }

    /// What a server says by itself at its own times is left out.
    fn hear(&mut self) -> Option<String> {
        loop {
            let got = self.raw.try_frame().unwrap()?;
            assert_eq!(got.opcode, TEXT, "{got:?}");
            let text = String::from_utf8(got.payload).unwrap();
            match &*text {
                "2" => self.raw.say("3"),
                count if count.starts_with(r#"42["connection-count""#) => {}
                _ => return Some(text),
            }
        }
    }

    fn left_over(&mut self) -> Option<String> {
        // Whatever was sent before comes before the answer to this.
        self.raw.say("40/the-end,");
        self.hear().filter(|heard| !heard.starts_with("44/the-end,"))
    }
}

/// The gateways without a server. Only markets are heard of.
fn inside(settings: &Settings) -> Inside {
    let converse = |symbols: Arc<Symbols>, now| -> Box<dyn Conversation> {
        let config = Config { secrets: secrets(), ..Config::default() };
        let gateway = Gateway {
            symbols,
            accounts: Arc::default(),
            rooms: Arc::new(Rooms::new(&settings.rooms, &settings.user_rooms)),
            tokens: Arc::new(Tokens::new(&config).unwrap()),
            presence: Arc::default(),
            limits: GatewayLimits {
                subscriptions: settings.subscriptions,
                maven_messages: settings.messages as usize,
                tradewithai_messages: settings.messages as usize,
            },
            dev: settings.dev,
        };
        let gateways = Arc::new(Gateways::new(Arc::new(gateway), None));
        let spoken = Box::new(socketio::SocketIo::new(gateways, socketio::Options::default(), now));
        let sid = Sid::random(0).unwrap();
        Box::new(EngineIo::new(sid, engineio::Options::default(), false, spoken, now))
    };
    let mut stage = Inside::new(&settings.symbols, converse).knowing(tokens);
    assert!(stage.hear().unwrap().starts_with("0{"));
    stage
}

fn play_all(dialect: &str, at_least: usize) {
    let (mut inside_alone, mut over_sockets) = (0, 0);
    for transcript in Transcript::all(dialect) {
        if !transcript.publishes() {
            transcript.play(&mut inside(&transcript.settings));
            inside_alone += 1;
        }
        if !transcript.passes_time() {
            transcript.play(&mut OverSocket::new(&transcript.settings));
            over_sockets += 1;
        }
    }
    assert!(inside_alone >= at_least && over_sockets >= at_least, "the transcripts are there");
}

#[test]
fn every_maven_transcript_holds() {
    play_all("maven", 5);
}

#[test]
fn every_tradewithai_transcript_holds() {
    play_all("tradewithai", 5);
}

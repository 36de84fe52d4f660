//! The native dialect's transcripts.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tickcast::market::{Event, Millis};
use tickcast::session::{Native, SessionLimits};

use crate::inside::Inside;
use crate::raw::{Raw, TEXT};
use crate::running::{Running, now};
use crate::transcript::{Settings, Stage, Transcript};

/// A connection to a server of its own.
struct OverSocket {
    // It goes first, so that the server has nobody to wait for.
    raw: Raw,
    server: Running,
    happened: u64,
}

impl OverSocket {
    fn new(settings: &Settings) -> OverSocket {
        let server = Running::start(|config| {
            config.limits.subscriptions = NonZeroUsize::new(settings.subscriptions).unwrap();
            config.limits.messages_burst = NonZeroUsize::new(settings.messages as usize).unwrap();
            config.limits.messages_per_second = NonZeroUsize::MIN;
        });
        settings.symbols.iter().for_each(|symbol| _ = server.symbols.add(symbol).unwrap());
        let raw = Raw::connect(server.address);
        OverSocket { raw, server, happened: 0 }
    }
}

impl Stage for OverSocket {
    fn now(&self) -> Millis {
        now()
    }

    fn say(&mut self, text: &str) {
        self.raw.say(text);
    }

    fn happen(&mut self, symbol: &str, event: Event) {
        self.happened += 1;
        self.server.happen(symbol, event, self.happened);
    }

    fn pass(&mut self, _: Millis) {
        panic!("no test turns the clock of a real server");
    }

    fn hear(&mut self) -> Option<String> {
        let got = self.raw.try_frame().unwrap()?;
        assert_eq!(got.opcode, TEXT, "{got:?}");
        Some(String::from_utf8(got.payload).unwrap())
    }

    fn left_over(&mut self) -> Option<String> {
        // Whatever was sent before comes before the answer to this.
        self.raw.say(r#"{"op":"ping","id":"the end"}"#);
        self.hear().filter(|heard| !heard.contains(r#""id":"the end""#))
    }
}

#[test]
fn every_native_transcript_holds_without_sockets() {
    let all = Transcript::all("native");
    assert!(all.len() >= 8, "the transcripts are there");
    for transcript in all {
        let limits = SessionLimits {
            subscriptions: transcript.settings.subscriptions,
            messages_per_second: 1,
            messages_burst: transcript.settings.messages,
        };
        let mut stage = Inside::new(&transcript.settings.symbols, |symbols, now| {
            let tokens = Arc::new(tickcast::auth::Tokens::new(&tickcast::config::Config::default()).unwrap());
            let access = tickcast::session::Access::new(Arc::default(), Arc::default(), tokens, None);
            Box::new(Native::new(symbols, limits, access, now))
        });
        transcript.play(&mut stage);
    }
}

#[test]
fn every_native_transcript_that_turns_no_clock_holds_over_a_real_socket() {
    let mut played = 0;
    for transcript in Transcript::all("native").iter().filter(|transcript| !transcript.passes_time()) {
        transcript.play(&mut OverSocket::new(&transcript.settings));
        played += 1;
    }
    assert!(played >= 5, "most need no clock");
}

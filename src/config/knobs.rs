//! The list of all knobs: key, where it can be given, what it may be, what it is for.
//!
//! The parser looks keys up here, the checks stand here, and the README's table is written from
//! here. The defaults are those of [`Config::default`].

use super::setting::Number::{Amount, Chosen, ChosenTime, Count, Seed, Time};
use super::{Config, Secrets, Setting};

/// One thing that can be set.
#[derive(Debug)]
pub struct Knob {
    /// Its key in the file, with its section.
    pub key: &'static str,
    /// Its flag at `tickcast serve`.
    pub flag: Option<&'static str>,
    /// Its variable in the environment.
    pub variable: Option<&'static str>,
    /// What it may be and where it is kept.
    pub setting: Setting,
    /// What no value means, for those that may have none.
    pub unset: &'static str,
    /// What it does, why its default is what it is, and what more or less of it costs.
    pub meaning: &'static str,
}

impl Knob {
    /// The default as the operator would write it.
    pub fn default_value(&self) -> String {
        self.setting.show(&mut Config::default()).unwrap_or_else(|| self.unset.into())
    }

    const fn flag(self, flag: &'static str) -> Knob {
        Knob { flag: Some(flag), ..self }
    }

    const fn variable(self, variable: &'static str) -> Knob {
        Knob { variable: Some(variable), ..self }
    }

    const fn unset(self, unset: &'static str) -> Knob {
        Knob { unset, ..self }
    }
}

const fn knob(key: &'static str, setting: Setting, meaning: &'static str) -> Knob {
    Knob { key, flag: None, variable: None, setting, unset: "none", meaning }
}

const fn whole(at: super::setting::Number, unit: &'static str, least: u64, most: u64) -> Setting {
    Setting::Whole { at, unit, least, most }
}

const MS: &str = " of milliseconds";
const BYTES: &str = " of bytes";
const MINUTE_MS: u64 = 60_000;
const MILLION: u64 = 1_000_000;

/// All knobs, in the order of the README.
#[rustfmt::skip]
pub const KNOBS: &[Knob] = &[
    knob("listen", Setting::Address(|c| &mut c.listen),
        "Where clients connect. Loopback, so that nothing is open before somebody decides so; `PORT` changes the port alone.")
        .flag("--listen").variable("PORT"),
    knob("source", Setting::Source(|c| &mut c.source),
        "Where market data comes from: `none` (publishers only), `simulated`, `binance`, `binance-us`, `binance-usdm`, `binance-coinm`, or `replay:FILE[,FILE...]`.")
        .flag("--source"),
    knob("symbols", Setting::Symbols(|c| &mut c.symbols),
        "The symbols asked of the source, as the venue writes them. A venue needs at least one; the simulator makes some up; a replay takes what its files hold.")
        .flag("--symbols").unset("the source's own"),
    knob("data_dir", Setting::Folder(|c| &mut c.data_dir),
        "Where private events and closed bars are kept. Without it private events are refused with 503 (with `journal.in_memory` and in development mode they are kept in memory), and charts begin anew with the process. Bars of replays and made-up pasts are not kept.").flag("--data-dir"),
    knob("dev", Setting::Switch(|c| &mut c.dev),
        "Development mode, for one machine: refused on any address but loopback. `NODE_ENV=development` turns it on.")
        .flag("--dev").variable("NODE_ENV"),
    knob("allowed_origins", Setting::Origins(|c| &mut c.allowed_origins),
        "The web pages that may connect, as origins (`https://example.com`); in the environment separated by commas.")
        .variable("CLIENT_URL").unset("any"),
    knob("compression", Setting::Switch(|c| &mut c.compression),
        "Whether clients may agree on permessage-deflate. Each broadcast is then compressed once for all of them, by itself: small updates become a fifth smaller, books a half, for 5 to 40 µs of CPU and 0.5 MB a thread. Off, because on a fast network that buys nothing."),
    knob("page", Setting::Switch(|c| &mut c.page),
        "Whether a live page of the market is served at `/`. Off where the server is for programs alone; `demo` turns it on.").flag("--page"),
    knob("log", Setting::LogFilter(|c| &mut c.log),
        "Which log lines are written: a level, or levels per module such as `tickcast=debug,warn`.").variable("RUST_LOG"),
    knob("log_format", Setting::LogFormat(|c| &mut c.log_format),
        "`text` for people, `json` (one object a line) for machines."),

    knob("simulated.seed", whole(Seed(|c| &mut c.simulated.seed), "", 0, i64::MAX as u64),
        "The same seed makes the same market.").flag("--seed"),
    knob("simulated.rate", whole(Count(|c| &mut c.simulated.rate), " of events a second", 1, 10 * MILLION),
        "Events a second over all symbols. The default is a lively market of a few symbols.").flag("--rate"),
    knob("simulated.symbols", whole(Count(|c| &mut c.simulated.symbols), "", 1, 10_000),
        "How many symbols the simulator makes up when `symbols` names none."),
    knob("simulated.history", whole(Amount(|c| &mut c.simulated.history), " of minutes", 0, 1_380),
        "Minutes of trading that the simulator makes up for the time before it opens, so that a chart has a past: four trades a minute and symbol. At most 23 hours, since trades of more than a day ago are refused."),

    knob("replay.speed", Setting::Speed(|c| &mut c.replay.speed),
        "How many times faster than life a recording is played; `max` does not wait at all."),

    knob("binance.ws_url", Setting::Url(|c| &mut c.binance.ws_url, &["wss://", "ws://"]),
        "Replaces the address of the venue's streams, for a proxy or a test.").unset("the venue's"),
    knob("binance.rest_url", Setting::Url(|c| &mut c.binance.rest_url, &["https://", "http://"]),
        "Replaces the address of the venue's snapshots.").unset("the venue's"),
    knob("binance.depth_ms", Setting::DepthSpeed(|c| &mut c.binance.depth),
        "How often the venue sends book changes: 100 or 1000 on spot markets, 100 or 250 on futures. The fastest that all of them offer."),
    knob("binance.silence_ms", whole(ChosenTime(|c| &mut c.binance.silence), MS, 1_000, 60 * MINUTE_MS),
        "A connection on which nothing arrives this long, not even a ping, is opened anew. The venue pings every 20 s on spot and every 3 min on futures; the default is 40 s more.")
        .unset("60000 on spot, 220000 on futures"),

    knob("book.levels_most", whole(Count(|c| &mut c.book.levels_most), " of levels", 50, MILLION),
        "Levels kept a side; the worst beyond it are dropped. Full spot books have up to 10,000; each level takes 24 bytes."),

    knob("bars.grace_ms", whole(Time(|c| &mut c.bars.grace), MS, 0, MINUTE_MS),
        "How long after its boundary a bar waits for trades that are still on their way. Longer closes bars later, shorter makes more corrections. A replay waits for none while anybody trades, and five seconds where nobody does."),
    knob("bars.kept", whole(Count(|c| &mut c.bars.kept), " of bars", 1, 100_000),
        "Closed bars kept per symbol and each of the ten intervals, in memory and in `data_dir`: what a chart can ask for, and how late a trade may come. Each takes 80 bytes of memory; with the default, two screens of a chart, a thousand symbols with all their bars fit in 512 MiB. A server of a few symbols can well have 1500, which is what a chart asks for at most."),
    knob("bars.most_flat_bars", whole(Amount(|c| &mut c.bars.most_flat_bars), " of bars", 0, 100_000),
        "Bars without a trade that are filled in at once after a pause: a day of minutes. A longer pause leaves a gap instead of a flood."),

    knob("tape.kept", whole(Count(|c| &mut c.tape.kept), " of trades", 1, MILLION),
        "Trades kept per symbol: how far back a client that lost its connection can resume without a hole."),

    knob("throttle.ticker_ms", whole(Time(|c| &mut c.throttle.ticker), MS, 0, MINUTE_MS),
        "The shortest time between two messages of `ticker:SYMBOL`. Shorter costs bandwidth, longer shows older prices."),
    knob("throttle.tickers_ms", whole(Time(|c| &mut c.throttle.tickers), MS, 1, MINUTE_MS),
        "The same for `ticker:*`, which carries every symbol that changed, at ticks alone: never 0."),
    knob("throttle.kline_ms", whole(Time(|c| &mut c.throttle.kline), MS, 0, MINUTE_MS),
        "The same for an open bar. Four a second look alive on a chart; closed bars never wait."),

    knob("limits.symbols", whole(Count(|c| &mut c.limits.symbols), "", 1, MILLION),
        "Symbols known at once. Each keeps a book, ten rows of bars and a tape; one beyond it is refused."),
    knob("limits.connections", whole(Count(|c| &mut c.limits.connections), "", 1, 10 * MILLION),
        "Connections at once; one beyond it is answered 503. Each needs a file descriptor and, idle, a few KB."),
    knob("limits.connections_per_address", whole(Count(|c| &mut c.limits.connections_per_address), "", 1, 10 * MILLION),
        "Connections from one address, so that one host cannot take all places; many users may share one behind a proxy. Loopback has no such limit."),
    knob("limits.subscriptions", whole(Count(|c| &mut c.limits.subscriptions), "", 1, MILLION),
        "Subscriptions of one connection; one beyond it is refused and the connection lives on."),
    knob("limits.message_bytes", whole(Count(|c| &mut c.limits.message_bytes), BYTES, 1 << 10, 16 << 20),
        "One message of a client. A subscribe to 1,024 topics fits; larger ones close the connection with 1009."),
    knob("limits.messages_per_second", whole(Count(|c| &mut c.limits.messages_per_second), "", 1, MILLION),
        "Messages of a client a second in the long run; those beyond it are answered with an error and not acted on."),
    knob("limits.messages_burst", whole(Count(|c| &mut c.limits.messages_burst), "", 1, MILLION),
        "Messages a client may send at once after quiet: a page that subscribes to everything when it opens."),
    knob("limits.outbox_bytes", whole(Count(|c| &mut c.limits.outbox_bytes), BYTES, 64 << 10, 1 << 30),
        "What may wait for one client before it counts as slow: three snapshots of 5,000 levels a side, or 4,000 updates of 256 bytes. Waiting frames are shared between clients, so the worst case, this times `limits.connections`, is far from what is met."),
    knob("limits.handshake_ms", whole(Time(|c| &mut c.limits.handshake), MS, 100, 10 * MINUTE_MS),
        "From the connection to the end of its upgrade; then it is closed. Long enough for a slow phone, short enough to shed idle sockets."),
    knob("limits.ping_ms", whole(Time(|c| &mut c.limits.ping), MS, 100, 60 * MINUTE_MS),
        "Between two pings on a plain WebSocket. Proxies commonly cut what is idle for 30 s or more."),
    knob("limits.pong_timeout_ms", whole(Time(|c| &mut c.limits.pong_timeout), MS, 100, 60 * MINUTE_MS),
        "How long the answer to a ping may take before the client counts as gone."),
    knob("limits.stalled_ms", whole(Time(|c| &mut c.limits.stalled), MS, 1_000, 60 * MINUTE_MS),
        "How long a client may take nothing at all of what waits for it. Long enough for a laptop lid or a tunnel; it costs its outbox that long."),
    knob("limits.shard_queue", whole(Count(|c| &mut c.limits.shard_queue), " of events", 64, 10 * MILLION),
        "Events that wait for one shard. Full: the source waits, and so does the venue behind it."),
    knob("limits.worker_queue", whole(Count(|c| &mut c.limits.worker_queue), " of messages", 64, 10 * MILLION),
        "Broadcasts and commands that wait for one worker thread. Full: the shard waits until the worker has caught up."),
    knob("limits.shutdown_ms", whole(Time(|c| &mut c.limits.shutdown), MS, 0, 10 * MINUTE_MS),
        "How long a shutdown waits for clients to take what is queued and to close; then it ends without them."),

    knob("socketio.ping_interval_ms", whole(Time(|c| &mut c.socketio.ping_interval), MS, 100, 60 * MINUTE_MS),
        "Between two pings of a Socket.IO session, which the handshake tells its client."),
    knob("socketio.ping_timeout_ms", whole(Time(|c| &mut c.socketio.ping_timeout), MS, 100, 60 * MINUTE_MS),
        "How long the answer may take. Browsers slow pages down that nobody looks at: 20 s and more keep them."),
    knob("socketio.max_payload_bytes", whole(Count(|c| &mut c.socketio.max_payload), BYTES, 1 << 10, 16 << 20),
        "One request body or message of a Socket.IO client, which the handshake tells it. Larger bodies are answered 413, larger messages close with 1009."),
    knob("socketio.connect_timeout_ms", whole(Time(|c| &mut c.socketio.connect_timeout), MS, 100, 60 * MINUTE_MS),
        "How long a Socket.IO connection may take to join its first namespace; then it is closed."),
    knob("socketio.maven_messages_per_minute", whole(Count(|c| &mut c.socketio.maven_messages_per_minute), "", 1, MILLION),
        "Messages of a Maven client in any minute; those beyond it are answered with an error and not acted on. Fifty a second, as on the native dialect."),
    knob("socketio.tradewithai_messages_per_minute", whole(Count(|c| &mut c.socketio.tradewithai_messages_per_minute), "", 1, MILLION),
        "The same of a TradeWithAI client, whose own document says sixty."),

    knob("threads.worker_threads", whole(Chosen(|c| &mut c.threads.worker_threads), "", 1, 1_024),
        "Threads that own connections. More than there are cores only makes them wait for each other.")
        .flag("--worker-threads").unset("one per core"),
    knob("threads.shards", whole(Count(|c| &mut c.threads.shards), "", 1, 1_024),
        "Threads that own symbols; each symbol stays on one of them. More than one pays only where a single core cannot keep up with the source."),

    knob("auth.algorithm", Setting::Algorithm(|c| &mut c.auth.algorithm),
        "The only algorithm that tokens may be signed with: `HS256`, `RS256`, `ES256` or `EdDSA`. What a token says of itself changes nothing.")
        .unset("the key's"),
    knob("auth.audience", Setting::Text(|c| &mut c.auth.audience),
        "What a token's `aud` must name.").unset("not looked at"),
    knob("auth.issuer", Setting::Text(|c| &mut c.auth.issuer),
        "What a token's `iss` must be.").unset("not looked at"),
    knob("auth.leeway_ms", whole(Time(|c| &mut c.auth.leeway), MS, 0, 10 * MINUTE_MS),
        "How far the clocks of those who sign tokens may be off: `exp` counts so much later, `nbf` so much sooner."),
    knob("auth.jwks_refresh_ms", whole(Time(|c| &mut c.auth.jwks_refresh), MS, 100, 24 * 60 * MINUTE_MS),
        "How often a key set is read again. A token with a key that is not known brings that forward, but never closer than 10 s."),

    knob("publish.bytes", whole(Count(|c| &mut c.publish.bytes), BYTES, 1 << 10, 1 << 30),
        "One request or message of a publisher; a longer request is answered 413, a longer message closes with 1009."),
    knob("publish.objects", whole(Count(|c| &mut c.publish.objects), " of objects", 1, MILLION),
        "Objects in one request. More in one share a wait for the disk; fewer are answered sooner."),
    knob("publish.objects_per_second", whole(Count(|c| &mut c.publish.objects_per_second), " of objects", 1, 100 * MILLION),
        "Objects that one publisher may publish a second, by its token's user; a second's worth at once. What is beyond is rejected with `RATE_LIMITED`, and a request of nothing else is answered 429."),
    knob("publish.queue", whole(Count(|c| &mut c.publish.queue), " of requests", 1, MILLION),
        "Requests that wait for the disk. Full: publishers wait, and after five seconds they are answered 503."),
    knob("journal.events", whole(Count(|c| &mut c.journal.events), " of events", 1, 1_000 * MILLION),
        "Events kept of one private topic of one user: how far back a client that was away can resume without a snapshot."),
    knob("journal.age_ms", whole(Time(|c| &mut c.journal.age), MS, 1_000, 10 * 365 * 24 * 60 * MINUTE_MS),
        "How old a kept event may become: a week. An `eventId` is remembered for an hour."),
    knob("journal.bytes", whole(Count(|c| &mut c.journal.bytes), BYTES, 1 << 20, 1 << 44),
        "What the journal may take on disk. Full: publishing private events is refused with 503 and a reason, and reading goes on."),
    knob("journal.in_memory", Setting::Switch(|c| &mut c.journal.in_memory),
        "Whether private events are kept in memory where there is no `data_dir`, and end with the process: for trying things out. Development mode does so too."),
    knob("rooms.public", Setting::Names(|c| &mut c.rooms.public),
        "Rooms that publishers may broadcast to and everybody may join."),
    knob("rooms.users", Setting::Names(|c| &mut c.rooms.users),
        "The same for users with a token alone."),
    knob("hub.payload", Setting::HubPayload(|c| &mut c.hub_payload),
        "How payloads stand in the messages at `/ws`: as an `object`, or as a `string` with the object's JSON for clients that parse it a second time. A client chooses for itself with `?payload=`."),
];

/// A setting that stands in the environment alone, because files are copied and flags are listed.
#[derive(Debug)]
pub struct Secret {
    /// The variable.
    pub variable: &'static str,
    /// What it is.
    pub meaning: &'static str,
    /// Why it has no effect yet; `None` where it has one.
    pub unused: Option<&'static str>,
    pub(super) read: fn(&Secrets) -> Option<&str>,
    pub(super) place: fn(&mut Secrets) -> &mut Option<String>,
}

/// All secrets.
#[rustfmt::skip]
pub const SECRETS: [Secret; 4] = [
    Secret {
        variable: "JWT_SECRET", meaning: "Key of HS256 tokens.", unused: None,
        read: |s| s.jwt_secret.as_deref(), place: |s| &mut s.jwt_secret,
    },
    Secret {
        variable: "JWT_PUBLIC_KEY", meaning: "PEM of the public key of RS256, ES256 or EdDSA tokens.", unused: None,
        read: |s| s.jwt_public_key.as_deref(), place: |s| &mut s.jwt_public_key,
    },
    Secret {
        variable: "JWT_JWKS", meaning: "File or URL of a key set (RFC 7517), read again and again.", unused: None,
        read: |s| s.jwt_jwks.as_deref(), place: |s| &mut s.jwt_jwks,
    },
    Secret {
        variable: "REDIS_URL", meaning: "Where several nodes meet.", unused: Some("nodes are not connected to each other yet"),
        read: |s| s.redis_url.as_deref(), place: |s| &mut s.redis_url,
    },
];

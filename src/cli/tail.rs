//! `tickcast tail`: prints what a server sends on some topics.

mod ladder;

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;

use ladder::{Heard, Ladder};

use super::TailArgs;
use crate::ingest::live::{BadUrl, ConnectError, SocketError};
use crate::ingest::live::{ConnectDeadlines, Connector, Endpoint, Message, split};

/// Why nothing more is printed.
#[derive(Debug, Error)]
pub enum TailError {
    /// Not a WebSocket address.
    #[error("--url: {0}")]
    Url(#[from] BadUrl),
    /// The server cannot be reached.
    #[error("{url}: {error}")]
    Connect {
        /// As it was given.
        url: String,
        /// Why.
        error: ConnectError,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Socket(#[from] SocketError),
    /// The server ended it.
    #[error("the server closed the connection: {code} {reason}")]
    Closed {
        /// Its close code.
        code: u16,
        /// Its reason.
        reason: String,
    },
    /// Nothing was subscribed to.
    #[error("no topic is left to follow: {0}")]
    Refused(String),
    /// A ladder shows one book.
    #[error("--ladder shows one book: name one topic, such as BTCUSDT or book:BTCUSDT:20:100ms")]
    OneBook,
    /// The system's.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Prints messages until interrupted, or until nobody reads what is printed.
///
/// # Errors
/// [`TailError`].
pub fn tail(args: &TailArgs) -> Result<(), TailError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            result = follow(args) => result,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    })
}

async fn follow(args: &TailArgs) -> Result<(), TailError> {
    let endpoint = Endpoint::parse(&args.url)?;
    let deadlines = ConnectDeadlines { connect: CONNECT, handshake: CONNECT };
    let connected = Connector::new()?.open_websocket(&endpoint, "", deadlines).await;
    let failed = |error| TailError::Connect { url: args.url.clone(), error };
    let (mut reader, mut writer) = split(connected.map_err(failed)?, MESSAGE);
    let topics = topics(args)?;
    let mut screen = args.ladder.then(Screen::new);
    let mut hopes = topics.len();
    let ask = |op: &str| json!({"op": op, "id": 1, "topics": topics}).to_string();
    writer.text(&ask("subscribe")).await?;
    loop {
        match reader.read().await? {
            Message::Text(text) => {
                let text = String::from_utf8_lossy(&text);
                let refused = refusal(&text);
                let printed = match (&mut screen, &refused) {
                    (Some(screen), None) => match screen.hear(&text) {
                        Heard::Changed => screen.draw(),
                        Heard::Nothing => Ok(()),
                        Heard::Broken => {
                            // The answer is a new snapshot.
                            writer.text(&ask("unsubscribe")).await?;
                            writer.text(&ask("subscribe")).await?;
                            screen.draw()
                        }
                    },
                    (_, Some(refused)) if !args.json => writeln!(io::stdout(), "{refused}"),
                    _ if args.json => writeln!(io::stdout(), "{text}"),
                    _ => writeln!(io::stdout(), "{}", shown(&text)),
                };
                match printed {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                    printed => printed?,
                }
                if let Some(refused) = refused {
                    hopes -= 1;
                    if hopes == 0 {
                        return Err(TailError::Refused(refused));
                    }
                }
            }
            Message::Ping(payload) => writer.pong(&payload).await?,
            Message::Close { code, reason } => {
                writer.close(code.unwrap_or(1000)).await?;
                return Err(TailError::Closed { code: code.unwrap_or(1005), reason });
            }
            Message::Binary(_) | Message::Pong => {}
        }
    }
}

/// The topics to ask for: as they were typed, or the one book of a ladder.
fn topics(args: &TailArgs) -> Result<Vec<String>, TailError> {
    if !args.ladder {
        return Ok(args.topics.clone());
    }
    match &args.topics[..] {
        [book] if book.starts_with("book:") => Ok(vec![book.clone()]),
        [other] if ["trades:", "ticker:", "kline:"].iter().any(|kind| other.starts_with(kind)) => {
            Err(TailError::OneBook)
        }
        [symbol] => Ok(vec![format!("book:{symbol}:20:100ms")]),
        _ => Err(TailError::OneBook),
    }
}

/// The terminal that a ladder is drawn on; where there is none, ladders follow one another.
struct Screen {
    ladder: Ladder,
    terminal: bool,
}

impl Screen {
    fn new() -> Screen {
        Screen { ladder: Ladder::default(), terminal: io::stdout().is_terminal() }
    }

    fn hear(&mut self, text: &str) -> Heard {
        serde_json::from_str(text).map_or(Heard::Nothing, |message| self.ladder.hear(&message))
    }

    fn draw(&self) -> io::Result<()> {
        let drawn = self.ladder.draw(LADDER_ROWS, self.terminal);
        let mut out = io::stdout().lock();
        match self.terminal {
            // From the top, each line and what is below cleared: nothing flickers, nothing stays.
            true => write!(out, "\x1b[H{}\x1b[J", drawn.replace('\n', "\x1b[K\n"))?,
            false => writeln!(out, "{drawn}")?,
        }
        out.flush()
    }
}

/// What the server has against a topic, or against all of them; `None` where it says something else.
fn refusal(text: &str) -> Option<String> {
    // A stream may be fast: only what looks like it is looked at.
    let error =
        text.starts_with("{\"type\":\"error\"").then(|| serde_json::from_str::<Value>(text).ok())??;
    let field = |name: &str| error[name].as_str().unwrap_or_default();
    Some(format!("{}: {} ({})", field("topic"), field("message"), field("code")))
}

/// A message in one line for people: its topic, its number, and what matters of its data.
fn shown(text: &str) -> String {
    let Ok(message) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    let field = |name: &str| message[name].as_str().unwrap_or_default();
    match field("type") {
        "ok" => format!("subscribed to {}", message["topics"]),
        kind => {
            let (topic, seq) = (field("topic"), &message["seq"]);
            format!("{topic} {kind} {seq}: {}", data(topic, &message["data"]))
        }
    }
}

fn data(topic: &str, data: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pick = |names: &[&str]| {
        let known = names.iter().filter(|name| !data[**name].is_null());
        known.map(|name| format!("{name} {}", text(&data[*name]))).collect::<Vec<_>>().join("  ")
    };
    match topic.split(':').next() {
        Some("book") => {
            let best =
                |side: &str| data[side][0].as_array().map(|level| level.iter().map(text).collect::<Vec<_>>());
            let best = |side| best(side).map_or("-".to_owned(), |level| level.join(" x "));
            let count = |side: &str| data[side].as_array().map_or(0, Vec::len);
            let (bids, asks) = (count("bids"), count("asks"));
            format!("{bids} bids, {asks} asks, first {} / {}", best("bids"), best("asks"))
        }
        Some("trades") => pick(&["side", "quantity", "price", "tradeId"]),
        Some("kline") => pick(&["open", "high", "low", "close", "volume", "trades", "closed"]),
        Some("ticker") if data.is_array() => {
            let each = data.as_array().into_iter().flatten();
            each.map(|one| format!("{} {}", text(&one["symbol"]), text(&one["lastPrice"])))
                .collect::<Vec<_>>()
                .join("  ")
        }
        Some("ticker") => pick(&["lastPrice", "priceChangePercent", "bidPrice", "askPrice", "volume24h"]),
        _ => data.to_string(),
    }
}

/// For TCP and TLS, and again for the handshake.
const CONNECT: Duration = Duration::from_secs(10);

/// The longest message: a full book of any depth that the engine keeps.
const MESSAGE: usize = 64 << 20;

/// Levels that a ladder shows of each side.
const LADDER_ROWS: usize = 15;

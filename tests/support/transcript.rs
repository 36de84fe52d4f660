//! Plays written conversations: what a client says, what happens in the market, what must be heard.
//!
//! A transcript is a text file. Its lines begin with
//!
//! | | |
//! |---|---|
//! | `: ` | a setting, before all else: `: symbols BTCUSDT ETHUSDT`, `: subscriptions 3`, `: messages 5`, `: rooms news`, `: user_rooms lounge`, `: dev` |
//! | `> ` | the client says this |
//! | `< ` | the client hears this next |
//! | `* ` | this happens in the market: an object as `POST /publish` takes it, or `{"type":"stale",…}` |
//! | `@ ` | this is published: an object as `POST /publish` takes it; such a transcript is played over sockets alone |
//! | `+ ` | so many milliseconds pass; such a transcript is played without sockets alone |
//! | `#` | a comment |
//!
//! `<name>` stands for whatever differs from one play to the next, up to what is written behind it:
//! it may be anything where it is first heard, must be the same from then on, and can be said. `<_>`
//! is anything each time. `<now>` is known from the start: what the clock said then, and so is
//! whatever the stage knows.
#![allow(dead_code, reason = "no test uses all of it")]
#![allow(unreachable_pub, reason = "every test is a crate of its own, and this belongs to several")]

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;
use tickcast::market::{
    BookChange, BookKind, Decimal, Event, Millis, Quantity, RawLevel, Side, StaleReason, Trade, TradeId,
};

/// Where a transcript is played.
pub trait Stage {
    /// What the clock says.
    fn now(&self) -> Millis;

    /// What else is known from the start, by name.
    fn known(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// The client says something.
    fn say(&mut self, text: &str);

    /// Something happens to a symbol.
    fn happen(&mut self, symbol: &str, event: Event);

    /// Something is published that is no market's.
    fn publish(&mut self, object: &str) {
        panic!("nobody publishes here: {object}");
    }

    /// Time passes.
    fn pass(&mut self, by: Millis);

    /// What the client hears next.
    fn hear(&mut self) -> Option<String>;

    /// What it hears although nothing more is expected.
    fn left_over(&mut self) -> Option<String>;
}

/// A file of `fixtures/dialects`.
pub struct Transcript {
    pub name: String,
    pub settings: Settings,
    lines: Vec<(usize, Line)>,
}

/// What a transcript wants of its stage.
#[derive(Clone, Debug)]
pub struct Settings {
    pub symbols: Vec<String>,
    /// Topics that the client may have.
    pub subscriptions: usize,
    /// Messages that it may send at once; in the long run one a second. With the gateways: in a minute.
    pub messages: u32,
    /// Rooms that everybody may join.
    pub rooms: Vec<String>,
    /// Rooms that users may join.
    pub user_rooms: Vec<String>,
    /// Whether it is played in development mode.
    pub dev: bool,
}

enum Line {
    Say(String),
    Hear(String),
    Happen(String),
    Publish(String),
    Pass(Millis),
}

impl Transcript {
    /// All transcripts of a dialect, by name.
    pub fn all(dialect: &str) -> Vec<Transcript> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/dialects").join(dialect);
        let files =
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        let read = |path: &std::path::PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            Transcript::read(&name, &std::fs::read_to_string(path).unwrap())
        };
        files.iter().map(read).collect()
    }

    /// Reads a transcript.
    pub fn read(name: &str, text: &str) -> Transcript {
        let mut settings = Settings::default();
        let mut lines = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((kind, rest)) = line.split_at_checked(2) else { panic!("{name}:{number}: {line:?}") };
            let rest = rest.to_owned();
            lines.push((
                number,
                match kind {
                    ": " => {
                        settings.set(&rest);
                        continue;
                    }
                    "> " => Line::Say(rest),
                    "< " => Line::Hear(rest),
                    "* " => Line::Happen(rest),
                    "@ " => Line::Publish(rest),
                    "+ " => Line::Pass(rest.parse().unwrap()),
                    _ => panic!("{name}:{number}: a line begins with one of `: > < * @ + #`, not {line:?}"),
                },
            ));
        }
        Transcript { name: name.to_owned(), settings, lines }
    }

    /// Whether it turns the clock.
    pub fn passes_time(&self) -> bool {
        self.lines.iter().any(|(_, line)| matches!(line, Line::Pass(_)))
    }

    /// Whether anything is published in it.
    pub fn publishes(&self) -> bool {
        self.lines.iter().any(|(_, line)| matches!(line, Line::Publish(_)))
    }

    /// Plays it from begin to end.
    pub fn play(&self, stage: &mut impl Stage) {
        let mut known = Known(HashMap::from([("now".to_owned(), stage.now().to_string())]));
        known.0.extend(stage.known().into_iter().map(|(name, value)| (name.to_owned(), value)));
        for (number, line) in &self.lines {
            let place = || format!("{}:{number}", self.name);
            match line {
                Line::Say(text) => stage.say(&known.filled_in(text)),
                Line::Happen(text) => {
                    let object = serde_json::from_str(&known.filled_in(text));
                    let object = object.unwrap_or_else(|error| panic!("{}: {error}", place()));
                    let (symbol, event) = event(&object, stage.now());
                    stage.happen(&symbol, event);
                }
                Line::Publish(text) => stage.publish(&known.filled_in(text)),
                Line::Pass(by) => stage.pass(*by),
                Line::Hear(expected) => {
                    let heard = stage.hear().unwrap_or_else(|| panic!("{}: nothing came", place()));
                    if let Err(why) = known.compare(expected, &heard) {
                        panic!("{}: {why}\n  expected {expected}\n  heard    {heard}", place());
                    }
                }
            }
        }
        assert_eq!(stage.left_over(), None, "{}: something came after all that was expected", self.name);
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            symbols: Vec::new(),
            subscriptions: 1_024,
            messages: 100,
            rooms: Vec::new(),
            user_rooms: Vec::new(),
            dev: false,
        }
    }
}

impl Settings {
    fn set(&mut self, line: &str) {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        let list = || value.split(' ').map(str::to_owned).collect();
        match key {
            "symbols" => self.symbols = list(),
            "rooms" => self.rooms = list(),
            "user_rooms" => self.user_rooms = list(),
            "dev" => self.dev = true,
            "subscriptions" => self.subscriptions = value.parse().unwrap(),
            "messages" => self.messages = value.parse().unwrap(),
            _ => panic!("no setting is called {key:?}"),
        }
    }
}

/// What the names in `<…>` stand for.
struct Known(HashMap<String, String>);

impl Known {
    fn filled_in(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, name, after)) = split_at_name(rest) {
            filled.push_str(before);
            filled.push_str(self.0.get(name).unwrap_or_else(|| panic!("<{name}> was not heard yet")));
            rest = after;
        }
        filled + rest
    }

    fn compare(&mut self, expected: &str, heard: &str) -> Result<(), String> {
        let (mut expected, mut heard) = (expected, heard);
        while let Some((before, name, after)) = split_at_name(expected) {
            heard = heard.strip_prefix(before).ok_or_else(|| format!("no {before:?} at {heard:?}"))?;
            let next = split_at_name(after).map_or(after, |(literal, ..)| literal);
            let length = if next.is_empty() { heard.len() } else { heard.find(next).unwrap_or(heard.len()) };
            let (value, rest) = heard.split_at(length);
            if name != "_" {
                let known = self.0.entry(name.to_owned()).or_insert_with(|| value.to_owned());
                if known != value {
                    return Err(format!("<{name}> was {known:?} and is {value:?} now"));
                }
            }
            (expected, heard) = (after, rest);
        }
        if expected == heard { Ok(()) } else { Err(format!("no {expected:?} at {heard:?}")) }
    }
}

/// The next `<name>` with what stands before and behind it.
fn split_at_name(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('<')?;
    let (name, after) = rest.split_once('>')?;
    Some((before, name, after))
}

/// A symbol's event out of a published object.
fn event(object: &Value, now: Millis) -> (String, Event) {
    let text =
        |field: &str| object[field].as_str().unwrap_or_else(|| panic!("no text {field:?} in {object}"));
    let time = object["timestamp"].as_i64().unwrap_or(now);
    let event = match text("type") {
        "trade" => Event::Trade(Trade {
            id: TradeId::Number(object["tradeId"].as_u64().unwrap()),
            price: text("price").parse().unwrap(),
            quantity: Quantity::new(text("quantity").parse().unwrap()).unwrap(),
            taker: match object["side"].as_str() {
                Some("BUY") => Some(Side::Bid),
                Some("SELL") => Some(Side::Ask),
                Some(_) | None => None,
            },
            time,
            count: 1,
        }),
        kind @ ("book.snapshot" | "book.delta") => {
            let last = object["lastUpdateId"].as_u64().unwrap();
            let first = object["firstUpdateId"].as_u64().unwrap_or(last);
            let kind = if kind == "book.delta" { BookKind::Delta } else { BookKind::Snapshot };
            let (bids, asks) = (levels(&object["bids"]), levels(&object["asks"]));
            let change = BookChange { kind, first_update_id: first, last_update_id: last, time, bids, asks };
            Event::Book(Box::new(change))
        }
        "stale" => Event::Stale(StaleReason::Gap),
        kind => panic!("nothing of the type {kind:?} happens here"),
    };
    (text("symbol").to_owned(), event)
}

fn levels(side: &Value) -> Vec<RawLevel> {
    let number = |value: &Value| -> Decimal { value.as_str().unwrap().parse().unwrap() };
    let level = |level: &Value| RawLevel {
        price: number(&level[0]),
        quantity: Quantity::new(number(&level[1])).unwrap(),
    };
    side.as_array().into_iter().flatten().map(level).collect()
}

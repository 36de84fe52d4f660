//! One client: brings its token, asks for everything that there is, and keeps what it hears.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::oracle::{Dialect, User};
use crate::raw::{CLOSE, Raw, upgrade};
use crate::words::{Word, read};

/// Where a token is brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Query,
    Header,
    /// Socket.IO's `auth` object.
    Auth,
}

/// A client that was let in.
pub(crate) struct Listener {
    raw: Raw,
    dialect: Dialect,
    /// What a gateway calls it.
    pub(crate) client_id: String,
    /// The end of its token, which nobody must repeat.
    secret: Option<String>,
    /// The names that it was refused, as it wrote them.
    pub(crate) refused: BTreeSet<String>,
    /// The markets' names that it was promised.
    promised: BTreeSet<String>,
    /// What it was told, each with its mark, in order.
    pub(crate) told: Vec<(String, String)>,
    markets: BTreeSet<String>,
    /// Whatever was said about something, as it came.
    pub(crate) texts: Vec<String>,
    seqs: BTreeMap<String, u64>,
    user_seq: u64,
}

/// A client that was not let in.
pub(crate) struct Outside {
    /// The HTTP status, or 0 where Socket.IO refused it.
    pub(crate) status: u16,
    /// What it was answered.
    pub(crate) answer: String,
    raw: Raw,
}

/// Comes to the server with this token.
pub(crate) fn knock(
    address: SocketAddr,
    dialect: Dialect,
    token: Option<&str>,
    place: Place,
) -> Result<Listener, Outside> {
    let path = match dialect {
        Dialect::Native => "/v1/ws",
        Dialect::Hub => "/ws",
        Dialect::HubText => "/ws?payload=string",
        Dialect::Maven | Dialect::TradeWithAi => "/socket.io/?EIO=4&transport=websocket",
    };
    let mark = if path.contains('?') { '&' } else { '?' };
    let (path, header, auth) = match (token, place) {
        (None, _) => (path.to_owned(), String::new(), String::new()),
        (Some(token), Place::Query) => (format!("{path}{mark}token={token}"), String::new(), String::new()),
        (Some(token), Place::Header) => {
            (path.to_owned(), format!("Authorization: Bearer {token}\r\n"), String::new())
        }
        (Some(token), Place::Auth) => (path.to_owned(), String::new(), json!({"token": token}).to_string()),
    };
    let mut raw = Raw::socket(address);
    raw.send(upgrade(&path, &header).as_bytes());
    let head = raw.head();
    if !head.starts_with("HTTP/1.1 101 ") {
        let status = head[9..12].parse().unwrap();
        // One that is longer than any head may be is refused before it is read.
        let body = if status == 431 { Value::Null } else { raw.body(&head) };
        let answer = format!("{head}{body}");
        return Err(Outside { status, answer, raw });
    }
    let mut answer = String::new();
    if let Some(namespace) = dialect.namespace() {
        assert!(text(&mut raw).starts_with("0{"));
        raw.say(&format!("40{namespace}{auth}"));
        answer = text(&mut raw);
        if !answer.starts_with("40") {
            assert!(answer.starts_with(&format!("44{namespace}")), "{answer}");
            return Err(Outside { status: 0, answer, raw });
        }
    }
    let secret = token.map(|token| token[token.len().saturating_sub(40)..].to_owned());
    let client_id = answer.split('"').nth(3).unwrap_or_default().to_owned();
    Ok(Listener::new(raw, dialect, client_id, secret))
}

impl Outside {
    /// Knocks once more and makes sure that nothing was said meanwhile.
    pub(crate) fn heard_nothing(mut self, dialect: Dialect) {
        // Who was answered by HTTP has no connection any more.
        let Some(namespace) = dialect.namespace().filter(|_| self.status == 0) else { return };
        self.raw.say(&format!("40{namespace}"));
        while let Ok(Some(got)) = self.raw.try_frame() {
            let text = String::from_utf8_lossy(&got.payload).into_owned();
            if got.opcode == CLOSE || text.starts_with("40") || text.starts_with("44") {
                return;
            }
            assert_eq!(text, "2", "said to somebody who was refused");
        }
    }
}

impl Listener {
    fn new(raw: Raw, dialect: Dialect, client_id: String, secret: Option<String>) -> Listener {
        Listener {
            raw,
            dialect,
            client_id,
            secret,
            refused: BTreeSet::new(),
            promised: BTreeSet::new(),
            told: Vec::new(),
            markets: BTreeSet::new(),
            texts: Vec::new(),
            seqs: BTreeMap::new(),
            user_seq: 0,
        }
    }

    /// Asks for all of these; names are the oracle's.
    pub(crate) fn ask(&mut self, asks: &[(String, Value)]) {
        let names: Vec<_> = asks.iter().map(|(name, _)| name).collect();
        match self.dialect {
            Dialect::Native => {
                self.raw.say(&json!({"op": "subscribe", "id": 1, "topics": names}).to_string());
                let mut answered = 0;
                while answered < names.len() {
                    let answer = self.answer();
                    if answer["type"] == "error" {
                        self.refused.insert(answer["topic"].as_str().unwrap().to_owned());
                        answered += 1;
                    } else {
                        answered += self.promise(&answer["topics"]);
                    }
                }
            }
            Dialect::Hub | Dialect::HubText => {
                let payload = json!({"action": "subscribe", "topics": names});
                self.raw.say(&json!({"type": "SUBSCRIPTION", "payload": payload}).to_string());
                let answer = self.answer();
                self.promise(&answer["payload"]["topics"]);
                for rejected in answer["payload"]["rejected"].as_array().unwrap() {
                    self.refused.insert(rejected["topic"].as_str().unwrap().to_owned());
                }
            }
            Dialect::Maven | Dialect::TradeWithAi => {
                for (number, (name, argument)) in asks.iter().enumerate() {
                    let answer = self.emit(name.split(' ').next().unwrap(), number, argument);
                    if answer.get("code").is_some() {
                        self.refused.insert(name.clone());
                    } else {
                        self.promise_room(answer["room"].as_str().unwrap());
                    }
                }
            }
        }
    }

    /// Sends another token while connected; whether it was taken.
    pub(crate) fn renew(&mut self, token: &str) -> bool {
        match self.dialect {
            Dialect::Native => {
                self.raw.say(&json!({"op": "auth", "id": 2, "token": token}).to_string());
                self.answer()["type"] == "ok"
            }
            Dialect::Hub | Dialect::HubText => {
                self.raw.say(&json!({"type": "AUTHENTICATION", "payload": {"token": token}}).to_string());
                self.answer()["type"] == "AUTHENTICATION"
            }
            Dialect::Maven | Dialect::TradeWithAi => {
                self.emit("auth", 99, &json!({"token": token})).get("code").is_none()
            }
        }
    }

    /// Says an event that is to be answered, and hears the answer.
    fn emit(&mut self, event: &str, number: usize, argument: &Value) -> Value {
        let (namespace, asked) = (self.dialect.namespace().unwrap(), number.to_string());
        self.raw.say(&format!("42{namespace}{asked}{}", json!([event, argument])));
        loop {
            let answer = self.answer();
            if answer["ack"] == *asked {
                return answer["value"].clone();
            }
        }
    }

    fn promise(&mut self, topics: &Value) -> usize {
        let topics = topics.as_array().unwrap();
        let names = topics.iter().map(|topic| topic.as_str().unwrap().to_owned());
        self.promised.extend(names.filter(|name| crate::oracle::is_market(name)));
        topics.len()
    }

    /// What comes of a room of a gateway, in the words that it is told in.
    fn promise_room(&mut self, room: &str) {
        match (self.dialect, room.split_once(':')) {
            (Dialect::TradeWithAi, Some(("market-data", symbols))) => {
                for symbol in symbols.split(',') {
                    let events = ["ticker:update", "orderbook:update", "trade:executed", "candle:update"];
                    // Nothing but a trade is known of the symbol that ends the test.
                    let events = if symbol == "END" { &events[2..3] } else { &events[..] };
                    self.promised.extend(events.iter().map(|event| format!("{event} {symbol}")));
                }
            }
            (Dialect::TradeWithAi, None) if room == "market-data" => {
                self.promised.insert("ticker:update".to_owned());
            }
            (Dialect::Maven, Some((kind, _))) if kind != "user" => {
                self.promised.insert(room.to_owned());
            }
            _ => {}
        }
    }

    /// Hears until the trade that ends the test has come, and everything that was promised of markets.
    pub(crate) fn hear_all(&mut self) {
        let ends = ["trades:END", "trade:executed END"];
        while !ends.iter().any(|end| self.markets.contains(*end)) || !self.promised.is_subset(&self.markets) {
            self.hear();
        }
    }

    /// Hears until something with this mark comes.
    pub(crate) fn hear_mark(&mut self, mark: &str) {
        while !self.told.iter().any(|(_, heard)| heard == mark) {
            self.hear();
        }
    }

    /// Hears until an error comes that nobody asked for, and gives its code.
    pub(crate) fn hear_code(&mut self) -> String {
        loop {
            let answer = self.answer();
            let places = ["/code", "/payload/code", "/value/code"];
            if let Some(code) = places.iter().find_map(|place| answer.pointer(place)?.as_str()) {
                return code.to_owned();
            }
        }
    }

    fn answer(&mut self) -> Value {
        loop {
            if let Some(answer) = self.hear() {
                return answer;
            }
        }
    }

    fn hear(&mut self) -> Option<Value> {
        let text = text(&mut self.raw);
        let repeats = self.secret.as_ref().is_some_and(|secret| text.contains(secret.as_str()));
        assert!(!repeats, "a token is repeated: {text}");
        match read(self.dialect, &text) {
            Word::Answer(answer) => return Some(answer),
            Word::Ping => self.raw.say("3"),
            Word::Market(name) => {
                self.markets.insert(name);
                self.texts.push(text);
            }
            Word::Told { label, marks, whole } => {
                if self.dialect == Dialect::Native {
                    self.check_numbers(&whole);
                }
                self.told.extend(marks.into_iter().map(|mark| (label.clone(), mark)));
                self.texts.push(text);
            }
        }
        None
    }

    /// A private topic's `seq` has no holes; `userSeq` rises over all of them together.
    fn check_numbers(&mut self, message: &Value) {
        let topic = message["topic"].as_str().unwrap().to_owned();
        let seq = message["seq"].as_u64().unwrap();
        let before = self.seqs.insert(topic.clone(), seq);
        if topic != "trading"
            && message["type"] == "update"
            && let Some(before) = before
        {
            assert_eq!(seq, before + 1, "a hole in {topic}: {message}");
        }
        let is_kept = !["trading", "llm", "user"].contains(&&*topic) && !topic.starts_with("room:");
        assert_eq!(message["userSeq"].is_u64(), is_kept, "{message}");
        if message["type"] == "update" && is_kept {
            let user_seq = message["userSeq"].as_u64().unwrap();
            assert!(user_seq > self.user_seq, "userSeq does not rise: {message}");
            self.user_seq = user_seq;
        }
    }

    /// Whose names stand in what it was told.
    pub(crate) fn names(&self) -> BTreeSet<User> {
        let is_named = |user: &User| self.texts.iter().any(|text| text.contains(user.name()));
        User::ALL.into_iter().filter(is_named).collect()
    }
}

fn text(raw: &mut Raw) -> String {
    String::from_utf8(raw.frame().payload).unwrap()
}

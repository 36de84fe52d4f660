//! What a server's messages say, read as each dialect's own client would read them.

use serde_json::Value;

use crate::oracle::{Dialect, is_market};

/// One message.
#[derive(Debug)]
pub(crate) enum Word {
    /// The answer to something, or what is said to anybody at any time.
    Answer(Value),
    /// A market's data, by the name of its topic, room or event.
    Market(String),
    /// Something that happened: what it is called, and the marks that it carries.
    Told { label: String, marks: Vec<String>, whole: Value },
    /// The transport asks whether the client is there.
    Ping,
}

/// Reads one message.
pub(crate) fn read(dialect: Dialect, text: &str) -> Word {
    match dialect {
        Dialect::Native => native(serde_json::from_str(text).unwrap()),
        Dialect::Hub => hub(serde_json::from_str(text).unwrap()),
        Dialect::HubText => {
            let mut message: Value = serde_json::from_str(text).unwrap();
            let payload = message["payload"].as_str().expect("a payload is a text");
            message["payload"] = serde_json::from_str(payload).unwrap();
            hub(message)
        }
        Dialect::Maven | Dialect::TradeWithAi => socketio(dialect, text),
    }
}

fn native(message: Value) -> Word {
    let kind = message["type"].as_str().unwrap();
    if matches!(kind, "ok" | "error") {
        return Word::Answer(message);
    }
    let topic = message["topic"].as_str().unwrap().to_owned();
    match kind {
        _ if is_market(&topic) => Word::Market(topic),
        _ if topic == "trading" && message["data"].get("event").is_none() => {
            fill(&message["data"].clone(), message)
        }
        "snapshot" => told(format!("{topic} snapshot"), message),
        "update" => {
            let event = message["data"]["event"].as_str().unwrap_or_default().to_owned();
            told(format!("{topic} {event}"), message)
        }
        _ => panic!("unexpected: {message}"),
    }
}

fn hub(message: Value) -> Word {
    let (kind, payload) = (message["type"].as_str().unwrap(), &message["payload"]);
    match kind {
        "HEARTBEAT" | "SUBSCRIPTION" | "ERROR" | "AUTHENTICATION" => Word::Answer(message),
        "MARKET_DATA" => match payload["topic"].as_str().unwrap() {
            "trading" => fill(&payload["data"].clone(), message),
            topic if is_market(topic) => Word::Market(topic.to_owned()),
            _ => panic!("unexpected: {message}"),
        },
        "ORDER_UPDATE" | "POSITION_UPDATE" | "STRATEGY_UPDATE" => {
            told(format!("{kind} {}", payload["event"].as_str().unwrap()), message)
        }
        _ => panic!("unexpected: {message}"),
    }
}

fn socketio(dialect: Dialect, text: &str) -> Word {
    let namespace = dialect.namespace().unwrap();
    if text == "2" {
        return Word::Ping;
    }
    let packet = |kind: &str| text.strip_prefix(kind).and_then(|rest| rest.strip_prefix(namespace));
    if let Some(answer) = packet("43") {
        let at = answer.find('[').unwrap();
        let values: Value = serde_json::from_str(&answer[at..]).unwrap();
        return Word::Answer(serde_json::json!({"ack": answer[..at], "value": values[0]}));
    }
    let event = packet("42").unwrap_or_else(|| panic!("unexpected: {text}"));
    let mut event: Vec<Value> = serde_json::from_str(event).unwrap();
    assert_eq!(event.len(), 2, "an event has one argument: {text}");
    let (argument, name) = (event.pop().unwrap(), event.pop().unwrap());
    let name = name.as_str().unwrap();
    const SAID_TO_ANYBODY: [&str; 10] = [
        "connected",
        "subscribed",
        "unsubscribed",
        "error",
        "pong",
        "heartbeat",
        "connection-count",
        "subscriptions",
        "authenticated",
        "disconnect",
    ];
    if SAID_TO_ANYBODY.contains(&name) {
        return Word::Answer(serde_json::json!({"event": name, "value": argument}));
    }
    if dialect == Dialect::Maven { maven(name, argument) } else { tradewithai(name, argument) }
}

fn maven(name: &str, argument: Value) -> Word {
    let keys: Vec<_> = argument.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["data", "room", "timestamp"], "Maven's envelope: {argument}");
    let room = argument["room"].as_str().unwrap().to_owned();
    match name {
        "ticker.update" | "tickers.update" | "orderbook.update" | "trade" | "kline.update" => {
            Word::Market(room)
        }
        _ => told(format!("{room} {name}"), argument),
    }
}

fn tradewithai(name: &str, argument: Value) -> Word {
    let symbol = argument["symbol"].as_str().unwrap_or_default();
    match name {
        "ticker:update" if argument.get("ticker").is_none() => Word::Market(name.to_owned()),
        "ticker:update" | "price:update" | "orderbook:update" | "trade:executed" | "candle:update" => {
            Word::Market(format!("{name} {symbol}"))
        }
        "order:filled" if argument.get("mark").is_none() => fill(&argument.clone(), argument),
        _ => told(name.to_owned(), argument),
    }
}

/// The public copy of somebody's fill: symbol, side and price, and nothing more.
fn fill(copy: &Value, whole: Value) -> Word {
    let mut keys: Vec<_> = copy.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["price", "side", "symbol"], "the public copy of a fill: {copy}");
    let price = copy["price"].as_str().unwrap().to_owned();
    Word::Told { label: "trading".to_owned(), marks: vec![price], whole }
}

fn told(label: String, whole: Value) -> Word {
    let mut marks = Vec::new();
    find_marks(&whole, &mut marks);
    Word::Told { label, marks, whole }
}

fn find_marks(value: &Value, marks: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(mark)) = fields.get("mark") {
                marks.push(mark.clone());
            }
            fields.values().for_each(|value| find_marks(value, marks));
        }
        Value::Array(values) => values.iter().for_each(|value| find_marks(value, marks)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

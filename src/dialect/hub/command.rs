//! A hub client's words, and the answers to them.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Payload, message};
use crate::dialect::native::array;
use crate::dialect::wrong;
use crate::encode::{Frame, json, time};
use crate::market::Millis;

/// What a client says.
#[derive(Debug, PartialEq, Eq)]
pub enum Word {
    /// To hear these topics.
    Subscribe(Vec<String>),
    /// To hear these topics no more.
    Unsubscribe(Vec<String>),
    /// To renew its token.
    Authenticate(String),
    /// To be answered.
    Heartbeat,
}

/// Why a message was not acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// For programs.
    pub code: &'static str,
    /// What is wrong and what would be right, for people.
    pub message: String,
}

/// A topic that was not acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// As it was asked for.
    pub topic: String,
    /// Why.
    pub fault: Fault,
}

/// Reads one message. Its payload may be an object or a text that holds one.
///
/// # Errors
/// A [`Fault`] that says what is wrong with it.
pub fn read(text: &str) -> Result<Word, Fault> {
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|error| {
        bad(format!("a message is {{\"type\",\"timestamp\",\"payload\"}}: {}", wrong(&error)))
    })?;
    match &*envelope.kind {
        "SUBSCRIPTION" => {
            let asked: Subscription = payload(envelope.payload, "{\"action\",\"topics\"}")?;
            match &*asked.action {
                "subscribe" => Ok(Word::Subscribe(asked.topics)),
                "unsubscribe" => Ok(Word::Unsubscribe(asked.topics)),
                _ => Err(bad("\"action\" is subscribe or unsubscribe".to_owned())),
            }
        }
        "AUTHENTICATION" => {
            let fresh: Authentication = payload(envelope.payload, "{\"token\"}")?;
            Ok(Word::Authenticate(fresh.token))
        }
        "HEARTBEAT" => Ok(Word::Heartbeat),
        "ORDER_UPDATE" | "POSITION_UPDATE" | "STRATEGY_UPDATE" | "MARKET_DATA" | "ERROR" => {
            Err(bad(format!("{} is said by the server alone", envelope.kind)))
        }
        _ => Err(Fault {
            code: "UNKNOWN_TYPE",
            message: "\"type\" is one of SUBSCRIPTION, AUTHENTICATION, HEARTBEAT".to_owned(),
        }),
    }
}

/// The answer to a subscription: the topics that were acted on, by the names that messages carry.
pub fn subscription(
    action: &str,
    topics: &[String],
    rejected: &[Rejection],
    now: Millis,
    payload: Payload,
) -> Frame {
    message("SUBSCRIPTION", now, payload, 80 + (topics.len() + rejected.len() * 4) * 32, |out| {
        out.extend_from_slice(b"{\"action\":");
        json::string(action, out);
        json::key("topics", out);
        array(topics, out, |topic, out| json::string(topic, out));
        json::key("rejected", out);
        array(rejected, out, |rejection, out| {
            out.extend_from_slice(b"{\"topic\":");
            json::string(&rejection.topic, out);
            fault(&rejection.fault, out);
            out.push(b'}');
        });
        out.push(b'}');
    })
}

/// The answer to a fresh token that is right.
pub fn authenticated(user: &str, expires: Option<Millis>, now: Millis, payload: Payload) -> Frame {
    message("AUTHENTICATION", now, payload, 100, |out| {
        out.extend_from_slice(b"{\"authenticated\":true,\"userId\":");
        json::string(user, out);
        if let Some(expires) = expires {
            json::key("expiresAt", out);
            json::string(&time::rfc3339_text(expires), out);
        }
        out.push(b'}');
    })
}

/// What comes every so often, and answers a client's own.
pub fn heartbeat(now: Millis, payload: Payload) -> Frame {
    message("HEARTBEAT", now, payload, 4, |out| out.extend_from_slice(b"{}"))
}

/// Something was not acted on.
pub fn error(about: &Fault, now: Millis, payload: Payload) -> Frame {
    message("ERROR", now, payload, 60 + about.message.len(), |out| {
        let start = out.len();
        fault(about, out);
        out[start] = b'{';
        out.push(b'}');
    })
}

fn fault(fault: &Fault, out: &mut Vec<u8>) {
    json::key("code", out);
    json::string(fault.code, out);
    json::key("message", out);
    json::string(&fault.message, out);
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Subscription {
    action: String,
    topics: Vec<String>,
}

#[derive(Deserialize)]
struct Authentication {
    token: String,
}

fn payload<T: for<'a> Deserialize<'a>>(raw: Option<&RawValue>, expected: &str) -> Result<T, Fault> {
    let text = raw.map_or("null", RawValue::get);
    let read = match serde_json::from_str::<String>(text) {
        Ok(inside) => serde_json::from_str(&inside),
        Err(_) => serde_json::from_str(text),
    };
    // The library's error would repeat what was written, and a token may stand there.
    read.map_err(|_| bad(format!("\"payload\" is to be {expected}, as an object or as its JSON in a text")))
}

fn bad(message: String) -> Fault {
    Fault { code: "BAD_MESSAGE", message }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(frame: &Frame) -> String {
        String::from_utf8(frame.payload().to_vec()).unwrap()
    }

    #[test]
    fn a_payload_is_an_object_or_a_text() {
        let subscribe = Word::Subscribe(vec!["orders".to_owned(), "ticker:BTCUSDT".to_owned()]);
        for text in [
            r#"{"type":"SUBSCRIPTION","timestamp":"2025-04-03T10:15:30Z","payload":{"action":"subscribe","topics":["orders","ticker:BTCUSDT"]}}"#,
            r#"{"payload":"{\"action\":\"subscribe\",\"topics\":[\"orders\",\"ticker:BTCUSDT\"]}","type":"SUBSCRIPTION"}"#,
        ] {
            assert_eq!(read(text).as_ref(), Ok(&subscribe), "{text}");
        }
        assert_eq!(read(r#"{"type":"HEARTBEAT"}"#), Ok(Word::Heartbeat));
    }

    #[test]
    fn what_is_wrong_is_named_and_no_token_repeated() {
        for (text, code) in [
            ("hello", "BAD_MESSAGE"),
            ("[]", "BAD_MESSAGE"),
            (r#"{"payload":{}}"#, "BAD_MESSAGE"),
            (r#"{"type":"DANCE"}"#, "UNKNOWN_TYPE"),
            (r#"{"type":"ORDER_UPDATE","payload":{}}"#, "BAD_MESSAGE"),
            (r#"{"type":"SUBSCRIPTION"}"#, "BAD_MESSAGE"),
            (r#"{"type":"SUBSCRIPTION","payload":{"action":"listen","topics":[]}}"#, "BAD_MESSAGE"),
            (r#"{"type":"SUBSCRIPTION","payload":{"action":"subscribe","topics":"orders"}}"#, "BAD_MESSAGE"),
            (r#"{"type":"AUTHENTICATION","payload":{"jwt":"secret-token"}}"#, "BAD_MESSAGE"),
        ] {
            let fault = read(text).unwrap_err();
            assert_eq!(fault.code, code, "{text}");
            assert!(!fault.message.contains("secret-token"), "{}", fault.message);
        }
    }

    #[test]
    fn answers_keep_the_envelope_in_both_styles() {
        let fault = Fault { code: "UNKNOWN_TOPIC", message: "no \"x\"".to_owned() };
        let rejected = [Rejection { topic: "x".to_owned(), fault: fault.clone() }];
        let answer = subscription("subscribe", &["orders".to_owned()], &rejected, 0, Payload::Object);
        assert_eq!(
            shown(&answer),
            r#"{"type":"SUBSCRIPTION","timestamp":"1970-01-01T00:00:00.000Z","payload":{"action":"subscribe","topics":["orders"],"rejected":[{"topic":"x","code":"UNKNOWN_TOPIC","message":"no \"x\""}]}}"#
        );
        assert_eq!(
            shown(&error(&fault, 0, Payload::Text)),
            r#"{"type":"ERROR","timestamp":"1970-01-01T00:00:00.000Z","payload":"{\"code\":\"UNKNOWN_TOPIC\",\"message\":\"no \\\"x\\\"\"}"}"#
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text: String) {
            let _ = read(&text);
        }
    }
}

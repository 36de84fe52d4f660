//! A native client's words, and the answers to them.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::{Command, Refusal, RefusalCode, Since, wrong};
use crate::encode::{Frame, json};
use crate::market::Millis;

/// Reads one message.
///
/// # Errors
/// A [`Refusal`] that says what is wrong with it.
pub fn read(text: &str) -> Result<Command, Refusal> {
    let message: Message<'_> = serde_json::from_str(text).map_err(|error| Refusal {
        id: None,
        code: RefusalCode::BadMessage,
        message: format!("a message is one JSON object with an \"op\": {}", wrong(&error)),
        topic: None,
    })?;
    let id = message.id.map(|id| id.get().to_owned());
    if id.as_ref().is_some_and(|id| id.len() > MOST_ID || id.starts_with(['{', '['])) {
        return Err(refused(
            None,
            RefusalCode::BadMessage,
            "an id is a number or a text of at most 64 bytes",
        ));
    }
    let topics = || message.topics.clone().ok_or_else(|| bad(&id, "\"topics\" is missing: a list of texts"));
    match message.op.as_deref() {
        Some("subscribe") => {
            let mut since = message.since.unwrap_or_default();
            let with_since = |topic: String| {
                let since = since.remove(&topic);
                (topic, since.map(|since| Since { epoch: since.epoch, seq: since.seq }))
            };
            let topics = topics()?.into_iter().map(with_since).collect();
            Ok(Command::Subscribe { id, topics })
        }
        Some("unsubscribe") => Ok(Command::Unsubscribe { topics: topics()?, id }),
        Some("list") => Ok(Command::List { id }),
        Some("ping") => Ok(Command::Ping { id }),
        Some("auth") => match message.token {
            Some(token) => Ok(Command::Auth { id, token }),
            None => Err(bad(&id, "\"token\" is missing: a JWT as text")),
        },
        _ => Err(refused(
            id,
            RefusalCode::UnknownOp,
            "\"op\" is one of subscribe, unsubscribe, list, ping, auth",
        )),
    }
}

/// The answer to a subscribe: the canonical names of what it is subscribed to now.
pub fn subscribed<'a>(id: Option<&str>, topics: impl Iterator<Item = &'a str>) -> Frame {
    ok(id, "subscribe", |out| topic_list(topics, out))
}

/// The answer to an unsubscribe.
pub fn unsubscribed<'a>(id: Option<&str>, topics: impl Iterator<Item = &'a str>) -> Frame {
    ok(id, "unsubscribe", |out| topic_list(topics, out))
}

/// The answer to a list.
pub fn listed<'a>(id: Option<&str>, topics: impl Iterator<Item = &'a str>) -> Frame {
    ok(id, "list", |out| topic_list(topics, out))
}

/// The answer to a ping, with the server's time.
pub fn pong(id: Option<&str>, now: Millis) -> Frame {
    ok(id, "ping", |out| json::integer_field("ts", now, out))
}

/// The answer to a fresh token: who it is for and when it ends.
pub fn renewed(id: Option<&str>, user: &str, expires: Option<Millis>) -> Frame {
    ok(id, "auth", |out| {
        json::key("user", out);
        json::string(user, out);
        if let Some(expires) = expires {
            json::integer_field("expires", expires, out);
        }
    })
}

/// What a client is told of a message that was not acted on.
pub fn error(refusal: &Refusal) -> Frame {
    Frame::text(160 + refusal.message.len(), |out| {
        out.extend_from_slice(b"{\"type\":\"error\"");
        write_id(refusal.id.as_deref(), out);
        json::key("code", out);
        json::string(refusal.code.name(), out);
        json::key("message", out);
        json::string(&refusal.message, out);
        if let Some(topic) = &refusal.topic {
            json::key("topic", out);
            json::string(topic, out);
        }
        out.push(b'}');
    })
}

#[derive(Deserialize)]
struct Message<'a> {
    op: Option<String>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    topics: Option<Vec<String>>,
    since: Option<HashMap<String, RawSince>>,
    token: Option<String>,
}

#[derive(Deserialize)]
struct RawSince {
    epoch: String,
    seq: u64,
}

fn bad(id: &Option<String>, message: &str) -> Refusal {
    refused(id.clone(), RefusalCode::BadMessage, message)
}

fn refused(id: Option<String>, code: RefusalCode, message: &str) -> Refusal {
    Refusal { id, code, message: message.to_owned(), topic: None }
}

fn ok(id: Option<&str>, op: &str, rest: impl FnOnce(&mut Vec<u8>)) -> Frame {
    Frame::text(256, |out| {
        out.extend_from_slice(b"{\"type\":\"ok\"");
        write_id(id, out);
        json::key("op", out);
        json::string(op, out);
        rest(out);
        out.push(b'}');
    })
}

fn write_id(id: Option<&str>, out: &mut Vec<u8>) {
    if let Some(id) = id {
        json::key("id", out);
        out.extend_from_slice(id.as_bytes());
    }
}

fn topic_list<'a>(topics: impl Iterator<Item = &'a str>, out: &mut Vec<u8>) {
    json::key("topics", out);
    out.push(b'[');
    for (at, topic) in topics.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::string(topic, out);
    }
    out.push(b']');
}

/// The longest identifier of a request that is repeated in its answer.
const MOST_ID: usize = 66;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_error(text: &str, expect: &str) {
        let refusal = read(text).expect_err(text);
        assert_eq!(String::from_utf8_lossy(error(&refusal).payload()), expect);
    }

    #[test]
    fn a_subscribe_is_read_with_its_since() {
        let text = r#"{"op":"subscribe","id":"a","topics":["trades:X","book:X"],"since":{"trades:X":{"epoch":"e","seq":3}}}"#;
        let since = Since { epoch: "e".into(), seq: 3 };
        let topics = vec![("trades:X".into(), Some(since)), ("book:X".into(), None)];
        assert_eq!(read(text), Ok(Command::Subscribe { id: Some("\"a\"".into()), topics }));
    }

    #[test]
    fn a_message_that_is_none_is_answered_with_what_would_be_one() {
        check_error(
            r#"{"op":"buy","id":7}"#,
            r#"{"type":"error","id":7,"code":"UNKNOWN_OP","message":"\"op\" is one of subscribe, unsubscribe, list, ping, auth"}"#,
        );
        check_error(
            r#"{"op":"subscribe","id":7}"#,
            r#"{"type":"error","id":7,"code":"BAD_MESSAGE","message":"\"topics\" is missing: a list of texts"}"#,
        );
        check_error(
            r#"{"op":"ping","id":{}}"#,
            r#"{"type":"error","code":"BAD_MESSAGE","message":"an id is a number or a text of at most 64 bytes"}"#,
        );
        for wrong in ["", "[]", "7", "{", r#"{"op":7}"#, r#"{"op":"subscribe","topics":"X"}"#, "nul"] {
            assert_eq!(read(wrong).unwrap_err().code, RefusalCode::BadMessage, "{wrong}");
        }
    }

    #[test]
    fn answers_repeat_the_id_as_it_was_written() {
        let text = |frame: Frame| String::from_utf8_lossy(frame.payload()).into_owned();
        assert_eq!(text(pong(Some("1.0"), 5)), r#"{"type":"ok","id":1.0,"op":"ping","ts":5}"#);
        let list = listed(None, ["book:\"X", "ticker:*"].into_iter());
        assert_eq!(
            text(list),
            r#"{"type":"ok","op":"list","topics":["book:\"X","ticker:*"]}"#.replace(":\"X", ":\\\"X")
        );
    }
}

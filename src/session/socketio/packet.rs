//! One Socket.IO packet as text: read with the strictness of the JavaScript parser, and written.

use thiserror::Error;

use super::scan;
use crate::encode::json;

/// What a client sends, borrowed from its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is.
    pub kind: Kind,
    /// How many binary messages belong to it and follow.
    pub attachments: usize,
    /// The namespace; `/` where none is written.
    pub namespace: &'a str,
    /// The number by which the other side wants it answered, or which it answers.
    pub id: Option<u64>,
    /// JSON as it is written; for events and answers an array.
    pub data: Option<&'a str>,
}

/// The kinds of packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Joins a namespace.
    Connect,
    /// Leaves it.
    Disconnect,
    /// Something happened.
    Event,
    /// The answer to an event.
    Ack,
    /// A namespace cannot be joined; only a server says it.
    ConnectError,
}

/// What is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// No packet begins like this.
    #[error("no such packet type")]
    UnknownType,
    /// The number of attachments is none, or more than are taken.
    #[error("an illegal number of attachments")]
    IllegalAttachments,
    /// What follows is not what the type asks for.
    #[error("an invalid payload")]
    InvalidPayload,
    /// Text between a packet and its attachments.
    #[error("text while attachments were to come")]
    TextInstead,
    /// Bytes that belong to no packet.
    #[error("an attachment that belongs to nothing")]
    StrayAttachment,
    /// A place for an attachment that is not there.
    #[error("a place for an attachment that is not there")]
    IllegalPlaceholder,
    /// Attachments that are too large together.
    #[error("attachments that are too large together")]
    TooLarge,
}

impl<'a> Packet<'a> {
    /// Reads a packet's text. It accepts and rejects what npm's `socket.io-parser` 4.2.7 does, with
    /// that parser's view of what a digit is: spaces count.
    ///
    /// # Errors
    /// [`Malformed`] ends the connection.
    pub fn read(text: &'a str) -> Result<Packet<'a>, Malformed> {
        let first = text.chars().next().unwrap_or('0');
        let (kind, is_binary) = match first {
            '0' => (Kind::Connect, false),
            '1' => (Kind::Disconnect, false),
            '2' => (Kind::Event, false),
            '3' => (Kind::Ack, false),
            '4' => (Kind::ConnectError, false),
            '5' => (Kind::Event, true),
            '6' => (Kind::Ack, true),
            space if is_space(space) => (Kind::Connect, false),
            _ => return Err(Malformed::UnknownType),
        };
        let mut rest = text.get(first.len_utf8()..).unwrap_or_default();
        let mut attachments = 0;
        if is_binary {
            let (count, after) = rest.split_once('-').ok_or(Malformed::IllegalAttachments)?;
            attachments = attachment_count(count).ok_or(Malformed::IllegalAttachments)?;
            rest = after;
        }
        let mut namespace = "/";
        if rest.starts_with('/') {
            (namespace, rest) = rest.split_once(',').unwrap_or((rest, ""));
        }
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || is_space(c))).unwrap_or(rest.len());
        let (id, data) = rest.split_at(digits);
        let data = (!data.is_empty()).then_some(data);
        if let Some(data) = data
            && !is_valid(kind, data)
        {
            return Err(Malformed::InvalidPayload);
        }
        // Spaces alone are a number too: zero.
        let id = match id.trim_matches(is_space) {
            "" => (!id.is_empty()).then_some(0),
            digits => digits.parse().ok(),
        };
        Ok(Packet { kind, attachments, namespace, id, data })
    }

    /// Checks the places that a packet with attachments leaves for them.
    ///
    /// # Errors
    /// [`Malformed::IllegalPlaceholder`] where one of them names an attachment that is not there, or
    /// where values lie deeper in each other than anybody needs: each level is looked through anew.
    pub fn check_placeholders(&self) -> Result<(), Malformed> {
        let mut unseen: Vec<(&str, usize)> = self.data.into_iter().map(|data| (data, 0)).collect();
        // A small packet is looked through whatever its depth, a large one only some times over.
        let mut work = SMALL + 16 * self.data.map_or(0, str::len);
        while let Some((value, depth)) = unseen.pop() {
            let is_too_much = value.len() > work;
            work = work.saturating_sub(value.len());
            if depth > MOST_NESTED || is_too_much {
                return Err(Malformed::IllegalPlaceholder);
            }
            if let Some(items) = scan::items(value) {
                unseen.extend(items.into_iter().filter(|item| is_nested(item)).map(|item| (item, depth + 1)));
            } else if let Some(members) = scan::members(value)
                && !self.is_placeholder(&members)?
            {
                let values = members.into_iter().map(|(_, value)| value);
                unseen.extend(values.filter(|value| is_nested(value)).map(|value| (value, depth + 1)));
            }
        }
        Ok(())
    }

    /// Whether an object stands for an attachment.
    fn is_placeholder(&self, members: &[(&str, &str)]) -> Result<bool, Malformed> {
        let last = |name: &str| {
            members.iter().rev().find(|(known, _)| is_name(known, name)).map(|(_, value)| *value)
        };
        if last("_placeholder") != Some("true") {
            return Ok(false);
        }
        let number = last("num").and_then(|number| number.parse::<f64>().ok());
        let most = f64::from(u32::try_from(self.attachments).unwrap_or(u32::MAX));
        match number.is_some_and(|number| number >= 0.0 && number < most) {
            true => Ok(true),
            false => Err(Malformed::IllegalPlaceholder),
        }
    }
}

fn is_nested(value: &str) -> bool {
    matches!(value.as_bytes().first(), Some(b'[' | b'{'))
}

/// Appends the head of a packet: Engine.IO's type for a message, Socket.IO's own, and the namespace.
/// `42` for an event in `/`, `42/ws,` for one in `/ws`, `451-` for one with one attachment.
pub fn head(kind: Kind, attachments: usize, namespace: &str, out: &mut Vec<u8>) {
    out.push(b'4');
    out.push(match (kind, attachments) {
        (Kind::Connect, _) => b'0',
        (Kind::Disconnect, _) => b'1',
        (Kind::Event, 0) => b'2',
        (Kind::Ack, 0) => b'3',
        (Kind::ConnectError, _) => b'4',
        (Kind::Event, _) => b'5',
        (Kind::Ack, _) => b'6',
    });
    if attachments > 0 {
        json::integer(attachments, out);
        out.push(b'-');
    }
    if namespace != "/" {
        out.extend_from_slice(namespace.as_bytes());
        out.push(b',');
    }
}

/// Names of events that mean something to the library itself: no client may send one, and none of
/// them stands a server's.
pub use crate::market::RESERVED_EVENTS as RESERVED;

/// Attachments of one packet.
pub const MOST_ATTACHMENTS: usize = 10;

/// How deep values lie in each other in a packet with attachments.
const MOST_NESTED: usize = 64;

/// How much text of a packet is looked through for the places of attachments, beside sixteen times its own
/// length.
const SMALL: usize = 1 << 16;

fn is_valid(kind: Kind, data: &str) -> bool {
    match kind {
        Kind::Connect => scan::is_object(data),
        Kind::Disconnect => false,
        Kind::ConnectError => scan::is_text(data) || scan::is_object(data),
        Kind::Ack => scan::items(data).is_some(),
        Kind::Event => {
            let first = scan::items(data).and_then(|items| items.first().copied());
            first.is_some_and(|first| match first.as_bytes()[0] {
                b'"' => !RESERVED.iter().any(|reserved| is_name(first, reserved)),
                b'-' | b'0'..=b'9' => true,
                _ => false,
            })
        }
    }
}

/// Whether a JSON text, with its quotation marks, says `name`.
fn is_name(text: &str, name: &str) -> bool {
    match text.contains('\\') {
        false => text.get(1..text.len() - 1) == Some(name),
        // Half a character's escape is in no name.
        true => serde_json::from_str::<String>(text).is_ok_and(|text| text == name),
    }
}

/// What JavaScript takes a text for when it wants a number, where that is a legal count.
fn attachment_count(text: &str) -> Option<usize> {
    let text = text.trim_matches(is_space);
    let radix = |prefix: [&str; 2], radix| {
        let digits = prefix.into_iter().find_map(|prefix| text.strip_prefix(prefix))?;
        let plain = digits.chars().all(|c| c.is_ascii_alphanumeric());
        u32::from_str_radix(digits, radix).ok().filter(|_| plain)
    };
    let whole = radix(["0x", "0X"], 16).or_else(|| radix(["0o", "0O"], 8)).or_else(|| radix(["0b", "0B"], 2));
    let number = match whole {
        Some(number) => f64::from(number),
        // Words such as `inf` are no number to JavaScript.
        None if text.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E')) => {
            text.parse().ok()?
        }
        None => return None,
    };
    (1..=MOST_ATTACHMENTS).find(|&count| f64::from(u32::try_from(count).unwrap_or(0)) == number)
}

/// What JavaScript takes for a space when it turns text into a number.
fn is_space(c: char) -> bool {
    matches!(
        c,
        '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Packet<'_>, Malformed> {
        Packet::read(text)
    }

    fn packet(kind: Kind) -> Packet<'static> {
        Packet { kind, attachments: 0, namespace: "/", id: None, data: None }
    }

    #[test]
    fn packets_are_read() {
        let connect = packet(Kind::Connect);
        let event = Packet { data: Some(r#"["a",1]"#), ..packet(Kind::Event) };
        for (text, expected) in [
            ("0", connect),
            ("0{\"token\":\"123\"}", Packet { data: Some("{\"token\":\"123\"}"), ..connect }),
            ("0/ws,", Packet { namespace: "/ws", ..connect }),
            ("0/ws", Packet { namespace: "/ws", ..connect }),
            ("0/ws?x=1,{}", Packet { namespace: "/ws?x=1", data: Some("{}"), ..connect }),
            ("1/ws,", Packet { namespace: "/ws", ..packet(Kind::Disconnect) }),
            ("2[\"a\",1]", event),
            ("2/ws,456[\"a\",1]", Packet { namespace: "/ws", id: Some(456), ..event }),
            ("2 [\"a\",1]", Packet { id: Some(0), ..event }),
            ("2[7]", Packet { data: Some("[7]"), ..event }),
            ("2", packet(Kind::Event)),
            ("52-789[\"a\",1]", Packet { attachments: 2, id: Some(789), ..event }),
            ("312[]", Packet { id: Some(12), data: Some("[]"), ..packet(Kind::Ack) }),
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_the_javascript_parser_rejects_is_rejected() {
        for (text, fault) in [
            ("7", Malformed::UnknownType),
            ("abc", Malformed::UnknownType),
            ("0[]", Malformed::InvalidPayload),
            ("0null", Malformed::InvalidPayload),
            ("0{}x", Malformed::InvalidPayload),
            ("1{}", Malformed::InvalidPayload),
            ("2{}", Malformed::InvalidPayload),
            ("2[]", Malformed::InvalidPayload),
            ("2[{}]", Malformed::InvalidPayload),
            ("2abc[\"a\"]", Malformed::InvalidPayload),
            ("2[\"connect\"]", Malformed::InvalidPayload),
            ("2[\"disc\\u006fnnect\"]", Malformed::InvalidPayload),
            ("3{}", Malformed::InvalidPayload),
            ("5[\"a\"]", Malformed::IllegalAttachments),
            ("5-[\"a\"]", Malformed::IllegalAttachments),
            ("50-[\"a\"]", Malformed::IllegalAttachments),
            ("511-[\"a\"]", Malformed::IllegalAttachments),
            ("5inf-[\"a\"]", Malformed::IllegalAttachments),
        ] {
            assert_eq!(read(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn places_for_attachments_name_those_that_are_there() {
        let check = |text| read(text).unwrap().check_placeholders();
        assert_eq!(check(r#"51-["a",{"_placeholder":true,"num":0}]"#), Ok(()));
        assert_eq!(check(r#"51-["a",{"b":[{"_placeholder":true,"num":0}]}]"#), Ok(()));
        assert_eq!(check(r#"51-["a",{"_placeholder":1,"num":9}]"#), Ok(()), "an object like any other");
        let illegal = Err(Malformed::IllegalPlaceholder);
        assert_eq!(check(r#"51-["a",{"_placeholder":true,"num":1}]"#), illegal);
        assert_eq!(check(r#"51-["a",{"_placeholder":true,"num":-1}]"#), illegal);
        assert_eq!(check(r#"51-["a",{"_placeholder":true,"num":"0"}]"#), illegal);
        assert_eq!(check(r#"51-["a",{"_placeholder":true}]"#), illegal);
    }

    #[test]
    fn heads_are_written() {
        let head = |kind, attachments, namespace| {
            let mut out = Vec::new();
            head(kind, attachments, namespace, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(head(Kind::Event, 0, "/"), "42");
        assert_eq!(head(Kind::Event, 0, "/ws"), "42/ws,");
        assert_eq!(head(Kind::Ack, 2, "/"), "462-");
        assert_eq!(head(Kind::ConnectError, 0, "/x"), "44/x,");
    }

    proptest! {
        #[test]
        fn any_text_is_judged_and_nothing_panics(text: String, tail in r#"[0-9/,\[\]{}"a-z _-]{0,24}"#) {
            let whole = format!("{tail}{text}");
            for text in [&text, &tail, &whole] {
                if let Ok(packet) = Packet::read(text) {
                    let _ = packet.check_placeholders();
                }
            }
        }
    }
}

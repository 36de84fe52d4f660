//! One HTTP request, and its answer taken apart.

use std::io::Read;

use serde_json::Value;

use crate::raw::Raw;
use crate::running::{Running, until};

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = |line: &'_ str| {
            line.split_once(": ").filter(|(known, _)| *known == name).map(|(_, value)| value.len())
        };
        self.head.lines().find_map(|text| line(text).map(|length| &text[text.len() - length..]))
    }

    pub(crate) fn text(&self) -> Vec<u8> {
        if self.header("content-encoding") != Some("gzip") {
            return self.body.clone();
        }
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(&self.body[..]).read_to_end(&mut text).unwrap();
        text
    }

    pub(crate) fn json(&self) -> Value {
        let text = self.text();
        serde_json::from_slice(&text)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&text)))
    }
}

/// Asks with some lines of a header.
pub(crate) fn ask(server: &Running, method: &str, path: &str, lines: &[&str]) -> Answer {
    let mut raw = Raw::socket(server.address);
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}\r\n");
    raw.send(request.as_bytes());
    let head = raw.head();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: raw.rest() }
}

pub(crate) fn get(server: &Running, path: &str) -> Answer {
    ask(server, "GET", path, &[])
}

/// A JSON answer that must be there.
pub(crate) fn fetch(server: &Running, path: &str) -> Value {
    let answer = get(server, path);
    assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.text()));
    answer.json()
}

/// Asks until the answer is as wished: what was put into the engine takes a moment to arrive.
pub(crate) fn fetch_until(server: &Running, path: &str, wished: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    until(path, || {
        last = get(server, path).json();
        wished(&last)
    });
    last
}

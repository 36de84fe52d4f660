//! A raw WebSocket client on a blocking socket, which can do everything wrong that a client can.
#![allow(dead_code, reason = "no test uses all of it")]
#![allow(unreachable_pub, reason = "every test is a crate of its own, and this belongs to several")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// One connection.
pub struct Raw {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

/// One frame of the server.
#[derive(Debug, PartialEq, Eq)]
pub struct Got {
    pub opcode: u8,
    pub payload: Vec<u8>,
}

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// Nothing that a test waits for takes longer.
pub const PATIENCE: Duration = Duration::from_secs(20);

impl Raw {
    /// A socket on which nothing was said yet.
    pub fn socket(address: SocketAddr) -> Raw {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Raw { stream, buffer: Vec::new() }
    }

    /// An open WebSocket.
    pub fn connect(address: SocketAddr) -> Raw {
        Raw::connect_to(address, "/v1/ws")
    }

    /// An open WebSocket at another path.
    pub fn connect_to(address: SocketAddr, path: &str) -> Raw {
        Raw::socket(address).upgraded(path)
    }

    /// An open WebSocket of a client for which the system takes little.
    pub fn connect_narrow(address: SocketAddr) -> Raw {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(8 << 10).unwrap();
            socket.connect(address).await.unwrap().into_std().unwrap()
        });
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Raw { stream, buffer: Vec::new() }.upgraded("/v1/ws")
    }

    fn upgraded(self, path: &str) -> Raw {
        let mut raw = self;
        raw.send(upgrade(path, "").as_bytes());
        let head = raw.head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        raw
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends a text message.
    pub fn say(&mut self, text: &str) {
        self.send(&frame(TEXT, true, text.as_bytes()));
    }

    /// Subscribes, and returns the answer.
    pub fn subscribe(&mut self, topics: &[&str]) -> Value {
        self.say(&serde_json::json!({"op": "subscribe", "id": 1, "topics": topics}).to_string());
        self.hear()
    }

    /// The head of an HTTP answer.
    pub fn head(&mut self) -> String {
        loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = self.buffer.split_off(at + 4);
                return String::from_utf8(std::mem::replace(&mut self.buffer, rest)).unwrap();
            }
            assert!(self.more().unwrap(), "the server ended the connection: {:?}", self.buffer);
        }
    }

    /// The JSON body of an HTTP answer with this head; the connection goes on.
    pub fn body(&mut self, head: &str) -> Value {
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.expect("a body of a known length").parse().unwrap();
        while self.buffer.len() < length {
            assert!(self.more().unwrap(), "the server ended the connection in the middle of an answer");
        }
        let body: Vec<u8> = self.buffer.drain(..length).collect();
        serde_json::from_slice(&body).unwrap()
    }

    /// Everything until the server ends the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.more().unwrap() {}
        std::mem::take(&mut self.buffer)
    }

    /// The next frame; `None` at the end of the stream.
    pub fn try_frame(&mut self) -> std::io::Result<Option<Got>> {
        loop {
            if let Some((got, used)) = parse(&self.buffer) {
                self.buffer.drain(..used);
                return Ok(Some(got));
            }
            if !self.more()? {
                return Ok(None);
            }
        }
    }

    /// The next message as it came, and whether it says that it is compressed.
    pub fn message(&mut self) -> (bool, Vec<u8>) {
        while self.buffer.is_empty() {
            assert!(self.more().unwrap(), "the stream goes on");
        }
        let compressed = self.buffer[0] & 0x40 != 0;
        self.buffer[0] &= !0x40;
        (compressed, self.frame().payload)
    }

    pub fn frame(&mut self) -> Got {
        self.try_frame().unwrap().expect("the stream goes on")
    }

    /// The next message.
    pub fn hear(&mut self) -> Value {
        let got = self.frame();
        assert_eq!(got.opcode, TEXT, "{got:?}");
        serde_json::from_slice(&got.payload).unwrap()
    }

    /// The code and the reason of the close frame that comes next but for other messages, after
    /// which the server ends the connection without being answered.
    pub fn closed(&mut self) -> (u16, String) {
        let closed = self.close_frame();
        assert_eq!(self.try_frame().unwrap(), None, "nothing follows a close frame");
        closed
    }

    /// The same, where the server waits for an answer.
    pub fn close_frame(&mut self) -> (u16, String) {
        loop {
            let got = self.frame();
            if got.opcode == CLOSE {
                let code = u16::from_be_bytes([got.payload[0], got.payload[1]]);
                return (code, String::from_utf8(got.payload[2..].to_vec()).unwrap());
            }
        }
    }

    /// Reads once; whether anything came.
    pub fn more(&mut self) -> std::io::Result<bool> {
        let mut part = [0; 64 << 10];
        loop {
            match self.stream.read(&mut part) {
                Ok(length) => {
                    self.buffer.extend_from_slice(&part[..length]);
                    return Ok(length > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Publishes a body, and returns the status and the answer.
pub fn post(address: SocketAddr, token: &str, body: &str) -> (u16, Value) {
    let mut raw = Raw::socket(address);
    let length = body.len();
    raw.send(
        format!("POST /publish?token={token} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n")
            .as_bytes(),
    );
    raw.send(body.as_bytes());
    let head = raw.head();
    let status = head[9..12].parse().unwrap();
    (status, serde_json::from_slice(&raw.rest()).unwrap_or(Value::Null))
}

/// The request for an upgrade, with more lines of a header.
pub fn upgrade(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// A client's frame. The opcode may have reserved bits beside it.
pub fn frame(opcode: u8, last: bool, payload: &[u8]) -> Vec<u8> {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = head(opcode, last, payload.len());
    frame.extend_from_slice(&key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// The head of a client's frame, up to its key.
pub fn head(opcode: u8, last: bool, length: usize) -> Vec<u8> {
    let mut head = vec![opcode | if last { 0x80 } else { 0 }];
    match length {
        0..126 => head.push(0x80 | u8::try_from(length).unwrap()),
        126..65_536 => {
            head.push(0x80 | 126);
            head.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            head.push(0x80 | 127);
            head.extend_from_slice(&u64::try_from(length).unwrap().to_be_bytes());
        }
    }
    head
}

/// The first frame of the server in these bytes, and how long it is; `None` where it has not come whole.
pub fn parse(bytes: &[u8]) -> Option<(Got, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    assert!(first & 0x70 == 0 && first & 0x80 != 0, "the server neither compresses nor fragments");
    assert!(second & 0x80 == 0, "the server masks nothing");
    let (start, length) = match second {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap()))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap())).unwrap()),
        _ => (2, usize::from(second)),
    };
    let payload = bytes.get(start..start + length)?.to_vec();
    Some((Got { opcode: first & 0x0f, payload }, start + length))
}

//! Where to connect: an address of a plain WebSocket, and the request that opens one there.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use hyper::Uri;
use thiserror::Error;

/// The address of a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    authority: String,
    host: String,
    port: u16,
    path: String,
}

/// A text that is no such address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadTarget {
    /// Not even a URL.
    #[error("write ws://host[:port][/path][?query]")]
    NotWebSocket,
    /// TLS would be measured, and would cost more here than there.
    #[error("TLS is not spoken here: measure the server behind it, as ws://host[:port][/path]")]
    Tls,
}

impl FromStr for Target {
    type Err = BadTarget;

    fn from_str(url: &str) -> Result<Target, BadTarget> {
        let uri: Uri = url.parse().map_err(|_| BadTarget::NotWebSocket)?;
        match uri.scheme_str() {
            Some("ws" | "http") => {}
            Some("wss" | "https") => return Err(BadTarget::Tls),
            Some(_) | None => return Err(BadTarget::NotWebSocket),
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(BadTarget::NotWebSocket)?;
        let port = uri.port_u16().unwrap_or(80);
        Ok(Target {
            authority: format!("{host}:{port}"),
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port,
            path: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        })
    }
}

impl Target {
    /// Another path of the same server.
    pub fn with_path(&self, path: &str) -> Target {
        Target { path: path.to_owned(), ..self.clone() }
    }

    /// The address of its socket.
    ///
    /// # Errors
    /// When its name cannot be looked up.
    pub fn resolve(&self) -> io::Result<SocketAddr> {
        let first = (self.host.as_str(), self.port).to_socket_addrs()?.next();
        first.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
    }

    /// The request for an upgrade.
    pub(super) fn request(&self) -> Vec<u8> {
        format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n",
            self.path, self.authority
        )
        .into_bytes()
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ws://{}{}", self.authority, self.path)
    }
}

/// The answer to a request for an upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Not complete yet.
    Unfinished,
    /// A WebSocket begins after so many bytes.
    Accepted(usize),
    /// Another status.
    Status(u16),
    /// Nothing that a WebSocket server answers.
    Nonsense,
}

/// Reads the answer that `bytes` begin with.
pub(super) fn answer(bytes: &[u8]) -> Answer {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if bytes.len() > MOST_HEAD { Answer::Nonsense } else { Answer::Unfinished };
    };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let accepts = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or_default();
        name.eq_ignore_ascii_case("sec-websocket-accept") && value.trim() == ACCEPT
    };
    match status {
        Some(101) if lines.any(accepts) => Answer::Accepted(end + 4),
        Some(101) | None => Answer::Nonsense,
        Some(status) => Answer::Status(status),
    }
}

/// The example of RFC 6455, section 1.3. It only has to prove that the server speaks WebSocket, and
/// the answer to a constant one is a constant.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The longest head of an answer.
const MOST_HEAD: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_maybe_a_port_a_path_and_a_query() {
        let shown = |url: &str| url.parse::<Target>().unwrap().to_string();
        assert_eq!(shown("ws://127.0.0.1:3000/v1/ws?a=b"), "ws://127.0.0.1:3000/v1/ws?a=b");
        assert_eq!(shown("ws://example.com"), "ws://example.com:80/");
        assert_eq!(shown("ws://[::1]:9001/sub"), "ws://[::1]:9001/sub");
        let v6 = "ws://[::1]:9001/sub".parse::<Target>().unwrap();
        assert_eq!(v6.with_path("/pub").resolve().unwrap(), "[::1]:9001".parse().unwrap());
        for wrong in ["", "127.0.0.1:3000", "/v1/ws", "ftp://host/", "ws://", "ws://a b/"] {
            assert_eq!(wrong.parse::<Target>(), Err(BadTarget::NotWebSocket), "{wrong}");
        }
        assert_eq!("wss://host/".parse::<Target>(), Err(BadTarget::Tls));
    }

    #[test]
    fn an_answer_accepts_only_with_the_right_proof() {
        let accepted = format!("HTTP/1.1 101 Ok\r\nsec-websocket-ACCEPT: {ACCEPT}\r\n\r\n");
        assert_eq!(answer(format!("{accepted}\u{1}").as_bytes()), Answer::Accepted(accepted.len()));
        for end in 0..accepted.len() {
            assert_eq!(answer(&accepted.as_bytes()[..end]), Answer::Unfinished);
        }
        assert_eq!(answer(b"HTTP/1.1 101 Ok\r\nSec-WebSocket-Accept: x\r\n\r\n"), Answer::Nonsense);
        assert_eq!(answer(b"HTTP/1.1 503 Full\r\n\r\n{}"), Answer::Status(503));
        assert_eq!(answer(b"SSH-2.0-x\r\n\r\n"), Answer::Nonsense);
        assert_eq!(answer(&[b'x'; MOST_HEAD + 1]), Answer::Nonsense);
    }
}

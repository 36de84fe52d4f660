//! From an address to an open stream: TCP, TLS where the address says so, the WebSocket handshake.
//!
//! Knows no venue. Every step has a deadline.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::header::{CONNECTION, HOST, RETRY_AFTER, UPGRADE, USER_AGENT};
use hyper::upgrade::Upgraded;
use hyper::{HeaderMap, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Where a venue is: host, port, whether to speak TLS, and what stands before every path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
    tls: bool,
    prefix: String,
}

impl Endpoint {
    /// Reads `ws://`, `wss://`, `http://` or `https://`, a host, and optionally a port and a path.
    ///
    /// # Errors
    /// [`BadUrl`] when it is anything else.
    pub fn parse(url: &str) -> Result<Endpoint, BadUrl> {
        // What stands in a query may be a token, and an error is shown and logged.
        let (shown, _) = url.split_once('?').unwrap_or((url, ""));
        let bad = || BadUrl { url: shown.to_owned() };
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let (tls, default_port) = match uri.scheme_str() {
            Some("ws" | "http") => (false, 80),
            Some("wss" | "https") => (true, 443),
            Some(_) | None => return Err(bad()),
        };
        if uri.query().is_some() {
            return Err(bad());
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(bad)?;
        Ok(Endpoint {
            // An address of version 6 stands in brackets in a URL, and without them everywhere else.
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: uri.port_u16().unwrap_or(default_port),
            tls,
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The path as the server sees it.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// What stands in the `Host` header.
    pub(crate) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// A text that is no address of a venue.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{url:?} is no address: write ws://, wss://, http:// or https://, then host[:port][/path] without a query"
)]
pub struct BadUrl {
    /// As it was given, up to its query.
    pub url: String,
}

/// How long each step of getting connected may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectDeadlines {
    /// Name look-up, TCP and TLS.
    pub(crate) connect: Duration,
    /// The WebSocket handshake.
    pub(crate) handshake: Duration,
}

/// Opens connections; holds what TLS needs.
#[derive(Clone)]
pub(crate) struct Connector {
    tls: TlsConnector,
}

impl Connector {
    /// A connector that trusts the usual public authorities.
    pub(crate) fn new() -> Result<Connector, rustls::Error> {
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Connector { tls: TlsConnector::from(Arc::new(config)) })
    }

    /// A stream to `endpoint`, plain or through TLS.
    pub(crate) async fn open(&self, endpoint: &Endpoint, within: Duration) -> Result<Stream, ConnectError> {
        let late = |_| ConnectError::TooSlow { step: "connecting", within };
        timeout(within, self.open_unhurried(endpoint)).await.map_err(late)?
    }

    async fn open_unhurried(&self, endpoint: &Endpoint) -> Result<Stream, ConnectError> {
        let tcp = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
        // Pongs and subscriptions are small and must not wait for more to send.
        tcp.set_nodelay(true)?;
        if !endpoint.tls {
            return Ok(Stream::Plain(tcp));
        }
        let name = ServerName::try_from(endpoint.host.clone())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the host's name cannot be checked"))?;
        Ok(Stream::Tls(Box::new(self.tls.connect(name, tcp).await?)))
    }

    /// A stream that the server has agreed to speak WebSocket on.
    pub(crate) async fn open_websocket(
        &self,
        endpoint: &Endpoint,
        path: &str,
        deadlines: ConnectDeadlines,
    ) -> Result<TokioIo<Upgraded>, ConnectError> {
        let stream = self.open(endpoint, deadlines.connect).await?;
        let within = deadlines.handshake;
        let late = |_| ConnectError::TooSlow { step: "the WebSocket handshake", within };
        timeout(within, upgrade(stream, endpoint, path)).await.map_err(late)?
    }
}

/// A plain connection or one through TLS.
#[derive(Debug)]
pub(crate) enum Stream {
    /// As it is.
    Plain(TcpStream),
    /// Through TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// The client's half of the handshake.
///
/// Not the one of fastwebsockets: that hides the status and `Retry-After` of a refusal, and prints
/// to standard error.
async fn upgrade(stream: Stream, endpoint: &Endpoint, path: &str) -> Result<TokioIo<Upgraded>, ConnectError> {
    let request = Request::get(endpoint.path(path))
        .header(HOST, endpoint.authority())
        .header(USER_AGENT, AGENT)
        .header(UPGRADE, "websocket")
        .header(CONNECTION, "Upgrade")
        .header("Sec-WebSocket-Key", fastwebsockets::handshake::generate_key())
        .header("Sec-WebSocket-Version", "13")
        .body(Empty::<Bytes>::new())
        .map_err(ConnectError::Request)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(ConnectError::Http)?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let upgraded = match status {
            StatusCode::SWITCHING_PROTOCOLS => Some(hyper::upgrade::on(response).await?),
            _ => None,
        };
        Ok((status, headers, upgraded))
    };
    // The connection is driven here and not by a task of its own: nothing is left of it when the
    // handshake is over, also where the server would keep it open after a refusal.
    tokio::pin!(exchange);
    let answer = tokio::select! {
        answer = &mut exchange => answer,
        _ = connection.with_upgrades() => exchange.await,
    };
    let (status, headers, upgraded) = answer.map_err(ConnectError::Http)?;
    let says_websocket =
        |value: &hyper::header::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"websocket");
    match upgraded {
        Some(upgraded) if headers.get(UPGRADE).is_some_and(says_websocket) => Ok(TokioIo::new(upgraded)),
        Some(_) | None => {
            Err(ConnectError::Refused { status: status.as_u16(), retry_after: retry_after(&headers) })
        }
    }
}

/// How long a server asks us to stay away.
///
/// Only the form in seconds: the venues that we speak to use no other.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// A step did not end in time.
    #[error("{step} took longer than {within:?}")]
    TooSlow {
        /// Which step.
        step: &'static str,
        /// Its deadline.
        within: Duration,
    },
    /// Name look-up, TCP or TLS failed.
    #[error("no connection: {0}")]
    Io(#[from] io::Error),
    /// The server did not speak HTTP, or stopped.
    #[error("no HTTP answer: {0}")]
    Http(#[source] hyper::Error),
    /// The request could not be written down: the address or path holds what no request may.
    #[error("the request cannot be made: {0}")]
    Request(#[source] hyper::http::Error),
    /// The server answered, and not with an open WebSocket.
    #[error("the server refused the WebSocket with HTTP status {status}")]
    Refused {
        /// Its status.
        status: u16,
        /// How long it asks us to stay away.
        retry_after: Option<Duration>,
    },
}

/// How we name ourselves to venues.
pub(crate) const AGENT: &str = concat!("tickcast/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn an_endpoint_has_a_scheme_and_a_host_and_may_have_a_port_and_a_path() {
        let binance = Endpoint::parse("wss://stream.binance.com:9443").unwrap();
        assert_eq!((binance.tls, binance.authority()), (true, "stream.binance.com:9443".into()));
        assert_eq!(binance.path("/stream"), "/stream");
        let local = Endpoint::parse("http://[::1]:80/venue/").unwrap();
        assert_eq!((local.host.as_str(), local.authority()), ("::1", "[::1]:80".into()));
        assert_eq!(local.path("/api"), "/venue/api");
        for wrong in ["stream.binance.com", "ftp://x", "ws://", "ws://x/?a=b", "", "ws://x y"] {
            assert!(Endpoint::parse(wrong).is_err(), "{wrong:?}");
        }
        for secret in ["ws://x/?token=abc", "x?token=abc?d"] {
            let shown = Endpoint::parse(secret).unwrap_err().to_string();
            assert!(!shown.contains("abc"), "{shown}");
        }
    }

    #[tokio::test]
    async fn a_server_that_never_answers_is_given_up_at_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::parse(&format!("ws://{}", listener.local_addr().unwrap())).unwrap();
        let short = Duration::from_millis(50);
        let deadlines = ConnectDeadlines { connect: Duration::from_secs(5), handshake: short };
        let failed = Connector::new().unwrap().open_websocket(&endpoint, "/", deadlines).await.err();
        let expected = "the WebSocket handshake";
        assert!(matches!(failed, Some(ConnectError::TooSlow { step, .. }) if step == expected), "{failed:?}");
    }

    #[tokio::test]
    async fn tls_is_spoken_where_the_scheme_says_so() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::parse(&format!("wss://{}", listener.local_addr().unwrap())).unwrap();
        let connector = Connector::new().unwrap();
        let open = connector.open(&endpoint, Duration::from_secs(5));
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut first = [0; 1];
            tokio::io::AsyncReadExt::read_exact(&mut stream, &mut first).await.unwrap();
            first[0]
        };
        let (opened, first) = tokio::join!(open, serve);
        assert_eq!(first, 22, "a TLS record of type handshake");
        assert!(matches!(opened.err(), Some(ConnectError::Io(_))), "an unanswered hello is no connection");
    }
}

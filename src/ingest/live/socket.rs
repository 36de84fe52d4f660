//! One WebSocket as a reader and a writer that do not wait for each other.
//!
//! A read of fastwebsockets must not be cancelled half-way, so it cannot stand in a `select!` beside
//! what is to be written. Here each half of the stream gets a WebSocket of its own, which only reads
//! or only writes.

use bytes::{Bytes, BytesMut};
use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocket, WebSocketError};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{Empty, Join, ReadHalf, Sink, WriteHalf};

type Stream = TokioIo<Upgraded>;

/// Splits an upgraded stream; no message may be longer than `limit` bytes.
pub(crate) fn split(stream: Stream, limit: usize) -> (Reader, Writer) {
    let (read, write) = tokio::io::split(stream);
    let mut reading = WebSocket::after_handshake(tokio::io::join(read, tokio::io::sink()), Role::Client);
    // What has to be answered is answered by the writer, at its pace.
    reading.set_auto_pong(false);
    reading.set_auto_close(false);
    // The library refuses frames from this length on, we only longer ones.
    reading.set_max_message_size(limit + 1);
    let writing = WebSocket::after_handshake(tokio::io::join(tokio::io::empty(), write), Role::Client);
    (Reader { socket: reading, limit, begun: None }, Writer { socket: writing })
}

/// What came in.
#[derive(Debug)]
pub(crate) enum Message {
    /// Text.
    Text(BytesMut),
    /// Bytes.
    Binary(BytesMut),
    /// A question whether we are there, to be answered with the same bytes.
    Ping(Bytes),
    /// An answer to a question that we did not ask.
    Pong,
    /// The other side leaves.
    Close {
        /// Its reason as a number.
        code: Option<u16>,
        /// Its reason as text.
        reason: String,
    },
}

/// Reads whole messages.
pub(crate) struct Reader {
    socket: WebSocket<Join<ReadHalf<Stream>, Sink>>,
    limit: usize,
    /// The fragments of a message that is not complete: whether it is text, and its bytes.
    begun: Option<(bool, BytesMut)>,
}

impl Reader {
    /// The next message. Not cancel safe: drop the reader with it.
    pub(crate) async fn read(&mut self) -> Result<Message, SocketError> {
        loop {
            let frame = self.socket.read_frame().await?;
            if let Some(message) = self.take(frame)? {
                return Ok(message);
            }
        }
    }

    fn take(&mut self, frame: Frame<'_>) -> Result<Option<Message>, SocketError> {
        let (fin, opcode, payload) = (frame.fin, frame.opcode, owned(frame.payload));
        let (is_text, bytes) = match opcode {
            OpCode::Ping => return Ok(Some(Message::Ping(payload.freeze()))),
            OpCode::Pong => return Ok(Some(Message::Pong)),
            OpCode::Close => return Ok(Some(closing(&payload))),
            OpCode::Text | OpCode::Binary => match self.begun {
                None => (opcode == OpCode::Text, payload),
                Some(_) => return Err(WebSocketError::InvalidFragment.into()),
            },
            OpCode::Continuation => {
                let (is_text, mut bytes) =
                    self.begun.take().ok_or(WebSocketError::InvalidContinuationFrame)?;
                bytes.extend_from_slice(&payload);
                (is_text, bytes)
            }
        };
        // The library looks at each frame alone, so that many small ones would have no limit.
        if bytes.len() > self.limit {
            return Err(SocketError::TooLong { limit: self.limit });
        }
        if !fin {
            self.begun = Some((is_text, bytes));
            return Ok(None);
        }
        Ok(Some(if is_text { Message::Text(bytes) } else { Message::Binary(bytes) }))
    }
}

fn owned(payload: Payload<'_>) -> BytesMut {
    match payload {
        Payload::Bytes(bytes) => bytes,
        Payload::Owned(bytes) => BytesMut::from(bytes.as_slice()),
        Payload::Borrowed(bytes) => BytesMut::from(bytes),
        Payload::BorrowedMut(bytes) => BytesMut::from(&*bytes),
    }
}

fn closing(payload: &[u8]) -> Message {
    match payload {
        [high, low, reason @ ..] => Message::Close {
            code: Some(u16::from_be_bytes([*high, *low])),
            reason: String::from_utf8_lossy(reason).into_owned(),
        },
        [] | [_] => Message::Close { code: None, reason: String::new() },
    }
}

/// Writes whole frames.
pub(crate) struct Writer {
    socket: WebSocket<Join<Empty, WriteHalf<Stream>>>,
}

impl Writer {
    /// Sends a text.
    pub(crate) async fn text(&mut self, text: &str) -> Result<(), SocketError> {
        self.write(Frame::text(text.as_bytes().into())).await
    }

    /// Answers a ping.
    pub(crate) async fn pong(&mut self, payload: &[u8]) -> Result<(), SocketError> {
        self.write(Frame::pong(payload.into())).await
    }

    /// Says goodbye.
    pub(crate) async fn close(&mut self, code: u16) -> Result<(), SocketError> {
        self.write(Frame::close(code, b"")).await
    }

    async fn write(&mut self, frame: Frame<'_>) -> Result<(), SocketError> {
        // Whoever reads the frame back from a buffer of the library would borrow it for ever:
        // its lifetime is that of the socket, so that only owned bytes can be written in turn.
        let frame = Frame::new(frame.fin, frame.opcode, None, Payload::Owned(frame.payload.to_vec()));
        self.socket.write_frame(frame).await?;
        // TLS keeps what is written until it is flushed.
        self.socket.flush().await?;
        Ok(())
    }
}

/// Why a WebSocket is of no use any more.
#[derive(Debug, Error)]
pub enum SocketError {
    /// The stream ended or the other side broke the protocol.
    #[error("the WebSocket broke: {0}")]
    Broken(#[from] WebSocketError),
    /// A message in parts that together are too long.
    #[error("a message in parts is longer than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
}

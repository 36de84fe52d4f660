//! How a connection is heard: bytes as they come, messages, what they ask for.

use std::io::ErrorKind;

use super::Connection;
use crate::encode::Frame;
use crate::market::Millis;
use crate::session::websocket::{Message, Violation};
use crate::session::{Action, Closing, Said, SessionEnd};

impl Connection {
    /// Reads what has come, and says what is to be done about it.
    pub(in crate::fanout) fn read(
        &self,
        now: Millis,
        scratch: &mut [u8],
        actions: &mut Vec<Action>,
    ) -> Result<(), SessionEnd> {
        let Some(stream) = self.stream() else { return Ok(()) };
        for _ in 0..READS_A_TURN {
            match stream.try_read(scratch) {
                Ok(0) => return Err(SessionEnd::PeerLeft),
                Ok(length) => self.take(now, &mut scratch[..length], actions)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(SessionEnd::Io(error)),
            }
        }
        Ok(())
    }

    /// Takes bytes in that were read from the socket.
    pub(in crate::fanout) fn take(
        &self,
        now: Millis,
        bytes: &mut [u8],
        actions: &mut Vec<Action>,
    ) -> Result<(), SessionEnd> {
        self.heard.set(now);
        self.pinged.set(false);
        let open = self.closing.get() == Closing::Open;
        let answers = open && self.stream().is_some();
        let (mut pings, mut pong, mut closed) = (0, None, None);
        let mut conversation = self.conversation.borrow_mut();
        let mut topics = self.subscriptions.borrow_mut();
        let fed: Result<(), Violation> = self.reader.borrow_mut().feed(bytes, |message| {
            let said = match message {
                Message::Text(text) => Said::Text(text),
                Message::Binary(bytes) => Said::Binary(bytes),
                // Of a flood only the last is answered, which is enough (RFC 6455, section 5.5.3).
                Message::Ping(payload) if answers => {
                    pings += 1;
                    match pings <= PONGS_A_READ {
                        true => actions.push(Action::Reply(Frame::pong(payload))),
                        false => pong = Some(Frame::pong(payload)),
                    }
                    return;
                }
                Message::Close { code, .. } => return closed = Some(code),
                Message::Ping(_) | Message::Pong(_) => return,
            };
            if open && !self.is_for_the_move(said) {
                conversation.receive(now, said, &mut topics, actions);
            }
        });
        drop((conversation, topics));
        actions.extend(pong.map(Action::Reply));
        fed.map_err(SessionEnd::Violation)?;
        closed.map_or(Ok(()), |code| Err(SessionEnd::PeerClosed { code }))
    }
}

/// Pings of one read that are answered one by one.
const PONGS_A_READ: usize = 64;

/// A client that sends without end must not keep the others of its worker waiting.
const READS_A_TURN: usize = 4;

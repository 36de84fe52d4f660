//! How a connection is heard: bytes as they come, messages, what they ask for.

use std::io::ErrorKind;

use super::Connection;
use crate::encode::Frame;
use crate::market::Millis;
use crate::session::websocket::{Message, Violation};
use crate::session::{Action, Closing, Said, SessionEnd};

impl Connection {
    /// Reads what has come, and says what is to be done about it. Who asks for something is answered before
    /// it is heard again, so that answers cannot pile up.
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
                Ok(length) => {
                    self.take(now, &mut scratch[..length], actions)?;
                    if !actions.is_empty() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable.set(false);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(SessionEnd::Io(error)),
            }
        }
        Ok(())
    }

    /// Whether there may be something to read, on its socket or on the one that tries to become it.
    pub(in crate::fanout) fn has_to_read(&self) -> bool {
        let tries = || self.mailbox.as_ref().is_some_and(|mailbox| mailbox.trying.borrow().is_some());
        self.readable.get() && (self.stream().is_some() || tries())
    }

    /// Takes bytes in that were read from the socket.
    pub(in crate::fanout) fn take(
        &self,
        now: Millis,
        bytes: &mut [u8],
        actions: &mut Vec<Action>,
    ) -> Result<(), SessionEnd> {
        self.heard_from(now);
        let open = self.closing.get() == Closing::Open;
        let answers = open && self.stream().is_some();
        let (mut pings, mut last_ping, mut closed) = (0, None, None);
        let mut conversation = self.conversation.borrow_mut();
        let mut topics = self.subscriptions.borrow_mut();
        let fed: Result<(), Violation> = self.reader.borrow_mut().feed(bytes, |message| {
            let said = match message {
                Message::Text(text) => Said::Text(text),
                Message::Binary(bytes) => Said::Binary(bytes),
                // Of a flood only the last is answered, which is enough (RFC 6455, section 5.5.3).
                Message::Ping(payload) if answers => {
                    pings += 1;
                    if pings <= PONGS_A_READ {
                        actions.push(Action::Reply(Frame::pong(payload)));
                    } else {
                        let mut kept = [0; LONGEST_PING];
                        kept[..payload.len()].copy_from_slice(payload);
                        last_ping = Some((kept, payload.len()));
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
        actions.extend(last_ping.map(|(kept, length)| Action::Reply(Frame::pong(&kept[..length]))));
        fed.map_err(SessionEnd::Violation)?;
        closed.map_or(Ok(()), |code| Err(SessionEnd::PeerClosed { code }))
    }
}

/// Pings of one read that are answered one by one.
const PONGS_A_READ: usize = 64;

/// What a control frame can carry (RFC 6455, section 5.5).
const LONGEST_PING: usize = 125;

/// A client that sends without end must not keep the others of its worker waiting.
const READS_A_TURN: usize = 4;

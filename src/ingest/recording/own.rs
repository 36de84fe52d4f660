//! The format that `tickcast record` writes.
//!
//! Lines of text, compressed with zstd, in the order in which things were received:
//!
//! ```text
//! tickcast-recording 1 binance spot
//! 1732153500123 open wss://stream.binance.com:9443/stream
//! 1732153500456 ws {"stream":"btcusdt@depth@100ms","data":{…}}
//! 1732153500789 rest /api/v3/depth?symbol=BTCUSDT&limit=5000 {"lastUpdateId":…}
//! ```
//!
//! The first line names the format's version, the venue and its market. Each other line begins with
//! the receive time in milliseconds since 1970 and a word: `open` (a connection was opened, to this
//! address), `ws` (a message came over it), `rest` (a request for this address was answered).
//! Messages stand as they came, but for line ends between their tokens, which became spaces: within
//! a JSON text they can only be white space. A reader leaves out lines with a word it does not know.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::file::Lines;
use super::{Entry, RecordKind, RecordingError, digits, split_once};
use crate::ingest::binance::Market;
use crate::market::Millis;

/// Writes a recording.
///
/// Nothing is sure to be in the file before [`Writer::flush`]; one that was never finished is read
/// as far as it was flushed, and then said to be cut short.
pub struct Writer<W: Write> {
    out: W,
}

impl Writer<zstd::stream::write::Encoder<'static, BufWriter<File>>> {
    /// A new file; one that exists is never overwritten.
    ///
    /// # Errors
    /// As the file system's.
    pub fn create(path: &Path, venue: &str, market: &str) -> io::Result<Self> {
        let file = File::create_new(path)?;
        let encoder = zstd::stream::write::Encoder::new(BufWriter::new(file), LEVEL)?;
        Writer::new(encoder, venue, market)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// As the file system's.
    pub fn finish(self) -> io::Result<()> {
        self.out.finish()?.flush()
    }
}

impl<W: Write> Writer<W> {
    /// Writes to `out`, beginning with the header.
    ///
    /// # Errors
    /// As those of `out`.
    pub fn new(mut out: W, venue: &str, market: &str) -> io::Result<Writer<W>> {
        writeln!(out, "{MAGIC}{VERSION} {venue} {market}")?;
        Ok(Writer { out })
    }

    /// A connection was opened.
    ///
    /// # Errors
    /// As those of the output.
    pub fn open(&mut self, received: Millis, url: &str) -> io::Result<()> {
        self.line(received, "open", &[url.as_bytes()])
    }

    /// A message came over the connection.
    ///
    /// # Errors
    /// As those of the output.
    pub fn ws(&mut self, received: Millis, message: &[u8]) -> io::Result<()> {
        self.line(received, "ws", &[message])
    }

    /// A request for `url` (an address or its path; without spaces) was answered.
    ///
    /// # Errors
    /// As those of the output.
    pub fn rest(&mut self, received: Millis, url: &str, answer: &[u8]) -> io::Result<()> {
        self.line(received, "rest", &[url.as_bytes(), answer])
    }

    /// Brings what was written so far to the file.
    ///
    /// # Errors
    /// As those of the output.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn line(&mut self, received: Millis, word: &str, parts: &[&[u8]]) -> io::Result<()> {
        write!(self.out, "{received} {word}")?;
        for part in parts {
            self.out.write_all(b" ")?;
            let mut pieces = part.split(|byte| matches!(byte, b'\n' | b'\r'));
            self.out.write_all(pieces.next().unwrap_or_default())?;
            for piece in pieces {
                self.out.write_all(b" ")?;
                self.out.write_all(piece)?;
            }
        }
        self.out.write_all(b"\n")
    }
}

/// Reads a recording.
pub(super) struct Own {
    market: Market,
    last: Millis,
    /// The header is the first line of the file, and only that.
    after_header: bool,
}

impl Own {
    /// Whether the first line is the header.
    pub(super) fn of(lines: &Lines) -> Result<Option<Own>, RecordingError> {
        let Some(header) = lines.line.strip_prefix(MAGIC.as_bytes()) else { return Ok(None) };
        let header = String::from_utf8_lossy(header);
        let mut words = header.split(' ');
        let (version, venue, market) = (words.next(), words.next(), words.next());
        if version != Some(VERSION) {
            let found = version.unwrap_or_default().chars().take(20).collect();
            return Err(RecordingError::Version { path: lines.path.clone(), found });
        }
        match market.and_then(Market::from_name).filter(|_| venue == Some("binance")) {
            Some(market) => Ok(Some(Own { market, last: 0, after_header: false })),
            None => {
                let what = header.chars().take(80).collect();
                Err(RecordingError::OtherVenue { path: lines.path.clone(), line: 1, what })
            }
        }
    }

    pub(super) fn entry(&mut self, line: &[u8]) -> Option<Entry> {
        if !std::mem::replace(&mut self.after_header, true) || line.is_empty() {
            return None;
        }
        let (kind, body) = match read(line) {
            Some((received, word, body)) => {
                self.last = received;
                match word {
                    b"open" => (RecordKind::Connected, &body[body.len()..]),
                    b"ws" => (RecordKind::Frame, body),
                    b"rest" => {
                        let (url, body) = split_once(body, b" ")?;
                        (RecordKind::of_url(std::str::from_utf8(url).ok()?)?, body)
                    }
                    _ => return None,
                }
            }
            None => (RecordKind::Unreadable { what: "not a time and a word" }, &line[line.len()..]),
        };
        let payload = line.len() - body.len()..line.len();
        Some(Entry { micros: self.last.saturating_mul(1_000), market: self.market, kind, payload })
    }
}

fn read(line: &[u8]) -> Option<(Millis, &[u8], &[u8])> {
    let (time, rest) = split_once(line, b" ")?;
    let (word, body) = split_once(rest, b" ")?;
    Some((digits(time)?, word, body))
}

const MAGIC: &str = "tickcast-recording ";
const VERSION: &str = "1";

/// As small as the highest levels within a tenth, and an hour of the busiest feed costs seconds.
const LEVEL: i32 = 3;

//! Recorded sessions, read one record at a time, whatever they were written with.
//!
//! | format | a line is | told by |
//! |---|---|---|
//! | cryptofeed | `<seconds>: <frame>`, `<url> <-> <seconds>` (connected), `<url> -> <seconds>: <answer>` | its first line |
//! | hftbacktest | `<nanoseconds> <frame or depth answer>` | its first line |
//! | klines | twelve columns of CSV | its name, which holds symbol and interval |
//! | our own | see [`own`] | its header |
//!
//! Each may be plain, gzip, zstd or zip; the first bytes tell. Files are never held in memory.

mod cryptofeed;
mod file;
mod hftbacktest;
mod klines;
pub mod own;
mod play;

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use self::file::{Lines, Place};
pub use self::own::Writer;
pub use self::play::{Played, Replay, replay};
use super::binance::Market;
use crate::market::{Millis, SourceBar};

/// Several files, read one after the other as one session, in the order of their first records.
///
/// Invariant: receive times never go back.
pub struct Recording {
    waiting: VecDeque<Vec<Place>>,
    /// What is read at present: one file, or those that were written at the same time.
    together: Vec<Source>,
    /// An error is told after all that could be read beside it.
    failed: Option<RecordingError>,
    last: Millis,
}

impl Recording {
    /// Opens the files. One with `.ws.` in its name brings the one with `.http.` beside it.
    ///
    /// # Errors
    /// When a file is not there, or the first one is not a recording.
    pub fn open(files: &[PathBuf]) -> Result<Recording, RecordingError> {
        let mut recording =
            Recording { waiting: VecDeque::new(), together: Vec::new(), failed: None, last: Millis::MIN };
        let mut found = Vec::new();
        let brought: Vec<_> = files.iter().filter_map(|file| answers_beside(file)).collect();
        for file in files.iter().filter(|file| !brought.contains(file)) {
            let mut places = Place::all_of(file)?.into_iter();
            let mut first: Vec<_> = places.next().into_iter().collect();
            if let Some(answers) = answers_beside(file) {
                first.extend(Place::all_of(&answers)?);
            }
            found.push(first);
            found.extend(places.map(|place| vec![place]));
        }
        // What cannot be read comes last, so that it keeps nothing from being played.
        found.sort_by_cached_key(|places| {
            let begin = places.iter().filter_map(first_micros).min();
            (begin.is_none(), begin)
        });
        recording.waiting = found.into();
        recording.open_next();
        match recording.failed.take_if(|_| recording.together.is_empty()) {
            Some(error) => Err(error),
            None => Ok(recording),
        }
    }

    /// When the next record was received; `None` at the end.
    ///
    /// # Errors
    /// As [`Recording::next`].
    pub fn upcoming(&mut self) -> Result<Option<Millis>, RecordingError> {
        Ok(self.earliest()?.map(|(_, received)| received))
    }

    /// The next record; `None` at the end. Its payload may be written to.
    ///
    /// # Errors
    /// The first [`RecordingError`], after everything that could be read, in the other files, too;
    /// what follows an error is the end.
    #[allow(clippy::should_implement_trait, reason = "it lends its buffer, which an iterator cannot")]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, RecordingError> {
        let Some((at, received)) = self.earliest()? else { return Ok(None) };
        self.last = received;
        let source = &mut self.together[at];
        let Some(Entry { market, kind, payload, .. }) = source.ahead.take() else { return Ok(None) };
        let place = RecordPlace { path: &source.lines.path, line: source.lines.number };
        Ok(Some(Record { received, market, kind, payload: &mut source.lines.line[payload], place }))
    }

    /// Which source has the earliest record, and its time.
    fn earliest(&mut self) -> Result<Option<(usize, Millis)>, RecordingError> {
        loop {
            for source in &mut self.together {
                if let Err(error) = source.look_ahead() {
                    note(&mut self.failed, error);
                }
            }
            let ahead = |(at, source): (usize, &Source)| Some((source.ahead.as_ref()?.micros, at));
            if let Some((micros, at)) = self.together.iter().enumerate().filter_map(ahead).min() {
                return Ok(Some((at, self.last.max(micros.div_euclid(1_000)))));
            }
            self.together.clear();
            if self.waiting.is_empty() {
                return self.failed.take().map_or(Ok(None), Err);
            }
            self.open_next();
        }
    }

    fn open_next(&mut self) {
        for place in self.waiting.pop_front().into_iter().flatten() {
            match Source::open(place) {
                Ok(opened) => self.together.push(opened),
                Err(error) => note(&mut self.failed, error),
            }
        }
    }
}

/// Keeps the first error, which the reader is given at the end; the log has the others.
fn note(failed: &mut Option<RecordingError>, error: RecordingError) {
    match failed {
        Some(_) => tracing::warn!(%error, "another file is not played to its end"),
        None => *failed = Some(error),
    }
}

/// When the first record of a file was received; `None` when there is none to be read.
fn first_micros(place: &Place) -> Option<i64> {
    let mut source = Source::open(place.clone()).ok()?;
    source.look_ahead().ok()?;
    Some(source.ahead?.micros)
}

/// The REST answers of a session, where they stand in a file of their own.
fn answers_beside(file: &Path) -> Option<PathBuf> {
    let name = file.file_name()?.to_str()?;
    let (before, after) = name.split_once(".ws.")?;
    let beside = file.with_file_name(format!("{before}.http.{after}"));
    beside.is_file().then_some(beside)
}

/// One thing that was received.
#[derive(Debug)]
pub struct Record<'a> {
    /// When, never before the record before.
    pub received: Millis,
    /// Where.
    pub market: Market,
    /// What.
    pub kind: RecordKind,
    /// The frame or the answer.
    pub payload: &'a mut [u8],
    /// Where it stands, for messages about it.
    pub place: RecordPlace<'a>,
}

/// Where a record stands.
#[derive(Clone, Copy, Debug)]
pub struct RecordPlace<'a> {
    /// In this file.
    pub path: &'a Path,
    /// In this line, from 1.
    pub line: u64,
}

/// What a record is.
#[derive(Debug)]
pub enum RecordKind {
    /// A connection was opened, the first one or another.
    Connected,
    /// A message came over the connection.
    Frame,
    /// A request for the depth of a symbol was answered.
    Depth {
        /// As the venue writes it.
        symbol: Arc<str>,
    },
    /// A request for the list of instruments was answered.
    Instruments,
    /// A bar.
    Bar {
        /// As the venue writes it.
        symbol: Arc<str>,
        /// The bar.
        bar: Box<SourceBar>,
    },
    /// A line that cannot be read; the others can.
    Unreadable {
        /// What is wrong with it.
        what: &'static str,
    },
}

impl RecordKind {
    /// What the answer of a REST address is; `None` for those that are of no use here.
    fn of_url(url: &str) -> Option<RecordKind> {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        if path.ends_with("/exchangeInfo") {
            return Some(RecordKind::Instruments);
        }
        let symbol = query.split('&').find_map(|part| part.strip_prefix("symbol="))?;
        path.ends_with("/depth").then(|| RecordKind::Depth { symbol: symbol.into() })
    }
}

/// Why a recording cannot be read, or not further.
#[derive(Debug, Error)]
pub enum RecordingError {
    /// Not there, or not to be opened.
    #[error("{path}: {source}; give the path of a recording")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// In none of the formats.
    #[error(
        "{path} is not a recording: it is neither what `tickcast record` writes nor a capture of cryptofeed or hftbacktest, nor klines with symbol and interval in the file name"
    )]
    NotARecording {
        /// The file.
        path: PathBuf,
    },
    /// Written by a newer version.
    #[error("{path} has recording format {found}, this tickcast reads format 1; use a newer one")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: String,
    },
    /// From a venue whose messages are not played.
    #[error("{path}, line {line}: {what} is none of Binance's markets, and no other is played yet")]
    OtherVenue {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
        /// The venue or its address.
        what: String,
    },
    /// The compressed data ends early.
    #[error("{path} is cut short after line {line}: what came before was played; record or copy it again")]
    CutShort {
        /// The file.
        path: PathBuf,
        /// The last whole line.
        line: u64,
        /// What the decompressor says.
        source: std::io::Error,
    },
    /// Reading failed.
    #[error("{path} cannot be read after line {line}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The last whole line.
        line: u64,
        /// Why.
        source: std::io::Error,
    },
    /// A line longer than any message.
    #[error("{path}, line {line} is longer than {limit} bytes: no message is")]
    LineTooLong {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
        /// The limit.
        limit: usize,
    },
}

/// One file that is being read.
struct Source {
    lines: Lines,
    format: Format,
    ahead: Option<Entry>,
    ended: bool,
}

/// A record whose payload is still in the line it came from.
struct Entry {
    micros: i64,
    market: Market,
    kind: RecordKind,
    payload: Range<usize>,
}

enum Format {
    Cryptofeed(cryptofeed::Cryptofeed),
    HftBacktest(hftbacktest::HftBacktest),
    Klines(klines::Klines),
    Own(own::Own),
}

impl Source {
    fn open(place: Place) -> Result<Source, RecordingError> {
        let name = place.name();
        let mut lines = Lines::open(place)?;
        let format = if lines.advance()? { Format::of(&lines, &name)? } else { None };
        let Some(format) = format else {
            return Err(RecordingError::NotARecording { path: lines.path });
        };
        let mut source = Source { lines, format, ahead: None, ended: false };
        // The first line told the format; it is a record, too.
        source.ahead = source.format.entry(&source.lines)?;
        Ok(source)
    }

    /// Reads on until there is a record, unless one waits already.
    fn look_ahead(&mut self) -> Result<(), RecordingError> {
        while self.ahead.is_none() && !self.ended {
            match self.lines.advance() {
                Ok(true) => {}
                Ok(false) => {
                    self.ended = true;
                    break;
                }
                Err(error) => {
                    self.ended = true;
                    return Err(error);
                }
            }
            self.ahead = self.format.entry(&self.lines).inspect_err(|_| self.ended = true)?;
        }
        Ok(())
    }
}

impl Format {
    fn of(lines: &Lines, name: &str) -> Result<Option<Format>, RecordingError> {
        if let Some(own) = own::Own::of(lines)? {
            return Ok(Some(Format::Own(own)));
        }
        if let Some(hft) = hftbacktest::HftBacktest::of(lines) {
            return Ok(Some(Format::HftBacktest(hft)));
        }
        if let Some(klines) = klines::Klines::of(&lines.line, name) {
            return Ok(Some(Format::Klines(klines)));
        }
        Ok(cryptofeed::Cryptofeed::of(&lines.line).map(Format::Cryptofeed))
    }

    /// What the present line is; `None` when it is nothing to play.
    fn entry(&mut self, lines: &Lines) -> Result<Option<Entry>, RecordingError> {
        match self {
            Format::Cryptofeed(format) => format.entry(lines),
            Format::HftBacktest(format) => Ok(format.entry(&lines.line)),
            Format::Klines(format) => Ok(format.entry(&lines.line)),
            Format::Own(format) => Ok(format.entry(&lines.line)),
        }
    }
}

/// Splits at the first `separator`, which goes.
fn split_once<'a>(text: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(separator.len()).position(|window| window == separator)?;
    Some((&text[..at], &text[at + separator.len()..]))
}

/// A whole number of digits alone.
fn digits(text: &[u8]) -> Option<i64> {
    let all = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    if !all {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;

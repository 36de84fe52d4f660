//! Plays a recording into a sink, through the very feed that live messages take.

use std::path::PathBuf;
use std::sync::Arc;

use super::{RecordKind, Recording, RecordingError};
use crate::ingest::binance::{Feed, Market, SymbolCounts, UnknownSymbols};
use crate::ingest::{FeedError, Sink};
use crate::market::{Event, Millis, SymbolId, Symbols};

/// Plays `files` from the first record to the last, as fast as `sink` takes them.
///
/// # Errors
/// [`RecordingError`] when a file cannot be read on; what came before was played.
pub fn replay(
    files: &[PathBuf],
    symbols: Arc<Symbols>,
    sink: &mut impl Sink,
) -> Result<Played, RecordingError> {
    let mut replay = Replay::open(files, symbols)?;
    while replay.step(sink)?.is_some() {}
    Ok(replay.played)
}

/// A recording that is being played, record by record: who plays it keeps the pace.
pub struct Replay {
    recording: Recording,
    symbols: Arc<Symbols>,
    /// One for each market that the recording has messages of.
    feeds: Vec<Followed>,
    played: Played,
}

/// A market's feed, and whether a connection to the market was opened yet.
struct Followed {
    feed: Feed,
    connected: bool,
}

/// How much was played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// All records.
    pub records: u64,
    /// Those that were left out because they could not be understood.
    pub warnings: u64,
}

impl Replay {
    /// Opens the files; the recording's symbols are added to `symbols` as they come.
    ///
    /// # Errors
    /// As [`Recording::open`].
    pub fn open(files: &[PathBuf], symbols: Arc<Symbols>) -> Result<Replay, RecordingError> {
        let recording = Recording::open(files)?;
        Ok(Replay { recording, symbols, feeds: Vec::new(), played: Played::default() })
    }

    /// When the next record was received; `None` at the end.
    ///
    /// # Errors
    /// As [`Recording::next`].
    pub fn upcoming(&mut self) -> Result<Option<Millis>, RecordingError> {
        self.recording.upcoming()
    }

    /// Plays the next record and says when it was received; `None` at the end.
    ///
    /// # Errors
    /// As [`Recording::next`]. A message that is not understood is no error here: it is counted,
    /// and the first ones are logged.
    pub fn step(&mut self, sink: &mut impl Sink) -> Result<Option<Millis>, RecordingError> {
        let Some(record) = self.recording.next()? else { return Ok(None) };
        let (received, payload) = (record.received, record.payload);
        self.played.records += 1;
        let Followed { feed, connected } = feed_of(&mut self.feeds, record.market, &self.symbols);
        let result = match record.kind {
            RecordKind::Connected => {
                // A picture from before the first connection is no loss: whether it bridges to the
                // changes is seen from their numbers.
                if std::mem::replace(connected, true) {
                    feed.disconnected(received, sink);
                }
                Ok(())
            }
            RecordKind::Frame => feed.message(received, payload, sink).map(drop),
            RecordKind::Depth { symbol } => feed.depth(received, &symbol, payload, sink).map(drop),
            RecordKind::Instruments => feed.exchange_info(received, payload, sink).map(drop),
            RecordKind::Bar { symbol, bar } => match self.symbols.add(&symbol) {
                Ok(id) => {
                    sink.put(id, received, Event::Bar(bar));
                    Ok(())
                }
                Err(error) => Err(FeedError::BadSymbol { symbol: symbol.as_ref().into(), error }),
            },
            RecordKind::Unreadable { what } => Err(FeedError::NotUnderstood { what }),
        };
        if let Err(error) = result {
            self.played.warnings += 1;
            if self.played.warnings <= MOST_LOGGED {
                let (path, line) = (record.place.path.display(), record.place.line);
                tracing::warn!(%path, line, %error, "record left out");
            }
        }
        Ok(Some(received))
    }

    /// How much was played so far.
    pub const fn played(&self) -> Played {
        self.played
    }

    /// What was heard of a symbol, in the market whose book stands.
    pub fn counts(&self, symbol: SymbolId) -> SymbolCounts {
        let heard = self.feeds.iter().map(|followed| *followed.feed.counts(symbol));
        heard.max_by_key(|counts| (counts.snapshots, counts.applied, counts.diffs)).unwrap_or_default()
    }

    /// The markets that told of a symbol's book, when they are more than one: they share the name,
    /// and what came of them is mixed.
    pub fn mixed(&self, symbol: SymbolId) -> Option<Vec<Market>> {
        let told = |followed: &&Followed| followed.feed.counts(symbol).diffs > 0;
        let markets: Vec<_> = self.feeds.iter().filter(told).map(|followed| followed.feed.market()).collect();
        (markets.len() > 1).then_some(markets)
    }
}

fn feed_of<'a>(feeds: &'a mut Vec<Followed>, market: Market, symbols: &Arc<Symbols>) -> &'a mut Followed {
    let at = feeds.iter().position(|followed| followed.feed.market() == market).unwrap_or_else(|| {
        let feed = Feed::new(market, symbols.clone(), UnknownSymbols::Add);
        feeds.push(Followed { feed, connected: false });
        feeds.len() - 1
    });
    &mut feeds[at]
}

/// A recording in a wrong format would fill the log; the count says the rest.
const MOST_LOGGED: u64 = 20;

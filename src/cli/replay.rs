//! `tickcast replay`: plays recordings through the path of live messages, and says what came of them.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::ReplayArgs;
use crate::clock::Clock;
use crate::config::{Config, ReplaySpeed};
use crate::engine::{Time, shard_config};
use crate::ingest::Sink;
use crate::ingest::recording::{Played, RecordingError, Replay};
use crate::market::{Bar, BookChange, Event, Interval, Level, Millis, SymbolId, Symbols, Total};
use crate::shard::{Broadcast, Joined, Outlet, Shard, ShardConfig, SymbolState};
use crate::state::{Board, Book};

/// What came of a replay.
pub struct Summary {
    files: Vec<PathBuf>,
    played: Played,
    replay: Replay,
    shard: Shard,
    symbols: Arc<Symbols>,
}

/// Why a replay ended before the end of its files. What came before is in the summary.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The files'.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// What came of it cannot be printed.
    #[error("the summary cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// Plays the files and prints what came of them to standard output, if anybody reads it.
///
/// # Errors
/// [`ReplayError`] when a file is missing, is no recording or is cut short; what was read of it is
/// summed up all the same.
pub fn replay(args: &ReplayArgs) -> Result<(), ReplayError> {
    let (mut summary, result) = run(&args.files, args.speed())?;
    summary.doubts().iter().for_each(|doubt| tracing::warn!("{doubt}"));
    let text = if args.summary { format!("{}\n", summary.json()) } else { summary.text() };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => result.and(Err(error.into())),
        Ok(()) | Err(_) => result,
    }
}

/// Plays the files at a pace; returns what came of them, and whether they were read to their ends.
///
/// # Errors
/// [`ReplayError`] when the first file cannot be opened.
pub fn run(files: &[PathBuf], speed: ReplaySpeed) -> Result<(Summary, Result<(), ReplayError>), ReplayError> {
    let config = Config::default();
    let symbols = Arc::new(Symbols::new(config.limits.symbols.get()));
    // All bars and levels stay: the summary lists the one and proves the other.
    let everything = ShardConfig {
        bars_kept: usize::MAX,
        levels_most: usize::MAX,
        ..shard_config(&config, Time::Recorded)
    };
    let board = Arc::new(Board::default());
    let shard = Shard::new(symbols.clone(), board.clone(), everything, "replay");
    let mut direct = Direct { shard, board, spare: Vec::new() };
    let mut replay = Replay::open(files, symbols.clone())?;
    let result = play(&mut replay, speed, &mut direct);
    let played = replay.played();
    let summary = Summary { files: files.to_vec(), played, replay, shard: direct.shard, symbols };
    Ok((summary, result))
}

fn play(replay: &mut Replay, speed: ReplaySpeed, sink: &mut Direct) -> Result<(), ReplayError> {
    let mut clock = Clock::start();
    let began = clock.now();
    let mut first = None;
    while let Some(received) = replay.upcoming()? {
        if let ReplaySpeed::Times(times) = speed {
            let times = Millis::try_from(times.get()).unwrap_or(Millis::MAX);
            let due = began + (received - *first.get_or_insert(received)) / times;
            std::thread::sleep(Duration::from_millis((due - clock.now()).max(0).unsigned_abs()));
        }
        replay.step(sink)?;
    }
    Ok(())
}

/// Applies each event where it stands: no queue, no thread, no client.
struct Direct {
    shard: Shard,
    board: Arc<Board>,
    spare: Vec<BookChange>,
}

impl Sink for Direct {
    fn put(&mut self, symbol: SymbolId, received: Millis, event: Event) {
        self.shard.advance(received, &mut Nowhere);
        if let Some(change) = self.shard.apply(received, symbol, event, &mut Nowhere) {
            self.recycle(change);
        }
        self.shard.end_turn();
    }

    fn blank(&mut self) -> Box<BookChange> {
        Box::new(self.spare.pop().unwrap_or_default())
    }

    fn recycle(&mut self, mut change: Box<BookChange>) {
        change.clear();
        self.spare.push(*change);
    }

    fn lost(&mut self, heard: &mut u64) -> Option<SymbolId> {
        self.board.lost(heard)
    }
}

/// Nobody listens.
struct Nowhere;

impl Outlet for Nowhere {
    fn broadcast(&mut self, _: u16, _: Broadcast) {}

    fn joined(&mut self, _: u16, _: Joined) {}
}

impl Summary {
    /// One JSON object: per symbol what was applied, what was missing, the final book and the bars.
    pub fn json(&mut self) -> Value {
        let mut symbols = Map::new();
        let names = self.symbols.table();
        for state in self.shard.symbols() {
            let counts = names.id(state.name()).map(|id| self.replay.counts(id)).unwrap_or_default();
            let book = state.book();
            let (bids, asks) = (book.side(crate::market::Side::Bid), book.side(crate::market::Side::Ask));
            let shown = json!({
                "diffs": counts.diffs,
                "applied": counts.applied,
                "dropped": counts.dropped,
                "gaps": counts.gaps,
                "snapshots": counts.snapshots,
                "snapshots_too_old": counts.too_old,
                // Binance sends no checksums: nothing to hold the book against.
                "checksum_ok": 0,
                "checksum_bad": 0,
                "status": format!("{:?}", book.status()),
                "best_bid": bids.best().map(|level| pair(book, level)),
                "best_ask": asks.best().map(|level| pair(book, level)),
                "levels": [bids.len(), asks.len()],
                "book_sha256": sha256(book),
                "trades": counts.trades,
                "bars": bars(state),
            });
            symbols.insert(state.name().to_owned(), shown);
        }
        let files: Vec<_> = self.files.iter().map(|file| file.to_string_lossy()).collect();
        let (records, warnings) = (self.played.records, self.played.warnings);
        json!({"files": files, "records": records, "warnings": warnings, "symbols": symbols})
    }

    /// Why the books of some symbols are not what the files would give by other means.
    fn doubts(&self) -> Vec<String> {
        let names = self.symbols.table();
        let mut doubts = Vec::new();
        for (id, name) in names.iter() {
            if let Some(markets) = self.replay.mixed(id) {
                let markets: Vec<_> = markets.iter().map(|market| market.name()).collect();
                let markets = markets.join(" and ");
                doubts.push(format!("{name} is mixed out of {markets}: play the files of each market alone"));
            }
            let counts = self.replay.counts(id);
            if counts.too_old > 0 && counts.applied == 0 {
                doubts.push(format!("{name} has no book: its snapshot is older than all changes of it"));
            }
        }
        doubts
    }

    /// A line for each symbol, for people.
    pub fn text(&mut self) -> String {
        let mut text = format!("{} records, {} left out\n", self.played.records, self.played.warnings);
        let names = self.symbols.table();
        for state in self.shard.symbols() {
            let counts = names.id(state.name()).map(|id| self.replay.counts(id)).unwrap_or_default();
            let book = state.book();
            let best = |side| {
                let level = book.side(side).best();
                level.map_or("-".to_owned(), |level| pair(book, level).join(" x "))
            };
            let (bid, ask) = (best(crate::market::Side::Bid), best(crate::market::Side::Ask));
            let (name, applied, gaps, trades) = (state.name(), counts.applied, counts.gaps, counts.trades);
            let line =
                format!("{name}: {applied} diffs applied, {gaps} gaps, {trades} trades, {bid} / {ask}");
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

/// Price and quantity without zeros at their ends.
fn pair(book: &Book, level: Level) -> [String; 2] {
    let price = level.price.to_decimal(book.scale()).trimmed().to_string();
    [price, level.quantity.decimal().trimmed().to_string()]
}

/// SHA-256 of the lines `b,<price>,<size>` best first, then `a,<price>,<size>` best first.
fn sha256(book: &Book) -> String {
    let mut hasher = Sha256::new();
    for (letter, side) in [("b", crate::market::Side::Bid), ("a", crate::market::Side::Ask)] {
        for level in book.side(side).iter() {
            let [price, quantity] = pair(book, level);
            hasher.update(format!("{letter},{price},{quantity}\n"));
        }
    }
    hasher.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// All bars, closed and open, of each interval; nothing where nothing was traded.
fn bars(state: &SymbolState) -> Value {
    let scale = state.book().scale();
    let text = |total: Total| total.trimmed(0).to_string();
    let shown = |bar: &Bar, closed: bool| {
        let [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close]
            .map(|price| price.to_decimal(scale).trimmed().to_string());
        json!({
            "openTime": bar.open_time, "closeTime": bar.close_time,
            "open": open, "high": high, "low": low, "close": close,
            "volume": text(bar.volume), "quoteVolume": text(bar.quote_volume), "trades": bar.trades,
            "takerBuyVolume": text(bar.taker_volume), "takerBuyQuoteVolume": text(bar.taker_quote_volume),
            "closed": closed,
        })
    };
    let mut all = Map::new();
    for interval in Interval::ALL {
        let series = state.bars().series(interval);
        let closed = series.closed().map(|bar| shown(&bar, true));
        let list: Vec<Value> = closed.chain(series.open().map(|bar| shown(bar, false))).collect();
        if !list.is_empty() {
            all.insert(interval.name().to_owned(), list.into());
        }
    }
    all.into()
}

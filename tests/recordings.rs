//! Every recorded Binance session, played into naive books, gives exactly what is known to be true of it.
//!
//! The recordings lie beside the project, in `../shared/data`; without them nothing is checked.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::vec_box,
    reason = "a test may stop, must say what it skipped, and the boxes are lent and taken back as such"
)]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tickcast::ingest::Sink;
use tickcast::ingest::recording::{Replay, replay};
use tickcast::market::{
    BookChange, BookKind, Decimal, Event, Millis, Quantity, Quote, RawLevel, Scale, Side, SourceBar,
    StaleReason, SymbolId, Symbols, Total, Trade,
};

/// The first level of a side.
type Best = Option<(Decimal, Quantity)>;

/// One symbol as simply as it can be kept.
#[derive(Default)]
struct Naive {
    bids: BTreeMap<i64, (Decimal, Quantity)>,
    asks: BTreeMap<i64, (Decimal, Quantity)>,
    snapshots: u64,
    applied: u64,
    stale: Vec<StaleReason>,
    trades: Vec<Trade>,
    quotes: BTreeMap<u64, Quote>,
    quotes_heard: u64,
    /// Best bid and ask after each diff.
    tops: Vec<(u64, Best, Best)>,
    bars: Vec<SourceBar>,
    scale: Option<Decimal>,
}

impl Naive {
    fn change(&mut self, change: &BookChange) {
        match change.kind {
            BookKind::Snapshot => {
                self.bids.clear();
                self.asks.clear();
                self.snapshots += 1;
            }
            BookKind::Delta => self.applied += 1,
        }
        for (side, levels) in [(&mut self.bids, &change.bids), (&mut self.asks, &change.asks)] {
            for &RawLevel { price, quantity } in levels {
                let key = price.at_scale(Scale::new(8).unwrap()).unwrap().0;
                if quantity.is_zero() {
                    side.remove(&key);
                } else {
                    side.insert(key, (price, quantity));
                }
            }
        }
    }

    /// After how many diffs the last best bid and ask that the venue told up to there (some are
    /// told later than the diff) was ours, and after how many it was not.
    fn tops_checked(&self) -> (u64, u64) {
        let plain = |(price, quantity): (Decimal, Quantity)| (price.trimmed(), quantity.decimal().trimmed());
        let same = |best: Best, told: RawLevel| best.map(plain) == Some(plain((told.price, told.quantity)));
        let (mut good, mut bad) = (0, 0);
        for &(last_update_id, bid, ask) in &self.tops {
            if let Some((_, quote)) = self.quotes.range(..=last_update_id).next_back() {
                let both = same(bid, quote.bid) && same(ask, quote.ask);
                (good, bad) = (good + u64::from(both), bad + u64::from(!both));
            }
        }
        (good, bad)
    }

    /// As the manifest of the recordings defines it.
    fn sha256(&self) -> String {
        let mut text = String::new();
        for (side, levels) in [("b", self.levels(Side::Bid)), ("a", self.levels(Side::Ask))] {
            for (price, quantity) in levels {
                text.push_str(&format!("{side},{price},{quantity}\n"));
            }
        }
        Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Best first, without zeros at the end.
    fn levels(&self, side: Side) -> Vec<(String, String)> {
        let plain = |&(price, quantity): &(Decimal, Quantity)| {
            (price.trimmed().to_string(), quantity.decimal().trimmed().to_string())
        };
        match side {
            Side::Bid => self.bids.values().rev().map(plain).collect(),
            Side::Ask => self.asks.values().map(plain).collect(),
        }
    }
}

#[derive(Default)]
struct NaiveSink {
    books: HashMap<SymbolId, Naive>,
    spare: Vec<Box<BookChange>>,
    last: Millis,
}

impl Sink for NaiveSink {
    fn put(&mut self, symbol: SymbolId, received: Millis, event: Event) {
        assert!(received >= self.last, "receive times never go back");
        self.last = received;
        let book = self.books.entry(symbol).or_default();
        match event {
            Event::Book(change) => {
                book.change(&change);
                if change.kind == BookKind::Delta {
                    let (bid, ask) = (book.bids.values().next_back(), book.asks.values().next());
                    book.tops.push((change.last_update_id, bid.copied(), ask.copied()));
                }
                self.recycle(change);
            }
            Event::Stale(reason) => book.stale.push(reason),
            Event::Trade(trade) => book.trades.push(trade),
            Event::Quote(quote) => {
                book.quotes_heard += 1;
                book.quotes.insert(quote.update_id, quote);
            }
            Event::Bar(bar) => book.bars.push(*bar),
            Event::Ticker(_) | Event::Contract { .. } => {}
            Event::Scale { tick } => book.scale = Some(tick),
        }
    }

    fn blank(&mut self) -> Box<BookChange> {
        self.spare.pop().unwrap_or_default()
    }

    fn recycle(&mut self, mut change: Box<BookChange>) {
        change.clear();
        self.spare.push(change);
    }
}

fn data() -> Option<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if data.is_dir() {
        return Some(data);
    }
    println!("SKIPPED: no recordings at {}", data.display());
    None
}

#[test]
fn every_binance_session_ends_in_the_book_that_is_known() {
    let Some(data) = data() else { return };
    let expected = std::fs::read_to_string(data.join("EXPECTED.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let mut sessions = 0;
    for (name, session) in expected.as_object().unwrap() {
        if name.starts_with("binance_") {
            check_session(name, session, &data);
            sessions += 1;
        }
    }
    assert!(sessions >= 8, "only {sessions} sessions were found");
}

fn check_session(name: &str, session: &Value, data: &Path) {
    let files = session["files"].as_array().unwrap();
    let files: Vec<_> = files.iter().map(|file| data.join(file.as_str().unwrap())).collect();
    let symbols = Arc::new(Symbols::new(100));
    let mut sink = NaiveSink::default();
    let mut replay = Replay::open(&files, symbols.clone()).unwrap();
    while let Some(upcoming) = replay.upcoming().unwrap() {
        assert_eq!(replay.step(&mut sink).unwrap(), Some(upcoming));
    }
    assert_eq!(replay.played().warnings, 0, "{name}");
    let expected = session["symbols"].as_object().unwrap();
    assert_eq!(symbols.table().len(), expected.len(), "{name}");
    for (symbol, facts) in expected {
        let id = symbols.table().id(symbol).unwrap();
        let (book, counts) = (&sink.books[&id], replay.counts(id));
        let fact = |field: &str| facts[field].as_u64().unwrap();
        let at = format!("{name} {symbol}");
        assert_eq!(counts.diffs, fact("diffs"), "{at}: diffs");
        assert_eq!((counts.applied, book.applied), (fact("applied"), fact("applied")), "{at}: applied");
        assert_eq!(counts.gaps, fact("sequence_gaps"), "{at}: gaps");
        assert_eq!(counts.dropped, fact("dropped_before_snapshot"), "{at}: dropped");
        assert_eq!((counts.duplicates, book.snapshots, counts.too_old), (0, 1, 0), "{at}");
        assert_eq!(book.stale, [], "{at}");
        assert_eq!(counts.trades_ignored, 0, "{at}: trades ignored");
        assert_eq!(book.trades.len() as u64, fact("trades"), "{at}: trades");
        assert_eq!(book.quotes_heard, fact("bookTickers"), "{at}: bookTickers");
        assert_eq!(book.bars.len() as u64, fact("kline_updates"), "{at}: kline updates");
        let tops = (fact("bookTicker_checks_ok"), fact("bookTicker_checks_bad"));
        assert_eq!(book.tops_checked(), tops, "{at}: best bids and asks that the venue told");
        let levels = [book.bids.len() as u64, book.asks.len() as u64];
        assert_eq!(facts["final_levels"], serde_json::json!(levels), "{at}: levels");
        for (side, field) in [(Side::Bid, "final_best_bid"), (Side::Ask, "final_best_ask")] {
            assert_eq!(facts[field], serde_json::json!(book.levels(side)[0]), "{at}: {field}");
        }
        assert_eq!(facts["final_book_sha256"], book.sha256(), "{at}: sha256 of the book");
    }
}

#[test]
fn the_list_of_instruments_gives_the_scale_of_symbols_that_come_later() {
    let Some(data) = data() else { return };
    let files = ["cf_20210417_exchangeInfo.txt.zst", "cf_20210417_10sym.ws.txt.zst"];
    let files = files.map(|file| data.join("binance_spot").join(file));
    let symbols = Arc::new(Symbols::new(100));
    let mut sink = NaiveSink::default();
    let played = replay(&files, symbols.clone(), &mut sink).unwrap();
    assert_eq!(played.warnings, 0);
    let scale = |symbol| sink.books[&symbols.table().id(symbol).unwrap()].scale.unwrap().to_string();
    assert_eq!(
        (scale("VETETH"), scale("AAVEUPUSDT"), scale("BUSDTRY")),
        ("0.00000001".into(), "0.001".into(), "0.01".into())
    );
    assert_eq!(symbols.table().len(), 10, "a list alone makes no symbol known");
}

#[test]
fn the_trades_of_a_minute_make_the_venues_own_bar() {
    let Some(data) = data() else { return };
    let symbols = Arc::new(Symbols::new(100));
    let play = |file: &str| {
        let mut sink = NaiveSink::default();
        let played = replay(&[data.join("binance_usdm").join(file)], symbols.clone(), &mut sink).unwrap();
        assert_eq!(played.warnings, 0, "{file}");
        sink.books.remove(&symbols.table().id("BTCUSDT").unwrap()).unwrap()
    };
    let bars = play("klines_1m_BTCUSDT_20240808_2355-2359.csv").bars;
    let trades = play("hft_btcusdt_20240808.gz").trades;
    assert_eq!(bars.len(), 5);
    for bar in bars {
        let within = |trade: &&Trade| bar.interval.open_time(trade.time) == bar.open_time;
        let (mut count, mut volume, mut quote, mut bought) = (0, Total::ZERO, Total::ZERO, Total::ZERO);
        for trade in trades.iter().filter(within) {
            count += u64::from(trade.count);
            volume.add(trade.quantity.into());
            quote.add(Total::product(trade.price, trade.quantity));
            if trade.taker == Some(Side::Bid) {
                bought.add(trade.quantity.into());
            }
        }
        assert_eq!(count, bar.trades);
        assert_eq!((volume, quote), (bar.volume.into(), bar.quote_volume.into()));
        assert_eq!(bought, bar.taker_volume.into());
        let (first, last) =
            (trades.iter().find(within).unwrap(), trades.iter().rev().find(|trade| within(trade)).unwrap());
        assert_eq!((first.price, last.price), (bar.open, bar.close));
    }
}

#[test]
fn tables_of_klines_are_read_out_of_zip_files() {
    let Some(data) = data() else { return };
    let symbols = Arc::new(Symbols::new(100));
    for (file, rows) in [
        ("BTCUSDT-1m-2024-03-04.zip", 1_440),
        ("BTCUSDT-1m-2023-03-24.zip", 1_360),
        ("SOLUSDT-1d-2024-03-05.zip", 1),
    ] {
        let mut sink = NaiveSink::default();
        let played = replay(&[data.join("binance_klines").join(file)], symbols.clone(), &mut sink).unwrap();
        assert_eq!((played.records, played.warnings), (rows, 0), "{file}");
        let book = sink.books.values().next().unwrap();
        assert_eq!(book.bars.len() as u64, rows, "{file}");
        assert!(book.bars.iter().all(|bar| bar.closed), "{file}");
    }
}

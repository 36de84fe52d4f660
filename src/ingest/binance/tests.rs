//! Messages in, events out: each kind of message, each way in which one can be wrong.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::ingest::{FeedError, Sink};
use crate::market::{BookChange, Event, Millis, Side, SymbolId, Symbols, TradeId};

/// Writes down what comes, in words.
#[derive(Default)]
struct Notes {
    events: Vec<String>,
    lent: i64,
}

impl Sink for Notes {
    fn put(&mut self, symbol: SymbolId, received: Millis, event: Event) {
        let what = match event {
            Event::Book(change) => {
                let (first, last) = (change.first_update_id, change.last_update_id);
                let side = |levels: &[crate::market::RawLevel]| {
                    let level = |level: &crate::market::RawLevel| {
                        format!("{}x{}", level.price, level.quantity.decimal())
                    };
                    levels.iter().map(level).collect::<Vec<_>>().join(" ")
                };
                let (bids, asks) = (side(&change.bids), side(&change.asks));
                let text = format!("{:?} {first}..{last} @{} {bids} / {asks}", change.kind, change.time);
                self.recycle(change);
                text
            }
            Event::Trade(trade) => {
                let TradeId::Number(id) = trade.id else { panic!("a number") };
                let side = match trade.taker {
                    Some(Side::Bid) => "bought",
                    Some(Side::Ask) => "sold",
                    None => "?",
                };
                let (price, quantity) = (trade.price, trade.quantity.decimal());
                format!("trade {id} {side} {quantity} at {price} @{} x{}", trade.time, trade.count)
            }
            Event::Quote(quote) => {
                let (bid, ask) = (quote.bid.price, quote.ask.price);
                format!("quote {} {bid} / {ask} {:?}", quote.update_id, quote.time)
            }
            Event::Bar(bar) => {
                format!("bar {} {} {} {} {}", bar.interval, bar.open_time, bar.close, bar.trades, bar.closed)
            }
            Event::Ticker(ticker) => {
                format!("ticker {} {:?}", ticker.last_price.unwrap_or_default(), ticker.trades)
            }
            Event::Scale { tick } => format!("scale {tick}"),
            Event::Contract { value } => format!("contract {value}"),
            Event::Stale(reason) => format!("stale {reason:?}"),
        };
        self.events.push(format!("{} {received} {what}", symbol.0));
    }

    fn blank(&mut self) -> Box<BookChange> {
        self.lent += 1;
        Box::default()
    }

    fn recycle(&mut self, _: Box<BookChange>) {
        self.lent -= 1;
    }
}

struct Bench {
    feed: Feed,
    notes: Notes,
}

fn bench(market: Market, unknown: UnknownSymbols) -> Bench {
    let symbols = Arc::new(Symbols::new(2));
    symbols.add("BTCUSDT").unwrap();
    Bench { feed: Feed::new(market, symbols, unknown), notes: Notes::default() }
}

impl Bench {
    fn hear(&mut self, message: &str) -> Result<Heard, FeedError> {
        self.feed.message(7, &mut message.as_bytes().to_vec(), &mut self.notes)
    }

    fn depth(&mut self, answer: &str) -> Result<Heard, FeedError> {
        self.feed.depth(7, "BTCUSDT", &mut answer.as_bytes().to_vec(), &mut self.notes)
    }

    /// Hears market data and gives the events since the last time.
    #[track_caller]
    fn check(&mut self, message: &str, expect: &[&str]) {
        assert_eq!(self.hear(message).unwrap(), Heard::Market, "{message}");
        assert_eq!(std::mem::take(&mut self.notes.events), expect, "{message}");
    }

    fn wanting(&self) -> Vec<u32> {
        self.feed.wanting().map(|id| id.0).collect()
    }
}

const SPOT_QUOTE: &str = r#"{"stream":"btcusdt@bookTicker","data":{"u":400900217,"s":"BTCUSDT","b":"25.35190000","B":"31.21","a":"25.36520000","A":"40.66"}}"#;
const USDM_QUOTE: &str = r#"{"e":"bookTicker","u":400900217,"E":1568014460893,"T":1568014460891,"s":"BTCUSDT","b":"25.3519","B":"31.21","a":"25.3652","A":"40.66"}"#;
const TRADE: &str = r#"{"e":"trade","E":1672515782136,"s":"BTCUSDT","t":12345,"p":"0.00100","q":"100","T":1672515782134,"m":true,"M":true}"#;
const AGG_TRADE: &str = r#"{"stream":"btcusdt@aggTrade","data":{"M":true,"m":false,"T":1672515782134,"l":105,"f":100,"q":"100","p":"0.00100","a":90,"s":"BTCUSDT","E":1,"e":"aggTrade"}}"#;
const KLINE: &str = r#"{"e":"kline","E":1672515782136,"s":"BTCUSDT","k":{"t":1672515780000,"T":1672515839999,"s":"BTCUSDT","i":"1m","f":100,"L":200,"o":"0.0010","c":"0.0020","h":"0.0025","l":"0.0015","v":"1000","n":100,"x":false,"q":"1.0000","V":"500","Q":"0.500","B":"123456"}}"#;
const TICKER: &str = r#"{"e":"24hrTicker","E":1672515782136,"s":"BTCUSDT","p":"-0.0015","P":"250.00","w":"0.0018","x":"0.0009","c":"0.0025","Q":"10","b":"0.0024","B":"10","a":"0.0026","A":"100","o":"0.0010","h":"0.0025","l":"0.0010","v":"10000","q":"18","O":0,"C":86400000,"F":0,"L":18150,"n":18151}"#;
const SPOT_DIFF: &str = r#"{"e":"depthUpdate","E":5,"s":"BTCUSDT","U":157,"u":160,"b":[["0.0024","10"]],"a":[["0.0026","100",[]],["0.0027","0"]]}"#;
const USDM_DIFF: &str = r#"{"stream":"x","data":{"pu":149,"a":[],"b":[["7403.89","0.002"]],"u":160,"U":157,"s":"BTCUSDT","T":4,"E":5,"e":"depthUpdate"}}"#;
const SNAPSHOT: &str = r#"{"lastUpdateId":158,"bids":[["4.00","431"]],"asks":[["4.02","12"]]}"#;
const EXCHANGE_INFO: &str = r#"{"timezone":"UTC","symbols":[{"symbol":"BTCUSDT","status":"TRADING","filters":[{"filterType":"LOT_SIZE","stepSize":"0.1"},{"tickSize":"0.01000000","filterType":"PRICE_FILTER"}]},{"symbol":"NEWUSDT","filters":[{"filterType":"PRICE_FILTER","tickSize":"1.00000000"}]},{"symbol":"OFF","filters":[{"filterType":"PRICE_FILTER","tickSize":"0.00"}]}]}"#;
const REAL: [&str; 10] =
    [SPOT_QUOTE, USDM_QUOTE, TRADE, AGG_TRADE, KLINE, TICKER, SPOT_DIFF, USDM_DIFF, SNAPSHOT, EXCHANGE_INFO];

#[test]
fn each_message_becomes_its_event_with_its_fields_in_any_order() {
    let mut spot = bench(Market::Spot, UnknownSymbols::Refuse);
    spot.check(SPOT_QUOTE, &["0 7 quote 400900217 25.35190000 / 25.36520000 None"]);
    spot.check(USDM_QUOTE, &["0 7 quote 400900217 25.3519 / 25.3652 Some(1568014460891)"]);
    spot.check(AGG_TRADE, &["0 7 trade 90 bought 100 at 0.00100 @1672515782134 x6"]);
    spot.check(KLINE, &["0 7 bar 1m 1672515780000 0.0020 100 false"]);
    spot.check(TICKER, &["0 7 ticker 0.0025 Some(18151)"]);
    spot.check(SPOT_DIFF, &[]);
    let mut usdm = bench(Market::UsdM, UnknownSymbols::Refuse);
    usdm.check(TRADE, &["0 7 trade 12345 sold 100 at 0.00100 @1672515782134 x1"]);
}

#[test]
fn a_book_begins_with_a_snapshot_and_the_diffs_that_were_held_for_it() {
    let mut spot = bench(Market::Spot, UnknownSymbols::Refuse);
    assert!(spot.wanting().is_empty());
    spot.check(SPOT_DIFF, &[]);
    assert_eq!(spot.wanting(), [0]);
    assert_eq!(spot.depth(&SNAPSHOT.replace("158", "150")).unwrap(), Heard::TooOld { symbol: SymbolId(0) });
    assert_eq!((spot.wanting(), spot.notes.events.len()), (vec![0], 0));
    assert_eq!(spot.depth(SNAPSHOT).unwrap(), Heard::Market);
    let book = [
        "0 7 Snapshot 158..158 @7 4.00x431 / 4.02x12",
        "0 7 Delta 157..160 @5 0.0024x10 / 0.0026x100 0.0027x0",
    ];
    assert_eq!(std::mem::take(&mut spot.notes.events), book);
    assert!(spot.wanting().is_empty());
    spot.check(SPOT_DIFF, &[]);
    // The same snapshot again is behind the book.
    assert_eq!(spot.depth(SNAPSHOT).unwrap(), Heard::Market);
    let counts = spot.feed.counts(SymbolId(0));
    assert_eq!((counts.diffs, counts.applied, counts.duplicates), (2, 1, 1));
    assert_eq!((counts.snapshots, counts.too_old), (1, 1));
    assert_eq!((spot.notes.events.len(), spot.notes.lent), (0, 0));
}

#[test]
fn a_gap_makes_the_book_stale_once_and_a_new_snapshot_heals_it() {
    let mut usdm = bench(Market::UsdM, UnknownSymbols::Refuse);
    usdm.feed.want(SymbolId(0));
    usdm.feed.want(SymbolId(0));
    assert_eq!(usdm.wanting(), [0]);
    usdm.depth(SNAPSHOT).unwrap();
    usdm.notes.events.clear();
    usdm.check(USDM_DIFF, &["0 7 Delta 157..160 @4 7403.89x0.002 / "]);
    let later = USDM_DIFF.replace("149", "170").replace("160", "180").replace("157", "171");
    usdm.check(&later, &["0 7 stale Gap"]);
    assert_eq!(usdm.wanting(), [0]);
    usdm.check(&later.replace("180", "190").replace("170", "180").replace("171", "181"), &[]);
    usdm.depth(&SNAPSHOT.replace("158", "175")).unwrap();
    let expect = [
        "0 7 Snapshot 175..175 @7 4.00x431 / 4.02x12",
        "0 7 Delta 171..180 @4 7403.89x0.002 / ",
        "0 7 Delta 181..190 @4 7403.89x0.002 / ",
    ];
    assert_eq!(usdm.notes.events, expect);
    assert!(usdm.wanting().is_empty());
    assert_eq!(usdm.feed.counts(SymbolId(0)).gaps, 1);
}

#[test]
fn a_lost_connection_makes_every_book_stale_and_wanted() {
    let mut spot = bench(Market::Spot, UnknownSymbols::Add);
    spot.depth(SNAPSHOT).unwrap();
    spot.hear(&SPOT_QUOTE.replace("BTCUSDT", "ETHUSDT")).unwrap();
    spot.notes.events.clear();
    spot.feed.disconnected(9, &mut spot.notes);
    spot.feed.disconnected(9, &mut spot.notes);
    assert_eq!(spot.notes.events, ["0 9 stale Disconnected"]);
    assert_eq!(spot.wanting(), [0]);
}

#[test]
fn one_trade_told_by_two_streams_or_twice_counts_once() {
    let mut spot = bench(Market::Spot, UnknownSymbols::Refuse);
    spot.check(TRADE, &["0 7 trade 12345 sold 100 at 0.00100 @1672515782134 x1"]);
    spot.check(AGG_TRADE, &[]);
    spot.check(TRADE, &[]);
    spot.check(&TRADE.replace("12345", "12344"), &[]);
    spot.check(&TRADE.replace("12345", "12346"), &["0 7 trade 12346 sold 100 at 0.00100 @1672515782134 x1"]);
    // What futures tell of the insurance fund is no trade, but has a number.
    spot.check(&TRADE.replace("12345", "12347").replace("\"M\":true", "\"X\":\"INSURANCE_FUND\""), &[]);
    spot.check(&TRADE.replace("12345", "12348").replace("\"100\"", "\"0.000\""), &[]);
    let counts = spot.feed.counts(SymbolId(0));
    assert_eq!((counts.trades, counts.trades_ignored), (2, 5));
}

#[test]
fn answers_refusals_and_the_end_are_told_to_the_connector() {
    let mut spot = bench(Market::Spot, UnknownSymbols::Refuse);
    let refused = |id, code, message: &str| Heard::Refused { id, code, message: message.into() };
    assert_eq!(spot.hear(r#"{"result":null,"id":3}"#).unwrap(), Heard::Answer { id: Some(3) });
    assert_eq!(spot.hear(r#"{"id":null,"result":["btcusdt@depth"]}"#).unwrap(), Heard::Answer { id: None });
    let error = r#"{"error":{"code":2,"msg":"Invalid request"},"id":4}"#;
    assert_eq!(spot.hear(error).unwrap(), refused(Some(4), 2, "Invalid request"));
    let error = r#"{"code":-1121,"msg":"Invalid symbol."}"#;
    assert_eq!(spot.hear(error).unwrap(), refused(None, -1121, "Invalid symbol."));
    assert_eq!(spot.depth(error).unwrap(), refused(None, -1121, "Invalid symbol."));
    let mut bytes = error.as_bytes().to_vec();
    assert!(matches!(spot.feed.exchange_info(7, &mut bytes, &mut spot.notes), Ok(Heard::Refused { .. })));
    for end in [r#"{"e":"serverShutdown","E":1}"#, r#"{"event":{"e":"serverShutdown","E":1}}"#] {
        assert_eq!(spot.hear(end).unwrap(), Heard::ShuttingDown);
    }
    assert!(spot.notes.events.is_empty());
}

#[test]
fn the_list_of_instruments_gives_scales_now_or_when_a_symbol_becomes_known() {
    for (unknown, later) in [(UnknownSymbols::Add, &["1 7 scale 1", ""][..1]), (UnknownSymbols::Refuse, &[])]
    {
        let mut spot = bench(Market::Spot, unknown);
        let mut bytes = EXCHANGE_INFO.as_bytes().to_vec();
        let heard = spot.feed.exchange_info(7, &mut bytes, &mut spot.notes).unwrap();
        assert_eq!(heard, Heard::Instruments { known: [SymbolId(0)].into() });
        assert_eq!(std::mem::take(&mut spot.notes.events), ["0 7 scale 0.01"]);
        let heard = spot.hear(&SPOT_DIFF.replace("BTCUSDT", "NEWUSDT"));
        assert_eq!(heard.is_ok(), unknown == UnknownSymbols::Add);
        assert_eq!(spot.notes.events, later);
    }
    let mut off = bench(Market::Spot, UnknownSymbols::Refuse);
    let mut bytes = EXCHANGE_INFO.replace("0.01000000", "0.00000000").into_bytes();
    let heard = off.feed.exchange_info(7, &mut bytes, &mut off.notes).unwrap();
    assert_eq!(heard, Heard::Instruments { known: [SymbolId(0)].into() }, "listed, though held to no step");
    assert_eq!(off.notes.events, Vec::<String>::new());
}

#[test]
fn what_is_wrong_with_a_message_is_said_and_nothing_is_lost_with_it() {
    let mut spot = bench(Market::Spot, UnknownSymbols::Refuse);
    let mut wrong = |message: &str| spot.hear(message).unwrap_err().to_string();
    assert!(wrong(&SPOT_DIFF[..50]).starts_with("the message is not JSON"));
    assert!(wrong("[]").contains("an object was expected"));
    assert!(wrong("{}").contains("neither an event"));
    assert!(wrong(r#"{"e":"markPriceUpdate","s":"BTCUSDT"}"#).contains("none of the streams"));
    assert!(wrong(&SPOT_DIFF.replace("BTCUSDT", "ETHUSDT")).contains("no symbol \"ETHUSDT\""));
    assert!(wrong(&SPOT_DIFF.replace("0.0024", "1e5")).contains("price holds \"1e5\""));
    assert!(wrong(&SPOT_DIFF.replace("\"10\"", "\"-1\"")).contains("may not be negative"));
    assert!(wrong(&SPOT_DIFF.replace("\"10\"", "10")).contains("a level that is not"));
    assert!(wrong(&SPOT_DIFF.replace("157", "161")).contains("U is above its u"));
    assert!(wrong(&SPOT_DIFF.replace("157", "-1")).contains("without whole numbers"));
    assert!(wrong(&KLINE.replace("1m", "2m")).contains("interval"));
    assert_eq!(spot.notes.lent, 0, "buffers of refused diffs are given back");
    let mut usdm = bench(Market::UsdM, UnknownSymbols::Refuse);
    assert!(usdm.hear(SPOT_DIFF).unwrap_err().to_string().contains("without pu"));
    let mut long = vec![b' '; LONGEST_MESSAGE + 1];
    assert!(matches!(usdm.feed.message(7, &mut long, &mut usdm.notes), Err(FeedError::TooLong { .. })));
    let mut full = bench(Market::Spot, UnknownSymbols::Add);
    full.hear(&SPOT_DIFF.replace("BTCUSDT", "ETHUSDT")).unwrap();
    let third = full.hear(&SPOT_DIFF.replace("BTCUSDT", "LTCUSDT"));
    assert!(matches!(third, Err(FeedError::BadSymbol { .. })));
}

fn hear_everywhere(bytes: &[u8]) {
    for market in [Market::Spot, Market::CoinM] {
        let mut bench = bench(market, UnknownSymbols::Add);
        bench.depth(SNAPSHOT).unwrap();
        for _ in 0..2 {
            let _ = bench.feed.message(7, &mut bytes.to_vec(), &mut bench.notes);
            let _ = bench.feed.depth(7, "BTCUSDT", &mut bytes.to_vec(), &mut bench.notes);
            let _ = bench.feed.exchange_info(7, &mut bytes.to_vec(), &mut bench.notes);
        }
        bench.feed.disconnected(8, &mut bench.notes);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        hear_everywhere(&bytes);
    }

    #[test]
    fn the_quick_way_and_the_tape_hear_the_same(
        message in 0..REAL.len(), at: prop::sample::Index, with in "[\\[\\]{}\":,0-9a-zA-Z.\\\\-]{0,3}", cut in 0..4_usize,
    ) {
        let mut changed = REAL[message].as_bytes().to_vec();
        let at = at.index(changed.len());
        changed.splice(at..(at + cut).min(REAL[message].len()), with.bytes());
        for bytes in [changed, REAL[message].as_bytes().to_vec()] {
            for market in [Market::Spot, Market::UsdM] {
                let (mut one, mut other) = (bench(market, UnknownSymbols::Add), bench(market, UnknownSymbols::Add));
                one.depth(SNAPSHOT).unwrap();
                other.depth(SNAPSHOT).unwrap();
                let heard = one.feed.message(7, &mut bytes.clone(), &mut one.notes);
                let by_tape = other.feed.message_by_tape(7, &mut bytes.clone(), &mut other.notes);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                prop_assert_eq!(heard.map_err(|e| e.to_string()), by_tape.map_err(|e| e.to_string()), "{}", &text);
                prop_assert_eq!(&one.notes.events, &other.notes.events, "{}", &text);
                prop_assert_eq!(one.notes.lent, other.notes.lent, "{}", &text);
            }
        }
    }

    #[test]
    fn no_change_to_a_real_message_makes_it_panic(
        message in 0..REAL.len(), at: prop::sample::Index, with in "[\\[\\]{}\":,0-9a-z.\\\\-]{0,6}", cut in 0..8_usize,
    ) {
        let mut bytes = REAL[message].as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes.splice(at..(at + cut).min(REAL[message].len()), with.bytes());
        hear_everywhere(&bytes);
    }
}

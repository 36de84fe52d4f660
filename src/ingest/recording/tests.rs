//! Recordings written by hand, whole and damaged, in each format and each compression.

use std::io::Write;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

const WS: &str = "configuration: {}\n\
    wss://stream.binance.com:9443/stream?streams=x <-> 100.000001\n\
    wss://stream.binance.com:9443/stream?streams=x <- 100.1: {\"method\":\"SUBSCRIBE\"}\n\
    100.5: {\"n\":1}\n\
    \n\
    not a line of it\n\
    101.5: {\"n\":3}\n\
    101.4: {\"n\":4}\n";
const HTTP: &str = "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000 -> 101.25: {\"n\":2}\n\
    https://api.binance.com/api/v3/time -> 101.26: {}\n\
    https://api.binance.com/api/v3/exchangeInfo -> 109: {\"n\":5}\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

/// All records in words, and the error at the end.
fn read(files: &[PathBuf]) -> (Vec<String>, Option<RecordingError>) {
    let mut recording = match Recording::open(files) {
        Ok(recording) => recording,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut records = Vec::new();
    loop {
        match recording.next() {
            Ok(Some(record)) => {
                let what = match record.kind {
                    RecordKind::Connected => "connected".to_owned(),
                    RecordKind::Frame => "frame".to_owned(),
                    RecordKind::Depth { symbol } => format!("depth of {symbol}"),
                    RecordKind::Instruments => "instruments".to_owned(),
                    RecordKind::Bar { symbol, bar } => format!("bar of {symbol} {}", bar.close),
                    RecordKind::Unreadable { .. } => "unreadable".to_owned(),
                };
                let payload = String::from_utf8_lossy(record.payload).into_owned();
                let (received, market) = (record.received, record.market.name());
                records.push(format!("{received} {market} {what} {payload}").trim_end().to_owned());
            }
            Ok(None) => return (records, None),
            Err(error) => {
                assert!(matches!(recording.next(), Ok(None)), "after an error comes the end");
                return (records, Some(error));
            }
        }
    }
}

#[track_caller]
fn check(files: &[PathBuf], expect: &[&str]) {
    let (records, error) = read(files);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(records, expect);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn a_capture_in_two_files_is_merged_by_time_and_time_never_goes_back() {
    let folder = Folder::new();
    let (ws, http) = (folder.file("a.ws.txt", WS.as_bytes()), folder.file("a.http.txt", HTTP.as_bytes()));
    let expect = [
        "100000 spot connected",
        "100500 spot frame {\"n\":1}",
        "100500 spot unreadable",
        "101250 spot depth of BTCUSDT {\"n\":2}",
        "101500 spot frame {\"n\":3}",
        "101500 spot frame {\"n\":4}",
        "109000 spot instruments {\"n\":5}",
    ];
    check(std::slice::from_ref(&ws), &expect);
    check(&[ws, http.clone()], &expect);
    check(&[http], &["101250 spot depth of BTCUSDT {\"n\":2}", "109000 spot instruments {\"n\":5}"]);
}

#[test]
fn the_first_bytes_tell_the_compression_and_not_the_name() {
    let folder = Folder::new();
    let plain = read(&[folder.file("plain.gz", HTTP.as_bytes())]).0;
    assert_eq!(plain.len(), 2);
    let name = "BTCUSDT-1m-2024.txt";
    for packed in [gzip(HTTP.as_bytes()), zstd(HTTP.as_bytes()), zip(&[("http.txt", HTTP.as_bytes())])] {
        let (records, error) = read(&[folder.file(name, &packed)]);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(records, plain);
    }
}

#[test]
fn a_file_that_is_cut_short_gives_what_it_holds_and_then_an_error_with_its_place() {
    let folder = Folder::new();
    // Numbers that do not compress, so that half of the bytes are about half of the lines.
    let mut random = fastrand::Rng::with_seed(1);
    let lines: Vec<_> =
        (0..20_000).map(|n| format!("{}.5: {{\"n\":{}}}\n", 100 + n, random.u64(..))).collect();
    let text = WS.to_owned() + &lines.concat();
    for packed in [gzip(text.as_bytes()), zstd(text.as_bytes())] {
        let path = folder.file("cut.txt", &packed[..packed.len() / 2]);
        let (records, error) = read(std::slice::from_ref(&path));
        assert!(records.len() > 1_000, "only {} records", records.len());
        let Some(RecordingError::CutShort { path: named, line, .. }) = error else { panic!("{error:?}") };
        // Two lines of the capture are no records.
        assert_eq!((named, line), (path, records.len() as u64 + 3));
    }
    let packed = zip(&[("BTCUSDT-1m-2024.csv", text.as_bytes())]);
    let path = folder.file("cut.zip", &packed[..packed.len() / 2]);
    assert!(matches!(Recording::open(&[path]), Err(RecordingError::CutShort { line: 0, .. })));
}

#[test]
fn what_is_no_recording_is_refused_with_its_name() {
    let folder = Folder::new();
    let refused =
        |path: PathBuf| Recording::open(&[path]).err().map(|error| error.to_string()).unwrap_or_default();
    let gone = refused(folder.0.path().join("gone.gz"));
    assert!(gone.contains("gone.gz") && gone.contains("give the path"), "{gone}");
    for content in [&b""[..], b"hello\n", b"{\"a\":1}\n", b"1,2,3\n", b"\0\xff\n", &gzip(b"hello")] {
        let text = refused(folder.file("odd", content));
        assert!(text.contains("odd is not a recording"), "{text}");
    }
    let newer = refused(folder.file("newer", b"tickcast-recording 2 binance spot\n"));
    assert!(newer.contains("format 2"), "{newer}");
    let other = refused(folder.file("other", b"tickcast-recording 1 kraken spot\n"));
    assert!(other.contains("kraken"), "{other}");
    let other = refused(folder.file("other", b"wss://ws.kraken.com <-> 1.5\n"));
    assert!(other.contains("line 1: wss://ws.kraken.com"), "{other}");
    assert!(refused(folder.0.path().to_owned()).contains("directory"));
}

#[test]
fn a_line_longer_than_any_message_ends_the_reading() {
    let folder = Folder::new();
    let mut text = WS.as_bytes().to_vec();
    text.resize(text.len() + (16 << 20) + 1, b'x');
    let (records, error) = read(&[folder.file("long", &text)]);
    assert_eq!(records.len(), 5);
    assert!(matches!(error, Some(RecordingError::LineTooLong { line: 9, .. })), "{error:?}");
}

#[test]
fn files_are_played_in_the_order_of_their_times_and_each_tells_its_own_market() {
    let folder = Folder::new();
    let first = folder.file("btcusdt_1.gz", &gzip(b"1723161253927085768 {\"stream\":\"x\",\"data\":{\"e\":\"depthUpdate\",\"s\":\"BTCUSDT\",\"U\":1,\"u\":2,\"pu\":0}}\n1723161253928000000 {\"lastUpdateId\":5}\n"));
    let second = folder
        .file("btcusdt_2", b"1723161253930000000 {\"lastUpdateId\":6,\"symbol\":\"ETHUSD_PERP\"}\nbad\n");
    check(
        &[second, first],
        &[
            "1723161253927 usdm frame {\"stream\":\"x\",\"data\":{\"e\":\"depthUpdate\",\"s\":\"BTCUSDT\",\"U\":1,\"u\":2,\"pu\":0}}",
            "1723161253928 usdm depth of BTCUSDT {\"lastUpdateId\":5}",
            "1723161253930 coinm depth of ETHUSD_PERP {\"lastUpdateId\":6,\"symbol\":\"ETHUSD_PERP\"}",
            "1723161253930 coinm unreadable",
        ],
    );
}

#[test]
fn a_file_that_cannot_be_read_on_keeps_no_other_from_being_played() {
    let folder = Folder::new();
    let poem = folder.file("poem", b"roses are red");
    let cut = gzip(WS.repeat(500).as_bytes());
    let cut = folder.file("cut", &cut[..cut.len() / 2]);
    let whole = folder.file("whole", b"wss://stream.binance.us/x <-> 900\n901: {\"n\":9}\n");
    let (records, error) = read(&[poem, cut, whole]);
    assert_eq!(records[records.len() - 2..], ["900000 us connected", "901000 us frame {\"n\":9}"]);
    let error = error.unwrap();
    assert!(matches!(&error, RecordingError::CutShort { path, .. } if path.ends_with("cut")), "{error}");
}

#[test]
fn an_odd_address_among_the_venues_own_is_one_line_that_is_left_out() {
    let folder = Folder::new();
    let text = WS.replace("not a line of it", "https://example.com/depth -> 101.0: {}");
    let (records, error) = read(&[folder.file("odd.txt", text.as_bytes())]);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(records[2], "100500 spot unreadable");
    assert_eq!(records.len(), 5);
}

#[test]
fn a_capture_that_goes_on_where_another_file_ended_is_told_by_its_frames() {
    let folder = Folder::new();
    let frame = r#"{"stream":"x","data":{"e":"depthUpdate","s":"BTCUSDT","U":1,"u":2,"pu":0,"b":[],"a":[]}}"#;
    let text = format!("100.5: {{\"e\":\"kline\"}}\n101.5: {frame}\n102.5: {{\"e\":\"kline\"}}\n");
    let path = folder.file("BINANCE_FUTURES.ws.5.1", text.as_bytes());
    let frames = [format!("101500 usdm frame {frame}"), "102500 usdm frame {\"e\":\"kline\"}".to_owned()];
    check(&[path], &["100500 spot unreadable", &frames[0], &frames[1]]);
}

#[test]
fn tables_of_klines_are_bars_with_or_without_a_header() {
    let folder = Folder::new();
    let row = "1709510400000,1,2,0.5,1.50,10,1709510459999,12.5,3,4,5.5,0\n";
    let header = "open_time,open,high,low,close,volume,close_time,quote_volume,count,a,b,ignore\n";
    let bar = "1709510460000 spot bar of BTCUSDT 1.50";
    check(&[folder.file("BTCUSDT-1m-2024.csv", row.as_bytes())], &[bar]);
    check(&[folder.file("BTCUSDT-1m-2024.csv", (header.to_owned() + row).as_bytes())], &[bar]);
    let two = zip(&[
        ("BTCUSDT-1m-1.csv", row.as_bytes()),
        ("ETHUSDT-1m-1.csv", (row.to_owned() + header).as_bytes()),
    ]);
    let expect = [bar, "1709510460000 spot bar of ETHUSDT 1.50", "1709510460000 spot unreadable"];
    check(&[folder.file("two.zip", &two)], &expect);
}

#[test]
fn what_the_writer_wrote_is_read_back() {
    let folder = Folder::new();
    let path = folder.0.path().join("own.zst");
    let mut writer = Writer::create(&path, "binance", "coinm").unwrap();
    writer.open(5, "wss://dstream.binance.com/stream").unwrap();
    writer.ws(6, b"{\"a\":\r\n1}").unwrap();
    writer.rest(7, "/dapi/v1/depth?symbol=BTCUSD_PERP&limit=1000", b"{\"lastUpdateId\":1}").unwrap();
    writer.rest(8, "/dapi/v1/time", b"{}").unwrap();
    writer.rest(9, "/dapi/v1/exchangeInfo", b"{\"symbols\":[]}\n").unwrap();
    writer.flush().unwrap();
    let flushed = folder.file("killed.zst", &std::fs::read(&path).unwrap());
    writer.finish().unwrap();
    let expect = [
        "5 coinm connected",
        "6 coinm frame {\"a\":  1}",
        "7 coinm depth of BTCUSD_PERP {\"lastUpdateId\":1}",
        "9 coinm instruments {\"symbols\":[]}",
    ];
    check(std::slice::from_ref(&path), &expect);
    let (records, error) = read(&[flushed]);
    assert_eq!(records, expect);
    assert!(matches!(error, Some(RecordingError::CutShort { line: 6, .. })), "{error:?}");
    assert!(Writer::create(&path, "binance", "spot").is_err(), "nothing is overwritten");
}

#[test]
fn a_bad_message_is_counted_and_the_rest_is_played() {
    use crate::market::{BookChange, Event, SymbolId, Symbols};

    struct Count(u64);
    impl crate::ingest::Sink for Count {
        fn put(&mut self, _: SymbolId, _: Millis, _: Event) {
            self.0 += 1;
        }
        fn blank(&mut self) -> Box<BookChange> {
            Box::default()
        }
        fn recycle(&mut self, _: Box<BookChange>) {}
    }

    let folder = Folder::new();
    let quote = r#"{"u":1,"s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1"}"#;
    let text =
        format!("tickcast-recording 1 binance us\n1 ws {quote}\n2 ws {{\n3\n4 ws {quote}\n5 new thing\n");
    let symbols = Arc::new(Symbols::new(5));
    let mut sink = Count(0);
    let played = replay(&[folder.file("bad", text.as_bytes())], symbols.clone(), &mut sink).unwrap();
    assert_eq!((played, sink.0), (Played { records: 4, warnings: 2 }, 2));
    assert_eq!(symbols.table().len(), 1);
}

fn read_bytes(folder: &Path, bytes: &[u8]) {
    for name in ["any", "BTCUSDT-1m-any"] {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        let _ = read(&[path]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_it_panic(
        bytes: Vec<u8>, which in 0..5_usize, at: prop::sample::Index, with in "[0-9a-z.:<> \n-]{0,6}", cut in 0..8_usize,
    ) {
        let folder = Folder::new();
        read_bytes(folder.0.path(), &bytes);
        let packed = [WS.as_bytes().to_vec(), HTTP.as_bytes().to_vec(), gzip(WS.as_bytes()), zstd(HTTP.as_bytes()), zip(&[("a", HTTP.as_bytes())])];
        let mut bytes = packed[which].clone();
        let at = at.index(bytes.len());
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, with.bytes());
        read_bytes(folder.0.path(), &bytes);
    }
}

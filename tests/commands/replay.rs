//! `tickcast replay`: what came of recordings, good ones and bad ones.

use std::io::Write;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Done, data, run};

fn summary(files: &[&Path]) -> (Value, Done) {
    let mut args = vec!["replay", "--summary"];
    args.extend(files.iter().map(|file| file.to_str().unwrap()));
    let done = run(&args);
    (serde_json::from_str(&done.out).unwrap_or_default(), done)
}

/// A message of the venue as cryptofeed writes it.
fn line(at: u64, payload: &str) -> String {
    format!("{at}.5: {payload}\n")
}

fn diff(first: u64, last: u64, bids: &str, asks: &str) -> String {
    format!(
        r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":{first},"u":{last},"b":[{bids}],"a":[{asks}]}}}}"#
    )
}

/// A session of a few lines; `more` stands behind the first diff.
fn session(folder: &TempDir, more: &[String]) -> std::path::PathBuf {
    let mut text =
        String::from("wss://stream.binance.com:9443/stream?streams=btcusdt@depth@100ms <-> 1618676000.1\n");
    text.push_str("https://www.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000 -> 1618676000.2: {\"lastUpdateId\":10,\"bids\":[[\"100.00\",\"1.0\"]],\"asks\":[[\"101.00\",\"2.0\"]]}\n");
    text.push_str(&line(1_618_676_001, &diff(11, 12, r#"["99.00","3.0"]"#, "")));
    for (at, payload) in (1_618_676_002..).zip(more) {
        text.push_str(&line(at, payload));
    }
    let path = folder.path().join("session.txt");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn every_binance_capture_gives_what_is_known_of_it() {
    let Some(data) = data() else { return };
    let expected: Value =
        serde_json::from_slice(&std::fs::read(data.join("EXPECTED.json")).unwrap()).unwrap();
    let captures = expected.as_object().unwrap().iter().filter(|(name, _)| name.starts_with("binance_"));
    let mut checked = 0;
    for (name, capture) in captures {
        let files: Vec<_> = capture["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| data.join(file.as_str().unwrap()))
            .collect();
        let (found, done) = summary(&files.iter().map(|file| &**file).collect::<Vec<_>>());
        assert!(done.status.success(), "{name}: {}", done.err);
        for (symbol, known) in capture["symbols"].as_object().unwrap() {
            let found = &found["symbols"][symbol];
            for (ours, theirs) in [
                ("applied", "applied"),
                ("gaps", "sequence_gaps"),
                ("best_bid", "final_best_bid"),
                ("best_ask", "final_best_ask"),
                ("levels", "final_levels"),
                ("book_sha256", "final_book_sha256"),
            ] {
                assert_eq!(found[ours], known[theirs], "{name}, {symbol}: {ours}");
            }
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked} symbols");
}

#[test]
fn minutes_in_a_zip_file_give_hours_and_days() {
    let Some(data) = data() else { return };
    let (found, done) = summary(&[&data.join("binance_klines/BTCUSDT-1m-2024-03-05.zip")]);
    assert!(done.status.success(), "{}", done.err);
    let bars = &found["symbols"]["BTCUSDT"]["bars"];
    assert_eq!(bars["1m"].as_array().unwrap().len(), 1_440);
    let (hours, days) = (bars["1h"].as_array().unwrap(), bars["1d"].as_array().unwrap());
    assert_eq!((hours.len(), days.len()), (24, 1));
    let (_, day) = summary(&[&data.join("binance_klines/BTCUSDT-1d-2024-03-05.zip")]);
    let day: Value = serde_json::from_str(&day.out).unwrap();
    let known = &day["symbols"]["BTCUSDT"]["bars"]["1d"][0];
    for column in [
        "open",
        "high",
        "low",
        "close",
        "volume",
        "quoteVolume",
        "trades",
        "takerBuyVolume",
        "takerBuyQuoteVolume",
    ] {
        assert_eq!(days[0][column], known[column], "{column}");
    }
}

#[test]
fn what_cannot_be_read_is_named_with_a_remedy() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let garbage = write("garbage.gz", &[0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 5, 6, 7]);
    let text = write("poem.txt", b"Roses are red\nviolets are blue\n");
    let empty = write("empty.txt", b"");
    let binary = write("binary", &[0xff; 4_000]);
    for (path, part) in [
        (folder.path().join("missing.gz"), "give the path of a recording"),
        (folder.path().to_owned(), "is a directory"),
        (garbage, "garbage.gz"),
        (text, "is not a recording"),
        (empty, "is not a recording"),
        (binary, "is not a recording"),
    ] {
        let (_, done) = summary(&[&path]);
        assert_eq!(done.status.code(), Some(1), "{}", path.display());
        let last = done.err.lines().last().unwrap_or_default();
        assert!(last.starts_with("tickcast: ") && last.contains(path.to_str().unwrap()), "{last}");
        assert!(last.contains(part), "{last}");
    }
}

#[test]
fn what_was_read_before_the_end_of_a_file_that_is_cut_short_is_summed_up() {
    let folder = TempDir::new().unwrap();
    let diffs: Vec<_> = (13..20_000).map(|id| diff(id, id, &format!(r#"["99.00","{id}.0"]"#), "")).collect();
    let whole = std::fs::read(session(&folder, &diffs)).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&whole).unwrap();
    for (name, packed) in
        [("cut.gz", gzip.finish().unwrap()), ("cut.zst", zstd::encode_all(&whole[..], 1).unwrap())]
    {
        let path = folder.path().join(name);
        std::fs::write(&path, &packed[..packed.len() * 3 / 4]).unwrap();
        let (found, done) = summary(&[&path]);
        assert_eq!(done.status.code(), Some(1), "{}", done.err);
        let last = done.err.lines().last().unwrap();
        assert!(last.contains(name) && last.contains("cut short after line"), "{last}");
        let applied = found["symbols"]["BTCUSDT"]["applied"].as_u64().unwrap();
        assert!((2..20_000).contains(&applied), "{applied}");
    }
}

#[test]
fn a_second_file_that_is_not_there_is_told_and_a_second_one_that_is_broken_spoils_nothing() {
    let folder = TempDir::new().unwrap();
    let good = session(&folder, &[]);
    let (_, done) = summary(&[&good, Path::new("/nowhere.gz")]);
    assert_eq!(done.status.code(), Some(1));
    assert!(done.err.contains("/nowhere.gz"), "{}", done.err);
    let bad = folder.path().join("bad.txt");
    std::fs::write(&bad, "nothing of the kind\n").unwrap();
    let (found, done) = summary(&[&good, &bad]);
    assert_eq!(done.status.code(), Some(1));
    assert!(done.err.contains("bad.txt"), "{}", done.err);
    assert_eq!(found["symbols"]["BTCUSDT"]["applied"], 1, "{found}");
}

#[test]
fn two_markets_under_one_name_and_a_snapshot_that_is_too_old_are_told() {
    let folder = TempDir::new().unwrap();
    let spot = session(&folder, &[]);
    let futures = folder.path().join("futures.txt");
    let first = diff(5, 6, "", "").replace("\"u\":6", "\"u\":6,\"pu\":4");
    let opened = "wss://fstream.binance.com/stream?streams=btcusdt@depth@100ms <-> 1618676100.1\n";
    std::fs::write(&futures, opened.to_owned() + &line(1_618_676_101, &first)).unwrap();
    let (found, done) = summary(&[&spot, &futures]);
    assert!(done.status.success(), "{}", done.err);
    assert!(done.err.contains("BTCUSDT is mixed out of spot and usdm"), "{}", done.err);
    assert_eq!(found["symbols"]["BTCUSDT"]["applied"], 1, "the book that stands is the one that is counted");

    let late = folder.path().join("late.txt");
    let changed_before = line(1_618_676_000, &diff(21, 22, "", ""));
    let text = std::fs::read_to_string(&spot).unwrap();
    let (opened, rest) = text.split_once('\n').unwrap();
    std::fs::write(&late, format!("{opened}\n{changed_before}{}\n", rest.lines().next().unwrap())).unwrap();
    let (_, done) = summary(&[&late]);
    assert!(done.err.contains("BTCUSDT has no book"), "{}", done.err);
}

#[test]
fn bad_messages_are_counted_with_their_lines_and_the_rest_goes_on() {
    let folder = TempDir::new().unwrap();
    let huge = format!(r#"{{"stream":"x","data":"{}"}}"#, "x".repeat(10 << 20));
    let path = session(
        &folder,
        &[
            "{\"stream\":".into(),
            "garbage".into(),
            huge,
            diff(13, 13, r#"["98.00","-1.0"]"#, ""),
            diff(13, 13, r#"["98.00","1.0"]"#, ""),
            diff(14, 14, "", r#"["102.00","4.0"]"#),
        ],
    );
    let (found, done) = summary(&[&path]);
    assert!(done.status.success(), "{}", done.err);
    assert_eq!(found["warnings"], 4, "{}", done.err);
    for line in 4..=7 {
        assert!(done.err.contains(&format!("line={line} ")), "line {line}: {}", done.err);
    }
    let book = &found["symbols"]["BTCUSDT"];
    assert_eq!((book["applied"].as_u64(), book["gaps"].as_u64()), (Some(3), Some(0)), "{book}");
    assert_eq!(book["levels"], serde_json::json!([3, 2]));
}

#[test]
fn a_price_that_no_book_can_hold_beside_its_others_is_a_gap_that_is_counted() {
    let folder = TempDir::new().unwrap();
    let whole = r#"["100.12345678901234","1.0"]"#;
    let more = [diff(13, 13, "", r#"["100000.00","1.0"]"#), diff(14, 14, whole, ""), diff(15, 15, "", "")];
    let (found, done) = summary(&[&session(&folder, &more)]);
    assert!(done.status.success(), "{}", done.err);
    let book = &found["symbols"]["BTCUSDT"];
    assert_eq!((book["status"].as_str(), book["gaps"].as_u64()), (Some("Stale(Gap)"), Some(1)), "{book}");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let folder = TempDir::new().unwrap();
    let path = session(&folder, &[]);
    let mut command = crate::process::tickcast(&["replay", "--summary", path.to_str().unwrap()]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

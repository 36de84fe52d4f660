//! `tickcast record`, against a venue of our own.

use tempfile::TempDir;

use crate::process::{Running, await_line, run, tickcast};
use crate::venue::{DiffMischief, Rule, Venue};

fn settings(folder: &TempDir, venue: &Venue) -> String {
    let file = folder.path().join("t.toml");
    let (streams, rest) = (venue.ws_url(), venue.rest_url());
    std::fs::write(&file, format!("[binance]\nws_url = \"{streams}\"\nrest_url = \"{rest}\"\n")).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Whoever answers a ping has read what came before it.
async fn all_is_read(venue: &Venue) {
    venue.ping(b"the end");
    let answered = |pongs: &[Vec<u8>]| pongs.iter().any(|pong| pong == b"the end");
    venue
        .until("all is read", |log| {
            log.connections.iter().filter(|seen| seen.open).all(|seen| answered(&seen.pongs))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_recorded_gives_the_venues_true_book_when_it_is_played() {
    let venue = Venue::start(Rule::Spot, &["BTCUSDT", "ETHUSDT"]).await;
    let folder = TempDir::new().unwrap();
    let (config, out) = (settings(&folder, &venue), folder.path().join("out.zst"));
    let out = out.to_str().unwrap();
    let args =
        ["record", "--source", "binance", "--symbols", "BTCUSDT,ETHUSDT", "--config", &config, "--out", out];
    let mut command = tickcast(&args);
    command.env("RUST_LOG", "tickcast::ingest=debug");
    let recorder = Running::start(command);
    venue
        .until("all is subscribed", |log| {
            log.connections.iter().map(|seen| seen.streams.len()).sum::<usize>() == 8
        })
        .await;
    for at in 0..50 {
        if at == 20 {
            venue.spoil_next_diff("BTCUSDT", DiffMischief::Skip);
        }
        venue.change("BTCUSDT");
        venue.change("ETHUSDT");
        venue.trade("BTCUSDT");
        if at == 0 {
            venue.until("both books were asked for", |log| log.depth_requests() >= 2).await;
        }
    }
    let mut recorder = tokio::task::spawn_blocking(move || {
        // Two first books, and the one that heals the gap.
        (0..3).for_each(|_| _ = await_line(&recorder.err, "a book begins"));
        recorder
    })
    .await
    .unwrap();
    for _ in 0..5 {
        venue.change("BTCUSDT");
        venue.change("ETHUSDT");
    }
    all_is_read(&venue).await;
    recorder.signal("INT");
    let ended = tokio::task::spawn_blocking(move || (recorder.ended(), recorder)).await.unwrap();
    assert_eq!(ended.0.code(), Some(0));
    let done = run(&["replay", "--summary", out]);
    assert!(done.status.success(), "{}", done.err);
    let summary: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        let (book, found) = (venue.book(symbol), &summary["symbols"][symbol]);
        assert_eq!(found["status"], "Good", "{found}");
        let trimmed = |text: &str| text.trim_end_matches('0').trim_end_matches('.').to_owned();
        let level =
            |(price, quantity): (&String, &String)| serde_json::json!([trimmed(price), trimmed(quantity)]);
        let sizes = serde_json::json!([book.bids.len(), book.asks.len()]);
        assert_eq!(found["levels"], sizes, "{symbol}");
        let by_price = |side: &std::collections::BTreeMap<String, String>| {
            let mut all: Vec<_> =
                side.iter().map(|(price, quantity)| (price.clone(), quantity.clone())).collect();
            all.sort_by(|a, b| a.0.parse::<f64>().unwrap().total_cmp(&b.0.parse::<f64>().unwrap()));
            all
        };
        let (bids, asks) = (by_price(&book.bids), by_price(&book.asks));
        let (bid, ask) = (bids.last().unwrap(), asks.first().unwrap());
        assert_eq!(found["best_bid"], level((&bid.0, &bid.1)), "{symbol}");
        assert_eq!(found["best_ask"], level((&ask.0, &ask.1)), "{symbol}");
    }
    assert_eq!(summary["symbols"]["BTCUSDT"]["gaps"], 1);
    assert_eq!(summary["symbols"]["BTCUSDT"]["trades"], 50);
}

#[test]
fn a_file_that_exists_is_not_touched_and_a_folder_that_does_not_is_named() {
    let folder = TempDir::new().unwrap();
    let there = folder.path().join("there");
    std::fs::write(&there, "mine").unwrap();
    for out in [&there, &folder.path().join("no/such/folder")] {
        let done = run(&["record", "--source", "binance", "--symbols", "A", "--out", out.to_str().unwrap()]);
        assert_eq!(done.status.code(), Some(1));
        assert!(done.err.contains(out.to_str().unwrap()), "{}", done.err);
    }
    assert_eq!(std::fs::read_to_string(&there).unwrap(), "mine");
    let done =
        run(&["record", "--source", "binance", "--symbols", "A", "--out", "x", "--config", "/nowhere.toml"]);
    assert!(done.err.contains("/nowhere.toml"), "{}", done.err);
}

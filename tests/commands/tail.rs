//! `tickcast tail`.

use std::net::TcpListener;
use std::process::Stdio;

use serde_json::Value;

use crate::process::{Running, await_line, run, tickcast};

fn simulated() -> (Running, String) {
    let (server, address) = Running::serve(&["--source", "simulated"]);
    (server, format!("ws://{address}/v1/ws"))
}

#[test]
fn it_prints_a_line_for_each_message_or_the_message_itself() {
    let (_server, url) = simulated();
    let topics = ["book:BTCUSDT:10:100ms", "trades:BTCUSDT", "kline:BTCUSDT:1m", "ticker:*"];
    let tail = Running::start(tickcast(&[&["tail", "--url", &url][..], &topics].concat()));
    for part in [
        "subscribed to",
        "book:BTCUSDT:10:100ms snapshot",
        "book:BTCUSDT:10:100ms delta",
        "trades:BTCUSDT update",
        "kline:BTCUSDT:1m",
    ] {
        await_line(&tail.out, part);
    }
    let json = Running::start(tickcast(&[&["tail", "--json", "--url", &url][..], &topics].concat()));
    for _ in 0..20 {
        let line = await_line(&json.out, "{");
        let message: Value = serde_json::from_str(&line).unwrap();
        assert!(message["type"].is_string());
    }
}

#[test]
fn a_ladder_shows_one_book_best_prices_in_the_middle() {
    let (_server, url) = simulated();
    let tail = Running::start(tickcast(&["tail", "--ladder", "BTCUSDT", "--url", &url]));
    for _ in 0..3 {
        await_line(&tail.out, "book:BTCUSDT:20:100ms");
        let price = || await_line(&tail.out, "").split_whitespace().next().unwrap().parse::<f64>().unwrap();
        let prices: Vec<f64> = (0..30).map(|_| price()).collect();
        assert!(prices.is_sorted_by(|above, below| above > below), "{prices:?}");
    }
}

#[test]
fn it_ends_when_nobody_reads_it_and_when_it_is_interrupted() {
    let (_server, url) = simulated();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = tickcast(&["tail", "trades:BTCUSDT", "--url", &url]);
    let mut child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    // The command holds the writing end, too.
    drop(command);
    drop(reader);
    assert!(child.wait().unwrap().success());
    let mut tail = Running::start(tickcast(&["tail", "trades:BTCUSDT", "--url", &url]));
    await_line(&tail.out, "subscribed");
    tail.signal("INT");
    assert_eq!(tail.ended().code(), Some(0));
}

#[test]
fn it_says_what_is_wrong() {
    let (_server, url) = simulated();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cases = [
        (vec!["tail", "trades:NONE", "nope", "--url", &url], vec!["no topic is left", "nope"]),
        (vec!["tail", "trades:NONE", "--url", &url, "--json"], vec!["UNKNOWN_SYMBOL"]),
        (vec!["tail", "A", "B", "--ladder", "--url", &url], vec!["--ladder", "one topic"]),
        (vec!["tail", "x", "--url", "localhost"], vec!["--url", "ws://"]),
        (vec!["tail", "x", "--url", "ftp://localhost/"], vec!["--url", "ws://"]),
    ];
    for (args, parts) in cases {
        let done = run(&args);
        assert_eq!(done.status.code(), Some(1), "{args:?}: {}", done.out);
        for part in parts {
            assert!(done.err.contains(part), "{args:?}: {part:?} is not in {}", done.err);
        }
    }
    let nowhere = format!("ws://{nobody}/v1/ws");
    let done = run(&["tail", "x", "--url", &nowhere]);
    assert_eq!(done.status.code(), Some(1));
    assert!(done.err.contains(&nowhere) && done.err.contains("refused"), "{}", done.err);
    let elsewhere = url.replace("/v1/ws", "/elsewhere");
    let done = run(&["tail", "x", "--url", &elsewhere]);
    assert!(done.err.contains(&elsewhere) && done.err.contains("404"), "{}", done.err);
}

#[test]
fn one_wrong_topic_is_told_and_the_others_are_followed() {
    let (_server, url) = simulated();
    let tail = Running::start(tickcast(&["tail", "nope", "trades:BTCUSDT", "--url", &url]));
    await_line(&tail.out, "UNKNOWN_TOPIC");
    await_line(&tail.out, "trades:BTCUSDT update");
}

#[test]
fn it_says_when_the_server_went_down() {
    let (server, url) = simulated();
    let mut tail = Running::start(tickcast(&["tail", "trades:BTCUSDT", "--url", &url]));
    await_line(&tail.out, "subscribed");
    server.signal("TERM");
    let line = await_line(&tail.err, "closed the connection");
    assert!(line.contains("1012") && line.contains("retry in"), "{line}");
    assert_eq!(tail.ended().code(), Some(1));
}

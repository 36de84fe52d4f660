//! `tickcast serve` and `tickcast demo`, as an operator meets them.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Running, await_line, data, run, tickcast};
use crate::raw::{Raw, frame};

/// The status and the body of an answer.
fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut raw = Raw::socket(address);
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes());
    let status = raw.head().split(' ').nth(1).unwrap().parse().unwrap();
    (status, String::from_utf8(raw.rest()).unwrap())
}

fn until_ready(address: SocketAddr) {
    for _ in 0..2_000 {
        if get(address, "/readyz").0 == 200 {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it does not become ready: {}", get(address, "/readyz").1);
}

#[test]
fn a_wrong_value_is_named_with_its_key_its_place_and_what_would_be_right() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("tickcast.toml");
    std::fs::write(&file, "[limits]\nping_ms = 5\nsubscription = 3\n").unwrap();
    let file = file.to_str().unwrap();
    let cases: [(&[&str], &[&str]); 7] = [
        (
            &["--config", file],
            &[
                "tickcast.toml:2: limits.ping_ms = 5: a whole number of milliseconds from 100",
                "tickcast.toml:3: there is no key limits.subscription; did you mean limits.subscriptions?",
            ],
        ),
        (&["--config", "/nowhere.toml"], &["/nowhere.toml", "--config"]),
        (&["--listen", "here"], &["flag --listen", "listen = \"here\"", "127.0.0.1:3000"]),
        (&["--source", "krakn"], &["flag --source", "krakn", "simulated"]),
        (&["--source", "binance"], &["symbols are needed", "--symbols"]),
        (&["--source", "replay:/nowhere.gz"], &["/nowhere.gz", "give the path of a recording"]),
        (&["--rate", "0", "--source", "simulated"], &["flag --rate", "simulated.rate"]),
    ];
    for (args, parts) in cases {
        let done =
            run(&[&["serve", "--listen", "127.0.0.1:0"][..if args[0] == "--listen" { 1 } else { 3 }], args]
                .concat());
        assert_eq!(done.status.code(), Some(1), "{args:?}");
        for part in parts {
            assert!(done.err.contains(part), "{args:?}: {part:?} is not in {}", done.err);
        }
    }
}

#[test]
fn development_mode_is_refused_where_strangers_can_come() {
    let mut command = tickcast(&["serve", "--listen", "0.0.0.0:0"]);
    let output = command.env("NODE_ENV", "development").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("NODE_ENV") && text.contains("loopback"), "{text}");
}

#[test]
fn a_port_in_use_is_named_with_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for command in ["serve", "demo"] {
        let done = run(&[command, "--listen", &address]);
        assert_eq!(done.status.code(), Some(1));
        let last = done.err.lines().last().unwrap();
        assert!(last.contains(&address) && last.contains("--listen"), "{last}");
    }
}

#[test]
fn both_signals_end_it_and_clients_are_told() {
    for signal in ["TERM", "INT"] {
        let (mut server, address) = Running::serve(&["--source", "simulated"]);
        until_ready(address);
        let mut client = Raw::connect(address);
        client.subscribe(&["book:BTCUSDT", "trades:BTCUSDT"]);
        server.signal(signal);
        let (code, reason) = client.close_frame();
        assert_eq!(code, 1012);
        assert!(reason.starts_with("retry in "), "{reason}");
        client.send(&frame(8, true, &1012_u16.to_be_bytes()));
        assert_eq!(server.ended().code(), Some(0), "{signal}");
    }
}

#[test]
fn it_says_when_it_is_well_and_when_it_is_ready() {
    let (_server, address) = Running::serve(&["--source", "none", "--symbols", "A"]);
    assert_eq!(get(address, "/healthz").0, 200);
    assert_eq!(get(address, "/readyz").0, 200, "nothing is expected to come");
    // A venue that nobody answers for.
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("t.toml");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    std::fs::write(&file, format!("[binance]\nws_url = \"ws://{nobody}\"\nrest_url = \"http://{nobody}\"\n"))
        .unwrap();
    let (_server, address) =
        Running::serve(&["--source", "binance", "--symbols", "BTCUSDT", "--config", file.to_str().unwrap()]);
    assert_eq!(get(address, "/readyz").0, 503);
    assert_eq!(get(address, "/healthz").0, 200);
}

#[test]
fn recordings_are_served_at_every_speed() {
    let Some(data) = data() else { return };
    let capture = data.join("binance_spot/cf_20210404_BTC-ETH-DOT.txt.zst");
    let source = format!("replay:{}", capture.display());
    let folder = TempDir::new().unwrap();
    for speed in ["\"max\"", "10"] {
        let file = folder.path().join("t.toml");
        std::fs::write(&file, format!("[replay]\nspeed = {speed}\n")).unwrap();
        let (mut server, address) =
            Running::serve(&["--source", &source, "--config", file.to_str().unwrap()]);
        until_ready(address);
        let mut client = Raw::connect(address);
        assert_eq!(client.subscribe(&["book:BTCUSDT", "kline:BTCUSDT:1m"])["type"], "ok");
        // It is ready when the first book is: this one may come a little later.
        while client.hear()["type"] != "snapshot" {}
        server.signal("TERM");
        assert_eq!(server.ended().code(), Some(0));
    }
}

#[test]
fn the_demo_says_how_to_look_at_it() {
    let demo = Running::start(tickcast(&["demo", "--listen", "127.0.0.1:0"]));
    let line = await_line(&demo.out, "tail ticker:*");
    let url = line.split_whitespace().last().unwrap();
    let shown = Running::start(tickcast(&["tail", "ticker:*", "book:BTCUSDT:5:100ms", "--url", url]));
    await_line(&shown.out, "BTCUSDT");
    await_line(&shown.out, "delta");
}

#[test]
fn the_demo_has_an_account_for_whoever_opens_its_page_and_a_server_has_none() {
    let demo = Running::start(tickcast(&["demo", "--listen", "127.0.0.1:0"]));
    let address = demo.address();
    assert!(get(address, "/").1.contains("data-account=\"/demo/token\""));
    let (status, body) = get(address, "/demo/token");
    assert_eq!(status, 200, "{body}");
    let token: serde_json::Value = serde_json::from_str(&body).unwrap();
    let mut client = Raw::connect_to(address, &format!("/v1/ws?token={}", token["token"].as_str().unwrap()));
    client.subscribe(&["orders", "trades", "balances"]);
    let mut heard = std::collections::BTreeSet::new();
    while heard.len() < 6 {
        let message = client.hear();
        let event = message["data"]["event"].as_str().unwrap_or("snapshot");
        heard.insert(format!("{} {event}", message["topic"].as_str().unwrap()));
        heard.retain(|what| {
            ["orders snapshot", "trades snapshot", "balances snapshot"].contains(&what.as_str())
                || ["orders order.created", "trades trade.executed", "balances balance.updated"]
                    .contains(&what.as_str())
        });
    }
    // It may look and no more.
    let mut raw = Raw::socket(address);
    let token = token["token"].as_str().unwrap();
    raw.send(
        format!("POST /publish?token={token} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n[]").as_bytes(),
    );
    assert_eq!(raw.head().split(' ').nth(1), Some("403"));

    let (_server, address) = Running::serve(&["--source", "simulated", "--page"]);
    assert_eq!(get(address, "/demo/token").0, 404);
    let (status, page) = get(address, "/");
    assert!(status == 200 && !page.contains("data-account"));
}

#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    let (mut server, address) = Running::serve(&["--source", "simulated"]);
    until_ready(address);
    std::io::stdout().flush().unwrap();
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
}

//! Tokens stay with those who brought them: none stands in a log, in an answer or in a metric.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use serde_json::json;
use tickcast::auth::{Mint, mint};
use tickcast::config::Secrets;

use crate::process::{PATIENCE, Running, tickcast};
use crate::raw::{Raw, upgrade};

const SECRET: &str = "a secret of at least thirty-two bytes";

/// A right token, and one whose signature is wrong.
fn tokens() -> [String; 2] {
    let secrets = Secrets { jwt_secret: Some(SECRET.into()), ..Secrets::default() };
    let now = tickcast::clock::Clock::start().now();
    let what = Mint { scope: "publish admin".into(), ..Mint::new("ann-31f7", now, 600) };
    let right = mint(&what, &secrets).unwrap();
    let other =
        Secrets { jwt_secret: Some("another secret of thirty-two bytes".into()), ..Secrets::default() };
    [right, mint(&what, &other).unwrap()]
}

/// Everything that is answered to these bytes.
fn answered(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let (mut heard, mut part) = (Vec::new(), [0; 4_096]);
    while !is_whole(&String::from_utf8_lossy(&heard)) {
        match stream.read(&mut part) {
            Ok(length) if length > 0 => heard.extend_from_slice(&part[..length]),
            Ok(_) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(&heard).into_owned()
}

/// Whether nothing more will come of an HTTP answer.
fn is_whole(answer: &str) -> bool {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| body.len() >= length.parse().unwrap())
}

/// Says these on a WebSocket, and hears an answer to each, as long as the server goes on.
fn talked(address: SocketAddr, path: &str, said: &[String]) -> String {
    let mut raw = Raw::connect_to(address, path);
    let mut heard = Vec::new();
    if path.starts_with("/socket.io/") {
        heard.push(raw.frame());
    }
    for text in said {
        raw.say(text);
        match raw.try_frame() {
            Ok(Some(got)) => heard.push(got),
            Ok(None) | Err(_) => break,
        }
    }
    // What else comes: events beside callbacks, and the end.
    let _ = raw.stream.shutdown(Shutdown::Write);
    while let Ok(Some(got)) = raw.try_frame() {
        heard.push(got);
    }
    heard.iter().map(|got| String::from_utf8_lossy(&got.payload).into_owned() + "\n").collect()
}

/// Every address that there is, and some that there are not.
const PLACES: [&str; 12] = [
    "GET /v1/ws",
    "GET /ws",
    "GET /ws/status",
    "GET /stats",
    "GET /metrics",
    "GET /healthz",
    "GET /api/v1/symbols",
    "GET /udf/config",
    "GET /nowhere",
    "POST /publish",
    "GET /publish",
    "BREW /v1/ws",
];

fn requests(token: &str) -> Vec<String> {
    let mut requests = Vec::new();
    let rest = "HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n";
    for place in PLACES {
        requests.push(format!("{place}?token={token} {rest}\r\n"));
        requests.push(format!("{place} {rest}Authorization: Bearer {token}\r\n\r\n"));
        requests.push(format!("{place} {rest}Authorization: Basic {token}\r\n\r\n"));
    }
    for transport in ["polling", "websocket", "nonsense"] {
        let path = format!("/socket.io/?EIO=4&transport={transport}&token={token}");
        requests.push(format!("GET {path} {rest}\r\n"));
        requests.push(format!("GET {path}&sid=nobodys {rest}\r\n"));
        requests.push(upgrade(&path, ""));
    }
    for path in ["/v1/ws", "/ws"] {
        requests.push(upgrade(&format!("{path}?token={token}"), ""));
        requests.push(upgrade(path, &format!("Authorization: Bearer {token}\r\n")));
        requests
            .push(upgrade(&format!("{path}?token={token}&payload=nonsense"), "Sec-WebSocket-Version: 7\r\n"));
    }
    // What is no request at all.
    requests.push(format!("GET /v1/ws?token={token} HTTP/9.9\r\n\r\n"));
    requests.push(format!("GET /v1/ws?token={token} and more HTTP/1.1\r\n\r\n"));
    requests.push(format!("GET /v1/ws HTTP/1.1\r\nHost: x\r\nAuthorization Bearer {token}\r\n\r\n"));
    requests
}

/// What is said on WebSockets, in the dialect's own place and in wrong ones.
fn talks(token: &str, right: &str) -> Vec<(String, Vec<String>)> {
    let auth = json!({"token": token});
    vec![
        (
            "/v1/ws".to_owned(),
            vec![
                json!({"op": "auth", "token": token}).to_string(),
                json!({"op": "auth", "token": [token]}).to_string(),
                json!({"op": "auth", "token": auth}).to_string(),
                json!({"op": "subscribe", "topics": token}).to_string(),
                json!({"op": "list", "since": token}).to_string(),
                format!(r#"{{"op":"auth","token":"{token}"#),
            ],
        ),
        (
            format!("/ws?token={right}"),
            vec![
                json!({"type": "AUTHENTICATION", "payload": auth}).to_string(),
                json!({"type": "AUTHENTICATION", "payload": token}).to_string(),
                json!({"type": "AUTHENTICATION", "payload": {"token": auth}}).to_string(),
                json!({"type": "SUBSCRIPTION", "payload": {"action": "subscribe", "topics": token}})
                    .to_string(),
                format!(r#"{{"type":"AUTHENTICATION","payload":"{token}"#),
            ],
        ),
        (
            "/socket.io/?EIO=4&transport=websocket".to_owned(),
            vec![format!("40/ws,{auth}"), format!("40{auth}"), format!("40/nowhere,{auth}")],
        ),
        (
            "/socket.io/?EIO=4&transport=websocket".to_owned(),
            vec![
                "40/ws,".to_owned(),
                format!("42/ws,1{}", json!(["auth", auth])),
                format!("42/ws,2{}", json!(["auth", token])),
                format!("42/ws,3{}", json!(["auth", {"token": auth}])),
                format!("42/ws,4{}", json!(["subscribe", token])),
                format!("42/ws,5{}", json!(["subscribe", {"channel": [token]}])),
            ],
        ),
        ("/socket.io/?EIO=4&transport=websocket".to_owned(), vec![format!("40{{\"token\":\"{token}")]),
    ]
}

#[test]
fn no_token_stands_in_a_log_an_answer_or_a_metric() {
    let mut command = tickcast(&["serve", "--listen", "127.0.0.1:0", "--source", "none"]);
    command.env("JWT_SECRET", SECRET).env("RUST_LOG", "trace");
    let mut running = Running::start(command);
    let address = running.address();
    let tokens = tokens();
    let mut answers = 0;
    let secret_parts = || tokens.iter().flat_map(|token| token.split('.').skip(1));
    for token in &tokens {
        for request in requests(token) {
            let answer = answered(address, &request);
            answers += usize::from(answer.starts_with("HTTP/1.1 "));
            let kept = secret_parts().all(|part| !answer.contains(part));
            assert!(kept, "answered to {request}: {answer}");
        }
        for (path, said) in talks(token, &tokens[0]) {
            let answers = talked(address, &path, &said);
            let kept = secret_parts().all(|part| !answers.contains(part));
            assert!(kept, "answered on {path}: {answers}");
        }
    }
    assert!(answers > 80, "{answers} answers");
    let metrics = answered(address, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(metrics.contains("tickcast_clients") && secret_parts().all(|part| !metrics.contains(part)));
    running.signal("TERM");
    let (mut lines, mut audited) = (0, 0);
    while let Ok(line) = running.err.recv_timeout(PATIENCE) {
        assert!(secret_parts().all(|part| !line.contains(part)) && !line.contains(SECRET), "{line}");
        lines += 1;
        audited += usize::from(line.contains("token_refused"));
    }
    running.ended();
    assert!(lines > 50 && audited > 10, "{lines} lines were written, {audited} of refused tokens");
}

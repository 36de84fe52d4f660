//! `kill -9` in the middle of publishing, again and again: nothing acknowledged is lost or doubled.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{Running, tickcast};
use crate::raw::Raw;

const SECRET: &str = "a secret of at least thirty-two bytes";
const USERS: usize = 8;
const KILLS: usize = 20;

pub(crate) fn serve(folder: &str, config: &str) -> (Running, SocketAddr) {
    let args = ["serve", "--listen", "127.0.0.1:0", "--data-dir", folder, "--config", config];
    let mut command = tickcast(&args);
    command.env("JWT_SECRET", SECRET);
    let running = Running::start(command);
    let address = running.address();
    (running, address)
}

pub(crate) fn token(user: &str, scope: &str) -> String {
    let mut command = tickcast(&["token", "--user", user, "--scope", scope]);
    let output = command.env("JWT_SECRET", SECRET).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Posts a batch; `None` where no whole answer came.
pub(crate) fn post(address: SocketAddr, token: &str, body: &str) -> Option<Value> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let length = body.len();
    let head = format!(
        "POST /publish?token={token} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let at = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    serde_json::from_slice(&answer[at + 4..]).ok()
}

/// Publishes for one user until told to stop; what was acknowledged goes into `acknowledged`.
fn publish(
    address: SocketAddr,
    token: &str,
    user: usize,
    next: &mut u64,
    acknowledged: &Mutex<BTreeMap<(usize, u64), u64>>,
    stop: &AtomicBool,
) {
    while !stop.load(Ordering::Relaxed) {
        let ids: Vec<u64> = (*next..*next + 5).collect();
        *next += 5;
        let object = |id: &u64| json!({"type": "trade.executed", "userId": format!("user{user}"), "data": {"tradeId": id}});
        let body: Vec<_> = ids.iter().map(object).collect();
        let Some(answer) = post(address, token, &json!(body).to_string()) else { return };
        assert_eq!(answer["accepted"], json!(5), "{answer}");
        let mut acknowledged = acknowledged.lock().unwrap();
        for (id, seq) in ids.iter().zip(answer["seqs"].as_array().unwrap()) {
            acknowledged.insert((user, *id), seq.as_u64().unwrap());
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_when_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "journal.events = 1000000\n").unwrap();
    let (data, config) = (folder.path().join("data"), config.to_str().unwrap().to_owned());
    let data = data.to_str().unwrap();
    let publisher = token("backend", "publish");
    let acknowledged = Arc::new(Mutex::new(BTreeMap::new()));
    let mut next = [1_u64; USERS];
    for _ in 0..KILLS {
        let (mut server, address) = serve(data, &config);
        let stop = AtomicBool::new(false);
        let before = acknowledged.lock().unwrap().len();
        std::thread::scope(|scope| {
            for (user, next) in next.iter_mut().enumerate() {
                let (token, acknowledged, stop) = (&publisher, &acknowledged, &stop);
                scope.spawn(move || publish(address, token, user, next, acknowledged, stop));
            }
            // Killed under load: some time after the first acknowledgements of this run.
            crate::process::until(|| acknowledged.lock().unwrap().len() >= before + 50);
            server.child.kill().unwrap();
            server.child.wait().unwrap();
            stop.store(true, Ordering::Relaxed);
        });
    }
    let (_server, address) = serve(data, &config);
    let acknowledged = acknowledged.lock().unwrap();
    let mut found = 0;
    for user in 0..USERS {
        let heard = resume(address, user);
        let seqs: Vec<_> = heard.iter().map(|(seq, _)| *seq).collect();
        assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "numbers have no holes");
        let mut ids: Vec<_> = heard.iter().map(|(_, id)| *id).collect();
        for (&(_, id), seq) in acknowledged.range((user, 0)..(user + 1, 0)) {
            assert_eq!(
                heard[usize::try_from(*seq).unwrap() - 1].1,
                id,
                "what was acknowledged is at its number"
            );
            found += 1;
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), heard.len(), "nothing is doubled");
    }
    assert_eq!(found, acknowledged.len());
    assert!(found >= KILLS * 50, "{found} events were acknowledged");
    println!("{KILLS} kills, {found} acknowledged events, all there");
}

#[test]
fn one_user_s_damage_refuses_that_user_alone() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "").unwrap();
    let (data, config) = (folder.path().join("data"), config.to_str().unwrap().to_owned());
    let publisher = token("backend", "publish");
    let trade =
        |user: &str, id: u64| json!({"type": "trade.executed", "userId": user, "data": {"tradeId": id}});
    let (server, address) = serve(data.to_str().unwrap(), &config);
    let first = json!([trade("user1", 1), trade("user2", 1)]).to_string();
    assert_eq!(post(address, &publisher, &first).unwrap()["seqs"], json!([1, 1]));
    drop(server);
    let db = rusqlite::Connection::open(data.join("journal.sqlite")).unwrap();
    db.execute_batch("update events set topics = '7 7 trades' where account = 1").unwrap();
    drop(db);
    let (_server, address) = serve(data.to_str().unwrap(), &config);
    let mut grid = json!({"type": "order.created", "userId": "user2", "data": {"orderId": "1"}});
    grid["strategyId"] = "grid".into();
    let group = json!([trade("user2", 2), trade("user1", 2), grid, trade("user2", 3)]).to_string();
    let answer = post(address, &publisher, &group).unwrap();
    assert_eq!((&answer["accepted"], &answer["seqs"]), (&json!(3), &json!([2, null, 1, 3])));
    let refused = &answer["rejected"][0];
    assert_eq!((&refused["index"], &refused["code"]), (&json!(1), &json!("NOT_DURABLE")));
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("damaged: the numbers of account 1"), "{message}");
    assert_eq!(resume(address, 2), [(1, 1), (2, 2), (3, 3)]);
}

/// All that a user's topic holds, as a client that had nothing resumes it.
pub(crate) fn resume(address: SocketAddr, user: usize) -> Vec<(u64, u64)> {
    let token = token(&format!("user{user}"), "");
    let mut client = Raw::connect_to(address, &format!("/v1/ws?token={token}"));
    client.subscribe(&["trades"]);
    let snapshot = client.hear();
    let (epoch, last) = (snapshot["epoch"].clone(), snapshot["seq"].as_u64().unwrap());
    let mut client = Raw::connect_to(address, &format!("/v1/ws?token={token}"));
    let since =
        json!({"op": "subscribe", "topics": ["trades"], "since": {"trades": {"epoch": epoch, "seq": 0}}});
    client.say(&since.to_string());
    assert_eq!(client.hear()["type"], json!("ok"));
    let hear = |_| {
        let message = client.hear();
        (message["seq"].as_u64().unwrap(), message["data"]["tradeId"].as_u64().unwrap())
    };
    (0..last).map(hear).collect()
}

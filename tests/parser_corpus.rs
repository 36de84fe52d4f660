//! The same verdict as npm's `socket.io-parser`, on packets that are made up here.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on stops here and says why"
)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tickcast::session::socketio::{Kind, Packet};

/// How many packets are tried. `tests/clients/parser.mjs` judges them too.
const PACKETS: usize = 20_000;

#[test]
fn each_of_twenty_thousand_packets_is_judged_as_by_the_javascript_parser() {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    if !clients.join("node_modules/socket.io-parser").is_dir() {
        println!("skipped: run `npm ci` in tests/clients first (./test.sh does)");
        return;
    }
    let mut random = fastrand::Rng::with_seed(20_251_121);
    let packets: Vec<String> = (0..PACKETS).map(|_| packet(&mut random)).collect();
    let lines: Vec<String> = packets.iter().map(|packet| json!(packet).to_string()).collect();
    let mut node = Command::new("node")
        .arg("parser.mjs")
        .current_dir(&clients)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = node.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all((lines.join("\n") + "\n").as_bytes()));
    let output = node.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let verdicts: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(verdicts.len(), PACKETS);
    let mut accepted = 0;
    for (packet, theirs) in packets.iter().zip(&verdicts) {
        let ours = judge(packet, theirs);
        assert_eq!(&ours, theirs, "{packet:?}");
        accepted += usize::from(!ours.is_null());
    }
    println!("{accepted} of {PACKETS} packets are accepted by both");
    assert!((PACKETS / 10..PACKETS * 9 / 10).contains(&accepted), "the corpus tries both verdicts");
}

/// Our verdict, in the same shape.
fn judge(text: &str, theirs: &Value) -> Value {
    let Ok(packet) = Packet::read(text) else { return Value::Null };
    if packet.attachments > 0 && packet.check_placeholders().is_err() {
        return Value::Null;
    }
    let kind = match packet.kind {
        Kind::Connect => 0,
        Kind::Disconnect => 1,
        Kind::Event => 2,
        Kind::Ack => 3,
        Kind::ConnectError => 4,
    };
    // A number that JavaScript cannot hold is told by neither.
    let id = packet.id.filter(|id| *id < 1 << 53 && !theirs["id"].is_null());
    json!({"type": kind, "nsp": packet.namespace, "id": id, "data": packet.data.is_some()})
}

/// A packet that is right, nearly right, or damaged.
fn packet(random: &mut fastrand::Rng) -> String {
    let pick = |random: &mut fastrand::Rng, from: &[&str]| from[random.usize(..from.len())].to_owned();
    let mut text = pick(random, &["0", "1", "2", "2", "2", "3", "3", "4", "5", "5", "6", "7", "", " ", "a"]);
    if matches!(&*text, "5" | "6") || random.u8(..20) == 0 {
        text += &pick(
            random,
            &[
                "1-", "1-", "2-", "10-", "11-", "0-", "-", "1", "1e0-", "0x2-", "+1-", " 1-", "1.0-", "1.5-",
                "inf-", "-1-",
            ],
        );
    }
    text += &pick(random, &["", "", "", "/ws,", "/ws", "/,", "/a/b?x=1,", "/é,", "ws,"]);
    text += &pick(
        random,
        &["", "", "", "1", "12", "007", " ", "1 2", "99999999999999999999", "-1", "1.5", "\u{a0}3"],
    );
    text += &pick(
        random,
        &[
            "",
            "{}",
            "[]",
            r#"["a"]"#,
            r#"["a",1,"2",{"3":[true]}]"#,
            r#"["connect"]"#,
            r#"["disconn\u0065ct",1]"#,
            "[1]",
            "[-1.5e3,{}]",
            "[null]",
            "[{}]",
            "[[]]",
            r#"{"token":"x"}"#,
            r#""text""#,
            "null",
            "true",
            "1",
            r#"["a",{"_placeholder":true,"num":0}]"#,
            r#"["a",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]"#,
            r#"["a",{"_placeholder":true,"num":-1}]"#,
            r#"["a",{"_placeholder":true}]"#,
            r#"["a",{"b":[{"_placeholder":true,"num":0.5}]}]"#,
            r#"["a",{"_placeholder":false,"num":9}]"#,
            r#"["a",{"_placeholder":true,"num":9,"num":0}]"#,
            r#"["\ud800",1]"#,
            "[\"a\",\"\u{2028}é\u{1f600}\"]",
            " [\"a\"] ",
            "[\"a\"",
            "[\"a\",]",
            "[\"a\"]x",
            "[\"a\",01]",
            "[\"a\",1e999]",
            r#"{"a":1,"a":2}"#,
            r#"{"a":}"#,
            "[\"\t\"]",
            r#"["a\x"]"#,
            "{\"message\":\"no\"}",
        ],
    );
    for _ in 0..random.usize(..6).saturating_sub(3) {
        damage(random, &mut text);
    }
    text
}

fn damage(random: &mut fastrand::Rng, text: &mut String) {
    const WITH: [&str; 22] = [
        "0", "5", "-", "/", ",", "[", "]", "{", "}", "\"", "\\", " ", "\n", "e", ".", "a", "\u{feff}", "é",
        ":", "\u{1e}", "true", "1",
    ];
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let at = places[random.usize(..places.len())];
    match (random.u8(..3), text[at..].chars().next()) {
        (0, Some(_)) => _ = text.remove(at),
        (1, Some(old)) => text.replace_range(at..at + old.len_utf8(), WITH[random.usize(..WITH.len())]),
        _ => text.insert_str(at, WITH[random.usize(..WITH.len())]),
    }
}

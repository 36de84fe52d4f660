//! A disk that is really full: publishing is refused, reading goes on, and with room it comes back.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::durability::{post, resume, serve, token};

/// A file system of a few megabytes; unmounted when it is dropped.
struct Tiny(PathBuf);

impl Tiny {
    /// `None` where there is none to be had: mounting is for root.
    fn mount(at: &Path) -> Option<Tiny> {
        std::fs::create_dir(at).unwrap();
        let args = ["-t", "tmpfs", "-o", "size=4m", "tmpfs"];
        let mounted = Command::new("mount").args(args).arg(at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Tiny(at.to_owned()));
        }
        println!("SKIPPED: only root may mount the tiny file system that this fills");
        None
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        // Detached at once, whoever still has a file of it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A deposit of some kilobytes: each is a thing of its own that stays.
fn deposit(id: u64) -> Value {
    let data = json!({"depositId": id.to_string(), "tradeId": id, "note": "x".repeat(4_000)});
    json!({"type": "deposit.detected", "userId": "user1", "data": data})
}

#[test]
fn a_full_disk_refuses_publications_and_nothing_else_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Tiny::mount(&folder.path().join("disk")) else { return };
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "").unwrap();
    // Something else takes half of it.
    let other = disk.0.join("other");
    std::fs::write(&other, vec![1; 2 << 20]).unwrap();
    let data = disk.0.join("data");
    let (server, address) = serve(data.to_str().unwrap(), config.to_str().unwrap());
    let publisher = token("backend", "publish");
    let publish = |id| post(address, &publisher, &deposit(id).to_string()).unwrap();

    let trade = json!({"type": "trade.executed", "userId": "user1", "data": {"tradeId": 1}});
    assert_eq!(post(address, &publisher, &trade.to_string()).unwrap()["seqs"], json!([1]));
    let (mut taken, mut refused) = (0_u64, None);
    for id in 1..2_000 {
        let answer = publish(id);
        if answer["accepted"] == json!(0) {
            refused = Some(answer);
            break;
        }
        taken = answer["seqs"][0].as_u64().unwrap();
        assert_eq!(taken, id, "numbers have no holes");
    }
    let refused = refused.expect("four megabytes hold no two thousand of these");
    assert_eq!(refused["rejected"][0]["code"], json!("NOT_DURABLE"), "{refused}");
    assert!(refused["rejected"][0]["message"].as_str().unwrap().contains("room"), "{refused}");
    assert!(taken > 50, "{taken}");
    assert_eq!(resume(address, 1), [(1, 1)], "what is there is read");

    drop(server);
    let (server, address) = serve(data.to_str().unwrap(), config.to_str().unwrap());
    let publish = |id| post(address, &publisher, &deposit(id).to_string()).unwrap();
    assert_eq!(resume(address, 1), [(1, 1)], "nor does a full disk keep it from starting");

    std::fs::remove_file(other).unwrap();
    assert_eq!(publish(taken + 1)["seqs"], json!([taken + 1]), "the refused one used no number");
    drop(server);
    let (_server, address) = serve(data.to_str().unwrap(), config.to_str().unwrap());
    let answer = post(address, &publisher, &deposit(taken + 2).to_string()).unwrap();
    assert_eq!(answer["seqs"], json!([taken + 2]), "nor did it leave half of it behind");
}

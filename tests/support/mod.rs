//! What several tests need: a client that follows the protocol's page, and a shard to listen to.
#![allow(dead_code, reason = "no test uses all of it")]
#![allow(unreachable_pub, reason = "every test is a crate of its own, and this belongs to several")]

pub mod client;
pub mod world;

use std::path::{Path, PathBuf};

/// The recordings beside the project; `None`, and a line that says so, where they are not.
pub fn data() -> Option<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if data.is_dir() {
        return Some(data);
    }
    println!("SKIPPED: no recordings at {}", data.display());
    None
}

//! Serves what the conformance suites of Engine.IO and Socket.IO expect, on the project's transport:
//! `cargo run --release --example conformance -- --listen 127.0.0.1:3000`.
#![allow(clippy::print_stdout, reason = "it tells a person where it listens")]

mod suite;

use std::net::SocketAddr;

use clap::Parser;
use suite::Suite;
use tokio::sync::watch;

/// Serves what the conformance suites of Engine.IO (`/engine.io/`) and Socket.IO (`/socket.io/`) expect.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where the suites connect.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
}

fn main() -> std::io::Result<()> {
    let Arguments { listen } = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (stop, stopped) = watch::channel(false);
    let (server, workers) = runtime.block_on(Suite::bind(listen))?;
    println!("listening on {}", server.address()?);
    runtime.block_on(async {
        tokio::select! {
            _ = server.serve(stopped) => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    });
    drop(stop);
    workers.end();
    Ok(())
}

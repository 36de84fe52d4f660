//! The fan-out alone, without market data: what a client sends on `/pub` every client on `/sub` gets,
//! and `/echo` returns every message, text or binary, up to 64 MiB.
//!
//! ```text
//! cargo run --release --example pubsub -- --listen 127.0.0.1:9000 [--workers N]
//! ```
#![allow(clippy::print_stdout, reason = "it says where it listens")]

mod service;

use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroUsize;

use clap::Parser;
use service::PubSub;
use tokio::sync::watch;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Publish, subscribe and echo over WebSockets.
#[derive(Parser)]
struct Arguments {
    /// Where clients connect.
    #[arg(long, default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// Threads that own connections; one per core where it is not given.
    #[arg(long)]
    workers: Option<NonZeroUsize>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { listen, workers } = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let running = runtime.block_on(async {
        let (server, running) = PubSub::bind(listen, workers).await?;
        println!("listening on {}", server.address()?);
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move {
            let _ = tokio::signal::ctrl_c().await;
            stop.send_replace(true);
        });
        server.serve(stopped).await;
        Ok::<_, std::io::Error>(running)
    })?;
    running.end();
    Ok(())
}

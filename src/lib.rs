//! tickcast: a low-latency market-data streaming engine.

pub mod cli;
pub mod clock;
pub mod coalesce;
pub mod config;
pub mod dialect;
pub mod encode;
pub mod engine;
pub mod fanout;
pub mod ingest;
pub mod market;
pub mod server;
pub mod session;
pub mod shard;
pub mod state;

//! tickcast: a low-latency market-data streaming engine.

pub mod cli;
pub mod clock;
pub mod config;
pub mod ingest;
pub mod market;

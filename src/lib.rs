//! tickcast: a low-latency market-data streaming engine.

pub mod clock;
pub mod ingest;
pub mod market;

//! tickcast: a low-latency market-data streaming engine.

pub mod clock;
pub mod encode;
pub mod ingest;
pub mod market;
pub mod session;

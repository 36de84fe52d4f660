//! What is asked over HTTP: bars, books, tickers, trades, TradingView's feed, and the page.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on stops here and says why"
)]

#[path = "../support/client.rs"]
#[allow(dead_code, unreachable_pub, clippy::wildcard_enum_match_arm, reason = "it belongs to several tests")]
mod client;
#[path = "../support/raw.rs"]
mod raw;
#[path = "../support/running.rs"]
mod running;

mod api;
mod ask;
mod kept;
mod metrics;
mod openapi;
mod page;
mod udf;

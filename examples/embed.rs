//! The engine inside another tokio program, which publishes a market of its own and serves it.
//!
//! `cargo run --example embed` prints where the page of it is.
#![allow(clippy::print_stdout, reason = "this is what it is for")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tickcast::auth::Tokens;
use tickcast::clock::Clock;
use tickcast::config::Config;
use tickcast::engine::{Engine, EngineSink};
use tickcast::ingest::Sink;
use tickcast::market::{BookKind, Decimal, Event, Quantity, RawLevel, Side, SymbolId, Trade, TradeId};
use tickcast::server::{Door, Market, Server};
use tokio::sync::watch;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config { page: true, ..Config::default() };
    config.listen.set_port(0);

    let engine = Engine::start(&config)?;
    let gold = engine.symbols().add("GOLD/USD")?;
    let sink = engine.sink();

    let door = Door::new(&config, engine.workers().clone());
    let tokens = Arc::new(Tokens::new(&config)?);
    let server = Server::bind(&config, Market::new(&config, engine, tokens), door).await?;
    println!("http://{}/", server.address()?);

    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(server.serve(stopped.clone()));
    // A sink waits while its shard is busy, so that it has a thread that may wait.
    let publishing = tokio::task::spawn_blocking(move || publish(gold, sink, &stopped));

    tokio::signal::ctrl_c().await?;
    stop.send_replace(true);
    publishing.await?;
    serving.await?.into_engine().shut_down(config.limits.shutdown);
    Ok(())
}

/// Walks a price up and down, with a level on each side of it and a trade at it.
fn publish(gold: SymbolId, mut sink: EngineSink, stopped: &watch::Receiver<bool>) {
    let mut clock = Clock::start();
    for number in 1.. {
        if *stopped.borrow() {
            return;
        }
        let (now, cents) = (clock.now(), 265_000 + (number % 200_i64 - 100).abs());
        let quantity = |units| Quantity::new(Decimal::new(units, 1)).unwrap_or(Quantity::ZERO);
        let level = |cents| RawLevel { price: Decimal::new(cents, 2), quantity: quantity(25) };
        let mut change = sink.blank();
        (change.kind, change.time) = (BookKind::Snapshot, now);
        (change.first_update_id, change.last_update_id) = (number.unsigned_abs(), number.unsigned_abs());
        change.bids.extend((1..=10).map(|distance| level(cents - distance)));
        change.asks.extend((1..=10).map(|distance| level(cents + distance)));
        sink.put(gold, now, Event::Book(change));
        let trade = Trade {
            id: TradeId::Number(number.unsigned_abs()),
            price: Decimal::new(cents, 2),
            quantity: quantity(1),
            taker: Some(if number % 2 == 0 { Side::Bid } else { Side::Ask }),
            time: now,
            count: 1,
        };
        sink.put(gold, now, Event::Trade(trade));
        std::thread::sleep(Duration::from_millis(100));
    }
}

//! `tickcast demo`: the simulated exchange, the page, and somebody who trades on it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tracing::warn;

use super::serve::{ServeError, run};
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::{Engine, Publisher};
use crate::ingest::simulate::{Touch, Trader};
use crate::market::Symbols;
use crate::server::Visitor;
use crate::state::{Board, BookStatus};

/// Serves the simulated exchange and says how to look at it.
///
/// # Errors
/// As [`serve`](super::serve()).
pub fn demo(config: &Config) -> Result<(), ServeError> {
    // A key of this process alone: nobody but the page can be given a token, and none outlives it.
    let mut key = [0_u8; 32];
    getrandom::fill(&mut key).map_err(|error| ServeError::Start(std::io::Error::other(error.to_string())))?;
    let mut config = config.clone();
    config.secrets.jwt_secret = Some(key.iter().map(|byte| format!("{byte:02x}")).collect());
    let visitor = Visitor { user: USER.to_owned(), secrets: config.secrets.clone() };
    run(&config, Some(visitor), say_where)
}

#[allow(clippy::print_stdout, reason = "this is what the command is for")]
fn say_where(address: SocketAddr) {
    println!("A simulated exchange: look at it at http://{address}/ or, from another terminal, with\n");
    for topic in ["ticker:*", "book:BTCUSDT:10:100ms", "trades:BTCUSDT kline:BTCUSDT:1m"] {
        println!("  cargo run --release -- tail {topic} --url ws://{address}/v1/ws");
    }
    println!("\nPROTOCOL.md says what a program sends and hears. Ctrl-C ends it.");
}

/// What the trader needs of an engine.
pub(super) struct Desk {
    symbols: Arc<Symbols>,
    board: Arc<Board>,
    publisher: Publisher,
}

impl Desk {
    pub(super) fn new(engine: &Engine) -> Desk {
        Desk {
            symbols: engine.symbols().clone(),
            board: engine.board().clone(),
            publisher: engine.publisher().clone(),
        }
    }

    /// Trades for `user`, and publishes what happens to its account as any publisher would, until
    /// `stop` says so.
    pub(super) async fn trade(self, user: String, mut stop: watch::Receiver<bool>) {
        let mut clock = Clock::start();
        let mut trader = Trader::new(&user, &TRADED, clock.now().unsigned_abs());
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                _ = looks.tick() => {}
            }
            let now = clock.now();
            let said = trader.look(now, |symbol| self.touch(symbol));
            let said: Vec<&str> = said.iter().map(String::as_str).collect();
            for refused in self.publisher.publish_all(now, &said).await.into_iter().filter_map(Result::err) {
                warn!(code = refused.code, message = %refused.message, "what the trader did was refused");
            }
        }
    }

    fn touch(&self, symbol: &str) -> Option<Touch> {
        let cells = self.board.cells(self.symbols.with(|table| table.id(symbol))?)?;
        cells.book.with(|book| match book.status {
            BookStatus::Good => {
                let (bid, ask) = (*book.bids.first()?, *book.asks.first()?);
                Some(Touch { scale: book.scale, bid, ask })
            }
            BookStatus::Empty | BookStatus::Crossed | BookStatus::Stale(_) => None,
        })
    }
}

/// Whose account it is.
const USER: &str = "demo-trader";

/// What it trades: those of the demo's symbols that move most.
const TRADED: [&str; 3] = ["BTCUSDT", "ETHUSDT", "SOLUSDT"];

/// Between two looks at the market: often enough that one sees an order fill part by part.
const LOOK: Duration = Duration::from_millis(200);

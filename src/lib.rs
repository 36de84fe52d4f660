//! tickcast takes market data in, keeps every symbol's book, ticker, bars and trades, and streams
//! them to thousands of clients with one encoding per update.
//!
//! A client that follows the rules of `PROTOCOL.md` always holds the exact state, however slow it is;
//! an update costs one encoding and no copy of its own for each client, however many get it.
//!
//! ```text
//!                  ┌──────────── first picture on subscribe ────────────┐
//!                  │                                                    ▼
//! sources ─▶ ingest ─▶ state ─▶ coalesce ─▶ encode/dialect ─▶ fanout ─▶ socket
//!             parse     apply     when         bytes, once      who        │
//!                       publish   and what     per dialect      gets it    │
//!                                                    ▲                     │
//!                                session: what a client says ◀─────────────┘
//! ```
//!
//! | stage | owns |
//! |---|---|
//! | [`market`] | the vocabulary: symbols, exact numbers, intervals, events, topics, updates |
//! | [`ingest`] | bytes → [`Event`](market::Event)s: venues, recordings, the simulator, sequence rules |
//! | [`state`] | the ladders, bars, tickers and tapes; one writer each, lock-free snapshots for readers |
//! | [`coalesce`] | when something is told and what of it: throttles, merged deltas, the pictures clients hold |
//! | [`journal`] | private events, on disk before anybody hears of them; closed bars, for the next run |
//! | [`encode`], [`dialect`] | an update → the bytes that every client of a dialect gets |
//! | [`shard`] | the stages above as one pure pipeline for the symbols of a thread |
//! | [`auth`] | a token → who somebody is and what it may do; keys that rotate |
//! | [`session`] | one client's conversation: frames read strictly, commands, why it ends |
//! | [`fanout`] | workers that own connections: one write per connection and round |
//! | [`metrics`] | what the threads count, each for itself |
//! | [`engine`], [`server`], [`cli`] | threads and queues; HTTP, routes and the door to the workers; the commands a person types |
//!
//! A module uses only those that stand above it here (`tests/tidy` holds the arrows). The stages up to
//! [`shard`] know no socket, thread or clock: `now` is an argument.
//!
//! | state | written by | read by | handed over through |
//! |---|---|---|---|
//! | ladders, bars, tape | the shard that owns the symbol | nobody else | function call |
//! | current book and ticker | its one writer | any thread | `ArcSwap`, borrowed in a closure |
//! | pending changes | the shard | nobody else | function call |
//! | audiences, outboxes | the worker that owns the connection | that worker | bounded inbox |
//! | what is counted | the thread that does it | any thread | relaxed loads |
//! | conversation | its connection's task | nobody else | function call |
//!
//! # In a program of one's own
//!
//! What goes into an [`Engine`](engine::Engine) through a [`Sink`](ingest::Sink) is a book, a ticker, bars
//! and a tape at once, for readers in the same process and for clients of a [`Server`](server::Server)
//! (`examples/embed.rs` does both):
//!
//! ```
//! use tickcast::config::Config;
//! use tickcast::engine::Engine;
//! use tickcast::ingest::Sink;
//! use tickcast::market::{BookKind, Event, Quantity, RawLevel};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::default();
//! let engine = Engine::start(&config)?;
//! let gold = engine.symbols().add("GOLD/USD")?;
//!
//! let mut sink = engine.sink();
//! let mut change = sink.blank();
//! (change.kind, change.last_update_id) = (BookKind::Snapshot, 1);
//! change.bids.push(RawLevel { price: "2650.10".parse()?, quantity: Quantity::parse(b"1.5")? });
//! change.asks.push(RawLevel { price: "2650.30".parse()?, quantity: Quantity::parse(b"2")? });
//! sink.put(gold, 1_732_000_000_000, Event::Book(change));
//!
//! // The shard takes it in on its own thread; what it publishes is read without a lock.
//! let spread = loop {
//!     let cells = engine.board().cells(gold);
//!     let best = cells.and_then(|cells| {
//!         cells.book.with(|book| Some((book.scale, book.bids.first()?.price, book.asks.first()?.price)))
//!     });
//!     if let Some((scale, bid, ask)) = best {
//!         break format!("{} / {}", bid.to_decimal(scale), ask.to_decimal(scale));
//!     }
//!     std::thread::yield_now();
//! };
//! assert_eq!(spread, "2650.10 / 2650.30");
//! engine.shut_down(config.limits.shutdown);
//! # Ok(())
//! # }
//! ```

pub mod auth;
pub mod cli;
pub mod clock;
pub mod coalesce;
pub mod config;
pub mod dialect;
pub mod encode;
pub mod engine;
pub mod fanout;
pub mod ingest;
pub mod journal;
pub mod market;
pub mod metrics;
pub mod server;
pub mod session;
pub mod shard;
pub mod state;

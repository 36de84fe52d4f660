//! The stages wired together: sources → shards → workers, each on threads of its own.
//!
//! ```text
//! source ─▶ sink ─▶ queue of a shard ─▶ shard ─▶ inbox of a worker ─▶ outboxes ─▶ sockets
//!                        ▲                                │
//!                        └───────── joins, leaves ────────┘
//! ```
//! All queues are bounded; whoever finds one full waits, back to the venue's socket.

mod history;
mod keeper;
pub mod ledger;
mod publisher;
mod rate;
mod shard;
mod sink;
mod source;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::Sender;
use crossbeam_queue::ArrayQueue;
use tracing::error;

pub use history::{History, NoHistory};
use keeper::Keeper;
use ledger::{Ledger, LedgerInput, LedgerThread};
pub use publisher::{Published, Publisher, Rejected};
use shard::{ShardInput, ShardThread, WorkerOutlet};
pub use sink::{EngineSink, Sources};
pub use source::{RunningSource, SourceError, follow, live_config};

use crate::clock::Clock;
use crate::config::{Config, Source};
use crate::fanout::{WorkerConfig, Workers};
use crate::ingest::live::LiveCounters;
use crate::journal::{Journal, JournalError, Retention};
use crate::market::{Accounts, Millis, Rooms, Symbols};
use crate::metrics::{LedgerMeter, ShardMeter};
use crate::shard::{BarsClose, Shard, ShardConfig};
use crate::state::Board;

/// A running engine: what goes in through [`Engine::sink`] comes out at the clients of its [`Workers`].
pub struct Engine {
    symbols: Arc<Symbols>,
    board: Arc<Board>,
    shards: Vec<Sender<ShardInput>>,
    spare: Arc<ArrayQueue<Box<crate::market::BookChange>>>,
    workers: Workers,
    accounts: Arc<Accounts>,
    rooms: Arc<Rooms>,
    publisher: Publisher,
    ledger: Sender<LedgerInput>,
    history: History,
    meters: Vec<Arc<ShardMeter>>,
    ledger_meter: Arc<LedgerMeter>,
    sources: Sources,
    live: Arc<LiveCounters>,
    threads: Vec<JoinHandle<()>>,
}

/// What the time of the shards is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// The clock's.
    Live,
    /// The recording's: it passes with its events.
    Recorded,
}

impl Time {
    /// The time that `source` lives in.
    pub const fn of(source: &Source) -> Time {
        match source {
            Source::Replay(_) => Time::Recorded,
            Source::None | Source::Simulated | Source::Binance(_) => Time::Live,
        }
    }
}

impl Engine {
    /// Starts the threads of an engine without symbols, sources or clients.
    ///
    /// # Errors
    /// When a thread cannot be started, or what was kept cannot be read.
    pub fn start(config: &Config) -> io::Result<Engine> {
        let time = Time::of(&config.source);
        let symbols = Arc::new(Symbols::new(config.limits.symbols.get()));
        let (board, rooms) = (Arc::<Board>::default(), Rooms::new(&config.rooms.public, &config.rooms.users));
        let epoch = epoch(Clock::start().now());
        let spare = Arc::new(ArrayQueue::new(config.limits.shard_queue.get()));
        let (asks, asked) = crossbeam_channel::bounded(COMMANDS);
        let workers = Workers::new(config.threads.workers(), config.limits.worker_queue.get());
        let workers = workers.with_ledger(asks);
        let (accounts, rooms) = (Arc::<Accounts>::default(), Arc::new(rooms));
        let journal = journal(config, &epoch, &accounts).map_err(io::Error::other)?;
        let (mut shards, mut commands, mut threads) = (Vec::new(), Vec::new(), Vec::new());
        let keeper = Keeper::start(config, time, &mut threads)?;
        let of_shards = config.threads.shards.get();
        let meters: Vec<_> = (0..=of_shards).map(|_| Arc::<ShardMeter>::default()).collect();
        for (at, meter) in meters[..of_shards].iter().enumerate() {
            let (inputs, from_sources) = crossbeam_channel::bounded(config.limits.shard_queue.get());
            let (asks, from_workers) = crossbeam_channel::bounded(COMMANDS);
            let shard = Shard::new(symbols.clone(), board.clone(), shard_config(config, time), &epoch);
            let shard = ShardThread {
                shard: shard.after(keeper.earlier.clone()),
                inputs: from_sources,
                commands: from_workers,
                workers: workers.clone(),
                spare: spare.clone(),
                time,
                compression: config.compression,
                meter: meter.clone(),
                bars: keeper.bars.clone(),
            };
            threads.push(named(format!("shard-{at}"), move || shard.run())?);
            shards.push(inputs);
            commands.push(asks);
        }
        threads.extend(workers.start(&commands, &worker_config(config))?);
        // The thread that keeps bars ends with the shards that have some.
        drop(keeper);
        let (ledger, inputs) = crossbeam_channel::bounded(config.publish.queue.get());
        let count = u16::try_from(workers.inboxes().len()).unwrap_or(u16::MAX);
        let keeping = Ledger::new(journal, accounts.clone(), rooms.clone(), count, &epoch);
        let ledger_meter = keeping.meter().clone();
        let thread = LedgerThread {
            ledger: keeping,
            inputs,
            commands: asked,
            out: WorkerOutlet::new(workers.clone(), config.compression, meters[of_shards].clone()),
            fine: workers.clock(),
        };
        threads.push(named("ledger".to_owned(), move || thread.run())?);
        let sources = Sources::default();
        let sink = EngineSink::new(shards.clone(), spare.clone(), board.clone(), &sources, "publishers");
        let publisher = Publisher::new(symbols.clone(), rooms.clone(), ledger.clone(), sink, &config.publish);
        Ok(Engine {
            symbols,
            board,
            shards,
            spare,
            workers,
            accounts,
            rooms,
            publisher,
            ledger,
            history: History::new(commands),
            meters,
            ledger_meter,
            sources,
            live: Arc::default(),
            threads,
        })
    }

    /// Where the embedding program puts what it understood.
    pub fn sink(&self) -> EngineSink {
        self.sink_of("program")
    }

    /// Where the source of that name puts what it understood. Each source has its own.
    pub fn sink_of(&self, source: &str) -> EngineSink {
        EngineSink::new(self.shards.clone(), self.spare.clone(), self.board.clone(), &self.sources, source)
    }

    /// What each source has put in.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The symbols, which sources and the configuration add to.
    pub fn symbols(&self) -> &Arc<Symbols> {
        &self.symbols
    }

    /// The present book and ticker of every symbol, to be read from any thread without a lock.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Where the past of symbols is asked for.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What each shard counts, and last the ledger.
    pub fn meters(&self) -> &[Arc<ShardMeter>] {
        &self.meters
    }

    /// What the ledger counts.
    pub fn ledger_meter(&self) -> &Arc<LedgerMeter> {
        &self.ledger_meter
    }

    /// What its live source counts, where it has one.
    pub fn live(&self) -> &Arc<LiveCounters> {
        &self.live
    }

    /// The workers, which take clients over.
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// The users and strategies that are known.
    pub fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    /// The rooms of the configuration.
    pub fn rooms(&self) -> &Arc<Rooms> {
        &self.rooms
    }

    /// The door for publications, to keep.
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// Publishes one object, a list, or one a line. When this returns, every private object that is
    /// not among the rejected is on disk.
    pub async fn publish(&self, now: Millis, body: &str) -> Published {
        self.publisher.publish(now, body).await
    }

    /// Tells every client, sends what waits for them, and ends all threads within `patience`.
    pub fn shut_down(self, patience: Duration) {
        let patience = Millis::try_from(patience.as_millis()).unwrap_or(Millis::MAX / 2);
        let until = Clock::start().now().saturating_add(patience);
        self.workers.shut_down(until);
        for shard in &self.shards {
            let _ = shard.send(ShardInput::Stop);
        }
        let _ = self.ledger.send(LedgerInput::Stop);
        for thread in self.threads {
            if thread.join().is_err() {
                error!("a thread of the engine had panicked");
            }
        }
    }
}

/// What was kept, and the strategies that it knows; `None` where nothing is to be kept.
fn journal(config: &Config, epoch: &str, accounts: &Accounts) -> Result<Option<Journal>, JournalError> {
    let retention = Retention {
        events: config.journal.events.get() as u64,
        age: millis(config.journal.age),
        bytes: config.journal.bytes.get() as u64,
    };
    let journal = match &config.data_dir {
        Some(folder) => Journal::open(folder, epoch, retention)?,
        None if config.dev || config.journal.in_memory => Journal::in_memory(epoch, retention)?,
        None => return Ok(None),
    };
    for (strategy, owner) in journal.strategies()? {
        accounts.add_strategy(&strategy, accounts.id(&owner));
    }
    Ok(Some(journal))
}

fn named(name: String, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name).spawn(body)
}

/// Names a run of numbers: the time at which it began, in as few characters as can be.
fn epoch(now: Millis) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut left = now.unsigned_abs();
    let mut name = Vec::new();
    while left > 0 || name.is_empty() {
        name.push(char::from(DIGITS[usize::try_from(left % 36).unwrap_or(0)]));
        left /= 36;
    }
    name.iter().rev().collect()
}

/// How a shard of this configuration keeps and tells things.
pub fn shard_config(config: &Config, time: Time) -> ShardConfig {
    ShardConfig {
        levels_most: config.book.levels_most.get(),
        trades_kept: config.tape.kept.get(),
        bars_kept: config.bars.kept.get(),
        flat_bars_most: config.bars.most_flat_bars,
        bars_close: match time {
            Time::Live => BarsClose::After(millis(config.bars.grace)),
            Time::Recorded => BarsClose::WithTrades,
        },
        kline_window: millis(config.throttle.kline),
        ticker_window: millis(config.throttle.ticker),
        tickers_window: millis(config.throttle.tickers),
    }
}

/// How a worker of this configuration treats its connections.
pub fn worker_config(config: &Config) -> WorkerConfig {
    let limits = &config.limits;
    WorkerConfig {
        compression: config.compression,
        message_bytes: limits.message_bytes.get(),
        outbox_bytes: limits.outbox_bytes.get(),
        ping: millis(limits.ping),
        pong_timeout: millis(limits.pong_timeout),
        stalled: millis(limits.stalled),
    }
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX / 2)
}

/// Joins and leaves that wait for one shard. Full: the connection that asks waits and is not read.
const COMMANDS: usize = 16_384;

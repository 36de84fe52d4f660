//! Sources on threads of their own: what a venue, a recording or the simulator says goes into a sink.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;
use tracing::{error, info};

use super::{Engine, EngineSink, named};
use crate::clock::Clock;
use crate::config::{BinanceMarket, Config, ReplaySpeed, Source};
use crate::ingest::binance::{Feed, Market, UnknownSymbols};
use crate::ingest::live::{self, DepthSpeed, LiveConfig, LiveCounters, LiveError, Tapped};
use crate::ingest::recording::{RecordingError, Replay};
use crate::ingest::simulate::{BadExchange, Exchange, SimulateConfig, numbered};
use crate::ingest::{FeedError, Sink};
use crate::market::{Event, Millis, Symbols};

/// A source that runs, until it is stopped or comes to its end.
pub struct RunningSource {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// Why a source could not begin, or ended before its time.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The live connector's.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// The recording's.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The simulator's.
    #[error(transparent)]
    Exchange(#[from] BadExchange),
    /// What the simulator says is not understood.
    #[error("the simulated exchange is not understood: {0}")]
    Feed(#[from] FeedError),
    /// No thread or runtime could be had.
    #[error("no thread for the source: {0}")]
    Thread(#[from] io::Error),
}

impl RunningSource {
    /// Starts the configured source into `engine`.
    ///
    /// # Errors
    /// [`SourceError`] for what is wrong from the start, such as a recording that does not exist.
    pub fn start(config: &Config, engine: &Engine) -> Result<RunningSource, SourceError> {
        let (stop, stopped) = watch::channel(false);
        let (sink, symbols) = (engine.sink_of(config.source.name()), engine.symbols().clone());
        let body: Option<Box<dyn FnOnce() -> Result<(), SourceError> + Send>> = match &config.source {
            Source::None => None,
            Source::Simulated => {
                let exchange = Exchange::new(&simulate_config(config), Clock::start().now())?;
                let past = config.simulated.history;
                Some(Box::new(move || simulate(exchange, past, symbols, sink, &stopped)))
            }
            Source::Binance(market) => {
                let live = live_config(config, *market);
                let counters = engine.live().clone();
                Some(Box::new(move || follow(live, symbols, sink, |_| {}, counters, stopped)))
            }
            Source::Replay(files) => {
                let replay = Replay::open(files, symbols)?;
                let speed = config.replay.speed;
                Some(Box::new(move || play(replay, speed, sink, &stopped)))
            }
        };
        let thread = body.map(|body| {
            named("source".to_owned(), move || match body() {
                Ok(()) => info!("the source has ended"),
                Err(error) => error!(%error, "the source has ended"),
            })
        });
        Ok(RunningSource { stop, thread: thread.transpose()? })
    }

    /// Stops it and waits for its end.
    pub fn stop(self) {
        let _ = self.stop.send(true);
        if self.thread.is_some_and(|thread| thread.join().is_err()) {
            error!("the thread of the source had panicked");
        }
    }
}

/// Follows a live market on this thread until `stop` says so. `tap` sees everything as it came,
/// `counters` count it.
///
/// # Errors
/// When there is nothing to follow, or no runtime to follow it with.
pub fn follow(
    config: LiveConfig,
    symbols: Arc<Symbols>,
    sink: impl Sink,
    tap: impl FnMut(Tapped<'_>),
    counters: Arc<LiveCounters>,
    stop: watch::Receiver<bool>,
) -> Result<(), SourceError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(live::run(config, symbols, sink, Clock::start(), tap, counters, stop))?;
    Ok(())
}

/// The settings of the live connector.
pub fn live_config(config: &Config, market: BinanceMarket) -> LiveConfig {
    let market = match market {
        BinanceMarket::Spot => Market::Spot,
        BinanceMarket::Us => Market::Us,
        BinanceMarket::UsdMargined => Market::UsdM,
        BinanceMarket::CoinMargined => Market::CoinM,
    };
    let depth_speed =
        if config.binance.depth.as_millis() <= 100 { DepthSpeed::Fastest } else { DepthSpeed::Relaxed };
    LiveConfig {
        ws_url: config.binance.ws_url.clone(),
        rest_url: config.binance.rest_url.clone(),
        depth_speed,
        silence: config.binance.silence,
        ..LiveConfig::new(market, config.symbols.clone())
    }
}

fn simulate_config(config: &Config) -> SimulateConfig {
    let simulated = &config.simulated;
    let rate = u32::try_from(simulated.rate.get()).unwrap_or(u32::MAX);
    let named = SimulateConfig { seed: simulated.seed, rate, ..SimulateConfig::default() };
    if !config.symbols.is_empty() {
        return SimulateConfig { symbols: config.symbols.clone(), ..named };
    }
    let wanted = simulated.symbols.get();
    let more = numbered(wanted.saturating_sub(named.symbols.len()));
    let symbols = named.symbols.iter().take(wanted).cloned().chain(more).collect();
    SimulateConfig { symbols, ..named }
}

fn simulate(
    mut exchange: Exchange,
    past: usize,
    symbols: Arc<Symbols>,
    mut sink: EngineSink,
    stop: &watch::Receiver<bool>,
) -> Result<(), SourceError> {
    let mut clock = Clock::start();
    let names: Vec<String> = exchange.symbols().map(str::to_owned).collect();
    for symbol in &names {
        let bad = |error| FeedError::BadSymbol { symbol: symbol.clone(), error };
        symbols.add(symbol).map_err(bad)?;
    }
    let symbols_of_past = symbols.clone();
    let mut feed = Feed::new(Market::Spot, symbols, UnknownSymbols::Refuse);
    let now = clock.now();
    // The scales come first: a book that has begun without one keeps all decimals that came.
    feed.exchange_info(now, &mut exchange.exchange_info(), &mut sink)?;
    exchange.past(past, now, |name, trade| {
        if let Some(symbol) = symbols_of_past.with(|table| table.id(name)) {
            sink.put(symbol, now, Event::Trade(trade));
        }
    });
    for name in &names {
        if let Some(mut depth) = exchange.depth(name) {
            feed.depth(now, name, &mut depth, &mut sink)?;
        }
    }
    while !*stop.borrow() {
        let now = clock.now();
        let mut result = Ok(());
        exchange.advance(now, |message| {
            if let Err(error) = feed.message(now, message, &mut sink) {
                result = Err(error);
            }
        });
        result?;
        std::thread::sleep(SIMULATED_STEP);
    }
    Ok(())
}

/// Plays a recording at its own pace, times `speed`. Between two records the time of the shards
/// passes all the same, so that what waits for a tick gets it.
fn play(
    mut replay: Replay,
    speed: ReplaySpeed,
    mut sink: EngineSink,
    stop: &watch::Receiver<bool>,
) -> Result<(), SourceError> {
    let mut clock = Clock::start();
    let mut origin: Option<(Millis, Millis)> = None;
    let mut last = 0;
    while let Some(received) = replay.upcoming()? {
        if let ReplaySpeed::Times(times) = speed {
            let times = Millis::try_from(times.get()).unwrap_or(Millis::MAX);
            let (began, first) = *origin.get_or_insert_with(|| (clock.now(), received));
            loop {
                let recorded = first.saturating_add((clock.now() - began).saturating_mul(times));
                if *stop.borrow() {
                    return Ok(());
                }
                if recorded >= received {
                    break;
                }
                sink.pass_time(recorded);
                std::thread::sleep(REPLAY_STEP);
            }
        } else if *stop.borrow() {
            return Ok(());
        }
        last = received;
        replay.step(&mut sink)?;
    }
    sink.pass_time(last.saturating_add(AFTER_THE_END));
    info!(records = replay.played().records, warnings = replay.played().warnings, "the recording was played");
    Ok(())
}

/// How often the simulated exchange acts: often enough for `raw` topics to look raw.
const SIMULATED_STEP: Duration = Duration::from_millis(1);

/// How exactly a recording's pace is kept.
const REPLAY_STEP: Duration = Duration::from_millis(1);

/// What waits for a tick at the end of a recording gets it: the slowest topics speak once a second.
const AFTER_THE_END: Millis = 2_000;

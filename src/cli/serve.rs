//! `tickcast serve`: everything together, until somebody says stop.

use std::io::{self, IsTerminal};
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::watch;
use tracing::{info, warn};

use super::demo::Desk;
use crate::auth::{self, BadKeys, Tokens};
use crate::config::{Config, LogFormat, Source};
use crate::engine::{Engine, RunningSource, SourceError};
use crate::market::BadSymbol;
use crate::server::{Door, Market, Server, Visitor};

/// Why the server did not start.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Its address cannot be had.
    #[error("cannot listen on {address}: {error}; choose another with --listen")]
    Listen {
        /// As configured.
        address: std::net::SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// Tokens cannot be checked as configured.
    #[error(transparent)]
    Keys(#[from] BadKeys),
    /// A thread or a signal handler cannot be had.
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
    /// A configured symbol cannot be one.
    #[error("symbols: {symbol:?}: {error}")]
    Symbol {
        /// As configured.
        symbol: String,
        /// Why.
        error: BadSymbol,
    },
    /// The source did not start.
    #[error("source {name}: {error}")]
    Source {
        /// As configured.
        name: String,
        /// Why.
        error: SourceError,
    },
}

/// Serves until interrupted or terminated.
///
/// # Errors
/// [`ServeError`] when something it needs cannot be had.
pub fn serve(config: &Config) -> Result<(), ServeError> {
    run(config, None, |_| {})
}

/// Serves until interrupted or terminated; `ready` hears of the address. With a visitor somebody
/// trades for that account, and the page shows it.
pub(super) fn run(
    config: &Config,
    visitor: Option<Visitor>,
    ready: impl FnOnce(std::net::SocketAddr),
) -> Result<(), ServeError> {
    for warning in config.warnings() {
        warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(stop_on_signal(stop)?);
        let tokens = Tokens::new(config)?;
        auth::fetch(&tokens, config).await?;
        let engine = Engine::start(config)?;
        if matches!(config.source, Source::None | Source::Simulated) {
            for symbol in &config.symbols {
                let add = |error| ServeError::Symbol { symbol: symbol.clone(), error };
                engine.symbols().add(symbol).map_err(add)?;
            }
        }
        let source = RunningSource::start(config, &engine)
            .map_err(|error| ServeError::Source { name: config.source.to_string(), error })?;
        let listen = |error| ServeError::Listen { address: config.listen, error };
        let door = Door::new(config, engine.workers().clone());
        let tokens = Arc::new(tokens);
        let trading = visitor
            .as_ref()
            .map(|visitor| tokio::spawn(Desk::new(&engine).trade(visitor.user.clone(), stopped.clone())));
        let mut market = Market::new(config, engine, tokens.clone());
        if let Some(visitor) = visitor {
            market = market.with_visitor(visitor);
        }
        let server = Server::bind(config, market, door).await.map_err(listen)?;
        let address = server.address()?;
        info!(%address, source = %config.source, "listening");
        ready(address);
        let keys = tokio::spawn(auth::keep_fresh(tokens, config.clone(), stopped.clone()));
        let market = server.serve(stopped).await;
        info!("going down");
        market.published(config.limits.shutdown).await;
        source.stop();
        let _ = keys.await;
        if let Some(trading) = trading {
            let _ = trading.await;
        }
        market.into_engine().shut_down(config.limits.shutdown);
        Ok(())
    })
}

/// Says stop at Ctrl-C or SIGTERM. A second one ends the process at once, as without us.
fn stop_on_signal(stop: watch::Sender<bool>) -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupted, mut terminated) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        let _ = stop.send(true);
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        std::process::exit(130);
    })
}

/// Writes log lines to standard error as the configuration says.
pub fn start_logging(filter: &str, format: LogFormat) {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        // Colours are for eyes: in a file or a journal they are noise.
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    // Where a log is set up already (a program that embeds this one) that one stays.
    let _ = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
}

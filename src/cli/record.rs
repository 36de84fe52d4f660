//! `tickcast record`: writes what a venue sends, so that `replay` can play it.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;
use tracing::{error, info};

use super::RecordArgs;
use crate::config::{Config, ConfigError};
use crate::engine::{SourceError, follow, live_config};
use crate::ingest::Sink;
use crate::ingest::live::{Raw, Tapped};
use crate::ingest::recording::Writer;
use crate::market::{BookChange, Event, Millis, SymbolId, Symbols};

/// Why nothing, or not all, was recorded.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The file cannot be made; one that exists is never overwritten.
    #[error("{path}: {error}; --out needs a new file in a folder that exists", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The environment holds a wrong value.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The venue cannot be followed.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// Records until interrupted, or as long as asked.
///
/// # Errors
/// [`RecordError`].
pub fn record(args: &RecordArgs, config: &Config) -> Result<(), RecordError> {
    let failed = |error| RecordError::File { path: args.out.clone(), error };
    let config = Config { symbols: args.symbols.clone(), ..config.clone() };
    let live = live_config(&config, args.source);
    let mut writer = Writer::create(&args.out, "binance", live.market.name()).map_err(failed)?;
    let (stop, stopped) = watch::channel(false);
    let stopper = std::thread::spawn({
        let (stop, stop_after, stopped) = (stop.clone(), args.stop_after, stopped.clone());
        move || wait(stop, stop_after, stopped)
    });
    let mut tape = Tape { open: BTreeSet::new(), failed: None, stop: stop.clone() };
    let symbols = Arc::new(Symbols::new(config.limits.symbols.get()));
    let followed =
        follow(live, symbols, Deaf, |tapped| tape.write(&mut writer, tapped), Arc::default(), stopped);
    let written = tape.failed.map_or(Ok(()), Err).and_then(|()| writer.finish());
    // However it ended, nobody waits for a signal any more.
    let _ = stop.send(true);
    let _ = stopper.join();
    followed?;
    written.map_err(failed)?;
    info!(file = %args.out.display(), "the recording is complete");
    Ok(())
}

/// What is known of the connections, so that the recording tells of one where they overlap: a
/// renewed connection is no break.
struct Tape {
    /// Those that serve. One that never opened ends, too, and is none of them.
    open: BTreeSet<u64>,
    failed: Option<io::Error>,
    /// What cannot be written is not worth following.
    stop: watch::Sender<bool>,
}

impl Tape {
    fn write<W: io::Write>(&mut self, writer: &mut Writer<W>, tapped: Tapped<'_>) {
        let received = tapped.received;
        let result = match tapped.what {
            Raw::Opened { path } => {
                let first = self.open.is_empty();
                self.open.insert(tapped.connection);
                if first { writer.open(received, path) } else { Ok(()) }
            }
            Raw::Ended { .. } => {
                self.open.remove(&tapped.connection);
                writer.flush()
            }
            Raw::Text(bytes) => writer.ws(received, bytes),
            Raw::Answer { path, status: 200, body } => writer.rest(received, path, body),
            Raw::Answer { .. } | Raw::Binary(_) | Raw::Sent(_) => Ok(()),
        };
        if let Err(problem) = result {
            if self.failed.is_none() {
                error!(error = %problem, "the recording cannot be written on");
            }
            self.failed.get_or_insert(problem);
            let _ = self.stop.send(true);
        }
    }
}

/// Says stop after the time that was asked for, or at Ctrl-C or SIGTERM.
fn wait(stop: watch::Sender<bool>, stop_after: Option<Duration>, mut stopped: watch::Receiver<bool>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        let Ok(mut terminated) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        else {
            return;
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
            () = tokio::time::sleep(stop_after.unwrap_or(FOR_EVER)) => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
        let _ = stop.send(true);
    });
}

/// The feed is followed so that it asks for the snapshots that a replay will need; what it
/// understands is of no use here.
struct Deaf;

impl Sink for Deaf {
    fn put(&mut self, _: SymbolId, _: Millis, _: Event) {}

    fn blank(&mut self) -> Box<BookChange> {
        Box::default()
    }

    fn recycle(&mut self, _: Box<BookChange>) {}
}

const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_failed_beside_a_connection_that_serves_is_no_break() {
        let (stop, _) = watch::channel(false);
        let mut tape = Tape { open: BTreeSet::new(), failed: None, stop };
        let mut file = Vec::new();
        let mut writer = Writer::new(&mut file, "binance", "spot").unwrap();
        let (opened, ended) = (Raw::Opened { path: "/stream" }, Raw::Ended { why: "refused" });
        let all = [(1, opened), (2, ended), (3, opened), (1, ended), (3, ended), (4, opened)];
        for (received, (connection, what)) in (1..).zip(all) {
            tape.write(&mut writer, Tapped { received, connection, what });
        }
        let written = String::from_utf8(file).unwrap();
        let opens: Vec<_> = written.lines().filter(|line| line.contains("open")).collect();
        assert_eq!(opens, ["1 open /stream", "6 open /stream"], "{written}");
    }
}

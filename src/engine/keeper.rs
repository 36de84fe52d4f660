//! Keeps closed bars on disk, on a thread of its own, so that no update waits for it.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};
use tracing::{error, warn};

use super::{Time, named};
use crate::config::{Config, Source};
use crate::journal::{BarStore, JournalError};
use crate::market::KeptBar;
use crate::shard::EarlierBars;

/// Where shards put the bars that are to be kept.
pub(super) struct Keeper {
    /// None where none are kept. Bounded: what finds it full is not kept, and counted.
    pub(super) bars: Option<Sender<KeptBar>>,
    /// Those that were kept before.
    pub(super) earlier: Arc<EarlierBars>,
}

impl Keeper {
    /// Reads what was kept, and starts the thread, which ends when the shards have.
    ///
    /// Bars of a recording are not kept: they would be taken for the market's own. Nor are those of a
    /// simulator that makes up a past, which would be told twice.
    pub(super) fn start(
        config: &Config,
        time: Time,
        threads: &mut Vec<JoinHandle<()>>,
    ) -> io::Result<Keeper> {
        let makes_up = config.source == Source::Simulated && config.simulated.history > 0;
        let (Some(folder), Time::Live, false) = (&config.data_dir, time, makes_up) else {
            return Ok(Keeper { bars: None, earlier: Arc::default() });
        };
        let failed = |error: JournalError| io::Error::other(error);
        let store = BarStore::open(folder, config.bars.kept.get()).map_err(failed)?;
        let found = store.all().map_err(failed)?;
        if let Some((first, count)) = found.damaged {
            error!(first, count, "bars that were kept are damaged, and left out of the history");
        }
        let (bars, kept) = crossbeam_channel::bounded(QUEUE);
        threads.push(named("bars".to_owned(), move || keep(store, &kept))?);
        Ok(Keeper { bars: Some(bars), earlier: Arc::new(EarlierBars::new(found.bars)) })
    }
}

/// Keeps what comes until nothing more can.
fn keep(mut store: BarStore, kept: &Receiver<KeptBar>) {
    let mut failing = false;
    while let Ok(first) = kept.recv() {
        let bars: Vec<_> = std::iter::once(first).chain(kept.try_iter().take(AT_ONCE)).collect();
        let failed = store.keep(&bars);
        if let Err(error) = &failed
            && !failing
        {
            warn!(%error, bars = bars.len(), "closed bars are not kept until this is over");
        }
        failing = failed.is_err();
    }
}

/// Bars that wait for the disk: ten intervals of a few thousand symbols that close at one moment.
const QUEUE: usize = 65_536;

/// Bars that go into one transaction.
const AT_ONCE: usize = 2_000;

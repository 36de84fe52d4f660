//! Asks the shards, which alone know it, for the past of a symbol.

use crossbeam_channel::{Sender, TrySendError};
use thiserror::Error;
use tokio::sync::{Semaphore, oneshot};

use crate::fanout::ShardCommand;
use crate::market::SymbolId;
use crate::shard::{BarsWanted, PastBars, PastTrades};

/// Where the past is asked for. Few questions are with the shards at one time, so that however many
/// ask, the stream goes first.
pub struct History {
    shards: Vec<Sender<ShardCommand>>,
    turn: Semaphore,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoHistory {
    /// The shard has too much to do.
    #[error("the server is too busy to look into the past: ask again in a second")]
    Busy,
    /// It ends.
    #[error("the server goes down: ask again when it is back")]
    GoingDown,
}

impl History {
    pub(super) fn new(shards: Vec<Sender<ShardCommand>>) -> History {
        History { shards, turn: Semaphore::new(ASKED_AT_ONCE) }
    }

    /// A symbol's bars.
    ///
    /// # Errors
    /// [`NoHistory`] when its shard does not answer.
    pub async fn bars(&self, symbol: SymbolId, wanted: BarsWanted) -> Result<PastBars, NoHistory> {
        self.ask(symbol, |answer| ShardCommand::Bars(symbol, wanted, answer)).await
    }

    /// At most `most` of a symbol's last trades.
    ///
    /// # Errors
    /// [`NoHistory`] when its shard does not answer.
    pub async fn trades(&self, symbol: SymbolId, most: usize) -> Result<PastTrades, NoHistory> {
        self.ask(symbol, |answer| ShardCommand::Trades(symbol, most, answer)).await
    }

    async fn ask<T>(
        &self,
        symbol: SymbolId,
        question: impl FnOnce(oneshot::Sender<T>) -> ShardCommand,
    ) -> Result<T, NoHistory> {
        let _turn = self.turn.acquire().await.map_err(|_| NoHistory::GoingDown)?;
        let (answer, answered) = oneshot::channel();
        let shard = &self.shards[symbol.index() % self.shards.len()];
        shard.try_send(question(answer)).map_err(|error| match error {
            TrySendError::Full(_) => NoHistory::Busy,
            TrySendError::Disconnected(_) => NoHistory::GoingDown,
        })?;
        answered.await.map_err(|_| NoHistory::GoingDown)
    }
}

/// Questions that are with the shards at one time: copying the longest answer out takes a shard some
/// tens of microseconds, which then is the most that a turn of it waits for each.
const ASKED_AT_ONCE: usize = 4;

//! Closed bars, so that charts have a history after a restart.

use super::events::check;
use super::store::checksum;
use super::{Journal, JournalError};
use crate::market::{Interval, Millis};

/// A closed bar as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptBar {
    /// Whose.
    pub symbol: String,
    /// How long it is.
    pub interval: Interval,
    /// Its first moment.
    pub open_time: Millis,
    /// What it is, as clients are told: the text of a JSON object.
    pub data: String,
}

impl Journal {
    /// Keeps bars, in one transaction; a bar that is there already is replaced.
    ///
    /// # Errors
    /// [`JournalError`]: none of them is kept.
    pub fn keep_bars(&mut self, bars: &[KeptBar]) -> Result<(), JournalError> {
        let transaction = self.db.unchecked_transaction()?;
        for bar in bars {
            let interval = bar.interval.name();
            let sum = bar_sum(&bar.symbol, interval, bar.open_time, &bar.data);
            let mut insert =
                transaction.prepare_cached("insert or replace into bars values (?1, ?2, ?3, ?4, ?5)")?;
            insert.execute((&bar.symbol, interval, bar.open_time, &bar.data, sum))?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// The newest bars that begin before `before`, at most `most` of them, oldest first.
    ///
    /// # Errors
    /// [`JournalError`] when the store cannot be read, or what it holds is not what was written.
    pub fn bars(
        &self,
        symbol: &str,
        interval: Interval,
        before: Millis,
        most: u32,
    ) -> Result<Vec<KeptBar>, JournalError> {
        let mut query = self.db.prepare_cached(
            "select open_time, data, sum from bars where symbol = ?1 and interval = ?2 and open_time < ?3
             order by open_time desc limit ?4",
        )?;
        let mut found = query.query((symbol, interval.name(), before, most))?;
        let mut bars = Vec::new();
        while let Some(row) = found.next()? {
            let (open_time, data, sum): (Millis, String, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let right = bar_sum(symbol, interval.name(), open_time, &data);
            check(sum, right, || format!("the bar of {symbol} {} at {open_time}", interval.name()))?;
            bars.push(KeptBar { symbol: symbol.to_owned(), interval, open_time, data });
        }
        bars.reverse();
        Ok(bars)
    }
}

fn bar_sum(symbol: &str, interval: &str, open_time: Millis, data: &str) -> u32 {
    checksum(&[symbol.as_bytes(), interval.as_bytes(), &open_time.to_le_bytes(), data.as_bytes()])
}

//! Closed bars in a file of their own, so that charts have a history after a restart.
//!
//! Nobody waits for a bar to be on disk, so no write waits for it either: what is lost when the
//! machine (not the process) fails are the bars of the last moments. Of each symbol and interval as
//! many are kept as memory holds.

use std::path::Path;

use rusqlite::Connection;

use super::JournalError;
use super::store::{checksum, open, set_format};
use crate::market::{Bar, Interval, KeptBar, Price, Scale, Total};

/// The closed bars on disk. One thread writes them.
pub struct BarStore {
    db: Connection,
    /// Bars of each symbol and interval.
    kept: i64,
}

/// What was found at the start.
#[derive(Debug, Default)]
pub struct FoundBars {
    /// By symbol and interval, oldest first.
    pub bars: Vec<KeptBar>,
    /// The first that is not what was written, and how many there are: they are left out.
    pub damaged: Option<(String, u64)>,
}

impl BarStore {
    /// Opens the store in `folder`, which is made where there is none, to keep `kept` bars of each
    /// symbol and interval.
    ///
    /// # Errors
    /// [`JournalError`] when it cannot be used as it is.
    pub fn open(folder: &Path, kept: usize) -> Result<BarStore, JournalError> {
        let db = open(folder, "bars.sqlite", FORMAT)?;
        db.pragma_update(None, "synchronous", "normal")?;
        db.execute_batch(TABLE)?;
        set_format(&db, FORMAT)?;
        Ok(BarStore { db, kept: i64::try_from(kept).unwrap_or(i64::MAX / 2) })
    }

    /// Keeps bars, in one transaction; one that is there already is replaced.
    ///
    /// # Errors
    /// [`JournalError`]: none of them is kept.
    pub fn keep(&mut self, bars: &[KeptBar]) -> Result<(), JournalError> {
        let transaction = self.db.unchecked_transaction()?;
        let mut insert =
            transaction.prepare_cached("insert or replace into bars values (?1, ?2, ?3, ?4, ?5)")?;
        // A month is at most 31 days: what is further back than so many bars is more than are kept.
        let mut delete = transaction
            .prepare_cached("delete from bars where symbol = ?1 and interval = ?2 and open_time <= ?3")?;
        for KeptBar { symbol, interval, scale, bar } in bars {
            let (name, data) = (interval.name(), written(*scale, bar));
            let sum = sum(symbol, name, bar.open_time, &data);
            insert.execute((symbol, name, bar.open_time, data, sum))?;
            let length = interval.close_time(0).max(bar.close_time - bar.open_time);
            delete.execute((symbol, name, bar.open_time.saturating_sub(length.saturating_mul(self.kept))))?;
        }
        drop((insert, delete));
        transaction.commit()?;
        Ok(())
    }

    /// All that is kept.
    ///
    /// # Errors
    /// [`JournalError`] when the store cannot be read.
    pub fn all(&self) -> Result<FoundBars, JournalError> {
        let mut query = self.db.prepare(
            "select symbol, interval, open_time, data, sum from bars order by symbol, interval, open_time",
        )?;
        let mut rows = query.query([])?;
        let mut found = FoundBars::default();
        while let Some(row) = rows.next()? {
            let (symbol, name): (String, String) = (row.get(0)?, row.get(1)?);
            let (open_time, data): (i64, String) = (row.get(2)?, row.get(3)?);
            let is_right = row.get::<_, u32>(4)? == sum(&symbol, &name, open_time, &data);
            let interval = Interval::from_name(&name).filter(|_| is_right);
            match interval.and_then(|interval| Some((interval, read(interval, open_time, &data)?))) {
                Some((interval, (scale, bar))) => {
                    found.bars.push(KeptBar { symbol: symbol.into(), interval, scale, bar });
                }
                None => {
                    let what = || (format!("the bar of {symbol} {name} at {open_time}"), 0);
                    found.damaged.get_or_insert_with(what).1 += 1;
                }
            }
        }
        Ok(found)
    }
}

/// A bar as whole numbers: the scale, the prices, the trades, then each sum and its decimals.
fn written(scale: Scale, bar: &Bar) -> String {
    let mut out = format!(
        "{} {} {} {} {} {}",
        scale.decimals(),
        bar.open.0,
        bar.high.0,
        bar.low.0,
        bar.close.0,
        bar.trades
    );
    for sum in [bar.volume, bar.quote_volume, bar.taker_volume, bar.taker_quote_volume] {
        let (mantissa, decimals) = sum.parts();
        out.push_str(&format!(" {mantissa} {decimals}"));
    }
    out
}

fn read(interval: Interval, open_time: i64, data: &str) -> Option<(Scale, Bar)> {
    let mut words = data.split(' ');
    let scale = Scale::new(words.next()?.parse().ok()?)?;
    let mut price = || Some(Price(words.next()?.parse().ok()?));
    let (open, high, low, close) = (price()?, price()?, price()?, price()?);
    let trades = words.next()?.parse().ok()?;
    let mut sum = || Some(Total::from_parts(words.next()?.parse().ok()?, words.next()?.parse().ok()?));
    let bar = Bar {
        open_time,
        close_time: interval.close_time(open_time),
        open,
        high,
        low,
        close,
        trades,
        volume: sum()?,
        quote_volume: sum()?,
        taker_volume: sum()?,
        taker_quote_volume: sum()?,
    };
    Some((scale, bar))
}

fn sum(symbol: &str, interval: &str, open_time: i64, data: &str) -> u32 {
    checksum(&[symbol.as_bytes(), interval.as_bytes(), &open_time.to_le_bytes(), data.as_bytes()])
}

const FORMAT: i64 = 1;

const TABLE: &str = "
create table if not exists bars (
    symbol text not null, interval text not null, open_time integer not null, data text not null,
    sum integer not null, primary key (symbol, interval, open_time)) without rowid;";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Decimal, Quantity};

    fn kept(symbol: &str, interval: Interval, number: i64) -> KeptBar {
        let open_time =
            (0..number).fold(interval.open_time(1_732_000_000_000), |at, _| interval.close_time(at));
        let quantity = Quantity::new(Decimal::new(15 + number, 1)).unwrap();
        let bar = Bar {
            open_time,
            close_time: interval.close_time(open_time),
            open: Price(100),
            high: Price(i64::MAX),
            low: Price(1),
            close: Price(150),
            trades: 3,
            volume: quantity.into(),
            quote_volume: Total::product(Decimal::new(i64::MAX, 2), quantity),
            ..Bar::default()
        };
        KeptBar { symbol: symbol.into(), interval, scale: Scale::new(2).unwrap(), bar }
    }

    #[test]
    fn what_was_kept_is_found_as_it_was_and_no_more_than_is_to_be_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = BarStore::open(folder.path(), 3).unwrap();
        for interval in Interval::ALL {
            let bars: Vec<_> = (0..8).map(|number| kept("X", interval, number)).collect();
            store.keep(&bars).unwrap();
            store.keep(&bars[7..]).unwrap();
        }
        drop(store);
        let found = BarStore::open(folder.path(), 3).unwrap().all().unwrap();
        for interval in Interval::ALL {
            let bars: Vec<_> = found.bars.iter().filter(|bar| bar.interval == interval).cloned().collect();
            let last: Vec<_> = (5..8).map(|number| kept("X", interval, number)).collect();
            assert!(bars.ends_with(&last) && bars.len() <= 4, "{interval:?} {}", bars.len());
        }
        assert_eq!(found.damaged, None);
    }

    #[test]
    fn a_damaged_bar_is_named_and_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = BarStore::open(folder.path(), 9).unwrap();
        store
            .keep(&[kept("X", Interval::M1, 0), kept("X", Interval::M1, 1), kept("Y", Interval::M1, 0)])
            .unwrap();
        store
            .db
            .execute_batch("update bars set data = replace(data, '150', '151') where symbol = 'X'")
            .unwrap();
        let found = store.all().unwrap();
        assert_eq!(found.bars, [kept("Y", Interval::M1, 0)]);
        let (first, count) = found.damaged.unwrap();
        assert!(first.starts_with("the bar of X 1m at ") && count == 2, "{first} {count}");
        assert!(matches!(BarStore::open(folder.path(), 9), Err(JournalError::Taken { .. })));
    }
}

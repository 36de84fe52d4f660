//! Private events: recorded many at a time, read again from where somebody left.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use super::accounts::Account;
use super::store::checksum;
use super::{Journal, JournalError};
use crate::market::Millis;
use crate::state::{Change, Effect, merged};

/// An event to be recorded.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Whose it is.
    pub user: Arc<str>,
    /// What happened.
    pub event: &'static str,
    /// As it was published: the text of a JSON object.
    pub data: Box<str>,
    /// The publisher's own name for it, by which a repetition is known.
    pub event_id: Option<Box<str>>,
    /// The topics that it belongs to, the event's own first.
    pub topics: Vec<Box<str>>,
    /// What it changes of the state of each.
    pub change: Option<Change>,
    /// The strategy that this event makes known as the user's.
    pub strategy: Option<Box<str>>,
}

/// What became of an [`Entry`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its number in each of its topics.
    pub seqs: Vec<u64>,
    /// Its number over all of the user's topics.
    pub user_seq: u64,
    /// It was recorded before: the number is that of then, and nobody is to hear it again.
    pub is_repeated: bool,
}

/// A recorded event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number in its topic.
    pub seq: u64,
    /// Its number over all of the user's topics.
    pub user_seq: u64,
    /// When it was taken in.
    pub at: Millis,
    /// What happened.
    pub event: String,
    /// As it was published.
    pub data: String,
}

/// What somebody missed.
#[derive(Debug, PartialEq, Eq)]
pub enum Missed {
    /// These, oldest first.
    Rows(Vec<Row>),
    /// Some of it is no longer held, or was never given out.
    NotHeld,
}

impl Journal {
    /// Records all of `entries` in one transaction. They are on disk when this returns.
    ///
    /// # Errors
    /// [`JournalError`]: nothing of them is recorded, and no number was used.
    pub fn record(&mut self, now: Millis, entries: &[Entry]) -> Result<Vec<Recorded>, JournalError> {
        let recorded = self.record_all(now, entries);
        if recorded.is_err() {
            self.heads.forget(entries.iter().map(|entry| &*entry.user));
        }
        recorded
    }

    fn record_all(&mut self, now: Millis, entries: &[Entry]) -> Result<Vec<Recorded>, JournalError> {
        let transaction = self.db.unchecked_transaction()?;
        let mut recorded = Vec::with_capacity(entries.len());
        for entry in entries {
            let account = self.heads.open(&transaction, &entry.user)?;
            recorded.push(write(&transaction, account, now, entry, self.retention.events)?);
        }
        transaction.commit()?;
        Ok(recorded)
    }

    /// Where a topic of a user stands: its last number, and the user's.
    ///
    /// # Errors
    /// [`JournalError`] when the store cannot be read.
    pub fn head(&mut self, user: &str, topic: &str) -> Result<(u64, u64), JournalError> {
        match self.heads.find(&self.db, user)? {
            Some(account) => Ok((account.head(&self.db, topic)?, account.user_seq)),
            None => Ok((0, 0)),
        }
    }

    /// What came after number `seq` of a topic.
    ///
    /// # Errors
    /// [`JournalError`] when the store cannot be read, or what it holds is not what was written.
    pub fn since(&mut self, user: &str, topic: &str, seq: u64) -> Result<Missed, JournalError> {
        let Some(account) = self.heads.find(&self.db, user)? else {
            return Ok(if seq == 0 { Missed::Rows(Vec::new()) } else { Missed::NotHeld });
        };
        let head = account.head(&self.db, topic)?;
        if seq > head {
            return Ok(Missed::NotHeld);
        }
        let rows = rows(&self.db, account.row, topic, seq)?;
        if rows.len() as u64 == head - seq {
            return Ok(Missed::Rows(rows));
        }
        match rows.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq) {
            true => Ok(Missed::NotHeld),
            false => {
                Err(JournalError::Damaged { what: format!("events are missing in {topic} of {user:?}") })
            }
        }
    }

    /// What is open or current of a topic, by key.
    ///
    /// # Errors
    /// As [`Journal::since`].
    pub fn state(&mut self, user: &str, topic: &str) -> Result<Vec<Box<str>>, JournalError> {
        let Some(account) = self.heads.find(&self.db, user)? else { return Ok(Vec::new()) };
        let row = account.row;
        let mut query = self.db.prepare_cached(
            "select key, data, sum from states where account = ?1 and topic = ?2 order by key",
        )?;
        let mut found = query.query((row, topic))?;
        let mut items = Vec::new();
        while let Some(found) = found.next()? {
            let (key, data, sum): (String, String, u32) = (found.get(0)?, found.get(1)?, found.get(2)?);
            check(sum, state_sum(row, topic, &key, &data), || format!("{topic} {key:?} of {user:?}"))?;
            items.push(data.into_boxed_str());
        }
        Ok(items)
    }

    /// All strategies and whose they are.
    ///
    /// # Errors
    /// [`JournalError`] when the store cannot be read.
    pub fn strategies(&self) -> Result<Vec<(String, String)>, JournalError> {
        let mut query =
            self.db.prepare("select name, user from strategies join accounts on accounts.id = account")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Lets some of what is too old go; whether there may be more of it.
    ///
    /// # Errors
    /// [`JournalError`] when the store cannot be written.
    pub fn forget(&mut self, now: Millis) -> Result<bool, JournalError> {
        let old = now.saturating_sub(self.retention.age);
        let events = self
            .db
            .prepare_cached(
                "delete from events where (account, topic, seq) in
             (select account, topic, seq from events where at < ?1 order by at limit ?2)",
            )?
            .execute((old, FORGOTTEN_AT_ONCE))?;
        let seen = self
            .db
            .prepare_cached(
                "delete from seen where (account, event_id) in
             (select account, event_id from seen where at <= ?1 order by at limit ?2)",
            )?
            .execute((now.saturating_sub(REMEMBERED), FORGOTTEN_AT_ONCE))?;
        Ok(events.max(seen) >= usize::try_from(FORGOTTEN_AT_ONCE).unwrap_or(usize::MAX))
    }
}

fn write(
    db: &Connection,
    account: &mut Account,
    now: Millis,
    entry: &Entry,
    kept: u64,
) -> Result<Recorded, JournalError> {
    if let Some(id) = &entry.event_id
        && let Some(seq) = seen(db, account.row, id, now)?
    {
        return Ok(Recorded { seqs: vec![seq], user_seq: 0, is_repeated: true });
    }
    account.user_seq += 1;
    let mut seqs = Vec::with_capacity(entry.topics.len());
    for topic in &entry.topics {
        let seq = account.next(db, topic)?;
        insert(db, account, topic, seq, now, entry)?;
        if let Some(old) = seq.checked_sub(kept).filter(|old| *old > 0) {
            let mut delete =
                db.prepare_cached("delete from events where account = ?1 and topic = ?2 and seq = ?3")?;
            delete.execute((account.row, &**topic, old))?;
        }
        if let Some(change) = &entry.change {
            apply(db, account.row, topic, change, &entry.data)?;
        }
        seqs.push(seq);
    }
    db.prepare_cached("update accounts set user_seq = ?2 where id = ?1")?
        .execute((account.row, account.user_seq))?;
    if let Some(id) = &entry.event_id {
        let mut insert = db.prepare_cached("insert or replace into seen values (?1, ?2, ?3, ?4)")?;
        insert.execute((account.row, &**id, seqs[0], now))?;
    }
    if let Some(strategy) = &entry.strategy {
        let mut insert = db.prepare_cached("insert or ignore into strategies values (?1, ?2)")?;
        insert.execute((&**strategy, account.row))?;
    }
    Ok(Recorded { seqs, user_seq: account.user_seq, is_repeated: false })
}

fn insert(
    db: &Connection,
    account: &Account,
    topic: &str,
    seq: u64,
    now: Millis,
    entry: &Entry,
) -> Result<(), JournalError> {
    let sum = event_sum(account.row, topic, seq, account.user_seq, entry.event, &entry.data);
    let mut insert = db.prepare_cached("insert into events values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    insert.execute((account.row, topic, seq, account.user_seq, now, entry.event, &*entry.data, sum))?;
    let mut head = db.prepare_cached("insert or replace into heads values (?1, ?2, ?3)")?;
    head.execute((account.row, topic, seq))?;
    Ok(())
}

fn seen(db: &Connection, account: i64, id: &str, now: Millis) -> Result<Option<u64>, JournalError> {
    let mut query =
        db.prepare_cached("select seq from seen where account = ?1 and event_id = ?2 and at > ?3")?;
    Ok(query.query_row((account, id, now - REMEMBERED), |row| row.get(0)).optional()?)
}

fn apply(
    db: &Connection,
    account: i64,
    topic: &str,
    change: &Change,
    data: &str,
) -> Result<(), JournalError> {
    let key = &*change.key;
    if change.effect == Effect::Remove {
        let mut delete =
            db.prepare_cached("delete from states where account = ?1 and topic = ?2 and key = ?3")?;
        delete.execute((account, topic, key))?;
        return Ok(());
    }
    let mut query =
        db.prepare_cached("select data from states where account = ?1 and topic = ?2 and key = ?3")?;
    let old: Option<String> = query.query_row((account, topic, key), |row| row.get(0)).optional()?;
    let data = merged(old.as_deref(), data);
    let sum = state_sum(account, topic, key, &data);
    let mut insert = db.prepare_cached("insert or replace into states values (?1, ?2, ?3, ?4, ?5)")?;
    insert.execute((account, topic, key, data, sum))?;
    Ok(())
}

fn rows(db: &Connection, account: i64, topic: &str, after: u64) -> Result<Vec<Row>, JournalError> {
    let mut query = db.prepare_cached(
        "select seq, user_seq, at, event, data, sum from events
         where account = ?1 and topic = ?2 and seq > ?3 order by seq",
    )?;
    let mut found = query.query((account, topic, after))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let sum: u32 = row.get(5)?;
        let row = Row {
            seq: row.get(0)?,
            user_seq: row.get(1)?,
            at: row.get(2)?,
            event: row.get(3)?,
            data: row.get(4)?,
        };
        let right = event_sum(account, topic, row.seq, row.user_seq, &row.event, &row.data);
        check(sum, right, || format!("event {} of {topic}", row.seq))?;
        rows.push(row);
    }
    Ok(rows)
}

fn event_sum(account: i64, topic: &str, seq: u64, user_seq: u64, event: &str, data: &str) -> u32 {
    let numbers = [account.to_le_bytes(), seq.to_le_bytes(), user_seq.to_le_bytes()].concat();
    checksum(&[&numbers, topic.as_bytes(), event.as_bytes(), data.as_bytes()])
}

fn state_sum(account: i64, topic: &str, key: &str, data: &str) -> u32 {
    checksum(&[&account.to_le_bytes(), topic.as_bytes(), key.as_bytes(), data.as_bytes()])
}

pub(super) fn check(found: u32, right: u32, what: impl FnOnce() -> String) -> Result<(), JournalError> {
    if found == right { Ok(()) } else { Err(JournalError::Damaged { what: what() }) }
}

/// How long an `eventId` is remembered.
const REMEMBERED: Millis = 3_600_000;

/// Rows that go at once: a few milliseconds of work.
const FORGOTTEN_AT_ONCE: i64 = 2_000;

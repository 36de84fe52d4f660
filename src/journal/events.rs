//! Private events: recorded many at a time, read again from where somebody left.

use std::fmt::Write;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use super::accounts::{Account, Heads};
use super::standing::{Kind, Place, put, read, remove};
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
    /// Its number over all of the user's topics in the first of its topics; each further one has the
    /// next number.
    pub user_seq: u64,
    /// It was recorded before: the number is that of then, and nobody is to hear it again.
    pub is_repeated: bool,
}

/// A recorded entry, or the damage for which it was not.
pub type Taken = Result<Recorded, JournalError>;

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
    /// Records `entries` in one transaction; what is recorded is on disk when this returns. An entry
    /// that needs what is [damaged](JournalError::Damaged) is refused by itself, in its place: it is
    /// not recorded, uses no number, and takes no other with it.
    ///
    /// # Errors
    /// [`JournalError`]: nothing of them is recorded, and no number was used.
    pub fn record(&mut self, now: Millis, entries: &[Entry]) -> Result<Vec<Taken>, JournalError> {
        let taken = self.record_all(now, entries);
        match &taken {
            Ok(taken) => self.cleaner.written(taken.iter().filter(|one| one.is_ok()).count()),
            Err(failed) => {
                if matches!(failed, JournalError::Full) {
                    self.cleaner.full();
                }
                self.heads.forget(entries.iter().map(|entry| &*entry.user));
            }
        }
        taken
    }

    fn record_all(&mut self, now: Millis, entries: &[Entry]) -> Result<Vec<Taken>, JournalError> {
        let transaction = self.db.unchecked_transaction()?;
        let mut taken = Vec::with_capacity(entries.len());
        for entry in entries {
            taken.push(match Needed::of(entry, &mut self.heads, &transaction, now) {
                Ok(found) => {
                    let account = self.heads.open(&transaction, &entry.user)?;
                    Ok(write(&transaction, account, now, entry, found)?)
                }
                Err(damaged @ JournalError::Damaged { .. }) => Err(damaged),
                Err(failed) => return Err(failed),
            });
        }
        transaction.commit()?;
        Ok(taken)
    }

    /// Where a topic of a user stands: its last number, and the user's.
    ///
    /// # Errors
    /// [`JournalError`] when the store cannot be read.
    pub fn head(&mut self, user: &str, topic: &str) -> Result<(u64, u64), JournalError> {
        let account = self.heads.find(&self.db, user)?;
        Ok(account.map_or((0, 0), |account| (account.head(topic).seq, account.user_seq)))
    }

    /// What came after number `seq` of a topic, as far as that is 4 MiB: of a longer past a picture is the
    /// shorter story.
    ///
    /// # Errors
    /// [`JournalError`] when the store cannot be read, or what it holds is not what was written.
    pub fn since(&mut self, user: &str, topic: &str, seq: u64) -> Result<Missed, JournalError> {
        let Some(account) = self.heads.find(&self.db, user)? else {
            return Ok(if seq == 0 { Missed::Rows(Vec::new()) } else { Missed::NotHeld });
        };
        let head = account.head(topic);
        if seq > head.seq || head.seq - seq > self.retention.events {
            return Ok(Missed::NotHeld);
        }
        let (mut rows, mut id, mut bytes) = (Vec::new(), head.last, 0);
        for wanted in (seq + 1..=head.seq).rev() {
            let what = || format!("event {wanted} of {topic} of {user:?}");
            let Some(found) = Found::read(&self.db, id)? else {
                if id < self.oldest()? {
                    return Ok(Missed::NotHeld);
                }
                return Err(JournalError::Damaged { what: format!("{} is missing", what()) });
            };
            let place = found.place(account.row, topic, wanted);
            let (before, user_seq) = place.ok_or_else(|| JournalError::Damaged { what: what() })?;
            id = before;
            bytes += found.row.data.len();
            if bytes > MOST_MISSED {
                return Ok(Missed::NotHeld);
            }
            rows.push(Row { seq: wanted, user_seq, ..found.row });
        }
        rows.reverse();
        Ok(Missed::Rows(rows))
    }

    /// What is open or current of a topic, by key.
    ///
    /// # Errors
    /// As [`Journal::since`].
    pub fn state(&mut self, user: &str, topic: &str) -> Result<Vec<Box<str>>, JournalError> {
        let Some(account) = self.heads.find(&self.db, user)? else { return Ok(Vec::new()) };
        let mut query = self.db.prepare_cached(
            "select key, data, sum from standing
             where account = ?1 and kind = ?2 and topic = ?3 order by key",
        )?;
        let mut found = query.query((account.row, Kind::State, topic))?;
        let mut items = Vec::new();
        while let Some(found) = found.next()? {
            let (key, data, sum): (String, String, u32) = (found.get(0)?, found.get(1)?, found.get(2)?);
            Place { account: account.row, kind: Kind::State, topic, key: &key }.check(&data, sum)?;
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

    /// The oldest event of which it is certain that all younger ones are held.
    fn oldest(&self) -> Result<i64, JournalError> {
        let mut query = self.db.prepare_cached("select min(id) from events")?;
        let oldest: Option<i64> = query.query_row([], |row| row.get(0))?;
        Ok(oldest.unwrap_or(i64::MAX).max(self.held_from))
    }
}

/// A recorded event as it lies in the store, of one user and perhaps several topics.
struct Found {
    account: i64,
    /// Of each topic a line: the number, the event before it, the name.
    topics: String,
    row: Row,
}

impl Found {
    fn read(db: &Connection, id: i64) -> Result<Option<Found>, JournalError> {
        let mut query = db.prepare_cached(
            "select account, topics, user_seq, at, event, data, sum from events where id = ?1",
        )?;
        let found = query.query_row([id], |row| {
            let (user_seq, at, event, data) = (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
            let found = Row { seq: 0, user_seq, at, event, data };
            Ok((Found { account: row.get(0)?, topics: row.get(1)?, row: found }, row.get(6)?))
        });
        let Some((found, sum)): Option<(Found, u32)> = found.optional()? else { return Ok(None) };
        let row = &found.row;
        let numbers = Numbers { account: found.account, user_seq: row.user_seq, at: row.at };
        if sum == event_sum(&numbers, &found.topics, &row.event, &row.data) {
            return Ok(Some(found));
        }
        let (topic, seq, _) = topics(&found.topics).next().unwrap_or(("its topic", 0, 0));
        Err(JournalError::Damaged { what: format!("event {seq} of {topic} of account {}", found.account) })
    }

    /// The event that came before in a topic, and the user's number there; `None` where this one is not
    /// what was looked for.
    fn place(&self, account: i64, topic: &str, seq: u64) -> Option<(i64, u64)> {
        let mut topics = topics(&self.topics);
        let found = topics.find(|(name, number, _)| *name == topic && *number == seq);
        let (_, _, before) = found.filter(|_| self.account == account)?;
        // The number that is kept is that of the last topic.
        Some((before, self.row.user_seq - topics.count() as u64))
    }
}

/// An event's topics, its numbers in them, and the events before it.
pub(super) fn topics(lines: &str) -> impl Iterator<Item = (&str, u64, i64)> {
    lines.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ' ');
        let (seq, before, name) = (parts.next()?, parts.next()?, parts.next()?);
        Some((name, seq.parse().ok()?, before.parse().ok()?))
    })
}

/// What an entry finds. All that it needs is read before anything of it is written, so that what is
/// damaged leaves nothing of it behind.
struct Needed {
    /// Its number, where it was recorded before.
    seen: Option<u64>,
    /// What the thing that it changes becomes in each of its topics; nothing where it is removed.
    states: Vec<String>,
}

impl Needed {
    fn of(entry: &Entry, heads: &mut Heads, db: &Connection, now: Millis) -> Result<Needed, JournalError> {
        let account = heads.find(db, &entry.user)?.map(|account| account.row);
        let seen = match (account, &entry.event_id) {
            (Some(account), Some(name)) => seen(db, account, name, now)?,
            (None, _) | (_, None) => None,
        };
        let mut states = Vec::new();
        if let Some(Change { key, effect: Effect::Merge }) = entry.change.as_ref().filter(|_| seen.is_none())
        {
            for topic in &entry.topics {
                let place = |account| Place { account, kind: Kind::State, topic, key };
                let old = account.map(|account| read(db, &place(account))).transpose()?.flatten();
                states.push(merged(old.as_deref(), &entry.data));
            }
        }
        Ok(Needed { seen, states })
    }
}

fn write(
    db: &Connection,
    account: &mut Account,
    now: Millis,
    entry: &Entry,
    found: Needed,
) -> Result<Recorded, JournalError> {
    if let Some(seq) = found.seen {
        return Ok(Recorded { seqs: vec![seq], user_seq: 0, is_repeated: true });
    }
    // What is told under two topics is told twice: each has a number.
    account.user_seq += entry.topics.len() as u64;
    let (id, seqs) = insert(db, account, now, entry)?;
    let mut states = found.states.into_iter();
    for topic in &entry.topics {
        account.advance(db, topic, id)?;
        if let Some(Change { key, .. }) = &entry.change {
            let place = Place { account: account.row, kind: Kind::State, topic, key };
            match states.next() {
                Some(state) => put(db, &place, &state)?,
                None => remove(db, &place)?,
            }
        }
    }
    if let Some(name) = &entry.event_id {
        let place = Place { account: account.row, kind: Kind::Seen, topic: "", key: name };
        put(db, &place, &format!("{} {now}", seqs.first().copied().unwrap_or_default()))?;
        let mut insert = db.prepare_cached("insert into names (account, name, at) values (?1, ?2, ?3)")?;
        insert.execute((account.row, &**name, now))?;
    }
    if let Some(strategy) = &entry.strategy {
        let mut insert = db.prepare_cached("insert or ignore into strategies values (?1, ?2)")?;
        insert.execute((&**strategy, account.row))?;
    }
    let user_seq = account.user_seq + 1 - seqs.len() as u64;
    Ok(Recorded { seqs, user_seq, is_repeated: false })
}

/// Puts an event at the end of all, whoever's it is; returns where it is, and its numbers.
fn insert(
    db: &Connection,
    account: &Account,
    now: Millis,
    entry: &Entry,
) -> Result<(i64, Vec<u64>), JournalError> {
    let (mut topics, mut seqs) = (String::new(), Vec::with_capacity(entry.topics.len()));
    for topic in &entry.topics {
        let head = account.head(topic);
        seqs.push(head.seq + 1);
        // Writing to a text does not fail.
        let _ = writeln!(topics, "{} {} {topic}", head.seq + 1, head.last);
    }
    let numbers = Numbers { account: account.row, user_seq: account.user_seq, at: now };
    let sum = event_sum(&numbers, &topics, entry.event, &entry.data);
    let mut insert = db.prepare_cached(
        "insert into events (account, at, user_seq, topics, event, data, sum)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    insert.execute((account.row, now, account.user_seq, topics, entry.event, &*entry.data, sum))?;
    Ok((db.last_insert_rowid(), seqs))
}

fn seen(db: &Connection, account: i64, name: &str, now: Millis) -> Result<Option<u64>, JournalError> {
    let place = Place { account, kind: Kind::Seen, topic: "", key: name };
    let Some(data) = read(db, &place)? else { return Ok(None) };
    let numbers = data.split_once(' ').and_then(|(seq, at)| Some((seq.parse().ok()?, at.parse().ok()?)));
    let (seq, at): (u64, Millis) = numbers.ok_or_else(|| place.damaged())?;
    Ok((at > now - REMEMBERED).then_some(seq))
}

/// The numbers that an event's checksum is over, besides its texts.
struct Numbers {
    account: i64,
    user_seq: u64,
    at: Millis,
}

fn event_sum(numbers: &Numbers, topics: &str, event: &str, data: &str) -> u32 {
    let Numbers { account, user_seq, at } = numbers;
    let numbers = [account.to_le_bytes(), user_seq.to_le_bytes(), at.to_le_bytes()].concat();
    checksum(&[&numbers, topics.as_bytes(), event.as_bytes(), data.as_bytes()])
}

/// How long an `eventId` is remembered.
pub(super) const REMEMBERED: Millis = 3_600_000;

/// Bytes of data that are read at one time of what a client missed. A thousand usual events are a tenth of it.
const MOST_MISSED: usize = 4 << 20;

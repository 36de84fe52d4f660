//! How an event lies in the store: its columns, and the checksum over all of them.

use std::fmt::Write;

use rusqlite::Connection;

use super::JournalError;
use super::accounts::Account;
use super::events::{Entry, Row};
use super::store::checksum;
use crate::market::Millis;
use crate::state::{Change, Effect};

/// A recorded event as it lies in the store, of one user and perhaps several topics.
pub(super) struct Found {
    pub(super) id: i64,
    pub(super) account: i64,
    /// Of each topic a line: the number, the event before it, the name.
    pub(super) topics: String,
    pub(super) row: Row,
    /// What it changed of the state of each.
    pub(super) change: Option<Change>,
    /// The publisher's own name for it.
    pub(super) name: Option<String>,
}

/// Of a [`Found`], as it is read.
pub(super) const COLUMNS: &str = "id, account, sum, at, user_seq, topics, event, data, change, name";

impl Found {
    /// The event `id`; `None` where it is not there.
    pub(super) fn read(db: &Connection, id: i64) -> Result<Option<Found>, JournalError> {
        let mut query = db.prepare_cached(&format!("select {COLUMNS} from events where id = ?1"))?;
        query.query([id])?.next()?.map(Found::of).transpose()
    }

    /// What [`COLUMNS`] hold.
    pub(super) fn of(found: &rusqlite::Row<'_>) -> Result<Found, JournalError> {
        let (at, user_seq) = (found.get(3)?, found.get(4)?);
        let row = Row { seq: 0, user_seq, at, event: found.get(6)?, data: found.get(7)? };
        let (change, name): (Option<String>, Option<String>) = (found.get(8)?, found.get(9)?);
        let (id, account, topics): (_, _, String) = (found.get(0)?, found.get(1)?, found.get(5)?);
        let (event, data) = (row.event.as_str(), row.data.as_str());
        let texts = Texts { topics: &topics, event, data, change: change.as_deref(), name: name.as_deref() };
        if found.get::<_, i64>(2)? != event_sum(&Numbers { account, user_seq, at }, &texts) {
            let (topic, seq, _) = self::topics(&topics).next().unwrap_or(("its topic", 0, 0));
            return Err(JournalError::Damaged {
                what: format!("event {seq} of {topic} of account {account}"),
            });
        }
        let change = change.as_deref().and_then(read_change);
        Ok(Found { id, account, topics, row, change, name })
    }

    /// Which event a damaged row is, and whose, where that much of it is whole.
    pub(super) fn account(found: &rusqlite::Row<'_>) -> Option<(i64, i64)> {
        let (id, account, sum): (_, i64, i64) = (found.get(0).ok()?, found.get(1).ok()?, found.get(2).ok()?);
        (sum.cast_unsigned() >> 32 == account_sum(account)).then_some((id, account))
    }

    /// The event that came before in a topic, and the user's number there; `None` where this one is not
    /// what was looked for.
    pub(super) fn place(&self, account: i64, topic: &str, seq: u64) -> Option<(i64, u64)> {
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

/// Puts an event at the end of all, whoever's it is; returns where it is, and its numbers.
pub(super) fn insert(
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
    let (change, name) = (entry.change.as_ref().map(write_change), entry.event_id.as_deref());
    let (event, data) = (entry.event, &*entry.data);
    let sum = event_sum(&numbers, &Texts { topics: &topics, event, data, change: change.as_deref(), name });
    let mut insert = db.prepare_cached(
        "insert into events (account, sum, at, user_seq, topics, event, data, change, name)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    insert.execute((account.row, sum, now, account.user_seq, topics, event, data, change, name))?;
    Ok((db.last_insert_rowid(), seqs))
}

/// A change as a row holds it: its effect, then its key.
fn write_change(change: &Change) -> String {
    let effect = match change.effect {
        Effect::Merge => '+',
        Effect::Remove => '-',
    };
    format!("{effect}{}", change.key)
}

fn read_change(text: &str) -> Option<Change> {
    let (effect, key) = match text.strip_prefix('+') {
        Some(key) => (Effect::Merge, key),
        None => (Effect::Remove, text.strip_prefix('-')?),
    };
    Some(Change { key: key.to_owned(), effect })
}

/// The numbers that an event's checksum is over.
struct Numbers {
    account: i64,
    user_seq: u64,
    at: Millis,
}

/// The texts that it is over.
struct Texts<'a> {
    topics: &'a str,
    event: &'a str,
    data: &'a str,
    change: Option<&'a str>,
    name: Option<&'a str>,
}

/// The checksum of an event: in its upper half that of whose it is.
fn event_sum(numbers: &Numbers, texts: &Texts<'_>) -> i64 {
    let Numbers { account, user_seq, at } = numbers;
    let Texts { topics, event, data, change, name } = texts;
    let numbers = [account.to_le_bytes(), user_seq.to_le_bytes(), at.to_le_bytes()].concat();
    let given = [u8::from(change.is_some()), u8::from(name.is_some())];
    let texts = [topics, event, data, change.unwrap_or_default(), name.unwrap_or_default()];
    let [topics, event, data, change, name] = texts.map(str::as_bytes);
    let sum = checksum(&[&numbers, topics, event, data, &given, change, name]);
    (account_sum(*account) << 32 | u64::from(sum)).cast_signed()
}

fn account_sum(account: i64) -> u64 {
    u64::from(checksum(&[&account.to_le_bytes()]))
}

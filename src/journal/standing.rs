//! What stands about a user now: its numbers, what is open or current, which names were seen. All of
//! a user's rows lie side by side, so that an event changes one page of them and not one for each.

use rusqlite::types::{ToSql, ToSqlOutput};
use rusqlite::{Connection, OptionalExtension};

use super::JournalError;
use super::store::{checksum, is_other_kind};

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Where a topic's numbers stand.
    Head,
    /// A thing that is open or current.
    State,
    /// An `eventId`, and what it got.
    Seen,
}

/// Where a row is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) account: i64,
    pub(super) kind: Kind,
    pub(super) topic: &'a str,
    pub(super) key: &'a str,
}

/// What stands at a place.
pub(super) fn read(db: &Connection, place: &Place<'_>) -> Result<Option<String>, JournalError> {
    let mut query = db.prepare_cached(
        "select data, sum from standing where account = ?1 and kind = ?2 and topic = ?3 and key = ?4",
    )?;
    let found = query.query_row(place.parameters(), |row| Ok((row.get(0)?, row.get(1)?))).optional();
    let found = found.map_err(|error| if is_other_kind(&error) { place.damaged() } else { error.into() })?;
    let Some((data, sum)): Option<(String, u32)> = found else { return Ok(None) };
    place.check(&data, sum)?;
    Ok(Some(data))
}

/// Writes what stands at a place.
pub(super) fn put(db: &Connection, place: &Place<'_>, data: &str) -> Result<(), JournalError> {
    // Not "or replace", which takes the old row out and looks for the place of the new one again.
    let mut insert = db.prepare_cached(
        "insert into standing values (?1, ?2, ?3, ?4, ?5, ?6)
         on conflict do update set data = excluded.data, sum = excluded.sum",
    )?;
    insert.execute((place.account, place.kind, place.topic, place.key, data, place.sum(data)))?;
    Ok(())
}

/// Nothing stands there any more.
pub(super) fn remove(db: &Connection, place: &Place<'_>) -> Result<(), JournalError> {
    let mut delete = db.prepare_cached(
        "delete from standing where account = ?1 and kind = ?2 and topic = ?3 and key = ?4",
    )?;
    delete.execute(place.parameters())?;
    Ok(())
}

impl<'a> Place<'a> {
    fn parameters(&self) -> (i64, Kind, &'a str, &'a str) {
        (self.account, self.kind, self.topic, self.key)
    }

    fn sum(&self, data: &str) -> u32 {
        let kind = [self.kind as u8];
        let key = [self.topic.as_bytes(), self.key.as_bytes(), data.as_bytes()];
        checksum(&[&self.account.to_le_bytes(), &kind, key[0], key[1], key[2]])
    }

    /// Whether `data` is what was written here.
    pub(super) fn check(&self, data: &str, sum: u32) -> Result<(), JournalError> {
        if sum == self.sum(data) { Ok(()) } else { Err(self.damaged()) }
    }

    pub(super) fn damaged(&self) -> JournalError {
        let Place { account, topic, key, .. } = self;
        let what = match self.kind {
            Kind::Head => format!("the numbers of {topic} of account {account}"),
            Kind::State => format!("{topic} {key:?} of account {account}"),
            Kind::Seen => format!("the eventId {key:?} of account {account}"),
        };
        JournalError::Damaged { what }
    }
}

impl ToSql for Kind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(*self as u8))
    }
}

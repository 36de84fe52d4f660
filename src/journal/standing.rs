//! What stands about a user now: its numbers, what is open or current, which names were seen.
//!
//! On disk all of a user's rows lie side by side, and every user's page is another one: writing a page
//! for each event would cost the more the more users there are. So what an event changes stays in memory
//! first, [behind](Standing) the table, and [settles](super::settle) later, many neighbours at a time.
//! The events are on disk by then, and a start makes of them what had not settled.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use rusqlite::types::{ToSql, ToSqlOutput};
use rusqlite::{Connection, OptionalExtension};
use tracing::error;

use super::JournalError;
use super::store::{checksum, is_other_kind};

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Where a topic's numbers stand.
    Head,
    /// A thing that is open or current.
    State,
    /// An `eventId`, and what it got.
    Seen,
}

/// Where a row is; in the order of the table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place<'a> {
    pub(super) account: i64,
    kind: Kind,
    topic: Cow<'a, str>,
    key: Cow<'a, str>,
}

/// The rows of all users: those in the table, and before them those that have not settled there yet.
#[derive(Default)]
pub(super) struct Standing {
    /// What a row is to become; `None` where it is to go.
    behind: BTreeMap<Place<'static>, Becomes>,
    /// About what `behind` takes of memory.
    bytes: usize,
    /// What the transaction under way changed of it, and from what.
    undo: Vec<(Place<'static>, Option<Becomes>)>,
    /// Where the transaction that has failed could not write the table, because it is damaged there.
    broken: Option<Place<'static>>,
    /// What can never be written, although what the table has there can be read: it stays behind.
    stuck: BTreeSet<Place<'static>>,
}

type Becomes = Option<Box<str>>;

impl Standing {
    /// What stands at a place.
    pub(super) fn read(&self, db: &Connection, place: &Place<'_>) -> Result<Option<String>, JournalError> {
        match self.behind.get(place) {
            Some(data) => Ok(data.as_deref().map(str::to_owned)),
            None => place.read(db),
        }
    }

    /// All that stands of a kind about an account, in `topic` alone where one is named; in order.
    pub(super) fn all(
        &self,
        db: &Connection,
        account: i64,
        kind: Kind,
        topic: Option<&str>,
    ) -> Result<BTreeMap<Place<'static>, String>, JournalError> {
        let mut query = db.prepare_cached(
            "select topic, key, data, sum from standing
             where account = ?1 and kind = ?2 and topic between ?3 and ?4",
        )?;
        let first = Place::new(account, kind, topic.unwrap_or_default(), "");
        let mut found = query.query((account, kind, &first.topic, topic.unwrap_or(LAST)))?;
        let mut all = BTreeMap::new();
        while let Some(row) = found.next()? {
            let columns = || Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            let columns: rusqlite::Result<(String, String, String, u32)> = columns();
            let (topic, key, data, sum) = columns.map_err(|error| first.damage_or(error))?;
            let place = Place { account, kind, topic: topic.into(), key: key.into() };
            if !self.behind.contains_key(&place) {
                place.check(&data, sum)?;
                all.insert(place, data);
            }
        }
        let is_wanted = |place: &Place<'_>| {
            (place.account, place.kind) == (account, kind) && topic.is_none_or(|topic| place.topic == topic)
        };
        let behind = self.behind.range(first.into_owned()..).take_while(|(place, _)| is_wanted(place));
        all.extend(behind.filter_map(|(place, data)| Some((place.clone(), data.as_deref()?.to_owned()))));
        Ok(all)
    }

    /// What stands at a place from now on.
    pub(super) fn put(&mut self, place: Place<'_>, data: String) {
        self.becomes(place, Some(data.into()));
    }

    /// Nothing stands there any more.
    pub(super) fn remove(&mut self, place: Place<'_>) {
        self.becomes(place, None);
    }

    fn becomes(&mut self, place: Place<'_>, data: Becomes) {
        let place = place.into_owned();
        let before = self.set(place.clone(), Some(data));
        self.undo.push((place, before));
    }

    /// Sets what a row is to become, or that it is to stay as it is in the table; what was set before.
    fn set(&mut self, place: Place<'static>, to: Option<Becomes>) -> Option<Becomes> {
        let own = ROW_BYTES + place.topic.len() + place.key.len();
        let taken =
            |row: &Option<Becomes>| row.as_ref().map_or(0, |data| own + data.as_deref().map_or(0, str::len));
        let after = taken(&to);
        let before = match to {
            Some(data) => self.behind.insert(place, data),
            None => {
                self.stuck.remove(&place);
                self.behind.remove(&place)
            }
        };
        self.bytes = self.bytes + after - taken(&before);
        before
    }

    /// How many rows have not settled and can.
    pub(super) fn rows(&self) -> usize {
        self.behind.len() - self.stuck.len()
    }

    /// Whether some rows cannot settle.
    pub(super) fn is_stuck(&self) -> bool {
        !self.stuck.is_empty()
    }

    /// About what they take of memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The last of them in the order of the table.
    pub(super) fn last_behind(&self) -> Option<Place<'static>> {
        self.behind.last_key_value().map(|(place, _)| place.clone())
    }

    /// Writes some `rows` into the table, those after `at` and up to `last`; where it left off, or `None` when
    /// there are no more.
    ///
    /// # Errors
    /// [`JournalError`]. [`Standing::take_back`] sees to it that a row that finds the table damaged is not met
    /// again.
    pub(super) fn settle(
        &mut self,
        db: &Connection,
        at: Option<&Place<'static>>,
        last: &Place<'static>,
        rows: usize,
    ) -> Result<Option<Place<'static>>, JournalError> {
        let rows = rows.max(1);
        let from = at.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.behind.range((from, Bound::Included(last))).map(|(place, _)| place);
        let next: Vec<_> = next.filter(|place| !self.stuck.contains(place)).take(rows).cloned().collect();
        let left_off = next.last().filter(|at| next.len() == rows && *at != last).cloned();
        for place in next {
            let Some(data) = self.set(place.clone(), None) else { continue };
            let written = place.write(db, data.as_deref());
            self.undo.push((place.clone(), Some(data)));
            if let Err(error) = written {
                let error = JournalError::from(error);
                self.broken = matches!(error, JournalError::Damaged { .. }).then_some(place);
                return Err(error);
            }
        }
        Ok(left_off)
    }

    /// The transaction is on disk.
    pub(super) fn kept(&mut self) {
        self.undo.clear();
    }

    /// The transaction is not, and is over: all is as it was before it. Whether it met damage that another one
    /// will not meet.
    pub(super) fn take_back(&mut self, db: &Connection) -> bool {
        while let Some((place, before)) = self.undo.pop() {
            self.set(place, before);
        }
        let Some(place) = self.broken.take() else { return false };
        // What cannot be read any more is named to whoever needs it, its neighbours on the page, too.
        let is_lost = |place: &Place<'_>| matches!(place.read(db), Err(JournalError::Damaged { .. }));
        let from = self.behind.range(place.clone()..).map(|(place, _)| place);
        let lost: Vec<_> = from.take_while(|place| is_lost(place)).cloned().collect();
        if lost.is_empty() {
            error!(what = %place.damaged(), "the journal is damaged near this: it can never settle");
            self.stuck.insert(place);
        }
        for place in lost {
            error!(what = %place.damaged(), "the journal is damaged: what this became is lost");
            self.set(place, None);
        }
        true
    }
}

impl<'a> Place<'a> {
    /// The place of a row.
    pub(super) fn new(account: i64, kind: Kind, topic: &'a str, key: &'a str) -> Place<'a> {
        Place { account, kind, topic: topic.into(), key: key.into() }
    }

    /// The topic that the row is about.
    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    fn into_owned(self) -> Place<'static> {
        let (topic, key) = (self.topic.into_owned().into(), self.key.into_owned().into());
        Place { account: self.account, kind: self.kind, topic, key }
    }

    fn parameters(&self) -> (i64, Kind, &str, &str) {
        (self.account, self.kind, &self.topic, &self.key)
    }

    /// What the table has here.
    fn read(&self, db: &Connection) -> Result<Option<String>, JournalError> {
        let mut query = db.prepare_cached(
            "select data, sum from standing where account = ?1 and kind = ?2 and topic = ?3 and key = ?4",
        )?;
        let found = query.query_row(self.parameters(), |row| Ok((row.get(0)?, row.get(1)?))).optional();
        let Some((data, sum)): Option<(String, u32)> = found.map_err(|error| self.damage_or(error))? else {
            return Ok(None);
        };
        self.check(&data, sum)?;
        Ok(Some(data))
    }

    /// Puts a row into the table, or takes it out.
    fn write(&self, db: &Connection, data: Option<&str>) -> rusqlite::Result<usize> {
        let (account, kind, topic, key) = self.parameters();
        let Some(data) = data else {
            let mut delete = db.prepare_cached(
                "delete from standing where account = ?1 and kind = ?2 and topic = ?3 and key = ?4",
            )?;
            return delete.execute((account, kind, topic, key));
        };
        // Not "or replace", which takes the old row out and looks for the place of the new one again.
        let mut insert = db.prepare_cached(
            "insert into standing values (?1, ?2, ?3, ?4, ?5, ?6)
             on conflict do update set data = excluded.data, sum = excluded.sum",
        )?;
        insert.execute((account, kind, topic, key, data, self.sum(data)))
    }

    fn sum(&self, data: &str) -> u32 {
        let kind = [self.kind as u8];
        let key = [self.topic.as_bytes(), self.key.as_bytes(), data.as_bytes()];
        checksum(&[&self.account.to_le_bytes(), &kind, key[0], key[1], key[2]])
    }

    /// Whether `data` is what was written here.
    fn check(&self, data: &str, sum: u32) -> Result<(), JournalError> {
        if sum == self.sum(data) { Ok(()) } else { Err(self.damaged()) }
    }

    /// What an error in reading the row is: damage, where what is there is of another kind than was written.
    fn damage_or(&self, error: rusqlite::Error) -> JournalError {
        if is_other_kind(&error) { self.damaged() } else { error.into() }
    }

    pub(super) fn damaged(&self) -> JournalError {
        let Place { account, topic, key, .. } = self;
        let what = match self.kind {
            Kind::Head if topic.is_empty() => format!("the numbers of account {account}"),
            Kind::Head => format!("the numbers of {topic} of account {account}"),
            Kind::State if key.is_empty() => format!("{topic} of account {account}"),
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

/// After every topic.
const LAST: &str = "\u{10ffff}";

/// What a row that has not settled takes besides its texts, about: its place, and what allocations round up.
const ROW_BYTES: usize = 160;

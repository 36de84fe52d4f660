//! Brings what stands about users into its table: a little with each transaction, round after round over
//! all that is [behind](super::standing), so that no commit waits for much of it and neighbours are
//! written together. When a round ends, all that the events before its beginning changed is in the table;
//! a start goes through the events after them once more.
//!
//! Going through an event twice leaves the same: fields are overwritten by the same later ones, and what
//! was removed is removed again.

#[cfg(test)]
mod tests;

use rusqlite::{Connection, OptionalExtension};
use tracing::error;

use super::JournalError;
use super::accounts::Head;
use super::layout::{COLUMNS, Found, topics};
use super::standing::{Kind, Place, Standing};
use super::store::{checksum, meta, set_meta};
use crate::market::Millis;
use crate::state::{Change, Effect, merged};

/// How far what stands has settled.
pub(super) struct Settling {
    /// What the events up to this one changed is in the table.
    upto: i64,
    /// When the last round ended.
    ended: Millis,
    /// What becomes of both when the transaction under way is on disk.
    next: Option<(i64, Millis)>,
    round: Option<Round>,
    /// What the pace asks for and was not settled yet: rows times events.
    owed: u64,
    /// The names up to this one are forgotten. They go when that has settled.
    pub(super) forgotten: i64,
    pub(super) pace: Pace,
}

struct Round {
    /// The last event before it began.
    to: i64,
    /// What was forgotten before it began.
    forgotten: i64,
    /// The last row that it has written.
    at: Option<Place<'static>>,
    /// The last row that it is to write; those that come behind it wait for the next round.
    last: Option<Place<'static>>,
}

/// How much may be behind, and how much is written at a time.
pub(super) struct Pace {
    /// Events that a round takes: as many, and those of the round before, are gone through at a start.
    pub(super) events: u64,
    /// Rows that are worth a step.
    pub(super) rows: u64,
    /// Memory that rows may take, about.
    pub(super) bytes: usize,
    /// Pages that the store may take, and bytes of one.
    pages: i64,
    page: usize,
}

impl Pace {
    /// For a store that takes `pages` of `page` bytes at most.
    pub(super) fn new(pages: i64, page: i64) -> Pace {
        let (pages, page) = (pages.min(MOST_PAGES), usize::try_from(page).unwrap_or(0));
        let bytes = usize::try_from(pages).unwrap_or(0).saturating_mul(page) / 32;
        Pace { events: EVENTS, rows: ROWS, bytes: bytes.min(MOST_BEHIND), pages, page }
    }

    /// Whether the store has room for what is behind: without it, it could not even let something go. A row
    /// that is new may take a page of its own.
    fn has_room(&self, db: &Connection, standing: &Standing) -> Result<bool, JournalError> {
        let ask = |pragma: &str| db.prepare_cached(pragma)?.query_row([], |row| row.get::<_, i64>(0));
        let free = self.pages - ask("pragma page_count")? + ask("pragma freelist_count")?;
        let needed = standing.rows() + standing.bytes() / self.page.max(1);
        Ok(usize::try_from(free).unwrap_or(0) >= needed)
    }
}

impl Settling {
    /// What the events up to this one changed is in the table.
    pub(super) fn upto(&self) -> i64 {
        self.upto
    }

    /// `events` more were recorded: settles what is due, so that a round takes about [`Pace::events`] and not
    /// much more than twice as many, and what is behind does not grow beyond [`Pace::bytes`].
    pub(super) fn keep_pace(
        &mut self,
        db: &Connection,
        standing: &mut Standing,
        now: Millis,
        events: usize,
    ) -> Result<(), JournalError> {
        self.owed += standing.rows() as u64 * events as u64;
        let due = self.owed / self.pace.events;
        if due >= self.pace.rows.min(standing.rows() as u64).max(1) {
            self.owed -= due * self.pace.events;
            self.step(db, standing, now, usize::try_from(due).unwrap_or(usize::MAX))?;
        }
        let is_late = match &self.round {
            // New rows may come before it all the time.
            Some(round) => (last_event(db)? - round.to).unsigned_abs() > 2 * self.pace.events,
            None => false,
        };
        if is_late || standing.bytes() > self.pace.bytes {
            // More than so many events may change.
            self.step(db, standing, now, AT_ONCE.max(8 * events))?;
        }
        if self.pace.has_room(db, standing)? { Ok(()) } else { Err(JournalError::Full) }
    }

    /// Settles some of what is behind where little was recorded lately, or it `is_urgent`; whether there is
    /// more of it to be settled now.
    pub(super) fn keep_up(
        &mut self,
        db: &Connection,
        standing: &mut Standing,
        now: Millis,
        is_urgent: bool,
    ) -> Result<bool, JournalError> {
        let is_urgent = is_urgent || standing.bytes() > self.pace.bytes / 2;
        let is_late = now.saturating_sub(self.ended) >= LONGEST;
        if !(is_urgent || is_late) || self.is_all(db, standing)? {
            return Ok(false);
        }
        self.step(db, standing, now, AT_ONCE)?;
        Ok(self.round.is_some() || (is_urgent && !self.is_all(db, standing)?))
    }

    /// Whether nothing is behind.
    fn is_all(&self, db: &Connection, standing: &Standing) -> Result<bool, JournalError> {
        let upto = self.next.map_or(self.upto, |(upto, _)| upto);
        Ok(standing.rows() == 0 && upto == last_event(db)?)
    }

    fn step(
        &mut self,
        db: &Connection,
        standing: &mut Standing,
        now: Millis,
        rows: usize,
    ) -> Result<(), JournalError> {
        let mut round = match self.round.take() {
            Some(round) => round,
            None => Round {
                to: last_event(db)?,
                forgotten: self.forgotten,
                at: None,
                last: standing.last_behind(),
            },
        };
        if let Some(last) = &round.last {
            round.at = standing.settle(db, round.at.as_ref(), last, rows)?;
        }
        if round.at.is_some() {
            self.round = Some(round);
            return Ok(());
        }
        set_meta(db, SETTLED, &mark(round.to))?;
        db.prepare_cached("delete from names where id <= ?1")?.execute([round.forgotten])?;
        self.next = Some((round.to, now));
        Ok(())
    }

    /// The transaction is on disk.
    pub(super) fn kept(&mut self) {
        (self.upto, self.ended) = self.next.take().unwrap_or((self.upto, self.ended));
    }

    /// The transaction is not: what it settled is behind again, and the round begins anew.
    pub(super) fn take_back(&mut self) {
        (self.next, self.round) = (None, None);
    }

    /// Puts behind the table what the events that had not settled changed.
    pub(super) fn begin(
        db: &Connection,
        standing: &mut Standing,
        pace: Pace,
    ) -> Result<Settling, JournalError> {
        let upto = match meta(db, SETTLED)? {
            Some(text) => {
                let upto = text.split(' ').next().and_then(|number| number.parse().ok());
                upto.filter(|upto| mark(*upto) == text)
                    .ok_or_else(|| lost("how far users' numbers settled"))?
            }
            None => 0,
        };
        let mut query = db.prepare(&format!("select {COLUMNS} from events where id > ?1 order by id"))?;
        let mut found = query.query([upto])?;
        let mut id = upto;
        while let Some(row) = found.next()? {
            id += 1;
            match Found::of(row) {
                Ok(event) if event.id == id => again(db, standing, &event)?,
                Ok(_) => return Err(lost_event(id)),
                Err(JournalError::Damaged { what }) => {
                    // Numbers are never given out twice: its user gets no more of them.
                    let account = Found::account(row).filter(|(at, _)| *at == id);
                    let (_, account) = account.ok_or_else(|| lost_event(id))?;
                    error!(what, account, "damage in the journal: its user's numbers are not known any more");
                    standing.put(Place::new(account, Kind::Head, "", ""), "unknown".to_owned());
                }
                Err(failed) => return Err(failed),
            }
            standing.kept();
        }
        if id != last_event(db)? {
            return Err(lost_event(id + 1));
        }
        Ok(Settling { upto, ended: 0, next: None, round: None, owed: 0, forgotten: 0, pace })
    }
}

/// What an event changes, once more.
fn again(db: &Connection, standing: &mut Standing, event: &Found) -> Result<(), JournalError> {
    let (account, row) = (event.account, &event.row);
    for (topic, seq, _) in topics(&event.topics) {
        let head = Head { seq, user_seq: row.user_seq, last: event.id };
        standing.put(Place::new(account, Kind::Head, topic, ""), head.to_string());
        let Some(Change { key, effect }) = &event.change else { continue };
        let place = Place::new(account, Kind::State, topic, key);
        match effect {
            Effect::Remove => standing.remove(place),
            Effect::Merge => match standing.read(db, &place) {
                Ok(old) => standing.put(place, merged(old.as_deref(), &row.data)),
                // It stays as it is, and is named to whoever needs it.
                Err(JournalError::Damaged { what }) => error!(what, "damage in the journal is left as it is"),
                Err(failed) => return Err(failed),
            },
        }
    }
    // A name is forgotten for good no sooner than its event has settled.
    if let Some(name) = &event.name {
        let seq = topics(&event.topics).next().map_or(0, |(_, seq, _)| seq);
        standing.put(Place::new(account, Kind::Seen, "", name), format!("{seq} {}", row.at));
    }
    Ok(())
}

/// The mark as the store holds it, with its checksum.
fn mark(upto: i64) -> String {
    format!("{upto} {}", checksum(&[SETTLED.as_bytes(), &upto.to_le_bytes()]))
}

fn lost_event(event: i64) -> JournalError {
    lost(&format!("event {event} of all, and whose it was,"))
}

fn lost(what: &str) -> JournalError {
    JournalError::Damaged { what: format!("{what} is lost") }
}

/// The last event that was ever recorded.
pub(super) fn last_event(db: &Connection) -> Result<i64, JournalError> {
    let mut query = db.prepare_cached("select seq from sqlite_sequence where name = 'events'")?;
    Ok(query.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Events that a round takes. Of 100,000 busy users that is more than one each, and some share a page that is
/// written once in it. More would write less, and let a start take longer: it goes through as many as twice this
/// in two to three seconds.
const EVENTS: u64 = 1 << 17;

/// Rows that are worth a step: neighbours in some pages.
const ROWS: u64 = 64;

/// Memory that what is behind takes at most, about, however large the store may become.
const MOST_BEHIND: usize = 64 << 20;

/// More than this SQLite does not count: it is 8 TiB.
const MOST_PAGES: i64 = 0xffff_fffe;

/// What the store calls [`Settling::upto`].
const SETTLED: &str = "settled";

/// Rows that are settled at once where nothing tells how many: some milliseconds of work.
const AT_ONCE: usize = 500;

/// Where little is recorded a round begins this long after the one before it.
const LONGEST: Millis = 600_000;

//! Brings what stands about users into its table: a little with each transaction, round after round over
//! all that is [behind](super::standing), so that no commit waits for much of it and neighbours are
//! written together. When a round ends, all that the events before its beginning changed is in the table;
//! a start goes through the events after them once more.
//!
//! Going through an event twice changes nothing: fields are overwritten by the same later ones, and what
//! was removed is removed again.

#[cfg(test)]
mod tests;

use rusqlite::{Connection, OptionalExtension};
use tracing::error;

use super::JournalError;
use super::accounts::Head;
use super::layout::{COLUMNS, Found, topics};
use super::standing::{Kind, Place, Standing};
use super::store::{meta, set_meta};
use crate::market::Millis;
use crate::state::{Change, Effect, merged};

/// How far what stands has settled.
pub(super) struct Settling {
    /// What the events up to this one changed is in the table.
    upto: i64,
    /// What becomes of `upto` when the transaction under way is on disk.
    next: Option<i64>,
    round: Option<Round>,
    /// What the pace asks for and was not settled yet: rows times events.
    owed: u64,
    /// When the last round ended.
    ended: Millis,
    pub(super) pace: Pace,
}

struct Round {
    /// The last event before it began.
    to: i64,
    /// The last row that it has written.
    at: Option<Place<'static>>,
}

/// How much may be behind, and how much is written at a time.
pub(super) struct Pace {
    /// Events that a round takes: as many, and those of the round before, are gone through at a start.
    pub(super) events: u64,
    /// Rows that are worth a step.
    pub(super) rows: u64,
    /// Memory that rows may take, about.
    pub(super) bytes: usize,
    /// What the store may take, and how large one is.
    pages: i64,
    page: i64,
}

impl Pace {
    /// For a store that takes `pages` of `page` bytes at most.
    pub(super) fn new(pages: i64, page: i64) -> Pace {
        let bytes = MOST_BEHIND.min(usize::try_from(pages.saturating_mul(page) / 16).unwrap_or(0));
        Pace { events: EVENTS, rows: ROWS, bytes, pages, page }
    }

    /// Bytes that the store can still take.
    fn room(&self, db: &Connection) -> Result<usize, JournalError> {
        let ask = |pragma: &str| db.prepare_cached(pragma)?.query_row([], |row| row.get::<_, i64>(0));
        let free = self.pages - ask("pragma page_count")? + ask("pragma freelist_count")?;
        Ok(usize::try_from(free.saturating_mul(self.page)).unwrap_or(0))
    }
}

impl Settling {
    /// What the events up to this one changed is in the table once the transaction under way is on disk.
    pub(super) fn upto(&self) -> i64 {
        self.next.unwrap_or(self.upto)
    }

    /// `events` more were recorded: settles what is due.
    pub(super) fn keep_pace(
        &mut self,
        db: &Connection,
        standing: &mut Standing,
        now: Millis,
        events: usize,
    ) -> Result<(), JournalError> {
        self.owed += standing.rows() as u64 * events as u64;
        let due = self.owed / self.pace.events;
        if due >= self.pace.rows {
            self.owed -= due * self.pace.events;
            self.step(db, standing, now, usize::try_from(due).unwrap_or(usize::MAX))?;
        }
        while standing.bytes() > self.pace.bytes {
            self.step(db, standing, now, AT_ONCE)?;
        }
        // What is behind finds its room, or a full store could not even let something go.
        if self.pace.room(db)? < 2 * standing.bytes() { Err(JournalError::Full) } else { Ok(()) }
    }

    /// Settles some of what is behind although little was recorded lately; whether there is more of it.
    pub(super) fn keep_up(
        &mut self,
        db: &Connection,
        standing: &mut Standing,
        now: Millis,
    ) -> Result<bool, JournalError> {
        if now.saturating_sub(self.ended) < LONGEST || self.upto == last_event(db)? {
            return Ok(false);
        }
        self.step(db, standing, now, AT_ONCE)?;
        Ok(self.round.is_some())
    }

    /// Settles everything.
    pub(super) fn settle(
        &mut self,
        db: &Connection,
        standing: &mut Standing,
        now: Millis,
    ) -> Result<(), JournalError> {
        self.round = None;
        self.step(db, standing, now, usize::MAX)
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
            None => Round { to: last_event(db)?, at: None },
        };
        round.at = standing.settle(db, round.at.as_ref(), rows)?;
        if round.at.is_some() {
            self.round = Some(round);
        } else {
            set_meta(db, SETTLED, &round.to.to_string())?;
            (self.next, self.ended) = (Some(round.to), now);
        }
        Ok(())
    }

    /// The transaction is on disk.
    pub(super) fn kept(&mut self) {
        self.upto = self.next.take().unwrap_or(self.upto);
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
        let upto = meta(db, SETTLED)?.and_then(|number| number.parse().ok()).unwrap_or(0);
        let oldest_name = "select at from names order by id limit 1";
        let oldest_name = db.query_row(oldest_name, [], |row| row.get(0)).optional()?;
        let mut query = db.prepare(&format!("select {COLUMNS} from events where id > ?1 order by id"))?;
        let mut found = query.query([upto])?;
        let mut id = upto;
        while let Some(row) = found.next()? {
            id += 1;
            match Found::of(row) {
                Ok(event) if event.id == id => again(db, standing, &event, oldest_name)?,
                Ok(_) => return Err(lost(id)),
                Err(JournalError::Damaged { what }) => {
                    // Numbers are never given out twice: its user gets no more of them.
                    let account = Found::account(row).filter(|(at, _)| *at == id);
                    let (_, account) = account.ok_or_else(|| lost(id))?;
                    error!(what, account, "damage in the journal: its user's numbers are not known any more");
                    standing.put(Place::new(account, Kind::Head, "", ""), "unknown".to_owned());
                }
                Err(failed) => return Err(failed),
            }
            standing.kept();
        }
        if id < last_event(db)? {
            return Err(lost(id + 1));
        }
        Ok(Settling { upto, next: None, round: None, owed: 0, ended: 0, pace })
    }
}

/// What an event changes, once more.
fn again(
    db: &Connection,
    standing: &mut Standing,
    event: &Found,
    oldest_name: Option<Millis>,
) -> Result<(), JournalError> {
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
    // A name whose hour is over was forgotten, and those before it.
    if let (Some(name), true) = (&event.name, oldest_name.is_some_and(|oldest| oldest <= row.at)) {
        let seq = topics(&event.topics).next().map_or(0, |(_, seq, _)| seq);
        standing.put(Place::new(account, Kind::Seen, "", name), format!("{seq} {}", row.at));
    }
    Ok(())
}

fn lost(event: i64) -> JournalError {
    JournalError::Damaged { what: format!("event {event} of all is lost, and with it whose it was") }
}

/// The last event that was ever recorded.
pub(super) fn last_event(db: &Connection) -> Result<i64, JournalError> {
    let mut query = db.prepare_cached("select seq from sqlite_sequence where name = 'events'")?;
    Ok(query.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Events that a round takes. Of 100,000 busy users that is more than one each, and some share a page that is
/// written once in it. More would write less, and let a start after a kill take longer: it goes through as many
/// as twice this in two to three seconds.
const EVENTS: u64 = 1 << 17;

/// Rows that are worth a step: neighbours in some pages.
const ROWS: u64 = 64;

/// Memory that what is behind takes at most, about, however large the store may become.
const MOST_BEHIND: usize = 64 << 20;

/// What the store calls [`Settling::upto`].
const SETTLED: &str = "settled";

/// Rows that are settled at once where nothing tells how many: some milliseconds of work.
const AT_ONCE: usize = 500;

/// Where little is recorded a round begins this long after the one before it.
const LONGEST: Millis = 600_000;

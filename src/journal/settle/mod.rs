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
    /// Nothing stands about the `names` up to this one in the table any more: they can go.
    settled_names: i64,
    /// What becomes of the three when the transaction under way is on disk.
    next: Option<(i64, Millis, i64)>,
    round: Option<Round>,
    /// What the pace asks for and was not settled yet: rows times events.
    owed: u64,
    /// What both were before the transaction under way.
    before: Option<(Option<Round>, u64)>,
    /// The `names` up to this one are forgotten; what stands about them has yet to settle.
    pub(super) forgotten: i64,
    pub(super) pace: Pace,
}

#[derive(Clone)]
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
    /// Events that a round takes, about. A start goes through those of the last rounds.
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
        // As many events of a usual size take a sixteenth of it.
        let events = EVENTS.min((bytes * 2 / 1_024) as u64).max(1);
        Pace { events, rows: ROWS, bytes: bytes.min(MOST_BEHIND), pages, page }
    }

    /// Whether the store has room for what is behind, twice for the pages that split: events do not take it,
    /// so that what they change finds it.
    fn has_room(&self, db: &Connection, standing: &Standing) -> Result<bool, JournalError> {
        let ask = |pragma: &str| db.prepare_cached(pragma)?.query_row([], |row| row.get::<_, i64>(0));
        let free = self.pages - ask("pragma page_count")? + ask("pragma freelist_count")?;
        let needed = 2 * standing.bytes() / self.page.max(1);
        Ok(usize::try_from(free).unwrap_or(0) >= needed)
    }
}

impl Settling {
    /// What the events up to this one changed is in the table.
    pub(super) fn upto(&self) -> i64 {
        self.upto
    }

    /// `events` more were recorded: settles what is due, so that a round takes about [`Pace::events`] and not
    /// much more, and what is behind does not grow beyond [`Pace::bytes`].
    pub(super) fn keep_pace(
        &mut self,
        db: &Connection,
        standing: &mut Standing,
        now: Millis,
        events: usize,
    ) -> Result<(), JournalError> {
        self.save();
        self.owed += standing.rows() as u64 * events as u64;
        let mut due = self.owed / self.pace.events;
        if due < self.pace.rows.min(standing.rows() as u64).max(1) {
            due = 0;
        }
        self.owed -= due * self.pace.events;
        let mut rows = usize::try_from(due).unwrap_or(usize::MAX);
        // Where new rows come ahead of where the round stands it would never end. One event puts fewer there.
        let is_long = match &self.round {
            Some(round) => (last_event(db)? - round.to).unsigned_abs() > self.pace.events * 3 / 2,
            None => false,
        };
        if is_long {
            rows = rows.max(8 * events);
        }
        if standing.bytes() > self.pace.bytes {
            rows = rows.max(8 * events).max(STEP);
        }
        if rows > 0 {
            self.step(db, standing, now, rows)?;
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
        let is_late = is_urgent || now.saturating_sub(self.ended) >= LONGEST;
        if !(is_late || standing.bytes() > self.pace.bytes) || self.is_all(db, standing)? {
            return Ok(false);
        }
        self.save();
        self.step(db, standing, now, STEP)?;
        let is_over = if is_urgent { self.is_all(db, standing)? } else { !is_late || self.round.is_none() };
        Ok(!is_over || standing.bytes() > self.pace.bytes)
    }

    /// Whether all that can settle has.
    fn is_all(&self, db: &Connection, standing: &Standing) -> Result<bool, JournalError> {
        let upto = self.next.map_or(self.upto, |(upto, ..)| upto);
        Ok(standing.rows() == 0 && (standing.is_stuck() || upto == last_event(db)?))
    }

    /// Remembers where it stands, for when the transaction fails.
    fn save(&mut self) {
        if self.before.is_none() {
            self.before = Some((self.round.clone(), self.owed));
        }
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
        // What is stuck can only be made again of its events.
        let mut next = (self.upto, now, self.settled_names);
        if !standing.is_stuck() {
            set_meta(db, SETTLED, &mark(round.to))?;
            next = (round.to, now, round.forgotten);
        }
        self.next = Some(next);
        Ok(())
    }

    /// Takes some of the names that were forgotten out of the store; whether there may be more of them.
    pub(super) fn let_names_go(&self, db: &Connection, most: i64) -> Result<bool, JournalError> {
        let mut delete = db.prepare_cached(
            "delete from names where id in (select id from names where id <= ?1 order by id limit ?2)",
        )?;
        Ok(i64::try_from(delete.execute((self.settled_names, most))?) == Ok(most))
    }

    /// The transaction is on disk.
    pub(super) fn kept(&mut self) {
        self.before = None;
        if let Some(next) = self.next.take() {
            (self.upto, self.ended, self.settled_names) = next;
        }
    }

    /// The transaction is not: what it settled is behind again.
    pub(super) fn take_back(&mut self) {
        self.next = None;
        if let Some(before) = self.before.take() {
            (self.round, self.owed) = before;
        }
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
        let (ended, settled_names, forgotten, owed) = (0, 0, 0, 0);
        let (next, round, before) = (None, None, None);
        Ok(Settling { upto, ended, settled_names, next, round, owed, before, forgotten, pace })
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
/// written once in it. More would write less, and let a start take longer: it goes through as many as this in one
/// to two seconds, and there are up to three times as many.
const EVENTS: u64 = 1 << 17;

/// Rows that are worth a step: neighbours in some pages.
const ROWS: u64 = 64;

/// Memory that what is behind takes at most, about, however large the store may become: 100,000 users with an
/// open order each take half of it.
const MOST_BEHIND: usize = 128 << 20;

/// More than this SQLite does not count: it is 8 TiB.
const MOST_PAGES: i64 = 0xffff_fffe;

/// What the store calls [`Settling::upto`].
const SETTLED: &str = "settled";

/// Rows that are settled at once where the pace does not tell how many: some milliseconds of work.
const STEP: usize = 500;

/// Where little is recorded a round begins this long after the one before it.
const LONGEST: Millis = 600_000;

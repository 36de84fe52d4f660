//! Lets go of what is no longer to be kept: what is too old, and what is beyond the count of its topic.
//!
//! Events lie in the order in which they came, so that the old ones are one piece at the front. What
//! is beyond its count is scattered: a round over all events lets go of it, a step at a time, and
//! begins when half as much has been written as the last round left. So an event is looked at three
//! times at most on the average, and the store holds at most half as much again as is to be kept. A
//! store that is full writes nothing: there all settles, and the next round begins when it has.
//! Only events that have [settled](super::settle) go.
//!
//! What is damaged is left where it is and named, and the rest goes all the same.

use rusqlite::{Connection, Row};
use tracing::error;

use super::accounts::Heads;
use super::events::REMEMBERED;
use super::layout::topics;
use super::standing::{Kind, Place, Standing};
use super::{Journal, JournalError};
use crate::market::Millis;

/// Where the round over all events stands.
#[derive(Debug)]
pub(super) struct Cleaner {
    /// The last event that the last round looked at; of those before the start of the process the last.
    seen: i64,
    /// Events that the last round left.
    left: u64,
    /// There was no room for an event since the last round began.
    is_full: bool,
    round: Option<Round>,
}

#[derive(Debug)]
struct Round {
    /// The last event that it has looked at.
    at: i64,
    /// The last event that it is to look at.
    end: i64,
    left: u64,
    /// What was found to be damaged, each named once.
    damage: Vec<String>,
}

impl Cleaner {
    /// Begins with what is written after the event `seen`.
    pub(super) fn new(seen: i64) -> Cleaner {
        Cleaner { seen, left: 0, is_full: false, round: None }
    }

    /// There was no room: the next round does not wait until more is written.
    pub(super) fn full(&mut self) {
        self.is_full = true;
    }

    /// Whether there was no room, and no round has begun since.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// The round that is under way, or begins now that it would find something, as far as is known, among
    /// the events up to `end`.
    fn round(&mut self, end: i64) -> Option<&mut Round> {
        let written = u64::try_from(end - self.seen).unwrap_or(0);
        // Where nothing was written since the last round, another one lets nothing go.
        let needs_room = self.is_full && (written > 0 || self.left == 0);
        if self.round.is_none() && (written >= self.left / 2 + ROUND_LEAST || needs_room) {
            self.round = Some(Round { at: 0, end, left: 0, damage: Vec::new() });
            (self.seen, self.is_full) = (end, false);
        }
        self.round.as_mut()
    }

    /// What it let go is there again: it begins anew.
    fn take_back(&mut self) {
        if let Some(round) = &mut self.round {
            (round.at, round.left) = (0, 0);
        }
    }
}

impl Journal {
    /// Lets some of what is not to be kept go; whether there may be more of it.
    ///
    /// # Errors
    /// [`JournalError`] when the store cannot be written.
    pub fn forget(&mut self, now: Millis) -> Result<bool, JournalError> {
        let mut settled = self.settle(now);
        if settled.is_ok() {
            self.kept();
        } else if self.take_back() {
            settled = Ok(true);
        }
        // A full store lets go of what has settled; where that cannot go on, of what has settled so far.
        let waits = self.cleaner.is_full && matches!(settled, Ok(true));
        let names = self.forget_names(now.saturating_sub(REMEMBERED));
        let gone = self.let_go(now, !waits);
        if gone.is_err() {
            self.cleaner.take_back();
        }
        let parts = [settled, names, gone];
        let more = parts.iter().any(|part| matches!(part, Ok(true)));
        match parts.into_iter().find_map(Result::err) {
            Some(failed) if more => {
                error!(%failed, "a part of what is too old could not be let go");
                Ok(true)
            }
            Some(failed) => Err(failed),
            None => Ok(more),
        }
    }

    fn settle(&mut self, now: Millis) -> Result<bool, JournalError> {
        let transaction = self.db.unchecked_transaction()?;
        let is_full = self.cleaner.is_full;
        let more = self.settling.keep_up(&transaction, &mut self.standing, now, is_full)?;
        transaction.commit()?;
        Ok(more)
    }

    /// Names of before `old`, which were to be remembered until now. They stay until it has settled that nothing
    /// stands about them, and are found again by a process that ends before.
    fn forget_names(&mut self, old: Millis) -> Result<bool, JournalError> {
        let Journal { db, standing, settling, .. } = self;
        if standing.bytes() > settling.pace.bytes {
            return Ok(false);
        }
        let mut query =
            db.prepare_cached("select id, account, name, at from names where id > ?1 order by id limit ?2")?;
        let mut found = query.query((settling.forgotten, AT_ONCE))?;
        let mut count = 0;
        while let Some(row) = found.next()? {
            let (id, at): (i64, Millis) = (row.get(0)?, row.get(3)?);
            if at > old {
                break;
            }
            match forget_name(db, standing, row, at) {
                Ok(()) => {}
                Err(JournalError::Damaged { what }) => error!(what, "damage in the journal is left as it is"),
                Err(failed) => return Err(failed),
            }
            // Nothing is written for it: it is as good as on disk.
            standing.kept();
            (settling.forgotten, count) = (id, count + 1);
        }
        Ok(count == AT_ONCE)
    }

    fn let_go(&mut self, now: Millis, may_begin: bool) -> Result<bool, JournalError> {
        let Journal { db, standing, settling, cleaner, .. } = self;
        let (mut beyond, mut is_over) = (Vec::new(), true);
        if (may_begin || cleaner.round.is_some())
            && let Some(round) = cleaner.round(settling.upto())
        {
            // Before the transaction: one that reads a page that is damaged cannot be kept.
            is_over = step(db, &self.heads, standing, round, self.retention.events, &mut beyond)?;
        }
        let transaction = db.unchecked_transaction()?;
        for id in beyond {
            transaction.prepare_cached("delete from events where id = ?1")?.execute([id])?;
        }
        let old = forget_old(&transaction, now.saturating_sub(self.retention.age), settling.upto())?;
        let names = settling.let_names_go(&transaction, AT_ONCE)?;
        transaction.commit()?;
        if let Some(round) = cleaner.round.take_if(|_| is_over) {
            cleaner.left = round.left;
        }
        Ok(old || names || !is_over)
    }
}

/// Events of before `old`, all of which are at the front, as far as they have settled.
fn forget_old(db: &Connection, old: Millis, settled: i64) -> Result<bool, JournalError> {
    let mut query = db.prepare_cached(
        "select max(id), count(*) from (
             select id, at from events where id <= ?3 order by id limit ?2) where at < ?1",
    )?;
    let (last, count): (Option<i64>, i64) =
        query.query_row((old, AT_ONCE, settled), |row| Ok((row.get(0)?, row.get(1)?)))?;
    if let Some(last) = last {
        db.prepare_cached("delete from events where id <= ?1")?.execute([last])?;
    }
    Ok(count == AT_ONCE)
}

fn forget_name(
    db: &Connection,
    standing: &mut Standing,
    row: &Row<'_>,
    at: Millis,
) -> Result<(), JournalError> {
    let (account, name): (i64, String) = (row.get(1)?, row.get(2)?);
    let place = Place::new(account, Kind::Seen, "", &name);
    // Since then it may have been given to another event.
    if standing.read(db, &place)?.is_some_and(|data| data.ends_with(&format!(" {at}"))) {
        standing.remove(place);
    }
    Ok(())
}

/// Looks at some events for those that are `beyond` the count in each of their topics; whether the round is over.
fn step(
    db: &Connection,
    heads: &Heads,
    standing: &Standing,
    round: &mut Round,
    kept: u64,
    beyond: &mut Vec<i64>,
) -> Result<bool, JournalError> {
    let mut query = db.prepare_cached(
        "select id, account, topics from events where id > ?1 and id <= ?2 order by id limit ?3",
    )?;
    let mut found = query.query((round.at, round.end, AT_ONCE))?;
    let mut count = 0;
    while let Some(row) = found.next()? {
        let id = row.get(0)?;
        (round.at, count) = (id, count + 1);
        match is_kept(db, heads, standing, row, kept) {
            Ok(true) => round.left += 1,
            Ok(false) => beyond.push(id),
            Err(JournalError::Damaged { what }) => {
                round.left += 1;
                if !round.damage.contains(&what) && round.damage.len() < MOST_NAMED {
                    error!(what, "damage in the journal is left as it is");
                    round.damage.push(what);
                }
            }
            Err(failed) => return Err(failed),
        }
    }
    Ok(count < AT_ONCE)
}

/// Whether one of an event's topics is still to hold it.
fn is_kept(
    db: &Connection,
    heads: &Heads,
    standing: &Standing,
    row: &Row<'_>,
    kept: u64,
) -> Result<bool, JournalError> {
    let (account, lines): (i64, String) = (row.get(1)?, row.get(2)?);
    let mut is_kept = false;
    for (topic, seq, _) in topics(&lines) {
        is_kept |= heads.head(db, standing, account, topic)?.seq.saturating_sub(seq) < kept;
    }
    Ok(is_kept)
}

/// Rows that are looked at in one transaction: some milliseconds of work.
const AT_ONCE: i64 = 2_000;

/// Events below which no round is worth its while.
const ROUND_LEAST: u64 = 10_000;

/// Damages that one round names: who sees so many has seen enough.
const MOST_NAMED: usize = 100;

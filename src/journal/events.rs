//! Private events: recorded many at a time, read again from where somebody left.

use std::sync::Arc;

use rusqlite::Connection;

use super::accounts::{Account, Heads};
use super::layout::{Found, insert};
use super::standing::{Kind, Place, Standing};
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
        let mut damage: Vec<_> = entries.iter().map(|_| None).collect();
        let mut tries = 0;
        loop {
            let met = damage.iter().flatten().count();
            let failed = match self.record_all(now, entries, &mut damage) {
                Ok(recorded) => {
                    self.kept();
                    let taken = recorded.into_iter().zip(damage);
                    return Ok(taken.map(|(recorded, damage)| damage.map_or(Ok(recorded), Err)).collect());
                }
                Err(failed) => failed,
            };
            let is_mended = self.take_back();
            self.heads.forget(entries.iter().map(|entry| &*entry.user));
            // A transaction that met a page that is damaged cannot be kept. Without those for whom it was met
            // another one can.
            let is_less = damage.iter().flatten().count() > met;
            tries += 1;
            if !(matches!(failed, JournalError::Damaged { .. }) && (is_mended || is_less) && tries < TRIES) {
                if matches!(failed, JournalError::Full) {
                    self.cleaner.full();
                }
                return Err(failed);
            }
            for (entry, damage) in entries.iter().zip(&mut damage).filter(|_| is_less) {
                let needed = Needed::of(entry, &mut self.heads, &self.db, &self.standing, now);
                if let Err(met @ JournalError::Damaged { .. }) = needed {
                    damage.get_or_insert(met);
                }
            }
        }
    }

    /// Records all in one transaction but those that need what is damaged, each of which has its `damage`.
    fn record_all(
        &mut self,
        now: Millis,
        entries: &[Entry],
        damage: &mut [Option<JournalError>],
    ) -> Result<Vec<Recorded>, JournalError> {
        let transaction = self.db.unchecked_transaction()?;
        let mut recorded = Vec::with_capacity(entries.len());
        for (entry, damage) in entries.iter().zip(damage) {
            if damage.is_none() {
                match Needed::of(entry, &mut self.heads, &transaction, &self.standing, now) {
                    Ok(found) => {
                        let account = self.heads.open(&transaction, &self.standing, &entry.user)?;
                        recorded.push(write(&transaction, &mut self.standing, account, now, entry, found)?);
                        continue;
                    }
                    Err(met @ JournalError::Damaged { .. }) => *damage = Some(met),
                    Err(failed) => return Err(failed),
                }
            }
            recorded.push(Recorded::default());
        }
        self.settling.keep_pace(&transaction, &mut self.standing, now, entries.len())?;
        transaction.commit()?;
        Ok(recorded)
    }

    /// Where a topic of a user stands: its last number, and the user's.
    ///
    /// # Errors
    /// [`JournalError`] when the store cannot be read.
    pub fn head(&mut self, user: &str, topic: &str) -> Result<(u64, u64), JournalError> {
        let account = self.heads.find(&self.db, &self.standing, user)?;
        Ok(account.map_or((0, 0), |account| (account.head(topic).seq, account.user_seq)))
    }

    /// What came after number `seq` of a topic, as far as that is 4 MiB: of a longer past a picture is the
    /// shorter story.
    ///
    /// # Errors
    /// [`JournalError`] when the store cannot be read, or what it holds is not what was written.
    pub fn since(&mut self, user: &str, topic: &str, seq: u64) -> Result<Missed, JournalError> {
        let Some(account) = self.heads.find(&self.db, &self.standing, user)? else {
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
        let Some(account) = self.heads.find(&self.db, &self.standing, user)? else { return Ok(Vec::new()) };
        let items = self.standing.all(&self.db, account.row, Kind::State, Some(topic))?;
        Ok(items.into_values().map(String::into_boxed_str).collect())
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

/// What an entry finds. All that it needs is read before anything of it is written, so that what is
/// damaged leaves nothing of it behind.
struct Needed {
    /// Its number, where it was recorded before.
    seen: Option<u64>,
    /// What the thing that it changes becomes in each of its topics; nothing where it is removed.
    states: Vec<String>,
}

impl Needed {
    fn of(
        entry: &Entry,
        heads: &mut Heads,
        db: &Connection,
        standing: &Standing,
        now: Millis,
    ) -> Result<Needed, JournalError> {
        let account = heads.find(db, standing, &entry.user)?.map(|account| account.row);
        let seen = match (account, &entry.event_id) {
            (Some(account), Some(name)) => seen(db, standing, account, name, now)?,
            (None, _) | (_, None) => None,
        };
        let mut states = Vec::new();
        if let Some(Change { key, effect: Effect::Merge }) = entry.change.as_ref().filter(|_| seen.is_none())
        {
            for topic in &entry.topics {
                let read = |account| standing.read(db, &Place::new(account, Kind::State, topic, key));
                let old = account.map(read).transpose()?.flatten();
                states.push(merged(old.as_deref(), &entry.data));
            }
        }
        Ok(Needed { seen, states })
    }
}

fn write(
    db: &Connection,
    standing: &mut Standing,
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
        account.advance(standing, topic, id);
        if let Some(Change { key, .. }) = &entry.change {
            let place = Place::new(account.row, Kind::State, topic, key);
            match states.next() {
                Some(state) => standing.put(place, state),
                None => standing.remove(place),
            }
        }
    }
    if let Some(name) = &entry.event_id {
        let seq = seqs.first().copied().unwrap_or_default();
        standing.put(Place::new(account.row, Kind::Seen, "", name), format!("{seq} {now}"));
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

fn seen(
    db: &Connection,
    standing: &Standing,
    account: i64,
    name: &str,
    now: Millis,
) -> Result<Option<u64>, JournalError> {
    let place = Place::new(account, Kind::Seen, "", name);
    let Some(data) = standing.read(db, &place)? else { return Ok(None) };
    let numbers = data.split_once(' ').and_then(|(seq, at)| Some((seq.parse().ok()?, at.parse().ok()?)));
    let (seq, at): (u64, Millis) = numbers.ok_or_else(|| place.damaged())?;
    Ok((at > now - REMEMBERED).then_some(seq))
}

/// How long an `eventId` is remembered.
pub(super) const REMEMBERED: Millis = 3_600_000;

/// How often a group is tried: once more for all whose rows are damaged, and for pages that what settles meets.
const TRIES: usize = 16;

/// Bytes of data that are read at one time of what a client missed. A thousand usual events are a tenth of it.
const MOST_MISSED: usize = 4 << 20;

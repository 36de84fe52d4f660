//! Opens the store, and names what can go wrong with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension};
use thiserror::Error;

use super::accounts::Heads;
use super::forget::Cleaner;
use super::settle::{Pace, Settling, last_event};
use super::standing::Standing;
use crate::market::Millis;

/// The journal. One thread writes and reads through it.
pub struct Journal {
    pub(super) db: Connection,
    pub(super) heads: Heads,
    pub(super) standing: Standing,
    pub(super) settling: Settling,
    pub(super) retention: Retention,
    /// Of events before this one some may be gone although fewer than `retention.events` follow: less
    /// was kept then.
    pub(super) held_from: i64,
    pub(super) cleaner: Cleaner,
    epoch: String,
}

/// How much of the past is kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Events of one topic of one user.
    pub events: u64,
    /// How old one may become.
    pub age: Millis,
    /// What the whole store may take on disk, in bytes.
    pub bytes: u64,
}

/// Why the journal did not do what it was asked to.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The folder cannot be made.
    #[error("{}: {error}: data_dir must be a folder that can be written to", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// Another process has it open.
    #[error("{}: another process writes to it: give each its own data_dir", file.display())]
    Taken {
        /// Which.
        file: PathBuf,
    },
    /// No room for more.
    #[error("there is no room for more: free some space on the disk of data_dir, or raise journal.bytes")]
    Full,
    /// What was read is not what was written.
    #[error("the journal is damaged: {what}: restore data_dir from a copy, or move it away to begin anew")]
    Damaged {
        /// What of it.
        what: String,
    },
    /// A store of a later version, or of another program.
    #[error("{}: not a journal of this version (found {found}, need {need}): move it away to begin anew, or start the version that wrote it", file.display())]
    Foreign {
        /// Which.
        file: PathBuf,
        /// What it says of itself.
        found: i64,
        /// What it has to say.
        need: i64,
    },
    /// All else that a disk can do.
    #[error("the journal cannot be used: {0}")]
    Store(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for JournalError {
    fn from(error: rusqlite::Error) -> JournalError {
        if is_other_kind(&error) {
            return JournalError::Damaged { what: error.to_string() };
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => JournalError::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                JournalError::Damaged { what: error.to_string() }
            }
            Some(_) | None => JournalError::Store(error),
        }
    }
}

impl Journal {
    /// Opens the journal in `folder`, which is made where there is none. `epoch` names its numbers if
    /// it is new; an old one keeps its own.
    ///
    /// # Errors
    /// [`JournalError`] when it cannot be used as it is.
    pub fn open(folder: &Path, epoch: &str, retention: Retention) -> Result<Journal, JournalError> {
        let db = open(folder, "journal.sqlite", FORMAT)?;
        // A commit returns when the log of it is on disk, not before.
        db.pragma_update(None, "synchronous", "full")?;
        Journal::prepare(db, epoch, retention)
    }

    /// A journal that ends with the process: for development mode and tests.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn in_memory(epoch: &str, retention: Retention) -> Result<Journal, JournalError> {
        Journal::prepare(Connection::open_in_memory()?, epoch, retention)
    }

    fn prepare(db: Connection, epoch: &str, retention: Retention) -> Result<Journal, JournalError> {
        db.pragma_update(None, "cache_size", -CACHE_KIB)?;
        // A transaction stays in memory until it is whole, however large: pages that are written out early,
        // to make room, could meet a full disk half way.
        db.pragma_update(None, "cache_spill", false)?;
        db.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        let page: i64 = db.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let pages = i64::try_from(retention.bytes).unwrap_or(i64::MAX) / page.max(1);
        db.pragma_update(None, "max_page_count", pages)?;
        db.execute_batch(TABLES)?;
        set_format(&db, FORMAT)?;
        let epoch = match meta(&db, "epoch")? {
            Some(epoch) => epoch,
            None => {
                db.execute("insert into meta values ('epoch', ?1)", [epoch])?;
                epoch.to_owned()
            }
        };
        let held_from = held_from(&db, retention.events)?;
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        let mut standing = Standing::default();
        let settling = Settling::begin(&db, &mut standing, Pace::new(pages, page))?;
        let (heads, cleaner) = (Heads::default(), Cleaner::new(last_event(&db)?));
        Ok(Journal { db, heads, standing, settling, retention, held_from, cleaner, epoch })
    }

    /// The transaction is on disk.
    pub(super) fn kept(&mut self) {
        self.standing.kept();
        self.settling.kept();
    }

    /// The transaction is not, and is over: what stands is as it was before it. Whether it met damage that
    /// another one will not meet.
    pub(super) fn take_back(&mut self) -> bool {
        self.settling.take_back();
        self.standing.take_back(&self.db)
    }

    /// Names the numbers that it gives out; the same after a restart.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Whether there was no room lately: [`Journal::forget`] may make some.
    pub fn is_full(&self) -> bool {
        self.cleaner.is_full()
    }
}

/// Opens one file of `folder`, which is made where there is none, as this process's alone.
pub(super) fn open(folder: &Path, name: &str, format: i64) -> Result<Connection, JournalError> {
    let unusable = |error| JournalError::Folder { folder: folder.to_owned(), error };
    std::fs::create_dir_all(folder).map_err(unusable)?;
    let file = folder.join(name);
    let db = Connection::open(&file)?;
    // It is the file's from its first write on.
    db.pragma_update(None, "page_size", PAGE)?;
    db.busy_timeout(Duration::ZERO)?;
    // One process at a time: two that give out the same numbers would be worse than one that
    // does not start.
    db.pragma_update(None, "locking_mode", "exclusive")?;
    let locked = db.pragma_update(None, "journal_mode", "wal");
    if let Err(error) = &locked
        && error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
    {
        return Err(JournalError::Taken { file });
    }
    locked?;
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found != 0 && found != format {
        return Err(JournalError::Foreign { file, found, need: format });
    }
    Ok(db)
}

/// Writes down the format where it is not written yet. What is there is opened without a write: a disk
/// that is full does not keep it from being read.
pub(super) fn set_format(db: &Connection, format: i64) -> Result<(), JournalError> {
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found != format {
        db.pragma_update(None, "user_version", format)?;
    }
    Ok(())
}

/// Whether a value is of another kind than was written: nothing that the store says of itself.
pub(super) const fn is_other_kind(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..)
    )
}

pub(super) fn meta(db: &Connection, key: &str) -> Result<Option<String>, JournalError> {
    Ok(db.query_row("select value from meta where key = ?1", [key], |row| row.get(0)).optional()?)
}

pub(super) fn set_meta(db: &Connection, key: &str, value: &str) -> Result<(), JournalError> {
    db.prepare_cached("insert or replace into meta values (?1, ?2)")?.execute((key, value))?;
    Ok(())
}

/// Writes down how much is kept, and returns from where on that has been so.
fn held_from(db: &Connection, events: u64) -> Result<i64, JournalError> {
    let number = |text: Option<String>| text.and_then(|text| text.parse::<u64>().ok());
    let before = number(meta(db, "events")?);
    if before.is_some_and(|before| before < events) {
        let last: Option<i64> = db.query_row("select max(id) from events", [], |row| row.get(0))?;
        set_meta(db, "held_from", &(last.unwrap_or(0) + 1).to_string())?;
    }
    if before != Some(events) {
        set_meta(db, "events", &events.to_string())?;
    }
    let held_from = number(meta(db, "held_from")?).unwrap_or(0);
    Ok(i64::try_from(held_from).unwrap_or(i64::MAX))
}

/// The checksum that a row carries over all that it holds.
pub(super) fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize()
}

const FORMAT: i64 = 3;

/// Bytes of a page: what a small group rewrites of the events before it, and a settling row of its
/// neighbours. Smaller than usual, so that less goes to the disk (`benches/journal.rs` prints how much), while
/// a row of the usual size still fits twice.
const PAGE: i64 = 2_048;

/// Pages of the log at which it is worked into the file, which makes one commit wait: 8 MiB. Longer
/// logs write less, for what changed twice goes into the file once, and hold that commit up longer.
const LOG_PAGES: i64 = 4_096;

/// Pages in memory; the others are read from where the system keeps the file. Few, because a commit that
/// moved rows between pages looks at every one of them: SQLite's `balance_nonroot` may give a page a number
/// at 1 GiB for a moment, and the commit then looks for pages beyond the file's end, as long as the
/// file is shorter. With 128 MiB this took two fifths of the ledger's time at 100,000 users, and came with
/// 1,000, too, once so much was written.
const CACHE_KIB: i64 = 8 << 10;

const STATEMENTS: usize = 32;

/// Events lie in the order in which they came, whoever's they are, and each names the one before it
/// in each of its topics: putting one down touches the last page (that of names, too, where it has one) and no
/// index. Identifiers are never given out twice, so that no event is taken for one that is gone.
const TABLES: &str = "
begin;
create table if not exists meta (key text primary key, value text not null) without rowid;
create table if not exists accounts (id integer primary key, user text not null unique);
create table if not exists events (
    id integer primary key autoincrement, account integer not null, sum integer not null,
    at integer not null, user_seq integer not null, topics text not null, event text not null,
    data text not null, change text, name text);
create table if not exists standing (
    account integer not null, kind integer not null, topic text not null, key text not null,
    data text not null, sum integer not null, primary key (account, kind, topic, key)) without rowid;
create table if not exists names (
    id integer primary key autoincrement, account integer not null, name text not null,
    at integer not null);
create table if not exists strategies (name text primary key, account integer not null) without rowid;
commit;";

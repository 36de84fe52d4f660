//! Opens the store, and names what can go wrong with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension};
use thiserror::Error;

use super::accounts::Heads;
use crate::market::Millis;

/// The journal. One thread writes and reads through it.
pub struct Journal {
    pub(super) db: Connection,
    pub(super) heads: Heads,
    pub(super) retention: Retention,
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
    #[error("{}: not a journal of this version (found {found}, need {FORMAT})", file.display())]
    Foreign {
        /// Which.
        file: PathBuf,
        /// What it says of itself.
        found: i64,
    },
    /// All else that a disk can do.
    #[error("the journal cannot be used: {0}")]
    Store(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for JournalError {
    fn from(error: rusqlite::Error) -> JournalError {
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
        let unusable = |error| JournalError::Folder { folder: folder.to_owned(), error };
        std::fs::create_dir_all(folder).map_err(unusable)?;
        let file = folder.join("journal.sqlite");
        let db = Connection::open(&file)?;
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
        // A commit returns when the log of it is on disk, not before.
        db.pragma_update(None, "synchronous", "full")?;
        Journal::prepare(db, &file, epoch, retention)
    }

    /// A journal that ends with the process: for development mode and tests.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn in_memory(epoch: &str, retention: Retention) -> Result<Journal, JournalError> {
        Journal::prepare(Connection::open_in_memory()?, Path::new("memory"), epoch, retention)
    }

    fn prepare(
        db: Connection,
        file: &Path,
        epoch: &str,
        retention: Retention,
    ) -> Result<Journal, JournalError> {
        let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found != 0 && found != FORMAT {
            return Err(JournalError::Foreign { file: file.to_owned(), found });
        }
        db.pragma_update(None, "cache_size", -CACHE_KIB)?;
        let page: i64 = db.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let pages = i64::try_from(retention.bytes).unwrap_or(i64::MAX) / page.max(1);
        db.pragma_update(None, "max_page_count", pages)?;
        db.execute_batch(TABLES)?;
        db.pragma_update(None, "user_version", FORMAT)?;
        db.execute("insert or ignore into meta values ('epoch', ?1)", [epoch])?;
        let kept = db.query_row("select value from meta where key = 'epoch'", [], |row| row.get(0));
        let epoch = kept.optional()?.unwrap_or_else(|| epoch.to_owned());
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(Journal { db, heads: Heads::default(), retention, epoch })
    }

    /// Names the numbers that it gives out; the same after a restart.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }
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

const FORMAT: i64 = 1;

/// Pages in memory: the heads and states of those who are busy.
const CACHE_KIB: i64 = 32 << 10;

const STATEMENTS: usize = 32;

const TABLES: &str = "
begin;
create table if not exists meta (key text primary key, value text not null) without rowid;
create table if not exists accounts (
    id integer primary key, user text not null unique, user_seq integer not null);
create table if not exists heads (
    account integer not null, topic text not null, seq integer not null,
    primary key (account, topic)) without rowid;
create table if not exists events (
    account integer not null, topic text not null, seq integer not null, user_seq integer not null,
    at integer not null, event text not null, data text not null, sum integer not null,
    primary key (account, topic, seq)) without rowid;
create index if not exists events_by_age on events (at);
create table if not exists states (
    account integer not null, topic text not null, key text not null, data text not null,
    sum integer not null, primary key (account, topic, key)) without rowid;
create table if not exists seen (
    account integer not null, event_id text not null, seq integer not null, at integer not null,
    primary key (account, event_id)) without rowid;
create index if not exists seen_by_age on seen (at);
create table if not exists strategies (name text primary key, account integer not null) without rowid;
create table if not exists bars (
    symbol text not null, interval text not null, open_time integer not null, data text not null,
    sum integer not null, primary key (symbol, interval, open_time)) without rowid;
commit;";

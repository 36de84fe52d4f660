//! Where each user's numbers stand, in memory for those who were busy lately.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use rustc_hash::FxHashMap;

use super::JournalError;

/// The numbers of the users that something happened to. What is not here is read from the store.
#[derive(Default)]
pub(super) struct Heads {
    accounts: FxHashMap<Arc<str>, Account>,
}

/// One user's numbers.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) row: i64,
    pub(super) user_seq: u64,
    /// The last number of each topic that is known here.
    topics: Vec<(Arc<str>, u64)>,
}

impl Heads {
    /// A user's numbers; `None` for one to whom nothing has happened.
    pub(super) fn find(&mut self, db: &Connection, user: &str) -> Result<Option<&mut Account>, JournalError> {
        if !self.accounts.contains_key(user) {
            let mut query = db.prepare_cached("select id, user_seq from accounts where user = ?1")?;
            let found = query.query_row([user], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            let Some((row, user_seq)) = found else { return Ok(None) };
            self.keep(user, row, user_seq);
        }
        Ok(self.accounts.get_mut(user))
    }

    /// The same for a user to whom something happens now.
    pub(super) fn open(&mut self, db: &Connection, user: &str) -> Result<&mut Account, JournalError> {
        if self.find(db, user)?.is_none() {
            db.prepare_cached("insert into accounts (user, user_seq) values (?1, 0)")?.execute([user])?;
            self.keep(user, db.last_insert_rowid(), 0);
        }
        let missing = || JournalError::Damaged { what: format!("the account of {user:?} is gone") };
        self.accounts.get_mut(user).ok_or_else(missing)
    }

    /// The numbers of these users are read again: what they were given was not kept.
    pub(super) fn forget<'a>(&mut self, users: impl Iterator<Item = &'a str>) {
        for user in users {
            self.accounts.remove(user);
        }
    }

    fn keep(&mut self, user: &str, row: i64, user_seq: u64) {
        if self.accounts.len() >= MOST {
            self.accounts.clear();
        }
        self.accounts.insert(user.into(), Account { row, user_seq, topics: Vec::new() });
    }
}

impl Account {
    /// The last number of one topic.
    pub(super) fn head(&mut self, db: &Connection, topic: &str) -> Result<u64, JournalError> {
        if let Some((_, seq)) = self.topics.iter().find(|(known, _)| **known == *topic) {
            return Ok(*seq);
        }
        let mut query = db.prepare_cached("select seq from heads where account = ?1 and topic = ?2")?;
        let seq = query.query_row((self.row, topic), |row| row.get(0)).optional()?.unwrap_or(0);
        self.topics.push((topic.into(), seq));
        Ok(seq)
    }

    /// The next number of one topic.
    pub(super) fn next(&mut self, db: &Connection, topic: &str) -> Result<u64, JournalError> {
        let seq = self.head(db, topic)? + 1;
        if let Some((_, known)) = self.topics.iter_mut().find(|(known, _)| **known == *topic) {
            *known = seq;
        }
        Ok(seq)
    }
}

/// Users whose numbers are kept in memory; then it begins anew. About 200 bytes each.
const MOST: usize = 200_000;

//! Where each user's numbers stand, in memory for those who were busy lately.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};
use rustc_hash::FxHashMap;

use super::JournalError;
use super::standing::{Kind, Place, put, read};
use super::store::is_other_kind;

/// The numbers of the users that something happened to. What is not here is read from the store.
#[derive(Default)]
pub(super) struct Heads {
    rows: FxHashMap<Arc<str>, i64>,
    /// By row: an event in the store names its user so.
    accounts: FxHashMap<i64, Account>,
}

/// One user's numbers.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) row: i64,
    pub(super) user_seq: u64,
    /// Every topic that something was recorded in.
    topics: Vec<(Arc<str>, Head)>,
}

/// Where a topic of a user stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// The last number that was given out in it.
    pub(super) seq: u64,
    /// The user's own number then.
    user_seq: u64,
    /// The event that has it; each event names the one before it.
    pub(super) last: i64,
}

impl Heads {
    /// A user's numbers; `None` for one to whom nothing has happened.
    pub(super) fn find(&mut self, db: &Connection, user: &str) -> Result<Option<&mut Account>, JournalError> {
        let row = match self.rows.get(user) {
            Some(row) => *row,
            None => {
                let mut query = db.prepare_cached("select id from accounts where user = ?1")?;
                let Some(row) = query.query_row([user], |row| row.get(0)).optional()? else {
                    return Ok(None);
                };
                let account = Account::read(db, row)?;
                self.keep(user, account);
                row
            }
        };
        Ok(self.accounts.get_mut(&row))
    }

    /// The same for a user to whom something happens now.
    pub(super) fn open(&mut self, db: &Connection, user: &str) -> Result<&mut Account, JournalError> {
        let row = match self.find(db, user)? {
            Some(account) => account.row,
            None => {
                db.prepare_cached("insert into accounts (user) values (?1)")?.execute([user])?;
                let row = db.last_insert_rowid();
                self.keep(user, Account { row, user_seq: 0, topics: Vec::new() });
                row
            }
        };
        let missing = || JournalError::Damaged { what: format!("the account of {user:?} is gone") };
        self.accounts.get_mut(&row).ok_or_else(missing)
    }

    /// Where a topic of an account stands, from the store only where nothing happened to it lately.
    pub(super) fn head(&self, db: &Connection, account: i64, topic: &str) -> Result<Head, JournalError> {
        match self.accounts.get(&account) {
            Some(account) => Ok(account.head(topic)),
            None => Head::find(db, account, topic),
        }
    }

    /// The numbers of these users are read again: what they were given was not kept.
    pub(super) fn forget<'a>(&mut self, users: impl Iterator<Item = &'a str>) {
        for user in users {
            if let Some(row) = self.rows.remove(user) {
                self.accounts.remove(&row);
            }
        }
    }

    fn keep(&mut self, user: &str, account: Account) {
        if self.accounts.len() >= MOST {
            self.rows.clear();
            self.accounts.clear();
        }
        self.rows.insert(user.into(), account.row);
        self.accounts.insert(account.row, account);
    }
}

impl Account {
    /// Reads all of a user's numbers: they stand together.
    fn read(db: &Connection, row: i64) -> Result<Account, JournalError> {
        let mut account = Account { row, user_seq: 0, topics: Vec::new() };
        let mut query =
            db.prepare_cached("select topic, data, sum from standing where account = ?1 and kind = ?2")?;
        let mut found = query.query((row, Kind::Head))?;
        while let Some(found) = found.next()? {
            let (topic, data, sum) = columns(found).map_err(|error| match is_other_kind(&error) {
                true => JournalError::Damaged { what: format!("the numbers of account {row}") },
                false => error.into(),
            })?;
            let place = Place { account: row, kind: Kind::Head, topic: &topic, key: "" };
            place.check(&data, sum)?;
            let head = Head::parse(&data).ok_or_else(|| place.damaged())?;
            account.user_seq = account.user_seq.max(head.user_seq);
            account.topics.push((topic.into(), head));
        }
        Ok(account)
    }

    /// Where one topic stands.
    pub(super) fn head(&self, topic: &str) -> Head {
        let found = self.topics.iter().find(|(known, _)| **known == *topic);
        found.map_or(Head::default(), |(_, head)| *head)
    }

    /// The event `id` has the next number of a topic.
    pub(super) fn advance(&mut self, db: &Connection, topic: &str, id: i64) -> Result<(), JournalError> {
        let head = Head { seq: self.head(topic).seq + 1, user_seq: self.user_seq, last: id };
        match self.topics.iter_mut().find(|(known, _)| **known == *topic) {
            Some((_, known)) => *known = head,
            None => self.topics.push((topic.into(), head)),
        }
        let data = format!("{} {} {}", head.seq, head.user_seq, head.last);
        put(db, &Place { account: self.row, kind: Kind::Head, topic, key: "" }, &data)
    }
}

impl Head {
    /// A topic's head from the store alone.
    fn find(db: &Connection, account: i64, topic: &str) -> Result<Head, JournalError> {
        let place = Place { account, kind: Kind::Head, topic, key: "" };
        let Some(data) = read(db, &place)? else { return Ok(Head::default()) };
        Head::parse(&data).ok_or_else(|| place.damaged())
    }

    fn parse(data: &str) -> Option<Head> {
        let mut numbers = data.split(' ');
        let seq = numbers.next()?.parse().ok()?;
        let user_seq = numbers.next()?.parse().ok()?;
        Some(Head { seq, user_seq, last: numbers.next()?.parse().ok()? })
    }
}

fn columns(row: &Row<'_>) -> rusqlite::Result<(String, String, u32)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

/// Users whose numbers are kept in memory; then it begins anew. About 200 bytes each.
const MOST: usize = 200_000;

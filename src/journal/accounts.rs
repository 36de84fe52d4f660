//! Where each user's numbers stand, in memory for those who were busy lately.

use std::fmt::{Display, Formatter};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use rustc_hash::FxHashMap;

use super::JournalError;
use super::standing::{Kind, Place, Standing};

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
    pub(super) user_seq: u64,
    /// The event that has it; each event names the one before it.
    pub(super) last: i64,
}

impl Heads {
    /// A user's numbers; `None` for one to whom nothing has happened.
    pub(super) fn find(
        &mut self,
        db: &Connection,
        standing: &Standing,
        user: &str,
    ) -> Result<Option<&mut Account>, JournalError> {
        let row = match self.rows.get(user) {
            Some(row) => *row,
            None => {
                let mut query = db.prepare_cached("select id from accounts where user = ?1")?;
                let Some(row) = query.query_row([user], |row| row.get(0)).optional()? else {
                    return Ok(None);
                };
                let account = Account::read(db, standing, row)?;
                self.keep(user, account);
                row
            }
        };
        Ok(self.accounts.get_mut(&row))
    }

    /// The same for a user to whom something happens now.
    pub(super) fn open(
        &mut self,
        db: &Connection,
        standing: &Standing,
        user: &str,
    ) -> Result<&mut Account, JournalError> {
        let row = match self.find(db, standing, user)? {
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
    pub(super) fn head(
        &self,
        db: &Connection,
        standing: &Standing,
        account: i64,
        topic: &str,
    ) -> Result<Head, JournalError> {
        if let Some(account) = self.accounts.get(&account) {
            return Ok(account.head(topic));
        }
        let place = Place::new(account, Kind::Head, topic, "");
        let Some(data) = standing.read(db, &place)? else { return Ok(Head::default()) };
        Head::parse(&data).ok_or_else(|| place.damaged())
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
    fn read(db: &Connection, standing: &Standing, row: i64) -> Result<Account, JournalError> {
        let mut account = Account { row, user_seq: 0, topics: Vec::new() };
        for (place, data) in standing.all(db, row, Kind::Head, None)? {
            let head = Head::parse(&data).ok_or_else(|| place.damaged())?;
            account.user_seq = account.user_seq.max(head.user_seq);
            account.topics.push((place.topic().into(), head));
        }
        Ok(account)
    }

    /// Where one topic stands.
    pub(super) fn head(&self, topic: &str) -> Head {
        let found = self.topics.iter().find(|(known, _)| **known == *topic);
        found.map_or(Head::default(), |(_, head)| *head)
    }

    /// The event `id` has the next number of a topic.
    pub(super) fn advance(&mut self, standing: &mut Standing, topic: &str, id: i64) {
        let head = Head { seq: self.head(topic).seq + 1, user_seq: self.user_seq, last: id };
        match self.topics.iter_mut().find(|(known, _)| **known == *topic) {
            Some((_, known)) => *known = head,
            None => self.topics.push((topic.into(), head)),
        }
        standing.put(Place::new(self.row, Kind::Head, topic, ""), head.to_string());
    }
}

impl Head {
    fn parse(data: &str) -> Option<Head> {
        let mut numbers = data.split(' ');
        let seq = numbers.next()?.parse().ok()?;
        let user_seq = numbers.next()?.parse().ok()?;
        Some(Head { seq, user_seq, last: numbers.next()?.parse().ok()? })
    }
}

impl Display for Head {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {} {}", self.seq, self.user_seq, self.last)
    }
}

/// Users whose numbers are kept in memory; then it begins anew. About 200 bytes each.
const MOST: usize = 200_000;

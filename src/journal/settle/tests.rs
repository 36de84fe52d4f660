//! What stands is the same however little of it has settled, and whenever the process ends.

use std::collections::BTreeMap;

use fastrand::Rng;
use rusqlite::Connection;

use super::*;
use crate::journal::accounts::Heads;
use crate::journal::tests::settle;
use crate::journal::{Entry, Journal, Missed, Retention};
use crate::market::Millis;

const KEPT: Retention = Retention { events: 6, age: 500, bytes: 1 << 30 };

/// What a journal is to say, kept in memory in the plainest way.
#[derive(Clone, Default)]
struct Model {
    /// By user and topic.
    seqs: BTreeMap<(String, String), u64>,
    user_seqs: BTreeMap<String, u64>,
    /// By user, topic and key.
    states: BTreeMap<(String, String, String), String>,
    /// By user and name: the number, and when.
    names: BTreeMap<(String, String), (u64, Millis)>,
}

impl Model {
    /// Its number, and whether it was known.
    fn record(&mut self, now: Millis, entry: &Entry) -> (u64, bool) {
        let user = entry.user.to_string();
        if let Some(name) = &entry.event_id
            && let Some((seq, at)) = self.names.get(&(user.clone(), name.to_string()))
            && *at > now - 3_600_000
        {
            return (*seq, true);
        }
        let mut first = None;
        for topic in &entry.topics {
            let seq = self.seqs.entry((user.clone(), topic.to_string())).or_default();
            *seq += 1;
            first.get_or_insert(*seq);
            *self.user_seqs.entry(user.clone()).or_default() += 1;
            let Some(Change { key, effect }) = &entry.change else { continue };
            let place = (user.clone(), topic.to_string(), key.clone());
            let state = match effect {
                Effect::Merge => Some(merged(self.states.get(&place).map(String::as_str), &entry.data)),
                Effect::Remove => None,
            };
            match state {
                Some(state) => self.states.insert(place, state),
                None => self.states.remove(&place),
            };
        }
        let first = first.unwrap();
        if let Some(name) = &entry.event_id {
            self.names.insert((user, name.to_string()), (first, now));
        }
        (first, false)
    }

    #[track_caller]
    fn check(&self, journal: &mut Journal, what: &str) {
        for ((user, topic), seq) in &self.seqs {
            assert_eq!(
                journal.head(user, topic).unwrap(),
                (*seq, self.user_seqs[user]),
                "{what}: {user} {topic}"
            );
            let mine = self.states.iter().filter(|((whose, of, _), _)| (whose, of) == (user, topic));
            let states: Vec<_> = mine.map(|(_, state)| state.clone().into_boxed_str()).collect();
            assert_eq!(journal.state(user, topic).unwrap(), states, "{what}: {user} {topic}");
            if let Missed::Rows(rows) = journal.since(user, topic, seq.saturating_sub(3)).unwrap() {
                let seqs: Vec<_> = rows.iter().map(|row| row.seq).collect();
                assert_eq!(
                    seqs,
                    (seq.saturating_sub(3) + 1..=*seq).collect::<Vec<_>>(),
                    "{what}: {user} {topic}"
                );
            }
        }
    }
}

/// Some event of some user.
fn any(rng: &mut Rng) -> Entry {
    let topics: &[&str] = match rng.u8(..4) {
        0 => &["orders"],
        1 => &["orders", "strategy:grid:orders"],
        2 => &["balances"],
        _ => &["trades"],
    };
    let key = rng.u8(..4).to_string();
    let effect = if rng.u8(..3) == 0 { Effect::Remove } else { Effect::Merge };
    let change = (topics != ["trades"]).then_some(Change { key, effect });
    Entry {
        user: format!("user{}", rng.u8(..7)).into(),
        event: "order.created",
        data: format!(r#"{{"{}":{},"z":1}}"#, rng.u8(..5), rng.u8(..)).into(),
        event_id: (rng.u8(..4) == 0).then(|| rng.u8(..30).to_string().into()),
        topics: topics.iter().map(|topic| (*topic).into()).collect(),
        change,
        strategy: None,
    }
}

/// Settles so soon that a short run has many rounds.
fn hurry(journal: &mut Journal, rng: &mut Rng) {
    journal.settling.pace.events = rng.u64(1..60);
    journal.settling.pace.rows = rng.u64(1..5);
    journal.settling.pace.bytes = [1 << 20, 2_000][rng.usize(..2)];
}

/// Lets transactions that write fail when they commit, as long as there is something in `failing`.
const FAILING: &str = "
    create table if not exists failing (id integer primary key);
    create table if not exists missing (id integer primary key);
    create table if not exists needing (id integer references missing (id) deferrable initially deferred);
    create trigger if not exists one after insert on events when exists (select * from failing)
        begin insert into needing values (1); end;
    create trigger if not exists two after update on standing when exists (select * from failing)
        begin insert into needing values (1); end;
    create trigger if not exists three after delete on events when exists (select * from failing)
        begin insert into needing values (1); end;
    pragma foreign_keys = on;";

/// What is wrong while something is done.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    /// No room for what is behind.
    NoRoom,
    /// No room for one page more.
    NoPage,
    /// What was written does not come to the disk.
    NoCommit,
}

/// Does something while something is wrong.
fn while_wrong<T>(journal: &mut Journal, wrong: Wrong, work: impl FnOnce(&mut Journal) -> T) -> T {
    let pages = journal.settling.pace.pages;
    match wrong {
        Wrong::Nothing => {}
        Wrong::NoRoom => journal.settling.pace.pages = 0,
        Wrong::NoPage => journal.db.pragma_update(None, "max_page_count", 1).unwrap(),
        Wrong::NoCommit => journal.db.execute_batch("insert into failing values (1)").unwrap(),
    }
    let done = work(journal);
    journal.settling.pace.pages = pages;
    journal.db.pragma_update(None, "max_page_count", pages).unwrap();
    journal.db.execute_batch("delete from failing").unwrap();
    done
}

#[test]
fn it_stands_as_it_did_however_much_has_settled_and_whatever_fails_and_whenever_the_process_ends() {
    let mut failed = [0; 2];
    for seed in 0..60 {
        let mut rng = Rng::with_seed(seed);
        let folder = tempfile::tempdir().unwrap();
        let open = |rng: &mut Rng| {
            let mut journal = Journal::open(folder.path(), "e", KEPT).unwrap();
            journal.db.execute_batch(FAILING).unwrap();
            hurry(&mut journal, rng);
            journal
        };
        let (mut journal, mut model, mut now) = (open(&mut rng), Model::default(), 10_000_000);
        for step in 0..120 {
            now += rng.i64(0..40);
            let what = format!("seed {seed} step {step}");
            let wrong = [Wrong::NoRoom, Wrong::NoPage, Wrong::NoCommit];
            let wrong = wrong.get(rng.usize(..12)).copied().unwrap_or(Wrong::Nothing);
            match rng.u8(..10) {
                0 => {
                    drop(journal);
                    journal = open(&mut rng);
                }
                1 => {
                    now += [0, 0, LONGEST, 3_600_000][rng.usize(..4)];
                    while_wrong(&mut journal, wrong, |journal| {
                        let mut more = Ok(true);
                        while let Ok(true) = more {
                            more = journal.forget(now);
                        }
                        failed[0] += u32::from(more.is_err());
                        assert!(more.is_ok() || wrong != Wrong::Nothing, "{what}");
                    });
                }
                _ => {
                    let entries: Vec<_> = (0..rng.usize(1..6)).map(|_| any(&mut rng)).collect();
                    let taken = while_wrong(&mut journal, wrong, |journal| journal.record(now, &entries));
                    failed[1] += u32::from(taken.is_err());
                    assert!(taken.is_ok() || wrong != Wrong::Nothing, "{what}");
                    for (entry, taken) in entries.iter().zip(taken.unwrap_or_default()) {
                        let taken = taken.unwrap();
                        let expect = model.record(now, entry);
                        assert_eq!((taken.seqs[0], taken.is_repeated), expect, "{what}");
                    }
                }
            }
            // Memory holds nothing that the store would not give.
            if rng.bool() {
                journal.heads = Heads::default();
            }
            model.check(&mut journal, &what);
        }
        assert!(journal.settling.upto > 0, "seed {seed}: nothing settled");
        // When the hour of all names is over nothing is left of them.
        while journal.forget(now + 4_000_000).unwrap() {}
        settle(&mut journal);
        while journal.forget(now + 4_000_000).unwrap() {}
        let count = |of: &str| journal.db.query_row(of, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("select count(*) from names"), 0, "seed {seed}");
        assert_eq!(count("select count(*) from standing where kind = 2"), 0, "seed {seed}");
    }
    assert!(failed[0] > 20 && failed[1] > 300, "{failed:?}");
}

fn order(user: &str, number: u32) -> Entry {
    Entry {
        user: user.into(),
        event: "order.created",
        data: format!(r#"{{"orderId":"{number}"}}"#).into(),
        event_id: None,
        topics: vec!["orders".into()],
        change: Some(Change { key: number.to_string(), effect: Effect::Merge }),
        strategy: None,
    }
}

/// A journal that ended before anything settled, and what happened to its file then.
fn reopened(damage: &str) -> Result<(Journal, tempfile::TempDir), JournalError> {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path(), "e", KEPT).unwrap();
    let entries = [order("ann", 1), order("bob", 1), order("ann", 2), order("bob", 2)];
    journal.record(0, &entries).unwrap();
    drop(journal);
    let db = Connection::open(folder.path().join("journal.sqlite")).unwrap();
    assert_eq!(db.execute(damage, []).unwrap(), 1);
    drop(db);
    Journal::open(folder.path(), "e", KEPT).map(|journal| (journal, folder))
}

#[test]
fn whose_event_is_damaged_before_it_settled_gets_no_more_numbers_and_is_the_only_one() {
    for damage in [
        "update events set data = '{}' where id = 3",
        "update events set user_seq = 7 where id = 3",
        "update events set topics = '9 1 orders' where id = 3",
        "update events set change = null where id = 3",
        "update events set name = 'x' where id = 3",
        "update events set event = x'ff' where id = 3",
    ] {
        let (mut journal, folder) = reopened(damage).unwrap();
        for _ in 0..2 {
            let taken = journal.record(1, &[order("ann", 3), order("bob", 3)]).unwrap();
            let refused = taken[0].as_ref().unwrap_err().to_string();
            assert!(refused.contains("damaged: the numbers of account 1:"), "{damage}: {refused}");
            assert!(taken[1].is_ok(), "{damage}");
            assert!(journal.since("ann", "orders", 0).is_err(), "{damage}");
            // Nor after it has settled.
            settle(&mut journal);
            drop(journal);
            journal = Journal::open(folder.path(), "e", KEPT).unwrap();
        }
        assert_eq!(journal.head("bob", "orders").unwrap(), (4, 4), "{damage}");
    }
}

#[test]
fn an_event_that_does_not_say_whose_it_was_before_it_settled_is_named_and_nothing_begins() {
    for (damage, event) in [
        ("update events set account = 2 where id = 3", 3),
        ("update events set sum = 2 where id = 3", 3),
        ("delete from events where id = 1", 1),
        ("delete from events where id = 3", 3),
        ("delete from events where id = 4", 4),
    ] {
        let error = reopened(damage).err().expect(damage).to_string();
        assert!(
            error.contains(&format!("damaged: event {event} of all, and whose it was, is lost")),
            "{damage}: {error}"
        );
    }
}

#[test]
fn a_full_store_has_room_for_what_is_behind() {
    let folder = tempfile::tempdir().unwrap();
    let small = Retention { events: 1, age: 1 << 40, bytes: 2 << 20 };
    let mut journal = Journal::open(folder.path(), "e", small).unwrap();
    for fill in 0..3 {
        let mut taken = 0;
        let full = loop {
            let group: Vec<_> = (0..10).map(|at| order(&format!("user{}", (taken + at) % 900), 1)).collect();
            match journal.record(0, &group) {
                Ok(_) => taken += 10,
                Err(error) => break error,
            }
        };
        assert!(matches!(full, JournalError::Full), "{full}");
        assert!(taken > 3_000, "fill {fill}: {taken}");
        while journal.forget(0).unwrap() {}
        assert_eq!(journal.standing.rows(), 0);
    }
}

#[test]
fn a_round_ends_however_few_rows_there_are_and_wherever_new_ones_come() {
    for (rows, digits) in [(1, 1), (10_000, 1), (10_000, 5)] {
        let mut journal = Journal::in_memory("e", Retention { events: 1_000, ..KEPT }).unwrap();
        journal.settling.pace.events = 200;
        let mut marks = vec![0];
        for number in 0..2_000 {
            // One row, new ones anywhere, and new ones behind all others.
            let key = format!("{:0digits$}", number % rows);
            let change = Some(Change { key, effect: Effect::Merge });
            journal.record(0, &[Entry { change, ..order("ann", number) }]).unwrap();
            let last = *marks.last().unwrap();
            if journal.settling.upto > last {
                marks.push(journal.settling.upto);
            }
            assert!(i64::from(number) - last < 5 * 200, "{rows} {digits} {marks:?}");
        }
    }
}

#[test]
fn a_page_that_cannot_be_written_keeps_no_other_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path(), "e", KEPT).unwrap();
    // Long enough that each user has pages of its own.
    let long = |user: &str| {
        let mut long: Vec<_> = (0..20).map(|number| order(user, number)).collect();
        long.iter_mut().for_each(|one| one.data = format!(r#"{{"pad":"{}"}}"#, "x".repeat(900)).into());
        long
    };
    let users = ["ann", "bob", "cat", "dan", "eve"];
    for user in users {
        journal.record(0, &long(user)).unwrap();
    }
    settle(&mut journal);
    drop(journal);
    let file = folder.path().join("journal.sqlite");
    let mut bytes = std::fs::read(&file).unwrap();
    // A leaf of the table in which the first thing of a user in the middle lies.
    let is_leaf = |page: &[u8]| page[0] == 10 && page.windows(6).any(|six| six == b"orders");
    let pages: Vec<_> =
        (0..bytes.len() / 2_048).filter(|at| is_leaf(&bytes[at * 2_048..][..2_048])).collect();
    let broken = pages[pages.len() / 2];
    bytes[broken * 2_048..][..200].fill(0xAA);
    std::fs::write(&file, bytes).unwrap();
    let mut journal = Journal::open(folder.path(), "e", KEPT).unwrap();
    let mut now = 0;
    for turn in 0..60 {
        for user in users {
            // Removals are put behind without a look at what is there.
            let mut own = long(user)[..8].to_vec();
            for one in own.iter_mut().skip(turn % 3) {
                one.change.as_mut().unwrap().effect = Effect::Remove;
            }
            own.push(order("fay", 1));
            let taken = journal.record(1, &own).unwrap();
            assert!(taken[8].is_ok(), "who has nothing there");
            let is_refused = taken[..8].iter().any(Result::is_err);
            assert!(!is_refused || journal.state(user, "orders").is_err());
        }
        for _ in 0..2 {
            now += LONGEST;
            while journal.forget(now).unwrap() {}
        }
        assert_eq!(journal.standing.rows(), 0);
    }
    let damaged: Vec<_> = users.into_iter().filter(|user| journal.state(user, "orders").is_err()).collect();
    assert!(matches!(damaged.len(), 1 | 2), "a page, of a user and its neighbour: {damaged:?}");
}

//! What stands is the same however little of it has settled, and whenever the process ends.

use std::collections::BTreeMap;

use fastrand::Rng;
use rusqlite::Connection;

use super::*;
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

#[test]
fn it_stands_as_it_did_however_much_has_settled_and_whenever_the_process_ends() {
    let mut failed = 0;
    for seed in 0..40 {
        let mut rng = Rng::with_seed(seed);
        let folder = tempfile::tempdir().unwrap();
        let open = || Journal::open(folder.path(), "e", KEPT).unwrap();
        let (mut journal, mut model, mut now) = (open(), Model::default(), 10_000_000);
        hurry(&mut journal, &mut rng);
        for step in 0..120 {
            now += rng.i64(0..40);
            let what = format!("seed {seed} step {step}");
            match rng.u8(..10) {
                0 => {
                    drop(journal);
                    journal = open();
                    hurry(&mut journal, &mut rng);
                }
                1 => {
                    now += [0, 0, LONGEST, 3_600_000][rng.usize(..4)];
                    while journal.forget(now).unwrap() {}
                }
                _ => {
                    // With no room for what is behind a transaction fails, and leaves nothing.
                    let pages = journal.settling.pace.pages;
                    journal.settling.pace.pages = if rng.u8(..5) == 0 { 0 } else { pages };
                    let entries: Vec<_> = (0..rng.usize(1..6)).map(|_| any(&mut rng)).collect();
                    let taken = journal.record(now, &entries);
                    failed += u32::from(taken.is_err());
                    for (entry, taken) in entries.iter().zip(taken.unwrap_or_default()) {
                        let taken = taken.unwrap();
                        let expect = model.record(now, entry);
                        assert_eq!((taken.seqs[0], taken.is_repeated), expect, "{what}");
                    }
                    journal.settling.pace.pages = pages;
                }
            }
            model.check(&mut journal, &what);
        }
        assert!(journal.settling.upto > 0, "seed {seed}: nothing settled");
    }
    assert!(failed > 100, "{failed}");
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
            journal.settling.settle(&journal.db, &mut journal.standing, 0).unwrap();
            journal.kept();
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
        assert!(error.contains(&format!("damaged: event {event} of all is lost")), "{damage}: {error}");
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

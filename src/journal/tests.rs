//! What the journal promises: numbers without holes, nothing acknowledged and lost, nothing damaged and served.

use std::path::Path;

use rusqlite::Connection;

use super::accounts::Heads;
use super::*;
use crate::market::Millis;
use crate::state::{Change, Effect};

const KEPT: Retention = Retention { events: 5, age: 1_000_000, bytes: 1 << 40 };

fn entry(user: &str, event: &'static str, data: &str, topics: &[&str]) -> Entry {
    Entry {
        user: user.into(),
        event,
        data: data.into(),
        event_id: None,
        topics: topics.iter().map(|topic| (*topic).into()).collect(),
        change: None,
        strategy: None,
    }
}

fn order(user: &str, number: u32) -> Entry {
    entry(user, "order.created", &format!(r#"{{"orderId":"{number}"}}"#), &["orders"])
}

/// Records entries none of which meets damage.
fn record(journal: &mut Journal, now: Millis, entries: &[Entry]) -> Vec<Recorded> {
    journal.record(now, entries).unwrap().into_iter().map(Result::unwrap).collect()
}

/// Brings all that stands into its table.
pub(super) fn settle(journal: &mut Journal) {
    let mut more = true;
    while more {
        let transaction = journal.db.unchecked_transaction().unwrap();
        let settled = journal.settling.keep_up(&transaction, &mut journal.standing, 0, true);
        transaction.commit().unwrap();
        more = settled.unwrap();
        journal.kept();
    }
}

fn open(folder: &Path, retention: Retention) -> Result<Journal, JournalError> {
    Journal::open(folder, "first", retention)
}

#[test]
fn numbers_have_no_holes_and_go_on_after_a_restart_under_the_same_epoch() {
    let folder = tempfile::tempdir().unwrap();
    for run in 0..3_u64 {
        let mut journal = Journal::open(folder.path(), &format!("run{run}"), KEPT).unwrap();
        assert_eq!(journal.epoch(), "run0");
        let both = entry("ann", "order.created", "{}", &["orders", "strategy:grid:orders"]);
        let trade = entry("ann", "trade.executed", "{}", &["trades"]);
        let recorded = record(&mut journal, 1, &[both, trade, order("bob", 1)]);
        let numbers: Vec<_> = recorded.iter().map(|one| (one.seqs.clone(), one.user_seq)).collect();
        // What is told under two topics has a number in each.
        let (next, user) = (run + 1, run * 3);
        assert_eq!(numbers, [(vec![next, next], user + 1), (vec![next], user + 3), (vec![next], next)]);
        assert_eq!(journal.head("ann", "orders").unwrap(), (next, user + 3));
    }
}

#[test]
fn what_was_missed_comes_in_order_and_what_is_gone_is_said_to_be() {
    let mut journal = Journal::in_memory("e", KEPT).unwrap();
    for number in 1..=8 {
        record(&mut journal, number.into(), &[order("ann", number)]);
    }
    let seqs = |missed| match missed {
        Missed::Rows(rows) => rows.into_iter().map(|row: Row| row.seq).collect::<Vec<_>>(),
        Missed::NotHeld => vec![0],
    };
    let mut since = |seq| seqs(journal.since("ann", "orders", seq).unwrap());
    assert_eq!(since(3), [4, 5, 6, 7, 8]);
    assert_eq!(since(8), [0; 0]);
    assert_eq!(since(2), [0], "only five are kept");
    assert_eq!(since(9), [0], "it was never given out");
    assert_eq!(journal.since("nobody", "orders", 0).unwrap(), Missed::Rows(Vec::new()));
    assert_eq!(journal.since("nobody", "orders", 1).unwrap(), Missed::NotHeld);
}

#[test]
fn of_a_past_that_is_longer_than_a_picture_none_is_given() {
    let mut journal = Journal::in_memory("e", KEPT).unwrap();
    let large = format!(r#"{{"note":"{}"}}"#, "x".repeat(1 << 20));
    for _ in 0..5 {
        record(&mut journal, 0, &[entry("ann", "order.created", &large, &["orders"])]);
    }
    let mut count = |seq| match journal.since("ann", "orders", seq).unwrap() {
        Missed::Rows(rows) => Some(rows.len()),
        Missed::NotHeld => None,
    };
    assert_eq!([count(2), count(1)], [Some(3), None]);
}

#[test]
fn an_event_id_is_known_for_an_hour() {
    let mut journal = Journal::in_memory("e", KEPT).unwrap();
    let named = |user: &str| Entry { event_id: Some("x".into()), ..order(user, 1) };
    let first = record(&mut journal, 0, &[named("ann"), named("ann"), named("bob")]);
    let repeated: Vec<_> = first.iter().map(|one| (one.seqs[0], one.is_repeated)).collect();
    assert_eq!(repeated, [(1, false), (1, true), (1, false)], "names are each user's own");
    record(&mut journal, 5, &[order("ann", 2)]);
    assert!(record(&mut journal, 3_599_999, &[named("ann")])[0].is_repeated);
    let later = record(&mut journal, 3_600_000, &[named("ann")]);
    assert_eq!((later[0].seqs[0], later[0].user_seq, later[0].is_repeated), (3, 3, false));
}

#[test]
fn states_are_merged_and_removed_with_the_events() {
    let mut journal = Journal::in_memory("e", KEPT).unwrap();
    let change = |data: &str, effect| Entry {
        change: Some(Change { key: "1".into(), effect }),
        ..entry("ann", "order.created", data, &["orders"])
    };
    record(&mut journal, 0, &[change(r#"{"a":1}"#, Effect::Merge), change(r#"{"b":2}"#, Effect::Merge)]);
    assert_eq!(journal.state("ann", "orders").unwrap(), [r#"{"a":1,"b":2}"#.into()]);
    assert_eq!(journal.state("bob", "orders").unwrap(), []);
    record(&mut journal, 0, &[change("{}", Effect::Remove)]);
    assert_eq!(journal.state("ann", "orders").unwrap(), []);
}

#[test]
fn what_is_too_old_goes_and_the_numbers_stay() {
    let mut journal = Journal::in_memory("e", Retention { age: 100, ..KEPT }).unwrap();
    record(&mut journal, 0, &[order("ann", 1), order("ann", 2)]);
    record(&mut journal, 90, &[order("ann", 3)]);
    settle(&mut journal);
    assert!(!journal.forget(120).unwrap());
    assert_eq!(journal.since("ann", "orders", 0).unwrap(), Missed::NotHeld);
    assert!(matches!(journal.since("ann", "orders", 2).unwrap(), Missed::Rows(rows) if rows.len() == 1));
    assert_eq!(record(&mut journal, 130, &[order("ann", 4)])[0].seqs, [4]);
}

#[test]
fn a_full_store_takes_nothing_uses_no_number_and_goes_on_reading() {
    let folder = tempfile::tempdir().unwrap();
    let small = Retention { bytes: 300 << 10, events: 1_000_000, ..KEPT };
    let mut journal = open(folder.path(), small).unwrap();
    let large = entry("ann", "order.created", &format!(r#"{{"pad":"{}"}}"#, "x".repeat(5_000)), &["orders"]);
    let mut taken = 0;
    let full = loop {
        match journal.record(0, std::slice::from_ref(&large)) {
            Ok(recorded) => taken = recorded[0].as_ref().unwrap().seqs[0],
            Err(error) => break error,
        }
    };
    assert!(matches!(full, JournalError::Full), "{full}");
    assert!(taken > 10);
    assert_eq!(journal.head("ann", "orders").unwrap(), (taken, taken));
    assert!(
        matches!(journal.since("ann", "orders", 0).unwrap(), Missed::Rows(rows) if rows.len() as u64 == taken)
    );
    drop(journal);
    let mut journal = open(folder.path(), KEPT).unwrap();
    assert_eq!(record(&mut journal, 0, &[order("ann", 1)])[0].seqs, [taken + 1]);
}

#[test]
fn a_full_store_lets_go_of_what_is_beyond_its_count_however_little_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path(), Retention { bytes: 300 << 10, ..KEPT }).unwrap();
    let large = entry("ann", "order.created", &format!(r#"{{"pad":"{}"}}"#, "x".repeat(5_000)), &["orders"]);
    let mut taken = 0;
    for _ in 0..3 {
        let full = loop {
            match journal.record(0, std::slice::from_ref(&large)) {
                Ok(recorded) => taken = recorded[0].as_ref().unwrap().seqs[0],
                Err(error) => break error,
            }
        };
        assert!(matches!(full, JournalError::Full), "{full}");
        while journal.forget(0).unwrap() {}
        assert_eq!(count(&journal, "events"), KEPT.events);
    }
    assert!(taken > 60, "{taken}: it was filled three times");
}

#[test]
fn a_group_that_finds_no_room_writes_nothing_however_far_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path(), Retention { bytes: 24 << 20, ..KEPT }).unwrap();
    record(&mut journal, 0, &[order("ann", 1)]);
    let log = || std::fs::metadata(folder.path().join("journal.sqlite-wal")).unwrap().len();
    let before = log();
    let large = entry("ann", "order.created", &format!(r#"{{"pad":"{}"}}"#, "x".repeat(5_000)), &["orders"]);
    // More than there is room for, and what there is room for is more than is kept in memory.
    let full = journal.record(0, &vec![large.clone(); 6_000]).unwrap_err();
    assert!(matches!(full, JournalError::Full), "{full}");
    assert_eq!((log(), journal.head("ann", "orders").unwrap()), (before, (1, 1)));
    let taken = record(&mut journal, 0, &vec![large; 3_000]);
    assert_eq!(taken[2_999].seqs, [3_001]);
}

#[test]
fn what_is_there_is_opened_without_a_write() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path(), KEPT).unwrap();
    record(&mut journal, 0, &[order("ann", 1)]);
    drop(journal);
    let _journal = open(folder.path(), KEPT).unwrap();
    drop(BarStore::open(folder.path(), 3).unwrap());
    let _bars = BarStore::open(folder.path(), 3).unwrap();
    for log in ["journal.sqlite-wal", "bars.sqlite-wal"] {
        let length = std::fs::metadata(folder.path().join(log)).map_or(0, |log| log.len());
        assert_eq!(length, 0, "{log}: a full disk would not let it start");
    }
}

#[test]
fn damage_is_named_and_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path(), KEPT).unwrap();
    let changed =
        Entry { change: Some(Change { key: "k".into(), effect: Effect::Merge }), ..order("ann", 1) };
    record(&mut journal, 0, &[changed, order("ann", 2), order("ann", 3)]);
    settle(&mut journal);
    drop(journal);
    let db = Connection::open(folder.path().join("journal.sqlite")).unwrap();
    db.execute_batch(
        "update events set data = replace(data, '2', '7') where id = 2;
         update standing set data = '{}' where kind = 1;",
    )
    .unwrap();
    drop(db);
    let mut journal = open(folder.path(), KEPT).unwrap();
    let named = |error: JournalError| error.to_string();
    let event = named(journal.since("ann", "orders", 0).unwrap_err());
    assert!(event.contains("damaged: event 2 of orders"), "{event}");
    assert!(matches!(journal.since("ann", "orders", 2).unwrap(), Missed::Rows(rows) if rows.len() == 1));
    let state = named(journal.state("ann", "orders").unwrap_err());
    assert!(state.contains("orders \"k\" of account 1"), "{state}");
    journal.db.execute_batch("delete from events where id = 2").unwrap();
    let missing = named(journal.since("ann", "orders", 0).unwrap_err());
    assert!(missing.contains("event 2 of orders of \"ann\" is missing"), "{missing}");
    journal.heads = Heads::default();
    journal.db.execute_batch("update standing set data = '9 9 3' where kind = 0").unwrap();
    let numbers = journal.record(0, &[order("ann", 4)]).unwrap().remove(0);
    let numbers = named(numbers.unwrap_err());
    assert!(numbers.contains("the numbers of orders of account 1"), "{numbers}");
}

#[test]
fn who_needs_what_is_damaged_is_refused_alone_and_uses_no_number() {
    let mut journal = Journal::in_memory("e", KEPT).unwrap();
    let change = |user: &str, key: &str| Entry {
        change: Some(Change { key: key.into(), effect: Effect::Merge }),
        ..order(user, 1)
    };
    let named = |user: &str| Entry { event_id: Some("x".into()), ..order(user, 1) };
    let first = [change("ann", "k"), named("cat"), order("bob", 1), order("dan", 1)];
    record(&mut journal, 0, &first);
    settle(&mut journal);
    journal
        .db
        .execute_batch(
            "update standing set data = '{}' where kind = 1 and account = 1;
             update standing set data = '9 9' where kind = 2 and account = 2;
             update standing set data = '9 9 9' where kind = 0 and account = 3;
             update standing set data = x'ff' where kind = 0 and account = 4;",
        )
        .unwrap();
    journal.heads = Heads::default();
    let group = [
        change("ann", "k"),
        change("ann", "l"),
        named("cat"),
        order("bob", 2),
        order("dan", 2),
        order("eve", 1),
        change("ann", "k"),
        order("cat", 2),
    ];
    let taken = journal.record(1, &group).unwrap();
    let shown: Vec<_> = taken
        .iter()
        .map(|one| one.as_ref().map(|one| one.seqs[0]).map_err(|damage| damage.to_string()))
        .collect();
    let refused = |at: usize, what: &str| {
        assert!(shown[at].as_ref().is_err_and(|damage| damage.contains(what)), "{at}: {:?}", shown[at]);
    };
    refused(0, r#"damaged: orders "k" of account 1"#);
    assert_eq!(shown[1], Ok(2), "the next number: the refused one used none");
    refused(2, r#"damaged: the eventId "x" of account 2"#);
    refused(3, "damaged: the numbers of orders of account 3");
    refused(4, "damaged: the numbers of account 4");
    assert_eq!(shown[5], Ok(1));
    refused(6, r#"damaged: orders "k" of account 1"#);
    assert_eq!(shown[7], Ok(2));
    assert_eq!(count(&journal, "events"), 4 + 3);
}

#[test]
fn damage_does_not_keep_the_rest_from_being_forgotten() {
    let mut journal = Journal::in_memory("e", Retention { events: 1, age: 10_000_000, ..KEPT }).unwrap();
    let named = |user: &str| Entry { event_id: Some("x".into()), ..order(user, 1) };
    record(&mut journal, 0, &[named("ann"), named("bob")]);
    for _ in 0..10 {
        let group: Vec<_> =
            ["ann", "bob"].into_iter().cycle().take(1_000).map(|user| order(user, 1)).collect();
        record(&mut journal, 0, &group);
    }
    settle(&mut journal);
    journal
        .db
        .execute_batch(
            "update standing set data = '9 9' where kind = 2 and account = 1;
             update standing set data = x'ff' where kind = 0 and account = 1;",
        )
        .unwrap();
    journal.heads = Heads::default();
    while journal.forget(3_600_000).unwrap() {}
    settle(&mut journal);
    journal.forget(3_600_000).unwrap();
    assert_eq!((count(&journal, "names"), count(&journal, "standing where kind = 2")), (0, 1));
    assert_eq!(count(&journal, "events where account = 1"), 5_001, "what it was to be measured by is gone");
    assert_eq!(count(&journal, "events where account = 2"), 1);
}

fn count(journal: &Journal, table: &str) -> u64 {
    journal.db.query_row(&format!("select count(*) from {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn what_is_beyond_its_count_goes_and_what_is_not_stays() {
    let mut journal = Journal::in_memory("e", KEPT).unwrap();
    record(&mut journal, 0, &[order("bob", 1), order("bob", 2)]);
    for _ in 0..25 {
        let group: Vec<_> = (0..1_000).map(|number| order("ann", number)).collect();
        record(&mut journal, 0, &group);
    }
    while journal.forget(0).unwrap() {}
    assert_eq!(count(&journal, "events"), 25_002, "what has not settled stays");
    while journal.forget(600_000).unwrap() {}
    assert_eq!(count(&journal, "events"), 2 + KEPT.events);
    for (user, since) in [("ann", 24_995), ("bob", 0)] {
        assert!(
            matches!(journal.since(user, "orders", since).unwrap(), Missed::Rows(rows) if !rows.is_empty())
        );
    }
}

#[test]
fn where_less_was_kept_before_its_gaps_are_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path(), KEPT).unwrap();
    let group: Vec<_> = (0..20_000).map(|number| order("ann", number)).collect();
    record(&mut journal, 0, &group);
    settle(&mut journal);
    while journal.forget(0).unwrap() {}
    drop(journal);
    let mut journal = open(folder.path(), Retention { events: 50, ..KEPT }).unwrap();
    assert_eq!(journal.since("ann", "orders", 19_990).unwrap(), Missed::NotHeld);
    record(&mut journal, 0, &[order("ann", 1)]);
    let held = journal.since("ann", "orders", 19_995).unwrap();
    assert!(matches!(held, Missed::Rows(rows) if rows.len() == 6));
}

#[test]
fn names_are_forgotten_after_their_hour_and_not_with_their_event() {
    let mut journal = Journal::in_memory("e", Retention { age: 1_000, ..KEPT }).unwrap();
    let named = Entry { event_id: Some("x".into()), ..order("ann", 1) };
    record(&mut journal, 0, std::slice::from_ref(&named));
    settle(&mut journal);
    journal.forget(2_000).unwrap();
    assert_eq!((count(&journal, "events"), count(&journal, "names")), (0, 1));
    assert!(record(&mut journal, 2_000, std::slice::from_ref(&named))[0].is_repeated);
    journal.forget(3_600_000).unwrap();
    settle(&mut journal);
    assert_eq!(count(&journal, "names"), 1, "who ends now has to find it again");
    journal.forget(3_600_000).unwrap();
    let kept = count(&journal, "standing where kind = 2");
    assert_eq!((count(&journal, "names"), kept), (0, 0));
}

#[test]
fn a_file_that_is_no_journal_or_is_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let held = open(folder.path(), KEPT).unwrap();
    assert!(matches!(open(folder.path(), KEPT), Err(JournalError::Taken { .. })));
    drop(held);
    std::fs::write(folder.path().join("journal.sqlite"), vec![7; 8_192]).unwrap();
    assert!(matches!(open(folder.path(), KEPT), Err(JournalError::Damaged { .. })));
}

//! Putting private events on disk, in groups as they are acknowledged, and reading a user's back. A
//! regression here lets publishers wait longer for each 2xx, or wears the disk out.
//!
//! `journal` is what the engine uses: SQLite, events in the order in which they came, and what stands about
//! users behind them. Beside it stand SQLite with a table for each thing keyed by user (`by_user`),
//! redb and fjall, all doing the same: an event, where its topic stands, what is open of it. All of
//! them are on disk when a group returns. [`say_bytes`] prints what each writes to the disk for an
//! event, and how long it takes to open what is there, which criterion does not show.

#![allow(clippy::print_stdout, reason = "bytes are said, because criterion shows none")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on stops here")]

use std::path::Path;
use std::time::Instant;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fastrand::Rng;
use redb::ReadableDatabase;
use tempfile::TempDir;
use tickcast::journal::{Entry, Journal, Missed, Retention};
use tickcast::state::{Change, Effect};

/// A store that puts groups of events on disk and reads a user's last ones back.
trait Store: Sized {
    const NAME: &'static str;

    fn open(folder: &Path) -> Self;

    /// The events of these users, each with its number; on disk when this returns.
    fn append(&mut self, group: &[(usize, u64)]);

    /// How many events of a user come after this number.
    fn since(&mut self, user: usize, seq: u64) -> usize;
}

/// A store with users to whom something happened already.
struct Filled<S> {
    store: S,
    seqs: Vec<u64>,
    rng: Rng,
    /// Removed last: the store is closed by then.
    _folder: TempDir,
}

impl<S: Store> Filled<S> {
    fn new() -> Filled<S> {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let store = S::open(folder.path());
        let mut filled = Filled { store, seqs: vec![0; USERS], rng: Rng::with_seed(7), _folder: folder };
        for _ in 0..USERS * EVENTS_BEFORE / GROUP_BEFORE {
            let group = filled.group(GROUP_BEFORE);
            filled.store.append(&group);
        }
        let user = filled.rng.usize(..USERS);
        let seq = filled.seqs[user];
        assert_eq!(filled.store.since(user, seq - 1), 1, "what was put in comes out");
        filled
    }

    fn group(&mut self, count: usize) -> Vec<(usize, u64)> {
        let next = |_| {
            let user = self.rng.usize(..USERS);
            self.seqs[user] += 1;
            (user, self.seqs[user])
        };
        (0..count).map(next).collect()
    }
}

fn bench(criterion: &mut Criterion) {
    let mut stores =
        (Filled::<Journal>::new(), Filled::<ByUser>::new(), Filled::<Redb>::new(), Filled::<Fjall>::new());
    let mut group = criterion.benchmark_group("journal/append_100");
    group.throughput(Throughput::Elements(GROUP as u64)).sample_size(20);
    append(&mut group, &mut stores.0);
    append(&mut group, &mut stores.1);
    append(&mut group, &mut stores.2);
    append(&mut group, &mut stores.3);
    group.finish();
    let mut group = criterion.benchmark_group("journal/since_10");
    group.throughput(Throughput::Elements(BACK)).sample_size(20);
    since(&mut group, &mut stores.0);
    since(&mut group, &mut stores.1);
    since(&mut group, &mut stores.2);
    since(&mut group, &mut stores.3);
    group.finish();
    say_bytes(stores.0);
    say_bytes(stores.1);
    say_bytes(stores.2);
    say_bytes(stores.3);
}

type Group<'a> = criterion::BenchmarkGroup<'a, criterion::measurement::WallTime>;

fn append<S: Store>(group: &mut Group<'_>, filled: &mut Filled<S>) {
    group.bench_function(S::NAME, |bencher| {
        bencher.iter_custom(|times| {
            let mut spent = std::time::Duration::ZERO;
            for _ in 0..times {
                let events = filled.group(GROUP);
                let begin = now();
                filled.store.append(&events);
                spent += begin.elapsed();
            }
            spent
        })
    });
}

fn since<S: Store>(group: &mut Group<'_>, filled: &mut Filled<S>) {
    let mut users = Rng::with_seed(9);
    let Filled { store, seqs, .. } = filled;
    let pick = || {
        let user = users.usize(..USERS);
        (user, seqs[user].saturating_sub(BACK))
    };
    let mut pick = pick;
    group.bench_function(S::NAME, |bencher| {
        bencher.iter_batched(&mut pick, |(user, seq)| store.since(user, seq), BatchSize::SmallInput)
    });
}

/// Prints how many a second it takes in a longer run and what that writes, to the end of its closing:
/// what a store puts off counts too.
fn say_bytes<S: Store>(mut filled: Filled<S>) {
    // As a test it does a hundredth of it.
    let groups = if std::env::args().any(|argument| argument == "--bench") { GROUPS } else { GROUPS / 100 };
    let (before, begin) = (written(), now());
    for _ in 0..groups {
        let events = filled.group(GROUP);
        filled.store.append(&events);
    }
    let (spent, open) = (begin.elapsed(), written());
    let Filled { store, _folder: folder, .. } = filled;
    drop(store);
    let closed = written();
    let begin = now();
    drop(S::open(folder.path()));
    let opened = begin.elapsed();
    let events = (groups * GROUP) as u64;
    let each = |bytes: Option<u64>| match (bytes, before) {
        (Some(bytes), Some(before)) => ((bytes - before) / events).to_string(),
        // Not a Linux, or one that does not say.
        (_, _) => "unknown".to_owned(),
    };
    println!(
        "journal/{}: {:.0} events a second, {} bytes written an event, {} when it was closed, opened again in {:.0} ms",
        S::NAME,
        events as f64 / spent.as_secs_f64(),
        each(open),
        each(closed),
        opened.as_secs_f64() * 1e3,
    );
    drop(folder);
}

/// Bytes that this process made the disk write.
fn written() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/io").ok()?;
    text.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.parse().ok()
}

#[allow(clippy::disallowed_methods, reason = "a bench is timed from outside")]
fn now() -> Instant {
    Instant::now()
}

fn data(seq: u64) -> String {
    format!(
        r#"{{"orderId":"{seq}","symbol":"BTC/USDT","side":"BUY","type":"LIMIT","price":"45000.00","quantity":"1.50000000","filledQuantity":"0.00000000","status":"NEW","clientOrderId":"c-{seq}","timeInForce":"GTC","createdAt":1732000000000,"updatedAt":1732000000000,"note":"as long as such an order is"}}"#
    )
}

/// What a user's order is known by: three of them are open.
fn open_order(seq: u64) -> String {
    (seq % 3).to_string()
}

impl Store for Journal {
    const NAME: &'static str = "journal";

    fn open(folder: &Path) -> Journal {
        let retention = Retention { events: 1_000, age: 1 << 40, bytes: 1 << 40 };
        Journal::open(folder, "bench", retention).unwrap()
    }

    fn append(&mut self, group: &[(usize, u64)]) {
        let entry = |&(user, seq): &(usize, u64)| Entry {
            user: format!("user{user}").into(),
            event: "order.created",
            data: data(seq).into(),
            event_id: None,
            topics: vec!["orders".into()],
            change: Some(Change { key: open_order(seq), effect: Effect::Merge }),
            strategy: None,
        };
        let entries: Vec<_> = group.iter().map(entry).collect();
        self.record(1_732_000_000_000, &entries).unwrap();
    }

    fn since(&mut self, user: usize, seq: u64) -> usize {
        match Journal::since(self, &format!("user{user}"), "orders", seq).unwrap() {
            Missed::Rows(rows) => rows.len(),
            Missed::NotHeld => 0,
        }
    }
}

/// SQLite, with a table for each thing, keyed by user.
struct ByUser(rusqlite::Connection);

impl Store for ByUser {
    const NAME: &'static str = "by_user";

    fn open(folder: &Path) -> ByUser {
        let db = rusqlite::Connection::open(folder.join("by_user.sqlite")).unwrap();
        db.execute_batch(
            "pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -32768;
             create table if not exists events (user text, topic text, seq integer, at integer, event text, data text,
                 primary key (user, topic, seq)) without rowid;
             create index if not exists by_age on events (at);
             create table if not exists heads (user text, topic text, seq integer, primary key (user, topic)) without rowid;
             create table if not exists states (user text, topic text, key text, data text,
                 primary key (user, topic, key)) without rowid;",
        )
        .unwrap();
        ByUser(db)
    }

    fn append(&mut self, group: &[(usize, u64)]) {
        let all = self.0.unchecked_transaction().unwrap();
        for &(user, seq) in group {
            let (user, data) = (format!("user{user}"), data(seq));
            let at = 1_732_000_000_000_i64;
            let mut put =
                all.prepare_cached("insert into events values (?1, 'orders', ?2, ?3, ?4, ?5)").unwrap();
            put.execute((&user, seq, at, "order.created", &data)).unwrap();
            let mut put =
                all.prepare_cached("insert or replace into heads values (?1, 'orders', ?2)").unwrap();
            put.execute((&user, seq)).unwrap();
            let mut put =
                all.prepare_cached("insert or replace into states values (?1, 'orders', ?2, ?3)").unwrap();
            put.execute((&user, open_order(seq), &data)).unwrap();
        }
        all.commit().unwrap();
    }

    fn since(&mut self, user: usize, seq: u64) -> usize {
        let query = "select data from events where user = ?1 and topic = 'orders' and seq > ?2 order by seq";
        let mut query = self.0.prepare_cached(query).unwrap();
        let mut rows = query.query((format!("user{user}"), seq)).unwrap();
        let mut count = 0;
        while let Some(row) = rows.next().unwrap() {
            count += usize::from(!row.get::<_, String>(0).unwrap().is_empty());
        }
        count
    }
}

/// The keys that redb and fjall order by: the user, the topic, and the number or the thing.
fn key(user: usize, rest: &[u8]) -> Vec<u8> {
    [format!("user{user}\0orders\0").as_bytes(), rest].concat()
}

struct Redb(redb::Database);

type Table = redb::TableDefinition<'static, &'static [u8], &'static [u8]>;
const REDB: [Table; 3] = [Table::new("events"), Table::new("heads"), Table::new("states")];

impl Store for Redb {
    const NAME: &'static str = "redb";

    fn open(folder: &Path) -> Redb {
        Redb(redb::Database::create(folder.join("journal.redb")).unwrap())
    }

    fn append(&mut self, group: &[(usize, u64)]) {
        let all = self.0.begin_write().unwrap();
        {
            let [mut events, mut heads, mut states] = REDB.map(|table| all.open_table(table).unwrap());
            for &(user, seq) in group {
                let data = data(seq);
                events.insert(&key(user, &seq.to_be_bytes())[..], data.as_bytes()).unwrap();
                heads.insert(&key(user, &[])[..], &seq.to_be_bytes()[..]).unwrap();
                states.insert(&key(user, open_order(seq).as_bytes())[..], data.as_bytes()).unwrap();
            }
        }
        all.commit().unwrap();
    }

    fn since(&mut self, user: usize, seq: u64) -> usize {
        let events = self.0.begin_read().unwrap().open_table(REDB[0]).unwrap();
        let (from, to) = (key(user, &(seq + 1).to_be_bytes()), key(user, &u64::MAX.to_be_bytes()));
        events
            .range(&from[..]..&to[..])
            .unwrap()
            .filter(|row| !row.as_ref().unwrap().1.value().is_empty())
            .count()
    }
}

struct Fjall {
    db: fjall::Database,
    events: fjall::Keyspace,
    heads: fjall::Keyspace,
    states: fjall::Keyspace,
}

impl Store for Fjall {
    const NAME: &'static str = "fjall";

    fn open(folder: &Path) -> Fjall {
        let db = fjall::Database::builder(folder).open().unwrap();
        let open = |name| db.keyspace(name, fjall::KeyspaceCreateOptions::default).unwrap();
        let (events, heads, states) = (open("events"), open("heads"), open("states"));
        Fjall { db, events, heads, states }
    }

    fn append(&mut self, group: &[(usize, u64)]) {
        let mut all = self.db.batch().durability(Some(fjall::PersistMode::SyncData));
        for &(user, seq) in group {
            let data = data(seq);
            all.insert(&self.events, key(user, &seq.to_be_bytes()), data.as_bytes());
            all.insert(&self.heads, key(user, &[]), &seq.to_be_bytes()[..]);
            all.insert(&self.states, key(user, open_order(seq).as_bytes()), data.as_bytes());
        }
        all.commit().unwrap();
    }

    fn since(&mut self, user: usize, seq: u64) -> usize {
        let (from, to) = (key(user, &(seq + 1).to_be_bytes()), key(user, &u64::MAX.to_be_bytes()));
        self.events.range(from..to).filter_map(|row| row.into_inner().ok()).count()
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);

const USERS: usize = 20_000;
const EVENTS_BEFORE: usize = 5;
const GROUP_BEFORE: usize = 5_000;

/// What one wait for the disk is shared by.
const GROUP: usize = 100;

/// Groups over which bytes are counted: more events than a store puts anything off for.
const GROUPS: usize = 3_000;

/// Events that a client missed.
const BACK: u64 = 10;

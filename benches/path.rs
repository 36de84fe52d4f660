//! Parse, apply and publish, over the bytes of a recorded session. A regression here is delay for
//! every client of every symbol, and fewer symbols on a core. Aim: 1.5 times `tape_alone` at most,
//! which is simd-json with buffers that are used again, and nothing made of what was read;
//! `to_tape_alone` is the library's ordinary call. [`say_ratios`] prints how far it is.

#![allow(clippy::print_stdout, reason = "the ratio is said, because criterion compares nothing")]

mod support;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use simd_json::{Buffers, Tape};
use support::{Nobody, Session, tell};
use tickcast::ingest::Sink;
use tickcast::market::{BookChange, Event, Millis, SymbolId};
use tickcast::shard::{Shard, ShardConfig};
use tickcast::state::Board;

/// The shard behind a feed, in one thread.
struct Direct {
    shard: Shard,
    #[allow(clippy::vec_box, reason = "a sink is given boxes, and keeps them")]
    spare: Vec<Box<BookChange>>,
}

impl Sink for Direct {
    fn put(&mut self, symbol: SymbolId, received: Millis, event: Event) {
        let spare = self.shard.apply(received, symbol, event, &mut Nobody);
        self.spare.extend(spare);
    }

    fn blank(&mut self) -> Box<BookChange> {
        let mut change = self.spare.pop().unwrap_or_default();
        change.clear();
        change
    }

    fn recycle(&mut self, change: Box<BookChange>) {
        self.spare.push(change);
    }
}

/// When a turn ends, and what it changed is published.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// After each message.
    Message,
    /// With the millisecond, as where a busy shard takes all that waits for it in one turn.
    Millisecond,
    /// After as many messages as a shard takes in one turn at most: what is published while a
    /// session is played as fast as it goes.
    Full,
}

/// Plays the session; returns the number of trades.
fn path(session: &Session, bytes: &mut [u8], turn: Turn) -> u64 {
    let symbols = session.symbols();
    let shard = Shard::new(symbols.clone(), Board::default().into(), ShardConfig::default(), "e");
    let mut sink = Direct { shard, spare: Vec::new() };
    let mut feed = session.feed(&symbols);
    let id = symbols.table().id("BTCUSDT").expect("a session is of this symbol");
    sink.put(id, 0, Event::Scale { tick: session.tick });
    let mut turn_of = 0;
    for (at, (now, what, range)) in session.messages.iter().enumerate() {
        let ends = match turn {
            Turn::Message => true,
            Turn::Millisecond => *now != turn_of,
            Turn::Full => at % 512 == 0,
        };
        if ends {
            sink.shard.end_turn();
        }
        if turn == Turn::Message || *now != turn_of {
            sink.shard.advance(*now, &mut Nobody);
            turn_of = *now;
        }
        tell(&mut feed, *now, *what, &mut bytes[range.clone()], &mut sink);
    }
    sink.shard.end_turn();
    sink.shard.symbols().map(|state| state.tape().last_seq()).sum()
}

fn tape_alone(session: &Session, bytes: &mut [u8]) -> usize {
    let mut buffers = Buffers::with_max_depth(0, 32);
    let mut kept: Tape<'static> = Tape(Vec::new());
    let mut nodes = 0;
    for (_, _, range) in &session.messages {
        let mut tape = std::mem::replace(&mut kept, Tape(Vec::new())).reset();
        simd_json::fill_tape(&mut bytes[range.clone()], &mut buffers, &mut tape).expect("recorded JSON");
        nodes += tape.0.len();
        kept = tape.reset();
    }
    nodes
}

/// What the library's ordinary call costs, which makes its buffers anew for each message.
fn tape_call(session: &Session, bytes: &mut [u8]) -> usize {
    let nodes = |range: &std::ops::Range<usize>| {
        simd_json::to_tape(&mut bytes[range.clone()]).expect("recorded JSON").0.len()
    };
    session.messages.iter().map(|(_, _, range)| range).map(nodes).sum()
}

fn trees(session: &Session, bytes: &mut [u8]) -> usize {
    let mut read = 0;
    for (_, _, range) in &session.messages {
        let value = simd_json::to_borrowed_value(&mut bytes[range.clone()]).expect("recorded JSON");
        read +=
            usize::from(black_box(&value) != &simd_json::BorrowedValue::Static(simd_json::StaticNode::Null));
    }
    read
}

/// Says what the path costs in multiples of the tape alone. Both are run in turns, so that a noisy
/// machine disturbs both alike, and the median of the turns' ratios counts.
#[allow(clippy::print_stdout, reason = "a ratio within one run is what the bench is for")]
fn say_ratios(session: &Session) {
    let mut bytes = session.bytes.clone();
    let mut time = |run: &mut dyn FnMut(&mut [u8])| {
        bytes.copy_from_slice(&session.bytes);
        let from = support::now();
        run(&mut bytes);
        from.elapsed().as_secs_f64()
    };
    let mut ratios = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        let tape = time(&mut |bytes| _ = black_box(tape_alone(session, bytes)));
        for (turn, ratios) in [Turn::Message, Turn::Full, Turn::Millisecond].into_iter().zip(&mut ratios) {
            ratios.push(time(&mut |bytes| _ = black_box(path(session, bytes, turn))) / tape);
        }
    }
    let [message, full, millisecond] = ratios.map(|mut ratios| {
        ratios.sort_by(f64::total_cmp);
        ratios[ROUNDS / 2]
    });
    println!(
        "{}: {message:.2} x tape_alone publishing each message, {millisecond:.2} each millisecond, \
         {full:.2} each 512 messages",
        session.name
    );
}

fn bench(criterion: &mut Criterion) {
    for session in Session::all() {
        assert!(path(&session, &mut session.bytes.clone(), Turn::Message) > 1_000, "trades came through");
        say_ratios(&session);
        let mut group = criterion.benchmark_group(format!("path/{}", session.name));
        group.throughput(Throughput::Elements(session.messages.len() as u64)).sample_size(10);
        let copy = || session.bytes.clone();
        for (name, turn) in [
            ("parse_apply_publish", Turn::Message),
            ("publish_each_millisecond", Turn::Millisecond),
            ("publish_each_512", Turn::Full),
        ] {
            group.bench_function(name, |bencher| {
                bencher.iter_batched_ref(copy, |bytes| path(&session, bytes, turn), BatchSize::PerIteration);
            });
        }
        group.bench_function("tape_alone", |bencher| {
            bencher.iter_batched_ref(copy, |bytes| tape_alone(&session, bytes), BatchSize::PerIteration);
        });
        group.bench_function("to_tape_alone", |bencher| {
            bencher.iter_batched_ref(copy, |bytes| tape_call(&session, bytes), BatchSize::PerIteration);
        });
        group.bench_function("tree_alone", |bencher| {
            bencher.iter_batched_ref(copy, |bytes| trees(&session, bytes), BatchSize::PerIteration);
        });
        group.finish();
    }
}

/// Rounds of [`say_ratios`].
const ROUNDS: usize = 15;

criterion_group!(benches, bench);
criterion_main!(benches);

//! Every state against every input, and all of it against a model that knows the whole truth.

use proptest::prelude::*;

use super::*;
use crate::market::{BookKind, Decimal, Quantity, RawLevel};

fn diff(first: u64, last: u64) -> Box<BookChange> {
    Box::new(BookChange { first_update_id: first, last_update_id: last, ..BookChange::default() })
}

fn snapshot(last: u64) -> Box<BookChange> {
    Box::new(BookChange { kind: BookKind::Snapshot, last_update_id: last, ..BookChange::default() })
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Apply(_) => "apply",
        Verdict::Held => "held",
        Verdict::Dropped(_) => "dropped",
        Verdict::Duplicate(_) => "duplicate",
        Verdict::Gap => "gap",
    }
}

const WAITING: State = State::Waiting;
const BRIDGING: State = State::Bridging { last: 100 };
const FOLLOWING: State = State::Following { last: 100 };

/// Puts a diff `first..=last` (naming the end `previous`) to a sequence in each of its states.
#[track_caller]
fn check(rule: Rule, (first, last, previous): (u64, u64, Option<u64>), bridging: &str, following: &str) {
    for (state, expect) in [(WAITING, "held"), (BRIDGING, bridging), (FOLLOWING, following)] {
        let mut sequence = Sequence { state, ..Sequence::new(rule) };
        let verdict = sequence.diff(diff(first, last), previous);
        assert_eq!(word(&verdict), expect, "{rule:?} {state:?} {first}..={last} after {previous:?}");
        let after = match expect {
            "apply" => State::Following { last },
            "gap" => State::Waiting,
            _ => state,
        };
        assert_eq!(sequence.state(), after, "{rule:?} {state:?} {first}..={last} after {previous:?}");
        assert_eq!(sequence.held(), usize::from(matches!(expect, "held" | "gap")));
    }
}

#[test]
fn spot_diffs_touch_each_other_and_the_first_reaches_over_the_snapshot() {
    for rule in [Rule::Spot, Rule::Published] {
        check(rule, (90, 99, None), "dropped", "duplicate");
        check(rule, (90, 100, None), "dropped", "duplicate");
        check(rule, (90, 101, None), "apply", "apply");
        check(rule, (101, 101, None), "apply", "apply");
        check(rule, (102, 110, None), "gap", "gap");
        check(rule, (0, u64::MAX, None), "apply", "apply");
        check(rule, (u64::MAX, u64::MAX, None), "gap", "gap");
    }
}

#[test]
fn futures_diffs_name_the_one_before_and_the_first_reaches_over_the_snapshot() {
    check(Rule::Futures, (80, 90, Some(79)), "dropped", "duplicate");
    check(Rule::Futures, (90, 99, Some(89)), "dropped", "duplicate");
    check(Rule::Futures, (90, 100, Some(89)), "apply", "duplicate");
    check(Rule::Futures, (90, 110, Some(89)), "apply", "gap");
    check(Rule::Futures, (100, 110, Some(99)), "apply", "gap");
    check(Rule::Futures, (105, 110, Some(100)), "apply", "apply");
    // The snapshot ended between two diffs of this symbol.
    check(Rule::Futures, (105, 110, Some(98)), "apply", "gap");
    check(Rule::Futures, (101, 110, Some(101)), "gap", "gap");
    check(Rule::Futures, (101, 110, None), "gap", "gap");
}

#[test]
fn a_snapshot_older_than_the_held_diffs_is_asked_for_again_and_they_are_kept() {
    let mut sequence = Sequence::new(Rule::Spot);
    for (first, last) in [(100, 104), (105, 109), (110, 114)] {
        assert!(matches!(sequence.diff(diff(first, last), None), Verdict::Held));
    }
    assert!(matches!(sequence.snapshot(snapshot(98)), Arrival::TooOld(_)));
    assert_eq!((sequence.state(), sequence.held()), (State::Waiting, 3));
    assert!(matches!(sequence.snapshot(snapshot(106)), Arrival::Apply(_)));
    let verdicts: Vec<_> = std::iter::from_fn(|| sequence.release()).collect();
    assert_eq!(verdicts.iter().map(word).collect::<Vec<_>>(), ["dropped", "apply", "apply"]);
    assert_eq!((sequence.state(), sequence.held()), (State::Following { last: 114 }, 0));
    assert!(matches!(sequence.snapshot(snapshot(114)), Arrival::Passed(_)));
    assert!(matches!(sequence.snapshot(snapshot(120)), Arrival::Apply(_)));
    assert_eq!(sequence.state(), State::Bridging { last: 120 });
}

#[test]
fn a_hole_among_the_held_diffs_makes_the_book_stale_and_keeps_what_follows() {
    let mut sequence = Sequence::new(Rule::Futures);
    for (first, last, previous) in [(100, 104, 99), (105, 109, 104), (120, 129, 119), (130, 139, 129)] {
        assert!(matches!(sequence.diff(diff(first, last), Some(previous)), Verdict::Held));
    }
    assert!(matches!(sequence.snapshot(snapshot(104)), Arrival::Apply(_)));
    let verdicts: Vec<_> = std::iter::from_fn(|| sequence.release()).collect();
    assert_eq!(verdicts.iter().map(word).collect::<Vec<_>>(), ["apply", "apply", "gap"]);
    assert_eq!((sequence.state(), sequence.held()), (State::Waiting, 2));
    assert!(matches!(sequence.snapshot(snapshot(125)), Arrival::Apply(_)));
    let verdicts: Vec<_> = std::iter::from_fn(|| sequence.release()).collect();
    assert_eq!(verdicts.iter().map(word).collect::<Vec<_>>(), ["apply", "apply"]);
}

#[test]
fn a_publisher_may_begin_to_count_anew() {
    let mut sequence = Sequence::new(Rule::Published);
    assert!(matches!(sequence.snapshot(snapshot(500)), Arrival::Apply(_)));
    assert!(matches!(sequence.diff(diff(501, 502), None), Verdict::Apply(_)));
    assert!(matches!(sequence.diff(diff(504, 505), None), Verdict::Gap));
    assert!(matches!(sequence.snapshot(snapshot(1)), Arrival::Apply(_)));
    assert!(sequence.release().is_none());
    assert!(matches!(sequence.diff(diff(2, 2), None), Verdict::Apply(_)));
    assert!(matches!(sequence.snapshot(snapshot(1)), Arrival::Apply(_)));
}

#[test]
fn a_lost_connection_ends_the_book_and_forgets_what_was_held() {
    for (state, had_book) in [(WAITING, false), (BRIDGING, true), (FOLLOWING, true)] {
        let mut sequence = Sequence { state, ..Sequence::new(Rule::Spot) };
        sequence.hold(Held { change: diff(1, 2), previous: None });
        assert_eq!(sequence.lose(), had_book, "{state:?}");
        assert_eq!((sequence.state(), sequence.held()), (State::Waiting, 0));
    }
}

#[test]
fn when_too_many_diffs_or_levels_are_held_the_oldest_go() {
    let mut sequence = Sequence::new(Rule::Spot);
    for id in 1..=HELD_DIFFS as u64 + 5 {
        sequence.diff(diff(id, id), None);
    }
    assert_eq!(sequence.held(), HELD_DIFFS);
    assert!(matches!(sequence.snapshot(snapshot(4)), Arrival::TooOld(_)));
    assert!(matches!(sequence.snapshot(snapshot(5)), Arrival::Apply(_)));

    let mut sequence = Sequence::new(Rule::Spot);
    for id in 1..=3 {
        let mut large = diff(id, id);
        let level = RawLevel { price: Decimal::new(1, 0), quantity: Quantity::ZERO };
        large.bids.resize(HELD_LEVELS / 2, level);
        sequence.diff(large, None);
    }
    assert_eq!((sequence.held(), sequence.held_levels), (2, HELD_LEVELS));
}

/// A venue that counts every update of a book, and cuts them into diffs.
#[derive(Clone, Debug)]
enum Step {
    /// The next diff, of so many updates, arrives.
    Diff(u64),
    /// The next diff is lost.
    Lost(u64),
    /// A diff that came already comes again.
    Again(usize),
    /// A snapshot taken so many updates ago arrives.
    Snapshot(u64),
    Disconnect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..6_u64).prop_map(Step::Diff),
        1 => (1..6_u64).prop_map(Step::Lost),
        1 => (0..8_usize).prop_map(Step::Again),
        3 => (0..12_u64).prop_map(Step::Snapshot),
        1 => Just(Step::Disconnect),
    ]
}

/// The book as the set of updates it holds, kept by what the sequence lets through.
struct Model {
    sequence: Sequence,
    held: Option<std::collections::BTreeSet<u64>>,
    /// Updates that the venue made so far.
    made: u64,
    diffs: Vec<(u64, u64, u64)>,
}

impl Model {
    fn give(&mut self, (first, last, previous): (u64, u64, u64)) {
        let futures = self.sequence.rule == Rule::Futures;
        let verdict = self.sequence.diff(diff(first, last), futures.then_some(previous));
        self.take(verdict);
    }

    fn take(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Apply(change) => {
                let book = self.held.as_mut().expect("a diff applies to a book only");
                book.extend(change.first_update_id..=change.last_update_id);
            }
            Verdict::Held => assert!(self.held.is_none(), "with a book nothing is held"),
            Verdict::Dropped(change) | Verdict::Duplicate(change) => {
                let book = self.held.as_ref().expect("only a book makes a diff needless");
                let missing = (change.first_update_id..=change.last_update_id).find(|id| !book.contains(id));
                assert_eq!(missing, None, "nothing that was left out is missing");
            }
            Verdict::Gap => assert!(self.held.take().is_some()),
        }
    }

    fn play(&mut self, step: Step) {
        match step {
            Step::Diff(updates) | Step::Lost(updates) => {
                let next = (self.made + 1, self.made + updates, self.made);
                self.made += updates;
                if matches!(step, Step::Diff(_)) {
                    self.diffs.push(next);
                    self.give(next);
                }
            }
            Step::Again(back) => {
                if let Some(&again) = self.diffs.iter().rev().nth(back) {
                    self.give(again);
                }
            }
            Step::Snapshot(age) => {
                let last = self.made.saturating_sub(age);
                match self.sequence.snapshot(snapshot(last)) {
                    Arrival::Apply(_) => {
                        self.held = Some((1..=last).collect());
                        while let Some(verdict) = self.sequence.release() {
                            self.take(verdict);
                        }
                    }
                    Arrival::TooOld(_) => assert!(self.held.is_none()),
                    Arrival::Passed(_) => assert!(self.held.is_some()),
                }
            }
            Step::Disconnect => assert_eq!(self.sequence.lose(), self.held.take().is_some()),
        }
        assert_eq!(self.held.is_some(), self.sequence.state() != State::Waiting);
        if let (Some(book), State::Following { last } | State::Bridging { last }) =
            (&self.held, self.sequence.state())
        {
            assert!(book.iter().copied().eq(1..=last), "a book that is passed on has no hole: {book:?}");
        }
    }
}

proptest! {
    #[test]
    fn a_book_that_is_passed_on_never_has_a_hole(steps in proptest::collection::vec(step(), 0..120), rule in 0..3_usize) {
        let rule = [Rule::Spot, Rule::Futures, Rule::Published][rule];
        let mut model = Model { sequence: Sequence::new(rule), held: None, made: 3, diffs: Vec::new() };
        for step in steps {
            model.play(step);
        }
    }

    #[test]
    fn a_new_snapshot_always_heals(steps in proptest::collection::vec(step(), 0..60), rule in 0..3_usize) {
        let rule = [Rule::Spot, Rule::Futures, Rule::Published][rule];
        let mut model = Model { sequence: Sequence::new(rule), held: None, made: 3, diffs: Vec::new() };
        for step in steps.into_iter().chain([Step::Snapshot(0), Step::Diff(2)]) {
            model.play(step);
        }
        prop_assert_eq!(model.held.map(|book| book.len() as u64), Some(model.made));
    }
}

//! Leads a run: says when its parts begin, and looks at the processes meanwhile.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use super::plan::Plan;
use super::progress::Progress;
use super::publish::{Published, Publisher};
use super::receive::Lane;
use super::report::{Looks, Report};
use super::spent::Spent;
use super::tally::{Control, Tally};
use super::{LoadError, Report as Measured};
use crate::clock::FineClock;

type Lanes<'scope> = Vec<ScopedJoinHandle<'scope, io::Result<Tally>>>;

/// Does what `plan` says, from the first connection to the last goodbye.
///
/// # Errors
/// [`LoadError`] when nothing could be measured.
pub fn run(plan: &Plan) -> Result<Measured, LoadError> {
    let unknown = |error| LoadError::Unknown { target: plan.target.clone(), error };
    let server = plan.target.resolve().map_err(unknown)?;
    allow_descriptors(plan.connections as u64 + SPARE_DESCRIPTORS)?;
    let before = look(plan)?;
    let clock = FineClock::start();
    let control = Control::default();
    let connect = |publication| Publisher::connect(publication, clock, plan.seed);
    let publisher = plan.publish.as_ref().map(connect).transpose()?;
    let lanes: io::Result<Vec<_>> =
        (0..plan.threads).map(|lane| Lane::new(plan, &control, clock, server, lane)).collect();
    let lanes = lanes?;
    let (tally, published, [begin, end]) = thread::scope(|scope| {
        let lanes: Lanes<'_> = lanes.into_iter().map(|lane| scope.spawn(|| lane.run())).collect();
        let mut progress = Progress::new(&control);
        wait_for_all(plan, &control, &lanes, &mut progress);
        if control.open.load(Ordering::Relaxed) == 0 {
            for moment in [&control.begin, &control.end, &control.leave] {
                moment.store(0, Ordering::Relaxed);
            }
            let failures = join(lanes)?.failures;
            return Err(LoadError::Nobody { target: plan.target.clone(), failures });
        }
        let (begin, end) = say_when(plan, &control, clock);
        let publisher = publisher.map(|publisher| scope.spawn(|| publisher.run(&control)));
        wait_until(begin, "warming up", clock, &mut progress);
        let at_begin = look(plan)?;
        wait_until(end, "measuring", clock, &mut progress);
        let at_end = look(plan)?;
        progress.begin("leaving", plan.connections as u64);
        let published = publisher.map(|publisher| join_publisher(publisher));
        Ok((join(lanes)?, published, [at_begin, at_end]))
    })?;
    let after = look_once_all_are_gone(plan, before)?;
    Ok(Report::of(plan, tally, published, &Looks { before, begin, end, after }))
}

/// A look at the server, where its process is known, and at ourselves.
type Look = (Option<Spent>, Spent);

fn look(plan: &Plan) -> Result<Look, LoadError> {
    let server = match plan.pid {
        Some(pid) => Some(Spent::by(pid).ok_or(LoadError::NoProcess { pid })?),
        None => None,
    };
    Ok((server, Spent::by_us().unwrap_or_default()))
}

/// Servers need a moment to notice that everybody is gone.
fn look_once_all_are_gone(plan: &Plan, before: Look) -> Result<Look, LoadError> {
    let descriptors = |look: Look| look.0.and_then(|server| server.descriptors);
    for _ in 0..AFTERWARDS.as_millis() / TURN.as_millis() {
        let now = look(plan)?;
        if descriptors(now) <= descriptors(before) {
            return Ok(now);
        }
        thread::sleep(TURN);
    }
    look(plan)
}

/// Raises the number of descriptors that this process may have.
fn allow_descriptors(needed: u64) -> Result<(), LoadError> {
    let (soft, hard) = rlimit::Resource::NOFILE.get()?;
    if soft >= needed {
        return Ok(());
    }
    // Beyond the hard limit only the system's owner comes, but then at once.
    if rlimit::Resource::NOFILE.set(needed, hard.max(needed)).is_ok() {
        return Ok(());
    }
    let most = rlimit::increase_nofile_limit(needed)?;
    if most >= needed { Ok(()) } else { Err(LoadError::Descriptors { needed, most }) }
}

/// Waits until each receiver is subscribed or has failed: both have a deadline.
fn wait_for_all(plan: &Plan, control: &Control, lanes: &Lanes<'_>, progress: &mut Progress<'_>) {
    progress.begin("subscribing", plan.connections as u64);
    loop {
        let settled = control.settled.load(Ordering::Relaxed);
        if settled >= plan.connections || lanes.iter().any(|lane| lane.is_finished()) {
            return;
        }
        progress.at(settled as u64, TURN);
        thread::sleep(TURN);
    }
}

/// Sets the moments of the run, and tells when the measured part begins and ends.
fn say_when(plan: &Plan, control: &Control, clock: FineClock) -> (u64, u64) {
    let after = |moment: u64, time: Duration| {
        moment.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    };
    let begin = after(clock.now(), plan.warmup);
    let end = after(begin, plan.measured);
    let store = |moment: &AtomicU64, time| moment.store(time, Ordering::Relaxed);
    store(&control.leave, after(end, LINGER));
    store(&control.end, end);
    store(&control.begin, begin);
    (begin, end)
}

fn wait_until(moment: u64, what: &'static str, clock: FineClock, progress: &mut Progress<'_>) {
    let left = || Duration::from_nanos(moment.saturating_sub(clock.now()));
    let whole = left();
    let tenths = |time: Duration| u64::try_from(time.as_millis() / 100).unwrap_or(u64::MAX);
    progress.begin(what, tenths(whole));
    while !left().is_zero() {
        let step = left().min(TURN);
        thread::sleep(step);
        progress.at(tenths(whole.saturating_sub(left())), step);
    }
}

fn join(lanes: Lanes<'_>) -> io::Result<Tally> {
    let mut all = Tally::default();
    for lane in lanes {
        let tally = lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        all.merge(tally?);
    }
    Ok(all)
}

fn join_publisher(publisher: ScopedJoinHandle<'_, Published>) -> Published {
    publisher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Descriptors beside those of receivers: files, pollers, pipes, the publisher.
const SPARE_DESCRIPTORS: u64 = 64;

/// For messages that are on their way when the measured part ends.
const LINGER: Duration = Duration::from_millis(300);

/// How often it is looked how far things are.
const TURN: Duration = Duration::from_millis(100);

/// How long a server may take to notice that everybody is gone.
const AFTERWARDS: Duration = Duration::from_secs(5);

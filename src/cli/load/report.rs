//! What came of a run, for people and for programs.

use std::fmt;

use serde::Serialize;

use super::ending::Failures;
use super::latency::{Quantiles, Stamp};
use super::plan::{Habit, Plan};
use super::publish::Published;
use super::spent::Spent;
use super::tally::{Checked, Tally};

/// What came of a run. Rates and costs are those of the measured part.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where receivers connected.
    pub url: String,
    /// Length of the measured part.
    pub seconds: f64,
    /// Messages.
    pub deliveries: u64,
    /// Messages a second.
    pub deliveries_per_second: f64,
    /// Bytes, with frame headers.
    pub bytes: u64,
    /// Bytes a second.
    pub bytes_per_second: f64,
    /// Messages from the first subscription to the last goodbye.
    pub received: u64,
    /// How long messages took; nothing where none carried a stamp.
    pub latency: Option<Quantiles>,
    /// Receivers.
    pub connections: Connections,
    /// What the server spent, where its process is known.
    pub server: Option<Cost>,
    /// What this process spent.
    pub load: Cost,
    /// What was published meanwhile.
    pub published: Option<Publishing>,
    /// What was verified.
    pub check: Option<Verified>,
}

/// What became of the receivers.
#[derive(Clone, Debug, Serialize)]
pub struct Connections {
    /// How many there were to be.
    pub asked: u64,
    /// Times that one came to be subscribed; more than asked for where they come and go.
    pub subscribed: u64,
    /// Those subscribed at the end of the measured part.
    pub open_at_end: u64,
    /// Those that said goodbye and were answered.
    pub left: u64,
    /// Those that left without a word, as they were to.
    pub vanished: u64,
    /// Those that said goodbye and were not answered in time.
    pub unanswered: u64,
    /// Those that failed, by kind.
    pub failures: Failures,
}

/// What a process spent.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// CPU time in the measured part, user and system.
    pub cpu_seconds: f64,
    /// CPU time of a million deliveries.
    pub cpu_seconds_per_million: Option<f64>,
    /// Deliveries that a second of CPU time pays for.
    pub deliveries_per_cpu_second: Option<f64>,
    /// Resident memory before the first connection.
    pub memory_before: u64,
    /// Resident memory when the measured part began.
    pub memory_at_begin: u64,
    /// Resident memory when it ended.
    pub memory_at_end: u64,
    /// The most that it ever was.
    pub memory_peak: u64,
    /// Resident memory after the last connection.
    pub memory_after: u64,
    /// What each receiver added to it until the measured part began.
    pub memory_per_connection: u64,
    /// Threads in the measured part.
    pub threads: u64,
    /// Open descriptors before the first connection, in the measured part, and after the last.
    pub descriptors: Option<[u64; 3]>,
}

/// What was published.
#[derive(Clone, Debug, Serialize)]
pub struct Publishing {
    /// Messages, those of the warm-up too.
    pub messages: u64,
    /// What all receivers that were there from the first to the last message got of it together, if
    /// nothing was lost: to be held against `received`.
    pub deliveries_expected: u64,
    /// How late the latest of them left, in milliseconds.
    pub latest_ms: u64,
    /// Why it ended too early.
    pub broke: Option<String>,
}

/// What was verified.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    /// Receivers that did.
    pub receivers: u64,
    /// Messages that were.
    pub messages: u64,
    /// Times that a rule was broken.
    pub violations: u64,
    /// The first few of them.
    pub examples: Vec<String>,
    /// How many numbers the stopped receivers were behind the others at the end; nothing where none stopped.
    pub stopped_behind: Option<u64>,
    /// The same of the slow ones.
    pub slow_behind: Option<u64>,
}

/// Looks at the processes: the server's, and this one.
pub(super) struct Looks {
    pub(super) before: (Option<Spent>, Spent),
    pub(super) begin: (Option<Spent>, Spent),
    pub(super) end: (Option<Spent>, Spent),
    pub(super) after: (Option<Spent>, Spent),
}

impl Report {
    pub(super) fn of(plan: &Plan, tally: Tally, published: Option<Published>, looks: &Looks) -> Report {
        let seconds = plan.measured.as_secs_f64();
        let stamp = if plan.stamped { Stamp::Publisher } else { Stamp::Engine };
        let deliveries = tally.deliveries;
        let Looks { before, begin, end, after } = looks;
        let open = tally.open_at_end;
        let server = match (before.0, begin.0, end.0, after.0) {
            (Some(before), Some(begin), Some(end), Some(after)) => {
                Some(Cost::of([before, begin, end, after], deliveries, open))
            }
            _ => None,
        };
        Report {
            url: plan.target.to_string(),
            seconds,
            deliveries,
            deliveries_per_second: float(deliveries) / seconds,
            bytes: tally.bytes,
            bytes_per_second: float(tally.bytes) / seconds,
            received: tally.received,
            latency: tally.latencies.as_ref().and_then(|latencies| Quantiles::of(latencies, stamp)),
            server,
            load: Cost::of([before.1, begin.1, end.1, after.1], deliveries, open),
            published: published.map(|published| Publishing {
                messages: published.messages,
                deliveries_expected: published.messages * tally.subscribed,
                latest_ms: u64::try_from(published.latest.as_millis()).unwrap_or(u64::MAX),
                broke: published.broke.map(|kind| kind.to_string()),
            }),
            check: (plan.check > 0).then(|| Verified::of(&tally.checked)),
            connections: Connections {
                asked: plan.connections as u64,
                subscribed: tally.subscribed,
                open_at_end: open,
                left: tally.left,
                vanished: tally.vanished,
                unanswered: tally.unanswered,
                failures: tally.failures,
            },
        }
    }

    /// Times that a rule was broken.
    pub fn violations(&self) -> u64 {
        self.check.as_ref().map_or(0, |check| check.violations)
    }
}

impl Cost {
    fn of([before, begin, end, after]: [Spent; 4], deliveries: u64, connections: u64) -> Cost {
        let cpu = end.cpu.saturating_sub(begin.cpu).as_secs_f64();
        let added = begin.memory.saturating_sub(before.memory);
        let descriptors = [before.descriptors, end.descriptors, after.descriptors];
        Cost {
            cpu_seconds: cpu,
            cpu_seconds_per_million: (deliveries > 0).then(|| cpu * 1e6 / float(deliveries)),
            deliveries_per_cpu_second: (cpu > 0.0).then(|| float(deliveries) / cpu),
            memory_before: before.memory,
            memory_at_begin: begin.memory,
            memory_at_end: end.memory,
            memory_peak: end.memory_peak,
            memory_after: after.memory,
            memory_per_connection: added.checked_div(connections).unwrap_or(0),
            threads: end.threads,
            descriptors: match descriptors {
                [Some(before), Some(end), Some(after)] => Some([before, end, after]),
                _ => None,
            },
        }
    }
}

impl Verified {
    fn of(checked: &Checked) -> Verified {
        Verified {
            receivers: checked.receivers,
            messages: checked.messages,
            violations: checked.violations.count,
            examples: checked.violations.examples.clone(),
            stopped_behind: checked.most_behind(Habit::Stops),
            slow_behind: checked.most_behind(Habit::Dawdles),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = &self.connections;
        writeln!(f, "{} for {:.1} s", self.url, self.seconds)?;
        row(f, "connections", format_args!("{} of {} at the end", all.open_at_end, all.asked))?;
        let (left, vanished, unanswered) = (all.left, all.vanished, all.unanswered);
        let ways = format_args!("{left} in order, {vanished} without a word, {unanswered} unanswered");
        row(f, "left", ways)?;
        for (kind, count) in all.failures.each() {
            row(f, "failed", format_args!("{count}: {kind}"))?;
        }
        let rate = self.deliveries_per_second;
        row(f, "deliveries", format_args!("{} ({rate:.0} a second)", self.deliveries))?;
        let rate = self.bytes_per_second / 1e6;
        row(f, "bytes", format_args!("{} ({rate:.2} MB a second)", self.bytes))?;
        match &self.latency {
            Some(latency) => write_latency(f, latency)?,
            None => row(f, "latency", format_args!("unknown: no message carried a stamp"))?,
        }
        if let Some(published) = &self.published {
            let Publishing { messages, deliveries_expected, latest_ms, broke } = published;
            row(f, "published", format_args!("{messages}, at most {latest_ms} ms late"))?;
            row(f, "received", format_args!("{} of {deliveries_expected}", self.received))?;
            if let Some(broke) = broke {
                row(f, "published", format_args!("ended too early: {broke}"))?;
            }
        }
        if let Some(check) = &self.check {
            write_check(f, check)?;
        }
        if let Some(server) = &self.server {
            write_cost(f, "server", server)?;
        }
        write_cost(f, "load", &self.load)
    }
}

fn write_latency(f: &mut fmt::Formatter<'_>, latency: &Quantiles) -> fmt::Result {
    let Quantiles { samples, from, resolution_us, min_us, p50_us, p90_us, p99_us, p999_us, max_us } = latency;
    let quantiles =
        format_args!("min {min_us} p50 {p50_us} p90 {p90_us} p99 {p99_us} p99.9 {p999_us} max {max_us} us");
    row(f, "latency", quantiles)?;
    row(f, "", format_args!("of {samples} messages, from {from:?}, in steps of {resolution_us} us"))
}

fn write_check(f: &mut fmt::Formatter<'_>, check: &Verified) -> fmt::Result {
    let Verified { receivers, messages, violations, .. } = check;
    let verified = format_args!("{messages} messages of {receivers} receivers, {violations} violations");
    row(f, "verified", verified)?;
    for example in &check.examples {
        row(f, "violation", format_args!("{example}"))?;
    }
    for (who, behind) in [("stopped", check.stopped_behind), ("slow", check.slow_behind)] {
        if let Some(behind) = behind {
            row(f, who, format_args!("at most {behind} numbers behind at the end"))?;
        }
    }
    Ok(())
}

fn write_cost(f: &mut fmt::Formatter<'_>, who: &str, cost: &Cost) -> fmt::Result {
    let seconds = cost.cpu_seconds;
    match cost.cpu_seconds_per_million {
        Some(million) => {
            let paid = cost.deliveries_per_cpu_second.unwrap_or(f64::INFINITY);
            let each = format_args!("{million:.2} s CPU a million deliveries ({paid:.0} a CPU second)");
            row(f, who, each)?;
        }
        None => row(f, who, format_args!("{seconds:.2} s CPU"))?,
    }
    let mib = |bytes: u64| float(bytes) / float(1 << 20);
    let (before, begin, end) = (mib(cost.memory_before), mib(cost.memory_at_begin), mib(cost.memory_at_end));
    let (peak, after) = (mib(cost.memory_peak), mib(cost.memory_after));
    let memory = format_args!(
        "{before:.1} MiB before, {begin:.1} to {end:.1} measured, {peak:.1} at most, {after:.1} after"
    );
    row(f, "", memory)?;
    let each = cost.memory_per_connection;
    write!(f, "{:<13}{each} bytes a connection, {} threads", "", cost.threads)?;
    match cost.descriptors {
        Some([before, end, after]) => writeln!(f, ", {before}, {end}, {after} descriptors"),
        None => writeln!(f),
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: fmt::Arguments<'_>) -> fmt::Result {
    writeln!(f, "{name:<13}{value}")
}

#[allow(clippy::cast_precision_loss, reason = "counts to be shown and divided, far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

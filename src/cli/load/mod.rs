//! `tickcast load`: opens many connections to a server and reports what they get and what it costs.
//!
//! ```text
//! watch (begin, end, leave) ─▶ lane ─▶ seats ─▶ connection ─▶ conversation ─▶ walker
//!        └────── publisher      └─ queue of those to connect
//! ```
//! A lane is a thread that reads all of its connections through one buffer and looks at headers
//! alone, so that receiving a message costs less than sending it.

mod check;
mod connect;
mod conversation;
mod ending;
mod latency;
mod plan;
mod progress;
mod publish;
mod receive;
mod report;
mod say;
mod seat;
mod spent;
mod tally;
mod target;
mod walk;
mod watch;

use std::io::{self, Write};
use std::path::PathBuf;

use thiserror::Error;

pub use ending::Failures;
pub use latency::Quantiles;
pub use plan::{Plan, Publication, Slow};
pub(super) use publish::LEAST_SIZE;
pub use report::Report;
pub use target::{BadTarget, Target};
pub use watch::run;

use super::LoadArgs;

#[cfg(test)]
mod tests;

/// Why nothing was measured, or what was measured is not right.
#[derive(Debug, Error)]
pub enum LoadError {
    /// Nothing to subscribe to.
    #[error(
        "--topics: nothing to subscribe to: name some, such as --topics book:BTCUSDT:20:100ms,trades:BTCUSDT, or \
         name a file of them with --topics-file; a server without subscriptions is reached with --raw-path"
    )]
    NoTopics,
    /// Topics where there are none.
    #[error("--topics: what listens at --raw-path has no topics: leave out one of the two")]
    TopicsOfRaw,
    /// Rules where there are none.
    #[error(
        "--check: what listens at --raw-path does not follow the rules of topics: leave out one of the two"
    )]
    CheckRaw,
    /// Published messages would not come.
    #[error(
        "--publish: subscribers of topics do not get what is published as it is: name what they listen to with \
         --raw-path"
    )]
    PublishNotRaw,
    /// More receivers with a habit than receivers.
    #[error(
        "--stopped, --slow and --check ask for {behave} receivers, and there are {connections}: raise --connections"
    )]
    TooFew {
        /// All of them.
        connections: usize,
        /// Those asked for.
        behave: usize,
    },
    /// Stopped receivers would not be seen to read again.
    #[error(
        "--resume-after: the measured part (--for) is over by then: make one shorter or the other longer"
    )]
    ResumeTooLate,
    /// The file of topics cannot be read.
    #[error("--topics-file: {file}: {error}", file = file.display())]
    TopicsFile {
        /// Which.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The name of the server means nothing.
    #[error("{target}: {error}")]
    Unknown {
        /// Where.
        target: Target,
        /// Why.
        error: io::Error,
    },
    /// No such process.
    #[error("--pid: there is no process {pid} here, or it may not be looked at")]
    NoProcess {
        /// As it was given.
        pid: u32,
    },
    /// Too few descriptors.
    #[error(
        "--connections: {needed} descriptors are needed and this process may have {most}: raise that (ulimit -n), or \
         ask for fewer"
    )]
    Descriptors {
        /// One for each connection, and a few.
        needed: u64,
        /// What the system allows.
        most: u64,
    },
    /// The publisher did not connect.
    #[error("--publish: {target}: {error}")]
    Publisher {
        /// Where.
        target: Target,
        /// Why.
        error: io::Error,
    },
    /// No receiver was subscribed.
    #[error("{target}: no connection came about: {}", list(failures))]
    Nobody {
        /// Where.
        target: Target,
        /// Why.
        failures: Failures,
    },
    /// Rules were broken: the report says which.
    #[error("--check: {count} times a rule was broken")]
    Violations {
        /// How many times.
        count: u64,
    },
    /// The system's.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Runs what `args` ask for and prints the report.
///
/// # Errors
/// [`LoadError`].
pub fn load(args: &LoadArgs) -> Result<(), LoadError> {
    let report = run(&Plan::of(args)?)?;
    let text =
        if args.json { serde_json::to_string(&report).map_err(io::Error::from)? } else { report.to_string() };
    writeln!(io::stdout(), "{}", text.trim_end())?;
    match report.violations() {
        0 => Ok(()),
        count => Err(LoadError::Violations { count }),
    }
}

fn list(failures: &Failures) -> String {
    let each: Vec<_> = failures.each().map(|(kind, count)| format!("{kind} ({count} times)")).collect();
    each.join(", ")
}

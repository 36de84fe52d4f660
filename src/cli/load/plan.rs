//! What one run is to do, checked as a whole before anything is opened.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::{LoadError, Target};
use crate::cli::LoadArgs;

/// What a run does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where receivers connect.
    pub target: Target,
    /// How many there are.
    pub connections: usize,
    /// What they subscribe to; nothing where the server has no such thing.
    pub topics: Vec<String>,
    /// Whether each of them gets one of the topics, in turn.
    pub spread: bool,
    /// How long everything runs before it is measured.
    pub warmup: Duration,
    /// How long it is measured.
    pub measured: Duration,
    /// Threads that receive.
    pub threads: usize,
    /// Connections opened a second.
    pub pace: usize,
    /// What is random in a run comes from it.
    pub seed: u64,
    /// So many receivers never read once they are subscribed.
    pub stopped: usize,
    /// So long into the measured part they read again.
    pub resume_after: Option<Duration>,
    /// Receivers that read slowly.
    pub slow: Slow,
    /// Receivers leave after so long and come again.
    pub churn: Option<Duration>,
    /// So many receivers, and all that stop or are slow, verify what they hear.
    pub check: usize,
    /// Whether messages carry their publisher's stamp.
    pub stamped: bool,
    /// What is published meanwhile.
    pub publish: Option<Publication>,
    /// The server's process.
    pub pid: Option<u32>,
}

/// `--slow K:BYTES_PER_S`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slow {
    /// How many.
    pub receivers: usize,
    /// What each of them reads in a second.
    pub bytes_per_second: usize,
}

impl FromStr for Slow {
    type Err = String;

    fn from_str(text: &str) -> Result<Slow, String> {
        let numbers = text.split_once(':').and_then(|(receivers, bytes)| {
            let (receivers, bytes): (NonZeroUsize, NonZeroUsize) =
                (receivers.parse().ok()?, bytes.parse().ok()?);
            Some(Slow { receivers: receivers.get(), bytes_per_second: bytes.get() })
        });
        numbers.ok_or_else(|| "write RECEIVERS:BYTES_PER_SECOND, such as 50:20000".into())
    }
}

/// Messages to publish.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Where.
    pub target: Target,
    /// Messages a second.
    pub rate: usize,
    /// Bytes of each.
    pub size: usize,
    /// So many leave together.
    pub burst: usize,
}

/// How a receiver behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    /// Reads what comes when it comes.
    Reads,
    /// Does not read any more once it is subscribed.
    Stops,
    /// Reads slowly.
    Dawdles,
}

impl Plan {
    /// What `args` ask for.
    ///
    /// # Errors
    /// [`LoadError`] names what they ask for that cannot be done, or makes no sense.
    pub fn of(args: &LoadArgs) -> Result<Plan, LoadError> {
        let mut topics = args.topics.clone();
        if let Some(file) = &args.topics_file {
            topics.extend(read_topics(file)?);
        }
        let target = args.raw_path.as_ref().map_or_else(|| args.url.clone(), |path| args.url.with_path(path));
        let publish = args.publish.as_ref().map(|target| Publication {
            target: target.clone(),
            rate: args.rate,
            size: args.size,
            burst: args.burst,
        });
        let plan = Plan {
            target,
            connections: args.connections,
            topics,
            spread: args.spread,
            warmup: args.warmup,
            measured: args.measured,
            threads: args.threads.min(args.connections),
            pace: args.pace,
            seed: args.seed,
            stopped: args.stopped,
            resume_after: args.resume_after,
            slow: args.slow.unwrap_or_default(),
            churn: args.churn,
            check: args.check,
            stamped: args.stamp || publish.is_some(),
            publish,
            pid: args.pid,
        };
        plan.make_sense(args.raw_path.is_some())
    }

    fn make_sense(self, raw: bool) -> Result<Plan, LoadError> {
        match () {
            () if raw && !self.topics.is_empty() => Err(LoadError::TopicsOfRaw),
            () if !raw && self.topics.is_empty() => Err(LoadError::NoTopics),
            () if !raw && self.publish.is_some() => Err(LoadError::PublishNotRaw),
            () if raw && self.check > 0 => Err(LoadError::CheckRaw),
            () if self.stopped + self.slow.receivers > self.connections => Err(LoadError::TooFew {
                connections: self.connections,
                behave: self.stopped + self.slow.receivers,
            }),
            () if self.check > self.connections => {
                Err(LoadError::TooFew { connections: self.connections, behave: self.check })
            }
            () if self.resume_after.is_some_and(|after| after >= self.measured) => {
                Err(LoadError::ResumeTooLate)
            }
            () => Ok(self),
        }
    }

    /// How receiver `number` behaves. The odd ones come first, so that they are not the last to be served.
    pub(super) fn habit(&self, number: usize) -> Habit {
        if number < self.stopped {
            Habit::Stops
        } else if number < self.stopped + self.slow.receivers {
            Habit::Dawdles
        } else {
            Habit::Reads
        }
    }

    /// Whether receiver `number` verifies what it hears.
    pub(super) fn checks(&self, number: usize) -> bool {
        self.check > 0 && number < self.check + self.stopped + self.slow.receivers
    }

    /// What receiver `number` subscribes to.
    pub(super) fn topics_of(&self, number: usize) -> &[String] {
        match self.topics.len() {
            count if self.spread && count > 0 => std::slice::from_ref(&self.topics[number % count]),
            _ => &self.topics,
        }
    }
}

fn read_topics(file: &PathBuf) -> Result<Vec<String>, LoadError> {
    let text =
        std::fs::read_to_string(file).map_err(|error| LoadError::TopicsFile { file: file.clone(), error })?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

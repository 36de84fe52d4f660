//! What a process has used so far, as the kernel tells it.

use std::fs;
use std::time::Duration;

/// A look at a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    /// CPU time, its own and the kernel's on its behalf, in steps of 10 ms.
    pub(super) cpu: Duration,
    /// Bytes of memory that it holds.
    pub(super) memory: u64,
    /// The most that it ever held.
    pub(super) memory_peak: u64,
    /// Open descriptors; `None` where they are nobody else's business.
    pub(super) descriptors: Option<u64>,
    /// Threads.
    pub(super) threads: u64,
}

impl Spent {
    /// What process `pid` has used; `None` when there is none.
    pub(super) fn by(pid: u32) -> Option<Spent> {
        Spent::read(&format!("/proc/{pid}"))
    }

    /// What this process has used.
    pub(super) fn by_us() -> Option<Spent> {
        Spent::read("/proc/self")
    }

    fn read(folder: &str) -> Option<Spent> {
        let (cpu, threads) = cpu(&fs::read_to_string(format!("{folder}/stat")).ok()?)?;
        let status = fs::read_to_string(format!("{folder}/status")).ok()?;
        let descriptors = fs::read_dir(format!("{folder}/fd")).ok().map(|entries| entries.count() as u64);
        Some(Spent {
            cpu,
            memory: kilobytes(&status, "VmRSS:")?,
            memory_peak: kilobytes(&status, "VmHWM:")?,
            descriptors,
            threads,
        })
    }
}

/// CPU time and number of threads. The name, which may hold anything, ends with the last bracket.
fn cpu(stat: &str) -> Option<(Duration, u64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let field = |at: usize| fields.split_ascii_whitespace().nth(at)?.parse::<u64>().ok();
    let ticks = field(11)? + field(12)?;
    Some((Duration::from_millis(ticks * TICK_MS), field(17)?))
}

fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

/// The kernel counts time for programs in hundredths of a second, on every architecture of today.
const TICK_MS: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let stat = "42 (a) b (c) S 1 1 1 0 -1 0 0 0 0 0 150 25 0 0 20 0 7 0 100 0 0";
        assert_eq!(cpu(stat), Some((Duration::from_millis(1_750), 7)));
        assert_eq!(cpu("nonsense"), None);
    }

    #[test]
    fn memory_is_told_in_bytes() {
        assert_eq!(kilobytes("VmHWM:\t  12 kB\nVmRSS:\t  10 kB\n", "VmRSS:"), Some(10_240));
        assert_eq!(kilobytes("VmRSS: ten", "VmRSS:"), None);
    }

    #[test]
    fn every_process_uses_something() {
        let us = Spent::by_us().unwrap();
        assert!(us.memory > 0 && us.memory_peak >= us.memory && us.threads > 0);
        assert!(us.descriptors.unwrap() > 2);
        assert_eq!(Spent::by(u32::MAX), None);
    }
}

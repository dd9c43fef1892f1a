//! What the kernel knows about a process: memory, and time on a processor.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// Resident memory, in kilobytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// All of it, `VmRSS`: with the pages of the program that are shared with others that run it.
    pub(crate) resident: u64,
    /// What is the process's own, `RssAnon`.
    pub(crate) anonymous: u64,
}

pub(crate) fn memory(pid: u32) -> anyhow::Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| number(&status, name).with_context(|| format!("{name} of process {pid}"));
    Ok(Memory { resident: field("VmRSS:")?, anonymous: field("RssAnon:")? })
}

/// How often it gave the processor away: how often it woke up.
pub(crate) fn wakeups(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    number(&status, "voluntary_ctxt_switches:").context("voluntary_ctxt_switches")
}

/// The processor time of all threads so far, to the nanosecond; `utime` and `stime` count hundredths of a second.
pub(crate) fn processor_time(pid: u32) -> anyhow::Result<Duration> {
    let mut total = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let schedule = fs::read_to_string(thread?.path().join("schedstat"))?;
        let ran = schedule.split_whitespace().next().context("schedstat is empty")?;
        total += Duration::from_nanos(ran.parse()?);
    }
    Ok(total)
}

fn number(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

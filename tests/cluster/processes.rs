//! Processes in the pods of a node: found by its control groups, signalled, and what the kernel counts of them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use vipcast::demo::lab::sys::{self, Signal};

/// A process in a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its number on this machine.
    pub(crate) pid: u32,
    command: String,
}

impl Process {
    /// Sends a signal, unless the number has gone to a stranger.
    pub(crate) fn signal(&self, signal: Signal) {
        assert!(self.lives(), "{} {} has ended", self.command, self.pid);
        sys::signal(self.pid, signal).unwrap();
    }

    /// Whether it still runs.
    pub(crate) fn lives(&self) -> bool {
        command(self.pid).is_some_and(|command| command == self.command)
    }

    /// Resident memory in bytes, `VmRSS`.
    pub(crate) fn resident(&self) -> u64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }

    /// The processor time of all its threads so far.
    pub(crate) fn processor_time(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid)).unwrap();
        let ran = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok());
        ran.map(|line| Duration::from_nanos(line.split_whitespace().next().unwrap().parse().unwrap())).sum()
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.pid)).unwrap()
    }
}

/// The processes of that name in the pods of a node, by the name of the node's control group.
pub(crate) fn in_pods(group: &str, name: &str) -> Vec<Process> {
    let mut found = Vec::new();
    // Version 1 has a tree for each controller and every process in each; one will do.
    for tree in ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"] {
        let pods = Path::new(tree).join(group).join("kubepods");
        if pods.is_dir() {
            collect(&pods, name, &mut found);
            break;
        }
    }
    found
}

fn collect(group: &Path, name: &str, found: &mut Vec<Process>) {
    let members = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let pids = members.lines().filter_map(|line| line.parse().ok());
    let ours = pids.filter(|pid| command(*pid).is_some_and(|command| command == name));
    found.extend(ours.map(|pid| Process { pid, command: name.to_owned() }));
    for below in fs::read_dir(group).into_iter().flatten().flatten() {
        if below.path().is_dir() {
            collect(&below.path(), name, found);
        }
    }
}

/// A process's name, cut to fifteen characters by the kernel; nothing for one that has ended.
fn command(pid: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let state = state.rsplit(')').next()?.trim_start().chars().next()?;
    (state != 'Z' && state != 'X').then(|| name.trim_end().to_owned())
}

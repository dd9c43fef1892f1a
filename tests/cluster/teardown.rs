//! What is on this machine, as far as clusters have to do with it: the same before and after.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::command::Script;

/// Everything that a cluster of this name, or Kubernetes outside of any node, could have left.
pub(crate) fn traces(script: &Script) -> BTreeSet<String> {
    let mark = script.namespace("");
    let folder = script.folder().display().to_string();
    let mut found: BTreeSet<String> =
        entries(Path::new("/run/netns")).filter(|name| name.contains(&mark)).collect();
    found.extend(groups(Path::new("/sys/fs/cgroup"), &mark, 2));
    found.extend(processes(&mark, &folder));
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    found.extend(
        mounts.lines().filter(|line| line.contains(&folder) || line.contains(&mark)).map(str::to_owned),
    );
    found.extend(script.folder().exists().then_some(folder));
    found.extend(
        OUTSIDE
            .iter()
            .flat_map(|folder| entries(Path::new(folder)).map(move |name| format!("{folder}/{name}"))),
    );
    found
}

fn groups(folder: &Path, mark: &str, depth: usize) -> Vec<String> {
    let below = entries(folder).map(|name| folder.join(name)).filter(|path| path.is_dir());
    below
        .flat_map(|path| match path.to_string_lossy().contains(mark) {
            true => vec![path.display().to_string()],
            false if depth > 1 => groups(&path, mark, depth - 1),
            false => Vec::new(),
        })
        .collect()
}

/// Those in its control groups, and those whose command line has its folder; not this test, nor what has ended and only waits for
/// somebody to ask how.
fn processes(mark: &str, folder: &str) -> Vec<String> {
    let pids = entries(Path::new("/proc")).filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let belongs = |pid: &String| {
        let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let text = |file: &str| String::from_utf8_lossy(&read(file)).into_owned();
        let alive = !text("cmdline").is_empty();
        *pid != std::process::id().to_string()
            && alive
            && (text("cgroup").contains(mark) || text("cmdline").contains(folder))
    };
    pids.filter(belongs).map(|pid| format!("process {pid}")).collect()
}

fn entries(folder: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

/// Where Kubernetes writes on a machine that is a node; ours only look like one from inside.
const OUTSIDE: [&str; 8] = [
    "/etc/kubernetes",
    "/etc/cni/net.d",
    "/var/lib/kubelet",
    "/var/lib/etcd",
    "/var/lib/cni",
    "/var/log/pods",
    "/var/log/containers",
    "/run/vipcast",
];

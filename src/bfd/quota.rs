//! The CPU quota of the control group: it freezes a process for most of a period, which BFD must survive.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// So much CPU time in each period.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Quota {
    /// CPU time.
    pub quota: Duration,
    /// The period.
    pub period: Duration,
    statistics: PathBuf,
}

impl Quota {
    /// The tightest of this process's control group and those above, as far as they can be seen from here.
    #[must_use]
    pub fn of_this_process() -> Option<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        Self::among(Path::new("/sys/fs/cgroup"), &groups)
    }

    /// Whether being frozen can look like a failure: a detection time under three periods.
    #[must_use]
    pub fn threatens(&self, detection_time: Duration) -> bool {
        detection_time < self.period * 3
    }

    /// How many periods ended with this process frozen.
    #[must_use]
    pub fn throttled(&self) -> Option<u64> {
        let text = fs::read_to_string(&self.statistics).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("nr_throttled "))?;
        line.trim().parse().ok()
    }

    fn among(root: &Path, groups: &str) -> Option<Self> {
        let folders =
            groups.lines().filter_map(|line| Hierarchy::of(root, line)).flat_map(Hierarchy::folders);
        folders.filter_map(|folder| Self::of(&folder)).min_by(|one, other| {
            let (one, other) = (one.share(), other.share());
            one.total_cmp(&other)
        })
    }

    /// Version 2, else version 1.
    fn of(folder: &Path) -> Option<Self> {
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        let text = read("cpu.max").or_else(|| {
            Some(format!("{} {}", read("cpu.cfs_quota_us")?.trim(), read("cpu.cfs_period_us")?.trim()))
        })?;
        // "max" and "-1" are no numbers, and no quota.
        let mut numbers = text.split_whitespace().map(|word| word.parse().ok().map(Duration::from_micros));
        let (quota, period) = (numbers.next()??, numbers.next()??);
        Some(Self { quota, period, statistics: folder.join("cpu.stat") }).filter(|_| !period.is_zero())
    }

    fn share(&self) -> f64 {
        self.quota.as_secs_f64() / self.period.as_secs_f64()
    }
}

/// A mounted hierarchy of control groups and this process's place in it.
struct Hierarchy {
    mounted: PathBuf,
    place: PathBuf,
}

impl Hierarchy {
    /// `0::/path` of version 2, or `4:cpu,cpuacct:/path` of version 1.
    fn of(root: &Path, line: &str) -> Option<Self> {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, place) = (fields.next()?, fields.next()?, fields.next()?);
        let mounted = match (number, controllers) {
            ("0", "") => root.to_owned(),
            (_, list) if list.split(',').any(|controller| controller == "cpu") => {
                Some(root.join(list)).filter(|path| path.is_dir()).unwrap_or_else(|| root.join("cpu"))
            }
            _ => return None,
        };
        Some(Self { mounted, place: place.trim_start_matches('/').into() })
    }

    /// From the process's own up to the root. In a container the place may be one that only the host sees.
    fn folders(self) -> impl Iterator<Item = PathBuf> {
        let places: Vec<PathBuf> = self.place.ancestors().map(|place| self.mounted.join(place)).collect();
        places.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    fn found(files: &[(&str, &str)], own: &str) -> Option<(Duration, Duration)> {
        let root = groups(files);
        Quota::among(root.path(), own).map(|quota| (quota.quota, quota.period))
    }

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn the_tightest_quota_from_the_process_up_to_the_root_counts() {
        let files = [
            ("pods/pod1/container/cpu.max", "max 100000\n"),
            ("pods/pod1/cpu.max", "20000 100000\n"),
            ("pods/cpu.max", "400000 100000\n"),
        ];
        assert_eq!(found(&files, "0::/pods/pod1/container\n"), Some((20 * MILLI, 100 * MILLI)));
        assert_eq!(found(&files, "0::/pods\n"), Some((400 * MILLI, 100 * MILLI)));
        assert_eq!(found(&files[..1], "0::/pods/pod1/container\n"), None);
    }

    #[test]
    fn inside_a_container_the_root_is_its_own_group() {
        let files = [("cpu.max", "5000 100000\n")];
        assert_eq!(found(&files, "0::/\n"), Some((5 * MILLI, 100 * MILLI)));
        assert_eq!(found(&files, "0::/kubepods/what/the/host/sees\n"), Some((5 * MILLI, 100 * MILLI)));
    }

    #[test]
    fn version_1_is_understood() {
        let files = [
            ("cpu,cpuacct/a/cpu.cfs_quota_us", "50000\n"),
            ("cpu,cpuacct/a/cpu.cfs_period_us", "100000\n"),
            ("cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
            ("cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
        ];
        let own = "4:memory:/a\n2:cpu,cpuacct:/a\n0::/\n";
        assert_eq!(found(&files, own), Some((50 * MILLI, 100 * MILLI)));
        assert_eq!(found(&files, "2:cpu,cpuacct:/\n"), None);
        let renamed = files.map(|(name, content)| (name.replace("cpu,cpuacct", "cpu"), content));
        let renamed: Vec<_> = renamed.iter().map(|(name, content)| (name.as_str(), *content)).collect();
        assert_eq!(found(&renamed, own), Some((50 * MILLI, 100 * MILLI)));
    }

    #[test]
    fn a_detection_time_under_three_periods_is_threatened() {
        let root = groups(&[("cpu.max", "5000 100000"), ("cpu.stat", "nr_periods 9\nnr_throttled 4\n")]);
        let quota = Quota::among(root.path(), "0::/").unwrap();
        assert_eq!([150, 299, 300, 900].map(|ms| quota.threatens(ms * MILLI)), [true, true, false, false]);
        assert_eq!(quota.throttled(), Some(4));
    }
}

//! Waiting for what must come, and making sure of what must not.

use std::thread;
use std::time::{Duration, Instant};

use vipcast::clock;

/// Waits until `probe` has something.
pub(crate) fn wait<T>(what: &str, patience: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = clock::now() + patience;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(clock::now() < deadline, "waited in vain until {what}");
        thread::sleep(GLANCE);
    }
}

/// Waits until `value` is what it should be; says what it was instead.
pub(crate) fn wait_equal<T: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: &T,
    mut value: impl FnMut() -> T,
) -> Instant {
    let deadline = clock::now() + SOON;
    loop {
        let found = value();
        if found == *expected {
            return clock::now();
        }
        assert!(clock::now() < deadline, "{what}: expected {expected:#?}, found {found:#?}");
        thread::sleep(GLANCE);
    }
}

/// Asserts for all of `span` that nothing breaks.
pub(crate) fn throughout(span: Duration, mut check: impl FnMut()) {
    let end = clock::now() + span;
    while clock::now() < end {
        check();
        thread::sleep(GLANCE);
    }
}

/// The memory of a process in octets.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kibi| kibi.parse::<u64>().ok()).unwrap_or(0) * 1024
}

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// For what must happen, when the moment does not matter.
pub(crate) const SOON: Duration = Duration::from_secs(25);
/// Asking costs the routers something, and many tests run at once.
const GLANCE: Duration = ms(25);

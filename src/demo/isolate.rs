//! Leaving the user's network and mounts behind: the program runs itself again inside namespaces of its own.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::{fs, io};

use super::lab::interrupt::Signals;
use super::lab::sys::{self, IdMaps, Isolation, Signal};

/// Why the program could not isolate itself.
#[derive(Debug, thiserror::Error)]
pub enum IsolateError {
    /// The kernel, or a policy above it, refused.
    #[error("the kernel refuses to make namespaces: {advice}")]
    Refused {
        /// What it said.
        source: io::Error,
        /// What to enable.
        advice: String,
    },
    /// The isolated copy could not be awaited.
    #[error("waiting for the isolated copy of this program")]
    Wait(#[source] io::Error),
    /// There is no place for logs and sockets.
    #[error("mounting an empty file system at {WORK_PLACE}")]
    Mount(#[source] io::Error),
}

/// Runs this program again with `arguments`, isolated, and waits for its end. Signals that ask this process to end are
/// passed on; if it dies, the copy dies with it. Not to be called from within a runtime.
pub fn run_isolated(arguments: Vec<OsString>) -> Result<ExitStatus, IsolateError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(IsolateError::Wait)?.block_on(async {
        let signals = Signals::register().map_err(IsolateError::Wait)?;
        let child = spawn(&arguments).map_err(|source| {
            let advice = advice(&source, &Limits::of_this_machine());
            IsolateError::Refused { source, advice }
        })?;
        attend(child, signals).await.map_err(IsolateError::Wait)
    })
}

/// The isolated copy's part: a file system of its own for everything it writes.
pub fn settle_in() -> Result<(), IsolateError> {
    sys::mount_private(c"/tmp").map_err(IsolateError::Mount)
}

/// Whether this isolated copy is in a user namespace that its parent is not in.
#[must_use]
pub fn is_rootless() -> bool {
    let user = |process: &str| fs::read_link(format!("/proc/{process}/ns/user")).ok();
    user("self") != user(&std::os::unix::process::parent_id().to_string())
}

/// The exit code a shell would report.
#[must_use]
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Root needs no user namespace; but root of a container may lack the right to do without.
fn spawn(arguments: &[OsString]) -> io::Result<tokio::process::Child> {
    let rootless = || command(arguments, Isolation::Rootless).spawn();
    if !sys::is_root() {
        return rootless();
    }
    match command(arguments, Isolation::Privileged).spawn() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => rootless(),
        other => other,
    }
}

fn command(arguments: &[OsString], isolation: Isolation) -> tokio::process::Command {
    let maps = IdMaps::to_root();
    let mut command = Command::new("/proc/self/exe");
    command.args(arguments);
    // Ctrl-C reaches this process only, which passes it on: one key must not count twice.
    command.process_group(0);
    sys::prepare(&mut command, move || sys::isolate(isolation, &maps));
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    command
}

async fn attend(mut child: tokio::process::Child, mut signals: Signals) -> io::Result<ExitStatus> {
    let mut asked = false;
    loop {
        tokio::select! {
            ended = child.wait() => return ended,
            () = signals.next() => pass_on(&child, &mut asked),
        }
    }
}

fn pass_on(child: &tokio::process::Child, asked: &mut bool) {
    let Some(process) = child.id() else { return };
    let signal = if *asked { Signal::Kill } else { Signal::Term };
    *asked = true;
    // Fails only where it has just ended, and then the wait says so.
    let _ = sys::signal(process, signal);
}

/// The settings that commonly forbid user namespaces, where this kernel has them.
#[derive(Debug, Default)]
struct Limits {
    unprivileged_userns_clone: Option<u64>,
    max_user_namespaces: Option<u64>,
    apparmor_restrict: Option<u64>,
}

impl Limits {
    fn of_this_machine() -> Self {
        let read = |path: &str| fs::read_to_string(path).ok()?.trim().parse().ok();
        Self {
            unprivileged_userns_clone: read("/proc/sys/kernel/unprivileged_userns_clone"),
            max_user_namespaces: read("/proc/sys/user/max_user_namespaces"),
            apparmor_restrict: read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        }
    }
}

fn advice(error: &io::Error, limits: &Limits) -> String {
    let exhausted = error.raw_os_error() == Some(libc::ENOSPC);
    let mut enable = Vec::new();
    if limits.unprivileged_userns_clone == Some(0) {
        enable.push("sysctl -w kernel.unprivileged_userns_clone=1");
    }
    if limits.max_user_namespaces == Some(0) || exhausted {
        enable.push("sysctl -w user.max_user_namespaces=15000");
    }
    if limits.apparmor_restrict.is_some_and(|restricted| restricted != 0) {
        enable.push("sysctl -w kernel.apparmor_restrict_unprivileged_userns=0");
    }
    if enable.is_empty() {
        return "no sysctl forbids it, so a container's seccomp profile or a security module does; run as root, or outside \
                of the container"
            .to_owned();
    }
    format!("enable them with `{}`, or run as root", enable.join(" && "))
}

/// Where the isolated copy keeps what it writes; nobody else sees it, and it goes with it.
pub const WORK_PLACE: &str = "/tmp";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::lab::lan::Lan;

    #[test]
    fn a_refusal_names_every_setting_that_forbids_it() {
        let refused = io::Error::from_raw_os_error(libc::EPERM);
        let limits = Limits {
            unprivileged_userns_clone: Some(0),
            max_user_namespaces: Some(0),
            apparmor_restrict: Some(1),
        };
        assert_eq!(
            advice(&refused, &limits),
            "enable them with `sysctl -w kernel.unprivileged_userns_clone=1 && sysctl -w user.max_user_namespaces=15000 && \
             sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or run as root"
        );
    }

    #[test]
    fn a_refusal_that_no_setting_explains_points_at_the_container() {
        let refused = io::Error::from_raw_os_error(libc::EPERM);
        let limits = Limits { max_user_namespaces: Some(96365), ..Limits::default() };
        assert!(advice(&refused, &limits).contains("seccomp"));
        let exhausted = io::Error::from_raw_os_error(libc::ENOSPC);
        assert!(advice(&exhausted, &limits).contains("max_user_namespaces=15000"));
    }

    #[test]
    fn the_exit_code_is_the_one_a_shell_would_report() {
        assert_eq!(exit_code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(exit_code(ExitStatus::from_raw(libc::SIGKILL)), 137);
    }

    const PLAYED: &str = "as-an-isolated-copy";

    /// What the isolated copy finds: it is root, with an empty place to write and a network of its own, in which it may
    /// make more.
    fn look_around() {
        settle_in().unwrap();
        assert_eq!(fs::read_dir(WORK_PLACE).unwrap().count(), 0);
        fs::write("/tmp/vipcast-isolated-copy", "").unwrap();
        let lan = Lan::build(1).unwrap();
        assert_eq!(lan.nodes.len(), 1);
        assert!(sys::is_root());
    }

    fn isolates(isolation: Isolation) {
        let test = "demo::isolate::tests::an_isolated_copy_may_make_networks_and_leaves_nothing_behind";
        let arguments = ["--exact", test, PLAYED].map(OsString::from);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let status = runtime.block_on(async {
            let signals = Signals::register().unwrap();
            attend(command(&arguments, isolation).spawn().unwrap(), signals).await.unwrap()
        });
        assert_eq!(exit_code(status), 0, "{isolation:?}");
        assert!(!fs::exists("/tmp/vipcast-isolated-copy").unwrap());
    }

    #[test]
    fn an_isolated_copy_may_make_networks_and_leaves_nothing_behind() {
        if std::env::args().any(|argument| argument == PLAYED) {
            return look_around();
        }
        isolates(Isolation::Rootless);
        if sys::is_root() {
            isolates(Isolation::Privileged);
        }
    }
}

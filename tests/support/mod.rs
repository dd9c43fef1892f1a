//! What the integration tests share: tests that know what they need, and a real Kubernetes API server.
//!
//! A test that needs what a stranger's machine may lack (root, tshark, a real kube-apiserver) is never passed over in silence:
//! there it is reported as ignored, with the command that brings what is missing; in CI (`CI` is set) it fails.
//!
//! ```ignore
//! mod support;
//! use support::Needs;
//!
//! fn main() -> std::process::ExitCode {
//!     support::run(vec![
//!         support::trial("the_wire_shows_a_gratuitous_arp", &[Needs::Root, Needs::Program("tshark")], || { ... }),
//!     ])
//! }
//! ```
//! with `[[test]] name = "..." harness = false` in Cargo.toml.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    reason = "each test program uses its own part of this module"
)]

pub mod certificates;
pub mod process;
pub mod readme;
pub mod real_api;
pub mod terminal;

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::OnceLock;

use libtest_mimic::{Arguments, Failed, Trial};

/// What a test cannot run without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// A real kube-apiserver and an etcd that suits it.
    RealApi,
    /// ansible-core, in its own environment.
    Ansible,
    /// User 0, with its capabilities.
    Root,
    /// Everything that `tools/cluster` needs: root, containerd, Kubernetes' binaries and so on.
    Cluster,
    /// A program in `$PATH`.
    Program(&'static str),
}

impl Needs {
    /// What is missing and the command that brings it; `None` where nothing is.
    fn unmet(self) -> Option<String> {
        match self {
            Self::RealApi => real_api::Binaries::find().err().map(|missing| missing.to_string()),
            Self::Ansible => ansible().is_none().then(|| "ansible-core: tests/ansible.sh".to_owned()),
            Self::Root if is_root() => None,
            Self::Root => Some("not root: run with sudo, or as root in a container".to_owned()),
            Self::Cluster => cluster_lacks(),
            Self::Program(name) => in_path(name)
                .is_none()
                .then(|| format!("{name} is not installed: apt-get install {}", package(name))),
        }
    }
}

/// A test and what it lacks here.
#[derive(Debug)]
pub struct Test {
    trial: Trial,
    unmet: Vec<String>,
}

/// A test by name that fails by panicking.
pub fn trial(name: impl Into<String>, needs: &[Needs], body: impl FnOnce() + Send + 'static) -> Test {
    let unmet: Vec<String> = needs.iter().filter_map(|need| need.unmet()).collect();
    let lacking = unmet.join("; ");
    let trial = Trial::test(name, move || {
        if lacking.is_empty() {
            body();
            Ok(())
        } else {
            Err(Failed::from(lacking))
        }
    });
    let ignored = !unmet.is_empty() && env::var_os("CI").is_none();
    let trial = trial.with_ignored_flag(ignored);
    Test { trial, unmet }
}

/// A test of hours: reported as ignored unless it is asked for, by `-- --ignored` and its name.
pub fn on_request(name: impl Into<String>, needs: &[Needs], body: impl FnOnce() + Send + 'static) -> Test {
    let Test { trial, unmet } = trial(name, needs, body);
    Test { trial: trial.with_ignored_flag(true), unmet }
}

/// Runs the tests as many at a time as there are processors; the end of a test program's `main`.
pub fn run(tests: Vec<Test>) -> ExitCode {
    run_with(&Arguments::from_args(), tests)
}

/// Runs the tests one after another: for those that measure, or share what there is one of.
pub fn run_one_by_one(tests: Vec<Test>) -> ExitCode {
    run_at_most(1, tests)
}

/// Runs at most so many tests at a time.
pub fn run_at_most(count: usize, tests: Vec<Test>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(arguments.test_threads.map_or(count, |asked| asked.min(count)));
    run_with(&arguments, tests)
}

fn run_with(arguments: &Arguments, tests: Vec<Test>) -> ExitCode {
    let lacking: Vec<String> = tests.iter().flat_map(|test| test.unmet.clone()).collect();
    let trials = tests.into_iter().map(|test| test.trial).collect();
    let conclusion = libtest_mimic::run(arguments, trials);
    if !arguments.list {
        explain(&lacking);
    }
    conclusion.exit_code()
}

/// One line for each thing that is missing, however many tests want it.
fn explain(lacking: &[String]) {
    let mut counts = BTreeMap::<&str, usize>::new();
    for what in lacking {
        *counts.entry(what).or_default() += 1;
    }
    for (what, count) in counts {
        eprintln!("{count} tests could not run: {what}");
    }
}

/// The folder of ansible-core's programs, where `tests/ansible.sh` has put them.
pub fn ansible() -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ansible.sh");
    let found = Command::new(script).arg("--find").output().ok()?;
    let path = String::from_utf8(found.stdout).ok()?;
    found.status.success().then(|| PathBuf::from(path.trim_end()))
}

/// The program of that name in `$PATH`, or where Debian keeps those for root.
pub fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| is_executable(file))
}

/// Whether it is a file that may be executed.
pub fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// Asked once for all tests.
fn cluster_lacks() -> Option<String> {
    static LACKING: OnceLock<Option<String>> = OnceLock::new();
    let ask = || {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/cluster");
        match Command::new(script).arg("check").output() {
            Ok(answer) if answer.status.success() => None,
            Ok(answer) => Some(String::from_utf8_lossy(&answer.stdout).trim().replace('\n', "; ")),
            Err(error) => Some(format!("{script} cannot be run: {error}")),
        }
    };
    LACKING.get_or_init(ask).clone()
}

fn is_root() -> bool {
    // /proc/self is owned by the effective user.
    use std::os::unix::fs::MetadataExt;
    Path::new("/proc/self").metadata().is_ok_and(|m| m.uid() == 0)
}

/// The Debian package of a program, where it is called otherwise.
fn package(program: &str) -> &str {
    match program {
        "ip" | "bridge" | "ss" => "iproute2",
        "nft" => "nftables",
        "dumpcap" => "wireshark-common",
        "nsenter" | "unshare" | "chrt" => "util-linux",
        "ping" => "iputils-ping",
        "kubectl" => "kubernetes-client",
        "bird" | "birdc" => "bird2",
        "vtysh" | "/usr/lib/frr/bfdd" | "/usr/lib/frr/bgpd" => "frr",
        other => other,
    }
}

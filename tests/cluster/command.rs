//! `tools/cluster` as a program that is run.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// The script, for one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    name: String,
    directory: PathBuf,
}

impl Script {
    /// For the cluster of this name, which is kept below `directory`.
    pub(crate) fn new(name: &str, directory: PathBuf) -> Self {
        Self { name: name.to_owned(), directory }
    }

    /// The cluster's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where the cluster's files are.
    pub(crate) fn folder(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    /// Runs a verb that has to succeed; its progress is shown. What it prints is returned.
    pub(crate) fn run(&self, verb: &str, arguments: &[&str]) -> String {
        let output = self.try_run(verb, arguments);
        assert!(output.status.success(), "tools/cluster {verb} {arguments:?}: {}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a verb that may fail.
    pub(crate) fn try_run(&self, verb: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tools/cluster"));
        command.args([verb, "--name", &self.name, "--dir"]).arg(&self.directory).args(arguments);
        command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap()
    }

    /// Whether each node of the cluster that is there has a router of its own.
    pub(crate) fn is_routed(&self) -> bool {
        self.folder().join("rack1").exists()
    }

    /// Whether only the holder of the Lease announces.
    pub(crate) fn elects(&self) -> bool {
        let settings = std::fs::read_to_string(self.folder().join("settings")).unwrap();
        !self.is_routed() || settings.contains("elect=\"yes\"")
    }

    /// The name of a host's network namespace below `/run/netns`.
    pub(crate) fn namespace(&self, host: &str) -> String {
        format!("vipcast-{}-{host}", self.name)
    }
}

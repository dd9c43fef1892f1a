//! Real processes in the nodes: started, ended, killed, frozen and thawed, their output in a file each.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use super::error::{LabError, Result};
use super::sys::{self, Signal};
use crate::clock;

/// A child process. It is killed when this is dropped, and when the thread that started it ends.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` (made by [`super::namespace::Namespace::command`]); what it prints is appended to `log`.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let failed = |source| LabError::Process { name: name.to_owned(), what: "starting", source };
        let output = File::options().create(true).append(true).open(log).map_err(failed)?;
        command.stdin(Stdio::null());
        command.stdout(output.try_clone().map_err(failed)?);
        command.stderr(output);
        // Ctrl-C on the terminal is for the laboratory, which ends its processes itself.
        command.process_group(0);
        Ok(Self { name: name.to_owned(), child: command.spawn().map_err(failed)?, log: log.to_owned() })
    }

    /// Its name in reports.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end in order.
    pub fn term(&mut self) -> Result<()> {
        self.signal(Signal::Term)
    }

    /// Kills it.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::Kill)
    }

    /// Freezes it.
    pub fn stop(&mut self) -> Result<()> {
        self.signal(Signal::Stop)
    }

    /// Thaws it.
    pub fn cont(&mut self) -> Result<()> {
        self.signal(Signal::Continue)
    }

    /// How it ended; nothing while it lives.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().map_err(|source| self.failed("awaiting", source))
    }

    /// Waits for its end, at most for `patience`.
    pub fn wait(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        let deadline = clock::now() + patience;
        loop {
            let status = self.exit_status()?;
            if status.is_some() || clock::now() >= deadline {
                return Ok(status);
            }
            thread::sleep(GLANCE);
        }
    }

    /// The last lines it printed.
    #[must_use]
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().collect();
        let skipped = lines.len().saturating_sub(count);
        lines.into_iter().skip(skipped).map(str::to_owned).collect()
    }

    /// A number may belong to a stranger once its process was reaped: only a child that is still ours is signalled.
    fn signal(&mut self, signal: Signal) -> Result<()> {
        match self.exit_status()? {
            Some(status) => {
                Err(self.failed("signalling", io::Error::other(format!("it has ended: {status}"))))
            }
            None => sys::signal(self.pid(), signal).map_err(|source| self.failed("signalling", source)),
        }
    }

    fn failed(&self, what: &'static str, source: io::Error) -> LabError {
        LabError::Process { name: self.name.clone(), what, source }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const GLANCE: Duration = Duration::from_millis(2);

//! A child process that ends when its owner does, however that ends.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread;

/// A running child; killed on drop.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Ends the thread that the kernel takes for the parent.
    _parent: mpsc::Sender<()>,
}

impl Process {
    /// Starts `command` (program and arguments) with its output in `log`.
    ///
    /// The kernel kills it when the test program is gone, even by SIGKILL. To the kernel the parent is the *thread* that
    /// started it, and a test's thread ends with the test: hence a thread of its own.
    pub fn start(command: &[String], log: &Path) -> io::Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(std::process::Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        die_with_parent(&mut command);
        let (started, starting) = mpsc::channel();
        let (parent, dropped) = mpsc::channel();
        thread::Builder::new()
            .name("parent".to_owned())
            .spawn(move || {
                // Whoever waits for either end is gone only with the whole test.
                let _ = started.send(command.spawn());
                let _ = dropped.recv();
            })?;
        let child = starting.recv().map_err(io::Error::other)??;
        Ok(Self {
            child,
            _parent: parent,
        })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// SIGSTOP: it answers nobody, and its connections stay.
    pub fn freeze(&self) {
        self.signal(libc::SIGSTOP);
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.signal(libc::SIGCONT);
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        // Both fail only where it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    #[expect(
        unsafe_code,
        reason = "kill(2) has no safe wrapper among our dependencies"
    )]
    fn signal(&self, signal: i32) {
        let id = i32::try_from(self.id()).expect("a process id is a pid_t");
        // SAFETY: kill(2) touches no memory, and a child that is not waited for keeps its id.
        let result = unsafe { libc::kill(id, signal) };
        assert_eq!(
            result,
            0,
            "signal {signal} to {id}: {}",
            io::Error::last_os_error()
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[expect(unsafe_code, reason = "prctl(2) must be called between fork and exec")]
fn die_with_parent(command: &mut Command) {
    // SAFETY: prctl(2) is async-signal-safe, and nothing else happens in the child before exec.
    unsafe {
        command.pre_exec(
            || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            },
        );
    }
}

//! Network namespaces that nobody else knows of, for the demo and the tests.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::{panic, thread};

use tokio::runtime;

/// A network namespace, kept alive by an open descriptor. It has no name in `/run/netns`; other programs reach it as
/// `/proc/PID/fd/N`, for instance with `nsenter --net=`.
#[derive(Debug)]
pub struct Namespace(OwnedFd);

impl Namespace {
    /// A new namespace, with nothing but a loopback that is down. Needs CAP_SYS_ADMIN, of a user namespace at least.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn create() -> io::Result<Self> {
        on_thread(|| {
            unshare_network()?;
            Self::current()
        })
    }

    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// `/proc` is not mounted.
    pub fn current() -> io::Result<Self> {
        Self::at(Path::new("/proc/thread-self/ns/net"))
    }

    /// The namespace that has this name in the file system, such as `/run/netns/NAME`.
    ///
    /// # Errors
    /// There is no such file, or it may not be opened.
    pub fn at(path: &Path) -> io::Result<Self> {
        File::open(path).map(|file| Self(file.into()))
    }

    /// Does `work` on a thread of its own inside the namespace.
    ///
    /// # Errors
    /// The namespace cannot be entered. A panic of `work` goes on in the caller.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        on_thread(|| {
            enter(self.0.as_fd())?;
            Ok(work())
        })
    }

    /// Does `work` like [`Namespace::run`], in the context of the calling runtime: sockets that it opens belong to the
    /// namespace, and are driven by the caller.
    ///
    /// # Errors
    /// The namespace cannot be entered. A panic of `work` goes on in the caller, and so does the lack of a runtime.
    pub fn open<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        let runtime = runtime::Handle::current();
        self.run(|| {
            let _context = runtime.enter();
            work()
        })
    }

    /// Runs a future to its end on a thread and a runtime of its own inside the namespace. Sockets that it makes stay in
    /// the namespace for good.
    ///
    /// # Errors
    /// The namespace cannot be entered. A panic of `work` goes on in the caller.
    pub fn block_on<T: Send, F: Future<Output = T>>(&self, work: impl FnOnce() -> F + Send) -> io::Result<T> {
        self.run(|| {
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(runtime.block_on(async { work().await }))
        })?
    }

    /// Starts a thread that stays inside the namespace. `setup` runs there first and can fail; then `work` gets what
    /// it made.
    ///
    /// # Errors
    /// There is no thread, the namespace cannot be entered, or `setup` fails.
    pub fn spawn<S: 'static>(
        &self,
        name: &str,
        setup: impl FnOnce() -> io::Result<S> + Send + 'static,
        work: impl FnOnce(S) + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let namespace = self.0.try_clone()?;
        let (report, ready) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            match enter(namespace.as_fd()).and_then(|()| setup()) {
                // Nobody listens only where the caller is gone; then the work has its own end.
                Ok(made) => {
                    let _ = report.send(Ok(()));
                    work(made);
                }
                Err(error) => drop(report.send(Err(error))),
            }
        })?;
        ready.recv().map_err(io::Error::other)??;
        Ok(thread)
    }

    /// Lets `command` start inside the namespace.
    ///
    /// # Errors
    /// No more descriptors.
    #[expect(unsafe_code, reason = "what runs between fork and exec is restricted")]
    pub fn contain<'a>(&self, command: &'a mut Command) -> io::Result<&'a mut Command> {
        let namespace = self.0.try_clone()?;
        // SAFETY: the closure makes one system call and neither allocates nor locks.
        Ok(unsafe { command.pre_exec(move || enter(namespace.as_fd())) })
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A thread that changed its namespace is not given back to anybody.
fn on_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|panicked| panic::resume_unwind(panicked)))
}

#[expect(unsafe_code, reason = "the standard library has no namespaces")]
fn unshare_network() -> io::Result<()> {
    // SAFETY: no memory is involved; it changes the calling thread only.
    check(unsafe { libc::unshare(libc::CLONE_NEWNET) })
}

#[expect(unsafe_code, reason = "the standard library has no namespaces")]
fn enter(namespace: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed, hence open; it changes the calling thread only.
    check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) })
}

fn check(returned: libc::c_int) -> io::Result<()> {
    if returned == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

//! Network namespaces that nobody else knows of, for the demo and the tests.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
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
        File::open("/proc/thread-self/ns/net").map(|file| Self(file.into()))
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
    match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[expect(unsafe_code, reason = "the standard library has no namespaces")]
fn enter(namespace: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed, hence open; it changes the calling thread only.
    match unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

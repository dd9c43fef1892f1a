//! Network namespaces without names: made by a thread, kept by a file descriptor, gone with it.

use std::fs::{self, File};
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::process::Command;
use std::thread::{self, JoinHandle};

use rtnetlink::{Handle, LinkUnspec};

use super::error::{LabError, Result};
use super::sys;

/// One network namespace. It lives while this value, a process or a thread in it lives.
#[derive(Debug)]
pub struct Namespace {
    descriptor: OwnedFd,
}

impl Namespace {
    /// Makes an empty one, with loopback up.
    pub fn create() -> Result<Self> {
        let made = in_thread(|| {
            sys::unshare_network()?;
            configure_kernel();
            File::open("/proc/thread-self/ns/net")
        });
        let descriptor = made.map_err(naming(
            "making one (needs root, or `vipcast demo`, which makes itself a user namespace)",
        ))?;
        let namespace = Self { descriptor: descriptor.into() };
        namespace.netlink(
            async |handle| {
                let up = LinkUnspec::new_with_index(LOOPBACK).up().build();
                handle.link().change(up).execute().await
            },
            "setting loopback up",
        )?;
        Ok(namespace)
    }

    /// The one of the calling thread.
    pub fn current() -> Result<Self> {
        let descriptor = File::open("/proc/thread-self/ns/net").map_err(naming("opening our own"))?;
        Ok(Self { descriptor: descriptor.into() })
    }

    /// Runs `work` in a thread inside the namespace and waits for it.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        in_thread(|| {
            sys::enter_network(self.descriptor.as_fd())?;
            Ok(work())
        })
        .map_err(naming("entering"))
    }

    /// Runs netlink requests inside the namespace; `what` names them if the kernel refuses.
    pub fn netlink<T: Send, F: Future<Output = std::result::Result<T, rtnetlink::Error>>>(
        &self,
        work: impl FnOnce(Handle) -> F + Send,
        what: &'static str,
    ) -> Result<T> {
        self.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(naming("starting a runtime"))?;
            runtime.block_on(async {
                let (connection, handle, _) =
                    rtnetlink::new_connection().map_err(naming("opening netlink"))?;
                tokio::select! {
                    done = work(handle) => done.map_err(|source| LabError::Netlink { what, source }),
                    () = connection => Err(LabError::NetlinkClosed),
                }
            })
        })?
    }

    /// Starts a thread that lives inside the namespace. `setup` runs there first and can fail; then `work` gets
    /// what it made.
    pub fn spawn<S: 'static>(
        &self,
        name: &str,
        setup: impl FnOnce() -> io::Result<S> + Send + 'static,
        work: impl FnOnce(S) + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let descriptor = self.descriptor.try_clone()?;
        let (report, ready) = std::sync::mpsc::sync_channel(1);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            match sys::enter_network(descriptor.as_fd()).and_then(|()| setup()) {
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

    /// A command that will run inside the namespace and die with the thread that starts it.
    pub fn command(&self, program: &Path) -> Result<Command> {
        let descriptor = self.descriptor.try_clone().map_err(naming("keeping"))?;
        let mut command = Command::new(program);
        sys::prepare(&mut command, move || sys::enter_network(descriptor.as_fd()));
        Ok(command)
    }

    /// The descriptor's number, for `/proc/PID/fd/N` and for netlink.
    #[must_use]
    pub fn number(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

fn in_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("lab-netns".to_owned()).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
    })
}

/// Best effort: where `/proc/sys` is read-only, duplicate address detection only makes the start a second slower.
fn configure_kernel() {
    for interfaces in ["all", "default"] {
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{interfaces}/accept_dad"), "0");
    }
}

fn naming(what: &'static str) -> impl Fn(io::Error) -> LabError {
    move |source| LabError::Namespace { what, source }
}

/// The loopback interface is the first of every namespace.
const LOOPBACK: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_another_network_than_ours() {
        let identity = || fs::read_link("/proc/thread-self/ns/net").unwrap();
        let namespace = Namespace::create().unwrap();
        assert_ne!(namespace.run(identity).unwrap(), identity());
        assert_eq!(namespace.run(identity).unwrap(), namespace.run(identity).unwrap());
    }

    #[test]
    fn loopback_is_up_in_a_new_namespace() {
        let namespace = Namespace::create().unwrap();
        let heard = namespace.run(|| {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.send_to(b"hello", socket.local_addr().unwrap()).unwrap();
            socket.recv(&mut [0; 16]).unwrap()
        });
        assert_eq!(heard.unwrap(), 5);
    }
}

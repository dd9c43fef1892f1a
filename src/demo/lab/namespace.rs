//! The namespaces of the laboratory: loopback up, errors named by what was being done.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;

use rtnetlink::{Handle, LinkUnspec};

use super::error::{LabError, Result};
use super::sys;
use crate::net::namespace;

/// One network namespace. It lives while this value, a process or a thread in it lives.
#[derive(Debug)]
pub struct Namespace(namespace::Namespace);

impl Namespace {
    /// Makes an empty one, with loopback up.
    pub fn create() -> Result<Self> {
        let made = namespace::Namespace::create().map_err(naming(
            "making one (needs root, or `vipcast demo`, which makes itself a user namespace)",
        ))?;
        let namespace = Self(made);
        namespace.run(configure_kernel)?;
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
        namespace::Namespace::current().map(Self).map_err(naming("opening our own"))
    }

    /// One that others have made and named, such as `/run/netns/NAME`.
    pub fn at(path: &Path) -> Result<Self> {
        namespace::Namespace::at(path).map(Self).map_err(naming("opening one that has a name"))
    }

    /// Runs `work` in a thread inside the namespace and waits for it.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        self.0.run(work).map_err(naming("entering"))
    }

    /// Runs netlink requests inside the namespace; `what` names them if the kernel refuses.
    pub fn netlink<T: Send, F: Future<Output = std::result::Result<T, rtnetlink::Error>>>(
        &self,
        work: impl FnOnce(Handle) -> F + Send,
        what: &'static str,
    ) -> Result<T> {
        let request = || async {
            let (connection, handle, _) = rtnetlink::new_connection().map_err(naming("opening netlink"))?;
            tokio::select! {
                done = work(handle) => done.map_err(|source| LabError::Netlink { what, source }),
                () = connection => Err(LabError::NetlinkClosed),
            }
        };
        self.0.block_on(request).map_err(naming("entering"))?
    }

    /// Starts a thread that lives inside the namespace. `setup` runs there first and can fail; then `work` gets
    /// what it made.
    pub fn spawn<S: 'static>(
        &self,
        name: &str,
        setup: impl FnOnce() -> io::Result<S> + Send + 'static,
        work: impl FnOnce(S) + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        self.0.spawn(name, setup, work)
    }

    /// A command that will run inside the namespace and die with the thread that starts it.
    pub fn command(&self, program: &Path) -> Result<Command> {
        let mut command = Command::new(program);
        self.0.contain(&mut command).map_err(naming("keeping"))?;
        sys::prepare(&mut command, || Ok(()));
        Ok(command)
    }

    /// The descriptor's number, for `/proc/PID/fd/N` and for netlink.
    #[must_use]
    pub fn number(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
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
    #[ignore = "needs root, for network namespaces: tools/test runs it"]
    fn a_namespace_is_another_network_than_ours() {
        let identity = || fs::read_link("/proc/thread-self/ns/net").unwrap();
        let namespace = Namespace::create().unwrap();
        assert_ne!(namespace.run(identity).unwrap(), identity());
        assert_eq!(namespace.run(identity).unwrap(), namespace.run(identity).unwrap());
    }

    #[test]
    #[ignore = "needs root, for network namespaces: tools/test runs it"]
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

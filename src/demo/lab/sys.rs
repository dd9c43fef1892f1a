//! The system calls of the laboratory that no safe crate wraps: every `unsafe` of the demo is in this file.
#![expect(unsafe_code, reason = "namespaces, signals and parent-death have no safe wrapper")]

use std::ffi::CStr;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use socket2::SockAddr;

/// The signals the laboratory sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Asks for an ordered shutdown.
    Term,
    /// Ends the process without asking it.
    Kill,
    /// Freezes it.
    Stop,
    /// Thaws it.
    Continue,
}

/// Kinds of namespaces to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Network and mounts: needs `CAP_SYS_ADMIN`.
    Privileged,
    /// The same inside a user namespace of one's own, in which one is root.
    Rootless,
}

/// Sends `signal` to `process`, which must be an unreaped child of ours.
pub fn signal(process: u32, signal: Signal) -> io::Result<()> {
    let number = match signal {
        Signal::Term => libc::SIGTERM,
        Signal::Kill => libc::SIGKILL,
        Signal::Stop => libc::SIGSTOP,
        Signal::Continue => libc::SIGCONT,
    };
    let process = libc::pid_t::try_from(process).map_err(io::Error::other)?;
    // SAFETY: kill takes two integers and touches no memory of ours.
    check(unsafe { libc::kill(process, number) })
}

/// Has the child run `hook` between fork and exec, and die with the thread that starts it.
///
/// `hook` may only make system calls: no allocation and no lock, because other threads of the parent are gone.
pub(in crate::demo) fn prepare(
    command: &mut Command,
    mut hook: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) {
    let parent = std::process::id();
    // SAFETY: the closure makes system calls only, as the contract above asks of `hook`.
    unsafe {
        command.pre_exec(move || {
            hook()?;
            die_with(parent)
        });
    }
}

/// Leaves the parent's namespaces for new ones; for use in a process with one thread (between fork and exec).
pub(in crate::demo) fn isolate(isolation: Isolation, maps: &IdMaps) -> io::Result<()> {
    let private = libc::CLONE_NEWNET | libc::CLONE_NEWNS;
    match isolation {
        Isolation::Privileged => unshare(private),
        Isolation::Rootless => {
            unshare(private | libc::CLONE_NEWUSER)?;
            write_file(c"/proc/self/setgroups", b"deny")?;
            write_file(c"/proc/self/uid_map", &maps.user)?;
            write_file(c"/proc/self/gid_map", &maps.group)
        }
    }
}

/// What makes us root in a user namespace of our own; prepared before fork, where allocating is allowed.
#[derive(Debug)]
pub(in crate::demo) struct IdMaps {
    user: Vec<u8>,
    group: Vec<u8>,
}

impl IdMaps {
    /// Maps the effective user and group to 0.
    pub(in crate::demo) fn to_root() -> Self {
        // SAFETY: these two calls take nothing, cannot fail and touch no memory of ours.
        let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
        Self { user: format!("0 {user} 1").into_bytes(), group: format!("0 {group} 1").into_bytes() }
    }
}

/// Whether this process acts as root.
pub(in crate::demo) fn is_root() -> bool {
    // SAFETY: takes nothing, cannot fail and touches no memory of ours.
    unsafe { libc::geteuid() == 0 }
}

/// Covers `directory` with an empty file system that nobody else sees and that vanishes with us.
pub(in crate::demo) fn mount_private(directory: &CStr) -> io::Result<()> {
    let private = libc::MS_REC | libc::MS_PRIVATE;
    let nothing = std::ptr::null();
    // SAFETY: all strings are NUL-terminated and outlive the call; the null pointers mean "none" to mount(2).
    check(unsafe { libc::mount(nothing, c"/".as_ptr(), nothing, private, std::ptr::null()) })?;
    let tmpfs = c"tmpfs".as_ptr();
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    // SAFETY: as above; the mode is data that tmpfs parses.
    check(unsafe { libc::mount(tmpfs, directory.as_ptr(), tmpfs, flags, c"mode=0700".as_ptr().cast()) })
}

/// The address to bind a packet socket to: frames of `ethertype` on the interface `index`.
pub fn packet_address(index: u32, ethertype: u16) -> io::Result<SockAddr> {
    let index = i32::try_from(index).map_err(io::Error::other)?;
    // SAFETY: the storage is zeroed and larger than sockaddr_ll, whose family, protocol and index are written
    // before its true length is reported.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            let link = storage.cast::<libc::sockaddr_ll>();
            (*link).sll_family = libc::AF_PACKET.cast_unsigned() as u16;
            (*link).sll_protocol = ethertype.to_be();
            (*link).sll_ifindex = index;
            *length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            Ok(())
        })?
    };
    Ok(address)
}

/// Lets a socket keep so many octets of what nobody has read yet, whatever the machine's limit is. Needs `CAP_NET_ADMIN`.
pub fn keep_unread(socket: &impl AsRawFd, octets: u32) -> io::Result<()> {
    // SAFETY: the kernel reads an integer of the length that is given.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            (&raw const octets).cast(),
            size_of::<u32>() as libc::socklen_t,
        )
    })
}

/// "The parent-death signal is sent when the *thread* that created the child ends" (prctl(2)): long-lived
/// children are to be started from a long-lived thread.
fn die_with(parent: u32) -> io::Result<()> {
    // SAFETY: prctl with PR_SET_PDEATHSIG reads one integer argument.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
    // The parent may have died before the line above; then no signal comes.
    // SAFETY: getppid takes nothing and cannot fail.
    if unsafe { libc::getppid() }.cast_unsigned() == parent {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::ESRCH))
    }
}

fn unshare(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: unshare takes an integer and touches no memory of ours.
    check(unsafe { libc::unshare(flags) })
}

/// Writes without allocating, as the time between fork and exec demands.
fn write_file(path: &CStr, content: &[u8]) -> io::Result<()> {
    // SAFETY: the path is NUL-terminated; the buffer is valid for the length given; the descriptor is ours to close.
    unsafe {
        let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        check(file)?;
        let written = libc::write(file, content.as_ptr().cast(), content.len());
        let outcome = if written < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
        libc::close(file);
        outcome
    }
}

fn check(returned: libc::c_int) -> io::Result<()> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

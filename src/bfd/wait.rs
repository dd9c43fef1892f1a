//! Sleeping until a deadline, to the microsecond, or until there is something to read.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Returns when one of the descriptors is readable or in trouble, or after `pause`; sometimes earlier. `None`: no deadline.
#[expect(unsafe_code, reason = "ppoll(2) has no safe wrapper among our dependencies")]
pub(super) fn wait<'a>(readable: impl Iterator<Item = BorrowedFd<'a>>, pause: Option<Duration>) {
    // What is not filled in is passed over.
    let nobody = libc::pollfd { fd: -1, events: 0, revents: 0 };
    let mut descriptors = [nobody; MOST];
    for (slot, fd) in descriptors.iter_mut().zip(readable) {
        *slot = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    }
    let pause = pause.unwrap_or(LONG).min(LONG);
    let timeout = libc::timespec {
        tv_sec: libc::time_t::try_from(pause.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: pause.subsec_nanos().into(),
    };
    // SAFETY: the pointers are those of locals that outlive the call, and the count is that of the array; the kernel passes
    // over negative descriptors. Errors (EINTR) make the caller look around earlier, as it does anyway.
    unsafe {
        libc::ppoll(descriptors.as_mut_ptr(), MOST as libc::nfds_t, &raw const timeout, std::ptr::null())
    };
}

/// The bell, and two ports of two families.
const MOST: usize = 5;
const LONG: Duration = Duration::from_secs(3600);

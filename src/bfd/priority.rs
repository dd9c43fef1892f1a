//! The thread's place before others: what it is late with, the other side takes for a failure.

use tracing::info;

/// What the kernel granted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Priority {
    /// SCHED_FIFO: before every ordinary thread, and not subject to a CPU quota.
    Fifo,
    /// A larger share than others.
    Nice,
    /// None: CAP_SYS_NICE is missing.
    Ordinary,
}

/// Takes what it can get for the calling thread, and says so.
pub(super) fn raise() {
    precise_timers();
    let priority = if fifo() {
        Priority::Fifo
    } else if nice() {
        Priority::Nice
    } else {
        Priority::Ordinary
    };
    match priority {
        Priority::Fifo => info!(policy = "SCHED_FIFO", "BFD thread started"),
        Priority::Nice => info!(policy = "SCHED_OTHER", nice = NICE, "BFD thread started"),
        Priority::Ordinary => {
            info!(
                policy = "SCHED_OTHER",
                hint = "CAP_SYS_NICE would give it precedence",
                "BFD thread started"
            );
        }
    }
}

#[expect(unsafe_code, reason = "scheduling has no safe wrapper among our dependencies")]
fn fifo() -> bool {
    // SAFETY: all of `sched_param` are integers, and the kernel only reads a local that outlives the call. Zero is the
    // calling thread.
    unsafe {
        let mut parameters: libc::sched_param = std::mem::zeroed();
        parameters.sched_priority = LOWEST_REAL_TIME;
        libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &raw const parameters) == 0
    }
}

#[expect(unsafe_code, reason = "scheduling has no safe wrapper among our dependencies")]
fn nice() -> bool {
    // SAFETY: no memory is involved; to Linux zero is the calling thread.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) == 0 }
}

/// The kernel wakes ordinary threads up to 50 µs late, to wake several at once.
#[expect(unsafe_code, reason = "prctl(2) has no safe wrapper among our dependencies")]
fn precise_timers() {
    // SAFETY: no memory is involved; it changes the calling thread only.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64) };
}

/// Before every ordinary thread, after every other real-time thread.
const LOWEST_REAL_TIME: libc::c_int = 1;
const NICE: libc::c_int = -10;

//! Who may announce a scope, and until when: one Lease as a function of time.
//!
//! Leadership is a deadline on the local monotonic clock, counted from the moment the renewal left.
//! Another machine's clock is never compared with ours: a rival is judged by how long *we* have
//! seen its record stand still. Every write is conditional on the record it was based on.

use std::fmt;
use std::time::{Duration, Instant};

/// `coordination.k8s.io/v1` Lease timings, as client-go names them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timing {
    /// How long others wait after the last renewal that they saw. Whole seconds.
    pub lease_duration: Duration,
    /// How long a renewal permits us to announce. Shorter than `lease_duration`.
    pub renew_deadline: Duration,
    /// Between two renewals, measured from departure to departure.
    pub retry_period: Duration,
}

/// `spec.renewTime` in microseconds since the epoch. Compared for equality only: it names a write.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Stamp(pub i64);

/// The Lease as the API server returned it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// `metadata.resourceVersion`, opaque.
    pub version: String,
    /// `spec.holderIdentity`; `None` where it is absent or empty, which is how a release looks.
    pub holder: Option<String>,
    /// `spec.renewTime`.
    pub renewed: Option<Stamp>,
    /// `spec.leaseDurationSeconds`: how long this holder asks others to wait.
    pub lease_duration: Option<Duration>,
    /// `spec.leaseTransitions`.
    pub transitions: u32,
    /// The last holder says, in this very record, that its addresses were gone before it was written.
    pub vacated: bool,
}

/// What the holder before us left behind, as far as the Lease can tell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Predecessor {
    /// It dropped its addresses and said so, or it was this very process: nobody else can hold them.
    Left,
    /// It fell silent, or there is no record of it: the wire must be asked before the first announcement.
    Unknown,
}

/// Permission to announce, with its two ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Grant {
    /// From here on this node is silent.
    pub until: Instant,
    /// From here on somebody else may announce. Whatever the kernel does by itself ends before.
    pub fence: Instant,
    /// Whether the wire has to be asked first.
    pub predecessor: Predecessor,
}

/// What a write wants to become true.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Intent {
    /// Become holder: new `acquireTime`, and `leaseTransitions` as given.
    Claim {
        /// `spec.leaseTransitions` to write.
        transitions: u32,
    },
    /// Stay holder: only `renewTime` moves.
    Renew,
    /// Stop being holder, as client-go's ReleaseOnCancel writes it, and declare the addresses gone.
    Release,
}

/// A conditional write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Write {
    /// `metadata.resourceVersion` that must still be current; `None`: the Lease must not exist yet.
    pub based_on: Option<String>,
    /// What to write.
    pub intent: Intent,
}

/// What the driver has to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Read the Lease from the server (not from a cache). Answered by [`Answer`].
    Read,
    /// Write the Lease conditionally. Answered by [`Answer`].
    Write(Write),
}

/// The outcome of the one request that is under way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The read succeeded; `None`: there is no such Lease.
    Read(Option<Record>),
    /// The write succeeded and this is the record now.
    Written(Record),
    /// 409, or 404 for an update: the Lease is not what the write was based on.
    Conflict,
    /// The server, or the connection, said no; nothing was written.
    Refused,
    /// No answer in time: a write with this stamp may or may not have happened.
    Unknown(Option<Stamp>),
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}µs", self.0)
    }
}

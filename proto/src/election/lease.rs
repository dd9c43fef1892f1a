//! The words of the election: timings, the Lease as seen, permission, requests and their outcomes.

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

impl Timing {
    /// How long one request may take: two attempts fit between the moment a renewal is due and the
    /// deadline of the one before, so that one connection that hangs does not cost the grant.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        self.renew_deadline.saturating_sub(self.retry_period) / 2
    }

    /// How soon to try again after a failure: sooner than a renewal is due, but not a storm.
    #[must_use]
    pub fn failure_pause(&self) -> Duration {
        self.retry_period.min(FAILURE_PAUSE)
    }

    /// When others may take over, counted from the departure of a renewal. The two percent are
    /// for clocks that do not run at the same rate.
    #[must_use]
    pub fn fence(&self) -> Duration {
        self.lease_duration - self.lease_duration / 50
    }
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

impl Record {
    /// Whether nothing moved between two sightings: an edited annotation is not a sign of life.
    #[must_use]
    pub fn stands_still_since(&self, earlier: &Self) -> bool {
        self.holder == earlier.holder
            && self.renewed == earlier.renewed
            && self.transitions == earlier.transitions
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}µs", self.0)
    }
}

const FAILURE_PAUSE: Duration = Duration::from_millis(500);

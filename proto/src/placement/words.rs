//! The words of the spread: settings, facts, member Leases as seen, events, requests and their outcomes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::hash::{Key, MemberId};
use super::statement::{Life, Statement};
use super::view::{View, Weight};
use crate::election::{Stamp, Timing};

/// What one member is told at its start.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// The name of the node: the identity in its member Lease, and in the Leases' names.
    pub name: String,
    /// Which life of it this is.
    pub life: Life,
    /// Of the member Lease.
    pub timing: Timing,
    /// At least so long between two writes, however much changes.
    pub pace: Duration,
    /// How long one that is to let go waits for whoever is to take over to stand in line.
    pub patience: Duration,
}

/// What decides where an address should be. Members may differ in it for a while, or for ever: that costs
/// time, never a second announcer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Facts {
    /// The address itself, or the group that it goes with. All of a group need the same facts.
    pub key: Key,
    /// Who can serve it; `None`: every member.
    pub eligible: Option<BTreeSet<MemberId>>,
    /// Those of them that come first.
    pub preferred: BTreeSet<MemberId>,
    /// This node cannot serve it, for a reason that others cannot see: its link, a refusal of its kernel.
    pub unable: bool,
    /// The Lease whose holder announces it, as `NAMESPACE/NAME`; `None` where members spread or one Lease is for all.
    pub lease: Option<Arc<str>>,
}

impl Facts {
    /// An address that any member can serve as well as any other.
    #[must_use]
    pub fn plain(address: IpAddr) -> Self {
        Self {
            key: Key::of_address(address),
            eligible: None,
            preferred: BTreeSet::new(),
            unable: false,
            lease: None,
        }
    }

    /// How many of `others` come before `me` for what goes by the name `key`, where the first to ask gets it.
    #[must_use]
    pub fn turn(&self, key: Key, me: MemberId, others: impl IntoIterator<Item = MemberId>) -> usize {
        let ours = self.tier(me);
        let first = |other: &MemberId| match self.tier(*other) {
            None => false,
            theirs if theirs == ours => View::outranks(*other, me, key),
            theirs => theirs > ours,
        };
        others.into_iter().filter(first).count()
    }

    /// Its tier among the eligible; `None`: not eligible.
    pub(super) fn tier(&self, member: MemberId) -> Option<bool> {
        let eligible = self.eligible.as_ref().is_none_or(|eligible| eligible.contains(&member));
        eligible.then(|| self.preferred.contains(&member))
    }
}

/// A member Lease as the API server returned it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// `metadata.resourceVersion`, opaque.
    pub version: String,
    /// `spec.renewTime`: names a write.
    pub renewed: Option<Stamp>,
    /// `spec.leaseDurationSeconds`.
    pub lease_duration: Option<Duration>,
    /// `spec.leaseTransitions`: grows with every life.
    pub transitions: u32,
    /// What the annotation says; `None`: it cannot be read, and may claim anything.
    pub statement: Option<Statement>,
}

/// What happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A deadline has come.
    Tick,
    /// A complete list of all member Leases, ours too, by member. It must not be older than what was seen before:
    /// listed with no `resourceVersion`, not with `0`.
    Listed(BTreeMap<String, Record>),
    /// The watch that follows the list, in its order; `None`: deleted. One watch shows all members.
    Seen {
        /// Whose Lease it is.
        name: String,
        /// What it is now.
        record: Option<Record>,
    },
    /// The request that is under way has ended.
    Answered(Answer),
    /// How much this node should take: zero where it is drained, not ready or not yet complete in what it knows.
    Weight(Weight),
    /// The process is to end: hand everything over.
    Leave,
    /// These addresses are wanted, each for these facts; `None`: no longer wanted.
    Wanted(BTreeMap<IpAddr, Option<Facts>>),
    /// These addresses, which were to be let go, are gone from the wire.
    Gone(BTreeSet<IpAddr>),
}

/// A conditional write of our own member Lease: always `holderIdentity`, `renewTime`, `leaseDurationSeconds`
/// and the annotation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Write {
    /// `metadata.resourceVersion` that must still be current; `None`: the Lease must not exist yet.
    pub based_on: Option<String>,
    /// `spec.leaseTransitions`.
    pub transitions: u32,
    /// The annotation.
    pub statement: Statement,
}

/// What the driver has to do.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and the large one is the usual one")]
pub enum Action {
    /// Read our own member Lease from the server.
    Read,
    /// Write our own member Lease.
    Write(Write),
}

/// The outcome of the one request that is under way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The read succeeded; `None`: there is no such Lease.
    Read(Option<Record>),
    /// The write succeeded and this is the record now.
    Written(Record),
    /// 409, or 404 for an update.
    Conflict,
    /// It failed: nothing was written, or nobody knows.
    Failed,
}

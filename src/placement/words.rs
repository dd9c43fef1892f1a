//! What is asked of a placement, and what it says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::oneshot;
use vipcast_proto::placement::{Facts, Liveness, Weight};

use crate::kube::lease::LeaseName;

/// How addresses are distributed over nodes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Each member announces its share.
    Spread,
    /// The holder of this Lease announces all of them.
    Lease(LeaseName),
    /// Each Service has a Lease, whose holder announces its addresses.
    LeasePerService(PerService),
    /// Every node announces all of them.
    EveryNode,
}

/// Which Services have a Lease of their own, and where Leases are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PerService {
    /// The Lease of those that have none of their own, where there is one.
    pub shared: Option<LeaseName>,
    /// What others are used for, and no Service may name.
    pub reserved: BTreeSet<LeaseName>,
    /// The only namespace whose Services are looked at; `None`: all.
    pub namespace: Option<String>,
}

/// What is to be placed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Demand {
    /// These addresses are wanted, each for these facts; `None`: no longer wanted. Others stay as they are.
    Wanted(BTreeMap<IpAddr, Option<Facts>>),
    /// How much this node should take in relation to others: zero where it is drained or not ready, and before the
    /// first snapshot of what is wanted is complete. It is zero until it is told.
    Weight(Weight),
    /// The nodes that are fit to announce, by name: for those who have to know whom to let go first.
    Nodes(BTreeSet<Arc<str>>),
}

/// A question. Whoever asks may go away.
#[derive(Debug)]
pub enum Ask {
    /// All about one address.
    Where(IpAddr, oneshot::Sender<Whereabouts>),
    /// Who would announce an address if this node left.
    Without {
        /// The address.
        address: IpAddr,
        /// The name of the node.
        node: String,
        /// Its answer; `None`: nobody, or nobody knows.
        answer: oneshot::Sender<Option<String>>,
    },
    /// The holder of each address that is wanted, or else who is to have it.
    Owners(oneshot::Sender<BTreeMap<IpAddr, Option<String>>>),
}

/// Where an address is, as this node sees it. Names are those of nodes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Whereabouts {
    /// Somebody wants it to be announced.
    pub wanted: bool,
    /// This node may announce it now.
    pub held: bool,
    /// This node had it, and waits for it to be gone from the wire.
    pub letting_go: bool,
    /// Who should announce it; `None`: nobody can, or, where a Lease decides, nobody knows.
    pub chosen: Option<String>,
    /// Who announces it, as far as can be known.
    pub holder: Option<String>,
    /// Whom this node waits for before it may announce it.
    pub queued_behind: Vec<String>,
    /// Every other node that claims it. More than one while it moves.
    pub claimed_by: Vec<String>,
    /// Who would have it if the one that is chosen left.
    pub next: Option<String>,
}

/// What a placement says of itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PlacementReport {
    /// As [`Mode::word`]; empty before it has begun.
    pub mode: &'static str,
    /// Where this node stands.
    pub role: Role,
    /// Where one node holds them all: which.
    pub holder: Option<String>,
    /// Where addresses are spread: everybody, this node too, by name.
    pub members: Vec<Member>,
    /// How many addresses this node may announce.
    pub held: usize,
    /// How many it claims, and waits for others to let go of.
    pub queued: usize,
    /// How many it waits for to be gone from the wire.
    pub letting_go: usize,
    /// How many are wanted in the cluster.
    pub wanted: usize,
    /// Where addresses are spread: how many of them no member that is there can serve.
    pub unserved: usize,
}

/// One member of a spread.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    /// Of its node.
    pub name: String,
    /// Its weight; `None`: what it says cannot be read.
    pub weight: Option<Weight>,
    /// Whether it is there.
    pub liveness: Liveness,
}

/// Where a node stands in a placement.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Role {
    /// It has no permission: nothing is known yet, or no API server can be reached.
    #[default]
    Silent,
    /// Another machine speaks under its name.
    Refused,
    /// One of those that announce.
    Member,
    /// It waits for the Lease.
    Standby,
    /// It hands over what it has.
    Leaving,
    /// It has handed everything over.
    Left,
}

impl Mode {
    /// The word for it in settings.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Spread => "spread",
            Self::Lease(_) => LEASE,
            Self::LeasePerService(_) => "leasePerService",
            Self::EveryNode => "everyNode",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silent => "silent",
            Self::Refused => "refused",
            Self::Member => "member",
            Self::Standby => "standby",
            Self::Leaving => "leaving",
            Self::Left => "left",
        })
    }
}

/// The word for [`Mode::Lease`].
pub const LEASE: &str = "lease";

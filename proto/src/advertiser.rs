//! The core: claims × grants → what this node may announce now, whatever the mode.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::election::Grant;

/// What one election guards.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Scope {
    /// The control-plane VIP.
    ControlPlane,
    /// The addresses of LoadBalancer Services.
    Services,
}

/// Who wants a VIP. Two owners may share one address.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Owner {
    /// The API server's address.
    ControlPlane,
    /// A Service of type LoadBalancer.
    Service {
        /// `metadata.namespace`.
        namespace: String,
        /// `metadata.name`.
        name: String,
    },
}

/// The addresses that this node may announce, each with its permission.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Desired {
    /// Grows by one with every change; announcers repeat it in their [`Report`].
    pub serial: u64,
    /// Address to permission.
    pub vips: BTreeMap<IpAddr, Grant>,
}

/// What an announcer has done with the newest [`Desired`] that it has seen.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// The serial that is completely applied.
    pub applied: u64,
    /// Addresses that are still reachable through this announcer, wanted or not.
    pub present: BTreeSet<IpAddr>,
}

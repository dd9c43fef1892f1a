//! What is kept of a Service.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::selector::SelectorError;
use super::terms::Ownership;
use super::written::{ASSIGNED, ENDPOINTLESS, LEASE_NAME, PREFERRED_NODES};
use crate::ipam::{LabelSelector, Port, ServiceKey, ServiceView};

/// A Service, reduced to what decides about its addresses and about who announces them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Service {
    /// What decides about its addresses.
    pub view: Arc<ServiceView>,
    /// Whether it is ours, and why.
    pub ownership: Ownership,
    /// `kube-vip.io/serviceInterface`: an interface, or `auto`.
    pub interface: Option<Arc<str>>,
    /// `kube-vip.io/leaseName` with its namespace: whose addresses go where ours go.
    pub group: Option<Arc<str>>,
    /// `kube-vip.io/forcePerServiceElection`: it has a Lease of its own where others share one.
    pub own_lease: bool,
    /// `kube-vip.io/vipHost`: the node that last said that it announces it.
    pub vip_host: Option<Arc<str>>,
    /// Whether it is announced without endpoints.
    pub endpointless: Endpointless,
    /// `vipcast.io/preferred-nodes`.
    pub preferred: Option<Arc<LabelSelector>>,
    /// `loadBalancerSourceRanges`; empty: everybody.
    pub source_ranges: Vec<IpNet>,
    /// Whether packets to other ports than its own are kept away from its addresses, where that is switched on.
    pub security: Security,
    /// What is written there and does not count.
    pub notes: Vec<Note>,
}

/// Whether a Service is announced without endpoints.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Endpointless {
    /// `kube-vip.io/allow-reconcile-without-endpoints`.
    Announced,
    /// The usual.
    Withheld,
}

/// Whether a Service takes part in what keeps packets to other ports away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Security {
    /// The usual.
    Respected,
    /// `kube-vip.io/ignore-service-security`.
    Ignored,
}

/// Something written on a Service that does not count.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Note {
    /// The annotation needs `externalTrafficPolicy: Cluster`.
    NeedsCluster(&'static str),
    /// The label selector in `vipcast.io/preferred-nodes` cannot be read.
    PreferredNodes(SelectorError),
    /// This one of `loadBalancerSourceRanges` is no network.
    SourceRange(String),
    /// This one of `status.loadBalancer.ingress` is no address.
    Ingress(String),
    /// Our own annotation cannot be read.
    Assigned,
}

impl Service {
    /// Its name.
    #[must_use]
    pub fn key(&self) -> &ServiceKey {
        &self.view.key
    }

    /// What decides about who may reach its addresses.
    pub(super) fn guarded(&self) -> (bool, &[IpAddr], &[Port], &[IpNet], Security) {
        let Self { view, source_ranges, security, .. } = self;
        (self.ownership.is_ours(), &view.ingress, &view.ports, source_ranges, *security)
    }

    /// Who comes first among those that have one address.
    pub(super) fn age(&self) -> (i64, &ServiceKey) {
        (self.view.created, &self.view.key)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedsCluster(annotation) => {
                write!(f, "{annotation} has no effect without externalTrafficPolicy: Cluster")
            }
            Self::PreferredNodes(error) => write!(f, "{PREFERRED_NODES}: {error}"),
            Self::SourceRange(text) => write!(f, "loadBalancerSourceRanges: {text} is not a network"),
            Self::Ingress(text) => write!(f, "status.loadBalancer.ingress: {text} is not an address"),
            Self::Assigned => write!(f, "{ASSIGNED} cannot be read"),
        }
    }
}

/// What has no effect with `externalTrafficPolicy: Local`.
pub(super) const CLUSTER_ONLY: [&str; 2] = [LEASE_NAME, ENDPOINTLESS];

//! Whether an address is announced, by whom, and why not by others.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::endpoints::Endpoints;
use super::index::Index;
use super::nodes::Nodes;
use super::object::{Endpointless, Service};
use crate::ipam::{Family, Forbidden, ForbiddenReason, LabelSelector, ServiceKey, TrafficPolicy};
use crate::placement::{Facts, Key, MemberId};

/// What is to become of an address that a Service of ours has in its status.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// The Services of ours that have it, the oldest first.
    pub owners: Vec<Owner>,
    /// On which interface it is to be answered for: a name, or `auto`; the oldest one's that says anything.
    pub interface: Option<Arc<str>>,
    /// Where it should be, or why nobody announces it.
    pub placement: Result<Facts, Withheld>,
}

/// A Service that has an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Owner {
    /// Its name.
    pub key: ServiceKey,
    /// What it has to say about where the address goes.
    pub part: Part,
}

/// What a Service has to say about where its address goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// Every node can serve it.
    Everywhere,
    /// The nodes with endpoints of its own can.
    ItsNodes,
    /// Nothing: it has no endpoint.
    NoEndpoint,
    /// Nothing: no node serves it and all of the older ones.
    Elsewhere,
}

/// Why nobody announces an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Withheld {
    /// It would do harm.
    Forbidden(ForbiddenReason),
    /// Nothing would answer.
    NoEndpoint,
}

/// Why a node does not announce an address, or comes after others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reason {
    /// There is no such Node.
    Unknown,
    /// The taint `node.kubernetes.io/out-of-service`.
    OutOfService,
    /// The condition `Ready` is not true.
    NotReady,
    /// The condition `NetworkUnavailable` is true.
    NetworkUnavailable,
    /// The label `node.kubernetes.io/exclude-from-external-load-balancers`.
    Excluded,
    /// Nobody does.
    Withheld(Withheld),
    /// This Service, with `externalTrafficPolicy: Local`, has no endpoint there.
    NoLocalEndpoint(ServiceKey),
    /// It is cordoned: it comes after others.
    Cordoned,
    /// The Service prefers others.
    NotPreferred,
}

impl Reason {
    /// Whether the node cannot announce the address; else it only comes after others.
    #[must_use]
    pub const fn bars(&self) -> bool {
        match self {
            Self::Unknown
            | Self::OutOfService
            | Self::NotReady
            | Self::NetworkUnavailable
            | Self::Excluded
            | Self::Withheld(_)
            | Self::NoLocalEndpoint(_) => true,
            Self::Cordoned | Self::NotPreferred => false,
        }
    }
}

/// All that a plan follows from.
#[derive(Debug)]
pub(super) struct Planner<'a> {
    pub(super) index: &'a Index,
    pub(super) endpoints: &'a Endpoints,
    pub(super) nodes: &'a Nodes,
    pub(super) cordoned: &'a BTreeSet<MemberId>,
    pub(super) forbidden: &'a Forbidden,
}

/// Which nodes can serve a Service.
enum Reach {
    Everywhere,
    On(BTreeSet<MemberId>),
    Nowhere,
}

impl Planner<'_> {
    /// The plan for an address; `None`: no Service of ours has it.
    pub(super) fn plan(&self, address: IpAddr) -> Option<Plan> {
        let services = self.index.owners(address);
        let (owners, reached) = self.reach_of_all(&services, Family::of(address));
        (!owners.is_empty()).then(|| Plan {
            owners,
            interface: services.iter().find_map(|service| service.interface.clone()),
            placement: match (self.forbidden.reason(address).filter(|it| it.takes_away()), reached) {
                (Some(reason), _) => Err(Withheld::Forbidden(reason.clone())),
                (None, Reach::Nowhere) => Err(Withheld::NoEndpoint),
                (None, Reach::Everywhere) => Ok(self.facts(address, &services, None)),
                (None, Reach::On(nodes)) => Ok(self.facts(address, &services, Some(nodes))),
            },
        })
    }

    /// Why a node does not announce an address of this plan, or comes after others, as far as it depends on the address.
    pub(super) fn reasons(&self, address: IpAddr, plan: &Plan, node: MemberId) -> Vec<Reason> {
        let facts = match &plan.placement {
            Ok(facts) => facts,
            Err(withheld) => return vec![Reason::Withheld(withheld.clone())],
        };
        if facts.eligible.as_ref().is_some_and(|eligible| !eligible.contains(&node)) {
            let family = Family::of(address);
            let absent = plan.owners.iter().filter(|owner| owner.part == Part::ItsNodes);
            let absent =
                absent.filter(|owner| !self.endpoints.serving(&owner.key, family).nodes.contains(&node));
            return absent.map(|owner| Reason::NoLocalEndpoint(owner.key.clone())).collect();
        }
        if facts.preferred.is_empty() || facts.preferred.contains(&node) {
            return vec![];
        }
        vec![if self.cordoned.contains(&node) { Reason::Cordoned } else { Reason::NotPreferred }]
    }

    fn reach_of_all(&self, services: &[&Service], family: Family) -> (Vec<Owner>, Reach) {
        let mut all = Reach::Nowhere;
        let mut owners = Vec::with_capacity(services.len());
        for service in services {
            let (part, together) = joined(all, self.reach(service, family));
            all = together;
            owners.push(Owner { key: service.key().clone(), part });
        }
        (owners, all)
    }

    fn reach(&self, service: &Service, family: Family) -> Reach {
        let serving = self.endpoints.serving(service.key(), family);
        match service.view.traffic {
            TrafficPolicy::Cluster if serving.anywhere => Reach::Everywhere,
            TrafficPolicy::Cluster if service.endpointless == Endpointless::Announced => Reach::Everywhere,
            TrafficPolicy::Local { .. } if !serving.nodes.is_empty() => Reach::On(serving.nodes),
            TrafficPolicy::Cluster | TrafficPolicy::Local { .. } => Reach::Nowhere,
        }
    }

    fn facts(&self, address: IpAddr, services: &[&Service], eligible: Option<BTreeSet<MemberId>>) -> Facts {
        let group =
            services.iter().find_map(|service| service.group.as_deref()).filter(|_| eligible.is_none());
        let selector = |services: &[&Service]| services.iter().find_map(|service| service.preferred.clone());
        let selector = match group {
            // Addresses that stay together need the same facts.
            Some(group) => selector(&self.index.group(group)),
            None => selector(services),
        };
        Facts {
            key: group.map_or_else(|| Key::of_address(address), Key::of_group),
            preferred: self.preferred(selector.as_deref(), eligible.as_ref()),
            eligible,
            unable: false,
            lease: None,
        }
    }

    /// Those selected that are not cordoned; where there is none, all that are not cordoned. Nobody is preferred
    /// where that would be everybody.
    fn preferred(
        &self,
        selector: Option<&LabelSelector>,
        eligible: Option<&BTreeSet<MemberId>>,
    ) -> BTreeSet<MemberId> {
        let able = |node: &MemberId| eligible.is_none_or(|eligible| eligible.contains(node));
        let open = |node: &MemberId| able(node) && !self.cordoned.contains(node);
        let selected = selector.map(|selector| self.nodes.selected(selector)).unwrap_or_default();
        let selected: BTreeSet<_> = selected.into_iter().filter(open).collect();
        if !selected.is_empty() || !self.cordoned.iter().any(able) {
            return selected;
        }
        match eligible {
            Some(eligible) => eligible.iter().copied().filter(open).collect(),
            None => self.nodes.ids().into_iter().filter(open).collect(),
        }
    }
}

/// What a younger Service has to say beside the older ones.
fn joined(older: Reach, younger: Reach) -> (Part, Reach) {
    match (older, younger) {
        (older, Reach::Nowhere) => (Part::NoEndpoint, older),
        (Reach::Nowhere, Reach::Everywhere) => (Part::Everywhere, Reach::Everywhere),
        (older, Reach::Everywhere) => (Part::Everywhere, older),
        (Reach::Nowhere | Reach::Everywhere, Reach::On(nodes)) => (Part::ItsNodes, Reach::On(nodes)),
        (Reach::On(older), Reach::On(younger)) => {
            let common: BTreeSet<_> = older.intersection(&younger).copied().collect();
            if common.is_empty() {
                (Part::Elsewhere, Reach::On(older))
            } else {
                (Part::ItsNodes, Reach::On(common))
            }
        }
    }
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden(reason) => write!(f, "forbidden: {reason}"),
            Self::NoEndpoint => f.write_str("no endpoint is ready"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Everywhere => "every node can serve it",
            Self::ItsNodes => "the nodes with an endpoint of its own can serve it",
            Self::NoEndpoint => "no endpoint is ready",
            Self::Elsewhere => "no node has endpoints of it and of all older Services with this address",
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no such node"),
            Self::OutOfService => f.write_str("it is out of service"),
            Self::NotReady => f.write_str("it is not ready"),
            Self::NetworkUnavailable => f.write_str("its network is not available"),
            Self::Excluded => f.write_str("it is excluded from external load balancers by its label"),
            Self::Withheld(why) => why.fmt(f),
            Self::NoLocalEndpoint(service) => write!(f, "it has no endpoint of {service}"),
            Self::Cordoned => f.write_str("it is cordoned, so others come first"),
            Self::NotPreferred => f.write_str("others are preferred"),
        }
    }
}

//! The same rules, slowly: everything is looked at again for every question.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use vipcast_proto::ipam::{Family, Forbidden, ForbiddenReason, ServiceKey};
use vipcast_proto::placement::{Facts, Key, MemberId};
use vipcast_proto::service::{Endpointless, Node, Owner, Part, Plan, Service, SliceKey, Withheld};

use crate::support::is_local;

/// What an endpoint is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    Ready,
    /// Terminating, and still serving.
    Leaving,
    /// Neither.
    Idle,
}

/// A slice with all its endpoints.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    pub(crate) service: String,
    pub(crate) family: Family,
    pub(crate) endpoints: Vec<(Option<&'static str>, State)>,
}

/// What the cluster says, as it says it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) services: BTreeMap<ServiceKey, Service>,
    pub(crate) slices: BTreeMap<SliceKey, Slice>,
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) given: Forbidden,
}

impl Model {
    pub(crate) fn plans(&self) -> BTreeMap<IpAddr, Plan> {
        let forbidden = self.forbidden();
        let ours = self.services.values().filter(|service| service.ownership.is_ours());
        let addresses: BTreeSet<_> = ours.flat_map(|service| service.view.ingress.clone()).collect();
        addresses.into_iter().map(|address| (address, self.plan(address, &forbidden))).collect()
    }

    pub(crate) fn forbidden(&self) -> Forbidden {
        let mut forbidden = self.given.clone();
        let is_held = |address| self.services.values().any(|it| it.view.ingress.contains(&address));
        for node in self.nodes.values() {
            for (at, &address) in node.addresses.iter().enumerate() {
                let earlier = &node.addresses[..at];
                let first = earlier.iter().all(|earlier| earlier.is_ipv4() != address.is_ipv4());
                if first || !is_held(address) {
                    forbidden.address(address, ForbiddenReason::Node(node.name.clone()));
                }
            }
            for &address in node.external_addresses.iter().filter(|&&address| !is_held(address)) {
                forbidden.address(address, ForbiddenReason::Node(node.name.clone()));
            }
        }
        let networks: BTreeSet<_> = self.nodes.values().flat_map(|node| node.pod_networks.clone()).collect();
        networks.into_iter().for_each(|net| forbidden.network(net, ForbiddenReason::PodNetwork(net)));
        forbidden
    }

    /// Whether a node announces nothing at all.
    pub(crate) fn is_unfit(&self, node: &Node) -> bool {
        let healthy = |node: &Node| node.ready && !node.network_unavailable && !node.out_of_service;
        let somebody = self.nodes.values().any(|node| healthy(node) && !node.excluded);
        node.excluded || somebody && !healthy(node)
    }

    fn plan(&self, address: IpAddr, forbidden: &Forbidden) -> Plan {
        let family = Family::of(address);
        let has = |it: &&Service| it.ownership.is_ours() && it.view.ingress.contains(&address);
        let mut owners: Vec<&Service> = self.services.values().filter(has).collect();
        owners.sort_by_key(|it| (it.view.created, it.key().clone()));
        let (mut parts, mut anybody) = (vec![], false);
        let mut eligible: Option<BTreeSet<MemberId>> = None;
        for &owner in &owners {
            let (nodes, anywhere) = self.endpoints(owner.key(), family);
            let announced = anywhere || owner.endpointless == Endpointless::Announced;
            let part = if is_local(owner) && !nodes.is_empty() {
                let before = eligible.clone().unwrap_or_else(|| nodes.clone());
                let common: BTreeSet<_> = before.intersection(&nodes).copied().collect();
                if common.is_empty() {
                    Part::Elsewhere
                } else {
                    eligible = Some(common);
                    Part::ItsNodes
                }
            } else if !is_local(owner) && announced {
                Part::Everywhere
            } else {
                Part::NoEndpoint
            };
            anybody |= matches!(part, Part::Everywhere | Part::ItsNodes);
            parts.push(Owner { key: owner.key().clone(), part });
        }
        let placement = match forbidden.reason(address) {
            Some(reason) => Err(Withheld::Forbidden(reason.clone())),
            None if !anybody => Err(Withheld::NoEndpoint),
            None => Ok(self.facts(address, &owners, eligible)),
        };
        Plan { owners: parts, interface: owners.iter().find_map(|it| it.interface.clone()), placement }
    }

    fn facts(&self, address: IpAddr, owners: &[&Service], eligible: Option<BTreeSet<MemberId>>) -> Facts {
        let group = owners.iter().find_map(|it| it.group.clone()).filter(|_| eligible.is_none());
        let mut judges: Vec<&Service> = match &group {
            Some(_) => {
                self.services.values().filter(|it| it.group == group && it.ownership.is_ours()).collect()
            }
            None => owners.to_vec(),
        };
        judges.sort_by_key(|it| (it.view.created, it.key().clone()));
        let selector = judges.iter().find_map(|it| it.preferred.clone());
        let able = |node: &&Node| eligible.as_ref().is_none_or(|set| set.contains(&MemberId::of(&node.name)));
        let able: Vec<&Node> = self.nodes.values().filter(able).collect();
        let liked = |node: &&&Node| selector.as_ref().is_some_and(|selector| selector.selects(&node.labels));
        let mut preferred: Vec<_> = able.iter().filter(|node| !node.cordoned).filter(liked).collect();
        if preferred.is_empty() && able.iter().any(|node| node.cordoned) {
            preferred = able.iter().filter(|node| !node.cordoned).collect();
        }
        // Endpoints may be on a node that nobody told us of: it is not cordoned as far as we know.
        let mut preferred: BTreeSet<_> = preferred.into_iter().map(|node| MemberId::of(&node.name)).collect();
        let known = |id: &MemberId| self.nodes.keys().any(|name| MemberId::of(name) == *id);
        if let Some(eligible) = &eligible
            && able.iter().any(|node| node.cordoned)
            && !able.iter().any(|node| !node.cordoned && liked(&node))
        {
            preferred.extend(eligible.iter().filter(|id| !known(id)));
        }
        let key = group.map_or_else(|| Key::of_address(address), |group| Key::of_group(&group));
        Facts { key, eligible, preferred, unable: false, lease: None }
    }

    fn endpoints(&self, service: &ServiceKey, family: Family) -> (BTreeSet<MemberId>, bool) {
        let slices = self.slices.iter().filter(|(key, slice)| {
            *key.namespace == *service.namespace && *slice.service == *service.name && slice.family == family
        });
        let all: Vec<_> = slices.flat_map(|(_, slice)| slice.endpoints.clone()).collect();
        let on = |wanted| {
            let some = all.iter().filter(|(_, state)| *state == wanted);
            some.filter_map(|(node, _)| node.map(MemberId::of)).collect::<BTreeSet<_>>()
        };
        let ready = on(State::Ready);
        let anywhere = all.iter().any(|(_, state)| *state != State::Idle);
        (if ready.is_empty() { on(State::Leaving) } else { ready }, anywhere)
    }
}

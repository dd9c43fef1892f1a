//! Which nodes are fit to announce, which come first, and which addresses are their own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use ipnet::IpNet;

use super::plan::Reason;
use crate::ipam::{Family, Forbidden, ForbiddenReason, LabelSelector, Labels};
use crate::placement::MemberId;

/// A Node, reduced to what decides about announcing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// The condition `Ready` is true.
    pub ready: bool,
    /// The condition `NetworkUnavailable` is true.
    pub network_unavailable: bool,
    /// The taint `node.kubernetes.io/out-of-service` is there: somebody vouches that it is off.
    pub out_of_service: bool,
    /// `spec.unschedulable`, or the taint of that name.
    pub cordoned: bool,
    /// The label `node.kubernetes.io/exclude-from-external-load-balancers` is there.
    pub excluded: bool,
    /// Its labels.
    pub labels: Labels,
    /// Its addresses of type `InternalIP`, in their order.
    pub addresses: Vec<IpAddr>,
    /// Those of type `ExternalIP`.
    pub external_addresses: Vec<IpAddr>,
    /// `spec.podCIDRs`.
    pub pod_networks: Vec<IpNet>,
}

/// All Nodes.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes {
    all: BTreeMap<Arc<str>, Node>,
}

/// The addresses and networks that are the Nodes' own.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Territory {
    addresses: BTreeMap<IpAddr, Arc<str>>,
    networks: BTreeSet<IpNet>,
}

impl Node {
    fn id(&self) -> MemberId {
        MemberId::of(&self.name)
    }

    /// Whether it is of the control plane.
    pub(super) fn leads(&self) -> bool {
        self.labels.get(CONTROL_PLANE).is_some()
    }

    fn ailments(&self) -> Vec<Reason> {
        let all = [
            (self.out_of_service, Reason::OutOfService),
            (!self.ready, Reason::NotReady),
            (self.network_unavailable, Reason::NetworkUnavailable),
        ];
        all.into_iter().filter(|(is, _)| *is).map(|(_, reason)| reason).collect()
    }
}

impl Nodes {
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        self.all.get(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> + '_ {
        self.all.keys()
    }

    /// Returns what was known of it before.
    pub(super) fn apply(&mut self, node: Node) -> Option<Node> {
        self.all.insert(node.name.as_str().into(), node)
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Node> {
        self.all.remove(name)
    }

    /// Which nodes are not fit, and why; `excluded` where the label counts.
    ///
    /// Where no node is healthy, the trouble is with those who say so: nothing would be gained by silence.
    pub(super) fn unfit(&self, label_counts: bool) -> BTreeMap<Arc<str>, Vec<Reason>> {
        let excluded = |node: &Node| label_counts && node.excluded;
        let healthy = self.all.values().any(|node| !excluded(node) && node.ailments().is_empty());
        let reasons = |node: &Node| {
            let mut reasons = if healthy { node.ailments() } else { vec![] };
            reasons.extend(excluded(node).then_some(Reason::Excluded));
            reasons
        };
        let all = self.all.iter().map(|(name, node)| (name.clone(), reasons(node)));
        all.filter(|(_, reasons)| !reasons.is_empty()).collect()
    }

    pub(super) fn selected(&self, selector: &LabelSelector) -> BTreeSet<MemberId> {
        self.all.values().filter(|node| selector.selects(&node.labels)).map(Node::id).collect()
    }

    pub(super) fn cordoned(&self) -> BTreeSet<MemberId> {
        self.all.values().filter(|node| node.cordoned).map(Node::id).collect()
    }

    /// Those of the control plane if `name` is of it, else the others.
    pub(super) fn alike<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Arc<str>> + 'a {
        let ours = self.all.get(name).is_some_and(Node::leads);
        self.all.iter().filter(move |(_, node)| node.leads() == ours).map(|(name, _)| name)
    }

    pub(super) fn ids(&self) -> BTreeSet<MemberId> {
        self.all.values().map(Node::id).collect()
    }

    /// What is the Nodes' own. The first internal address of each family is, whoever has it; a further one may be a VIP that a
    /// speaker put on an interface, an external one what a cloud or K3s says that the Node takes packets for, and either is
    /// no Node's if a Service has it.
    pub(super) fn territory(&self, is_held: impl Fn(IpAddr) -> bool) -> Territory {
        let mut territory = Territory::default();
        for (name, node) in &self.all {
            let mut families = BTreeSet::new();
            for &address in &node.addresses {
                if families.insert(Family::of(address)) || !is_held(address) {
                    territory.addresses.entry(address).or_insert_with(|| name.clone());
                }
            }
            for &address in node.external_addresses.iter().filter(|address| !is_held(**address)) {
                territory.addresses.entry(address).or_insert_with(|| name.clone());
            }
            territory.networks.extend(&node.pod_networks);
        }
        territory
    }

    /// Whether any Node reports this address, as its own or not.
    pub(super) fn report(&self, address: IpAddr) -> bool {
        let reports =
            |node: &Node| [&node.addresses, &node.external_addresses].iter().any(|it| it.contains(&address));
        self.all.values().any(reports)
    }
}

impl Territory {
    /// What is in one of them only.
    pub(super) fn difference(&self, other: &Self) -> Vec<RangeInclusive<IpAddr>> {
        let moved = |one: &Self, other: &Self| {
            let addresses = one.addresses.iter().filter(|(it, name)| other.addresses.get(it) != Some(name));
            let networks = one.networks.difference(&other.networks);
            let networks = networks.map(|net| net.network()..=net.broadcast());
            addresses.map(|(&address, _)| address..=address).chain(networks).collect::<Vec<_>>()
        };
        let mut all = moved(self, other);
        all.extend(moved(other, self));
        all
    }

    /// What is forbidden anyway, and this.
    pub(super) fn forbid(&self, given: &Forbidden) -> Forbidden {
        let mut forbidden = given.clone();
        for (&address, name) in &self.addresses {
            forbidden.address(address, ForbiddenReason::Node(name.as_ref().to_owned()));
        }
        for &net in &self.networks {
            forbidden.network(net, ForbiddenReason::PodNetwork(net));
        }
        forbidden
    }
}

const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> Node {
        Node { name: name.into(), ready: true, ..Node::default() }
    }

    fn nodes(all: impl IntoIterator<Item = Node>) -> Nodes {
        let mut nodes = Nodes::default();
        all.into_iter().for_each(|node| drop(nodes.apply(node)));
        nodes
    }

    #[test]
    fn health_counts_while_anybody_is_healthy_and_the_label_always() {
        let ill = || Node { ready: false, out_of_service: true, ..node("a") };
        let cut = || Node { network_unavailable: true, ..node("b") };
        let excluded = || Node { excluded: true, ..node("c") };
        let a = ("a".into(), vec![Reason::OutOfService, Reason::NotReady]);
        let b = ("b".into(), vec![Reason::NetworkUnavailable]);
        let c = ("c".into(), vec![Reason::Excluded]);
        let three = nodes([ill(), cut(), excluded()]);
        assert_eq!(three.unfit(true), [c.clone()].into());
        assert_eq!(three.unfit(false), [a.clone(), b.clone()].into());
        assert_eq!(nodes([ill(), cut(), excluded(), node("d")]).unfit(true), [a, b, c].into());
    }

    #[test]
    fn nodes_are_alike_that_are_of_the_control_plane_or_not() {
        let lead = |name| Node {
            labels: [(CONTROL_PLANE.into(), String::new())].into_iter().collect(),
            ..node(name)
        };
        let all = nodes([lead("cp1"), lead("cp2"), node("w1"), node("w2")]);
        let alike = |name: &str| all.alike(name).map(|name| name.to_string()).collect::<Vec<_>>();
        assert_eq!(
            (alike("cp1"), alike("w2")),
            (vec!["cp1".into(), "cp2".into()], vec!["w1".into(), "w2".into()])
        );
    }

    #[test]
    fn a_further_address_is_a_nodes_own_unless_a_service_has_it() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let addresses = ["192.0.2.1", "192.0.2.7", "2001:db8::1", "192.0.2.8"].map(ip).to_vec();
        let pod_networks = vec!["10.244.0.0/24".parse().unwrap()];
        let external_addresses = ["203.0.113.1", "203.0.113.7", "2001:db8:1::7"].map(ip).to_vec();
        let node = Node { addresses, external_addresses, pod_networks: pod_networks.clone(), ..node("a") };
        let nodes = nodes([node]);
        let held = [ip("192.0.2.1"), ip("192.0.2.7"), ip("203.0.113.7"), ip("2001:db8:1::7")];
        let own = ["192.0.2.1", "192.0.2.8", "2001:db8::1", "203.0.113.1"].map(|text| (ip(text), "a".into()));
        assert_eq!(
            nodes.territory(|address| held.contains(&address)),
            Territory { addresses: own.into(), networks: pod_networks.into_iter().collect() }
        );
    }
}

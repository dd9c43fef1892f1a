//! What happened in the cluster, and what it changes.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::endpoints::{EndpointSlice, SliceKey};
use super::nodes::Node;
use super::object::Service;
use crate::ipam::{Forbidden, Labels, ServiceKey};

/// What happened to objects of one kind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change<T, K> {
    /// A complete list: what is not in it does not exist.
    Listed(Vec<T>),
    /// One object is new or has changed.
    Applied(T),
    /// One object is gone, or no longer of interest.
    Deleted(K),
}

/// What happened in the cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// To Services.
    Services(Change<Service, ServiceKey>),
    /// To EndpointSlices.
    Slices(Change<EndpointSlice, SliceKey>),
    /// To Nodes, by name.
    Nodes(Change<Node, String>),
    /// To Namespaces, by name.
    Namespaces(Change<Namespace, String>),
    /// Which addresses no Service may have, but for those of Nodes, which are known from the Nodes.
    Forbidden(Forbidden),
}

/// A Namespace, reduced to what pools ask of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
}

/// What an event changes. Empty until the first lists are complete; then everything at once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    /// The Services whose view is another one now, or the node they name, or whose namespace became known, or that came or went.
    pub services: BTreeSet<ServiceKey>,
    /// The addresses whose plan is another one now, or that came or went.
    pub addresses: BTreeSet<IpAddr>,
    /// The addresses of which something else decides now who may reach them, or of which nothing does any more.
    pub guarded: BTreeSet<IpAddr>,
    /// The Nodes that came or went, were cordoned or uncordoned, or whose fitness is another one now.
    pub nodes: BTreeSet<Arc<str>>,
    /// Whether there are other forbidden addresses now.
    pub forbidden: bool,
}

impl Changes {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes in what has changed since.
    pub fn extend(&mut self, later: Self) {
        let Self { services, addresses, guarded, nodes, forbidden } = later;
        self.services.extend(services);
        self.addresses.extend(addresses);
        self.guarded.extend(guarded);
        self.nodes.extend(nodes);
        self.forbidden |= forbidden;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_several_events_are_those_of_each() {
        let of = |name: &str, last: u8, forbidden| Changes {
            services: [ServiceKey { namespace: "shop".into(), name: name.into() }].into(),
            addresses: [IpAddr::from([192, 0, 2, last])].into(),
            guarded: [IpAddr::from([198, 51, 100, last])].into(),
            nodes: [Arc::from(name)].into(),
            forbidden,
        };
        let mut changes = of("a", 1, true);
        changes.extend(of("b", 2, false));
        let names = ["a", "b"].map(|name| ServiceKey { namespace: "shop".into(), name: name.into() });
        let expected = Changes {
            services: names.into(),
            addresses: [1, 2].map(|last| IpAddr::from([192, 0, 2, last])).into(),
            guarded: [1, 2].map(|last| IpAddr::from([198, 51, 100, last])).into(),
            nodes: ["a", "b"].map(Arc::from).into(),
            forbidden: true,
        };
        assert_eq!(changes, expected);
        assert!(!changes.is_empty() && Changes::default().is_empty());
    }
}

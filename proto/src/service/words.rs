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
    /// The Services whose view is another one now, or that came or went: for the allocator.
    pub services: BTreeSet<ServiceKey>,
    /// The addresses whose plan is another one now, or that came or went.
    pub addresses: BTreeSet<IpAddr>,
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
}

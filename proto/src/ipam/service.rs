//! What is to be known of a Service to give it addresses.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::family::Family;
use super::labels::Labels;
use super::request::Request;

/// A Service's name in the cluster. Many have it, each thing that is known of a Service: a copy costs no memory of its own.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ServiceKey {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A Service, reduced to what decides about its addresses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceView {
    /// Its name.
    pub key: ServiceKey,
    /// Its UID: a Service created again under the same name keeps nothing of the earlier one.
    pub uid: String,
    /// When it was created, in seconds since any fixed date: the older wins a conflict, then the lesser name.
    pub created: i64,
    /// Whether we give it addresses.
    pub standing: Standing,
    /// Its labels.
    pub labels: Labels,
    /// The labels of its namespace; needed only where a pool selects namespaces by label.
    pub namespace_labels: Arc<Labels>,
    /// The addresses it asks for.
    pub request: Option<Request>,
    /// The pool it asks for (`metallb.io/address-pool`).
    pub pool: Option<String>,
    /// The sharing key (`metallb.io/allow-shared-ip`). An empty one counts as none.
    pub sharing_key: Option<String>,
    /// Its ports.
    pub ports: Vec<Port>,
    /// `externalTrafficPolicy`, with the pod selector where it matters.
    pub traffic: TrafficPolicy,
    /// `ipFamilyPolicy`.
    pub family_policy: FamilyPolicy,
    /// `ipFamilies`, or else the families of `clusterIPs`; the primary one first.
    pub families: Vec<Family>,
    /// The addresses in `status.loadBalancer.ingress`.
    pub ingress: Vec<IpAddr>,
    /// Whether each of these comes with all of `ports` in the status, and no others; where there is none, it does.
    pub ports_shown: bool,
    /// Who wrote the status last, of those who are not us, where that is known: to be named, not to be decided by.
    pub status_writer: Option<Arc<str>>,
    /// What our annotation says that we assigned.
    pub record: Vec<Assignment>,
}

/// Whether we give a Service addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It is of our class, and not ignored.
    Ours,
    /// It is not: the addresses in its status are taken all the same, and nobody of ours shares them. One that was
    /// ours, and whose status we are about to clear, is to be removed instead: who shares its address would have to go.
    Foreign,
}

/// An address that was assigned, and the pool it came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Assignment {
    /// The address.
    pub address: IpAddr,
    /// The name of its pool at that time; `None` where it was in none, or nobody wrote it down.
    pub pool: Option<Arc<str>>,
}

/// A port of a Service.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Port {
    /// Its protocol: TCP/53 and UDP/53 do not meet.
    pub protocol: Protocol,
    /// Its number.
    pub number: u16,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.protocol, self.number)
    }
}

/// The protocol of a port.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        })
    }
}

/// `externalTrafficPolicy`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TrafficPolicy {
    /// Any node serves it.
    Cluster,
    /// Only a node with an endpoint of its own serves it.
    Local {
        /// The Service's pod selector: Services with the same endpoints can share an address.
        selector: Labels,
    },
}

/// `ipFamilyPolicy`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FamilyPolicy {
    /// One address, of the primary family.
    SingleStack,
    /// One of each family that can be had.
    PreferDualStack,
    /// One of each family, or none.
    RequireDualStack,
}

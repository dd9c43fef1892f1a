//! What the cluster says, as far as it decides about Service VIPs: who is to announce an address, where, and why.
//!
//! | file | decides |
//! |---|---|
//! | `terms` | which Services are ours |
//! | `written`, `object` | what is kept of a Service |
//! | `selector` | what a label selector in an annotation means |
//! | `endpoints` | on which nodes a Service can be served |
//! | `nodes` | which nodes are fit, and which addresses are their own |
//! | `index` | which Services have an address in their status |
//! | `plan` | whether an address is announced, by whom, and why not by others |
//! | `catalog` | what an event changes |
//!
//! The addresses in `status.loadBalancer.ingress` are the truth: whoever wrote them there, they are announced if the
//! Service is ours, can be served, and no node or network would be harmed.
//!
//! - `externalTrafficPolicy: Cluster`: any member, as long as one endpoint is ready anywhere; without one the address
//!   goes, unless `kube-vip.io/allow-reconcile-without-endpoints` is set.
//! - `Local`: the members with a ready endpoint on their node.
//! - Endpoints that are terminating but still serve count where no ready one is left, as with kube-proxy. Endpoints
//!   are those of the address's family, from all slices.
//! - Several Services with one address: the oldest counts first. One without endpoints has no say, unless none has any.
//!   With `Local`, the nodes that serve all of them; a younger Service that has none of these nodes has no say either,
//!   for one node has to answer for all, and an address that nobody answers for serves nobody.
//! - `kube-vip.io/leaseName` keeps addresses together; it counts only where every member will do.
//! - A cordoned node comes last but is not ruled out: it goes on where nobody else can take over. With `Local` the
//!   address leaves when the endpoints do, which is what a drain is. (MetalLB once withdrew on cordon, and took it back.)
//! - A node that is not ready, has no network, is out of service or is labelled
//!   `node.kubernetes.io/exclude-from-external-load-balancers` is not fit. This is a matter of the node's weight, not of
//!   each address. Where no node at all is healthy, health says nothing.

mod catalog;
mod endpoints;
mod index;
mod nodes;
mod object;
mod plan;
mod selector;
mod terms;
mod words;
mod written;

pub use catalog::{Catalog, Exclusion, NamespaceLabels, Options};
pub use endpoints::{Endpoint, EndpointSlice, SliceKey};
pub use nodes::Node;
pub use object::{Endpointless, Note, Security, Service};
pub use plan::{Owner, Part, Plan, Reason, Withheld};
pub use selector::{SelectorError, parse_selector};
pub use terms::{Because, Classless, NotOurs, Ownership, Terms};
pub use words::{Change, Changes, Event, Namespace};
pub use written::{
    ASSIGNED, ENDPOINTLESS, IGNORE, INSECURE, INTERFACE, LEASE_NAME, OWN_LEASE, PREFERRED_NODES, VIP_HOST,
    Written, is_read,
};

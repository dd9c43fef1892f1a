//! The BGP Identifier: another one on every speaker, and the same one on every start.

use std::net::Ipv4Addr;

/// Where the BGP Identifier comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RouterId {
    /// It was given, or is the IPv4 address that sessions are dialled from.
    Given(Ipv4Addr),
    /// The first IPv4 address of an interface that is not a VIP; without one, `otherwise`.
    OfInterface {
        /// By name.
        interface: String,
        /// Made of the node's name.
        otherwise: Ipv4Addr,
    },
    /// The node's own IPv4 address: that of its default route's interface which is not a VIP; without one, `otherwise`.
    OfNode {
        /// Made of the node's name.
        otherwise: Ipv4Addr,
    },
}

/// A BGP Identifier made of a node's name, where the node has no IPv4 address: any number but zero is one (RFC 6286 §2.1).
/// It lies where older routers accept it, too: below 127.0.0.0, so neither loopback nor multicast.
#[must_use]
pub fn stable_router_id(node_name: &str) -> Ipv4Addr {
    // FNV-1a. Not `std`'s hasher, whose result may change with the compiler.
    let hash = node_name
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let [first, rest @ ..] = hash.to_be_bytes();
    let [second, third, fourth] = rest;
    Ipv4Addr::new(1 + first % 126, second, third, fourth)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_nodes_name_always_makes_the_same_identifier() {
        assert_eq!(stable_router_id("cp1"), Ipv4Addr::new(64, 74, 155, 21));
        assert_eq!(stable_router_id(""), Ipv4Addr::new(4, 28, 157, 197));
    }

    #[test]
    fn names_of_a_cluster_make_different_identifiers_that_every_router_accepts() {
        let names: Vec<_> = (0..10_000).map(|number| format!("worker-{number}.example.org")).collect();
        let identifiers: BTreeSet<_> = names.iter().map(|name| stable_router_id(name)).collect();
        assert_eq!(identifiers.len(), names.len());
        assert!(identifiers.iter().all(|id| (1..127).contains(&id.octets()[0])));
    }
}

//! How one peer hears of our routes: the policy of the peer and of the routes, and what the session permits.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::bgp::negotiation::{Negotiated, Peering};
use crate::bgp::types::{Asn, Attributes, Family, NextHop};
use crate::bgp::wire::AsNumbers;

/// What is configured to be said of routes: for a peer, and for a group of addresses, which has the last word.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Policy {
    /// Next hop of IPv4 routes; `None`: this node.
    pub next_hop_v4: Option<Ipv4Addr>,
    /// Next hop of IPv6 routes; `None`: this node.
    pub next_hop_v6: Option<Ipv6Addr>,
    /// How often more than once our AS number stands in the AS_PATH to eBGP peers; those of the peer and of the
    /// group add up.
    pub prepend: u8,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF to iBGP peers; 100 where nothing is configured.
    pub local_pref: Option<u32>,
    /// RFC 1997; those of the peer and of the group are united, as with the next two.
    pub communities: BTreeSet<u32>,
    /// RFC 4360.
    pub extended_communities: BTreeSet<[u8; 8]>,
    /// RFC 8092.
    pub large_communities: BTreeSet<[u32; 3]>,
}

/// Addresses of this node on the link to the peer: what "next hop self" is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Local {
    /// That the peer can send IPv4 packets to.
    pub v4: Option<Ipv4Addr>,
    /// A global address that the peer can send IPv6 packets to.
    pub v6: Option<Ipv6Addr>,
    /// Where the peer is on the same link.
    pub link_local: Option<Ipv6Addr>,
}

/// Everything on which it depends what a peer hears. Peers with equal exports hear the same octets.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Export {
    local_as: Asn,
    peering: Peering,
    as_numbers: AsNumbers,
    families: BTreeSet<Family>,
    next_hop_v4: Option<NextHop>,
    next_hop_v6: Option<NextHop>,
    extended_next_hop: bool,
    policy: Policy,
    graceful_shutdown: bool,
}

impl Export {
    /// To the peer of a session.
    #[must_use]
    pub fn new(local_as: Asn, policy: Policy, negotiated: &Negotiated, local: &Local) -> Self {
        let next_hop_v6 = local.v6.map_or_else(
            || local.link_local.map(|address| NextHop::V6 { address, link_local: None }),
            |address| Some(NextHop::V6 { address, link_local: local.link_local }),
        );
        Self {
            local_as,
            peering: negotiated.peering,
            as_numbers: negotiated.as_numbers,
            families: negotiated.families.clone(),
            next_hop_v4: local.v4.map(NextHop::V4),
            next_hop_v6,
            extended_next_hop: negotiated.extended_next_hop,
            policy,
            graceful_shutdown: false,
        }
    }

    /// The same while this node is being drained: routes are to be avoided as long as there is another one
    /// (RFC 8326).
    #[must_use]
    pub fn graceful_shutdown(self) -> Self {
        Self { graceful_shutdown: true, ..self }
    }

    pub(super) fn as_numbers(&self) -> AsNumbers {
        self.as_numbers
    }

    /// Whether the session carries routes of this family at all.
    pub(super) fn carries(&self, family: Family) -> bool {
        self.families.contains(&family)
    }

    /// What is said of routes of `family` with this policy; `None`: there is no next hop for them.
    pub(super) fn attributes(&self, family: Family, routes: &Policy) -> Option<Attributes> {
        let next_hop = self.next_hop(family, routes)?;
        let peer = &self.policy;
        let shutdown = self.graceful_shutdown.then_some(GRACEFUL_SHUTDOWN);
        let communities: BTreeSet<_> =
            peer.communities.union(&routes.communities).copied().chain(shutdown).collect();
        Some(Attributes {
            as_path: self.as_path(routes),
            next_hop,
            med: routes.med.or(peer.med),
            local_pref: self.local_pref(routes),
            communities: communities.into_iter().collect(),
            extended_communities: united(&peer.extended_communities, &routes.extended_communities),
            large_communities: united(&peer.large_communities, &routes.large_communities),
        })
    }

    /// What is configured for the routes, then for the peer, then ourselves.
    fn next_hop(&self, family: Family, routes: &Policy) -> Option<NextHop> {
        let fixed_v4 = routes.next_hop_v4.or(self.policy.next_hop_v4).map(NextHop::V4);
        let fixed_v6 = routes.next_hop_v6.or(self.policy.next_hop_v6);
        let fixed_v6 = fixed_v6.map(|address| NextHop::V6 { address, link_local: None });
        let v6 = fixed_v6.or(self.next_hop_v6);
        if family == Family::IPV4_UNICAST {
            fixed_v4.or(self.next_hop_v4).or_else(|| v6.filter(|_| self.extended_next_hop))
        } else {
            v6
        }
    }

    fn as_path(&self, routes: &Policy) -> Vec<Asn> {
        match self.peering {
            Peering::External => {
                let prepended = usize::from(self.policy.prepend).saturating_add(routes.prepend.into());
                vec![self.local_as; prepended.min(LONGEST_PREPEND).saturating_add(1)]
            }
            Peering::Internal => vec![],
        }
    }

    /// "SHOULD … set the LOCAL_PREF … to a low value. … 0 is RECOMMENDED" (RFC 8326 §4).
    fn local_pref(&self, routes: &Policy) -> Option<u32> {
        match self.peering {
            Peering::External => None,
            Peering::Internal if self.graceful_shutdown => Some(0),
            Peering::Internal => {
                Some(routes.local_pref.or(self.policy.local_pref).unwrap_or(DEFAULT_LOCAL_PREF))
            }
        }
    }
}

/// The link bandwidth extended community, transitive (RFC 10005). A four-octet AS number stands as AS_TRANS.
#[must_use]
pub fn link_bandwidth(local_as: Asn, bytes_per_second: f32) -> [u8; 8] {
    let [as_high, as_low] = local_as.two_octets().to_be_bytes();
    let [b0, b1, b2, b3] = bytes_per_second.to_be_bytes();
    [0x00, 0x04, as_high, as_low, b0, b1, b2, b3]
}

fn united<T: Copy + Ord>(one: &BTreeSet<T>, other: &BTreeSet<T>) -> Vec<T> {
    one.union(other).copied().collect()
}

/// 65535:0 (RFC 8326 §7).
const GRACEFUL_SHUTDOWN: u32 = 0xffff_0000;

/// What most speakers take where none is configured; iBGP must have one (RFC 4271 §5.1.5).
const DEFAULT_LOCAL_PREF: u32 = 100;

/// One AS_SEQUENCE holds 255 numbers (RFC 4271 §4.3).
const LONGEST_PREPEND: usize = 254;

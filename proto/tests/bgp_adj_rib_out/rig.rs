//! Sessions, routes and what is configured for them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use vipcast_proto::bgp::adj_rib_out::{Export, Local, Policy, Routes, Snapshot};
use vipcast_proto::bgp::fsm::{Negotiated, Peering};
use vipcast_proto::bgp::types::{Asn, Family, HoldTime};
use vipcast_proto::bgp::wire::AsNumbers;

pub(crate) fn external() -> Negotiated {
    Negotiated {
        peer_as: Asn(65002),
        peer_identifier: Ipv4Addr::new(192, 0, 2, 254),
        peering: Peering::External,
        hold_time: HoldTime::new(90).unwrap(),
        families: [Family::IPV4_UNICAST, Family::IPV6_UNICAST].into(),
        as_numbers: AsNumbers::FourOctets,
        extended_next_hop: false,
        route_refresh: true,
        enhanced_route_refresh: true,
        graceful_restart: None,
        preserved: [].into(),
        notification: false,
    }
}

pub(crate) fn internal() -> Negotiated {
    Negotiated { peer_as: US, peering: Peering::Internal, ..external() }
}

pub(crate) fn dual_stack() -> Local {
    Local { v4: Some(V4), v6: Some(V6), link_local: None }
}

pub(crate) fn export(negotiated: &Negotiated, policy: Policy) -> Export {
    Export::new(US, policy, negotiated, &dual_stack())
}

pub(crate) fn snapshot(routes: &[(&str, &Policy)], export: &Export) -> Arc<Snapshot> {
    Routes::new(routes.iter().map(|(text, policy)| (prefix(text), *policy))).export(export)
}

/// Every route with what is said of it.
pub(crate) fn table(snapshot: &Snapshot) -> BTreeMap<IpNet, vipcast_proto::bgp::types::Attributes> {
    let each =
        snapshot.groups().flat_map(|(said, prefixes)| prefixes.iter().map(move |it| (*it, said.clone())));
    each.collect()
}

pub(crate) fn prefix(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// So many host routes, in order.
pub(crate) fn hosts_v4(count: u32) -> impl Iterator<Item = IpNet> {
    (0..count).map(|host| Ipv4Net::new_assert(Ipv4Addr::from_bits(0x0a00_0000 + host), 32).into())
}

/// So many host routes, in order.
pub(crate) fn hosts_v6(count: u32) -> impl Iterator<Item = IpNet> {
    let base = 0x2001_0db8_u128 << 96;
    (0..count).map(move |host| Ipv6Net::new_assert(Ipv6Addr::from_bits(base + u128::from(host)), 128).into())
}

pub(crate) const US: Asn = Asn(65001);
pub(crate) const V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
pub(crate) const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

//! How many messages and octets it takes, against what can be computed from the RFCs.

use bytes::BytesMut;
use ipnet::IpNet;
use vipcast_proto::bgp::adj_rib_out::{Changes, Export, Local, Policy, Routes, Snapshot};
use vipcast_proto::bgp::fsm::Negotiated;
use vipcast_proto::bgp::types::Family;
use vipcast_proto::bgp::wire::AsNumbers;

use crate::rig::{LINK_LOCAL, US, V6, dual_stack, export, external, hosts_v4, hosts_v6, internal};

#[test]
fn a_hundred_thousand_routes_fill_as_few_updates_as_can_be() {
    let plain = Policy::default;
    let spoken = Policy { med: Some(50), communities: [0xfde8_0001].into(), ..Policy::default() };
    let two_octets = Negotiated { as_numbers: AsNumbers::TwoOctets, ..external() };
    let over_v6 = Negotiated { extended_next_hop: true, ..external() };
    let only_v6 = Export::new(US, plain(), &over_v6, &Local { v4: None, ..dual_stack() });
    let both_v6 = Local { v4: None, v6: Some(V6), link_local: Some(LINK_LOCAL) };
    let with_link_local = Export::new(US, plain(), &external(), &both_v6);
    let (v4, v6) = (Family::IPV4_UNICAST, Family::IPV6_UNICAST);
    let cases = [
        ("eBGP", v4, export(&external(), plain()), 124, 505_332),
        ("eBGP, two octets", v4, export(&two_octets, plain()), 124, 505_084),
        ("eBGP, MED and a community", v4, export(&external(), spoken), 124, 507_068),
        ("iBGP", v4, export(&internal(), plain()), 124, 505_456),
        ("RFC 8950", v4, only_v6, 124, 507_564),
        ("eBGP, IPv6", v6, export(&external(), plain()), 422, 1_725_742),
        ("eBGP, IPv6, link-local", v6, with_link_local, 424, 1_732_648),
    ];
    let policy = Policy::default();
    let routes = Routes::new(hosts_v4(100_000).chain(hosts_v6(100_000)).map(|prefix| (prefix, &policy)));
    for (name, family, export, updates, octets) in cases {
        let dump = routes.export(&export).dump(family);
        assert_eq!((dump.updates, dump.octets.len(), dump.routes), (updates, octets, 100_000), "{name}");
    }
}

#[test]
fn a_hundred_thousand_withdrawals_fill_as_few_updates_as_can_be() {
    for (family, updates, octets) in [("IPv4", 123, 502_829), ("IPv6", 419, 1_712_570)] {
        let known = if family == "IPv4" { all(hosts_v4(100_000)) } else { all(hosts_v6(100_000)) };
        let mut encoded = BytesMut::new();
        let changes = Changes::between(&known, &Snapshot::default());
        let sent = changes.encode(AsNumbers::FourOctets, &mut encoded);
        assert_eq!((sent, encoded.len()), (updates, octets), "{family}");
    }
}

#[test]
fn one_route_more_is_one_update_with_one_route() {
    let (few, more) = (all(hosts_v4(100_000)), all(hosts_v4(100_001)));
    let mut encoded = BytesMut::new();
    let sent = Changes::between(&few, &more).encode(AsNumbers::FourOctets, &mut encoded);
    assert_eq!((sent, encoded.len()), (1, 48));
}

#[test]
fn peers_with_equal_exports_share_the_snapshot_and_its_dump_and_all_peers_share_the_prefixes() {
    let policy = Policy::default();
    let routes = Routes::new(hosts_v4(1000).map(|prefix| (prefix, &policy)));
    let [one, same, other] =
        [external(), external(), internal()].map(|peer| routes.export(&export(&peer, Policy::default())));
    assert!(std::sync::Arc::ptr_eq(&one, &same));
    let [dump, again] = [&one, &same].map(|snapshot| snapshot.dump(Family::IPV4_UNICAST));
    assert_eq!(dump.octets.as_ptr(), again.octets.as_ptr());
    let [ours, theirs] =
        [&one, &other].map(|snapshot| snapshot.groups().map(|(_, list)| list.as_ptr()).next());
    assert_eq!(ours, theirs);
}

#[test]
fn a_route_costs_less_than_32_octets_with_its_share_of_the_dump() {
    let snapshot = all(hosts_v4(100_000));
    let dump = snapshot.dump(Family::IPV4_UNICAST);
    assert!(size_of::<IpNet>() + dump.octets.len() / 100_000 < 32, "{}", size_of::<IpNet>());
}

fn all(prefixes: impl Iterator<Item = IpNet>) -> std::sync::Arc<Snapshot> {
    let policy = Policy::default();
    Routes::new(prefixes.map(|prefix| (prefix, &policy))).export(&export(&external(), Policy::default()))
}

//! What each kind of peer hears of a route.

use vipcast_proto::bgp::adj_rib_out::{Export, Local, Omission, Omitted, Policy, link_bandwidth};
use vipcast_proto::bgp::fsm::Negotiated;
use vipcast_proto::bgp::types::{Asn, Attributes, Family, NextHop};

use crate::rig::{LINK_LOCAL, US, V4, dual_stack, export, external, internal, prefix, snapshot, table};

#[test]
fn an_external_peer_hears_our_as_and_no_preference() {
    let policy = Policy { local_pref: Some(200), ..Policy::default() };
    let expected = Attributes { as_path: vec![US], ..plain(NextHop::V4(V4)) };
    assert_eq!(said(&export(&external(), policy), &Policy::default(), "10.0.0.1/32"), Some(expected));
}

#[test]
fn an_internal_peer_hears_a_preference_and_no_as() {
    let cases = [(None, None, 100), (Some(200), None, 200), (Some(200), Some(300), 300)];
    for (of_peer, of_routes, local_pref) in cases {
        let peer = Policy { local_pref: of_peer, prepend: 3, ..Policy::default() };
        let routes = Policy { local_pref: of_routes, ..Policy::default() };
        let expected = Attributes { local_pref: Some(local_pref), ..plain(NextHop::V4(V4)) };
        assert_eq!(said(&export(&internal(), peer), &routes, "10.0.0.1/32"), Some(expected));
    }
}

#[test]
fn the_routes_have_the_last_word_and_communities_add_up() {
    let peer = Policy {
        prepend: 1,
        med: Some(10),
        communities: [1, 3].into(),
        extended_communities: [[1; 8]].into(),
        large_communities: [[1, 2, 3]].into(),
        ..Policy::default()
    };
    let routes = Policy {
        prepend: 2,
        med: Some(20),
        communities: [2, 3].into(),
        extended_communities: [link_bandwidth(US, 1.25e9)].into(),
        large_communities: [[1, 2, 2]].into(),
        ..Policy::default()
    };
    let expected = Attributes {
        as_path: vec![US; 4],
        next_hop: NextHop::V4(V4),
        med: Some(20),
        local_pref: None,
        communities: vec![1, 2, 3],
        extended_communities: vec![[0, 4, 0xfd, 0xe9, 0x4e, 0x95, 0x02, 0xf9], [1; 8]],
        large_communities: vec![[1, 2, 2], [1, 2, 3]],
    };
    assert_eq!(said(&export(&external(), peer), &routes, "10.0.0.1/32"), Some(expected));
}

#[test]
fn no_as_path_is_longer_than_one_sequence_holds() {
    let most = Policy { prepend: 255, ..Policy::default() };
    let attributes = said(&export(&external(), most.clone()), &most, "10.0.0.1/32").unwrap();
    assert_eq!(attributes.as_path, [US; 255]);
}

#[test]
fn a_four_octet_as_in_a_link_bandwidth_is_as_trans() {
    assert_eq!(link_bandwidth(Asn(4_200_000_000), 0.0), [0, 4, 0x5b, 0xa0, 0, 0, 0, 0]);
}

#[test]
fn while_draining_routes_are_to_be_avoided() {
    let routes = Policy { local_pref: Some(300), communities: [7].into(), ..Policy::default() };
    let communities = vec![7, 0xffff_0000];
    let inside = export(&internal(), Policy::default()).graceful_shutdown();
    let expected =
        Attributes { local_pref: Some(0), communities: communities.clone(), ..plain(NextHop::V4(V4)) };
    assert_eq!(said(&inside, &routes, "10.0.0.1/32"), Some(expected));
    let outside = export(&external(), Policy::default()).graceful_shutdown();
    let expected = Attributes { as_path: vec![US], communities, ..plain(NextHop::V4(V4)) };
    assert_eq!(said(&outside, &routes, "10.0.0.1/32"), Some(expected));
}

#[test]
fn the_next_hop_is_the_routes_then_the_peers_then_ours() {
    let extended = Negotiated { extended_next_hop: true, ..external() };
    let fixed = Policy {
        next_hop_v4: Some([192, 0, 2, 9].into()),
        next_hop_v6: Some("2001:db8::9".parse().unwrap()),
        ..Policy::default()
    };
    let nothing = Policy::default;
    let both = Local { link_local: Some(LINK_LOCAL), ..dual_stack() };
    let unnumbered = Local { v4: None, v6: None, link_local: Some(LINK_LOCAL) };
    let no_address = Local::default();
    let v4 = |last| Some(NextHop::V4([192, 0, 2, last].into()));
    let v6 = |last, link_local| {
        Some(NextHop::V6 { address: [0x2001, 0xdb8, 0, 0, 0, 0, 0, last].into(), link_local })
    };
    let only_link_local = Some(NextHop::V6 { address: LINK_LOCAL, link_local: None });
    // Session, addresses of ours, policy of the peer, policy of the routes, next hops of IPv4 and IPv6 routes.
    let cases = [
        (external(), dual_stack(), nothing(), nothing(), v4(1), v6(1, None)),
        (external(), both, nothing(), nothing(), v4(1), v6(1, Some(LINK_LOCAL))),
        (external(), both, fixed.clone(), nothing(), v4(9), v6(9, None)),
        (external(), both, nothing(), fixed.clone(), v4(9), v6(9, None)),
        (external(), unnumbered, nothing(), nothing(), None, only_link_local),
        (extended.clone(), unnumbered, nothing(), nothing(), only_link_local, only_link_local),
        (extended.clone(), unnumbered, fixed.clone(), nothing(), v4(9), v6(9, None)),
        (extended.clone(), dual_stack(), nothing(), nothing(), v4(1), v6(1, None)),
        (extended, no_address, nothing(), nothing(), None, None),
    ];
    for (session, local, peer, routes, of_v4, of_v6) in cases {
        let export = Export::new(US, peer, &session, &local);
        let next_hop = |text| said(&export, &routes, text).map(|attributes| attributes.next_hop);
        assert_eq!((next_hop("10.0.0.1/32"), next_hop("2001:db8:1::1/128")), (of_v4, of_v6), "{export:?}");
    }
}

#[test]
fn only_negotiated_families_are_exported_and_what_is_missing_is_named() {
    let none = Policy::default();
    let verbose = Policy { communities: (0..1100).collect(), ..Policy::default() };
    let routes = [("10.0.0.1/32", &none), ("10.0.0.2/32", &verbose), ("2001:db8::1/128", &none)];
    let ipv4_only = Negotiated { families: [Family::IPV4_UNICAST].into(), ..external() };
    let reduced = snapshot(&routes, &export(&ipv4_only, Policy::default()));
    let kept: Vec<_> = table(&reduced).into_keys().collect();
    assert_eq!(kept, [prefix("10.0.0.1/32")]);
    let [Omitted { family: Family::IPV4_UNICAST, routes: 1, why: Omission::TooLong(why) }] =
        reduced.omitted()
    else {
        panic!("{:?}", reduced.omitted())
    };
    assert_eq!(why.to_string(), "path attributes of 4447 octets leave no room for a route in an UPDATE");
    let no_v6 = Export::new(US, Policy::default(), &external(), &Local { v6: None, ..dual_stack() });
    let reduced = snapshot(&[("2001:db8::1/128", &none)], &no_v6);
    let omitted = Omitted { family: Family::IPV6_UNICAST, routes: 1, why: Omission::NoNextHop };
    assert_eq!((reduced.len(), reduced.omitted()), (0, &[omitted][..]));
}

#[test]
fn policies_that_say_the_same_to_a_peer_are_one_group() {
    let (low, high) = (
        Policy { local_pref: Some(1), ..Policy::default() },
        Policy { local_pref: Some(2), ..Policy::default() },
    );
    let routes = [("10.0.0.3/32", &low), ("10.0.0.2/32", &high), ("10.0.0.1/32", &low)];
    let groups = |export| {
        let snapshot = snapshot(&routes, &export);
        snapshot.groups().map(|(_, prefixes)| prefixes.to_vec()).collect::<Vec<_>>()
    };
    let [one, two, three] = ["10.0.0.1/32", "10.0.0.2/32", "10.0.0.3/32"].map(prefix);
    assert_eq!(groups(export(&external(), Policy::default())), [vec![one, two, three]]);
    assert_eq!(groups(export(&internal(), Policy::default())), [vec![one, three], vec![two]]);
}

fn said(export: &Export, routes: &Policy, text: &str) -> Option<Attributes> {
    snapshot(&[(text, routes)], export).get(&prefix(text)).cloned()
}

fn plain(next_hop: NextHop) -> Attributes {
    Attributes {
        as_path: vec![],
        next_hop,
        med: None,
        local_pref: None,
        communities: vec![],
        extended_communities: vec![],
        large_communities: vec![],
    }
}

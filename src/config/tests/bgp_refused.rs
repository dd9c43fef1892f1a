//! What does not go together in the configuration of BGP, and in what words it is refused.

use super::bgp::{BGP, complaints, with_file};
use super::with;

fn file_complaints(lines: &str) -> Vec<String> {
    with_file(lines).unwrap_err().problems.iter().map(ToString::to_string).collect()
}

#[test]
fn what_does_not_go_together_is_refused_by_the_name_it_was_given_under() {
    for (more, expected) in TOGETHER {
        assert_eq!(complaints(more), [*expected], "{more:?}");
    }
    let without = with(BGP).unwrap_err();
    assert_eq!(
        without.to_string(),
        "bgp_peers: BGP is switched on without a router to talk to; set bgp_peers to address and AS number of \
         routers, for example bgp_peers=192.0.2.1:65001"
    );
    assert_eq!(with(&[BGP, &[("annotation", "bgp.example.org")]].concat()).unwrap().notices, vec![]);
}

#[test]
fn what_is_said_of_one_peer_is_refused_by_its_place_in_the_file() {
    for (peer, expected) in OF_A_PEER {
        let found = file_complaints(&format!("  peers:\n    - {{{peer}}}\n"));
        let expected: Vec<String> =
            expected.iter().map(|expected| expected.replace("(7)", "(vipcast.yaml line 7)")).collect();
        assert_eq!(found, expected, "{peer}");
    }
}

#[test]
fn groups_of_addresses_are_refused_by_their_place() {
    let peers = "  peers: [{address: 198.51.100.1, as: 65001}]\n  addressGroups:\n";
    let found = |groups: &str| file_complaints(&format!("{peers}{groups}"));
    assert_eq!(
        found("    - {med: 1}\n    - {prefixes: 192.0.2.1/24}\n    - {prefixes: x, med: -1}\n"),
        [
            "bgp.addressGroups[0] (vipcast.yaml line 8): without a prefix; add prefixes, those of the VIPs",
            "bgp.addressGroups[1].prefixes=192.0.2.1/24 (vipcast.yaml line 9): 192.0.2.1/24 has bits beyond its length; \
             write 192.0.2.0/24",
            "bgp.addressGroups[2].prefixes=x (vipcast.yaml line 10): \"x\" is no prefix; \
             write prefixes such as 192.0.2.0/24 or 2001:db8::/64, or addresses",
            "bgp.addressGroups[2].med=-1 (vipcast.yaml line 10): not a whole number in range; write 0 to 4294967295",
        ]
    );
    assert_eq!(
        found("    - {prefixes: 192.0.2.0/24}\n    - {prefixes: [192.0.2.0/25, 192.0.2.0/24]}\n"),
        [
            "bgp.addressGroups[1].prefixes=192.0.2.0/25,192.0.2.0/24 (vipcast.yaml line 9): 192.0.2.0/24 is in a group \
          before; write every prefix once"
        ]
    );
}

/// Settings beside a router at 198.51.100.1 in AS 65001, and what is complained of.
const TOGETHER: &[(&[(&str, &str)], &str)] = &[
    (
        &[("bgp_as", "0")],
        "bgp_as=0 (environment): reserved by RFC 7607, nobody has it; write 1 to 4294967294, or as asdot 1.10",
    ),
    (
        &[("bgp_as", "23456")],
        "bgp_as=23456 (environment): AS_TRANS, which stands for other numbers (RFC 6793); \
         write 1 to 4294967294, or as asdot 1.10",
    ),
    (
        &[("bgp_as", "65535")],
        "bgp_as=65535 (environment): reserved by RFC 7300, nobody has it; write 1 to 4294967294, or as asdot 1.10",
    ),
    (
        &[("bgp_as", "AS65000")],
        "bgp_as=AS65000 (environment): not an AS number; write 1 to 4294967294, or as asdot 1.10",
    ),
    (
        &[("bgp_as", "1.65536")],
        "bgp_as=1.65536 (environment): not an AS number; write 1 to 4294967294, or as asdot 1.10",
    ),
    (
        &[("bgp_routerid", "0.0.0.0")],
        "bgp_routerid=0.0.0.0 (environment): zero, which no speaker may have (RFC 6286); \
         write an IPv4 address of the node, or nothing to have it found",
    ),
    (
        &[("bgp_routerid", "224.0.0.1")],
        "bgp_routerid=224.0.0.1 (environment): no unicast address, which older routers refuse; \
         write an IPv4 address of the node, or nothing to have it found",
    ),
    (
        &[("bgp_routerid", "192.0.2.10")],
        "bgp_routerid=192.0.2.10 (environment): the VIP, which is not one node's, and every node has to have a router ID of \
         its own; leave it out",
    ),
    (
        &[("bgp_sourceip", "192.0.2.1"), ("bgp_sourceif", "eth0")],
        "bgp_sourceif=eth0 (environment): contradicts bgp_sourceip; keep one of the two",
    ),
    (
        &[("bgp_sourceif", "lo")],
        "bgp_sourceif=lo (environment): no router is reached out of the loopback interface; \
         name another, or give the address of lo in bgp_sourceip",
    ),
    (
        &[("bgp_hold_time", "2")],
        "bgp_hold_time=2 (environment): neither 0 nor at least 3, which BGP demands (RFC 4271); \
         write 0, or 3 to 65535 seconds",
    ),
    (
        &[("bgp_hold_time", "65536")],
        "bgp_hold_time=65536 (environment): more than BGP can say; write 0, or 3 to 65535 seconds",
    ),
    (
        &[("bgp_hold_time", "9"), ("bgp_keepalive_interval", "4")],
        "bgp_keepalive_interval=4s (environment): more than a third of bgp_hold_time, 9s: two lost messages would end the \
         session; write at most 3, or leave it out",
    ),
    (
        &[("vipcast_bgp_send_hold", "30")],
        "vipcast_bgp_send_hold=30s (environment): not longer than bgp_hold_time, 30s, as RFC 9687 demands; \
         write at least 31, or leave it out",
    ),
    (
        &[("vipcast_bgp_password", "a"), ("vipcast_bgp_password_file", "/a/b")],
        "vipcast_bgp_password_file=/a/b (environment): contradicts vipcast_bgp_password; keep one of the two",
    ),
    (
        &[("vipcast_bgp_tcp_ao_send_id", "1")],
        "vipcast_bgp_tcp_ao_send_id=1 (environment): TCP-AO without a password; give a file or a Secret with the password",
    ),
    (
        &[("mpbgp_nexthop", "fixed")],
        "mpbgp_nexthop=fixed (environment): without an address; set mpbgp_ipv4, mpbgp_ipv6 or both",
    ),
    (
        &[("mpbgp_nexthop", "auto_sourceif"), ("mpbgp_ipv4", "192.0.2.1")],
        "mpbgp_nexthop=found (environment): contradicts the addresses that are given; \
         write fixed, or leave the addresses out",
    ),
    (
        &[("bgp_peeraddress", "198.51.100.1")],
        "bgp_peers[0] (environment): there twice; write every router once",
    ),
    (
        &[("bgp_peeraddress", "fe80::1")],
        "bgp_peeraddress=fe80::1 (environment): link-local, and so on no interface in particular; \
         write it with its interface, such as fe80::1%eth0",
    ),
    (
        &[("bgp_peeraddress", "192.0.2.10")],
        "bgp_peeraddress=192.0.2.10 (environment): 192.0.2.10 is the VIP; write the router's address",
    ),
    (
        &[("vipcast_bgp_bfd_transmit_interval", "300")],
        "vipcast_bgp_bfd_transmit_interval=300 (environment): out of range: a number without a unit is seconds; \
         write 300ms, or a duration from 10ms to 60s",
    ),
    (
        &[("vipcast_bgp_drain_communication", "a\nb")],
        "vipcast_bgp_drain_communication=a\\nb (environment): more than one line; write one line",
    ),
    (
        &[("vipcast_bgp_communities", "65536:1")],
        "vipcast_bgp_communities=65536:1 (environment): \"65536:1\" is no such community; \
         write for example 65000:100, or no-export",
    ),
    (
        &[("vipcast_bgp_link_bandwidth", "10Gbit")],
        "vipcast_bgp_link_bandwidth=10Gbit (environment): not a rate in bits a second; \
         write for example 10G, 2500M or 1000000000",
    ),
    (
        &[("annotation", "bgp/x")],
        "annotation=bgp/x (environment): not the prefix of an annotation; \
         write what stands before the slash of the annotations, such as bgp.kube-vip.io",
    ),
    (
        &[("vipcast_bgp_families", "vpnv4")],
        "vipcast_bgp_families=vpnv4 (environment): \"vpnv4\" is no family; write ipv4, ipv6, or both",
    ),
];

/// Fields of the only peer, on line 7, and what is complained of.
const OF_A_PEER: &[(&str, &[&str])] = &[
    (
        "address: 198.51.100.1, as: 65001, localPreference: 200",
        &[
            "bgp.peers[0].localPreference=200 (7): a router of another Autonomous System is told no LOCAL_PREF; \
           use med or prepend",
        ],
    ),
    (
        "address: 198.51.100.1, as: 65000, prepend: 2",
        &[
            "bgp.peers[0].prepend=2 (7): a router of our own Autonomous System takes its number in the path for a loop; \
           use localPreference",
        ],
    ),
    (
        "address: 198.51.100.1, as: 65001, sourceAddress: '2001:db8::1'",
        &["bgp.peers[0].sourceAddress=2001:db8::1 (7): 198.51.100.1 is of the other family; \
           write an address of the router's family"],
    ),
    (
        "address: 198.51.100.1, as: 65001, multihop: 2, bfd: {enabled: true, multihop: false}",
        &[
            "bgp.peers[0].bfd.multihop=false (7): the router may be 2 links away, and BFD over one link does not reach so far; \
           leave it out, or leave multihop out",
        ],
    ),
    (
        "interface: eth0, as: 65001, multihop: true, bfd: {enabled: true, multihop: true}, sourceInterface: eth1",
        &[
            "bgp.peers[0].sourceInterface=eth1 (7): unnumbered:eth0 is on another; leave it out",
            "bgp.peers[0].multihop=true (7): a link-local address is on this link; leave it out",
            "bgp.peers[0].bfd.multihop=true (7): a link-local address is on this link; leave it out",
        ],
    ),
    (
        "interface: lo, as: 65001",
        &[
            "bgp.peers[0].interface=lo (7): its interface is none that leads to a router; write for example eth0",
        ],
    ),
    (
        "address: 198.51.100.1, interface: eth0, as: 65001",
        &["bgp.peers[0].interface=eth0 (7): 198.51.100.1 is no address of its link; \
           use sourceInterface, or leave it out"],
    ),
    (
        "address: 198.51.100.1, as: 65001, bfd: {strict: true}",
        &["bgp.peers[0].bfd.strict=true (7): without BFD; set bfd.enabled to true as well"],
    ),
    (
        "address: 198.51.100.1, as: 65001, holdTime: 9, keepalive: 10",
        &[
            "bgp.peers[0].keepalive=10 (7): more than a third of bgp.peers[0].holdTime, 9s: two lost messages would end the \
           session; write at most 3, or leave it out",
        ],
    ),
    (
        "address: 198.51.100.1, as: 65001, password: a, passwordFile: /b, passwordSecret: {name: c}",
        &[
            "bgp.peers[0].passwordFile=/b (7): contradicts bgp.peers[0].password; keep one of the two",
            "bgp.peers[0].passwordSecret.name=c (7): contradicts bgp.peers[0].password; keep one of the two",
        ],
    ),
    (
        "address: 192.0.2.10, as: 65001",
        &["bgp.peers[0].address=192.0.2.10 (7): 192.0.2.10 is the VIP; write the router's address"],
    ),
    (
        "address: [198.51.100.1], as: 65001, bfd: 3, pasword: x",
        &[
            "bgp.peers[0].address (7): a list; write a single value",
            "bgp.peers[0].bfd (7): a group of settings, not a value; write its settings below it",
            "bgp.peers[0].pasword (7): unknown, did you mean password?; vipcast config --schema lists every key",
        ],
    ),
];

//! What is permitted in the configuration of BGP, and without effect or seldom meant.

use super::bgp::words;

#[test]
fn what_is_seldom_meant_is_worth_a_word() {
    let table: &[(&[(&str, &str)], &str)] = &[
        (
            &[("address", "192.0.2.10,2001:db8::10")],
            "address: 2001:db8::10 is announced to nobody: sessions carry the family of the peer's address. \
             Add ipv6 to families (vipcast_bgp_families=ipv4,ipv6), or set mpbgp_nexthop",
        ),
        (
            &[("bgp_hold_time", "0")],
            "bgp_peers[0]: without a hold time and without BFD a router keeps the routes of a node that is gone",
        ),
        (
            &[("vipcast_bgp_bfd_enabled", "true"), ("vipcast_bgp_graceful_restart_enabled", "true")],
            "bgp_peers[0]: graceful restart and BFD contradict each other: a router may drop the routes of a daemon that \
             restarts because its BFD is down, and keep those of a node that is gone",
        ),
        (&[("mpbgp_ipv4", "192.0.2.1")], "mpbgp_ipv4: without use unless mpbgp_nexthop is fixed"),
        (&[("mpbgp_nexthp", "fixed")], "mpbgp_nexthp: unknown, did you mean mpbgp_nexthop?"),
        (&[("annotatons", "bgp.example.org")], "annotatons: unknown, did you mean annotations?"),
        (
            &[("bgp_sourceip", "2001:db8::7")],
            "bgp_sourceip: dials nobody: no router has an address of its family",
        ),
        (
            &[
                ("bgp_sourceip", "192.0.2.7"),
                ("bgp_peers", "[2001:db8::1]:65001"),
                ("address", "2001:db8::10"),
            ],
            "bgp_sourceip: dials nobody: no router has an address of its family; it is the router ID all the same",
        ),
        (
            &[("bgp_peeras", "65001")],
            "bgp_peeras: without use: it is said of the router in bgp_peeraddress, and there is none",
        ),
        (
            &[("vipcast_bgp_address_groups", "[{prefixes: 203.0.113.0/24, med: 1}]")],
            "vipcast_bgp_address_groups[0]: without use: no VIP is in it",
        ),
        (
            &[
                ("bgp_peers", "[2001:db8::1]:65001"),
                ("address", "2001:db8::10"),
                ("vipcast_bgp_families", "ipv6"),
                ("mpbgp_nexthop", "fixed"),
                ("mpbgp_ipv4", "192.0.2.1"),
            ],
            "bgp_peers[0]: the fixed IPv4 next hop is without use: no IPv4 VIP is announced to this router",
        ),
        (
            &[("vip_leaderelection", "true")],
            "bgp_hold_time: 30s without BFD, longer than vip_leaseduration, 15s: routers may keep a dead holder's route \
             after the next one announces. Use BFD, or a shorter hold time",
        ),
        (
            &[("vip_leaderelection", "true"), ("bgp_hold_time", "9"), ("vipcast_bgp_drain_wait", "1s")],
            "vipcast_bgp_drain_wait: without use with a Lease: there is no other route to prefer, so routes are withdrawn \
             at once",
        ),
        (&[("annotations", "bgp.example.org")], "annotations: deprecated name, use annotation"),
        (
            &[("bgp_attach_ip_to_interface", "false")],
            "bgp_attach_ip_to_interface: no effect: a VIP that is announced is always bound, to lo where only BGP announces it",
        ),
    ];
    for (more, notice) in table {
        assert_eq!(words(more), [*notice], "{more:?}");
    }
    assert_eq!(
        words(&[("address", "192.0.2.10,2001:db8::10"), ("vipcast_bgp_families", "ipv4,ipv6")]),
        Vec::<String>::new()
    );
    for more in [
        &[("bgp_hold_time", "0"), ("vipcast_bgp_bfd_enabled", "true")][..],
        &[("vip_leaderelection", "true"), ("vipcast_bgp_bfd_enabled", "true")],
        &[("bgp_peeras", "65000"), ("bgp_sourceip", "192.0.2.7"), ("vipcast_bgp_drain_wait", "1s")],
        &[("annotation", "bgp.example.org"), ("bgp_peeras", "65001"), ("bgp_sourceip", "2001:db8::7")],
        &[("vipcast_bgp_address_groups", "[{prefixes: [203.0.113.0/24, 192.0.2.10], med: 1}]")],
        &[
            ("mpbgp_nexthop", "fixed"),
            ("mpbgp_ipv4", "192.0.2.1"),
            ("mpbgp_ipv6", "2001:db8::5"),
            ("vipcast_bgp_families", "ipv4"),
        ],
    ] {
        assert_eq!(words(more), Vec::<String>::new(), "{more:?}");
    }
    assert_eq!(
        words(&[("bgp_peerpass", "hunter2")])[0],
        "bgp_peerpass: without use: it is said of the router in bgp_peeraddress, and there is none"
    );
}

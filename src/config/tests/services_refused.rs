//! What is said of Services that cannot be.

use super::complaints;

fn refused(more: &[(&str, &str)]) -> Vec<String> {
    complaints(&[&[("svc_enable", "true")], more].concat())
}

#[test]
fn every_bad_value_is_refused_with_its_name_value_source_reason_and_fix() {
    let table = [
        (
            "svc_namespace",
            "Web",
            "not a Kubernetes name (lower-case letters, digits, - and .); write a namespace, such as kube-system",
        ),
        ("lb_class_name", "a b", "not a loadBalancerClass; write for example kube-vip.io/kube-vip-class"),
        (
            "vipcast_services_distribution",
            "all",
            "not a way to distribute; write lease, spread, leasePerService, everyNode",
        ),
        (
            "vipcast_services_distribution",
            "everyNode",
            "ARP and NDP have one answer for an address, and so one node; write spread or lease",
        ),
        (
            "vip_servicesinterface",
            "lo",
            "nobody asks for addresses on the loopback interface; name a LAN interface",
        ),
        ("vipcast_services_weight", "256", "not a whole number in range; write 0 to 255"),
        ("vipcast_services_requests", "any", "not one of the words it may be; write anywhere or inPools"),
        (
            "vipcast_services_pool_config_maps",
            "kubevip",
            "not a Kubernetes name (lower-case letters, digits, - and .); \
             write namespace/name, such as kube-system/kubevip, or off",
        ),
        ("egress_podcidr", "10.0.0.1/8", "10.0.0.1/8 has bits beyond its length; write 10.0.0.0/8"),
        (
            "vipcast_services_renew_deadline",
            "15s",
            "not shorter than vipcast_services_lease_duration, 15s; \
             leave at least a second to vipcast_services_lease_duration, for example 10 of 15",
        ),
    ];
    for (name, value, complaint) in table {
        assert_eq!(refused(&[(name, value)]), [format!("{name}={value} (environment): {complaint}")]);
    }
}

#[test]
fn what_is_not_there_yet_is_refused_by_the_name_it_was_given() {
    assert_eq!(
        refused(&[("disable_service_updates", "true")]),
        [
            "disable_service_updates (environment): announcing Services without the addresses in their status is not built \
          into this version; leave it out, or where somebody else writes the status set vipcast_services_allocate=false"
        ]
    );
}

#[test]
fn services_and_the_control_plane_have_a_lease_each() {
    let expected = ["svc_leasename=plndr-cp-lock (environment): names the same Lease as vip_leasename: \
                     two elections cannot share one; leave it out, or write another name"];
    assert_eq!(refused(&[("svc_leasename", "plndr-cp-lock")]), expected);
}

#[test]
fn two_ways_to_distribute_contradict() {
    assert_eq!(
        refused(&[("svc_election", "true"), ("vipcast_services_distribution", "spread")]),
        ["svc_election=true (environment): contradicts vipcast_services_distribution; \
          keep only vipcast_services_distribution"]
    );
}

#[test]
fn pools_are_blamed_by_their_place_and_all_at_once() {
    let pools = "[{name: lan, addresses: 192.0.2.0/24}, {name: lan, addresses: 192.0.3.0/24}, \
                 {addresses: 192.0.2.300}, {name: b, addresses: 192.0.2.7, avoid: 192.0.2.7}, \
                 {name: c, addresses: 192.0.2.9, serviceSelector: a b}, {name: d}, \
                 {name: e, addresses: '192.0.2.8,127.0.0.0/8,fe80::1'}, {name: f, addresses: 0.0.0.0/0}, \
                 {name: g, addresses: 192.0.2.10, serviceSelector: {matchLabels: {app: web}}}]";
    let expected = [
        "vipcast_services_pools[1].name=lan (environment): the name of a pool before; \
         give every pool a name of its own",
        "vipcast_services_pools[2].addresses=192.0.2.300 (environment): \"192.0.2.300\": neither a \
         network (192.0.2.0/24), nor a range (192.0.2.10-192.0.2.20), nor an address; write a network (192.0.2.0/24), a \
         range (192.0.2.10-192.0.2.20) or an address",
        "vipcast_services_pools[2] (environment): without a name; add a name, such as lan",
        "vipcast_services_pools[3].avoid=192.0.2.7 (environment): leaves none of its addresses; \
         avoid fewer of them",
        "vipcast_services_pools[4].serviceSelector=a b (environment): \"a b\" is no part of a label \
         selector; write for example app=web, or tier in (front,back), or !internal",
        "vipcast_services_pools[5] (environment): without addresses; \
         add addresses, such as 192.0.2.64/26",
        "vipcast_services_pools[6].addresses=192.0.2.8,127.0.0.0/8,fe80::1 (environment): \"127.0.0.0/8\": has \
         addresses that never can be a VIP: 127.0.0.0/8 (loopback); write only addresses that hosts of your \
         network can have",
        "vipcast_services_pools[6].addresses=192.0.2.8,127.0.0.0/8,fe80::1 (environment): \"fe80::1\": has \
         addresses that never can be a VIP: fe80::/10 (link-local); write only addresses that hosts of your \
         network can have",
        "vipcast_services_pools[7].addresses=0.0.0.0/0 (environment): \"0.0.0.0/0\": has addresses that never \
         can be a VIP: 0.0.0.0/8 (this network), 127.0.0.0/8 (loopback), 169.254.0.0/16 (link-local), \
         224.0.0.0/4 (multicast), 255.255.255.255/32 (broadcast); write only addresses that hosts of your \
         network can have",
        "vipcast_services_pools[8].serviceSelector (environment): a mapping; write selectors as kubectl has them, \
         such as `team=shops,tier in (front,api)`, several with `;` between: any of them will do",
    ];
    assert_eq!(refused(&[("vipcast_services_pools", pools)]), expected);
}

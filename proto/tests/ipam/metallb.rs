//! What MetalLB documents or does, case by case.

use vipcast_proto::ipam::metallb::{self, IpAddressPool, ServiceAllocation};
use vipcast_proto::ipam::{Forbidden, Ipam, LabelSelector, RequestFields, Requests, Settings};

use crate::support::{Service, create, outcome};

struct Case {
    name: &'static str,
    pools: Vec<IpAddressPool>,
    services: Vec<Service>,
    expected: &'static [&'static str],
}

/// As strict as MetalLB is.
const STRICT: Settings = Settings { requests: Requests::InPools, share_requested: false };

fn run(cases: Vec<Case>) {
    for case in cases {
        let pools = case.pools.iter().filter_map(|object| metallb::pool(object).0).collect();
        let mut ipam = Ipam::new(STRICT, pools, Forbidden::default());
        create(&mut ipam, &case.services);
        let names: Vec<_> = case.services.iter().map(|it| it.0.key.to_string()).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        assert_eq!(outcome(&ipam, &names), case.expected, "{}", case.name);
    }
}

fn pool(name: &str, addresses: &[&str]) -> IpAddressPool {
    IpAddressPool {
        name: name.into(),
        addresses: addresses.iter().map(|&it| it.to_owned()).collect(),
        auto_assign: true,
        avoid_buggy_ips: false,
        service_allocation: None,
    }
}

fn pinned(name: &str, addresses: &[&str], allocation: ServiceAllocation) -> IpAddressPool {
    IpAddressPool { service_allocation: Some(allocation), ..pool(name, addresses) }
}

fn namespaces(priority: u32, names: &[&str]) -> ServiceAllocation {
    let namespaces = names.iter().map(|&it| it.to_owned()).collect();
    ServiceAllocation { priority, namespaces, ..ServiceAllocation::default() }
}

fn selector(pairs: &[(&str, &str)]) -> Vec<LabelSelector> {
    let match_labels = pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    vec![LabelSelector { match_labels, match_expressions: vec![] }]
}

fn asks_for(name: &str, addresses: &str) -> Service {
    Service::new(name).asks(RequestFields { metallb: Some(addresses), ..RequestFields::default() })
}

#[test]
fn pools_serve_as_metallb_documents() {
    run(vec![
        Case {
            name: "autoAssign: false serves only who asks for it",
            pools: vec![IpAddressPool { auto_assign: false, ..pool("expensive", &["192.0.2.0/30"]) }],
            services: vec![Service::new("web/a"), Service::new("web/b").pool("expensive")],
            expected: &["web/a [an IPv4 address: no pool serves this Service]", "web/b 192.0.2.0"],
        },
        Case {
            name: "a pool that does not exist",
            pools: vec![pool("first", &["192.0.2.0/30"])],
            services: vec![Service::new("web/a").pool("second")],
            expected: &["web/a [an IPv4 address: there is no pool second]"],
        },
        Case {
            name: "avoidBuggyIPs",
            pools: vec![IpAddressPool { avoid_buggy_ips: true, ..pool("first", &["192.0.2.255-192.0.3.1"]) }],
            services: vec![Service::new("web/a"), asks_for("web/b", "192.0.3.0")],
            expected: &["web/a 192.0.3.1", "web/b [192.0.3.0: in no pool that serves this Service]"],
        },
        Case {
            name: "the pools of a namespace by priority, 0 being the last, then those for all",
            pools: vec![
                pool("all", &["192.0.2.1"]),
                pinned("zero", &["192.0.2.2"], namespaces(0, &["web"])),
                pinned("two", &["192.0.2.3"], namespaces(2, &["web"])),
                pinned("one", &["192.0.2.4"], namespaces(1, &["web"])),
            ],
            services: ["web/a", "web/b", "web/c", "web/d", "db/a"].map(Service::new).to_vec(),
            expected: &[
                "web/a 192.0.2.4",
                "web/b 192.0.2.3",
                "web/c 192.0.2.2",
                "web/d 192.0.2.1",
                "db/a [an IPv4 address: pool all (MetalLB): 1 of 1 IPv4 addresses used]",
            ],
        },
        Case {
            name: "namespaces by label",
            pools: vec![pinned(
                "first",
                &["192.0.2.1"],
                ServiceAllocation {
                    namespace_selectors: selector(&[("tenant", "blue")]),
                    ..ServiceAllocation::default()
                },
            )],
            services: vec![
                Service::new("web/a"),
                Service::new("web/b").namespace_labels(&[("tenant", "blue")]),
            ],
            expected: &["web/a [an IPv4 address: no pool serves this Service]", "web/b 192.0.2.1"],
        },
        Case {
            name: "Services by label, within the namespaces",
            pools: vec![pinned(
                "first",
                &["192.0.2.0/29"],
                ServiceAllocation {
                    service_selectors: selector(&[("app", "web")]),
                    ..namespaces(0, &["web"])
                },
            )],
            services: vec![
                Service::new("web/a").labels(&[("app", "web")]),
                Service::new("db/a").labels(&[("app", "web")]),
                Service::new("web/b"),
            ],
            expected: &[
                "web/a 192.0.2.0",
                "db/a [an IPv4 address: no pool serves this Service]",
                "web/b [an IPv4 address: no pool serves this Service]",
            ],
        },
        Case {
            name: "a pool that is asked for serves its namespaces all the same",
            pools: vec![pinned("first", &["192.0.2.0/29"], namespaces(0, &["web"]))],
            services: vec![Service::new("db/a").pool("first")],
            expected: &["db/a [an IPv4 address: no pool serves this Service]"],
        },
    ]);
}

#[test]
fn addresses_are_asked_for_as_metallb_documents() {
    run(vec![
        Case {
            name: "an address of a pool, and one of none",
            pools: vec![pool("first", &["192.0.2.0/29"])],
            services: vec![asks_for("web/a", "192.0.2.5"), asks_for("web/b", "203.0.113.1")],
            expected: &["web/a 192.0.2.5", "web/b [203.0.113.1: in no pool that serves this Service]"],
        },
        Case {
            name: "an address and a pool that does not have it",
            pools: vec![pool("first", &["192.0.2.0/29"]), pool("second", &["192.0.2.8/29"])],
            services: vec![asks_for("web/a", "192.0.2.5").pool("second")],
            expected: &["web/a [192.0.2.5: not in pool second (MetalLB), which the Service asks for]"],
        },
        Case {
            name: "an address that somebody has",
            pools: vec![pool("first", &["192.0.2.0/29"])],
            services: vec![Service::new("web/a"), asks_for("web/b", "192.0.2.0").ports(&[443])],
            expected: &["web/a 192.0.2.0", "web/b [192.0.2.0: web/a has it and one of them does not share]"],
        },
    ]);
}

#[test]
fn services_share_as_metallb_documents() {
    let first = || vec![pool("first", &["192.0.2.0/29"])];
    let shared = |name: &str, port| Service::new(name).ports(&[port]).sharing("key");
    run(vec![
        Case {
            name: "the same key and other ports, in any namespace",
            pools: first(),
            services: vec![
                shared("web/a", 80),
                shared("db/a", 443),
                shared("web/b", 80),
                shared("web/c", 53).udp(80),
            ],
            expected: &["web/a 192.0.2.0", "db/a 192.0.2.0", "web/b 192.0.2.1", "web/c 192.0.2.0"],
        },
        Case {
            name: "another key",
            pools: first(),
            services: vec![
                shared("web/a", 80),
                asks_for("web/b", "192.0.2.0").ports(&[443]).sharing("other"),
                asks_for("web/c", "192.0.2.0").ports(&[443]),
            ],
            expected: &[
                "web/a 192.0.2.0",
                "web/b [192.0.2.0: web/a has it and their sharing keys differ]",
                "web/c [192.0.2.0: web/a has it and their sharing keys differ]",
            ],
        },
        Case {
            name: "without keys nobody shares, whoever asks",
            pools: first(),
            services: vec![
                asks_for("web/a", "192.0.2.1").ports(&[80]),
                asks_for("web/b", "192.0.2.1").ports(&[443]),
            ],
            expected: &["web/a 192.0.2.1", "web/b [192.0.2.1: web/a has it and one of them does not share]"],
        },
        Case {
            name: "externalTrafficPolicy Local: only with the same Pods",
            pools: first(),
            services: vec![
                shared("web/a", 80).local(&[("app", "a")]),
                shared("web/b", 443).local(&[("app", "a")]),
                shared("web/c", 8080).local(&[("app", "c")]),
                shared("web/d", 8081),
                // The same labels, but other Pods.
                shared("db/a", 8082).local(&[("app", "a")]),
            ],
            expected: &[
                "web/a 192.0.2.0",
                "web/b 192.0.2.0",
                "web/c 192.0.2.1",
                "web/d 192.0.2.2",
                "db/a 192.0.2.3",
            ],
        },
    ]);
}

#[test]
fn who_asks_for_another_pool_moves_there() {
    let pools = ["first", "second"].iter().zip(["192.0.2.1", "192.0.2.2"]);
    let pools = pools.filter_map(|(name, address)| metallb::pool(&pool(name, &[address])).0).collect();
    let mut ipam = Ipam::new(STRICT, pools, Forbidden::default());
    create(&mut ipam, &[Service::new("web/a"), Service::new("web/a").pool("second")]);
    assert_eq!(outcome(&ipam, &["web/a"]), ["web/a 192.0.2.2"]);
}

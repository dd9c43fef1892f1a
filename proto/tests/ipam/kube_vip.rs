//! What kube-vip and its cloud provider document or do, case by case.

use vipcast_proto::ipam::{Family, FamilyPolicy, Ipam, Request, RequestFields, kube_vip};

use crate::support::{Service, create, ipam, outcome};

struct Case {
    name: &'static str,
    config: &'static [(&'static str, &'static str)],
    services: Vec<Service>,
    expected: &'static [&'static str],
}

fn from(config: &[(&str, &str)]) -> Ipam {
    ipam(kube_vip::parse(config.iter().copied()).0)
}

fn run(cases: Vec<Case>) {
    for case in cases {
        let mut ipam = from(case.config);
        create(&mut ipam, &case.services);
        let names: Vec<_> = case.services.iter().map(|it| it.0.key.to_string()).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        assert_eq!(outcome(&ipam, &names), case.expected, "{}", case.name);
    }
}

fn all(names: &[&str]) -> Vec<Service> {
    names.iter().map(|name| Service::new(name)).collect()
}

#[test]
fn pools_serve_as_the_cloud_provider_documents() {
    run(vec![
        Case {
            name: "the namespace's pool, then the global one for all others",
            config: &[("cidr-web", "192.0.2.8/30"), ("cidr-global", "198.51.100.8/30")],
            services: all(&["web/a", "db/a"]),
            expected: &["web/a 192.0.2.8", "db/a 198.51.100.8"],
        },
        Case {
            name: "a namespace with a pool of its own gets nothing from the global one",
            config: &[("range-web", "192.0.2.8-192.0.2.8"), ("cidr-global", "198.51.100.8/30")],
            services: all(&["web/a", "web/b"]),
            expected: &[
                "web/a 192.0.2.8",
                "web/b [an IPv4 address: pool range-web (kube-vip): 1 of 1 IPv4 addresses used]",
            ],
        },
        Case {
            name: "several ranges in one value",
            config: &[("range-global", "192.0.2.9-192.0.2.9,192.0.2.4-192.0.2.4")],
            services: all(&["web/a", "web/b"]),
            expected: &["web/a 192.0.2.4", "web/b 192.0.2.9"],
        },
        Case {
            name: "search-order desc",
            config: &[("range-global", "192.0.2.4-192.0.2.9"), ("search-order", "desc")],
            services: all(&["web/a", "web/b"]),
            expected: &["web/a 192.0.2.9", "web/b 192.0.2.8"],
        },
        Case {
            name: "skip-end-ips-in-cidr",
            config: &[("cidr-global", "192.0.2.8/29"), ("skip-end-ips-in-cidr", "true")],
            services: all(&["web/a"]),
            expected: &["web/a 192.0.2.9"],
        },
        Case {
            name: ".0 and .255 are never given",
            config: &[("range-global", "192.0.2.255-192.0.3.1")],
            services: all(&["web/a", "web/b"]),
            expected: &[
                "web/a 192.0.3.1",
                "web/b [an IPv4 address: pool range-global (kube-vip): 1 of 1 IPv4 addresses used]",
            ],
        },
        Case {
            name: "no pool at all",
            config: &[("cidr-web", "192.0.2.0/24")],
            services: all(&["db/a"]),
            expected: &["db/a [an IPv4 address: no pool serves this Service]"],
        },
        Case {
            name: "DHCP is not supported, and does not fall back to the global pool",
            config: &[("cidr-web", "0.0.0.0/32"), ("cidr-global", "192.0.2.0/24")],
            services: all(&["web/a"]),
            expected: &["web/a [an IPv4 address: no pool serves this Service]"],
        },
        Case {
            name: "a mistake does not lead to the global pool",
            config: &[("cidr-web", "192.0.2.0/40"), ("cidr-global", "192.0.2.0/24")],
            services: all(&["web/a", "db/a"]),
            expected: &["web/a [an IPv4 address: no pool serves this Service]", "db/a 192.0.2.1"],
        },
        Case {
            name: "both families from one key",
            config: &[("cidr-global", "192.0.2.0/24,2001:db8::/64")],
            services: vec![
                Service::new("web/a").families(FamilyPolicy::RequireDualStack, &[Family::V6, Family::V4]),
            ],
            expected: &["web/a 2001:db8:: 192.0.2.1"],
        },
    ]);
}

#[test]
fn services_share_as_the_cloud_provider_documents() {
    const SHARED: &[(&str, &str)] =
        &[("cidr-global", "192.0.2.0/29,2001:db8::/64"), ("allow-share-web", "true")];
    let v6 = |name| Service::new(name).families(FamilyPolicy::SingleStack, &[Family::V6]);
    run(vec![
        Case {
            name: "allow-share: disjoint ports share, the same port does not",
            config: SHARED,
            services: vec![
                Service::new("web/a").ports(&[80]),
                Service::new("web/b").ports(&[443]),
                Service::new("web/c").ports(&[443, 8443]),
                Service::new("web/d").ports(&[80]),
            ],
            expected: &["web/a 192.0.2.1", "web/b 192.0.2.1", "web/c 192.0.2.2", "web/d 192.0.2.2"],
        },
        Case {
            name: "allow-share: TCP and UDP do not meet (they do in the cloud provider)",
            config: SHARED,
            services: vec![Service::new("web/a").ports(&[53]), Service::new("web/b").udp(53)],
            expected: &["web/a 192.0.2.1", "web/b 192.0.2.1"],
        },
        Case {
            name: "allow-share: only in that namespace",
            config: SHARED,
            services: vec![Service::new("web/a").ports(&[80]), Service::new("db/a").ports(&[5432])],
            expected: &["web/a 192.0.2.1", "db/a 192.0.2.2"],
        },
        Case {
            name: "allow-share: without ports nothing is shared",
            config: SHARED,
            services: vec![Service::new("web/a").ports(&[]), Service::new("web/b").ports(&[80])],
            expected: &["web/a 192.0.2.1", "web/b 192.0.2.2"],
        },
        Case {
            name: "allow-share: IPv4 only",
            config: SHARED,
            services: vec![v6("web/a").ports(&[80]), v6("web/b").ports(&[443])],
            expected: &["web/a 2001:db8::", "web/b 2001:db8::1"],
        },
        Case {
            name: "allow-share: externalTrafficPolicy Local shares only with the same Pods",
            config: SHARED,
            services: vec![
                Service::new("web/a").ports(&[80]).local(&[("app", "a")]),
                Service::new("web/b").ports(&[443]),
                Service::new("web/c").ports(&[8080]).local(&[("app", "a")]),
                Service::new("web/d").ports(&[9090]).local(&[("app", "d")]),
            ],
            expected: &["web/a 192.0.2.1", "web/b 192.0.2.2", "web/c 192.0.2.1", "web/d 192.0.2.3"],
        },
        Case {
            name: "two that ask for one address share it where their ports are disjoint",
            config: &[],
            services: vec![
                Service::new("web/a").ports(&[80]).asks_for("192.0.2.7"),
                Service::new("db/a").ports(&[443]).asks_for("192.0.2.7"),
                Service::new("web/c").ports(&[443]).asks_for("192.0.2.7"),
            ],
            expected: &[
                "web/a 192.0.2.7",
                "db/a 192.0.2.7",
                "web/c [192.0.2.7: db/a has it and both use TCP/443]",
            ],
        },
    ]);
}

#[test]
fn addresses_are_asked_for_as_kube_vip_documents() {
    let spec = |text| RequestFields { load_balancer_ip: Some(text), ..RequestFields::default() };
    run(vec![
        Case {
            name: "any address, in a pool or not",
            config: &[("cidr-global", "192.0.2.0/24")],
            services: vec![
                Service::new("web/a").asks_for("203.0.113.9"),
                Service::new("web/b").asks(spec("192.0.2.0")),
            ],
            expected: &["web/a 203.0.113.9", "web/b 192.0.2.0"],
        },
        Case {
            name: "the annotation before spec.loadBalancerIP",
            config: &[],
            services: vec![
                Service::new("web/a")
                    .asks(RequestFields { kube_vip: Some("203.0.113.9"), ..spec("203.0.113.8") }),
            ],
            expected: &["web/a 203.0.113.9"],
        },
        Case {
            name: "a DNS name or 0.0.0.0 does not fall back to a pool",
            config: &[("cidr-global", "192.0.2.0/24")],
            services: vec![
                Service::new("web/a").asks_for("web.example.com"),
                Service::new("web/b").asks_for("0.0.0.0"),
            ],
            expected: &[
                "web/a [\"web.example.com\": not an IP address; DNS names are not supported here]",
                "web/b [\"0.0.0.0\": addresses from DHCP are not supported]",
            ],
        },
        Case {
            name: "what is asked for is not given to another",
            config: &[("range-global", "192.0.2.1-192.0.2.2")],
            services: vec![
                Service::new("web/a").asks_for("192.0.2.1"),
                Service::new("web/b"),
                Service::new("web/c"),
            ],
            expected: &[
                "web/a 192.0.2.1",
                "web/b 192.0.2.2",
                "web/c [an IPv4 address: pool range-global (kube-vip): 2 of 2 IPv4 addresses used]",
            ],
        },
    ]);
}

#[test]
fn the_interface_of_the_namespace_comes_with_the_address() {
    let mut ipam =
        from(&[("cidr-global", "192.0.2.0/24"), ("interface-web", "eth1"), ("interface-global", "eth0")]);
    create(&mut ipam, &all(&["web/a", "db/a"]));
    let interface = |name| ipam.decision(&crate::support::key(name)).unwrap().assigned[0].interface.clone();
    assert_eq!(["web/a", "db/a"].map(interface), [Some("eth1".into()), Some("eth0".into())]);
}

#[test]
fn what_the_cloud_provider_assigned_is_kept_by_its_annotation() {
    // It writes the annotation and spec.loadBalancerIP; the pool may have changed since.
    let mut ipam = from(&[("cidr-global", "192.0.2.0/24")]);
    let mut moved = Service::new("web/a").has(&["198.51.100.4"]);
    let fields = RequestFields {
        kube_vip: Some("198.51.100.4"),
        load_balancer_ip: Some("198.51.100.4"),
        ..RequestFields::default()
    };
    moved.0.request = Request::from_fields(fields);
    create(&mut ipam, &[Service::new("web/b"), moved]);
    assert_eq!(outcome(&ipam, &["web/a", "web/b"]), ["web/a 198.51.100.4", "web/b 192.0.2.1"]);
}

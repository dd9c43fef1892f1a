//! Services of type LoadBalancer, as they are switched on by kube-vip's names and in our own file.

use std::time::Duration;

use vipcast_proto::election::Timing;
use vipcast_proto::ipam::own::PoolSpec;
use vipcast_proto::ipam::{LabelSelector, Operator, Requests, Requirement, SearchOrder, Selection};

use super::super::services::{Class, Distribution, ObjectName, ServiceInterface, Services};
use super::super::{Config, Flags, HostFacts, Severity, resolve};
use super::{config, file, host, notices, pairs, with};

/// What kube-vip's manifest has for Services alone.
const KUBE_VIP: &[(&str, &str)] = &[("svc_enable", "true"), ("vip_arp", "true")];

fn services(more: &[(&str, &str)]) -> Services {
    config(&[&[("svc_enable", "true")], more].concat()).services.unwrap()
}

/// Without a control plane.
fn alone(more: &[(&str, &str)]) -> Config {
    let env = pairs(KUBE_VIP).into_iter().chain(pairs(more));
    resolve(&Flags::default(), env, None, &host()).unwrap().config
}

#[test]
fn the_control_planes_vip_is_known_where_others_announce_it() {
    let vip: std::net::IpAddr = "192.0.2.10".parse().unwrap();
    let config = alone(&[("address", "192.0.2.10")]);
    assert_eq!((config.control_plane, config.services.unwrap().control_plane_vips), (None, vec![vip]));
    let pools = r#"[{"name": "lan", "addresses": "192.0.2.0/28"}]"#;
    let more = pairs(&[("address", "192.0.2.10"), ("vipcast_services_pools", pools)]);
    let env = pairs(KUBE_VIP).into_iter().chain(more);
    let notices = resolve(&Flags::default(), env, None, &host()).unwrap().notices;
    let said = |words: &str| notices.iter().any(|notice| notice.to_string().contains(words));
    assert!(said("192.0.2.10") && said("announced by others"), "{notices:?}");
}

fn object(namespace: &str, name: &str) -> ObjectName {
    ObjectName { namespace: namespace.into(), name: name.into() }
}

#[test]
fn kube_vips_switch_is_enough_and_means_what_it_means_there() {
    let seconds = Duration::from_secs;
    let expected = Services {
        namespace: None,
        class: Class { name: "kube-vip.io/kube-vip-class".into(), only: false, legacy: true },
        distribution: Distribution::Lease,
        lease_on_demand: false,
        host_annotation: true,
        lease: object("kube-system", "plndr-svcs-lock"),
        timing: Timing { lease_duration: seconds(15), renew_deadline: seconds(10), retry_period: seconds(2) },
        interface: None,
        security: false,
        allocate: true,
        pools: vec![],
        pool_config_maps: vec![
            object("kube-system", "kubevip"),
            object("kube-system", "kube-vip-cloud-provider"),
        ],
        metallb_pools: true,
        requests: Requests::Anywhere,
        share_requested: true,
        weight: 1,
        ignore_exclude_label: true,
        pod_networks: vec![],
        service_networks: vec![],
        gateways: vec![],
        control_plane_vips: vec![],
    };
    let resolved = resolve(&Flags::default(), pairs(KUBE_VIP).into_iter(), None, &host()).unwrap();
    assert_eq!((resolved.config.services, resolved.config.control_plane), (Some(expected), None));
    assert_eq!(resolved.notices, vec![]);
}

#[test]
fn without_a_control_plane_no_api_server_is_probed() {
    assert_eq!(alone(&[]).health, None);
    assert!(config(&[("svc_enable", "true")]).health.is_some());
}

#[test]
fn everything_can_be_said_in_the_file() {
    let text = "\
layer2: {enabled: true}
services:
  enabled: true
  namespace: web
  class: {name: example.com/lan, only: true, legacy: false}
  distribution: spread
  leaseName: vips/members
  leaseDuration: 5s
  renewDeadline: 3s
  retryPeriod: 1s
  weight: 3
  interface: auto
  ignoreExcludeLabel: false
  poolConfigMaps: off
  metallbPools: false
  requests: inPools
  shareRequested: false
  podNetworks: [10.244.0.0/16]
  serviceNetworks: [10.96.0.0/12, 'fd00:96::/112']
  gateways: [192.0.2.1]
  pools:
    - name: lan
      addresses: [192.0.2.64-192.0.2.95, '2001:db8::/120']
      avoid: [192.0.2.70]
      namespaces: [web, db]
      namespaceSelector: team=a
      serviceSelector: app in (x,y);!internal
      priority: 5
      autoAssign: false
      avoidBuggyIPs: true
      order: descending
      share: true
      interface: eth1
";
    let seconds = Duration::from_secs;
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let selector = |key: &str, operator| LabelSelector {
        match_labels: [].into(),
        match_expressions: vec![Requirement { key: key.into(), operator }],
    };
    let pool = PoolSpec {
        name: "lan".into(),
        addresses: texts(&["192.0.2.64-192.0.2.95", "2001:db8::/120"]),
        avoid: texts(&["192.0.2.70"]),
        selection: Selection {
            namespaces: ["web".to_owned(), "db".to_owned()].into(),
            namespace_selectors: vec![LabelSelector {
                match_labels: [("team".to_owned(), "a".to_owned())].into(),
                match_expressions: vec![],
            }],
            service_selectors: vec![
                selector("app", Operator::In(["x".to_owned(), "y".to_owned()].into())),
                selector("internal", Operator::DoesNotExist),
            ],
        },
        priority: Some(5),
        only_on_request: true,
        avoid_buggy: true,
        order: SearchOrder::Descending,
        allow_share: true,
        interface: Some("eth1".into()),
    };
    let expected = Services {
        namespace: Some("web".into()),
        class: Class { name: "example.com/lan".into(), only: true, legacy: false },
        distribution: Distribution::Spread,
        lease_on_demand: false,
        host_annotation: false,
        lease: object("vips", "members"),
        timing: Timing { lease_duration: seconds(5), renew_deadline: seconds(3), retry_period: seconds(1) },
        interface: Some(ServiceInterface::Auto),
        security: false,
        allocate: true,
        pools: vec![pool],
        pool_config_maps: vec![],
        metallb_pools: false,
        requests: Requests::InPools,
        share_requested: false,
        weight: 3,
        ignore_exclude_label: false,
        pod_networks: vec!["10.244.0.0/16".parse().unwrap()],
        service_networks: vec!["10.96.0.0/12".parse().unwrap(), "fd00:96::/112".parse().unwrap()],
        gateways: vec!["192.0.2.1".parse().unwrap()],
        control_plane_vips: vec![],
    };
    let resolved = file(text).unwrap();
    assert_eq!((resolved.config.services, resolved.notices), (Some(expected), vec![]));
}

/// Nodes that disagree about it would announce together: from wherever it comes, it is the same.
#[test]
fn who_announces_by_default_depends_on_how_and_not_on_where_it_was_said() {
    let by_file = file("layer2: {enabled: true}\nservices: {enabled: true}\n").unwrap().config.services;
    assert_eq!(by_file, alone(&[]).services);
    let bgp = [("vip_arp", "false"), ("bgp_enable", "true"), ("bgp_peers", "198.51.100.1:65001")];
    let of = |more: &[(&str, &str)]| alone(more).services.unwrap().distribution;
    assert_eq!(of(&[]), Distribution::Lease);
    assert_eq!(of(&bgp), Distribution::EveryNode);
    assert_eq!(of(&bgp[1..]), Distribution::Lease);
    let chosen = [bgp.as_slice(), &[("vipcast_services_distribution", "spread")]].concat();
    assert_eq!(of(&chosen), Distribution::Spread);
    assert_eq!(of(&[("svc_election", "true")]), Distribution::LeasePerService);
}

#[test]
fn the_lease_is_where_kube_vip_has_that_of_services() {
    let lease = |env: &[(&str, &str)], account: Option<&str>| {
        let facts =
            HostFacts { hostname: "cp1".into(), service_account_namespace: account.map(str::to_owned) };
        let env = pairs(KUBE_VIP).into_iter().chain(pairs(env));
        let services = resolve(&Flags::default(), env, None, &facts).unwrap().config.services.unwrap();
        services.lease.to_string()
    };
    assert_eq!(lease(&[], None), "kube-system/plndr-svcs-lock");
    assert_eq!(lease(&[], Some("vips")), "vips/plndr-svcs-lock");
    assert_eq!(lease(&[("cp_namespace", "other")], Some("vips")), "other/plndr-svcs-lock");
    assert_eq!(lease(&[("svc_leasename", "ns/lock"), ("cp_namespace", "other")], None), "ns/lock");
    assert_eq!(lease(&[("vip_leasename", "ns/lock")], Some("vips")), "vips/plndr-svcs-lock");
}

#[test]
fn one_set_of_timings_is_for_both_unless_another_is_given() {
    let timing = |more: &[(&str, &str)]| {
        let Timing { lease_duration, renew_deadline, retry_period } = services(more).timing;
        [lease_duration, renew_deadline, retry_period].map(|span| span.as_secs())
    };
    let quick = [("vip_leaseduration", "5"), ("vip_renewdeadline", "3"), ("vip_retryperiod", "1")];
    assert_eq!(timing(&quick), [5, 3, 1]);
    let slower = [quick.as_slice(), &[("vipcast_services_lease_duration", "20")]].concat();
    assert_eq!(timing(&slower), [20, 3, 1]);
}

#[test]
fn settings_without_use_are_named_and_kube_vips_defaults_are_not() {
    let rendered = [
        ("svc_leasename", "plndr-svcs-lock"),
        ("lb_class_only", "false"),
        ("svc_election", "false"),
        ("enable_service_security", "false"),
    ];
    assert_eq!(notices(&rendered), Vec::<String>::new());
    assert_eq!(
        notices(&[("svc_namespace", "web"), ("lb_class_only", "true")]),
        ["svc_namespace, lb_class_only: without use while svc_enable is false: ignored"]
    );
    let on = |more: &[(&str, &str)]| notices(&[&[("svc_enable", "true")], more].concat());
    assert_eq!(
        on(&[("vipcast_services_weight", "2")]),
        ["vipcast_services_weight: without use unless services.distribution is spread"]
    );
    assert_eq!(
        on(&[("vipcast_services_allocate", "false"), ("vipcast_services_requests", "inPools")]),
        ["vipcast_services_requests: without use where somebody else gives Services their addresses"]
    );
    assert_eq!(
        on(&[("vipcast_services_pools", "[{name: lan, addresses: 192.0.2.0/24}]")]),
        [
            "vipcast_services_pools: pool lan has 192.0.2.10 in it, the control-plane VIP, which no Service gets"
        ]
    );
    let bgp = [
        ("vip_arp", "false"),
        ("bgp_enable", "true"),
        ("bgp_peers", "198.51.100.1:65001"),
        ("vip_servicesinterface", "eth1"),
        ("svc_leasename", "mine"),
    ];
    assert_eq!(
        on(&bgp),
        [
            "vip_servicesinterface: without use where only BGP announces",
            "svc_leasename: without use where every node announces, but for its namespace: that of vipcast-allocator",
        ]
    );
}

#[test]
fn a_group_of_addresses_may_be_for_services_that_nobody_knows_yet() {
    let group = [
        ("bgp_enable", "true"),
        ("bgp_peers", "198.51.100.1:65001"),
        ("bgp_hold_time", "9"),
        ("vipcast_bgp_address_groups", "[{prefixes: 203.0.113.0/24, med: 5}]"),
    ];
    let without = with(&group).unwrap().notices;
    assert_eq!(without.iter().map(|notice| notice.severity).collect::<Vec<_>>(), [Severity::Warning]);
    assert_eq!(notices(&[&[("svc_enable", "true")], group.as_slice()].concat()), Vec::<String>::new());
}

//! What deployers of kube-vip render.

use std::time::Duration;

use vipcast_proto::election::Timing;

use super::super::{Flags, HostFacts, Severity, foreign, resolve};
use super::{MINIMUM, complaints, config, notices, pairs, with};

/// As Kubespray writes it for an ARP control plane.
const KUBESPRAY: &[(&str, &str)] = &[
    ("vip_arp", "True"),
    ("port", "6443"),
    ("vip_nodename", "cp1"),
    ("vip_interface", "ens160"),
    ("vip_subnet", "32"),
    ("cp_enable", "true"),
    ("vip_ddns", "False"),
    ("cp_detect", "False"),
    ("svc_leasename", "plndr-svcs-lock"),
    ("vip_leaderelection", "true"),
    ("vip_leaseduration", "5"),
    ("vip_renewdeadline", "3"),
    ("vip_retryperiod", "1"),
    ("address", "10.42.42.42"),
    ("lb_fwdmethod", "local"),
];

#[test]
fn a_manifest_of_kubespray_works_as_it_is() {
    let resolved =
        resolve(&Flags::default(), pairs(KUBESPRAY).into_iter(), None, &HostFacts::default()).unwrap();
    let mut expected = config(&[("address", "10.42.42.42"), ("vip_interface", "ens160")]);
    let seconds = Duration::from_secs;
    expected.election.timing =
        Timing { lease_duration: seconds(5), renew_deadline: seconds(3), retry_period: seconds(1) };
    assert_eq!(resolved.config, expected);
    let notices: Vec<_> =
        resolved.notices.iter().map(|notice| (notice.severity, notice.to_string())).collect();
    let ignored = "lb_fwdmethod: understood, but without use while their features are off: ignored";
    assert_eq!(notices, [(Severity::Info, ignored.to_owned())]);
}

#[test]
fn what_a_template_leaves_empty_is_not_set() {
    let rendered = [
        ("bgp_routerid", "None"),
        ("bgp_peeraddress", ""),
        ("bgp_enable", "False"),
        ("vip_interface", "null"),
    ];
    assert_eq!((config(&rendered), notices(&rendered)), (config(&[]), vec![]));
}

#[test]
fn a_feature_that_is_not_built_is_refused_by_name() {
    let table = [
        (
            "vip_routingtable",
            "true",
            "the routing table mode is not built into this version; leave it out and set vip_arp=true or bgp_enable=true",
        ),
        (
            "zebra_enable",
            "true",
            "talking to FRR's zebra is not built into this version; leave it out: routers are told by BGP",
        ),
        ("lb_enable", "T", "the IPVS load balancer is not built into this version; leave it out"),
        (
            "health_check_port",
            "8080",
            "a port of its own for health is not built into this version; \
             leave it out and probe /livez at the address of prometheus_server",
        ),
    ];
    for (name, value, complaint) in table {
        assert_eq!(complaints(&[(name, value)]), [format!("{name} (environment): {complaint}")]);
        assert_eq!(
            notices(&[(name, if name == "health_check_port" { "0" } else { "false" })]),
            Vec::<String>::new()
        );
    }
    assert_eq!(
        complaints(&[("vip_wireguard", "on")]),
        ["vip_wireguard=on (environment): neither true nor false; write true or false"]
    );
}

#[test]
fn foreign_flags_are_judged_like_variables() {
    let flags = Flags(pairs(&[("metal", "true"), ("leaderElectionType", "etcd"), ("zebraVersion", "6")]));
    let wrong = resolve(&flags, pairs(&MINIMUM).into_iter(), None, &HostFacts::default()).unwrap_err();
    let lines: Vec<_> = wrong.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "--leaderElectionType (flag): election by anything but kubernetes is not built into this version; \
             leave it out: the Lease in the API decides",
            "--metal (flag): the Equinix Metal API is not built into this version; leave it out",
            "vip_nodename: not set, and the hostname is not a Kubernetes name (lower-case letters, digits, - and .); \
             set vip_nodename to the Node's name",
        ]
    );
}

#[test]
fn what_is_always_so_is_said_when_the_opposite_was_asked_for() {
    assert_eq!(
        notices(&[("vip_leaderelection", "false")]),
        ["vip_leaderelection: no effect: announcing by ARP always elects, as in kube-vip"]
    );
    let preserve = with(&[("vip_preserve_on_leadership_loss", "true")]).unwrap();
    assert_eq!(
        preserve.notices.iter().map(|notice| notice.severity).collect::<Vec<_>>(),
        [Severity::Warning]
    );
    for (name, value) in [("vip_leaderelection", "true"), ("vip_preserve_on_leadership_loss", "false")] {
        assert_eq!(notices(&[(name, value)]), Vec::<String>::new());
    }
}

#[test]
fn something_has_to_be_announced_and_some_way_to_do_it_has_to_be_on() {
    assert_eq!(
        complaints(&[("vip_arp", ""), ("cp_enable", "")]),
        [
            "cp_enable and vip_arp: nothing is switched on; set cp_enable=true and vip_arp=true (or bgp_enable=true), \
          and the VIP in address; for Services svc_enable=true"
        ]
    );
    assert_eq!(
        complaints(&[("vip_arp", "false")]),
        ["vip_arp=false (environment): nothing that announces addresses is switched on; \
          set vip_arp=true or bgp_enable=true"]
    );
    assert_eq!(
        complaints(&[("cp_enable", "")]),
        ["cp_enable=false (default): nothing to announce is switched on; \
          set cp_enable=true, or svc_enable=true for Services"]
    );
    assert_eq!(
        complaints(&[("address", "")]),
        [
            "address: the control plane is switched on without a VIP; set address to the VIP, for example address=192.0.2.10"
        ]
    );
    assert_eq!(
        complaints(&[("vip_arp", ""), ("vip_wireguard", "true")]),
        ["vip_wireguard (environment): WireGuard is not built into this version; \
          leave it out and set vip_arp=true or bgp_enable=true"]
    );
}

#[test]
fn the_lease_is_where_kube_vip_has_it() {
    let lease = |env: &[(&str, &str)], account: Option<&str>| {
        let facts =
            HostFacts { hostname: "cp1".into(), service_account_namespace: account.map(str::to_owned) };
        let env = pairs(&MINIMUM).into_iter().chain(pairs(env));
        let resolved = resolve(&Flags::default(), env, None, &facts).unwrap();
        let election = resolved.config.election;
        (format!("{}/{}", election.lease_namespace, election.lease_name), resolved.notices.len())
    };
    assert_eq!(lease(&[], None), ("kube-system/plndr-cp-lock".into(), 0));
    assert_eq!(lease(&[], Some("vips")), ("vips/plndr-cp-lock".into(), 0));
    assert_eq!(lease(&[("cp_namespace", "other")], Some("vips")), ("other/plndr-cp-lock".into(), 1));
    assert_eq!(lease(&[("cp_namespace", "vips")], Some("vips")), ("vips/plndr-cp-lock".into(), 0));
    assert_eq!(lease(&[("vip_leasename", "ns/lock")], Some("vips")), ("ns/lock".into(), 0));
    assert_eq!(
        lease(&[("vip_leasename", "ns/lock"), ("cp_namespace", "other")], None),
        ("ns/lock".into(), 1)
    );
}

#[test]
fn the_name_of_the_node_is_lower_case() {
    assert_eq!(config(&[("vip_nodename", "CP1.example.ORG")]).node_name, "cp1.example.org");
}

#[test]
fn kubeconfig_variables_are_handed_on() {
    let access = config(&[("KUBECONFIG", "/a:/b"), ("HOME", "/root"), ("k8s_config_file", "/c")]).kubernetes;
    assert_eq!(
        (access.kubeconfig, access.kubeconfig_env, access.home),
        (Some("/c".into()), vec!["/a".into(), "/b".into()], Some("/root".into()))
    );
}

#[test]
fn every_foreign_name_is_accepted_while_its_feature_is_off() {
    for row in foreign::ALL {
        for name in row.env {
            let off = if *name == "health_check_port" { "0" } else { "false" };
            assert_eq!(with(&[(name, off)]).map(|resolved| resolved.config), Ok(config(&[])), "{name}");
        }
    }
}

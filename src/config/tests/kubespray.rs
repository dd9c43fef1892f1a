//! Kubespray's variables as a layer of the configuration.

use std::time::Duration;

use vipcast_proto::election::Timing;

use super::super::layers::{Document, Inventory};
use super::super::{Announced, Flags, Problems, Purpose, Resolved, resolve_document};
use super::{config, host, pairs};
use crate::kubespray::Text;

const ARP: &str = "kube_vip_enabled: true
kube_vip_arp_enabled: true
kube_vip_controlplane_enabled: true
kube_vip_address: 10.42.42.42
kube_vip_interface: ens160
kube_proxy_strict_arp: true
loadbalancer_apiserver: {address: '{{ kube_vip_address }}', port: 6443}
";

fn resolved(flags: &[(&str, &str)], env: &[(&str, &str)], more: &str) -> Result<Resolved, Problems> {
    let text = |path: &str, text: &str| Text { path: path.into(), text: text.into() };
    let files = vec![text("addons.yml", ARP), text("more.yml", more)];
    let inventory = Inventory { files, unreadable: Vec::new() };
    resolve_document(
        &Flags(pairs(flags)),
        pairs(env).into_iter(),
        Document::None,
        inventory,
        &host(),
        Purpose::Run,
    )
}

fn complaints(more: &str) -> Vec<String> {
    resolved(&[], &[], more).unwrap_err().problems.iter().map(ToString::to_string).collect()
}

#[test]
fn variables_of_kubespray_configure_the_daemon() {
    let resolved = resolved(&[], &[], "").unwrap();
    let mut expected = config(&[("address", "10.42.42.42"), ("vip_interface", "ens160")]);
    let seconds = Duration::from_secs;
    expected.election.timing =
        Timing { lease_duration: seconds(5), renew_deadline: seconds(3), retry_period: seconds(1) };
    assert_eq!((resolved.config, resolved.notices), (expected, vec![]));
}

#[test]
fn a_flag_beats_the_environment_which_beats_kubespray() {
    let port = |flags: &[(&str, &str)], env: &[(&str, &str)]| {
        let resolved = resolved(flags, env, "").unwrap();
        let row = resolved.sources.into_iter().find(|row| row.key == "layer2.interface").unwrap();
        (row.value.unwrap(), row.source.to_string())
    };
    let flag: &[_] = &[("interface", "eth1")];
    let env: &[_] = &[("vip_interface", "eth2")];
    let own = |value: &str, source: &str| (value.to_owned(), source.to_owned());
    assert_eq!(port(flag, env), own("eth1", "flag --interface"));
    assert_eq!(port(&[], env), own("eth2", "environment vip_interface"));
    assert_eq!(port(&[], &[]), own("ens160", "Kubespray addons.yml:kube_vip_interface"));
}

#[test]
fn a_setting_that_nobody_wrote_has_kubesprays_default() {
    let resolved = resolved(&[], &[], "").unwrap();
    let row = resolved.sources.into_iter().find(|row| row.key == "election.leaseDuration").unwrap();
    let expected = (Some("5s".to_owned()), "Kubespray's default of kube_vip_leaseduration".to_owned());
    assert_eq!((row.value, row.source.to_string()), expected);
}

#[test]
fn a_wrong_value_is_refused_by_the_name_of_the_variable() {
    assert_eq!(
        complaints(
            "kube_vip_address: vip.example.com\nkube_vip_retryperiod: soon\nkube_vip_metrics_enabled: true\nkube_vip_metrics_port: 99999"
        ),
        [
            "kube_vip_metrics_port=99999 (more.yml line 4): not a whole number in range; write 1 to 65535",
            "kube_vip_address=vip.example.com (more.yml line 1): names are not supported yet; give the address",
            "kube_vip_retryperiod=soon (more.yml line 2): not a whole number of seconds; write for example 2",
        ]
    );
    assert_eq!(
        complaints("kube_vip_renewdeadline: 5"),
        ["kube_vip_renewdeadline=5s (more.yml line 1): not shorter than kube_vip_leaseduration, 5s; \
          leave at least a second to kube_vip_leaseduration, for example 10 of 15"]
    );
}

#[test]
fn a_feature_that_is_not_built_is_refused_by_the_name_of_its_variable() {
    let table = [
        (
            "kube_vip_lb_enable: true",
            "kube_vip_lb_enable (more.yml line 1): the IPVS load balancer is not built into this version; \
             leave it out",
        ),
        (
            "kube_vip_ddns_enabled: true",
            "kube_vip_ddns_enabled (more.yml line 1): DHCP with dynamic DNS is not built into this version; \
             leave it out and give the address",
        ),
        (
            "kube_vip_enable_node_labeling: true",
            "kube_vip_enable_node_labeling (more.yml line 1): labelling of Nodes is not built into this \
             version; leave it out",
        ),
    ];
    for (more, complaint) in table {
        assert_eq!(complaints(more), [complaint]);
    }
}

#[test]
fn a_bgp_control_plane_of_kubespray_works_as_it_is() {
    let bgp = "kube_vip_arp_enabled: false
kube_vip_bgp_enabled: true
kube_vip_bgp_routerid:
kube_vip_local_as: 65010
kube_vip_bgppeers:
  - 192.0.2.1:65001:hunter2:false
  - 192.0.2.2:65001::true
kube_vip_bgp_sourceif: ens160
";
    let resolved = resolved(&[], &[], bgp).unwrap();
    let row = resolved.sources.iter().find(|row| row.key == "bgp.peers").unwrap();
    let shown = (row.value.clone().unwrap(), row.source.to_string());
    assert_eq!(
        shown,
        (
            "192.0.2.1:65001:***:false,192.0.2.2:65001::true".into(),
            "Kubespray more.yml:kube_vip_bgppeers".into()
        )
    );
    let (config, notices) = (resolved.config, resolved.notices);
    let bgp = config.bgp.unwrap();
    let hops: Vec<_> = bgp.peers.iter().map(|peer| (peer.at.to_string(), peer.distance.ttl())).collect();
    assert_eq!(hops, [("192.0.2.1".to_owned(), Some(1)), ("192.0.2.2".to_owned(), Some(50))]);
    assert_eq!(
        (config.layer2, config.control_plane.unwrap().announced),
        (None, Announced::ByEveryHealthyNode)
    );
    let notices: Vec<_> = notices.iter().map(|notice| notice.setting.as_str()).collect();
    assert_eq!(
        notices,
        ["vip_interface", "kube_vip_bgppeers"]
            .map(|name| name.replace("vip_interface", "kube_vip_interface"))
    );
}

#[test]
fn what_is_wrong_with_bgp_is_refused_by_the_name_of_the_variable_and_shows_no_password() {
    let bgp = |more: &str| complaints(&format!("kube_vip_bgp_enabled: true\n{more}"));
    assert_eq!(
        bgp("kube_vip_bgppeers: ['192.0.2.1:0:hunter2:false', '192.0.2.2:65001:pass:hunter2']"),
        [
            "kube_vip_bgppeers[0].as=0 (more.yml line 2): reserved by RFC 7607, nobody has it; \
             write 1 to 4294967294, or as asdot 1.10",
            "kube_vip_bgppeers[1].multihop=*** (more.yml line 2): neither true nor false; \
             write address:AS:password:multihop:port; a password with a colon or a comma goes into a file, a Secret or the \
             list of the configuration file"
        ]
    );
    assert_eq!(
        bgp("kube_vip_bgppeers: ['192.0.2.1:65001:my,hunter2']"),
        [
            "kube_vip_bgppeers[1].address=*** (more.yml line 2): not an IP address; \
             write an address of a host, such as 192.0.2.1 or 2001:db8::1",
            "kube_vip_bgppeers[1] (more.yml line 2): without an AS number; add as, the router's"
        ]
    );
    assert_eq!(
        bgp("kube_vip_bgppeers: '1,9,2,.,h,u,n,t,e,r,2'"),
        ["kube_vip_bgppeers (more.yml line 2): taken apart into single characters; \
          write a list of address:AS:password:multihop"]
    );
    assert_eq!(
        bgp("kube_vip_bgp_peeraddress: ''"),
        [
            "kube_vip_bgppeers: BGP is switched on without a router to talk to; set kube_vip_bgppeers to address and \
          AS number of routers, for example kube_vip_bgppeers: 192.0.2.1:65001"
        ]
    );
}

#[test]
fn what_is_missing_is_asked_for_in_kubesprays_words() {
    assert_eq!(
        complaints("kube_vip_address:"),
        ["kube_vip_address: the control plane is switched on without a VIP; \
          set kube_vip_address to the VIP, for example kube_vip_address: 192.0.2.10"]
    );
    assert_eq!(
        complaints("kube_vip_controlplane_enabled: false"),
        ["kube_vip_controlplane_enabled=false (more.yml line 1): nothing to announce is switched on; \
          set kube_vip_controlplane_enabled: true, or kube_vip_services_enabled: true for Services"]
    );
}

#[test]
fn what_is_only_set_and_not_used_is_named_once_by_its_variable() {
    let resolved = resolved(&[], &[], "kube_vip_svc_leasename: mine\nkube_vip_dns_mode: ipv4").unwrap();
    let notices: Vec<_> = resolved.notices.iter().map(ToString::to_string).collect();
    let expected = [
        "kube_vip_dns_mode: understood, but without use while their features are off: ignored",
        "kube_vip_svc_leasename: without use while svc_enable is false: ignored",
    ];
    assert_eq!(notices, expected);
}

#[test]
fn an_ipv6_vip_with_kubesprays_default_prefix_gets_a_whole_address() {
    let resolved = resolved(
        &[],
        &[],
        "kube_vip_address: 2001:db8::42\nloadbalancer_apiserver: {address: '2001:db8::42'}",
    )
    .unwrap();
    let vips = resolved.config.control_plane.unwrap().vips;
    assert_eq!(vips, ["2001:db8::42/128".parse().unwrap()]);
    let notices: Vec<_> = resolved.notices.iter().map(ToString::to_string).collect();
    assert_eq!(
        notices,
        ["kube_vip_cidr: 32 is taken for IPv4 only; IPv6 VIPs get /128. Write 32,128 to say so"]
    );
}

#[test]
fn a_configuration_file_and_kubesprays_files_exclude_each_other() {
    let inventory = Inventory {
        files: vec![Text { path: "addons.yml".into(), text: ARP.into() }],
        unreadable: Vec::new(),
    };
    let file = Document::Text { path: "vipcast.yaml".into(), text: "log: {level: debug}".into() };
    let wrong =
        resolve_document(&Flags::default(), std::iter::empty(), file, inventory, &host(), Purpose::Run);
    assert_eq!(
        wrong.unwrap_err().to_string(),
        "--from-kubespray: has a say in the same settings as the configuration file; use one of them; \
         what Kubespray has no variable for can be a flag or in the environment"
    );
}

#[test]
fn what_to_write_is_said_in_kubesprays_names() {
    assert_eq!(
        complaints("kube_vip_address: 10.1.1.1/24"),
        ["kube_vip_address=10.1.1.1/24 (more.yml line 1): an address with a prefix length; \
          write 10.1.1.1 here, and 24 in kube_vip_cidr"]
    );
    assert_eq!(
        complaints("kube_vip_arp_enabled: false\nkube_vip_controlplane_enabled: false"),
        ["kube_vip_controlplane_enabled and kube_vip_arp_enabled: nothing is switched on; \
          set kube_vip_controlplane_enabled: true and kube_vip_arp_enabled: true (or kube_vip_bgp_enabled: true), \
          and the VIP in kube_vip_address; for Services kube_vip_services_enabled: true"]
    );
}

#[test]
fn a_port_of_kubernetes_itself_is_not_for_metrics() {
    for (port, owner) in [(6443, "the API server"), (2379, "etcd"), (10250, "the kubelet")] {
        let said =
            complaints(&format!("kube_vip_metrics_enabled: true\nkube_vip_metrics_port: {port}")).join("\n");
        assert!(said.contains(&format!("port {port} is {owner}'s on a control-plane node")), "{said}");
    }
}

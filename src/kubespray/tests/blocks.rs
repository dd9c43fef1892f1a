//! Blocks as deployers of Kubespray generate them.

use super::{ARP_SETTINGS, complaints, files, notices, settings};

/// As openCenter writes it for a control plane announced by ARP.
const OPEN_CENTER: &str = r#"---
kube_vip_enabled: true
kube_vip_controlplane_enabled: true
kube_vip_address: 10.42.42.42
loadbalancer_apiserver:
  address: "{{ kube_vip_address }}"
  port: 6443
loadbalancer_apiserver_localhost: false
kube_vip_interface: ""
kube_vip_services_enabled: false
kube_vip_dns_mode: first
kube_vip_cp_detect: false
kube_vip_leasename: plndr-cp-lock
kube_vip_enable_node_labeling: false
kube_vip_lb_fwdmethod: local
kube_vip_arp_enabled: true
kube_proxy_strict_arp: true
kube_vip_bgp_enabled: false
"#;

/// The same, announced by BGP, without a router ID.
const OPEN_CENTER_BGP: &str = r#"
kube_vip_arp_enabled: false
kube_vip_bgp_enabled: true
kube_vip_bgp_routerid: ""
kube_vip_local_as: 65000
kube_vip_bgp_peeraddress:
kube_vip_bgp_peerpass:
kube_vip_bgp_peeras:
kube_vip_bgppeers:
  - 10.42.42.1:65000::false
"#;

#[test]
fn the_block_of_opencenter_works_as_it_stands() {
    let reading = files(&[OPEN_CENTER]);
    assert_eq!(
        (settings(&reading), complaints(&reading), notices(&reading)),
        (ARP_SETTINGS.to_vec(), vec![], vec![])
    );
}

#[test]
fn the_same_block_with_bgp_has_no_router_id_and_no_single_peer() {
    let reading = files(&[OPEN_CENTER, OPEN_CENTER_BGP]);
    let expected = [
        ("address", "10.42.42.42"),
        ("vip_arp", "false"),
        ("port", "6443"),
        ("vip_subnet", "32"),
        ("dns_mode", "first"),
        ("cp_enable", "true"),
        ("vip_ddns", "false"),
        ("cp_detect", "false"),
        ("svc_leasename", "plndr-svcs-lock"),
        ("vip_leaderelection", "false"),
        ("bgp_enable", "true"),
        ("bgp_as", "65000"),
        ("bgp_peers", "10.42.42.1:65000::false"),
        ("lb_fwdmethod", "local"),
        ("cp_namespace", "kube-system"),
        ("prometheus_server", ":2112"),
    ];
    let idle =
        "kube_vip_leasename: without use while kube_vip_leader_election_enabled is false, as in Kubespray";
    assert_eq!(
        (settings(&reading), complaints(&reading), notices(&reading)),
        (expected.to_vec(), vec![], vec![idle.to_owned()])
    );
}

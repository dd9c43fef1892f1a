//! Every variable of the table.

use std::collections::BTreeSet;

use super::super::table::{self, Becomes};
use super::{ARP, ARP_SETTINGS, changes, complaints, files, notices, settings, with};

/// A variable, what it adds to the environment, and what it takes away. Those below need BGP switched on.
type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

const CASES: &[Case] = &[
    ("kube_vip_arp_enabled", "false", &[("vip_arp", "false"), ("vip_leaderelection", "false")], LEASE),
    ("kube_apiserver_port", "6444\nloadbalancer_apiserver: {port: 6444}", &[("port", "6444")], &[]),
    ("kube_override_hostname", "cp1", &[("vip_nodename", "cp1")], &[]),
    ("kube_vip_interface", "ens160", &[("vip_interface", "ens160")], &[]),
    ("kube_vip_services_interface", "ens320", &[("vip_servicesinterface", "ens320")], &[]),
    ("kube_vip_cidr", "'24,64'", &[("vip_subnet", "24,64")], &[]),
    ("kube_vip_cidr", "auto", &[("vip_subnet", "auto")], &[]),
    ("kube_vip_cidr", "", &[], &["vip_subnet"]),
    ("kube_vip_dns_mode", "dual", &[("dns_mode", "dual")], &[]),
    (
        "kube_vip_controlplane_enabled",
        "false",
        &[("cp_enable", "false")],
        &["vip_ddns", "cp_detect", "cp_namespace"],
    ),
    ("kube_vip_ddns_enabled", "true", &[("vip_ddns", "true")], &[]),
    ("kube_vip_cp_detect", "true", &[("cp_detect", "true")], &[]),
    ("kube_vip_services_enabled", "true", &[("svc_enable", "true")], &[]),
    ("kube_vip_svc_leasename", "mine", &[("svc_leasename", "mine")], &[]),
    ("kube_vip_enableServicesElection", "true", &[("svc_election", "true")], &[]),
    ("kube_vip_leader_election_enabled", "false", &[("vip_leaderelection", "false")], LEASE),
    ("kube_vip_leasename", "mine", &[("vip_leasename", "mine")], &[]),
    ("kube_vip_leasename", "vips/mine", &[("vip_leasename", "vips/mine")], &["cp_namespace"]),
    ("kube_vip_leaseduration", "15", &[("vip_leaseduration", "15")], &[]),
    ("kube_vip_renewdeadline", "'2'", &[("vip_renewdeadline", "2")], &[]),
    ("kube_vip_retryperiod", "2", &[("vip_retryperiod", "2")], &[]),
    ("kube_vip_enable_node_labeling", "true", &[("enable_node_labeling", "true")], &[]),
    ("kube_vip_lb_enable", "true", &[("lb_enable", "true"), ("lb_port", "6443")], &[]),
    ("kube_vip_lb_fwdmethod", "masquerade", &[("lb_fwdmethod", "masquerade")], &[]),
    ("kube_vip_metrics_enabled", "true", &[], &[]),
    ("kube_vip_metrics_port", "9100\nkube_vip_metrics_enabled: true", &[("prometheus_server", ":9100")], &[]),
    ("kube_vip_address", "10.42.42.42,2001:db8::42", &[("address", "10.42.42.42,2001:db8::42")], &[]),
    ("kube_vip_address", "", &[], &["address"]),
    ("kube_vip_enabled", "yes", &[], &[]),
    ("kube_vip_version", "1.2.3", &[], &[]),
    ("kube_vip_image_repo", "registry.example.com/kube-vip", &[], &[]),
    ("kube_vip_image_tag", "'{{ anything | at_all }}'", &[], &[]),
    ("kube_vip_digest_checksum", "abc", &[], &[]),
    ("kube_vip_admin_conf", "super-admin.conf", &[], &[]),
    ("kube_proxy_mode", "iptables", &[], &[]),
    ("kube_proxy_strict_arp", "true", &[], &[]),
    ("kube_proxy_remove", "true", &[], &[]),
    ("loadbalancer_apiserver", "{address: 10.42.42.42, port: 6443}", &[], &[]),
    ("kube_apiserver_bind_address", "0.0.0.0", &[], &[]),
    ("supplementary_addresses_in_ssl_keys", "[10.42.42.42, '{{ groups }}']", &[], &[]),
];

/// In the words of the pod, after `bgp_enable`, `bgp_as` and `bgp_peeras`.
const BGP: &[Case] = &[
    ("kube_vip_bgp_enabled", "true", &[], &[]),
    ("kube_vip_bgp_routerid", "192.0.2.1", &[("bgp_routerid", "192.0.2.1")], &[]),
    ("kube_vip_local_as", "4200000001", &[("bgp_as", "4200000001")], &["bgp_as"]),
    ("kube_vip_bgp_peeraddress", "192.0.2.254", &[("bgp_peeraddress", "192.0.2.254")], &[]),
    ("kube_vip_bgp_peerpass", "secret", &[("bgp_peerpass", "secret")], &[]),
    ("kube_vip_bgp_peeras", "64512", &[("bgp_peeras", "64512")], &["bgp_peeras"]),
    (
        "kube_vip_bgppeers",
        "\n- 192.0.2.254:64512::false\n- 192.0.2.253:64512:secret:true",
        &[("bgp_peers", "192.0.2.254:64512::false,192.0.2.253:64512:secret:true")],
        &[],
    ),
    ("kube_vip_bgppeers", "[]", &[], &[]),
    ("kube_vip_bgp_sourceip", "192.0.2.1", &[("bgp_sourceip", "192.0.2.1")], &[]),
    ("kube_vip_bgp_sourceif", "ens160", &[("bgp_sourceif", "ens160")], &[]),
];

const LEASE: &[&str] = &["vip_leasename", "vip_leaseduration", "vip_renewdeadline", "vip_retryperiod"];

const BGP_SETTINGS: &[(&str, &str)] = &[("bgp_enable", "true"), ("bgp_as", "65000"), ("bgp_peeras", "65000")];

#[test]
fn kubesprays_defaults_make_an_arp_control_plane() {
    let reading = files(&[ARP]);
    assert_eq!(
        (settings(&reading), complaints(&reading), notices(&reading)),
        (ARP_SETTINGS.to_vec(), vec![], vec![])
    );
}

#[test]
fn every_variable_becomes_what_the_template_makes_of_it() {
    for (name, value, added, gone) in CASES {
        let own = |(env, text): &(&str, &str)| ((*env).to_owned(), (*text).to_owned());
        let expected = (added.iter().map(own).collect(), gone.to_vec());
        assert_eq!(changes(&format!("{name}: {value}")), expected, "{name}: {value}");
    }
}

#[test]
fn every_variable_of_bgp_becomes_what_the_template_makes_of_it() {
    for (name, value, added, gone) in BGP {
        let more = format!("kube_vip_bgp_enabled: true\n{name}: {value}")
            .replace("kube_vip_bgp_enabled: true\nkube_vip_bgp_enabled: true", "kube_vip_bgp_enabled: true");
        let mut expected: Vec<_> =
            BGP_SETTINGS.iter().filter(|(env, _)| !gone.contains(env)).chain(*added).copied().collect();
        let reading = with(&more);
        let mut found: Vec<_> =
            settings(&reading).into_iter().filter(|pair| !ARP_SETTINGS.contains(pair)).collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!((found, complaints(&reading)), (expected, vec![]), "{name}: {value}");
    }
}

#[test]
fn no_variable_of_the_table_is_left_out() {
    let tested: BTreeSet<_> = CASES.iter().chain(BGP).map(|(name, ..)| *name).collect();
    let known: BTreeSet<_> = table::names().collect();
    assert_eq!(tested, known);
}

#[test]
fn a_variable_whose_switch_is_off_is_named_and_not_taken() {
    let more = "kube_vip_local_as: 65001\nkube_vip_bgp_routerid: ''\nkube_vip_bgp_peeraddress: 192.0.2.254";
    let reading = with(more);
    let idle = "kube_vip_local_as, kube_vip_bgp_peeraddress: \
                without use while kube_vip_bgp_enabled is false, as in Kubespray";
    assert_eq!((settings(&reading), notices(&reading)), (ARP_SETTINGS.to_vec(), vec![idle.to_owned()]));
}

#[test]
fn what_only_ansible_knows_is_no_obstacle_where_its_switch_is_off() {
    for more in [
        "kube_vip_bgp_routerid: '{{ ip | default(ansible_default_ipv4.address) }}'",
        "kube_vip_bgp_peerpass: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162",
        "kube_vip_metrics_port: '{{ metrics_of_this_site }}'",
        "kube_vip_leader_election_enabled: false\nkube_vip_leaseduration: '{{ patience }}'",
    ] {
        assert_eq!(complaints(&with(more)), Vec::<String>::new(), "{more}");
    }
}

#[test]
fn what_a_value_may_not_be_is_said_for_all_of_them_at_once() {
    let reading = with(
        "kube_vip_arp_enabled: maybe
kube_vip_dns_mode: third
kube_vip_bgp_enabled: true
kube_vip_local_as: 0
kube_vip_bgp_peeras: AS65000
kube_vip_interface: [ens160]
kube_vip_lb_fwdmethod: nat
kube_vip_bgppeers: {a: b}
",
    );
    let expected = [
        "kube_vip_arp_enabled=maybe (2.yml line 1): neither true nor false; write true or false",
        "kube_vip_interface (2.yml line 6): a list; write a single value",
        "kube_vip_dns_mode=third (2.yml line 2): not one of the words it may be; write first, ipv4, ipv6, dual",
        "kube_vip_local_as=0 (2.yml line 4): not a whole number in range; write 1 to 4294967295",
        "kube_vip_bgp_peeras=AS65000 (2.yml line 5): not a whole number in range; write 1 to 4294967295",
        "kube_vip_bgppeers (2.yml line 8): a mapping; write a list of address:AS:password:multihop",
        "kube_vip_lb_fwdmethod=nat (2.yml line 7): not one of the words it may be; \
         write local, masquerade, tunnel, directroute, bypass",
    ];
    assert_eq!(complaints(&reading), expected);
}

#[test]
fn the_documentation_has_every_variable_as_it_is() {
    let page = include_str!("../../../docs/kubespray.md");
    let missing: Vec<String> =
        table::ALL.iter().map(documented).filter(|line| !page.lines().any(|own| own == line)).collect();
    assert_eq!(missing, Vec::<String>::new());
}

fn documented(row: &table::Row) -> String {
    let default = match row.default {
        table::Default::Undefined | table::Default::Null => "–".to_owned(),
        table::Default::Written(text) => format!("`{text}`"),
    };
    let becomes = match row.becomes {
        Becomes::Env(env, _) | Becomes::EnvUnder(env, ..) | Becomes::Together(env) => format!("`{env}`"),
        Becomes::Checked => "checked".to_owned(),
        Becomes::Nothing => "ignored, and said".to_owned(),
        Becomes::Kubespray => "left to Kubespray".to_owned(),
    };
    format!("| `{}` | {default} | {becomes} | {} |", row.name, row.note)
}

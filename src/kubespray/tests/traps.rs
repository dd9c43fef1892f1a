//! What goes wrong between Kubespray's variables and the pod, and what nobody checks.

use super::{ARP, changes, complaints, files, notices, settings, with};

fn added(more: &str) -> Vec<(String, String)> {
    changes(more).0
}

fn one(env: &str, text: &str) -> Vec<(String, String)> {
    vec![(env.to_owned(), text.to_owned())]
}

#[test]
fn booleans_may_be_written_in_every_way_that_yaml_ansible_and_go_know() {
    for yes in ["true", "True", "TRUE", "'true'", "yes", "on", "'1'", "1", "t", "T"] {
        let more = format!("kube_vip_services_enabled: {yes}");
        assert_eq!(added(&more), one("svc_enable", "true"), "{yes}");
    }
    for no in ["false", "False", "'false'", "'False'", "no", "off", "'0'", "0", "f", "F", "", "''"] {
        let more = format!("kube_vip_services_enabled: {no}");
        assert_eq!(added(&more), vec![], "{no}");
    }
}

#[test]
fn what_is_unset_stays_unset_however_it_is_written() {
    for unset in ["", "null", "~", "''", "' '", "None", "'None'"] {
        let more = format!(
            "kube_vip_bgp_enabled: true\nkube_vip_bgp_routerid: {unset}\nkube_vip_bgp_peeraddress: {unset}\n\
             kube_vip_bgp_peerpass: {unset}\nkube_vip_interface: {unset}\nkube_vip_bgp_sourceif: {unset}"
        );
        let bgp = [("bgp_enable", "true"), ("bgp_as", "65000"), ("bgp_peeras", "65000")];
        let bgp = bgp.map(|(env, text)| (env.to_owned(), text.to_owned()));
        assert_eq!(added(&more), bgp, "{unset:?}");
    }
}

#[test]
fn peers_may_be_one_text_and_one_that_was_taken_apart_is_refused() {
    let peers = |value: &str| format!("kube_vip_bgp_enabled: true\nkube_vip_bgppeers: {value}");
    let text = with(&peers("192.0.2.254:64512::false,192.0.2.253:64512::false"));
    let expected = ("bgp_peers", "192.0.2.254:64512::false,192.0.2.253:64512::false");
    assert_eq!((complaints(&text), settings(&text).contains(&expected)), (vec![], true));
    assert_eq!(
        complaints(&with(&peers("'1,9,2,.,0,.,2'"))),
        ["kube_vip_bgppeers (2.yml line 2): taken apart into single characters; \
          write a list of address:AS:password:multihop"]
    );
}

#[test]
fn arp_and_bgp_together_are_both_passed_on() {
    let reading = with("kube_vip_bgp_enabled: true");
    let found = settings(&reading);
    assert!(found.contains(&("vip_arp", "true")) && found.contains(&("bgp_enable", "true")), "{found:?}");
}

#[test]
fn metrics_that_are_not_enabled_are_where_kube_vip_has_them() {
    let reading = with("kube_vip_metrics_enabled: false\nkube_vip_metrics_port: 9100");
    assert_eq!(settings(&reading).last(), Some(&("prometheus_server", ":2112")));
    assert_eq!(
        notices(&reading),
        [
            "kube_vip_metrics_enabled: no effect, as in Kubespray: /metrics is served at :2112 all the same. \
             --prometheusHTTPServer= switches it off, and the probes with it",
            "kube_vip_metrics_port: without use while kube_vip_metrics_enabled is false, as in Kubespray",
        ]
    );
}

#[test]
fn the_port_of_the_load_balancer_is_never_left_to_kube_vips_default() {
    let balanced = "kube_vip_lb_enable: true\nkube_apiserver_port: 6444\nloadbalancer_apiserver:";
    let found = |more: &str| {
        let reading = with(&format!("{balanced}{more}"));
        assert_eq!(complaints(&reading), Vec::<String>::new());
        let port = reading.settings.iter().find(|setting| setting.env == "lb_port");
        port.map(|setting| (setting.text.clone(), setting.source.to_string()))
    };
    let expected = |text: &str, from: &str| Some((text.to_owned(), format!("Kubespray 2.yml:{from}")));
    assert_eq!(found(" {port: 8443}"), expected("8443", "loadbalancer_apiserver"));
    assert_eq!(found(""), expected("6444", "kube_apiserver_port"));
}

#[test]
fn without_a_balancer_of_ours_both_ports_have_to_be_the_same() {
    let reading = with("loadbalancer_apiserver: {address: 10.42.42.42, port: 8443}");
    assert_eq!(
        complaints(&reading),
        ["loadbalancer_apiserver.port=8443 (2.yml line 1): \
          nobody listens there on the VIP: kube_apiserver_port is 6443; write 6443"]
    );
}

#[test]
fn a_router_id_of_a_whole_group_is_worth_a_warning_and_one_of_a_host_is_not() {
    let bgp = "kube_vip_bgp_enabled: true\nkube_vip_bgp_routerid: 192.0.2.1";
    let warning = "kube_vip_bgp_routerid: one router ID for a group of hosts, and every node has to have its \
                   own: leave it out, or put it into host_vars";
    assert_eq!(notices(&with(bgp)), [warning]);
    let text = |path: &str, text: &str| super::Text { path: path.into(), text: text.into() };
    let of_host = super::read(&[text("group_vars/all.yml", ARP), text("inventory/host_vars/cp1.yml", bgp)]);
    assert_eq!(notices(&of_host), Vec::<String>::new());
}

#[test]
fn strict_arp_is_asked_for_as_kubespray_asks_for_it() {
    let why = "kube-proxy in the mode ipvs would let every node answer for the VIP";
    let explicit = format!("kube_proxy_strict_arp=false (2.yml line 1): {why}; set it to true");
    assert_eq!(complaints(&with("kube_proxy_strict_arp: false")), [explicit]);
    let arp = ARP.replace("kube_proxy_strict_arp: true\n", "");
    let mode = files(&[&format!("{arp}kube_proxy_mode: ipvs")]);
    let default = format!("kube_proxy_strict_arp=false (Kubespray's default): {why}; set it to true");
    assert_eq!(complaints(&mode), [default]);
    let silent = files(&[&arp]);
    let warning = format!(
        "kube_proxy_strict_arp: in none of the files, and without it {why}: set it to true, as Kubespray asks"
    );
    assert_eq!((complaints(&silent), notices(&silent)), (vec![], vec![warning]));
    let fine = [
        "kube_proxy_mode: iptables",
        "kube_proxy_mode: nftables",
        "kube_proxy_remove: true",
        "kube_vip_arp_enabled: false",
    ];
    for fine in fine {
        let reading = files(&[&arp, "kube_proxy_strict_arp: false", fine]);
        assert_eq!(complaints(&reading), Vec::<String>::new(), "{fine}");
    }
}

#[test]
fn two_sources_for_bgp_are_one_too_many() {
    let both = "kube_vip_bgp_sourceip: 192.0.2.1\nkube_vip_bgp_sourceif: ens160";
    assert_eq!(
        complaints(&with(&format!("kube_vip_bgp_enabled: true\n{both}"))),
        [
            "kube_vip_bgp_sourceif=ens160 (2.yml line 3): contradicts kube_vip_bgp_sourceip; keep one of the two"
        ]
    );
    assert_eq!(complaints(&with(both)), Vec::<String>::new());
    let blank = "kube_vip_bgp_enabled: true\nkube_vip_bgp_sourceip: ' '\nkube_vip_bgp_sourceif: ens160";
    assert_eq!(complaints(&with(blank)), Vec::<String>::new());
}

#[test]
fn variables_that_install_nothing_are_refused() {
    let why = "Kubespray installs no VIP program; set it to true, or leave these files out";
    assert_eq!(
        complaints(&with("kube_vip_enabled: 'false'")),
        [format!("kube_vip_enabled=false (2.yml line 1): {why}")]
    );
    assert_eq!(
        complaints(&files(&["kube_vip_address: 192.0.2.10"])),
        [format!("kube_vip_enabled=false (Kubespray's default): {why}")]
    );
}

#[test]
fn an_api_server_that_does_not_listen_on_the_vip_is_refused() {
    let bound = |address: &str| complaints(&with(&format!("kube_apiserver_bind_address: '{address}'")));
    assert_eq!(
        bound("192.0.2.1"),
        [
            "kube_apiserver_bind_address=192.0.2.1 (2.yml line 1): the API server would listen on that address \
          alone, and not on the VIP; leave it out, or write ::"
        ]
    );
    for fine in ["::", "0.0.0.0", "10.42.42.42", "{{ ip }}"] {
        assert_eq!(bound(fine), Vec::<String>::new(), "{fine}");
    }
}

#[test]
fn clients_that_are_sent_elsewhere_are_worth_a_notice() {
    let elsewhere = with("loadbalancer_apiserver: {address: 10.0.0.40, port: 6443}");
    let notice = "loadbalancer_apiserver.address: 10.0.0.40 is not the VIP, 10.42.42.42: \
                  that is where nodes and kubeconfigs are pointed";
    assert_eq!((complaints(&elsewhere), notices(&elsewhere)), (vec![], vec![notice.to_owned()]));
    let nowhere = files(&[&ARP.replace("loadbalancer_apiserver:", "something_else:")]);
    let notice = "loadbalancer_apiserver: not set: Kubespray points no node and no kubeconfig at the VIP";
    assert_eq!((complaints(&nowhere), notices(&nowhere)), (vec![], vec![notice.to_owned()]));
    let family = "kube_vip_address: 2001:db8::42\nloadbalancer_apiserver: {address: '2001:DB8:0::42'}";
    assert_eq!(notices(&with(family)), Vec::<String>::new());
}

#[test]
fn a_password_does_not_show() {
    let reading = with(
        "kube_vip_bgp_enabled: true\nkube_vip_bgp_peerpass: hunter2\nkube_vip_bgppeers: ['192.0.2.1:1:hunter2:false']",
    );
    assert!(settings(&reading).contains(&("bgp_peerpass", "hunter2")));
    assert!(!format!("{reading:?}").contains("hunter2"), "{reading:?}");
}

#[test]
fn a_load_balancer_with_two_addresses_is_told_that_one_belongs_there() {
    let reading = with("kube_vip_address: 10.42.42.42,fd00::42\nkube_vip_cidr: 32,128");
    assert_eq!(
        notices(&reading),
        [
            "loadbalancer_apiserver.address: 10.42.42.42,fd00::42 is several addresses, and nodes and kubeconfigs \
          are pointed at one: write the one they should use"
        ]
    );
}

#[test]
fn a_port_for_metrics_is_a_number_and_its_absence_switches_nothing() {
    let metrics =
        |port: &str| with(&format!("kube_vip_metrics_enabled: true\nkube_vip_metrics_port: {port}"));
    for wrong in [":2112", "0", "65536"] {
        let reading = metrics(&format!("'{wrong}'"));
        let expected = format!(
            "kube_vip_metrics_port={wrong} (2.yml line 2): not a whole number in range; write 1 to 65535"
        );
        assert_eq!((complaints(&reading), notices(&reading)), (vec![expected], vec![]));
    }
    assert_eq!((complaints(&metrics("")), notices(&metrics(""))), (vec![], vec![]));
}

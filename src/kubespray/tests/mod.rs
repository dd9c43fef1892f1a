//! Files in, settings and complaints out.

mod blocks;
mod files;
mod jinja;
mod traps;
mod variables;

use super::{Reading, Text, read};

/// What Kubespray needs for an ARP control plane.
const ARP: &str = "
kube_vip_enabled: true
kube_vip_arp_enabled: true
kube_vip_controlplane_enabled: true
kube_vip_address: 10.42.42.42
kube_proxy_strict_arp: true
loadbalancer_apiserver: {address: '{{ kube_vip_address }}', port: 6443}
";

/// What comes of it, with Kubespray's defaults.
const ARP_SETTINGS: &[(&str, &str)] = &[
    ("address", "10.42.42.42"),
    ("vip_arp", "true"),
    ("port", "6443"),
    ("vip_subnet", "32"),
    ("dns_mode", "first"),
    ("cp_enable", "true"),
    ("vip_ddns", "false"),
    ("cp_detect", "false"),
    ("svc_leasename", "plndr-svcs-lock"),
    ("vip_leaderelection", "true"),
    ("vip_leasename", "plndr-cp-lock"),
    ("vip_leaseduration", "5"),
    ("vip_renewdeadline", "3"),
    ("vip_retryperiod", "1"),
    ("lb_fwdmethod", "local"),
    ("cp_namespace", "kube-system"),
    ("prometheus_server", ":2112"),
];

fn files(texts: &[&str]) -> Reading {
    let named = |(number, text): (usize, &&str)| Text {
        path: format!("{}.yml", number + 1),
        text: (*text).to_owned(),
    };
    read(&texts.iter().enumerate().map(named).collect::<Vec<_>>())
}

/// The ARP control plane, and a second file that wins.
fn with(more: &str) -> Reading {
    files(&[ARP, more])
}

fn settings(reading: &Reading) -> Vec<(&str, &str)> {
    reading.settings.iter().map(|setting| (setting.env, setting.text.as_str())).collect()
}

fn complaints(reading: &Reading) -> Vec<String> {
    reading.problems.iter().map(ToString::to_string).collect()
}

fn notices(reading: &Reading) -> Vec<String> {
    reading.notices.iter().map(ToString::to_string).collect()
}

/// What a second file adds to the settings of the ARP control plane, and takes from them.
fn changes(more: &str) -> (Vec<(String, String)>, Vec<&'static str>) {
    let reading = with(more);
    assert_eq!(complaints(&reading), Vec::<String>::new(), "{more}");
    let now = settings(&reading);
    let own = |(env, text): &(&str, &str)| ((*env).to_owned(), (*text).to_owned());
    let added = now.iter().filter(|pair| !ARP_SETTINGS.contains(pair)).map(own).collect();
    let gone = ARP_SETTINGS.iter().map(|(env, _)| *env);
    (added, gone.filter(|env| !now.iter().any(|(name, _)| name == env)).collect())
}

//! What Kubespray checks before it installs kube-vip, and what nobody checks and everybody regrets.

use std::net::IpAddr;

use super::render::{Fact, Facts};
use super::value::Value;
use crate::config::{Notice, Problem, Source};

/// Looks at the variables side by side.
pub(super) fn check(facts: &mut Facts<'_>) {
    enabled(facts);
    strict_arp(facts);
    one_source(facts);
    load_balancer(facts);
    bind_address(facts);
    router_id(facts);
    let (problems, notices) = facts.scope.unknown();
    facts.problems.extend(problems);
    facts.notices.extend(notices);
}

fn enabled(facts: &mut Facts<'_>) {
    let reason = "Kubespray installs no VIP program";
    let fix = "set it to true, or leave these files out";
    match facts.fact(ENABLED) {
        Some(fact) if fact.text == "true" => {}
        Some(fact) if !fact.explicit && !facts.scope.complete => {}
        Some(fact) => {
            facts
                .problems
                .push(Problem { value: Some(fact.text), ..Problem::of(fact.source, ENABLED, reason, fix) });
        }
        None => {}
    }
}

/// Every node answers for every address of kube-proxy's dummy interface unless strict ARP is on.
fn strict_arp(facts: &mut Facts<'_>) {
    if !facts.switch("kube_vip_arp_enabled") || facts.switch("kube_proxy_remove") {
        return;
    }
    let (Some(mode), Some(strict)) = (facts.fact("kube_proxy_mode"), facts.fact(STRICT_ARP)) else { return };
    if !mode.text.eq_ignore_ascii_case("ipvs") || strict.text == "true" {
        return;
    }
    let reason = "kube-proxy in the mode ipvs would let every node answer for the VIP";
    if mode.explicit || strict.explicit {
        let problem = Problem::of(strict.source, STRICT_ARP, reason, "set it to true");
        return facts.problems.push(Problem { value: Some(strict.text), ..problem });
    }
    // The files that have been named need not be all; Kubespray itself will look at all of them.
    let text = format!("in none of the files, and without it {reason}: set it to true, as Kubespray asks");
    facts.notices.push(Notice::warning(STRICT_ARP, text));
}

fn one_source(facts: &mut Facts<'_>) {
    if !facts.switch("kube_vip_bgp_enabled") {
        return;
    }
    let address = facts.fact("kube_vip_bgp_sourceip");
    if let (Some(_), Some(interface)) = (address, facts.fact("kube_vip_bgp_sourceif")) {
        let reason = "contradicts kube_vip_bgp_sourceip";
        let problem = Problem::of(interface.source, "kube_vip_bgp_sourceif", reason, "keep one of the two");
        facts.problems.push(Problem { value: Some(interface.text), ..problem });
    }
}

fn load_balancer(facts: &mut Facts<'_>) {
    let Some((balancer, source)) = facts.load_balancer() else {
        if facts.switch("kube_vip_controlplane_enabled") && facts.scope.written(BALANCER).is_none() {
            let text = "not set: Kubespray points no node and no kubeconfig at the VIP";
            facts.notices.push(Notice::info(BALANCER, text));
        }
        return;
    };
    match &balancer {
        Value::Null => {}
        Value::Map(_) => {
            port(facts, &balancer, &source);
            address(facts, &balancer);
        }
        Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => {
            let fix = "write address and port below it";
            let reason = format!("{}, not a mapping", balancer.kind());
            facts.problems.push(Problem::of(source, BALANCER, reason, fix));
        }
    }
}

/// Where our own balancer listens for it the port may differ from the API server's.
fn port(facts: &mut Facts<'_>, balancer: &Value, source: &Source) {
    let Some(port) = balancer.entry("port").and_then(Value::text).filter(|port| !port.is_empty()) else {
        return;
    };
    let name = format!("{BALANCER}.port");
    let Some(own) = facts.fact("kube_apiserver_port").filter(|own| own.text != port) else { return };
    if !facts.switch("kube_vip_lb_enable") {
        let reason = format!("nobody listens there on the VIP: kube_apiserver_port is {}", own.text);
        let problem = Problem::of(source.clone(), name, reason, format!("write {}", own.text));
        facts.problems.push(Problem { value: Some(port), ..problem });
    }
}

fn address(facts: &mut Facts<'_>, balancer: &Value) {
    let Some(address) = balancer.entry("address").and_then(Value::text) else { return };
    if address.contains(',') {
        let text = format!(
            "{address} is several addresses, and nodes and kubeconfigs are pointed at one: write the one they should use"
        );
        return facts.notices.push(Notice::warning(format!("{BALANCER}.address"), text));
    }
    let Some(vips) = facts.setting("address").map(|setting| setting.text.clone()) else { return };
    if !address.is_empty() && !vips.split(',').any(|vip| same(vip.trim(), &address)) {
        let text =
            format!("{address} is not the VIP, {vips}: that is where nodes and kubeconfigs are pointed");
        facts.notices.push(Notice::warning(format!("{BALANCER}.address"), text));
    }
}

/// An API server that listens on one address of the node does not listen on the VIP.
fn bind_address(facts: &mut Facts<'_>) {
    let Some(Fact { text, source, .. }) = facts.fact(BIND_ADDRESS) else { return };
    let vips = facts.setting("address").map(|setting| setting.text.clone()).unwrap_or_default();
    let Ok(address) = text.parse::<IpAddr>() else {
        let problem = Problem::of(source, BIND_ADDRESS, "not an IP address", "leave it out, or write ::");
        return facts.problems.push(Problem { value: Some(text), ..problem });
    };
    let balanced = facts.switch("kube_vip_lb_enable") || !facts.switch("kube_vip_controlplane_enabled");
    if !address.is_unspecified() && !balanced && !vips.split(',').any(|vip| same(vip.trim(), &text)) {
        let reason = "the API server would listen on that address alone, and not on the VIP";
        let problem = Problem::of(source, BIND_ADDRESS, reason, "leave it out, or write ::");
        facts.problems.push(Problem { value: Some(text), ..problem });
    }
}

/// "BGP Identifier" has to be another on every speaker (RFC 6286); a group has one value for all of its hosts.
fn router_id(facts: &mut Facts<'_>) {
    if !facts.switch("kube_vip_bgp_enabled") {
        return;
    }
    let id = facts.fact("kube_vip_bgp_routerid");
    let of_a_host = |source: &Source| source.place().split('/').any(|part| part == "host_vars");
    if id.is_some_and(|id| !of_a_host(&id.source)) {
        let text = "one router ID for a group of hosts, and every node has to have its own: \
                    leave it out, or put it into host_vars";
        facts.notices.push(Notice::warning("kube_vip_bgp_routerid", text));
    }
}

fn same(a: &str, b: &str) -> bool {
    a == b || matches!((a.parse::<IpAddr>(), b.parse::<IpAddr>()), (Ok(a), Ok(b)) if a == b)
}

const ENABLED: &str = "kube_vip_enabled";
const STRICT_ARP: &str = "kube_proxy_strict_arp";
const BALANCER: &str = "loadbalancer_apiserver";
const BIND_ADDRESS: &str = "kube_apiserver_bind_address";

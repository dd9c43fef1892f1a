//! The container: what it is told, what it may do, and by what it is judged.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, ObjectFieldSelector, Probe,
    ResourceRequirements, SecurityContext,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Options;
use super::mounts::Mount;
use crate::config::bgp::{Bgp, Source};
use crate::config::{Config, Listen, Resolved, print};

/// Where the container reads its settings.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// Its environment.
    Environment,
    /// A file of our own, by its path in the container.
    File(&'static str),
}

pub(super) fn container(
    resolved: &Resolved,
    options: &Options,
    mounts: &[Mount],
    input: &Input,
) -> Container {
    let metrics = resolved.config.admin.metrics;
    let (args, env) = match input {
        Input::Environment => (vec!["run".to_owned()], environment(resolved)),
        Input::File(path) => (vec!["run".to_owned(), format!("--config={path}")], vec![own_node()]),
    };
    Container {
        name: options.names.app().to_owned(),
        image: Some(options.image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        args: Some(args),
        env: Some(env),
        ports: metrics.map(|listen| vec![port(listen)]),
        liveness_probe: metrics.map(|listen| liveness(host(listen))),
        readiness_probe: metrics.map(|listen| readiness(host(listen))),
        resources: Some(resources(&resolved.config)),
        security_context: Some(security(&resolved.config)),
        volume_mounts: Some(mounts.iter().map(Mount::volume_mount).collect()),
        ..Container::default()
    }
}

/// Every setting that was given, and no other; the name of the node is what the kubelet says, unless it was given.
fn environment(resolved: &Resolved) -> Vec<EnvVar> {
    let given = print::environment(&resolved.sources);
    let node = (!given.iter().any(|(name, _)| *name == NODE_NAME)).then(own_node);
    node.into_iter().chain(given.into_iter().map(|(name, value)| literal(name, &value))).collect()
}

fn own_node() -> EnvVar {
    let field_ref = ObjectFieldSelector { field_path: "spec.nodeName".to_owned(), api_version: None };
    EnvVar {
        name: NODE_NAME.to_owned(),
        value_from: Some(EnvVarSource { field_ref: Some(field_ref), ..EnvVarSource::default() }),
        ..EnvVar::default()
    }
}

/// The kubelet puts variables for `$(NAME)`, and a single `$` for two.
fn literal(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.replace('$', "$$")), value_from: None }
}

fn port(listen: Listen) -> ContainerPort {
    ContainerPort {
        name: Some(METRICS.to_owned()),
        container_port: listen.port.get().into(),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

/// Where the kubelet, in the same network namespace, reaches the listener.
fn host(listen: Listen) -> IpAddr {
    match listen.host {
        None => Ipv4Addr::LOCALHOST.into(),
        Some(IpAddr::V4(any)) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        Some(IpAddr::V6(any)) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        Some(one) => one,
    }
}

/// Nobody waits for this restart: a daemon that makes no progress has lost its VIP to another node long before. So it is
/// slow, and a node under load does not lose a daemon that works.
fn liveness(host: IpAddr) -> Probe {
    Probe {
        period_seconds: Some(10),
        timeout_seconds: Some(5),
        failure_threshold: Some(6),
        http_get: Some(get("/livez", host)),
        ..Probe::default()
    }
}

fn readiness(host: IpAddr) -> Probe {
    Probe {
        period_seconds: Some(5),
        timeout_seconds: Some(3),
        failure_threshold: Some(3),
        http_get: Some(get("/readyz", host)),
        ..Probe::default()
    }
}

fn get(path: &str, host: IpAddr) -> HTTPGetAction {
    HTTPGetAction {
        host: Some(host.to_string()),
        path: Some(path.to_owned()),
        port: IntOrString::String(METRICS.to_owned()),
        ..HTTPGetAction::default()
    }
}

/// No limit on the processor: throttled, it would renew late and lose the Lease. The limit on memory is several times
/// what it needs, and bounds what a leak could take from the node. With Services it is what ten thousand of them need.
fn resources(config: &Config) -> ResourceRequirements {
    let (usual, most) = if config.services.is_some() { ("32Mi", "192Mi") } else { ("16Mi", "64Mi") };
    let quantities = |pairs: &[(&str, &str)]| -> BTreeMap<String, Quantity> {
        pairs.iter().map(|(name, amount)| ((*name).to_owned(), Quantity((*amount).to_owned()))).collect()
    };
    ResourceRequirements {
        requests: Some(quantities(&[("cpu", "10m"), ("memory", usual)])),
        limits: Some(quantities(&[("memory", most)])),
        ..ResourceRequirements::default()
    }
}

/// User 0, because Kubernetes gives added capabilities to no other user, and the credentials are root's; without the
/// capabilities that would let it do anything else with that.
fn security(config: &Config) -> SecurityContext {
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { add: words(&capabilities(config)), drop: words(&["ALL"]) }),
        read_only_root_filesystem: Some(true),
        run_as_group: Some(0),
        run_as_user: Some(0),
        ..SecurityContext::default()
    }
}

/// Addresses and TCP's keys need the first. Frames, router advertisements and sockets of an interface need the second.
/// BFD must not wait for its turn on the processor, which the third permits.
fn capabilities(config: &Config) -> Vec<&'static str> {
    let raw = config.layer2.is_some() || config.bgp.as_ref().is_some_and(on_an_interface);
    let punctual = config.bgp.as_ref().is_some_and(|bgp| bgp.peers.iter().any(|peer| peer.bfd.is_some()));
    let more = [("NET_RAW", raw), ("SYS_NICE", punctual)];
    ["NET_ADMIN"]
        .into_iter()
        .chain(more.iter().filter(|(_, needed)| *needed).map(|(name, _)| *name))
        .collect()
}

fn on_an_interface(bgp: &Bgp) -> bool {
    bgp.peers.iter().any(|peer| peer.at.interface().is_some() || matches!(peer.source, Source::Interface(_)))
}

/// The name of the port.
pub(super) const METRICS: &str = "metrics";
const NODE_NAME: &str = "vip_nodename";

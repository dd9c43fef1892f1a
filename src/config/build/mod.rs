//! From settings to subsystems: what follows from what, and which values do not go together.

mod bgp;
mod control_plane;
mod election;
mod health;
mod layer2;
mod services;

use std::path::PathBuf;

use hyper::Uri;
use ipnet::IpNet;

use super::problem::{Notice, Problem};
use super::reader::{Reader, Settings};
use super::table as t;
use super::types::{Admin, Announced, Config, ControlPlane, Election, KubernetesAccess, Layer2, Log};
use super::{HostFacts, Purpose};
use bgp::{beside_a_lease, bgp};
use control_plane::control_plane;
use election::election;
use health::health;
use layer2::layer2;
use services::services;

/// Reads everything, so that everything that is wrong is noted; `None` where something is.
pub(super) fn config(r: &mut Reader<'_>, host: &HostFacts) -> Option<Config> {
    let ways = mode(r);
    let (control_plane, all_vips) = control_plane(r, ways).unzip();
    let layer2 = layer2(r, ways);
    let services_lease = services::lease(r, host);
    let election = election(r, host);
    if let (Some(Some(layer2)), Some(election)) = (&layer2, &election) {
        lifetime_within_lease(r, layer2, election);
    }
    let kubernetes = kubernetes(r);
    let health = health(r);
    let node_name = node_name(r, host);
    let vips: Vec<_> = control_plane.iter().flatten().flat_map(|one| &one.vips).map(IpNet::addr).collect();
    let services = services(r, ways, services_lease, election.as_ref(), &all_vips.unwrap_or_default());
    if let (Some(None), Some(Some(services))) = (&control_plane, &services)
        && !services.control_plane_vips.is_empty()
    {
        let text = "announced by others: no Service gets it";
        r.notices.push(Notice::info(r.name(&t::ADDRESS.spec), text));
    }
    let of_services = matches!(services, Some(Some(_)) | None);
    let bgp = bgp(r, host, node_name.as_deref(), bgp::Announced { vips: &vips, of_services });
    if let (Some(Some(bgp)), Some(election)) = (&bgp, &election)
        && control_plane.iter().flatten().any(|one| one.announced == Announced::ByTheHolder)
    {
        beside_a_lease(r, bgp, election);
    }
    if let (Some(Some(control_plane)), Some(None)) = (&control_plane, &health) {
        ungated(r, control_plane);
    }
    let health = health.map(|health| health.filter(|_| gates(r, control_plane.as_ref(), of_services)));
    let admin = admin(r);
    if let Some(metrics) = admin.as_ref().and_then(|admin| admin.metrics) {
        free_port(r, metrics.socket_addr().port(), control_plane.as_ref());
    }
    let events = r.value(&t::EVENTS);
    let log = log(r);
    let shutdown_wait = r.value(&t::SHUTDOWN_WAIT);
    Some(Config {
        control_plane: control_plane?,
        layer2: layer2?,
        bgp: bgp?,
        services: services?,
        election: election?,
        kubernetes: kubernetes?,
        health: health?,
        admin: admin?,
        events: events?,
        log: log?,
        node_name: node_name?,
        shutdown_wait: shutdown_wait?,
    })
}

/// By which ways VIPs are announced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Ways {
    arp: bool,
    bgp: bool,
}

/// Something has to be announced, and some way to announce it has to be on.
fn mode(r: &mut Reader<'_>) -> Ways {
    let foreign = r.layers.foreign();
    let other_announcer = foreign.other_announcer;
    r.problems.extend(foreign.problems);
    r.notices.extend(foreign.notices);
    let (control_plane, services) = (r.value(&t::CONTROL_PLANE), r.value(&t::services::SERVICES));
    let (arp, bgp) = (r.value(&t::LAYER2), r.value(&t::bgp::BGP));
    let ways = Ways { arp: arp.unwrap_or(false), bgp: bgp.unwrap_or(false) };
    if arp.is_none() || bgp.is_none() || !r.layers.complete {
        return ways;
    }
    let anything = control_plane.zip(services).map(|(control_plane, services)| control_plane || services);
    match (anything, ways.arp || ways.bgp) {
        (None, _) | (Some(true), true) => {}
        (Some(false), _) if r.purpose == Purpose::Surroundings => {}
        (Some(false), false) if !other_announcer => r.problems.push(Problem::plain(
            "cp_enable and vip_arp",
            "nothing is switched on",
            "set cp_enable=true and vip_arp=true (or bgp_enable=true), and the VIP in address; for Services svc_enable=true",
        )),
        (Some(false), _) => {
            let fix = "set cp_enable=true, or svc_enable=true for Services";
            r.blame(&t::CONTROL_PLANE.spec, "nothing to announce is switched on", fix);
        }
        (Some(true), false) if other_announcer => {}
        (Some(true), false) => {
            let fix = "set vip_arp=true or bgp_enable=true";
            r.blame(&t::LAYER2.spec, "nothing that announces addresses is switched on", fix);
        }
    }
    ways
}

/// Whether the health of the API server matters: a node that only announces Services need not have one.
fn gates(r: &mut Reader<'_>, control_plane: Option<&Option<ControlPlane>>, of_services: bool) -> bool {
    if !of_services || !matches!(control_plane, Some(None)) {
        return true;
    }
    r.derived(&t::HEALTH.spec, "false", "there is no control-plane VIP");
    false
}

/// Routers that choose among nodes send traffic to an API server that does not work.
fn ungated(r: &mut Reader<'_>, control_plane: &ControlPlane) {
    if control_plane.announced == Announced::ByEveryHealthyNode {
        let (health, election) = (r.name(&t::HEALTH.spec), r.name(&t::ELECTION.spec));
        let text = format!(
            "switched off, and every node announces the VIP: routers send requests also to nodes whose API server does \
             not answer. Leave it on, or set {election}=true"
        );
        r.notices.push(Notice::warning(health, text));
    }
}

/// A static pod is there before kubeadm is: whoever took such a port would keep a part of Kubernetes from starting.
fn free_port(r: &mut Reader<'_>, port: u16, control_plane: Option<&Option<ControlPlane>>) {
    let api = control_plane.and_then(Option::as_ref).map_or(6443, |control_plane| control_plane.port.get());
    let known = [(api, "the API server"), (2379, "etcd"), (2380, "etcd"), (10250, "the kubelet")];
    let known = known.into_iter().chain([(10257, "the controller manager"), (10259, "the scheduler")]);
    if let Some((_, owner)) = known.into_iter().find(|(taken, _)| *taken == port) {
        let reason = format!("port {port} is {owner}'s on a control-plane node");
        r.blame(&t::METRICS.spec, reason, "choose another port, such as 2112");
    }
}

/// A frozen process must not keep its VIP for longer than others wait.
fn lifetime_within_lease(r: &mut Reader<'_>, layer2: &Layer2, election: &Election) {
    if layer2.address_lifetime > election.timing.lease_duration {
        let lease = r.name(&t::LEASE_DURATION.spec);
        let reason =
            format!("longer than {lease}: a frozen node would keep the VIP after another has taken it");
        let fix = format!("write at most {}", election.timing.lease_duration.as_secs());
        r.blame(&t::ADDRESS_LIFETIME.spec, reason, fix);
    }
}

fn kubernetes(r: &mut Reader<'_>) -> Option<KubernetesAccess> {
    let kubeconfig = r.optional(&t::KUBECONFIG);
    let address = r.optional(&t::KUBERNETES_ADDRESS);
    let port = r.value(&t::PORT);
    let files = r.layers.variable("KUBECONFIG").unwrap_or_default();
    let kubeconfig_env = files.split(':').filter(|file| !file.is_empty()).map(PathBuf::from).collect();
    let home = r.layers.variable("HOME").map(PathBuf::from);
    let address = address?.map(|uri| with_port(uri, port.map_or(6443, Into::into)));
    let service = service(r);
    Some(KubernetesAccess { kubeconfig: kubeconfig?, service, kubeconfig_env, home, address })
}

fn node_name(r: &mut Reader<'_>, host: &HostFacts) -> Option<String> {
    if let Some(name) = r.optional(&t::NODE_NAME)? {
        return Some(name);
    }
    match (t::NODE_NAME.parse)(&t::NODE_NAME.spec, host.hostname.trim()) {
        Ok(name) => {
            r.derived(&t::NODE_NAME.spec, name.clone(), "the hostname");
            Some(name)
        }
        Err(wrong) => {
            let reason = format!("not set, and the hostname is {}", wrong.reason);
            r.problems.push(Problem::plain("vip_nodename", reason, "set vip_nodename to the Node's name"));
            None
        }
    }
}

fn admin(r: &mut Reader<'_>) -> Option<Admin> {
    let socket = r.value(&t::SOCKET);
    let metrics = r.value(&t::METRICS);
    Some(Admin { socket: socket?, metrics: metrics? })
}

fn log(r: &mut Reader<'_>) -> Option<Log> {
    let level = r.value(&t::LOG_LEVEL);
    let format = r.value(&t::LOG_FORMAT);
    Some(Log { level: level?, format: format? })
}

fn with_port(uri: Uri, port: u16) -> Uri {
    match uri.authority() {
        Some(authority) if authority.port().is_none() => rebuilt(&uri, format!("{authority}:{port}")),
        Some(_) | None => uri,
    }
}

fn rebuilt(uri: &Uri, authority: String) -> Uri {
    let scheme = uri.scheme_str().unwrap_or("https");
    Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query("/")
        .build()
        .unwrap_or_else(|_| uri.clone())
}

fn service(r: &Reader<'_>) -> Option<(String, u16)> {
    let host = r.layers.variable("KUBERNETES_SERVICE_HOST")?;
    let port = r.layers.variable("KUBERNETES_SERVICE_PORT")?.parse().ok()?;
    Some((host.to_owned(), port))
}

//! From settings to subsystems: what follows from what, and which values do not go together.

use std::net::IpAddr;
use std::path::PathBuf;

use hyper::Uri;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use vipcast_proto::election::Timing;

use super::HostFacts;
use super::problem::{Notice, Problem};
use super::reader::Reader;
use super::table as t;
use super::types::{
    Admin, Config, ControlPlane, Election, Health, KubernetesAccess, Layer2, Log, WireCheck,
};
use super::value::Prefixes;

/// Reads everything, so that everything that is wrong is noted; `None` where something is.
pub(super) fn config(r: &mut Reader<'_>, host: &HostFacts) -> Option<Config> {
    mode(r);
    let control_plane = control_plane(r);
    let layer2 = layer2(r);
    let election = election(r, host);
    if let (Some(layer2), Some(election)) = (&layer2, &election) {
        lifetime_within_lease(r, layer2, election);
    }
    let kubernetes = kubernetes(r);
    let health = health(r);
    let node_name = node_name(r, host);
    let admin = admin(r);
    let events = r.value(&t::EVENTS);
    let log = log(r);
    let shutdown_wait = r.value(&t::SHUTDOWN_WAIT);
    Some(Config {
        control_plane: control_plane?,
        layer2: layer2?,
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

/// Something has to be announced, and some way to announce it has to be on.
fn mode(r: &mut Reader<'_>) {
    let foreign = r.layers.foreign();
    let other_announcer = foreign.other_announcer;
    r.problems.extend(foreign.problems);
    r.notices.extend(foreign.notices);
    let (Some(control_plane), Some(arp)) = (r.value(&t::CONTROL_PLANE), r.value(&t::LAYER2)) else {
        return;
    };
    if !r.layers.complete {
        return;
    }
    match (control_plane, arp) {
        (true, true) => {}
        (false, false) if !other_announcer => r.problems.push(Problem::plain(
            "cp_enable and vip_arp",
            "nothing is switched on",
            "set cp_enable=true and vip_arp=true, and the VIP in address",
        )),
        (false, _) => r.blame(
            &t::CONTROL_PLANE.spec,
            "nothing to announce is switched on",
            "set cp_enable=true",
        ),
        (true, false) if other_announcer => {}
        (true, false) => {
            r.blame(
                &t::LAYER2.spec,
                "ARP is the only announcer in this version",
                "set vip_arp=true",
            );
        }
    }
}

fn control_plane(r: &mut Reader<'_>) -> Option<Option<ControlPlane>> {
    let enabled = r.value(&t::CONTROL_PLANE);
    let addresses = r.optional(&t::ADDRESS);
    let prefixes = r.optional(&t::PREFIX_LENGTH);
    let port = r.value(&t::PORT);
    let (enabled, addresses, prefixes) = (enabled?, addresses?, prefixes?);
    let Some(addresses) = addresses else {
        if enabled && r.layers.complete {
            let fix = "set address to the VIP, for example address=192.0.2.10";
            r.problems.push(Problem::plain(
                "address",
                "the control plane is switched on without a VIP",
                fix,
            ));
        }
        return (!enabled).then_some(None);
    };
    let vips: Option<Vec<IpNet>> = addresses
        .iter()
        .map(|address| vip(r, *address, prefixes))
        .collect();
    prefix_notices(r, &addresses, prefixes);
    let control_plane = ControlPlane {
        vips: vips?,
        port: port?,
    };
    Some(enabled.then_some(control_plane))
}

fn vip(r: &mut Reader<'_>, address: IpAddr, prefixes: Option<Prefixes>) -> Option<IpNet> {
    let net = match address {
        IpAddr::V4(v4) => {
            Ipv4Net::new(v4, prefixes.and_then(Prefixes::v4).unwrap_or(32)).map(IpNet::V4)
        }
        IpAddr::V6(v6) => {
            Ipv6Net::new(v6, prefixes.and_then(Prefixes::v6).unwrap_or(128)).map(IpNet::V6)
        }
    };
    let Ok(net) = net else {
        r.blame(
            &t::PREFIX_LENGTH.spec,
            format!("too long for the IPv4 VIP {address}"),
            "write at most 32",
        );
        return None;
    };
    let role = match net {
        IpNet::V4(net) if net.prefix_len() > 30 => None,
        IpNet::V4(net) if net.addr() == net.broadcast() => Some("broadcast"),
        IpNet::V4(net) if net.addr() == net.network() => Some("network"),
        IpNet::V4(_) | IpNet::V6(_) => None,
    };
    if let Some(role) = role {
        let reason = format!("{address} is the {role} address of {}", net.trunc());
        r.blame(&t::ADDRESS.spec, reason, "write a free address of the LAN");
        return None;
    }
    Some(net)
}

/// What is understood otherwise than kube-vip does.
fn prefix_notices(r: &mut Reader<'_>, addresses: &[IpAddr], prefixes: Option<Prefixes>) {
    let setting = r.name(&t::PREFIX_LENGTH.spec);
    match prefixes {
        Some(Prefixes::One(Some(length @ ..=32))) if addresses.iter().any(IpAddr::is_ipv6) => {
            let text = format!(
                "{length} is taken for IPv4 only; IPv6 VIPs get /128. Write {length},128 to say so"
            );
            r.notices.push(Notice::warning(setting, text));
        }
        Some(Prefixes::One(None) | Prefixes::Two(None, _) | Prefixes::Two(_, None)) => {
            r.notices.push(Notice::info(
                setting,
                "auto means /32 for IPv4 and /128 for IPv6",
            ));
        }
        Some(Prefixes::One(_) | Prefixes::Two(..)) => {}
        None => r.derived(&t::PREFIX_LENGTH.spec, "32,128", "one address each"),
    }
}

fn layer2(r: &mut Reader<'_>) -> Option<Layer2> {
    let interface = r.optional(&t::INTERFACE);
    let allow_interface_not_up = r.value(&t::ALLOW_INTERFACE_NOT_UP);
    let skip_dad = r.value(&t::SKIP_DAD);
    let address_lifetime = r.value(&t::ADDRESS_LIFETIME);
    let refresh = r.value(&t::REFRESH);
    let wire_check = wire_check(r);
    Some(Layer2 {
        interface: interface?,
        allow_interface_not_up: allow_interface_not_up?,
        skip_dad: skip_dad?,
        address_lifetime: address_lifetime?,
        refresh: refresh?,
        wire_check: wire_check?,
    })
}

fn wire_check(r: &mut Reader<'_>) -> Option<Option<WireCheck>> {
    let enabled = r.value(&t::WIRE_CHECK);
    let probes = r.value(&t::WIRE_PROBES);
    let interval = r.value(&t::WIRE_INTERVAL);
    let wait = r.value(&t::WIRE_WAIT);
    let retry = r.value(&t::WIRE_RETRY);
    let check = WireCheck {
        probes: probes?,
        interval: interval?,
        wait: wait?,
        retry: retry?,
    };
    Some(enabled?.then_some(check))
}

fn election(r: &mut Reader<'_>, host: &HostFacts) -> Option<Election> {
    let lease = r.value(&t::LEASE_NAME);
    let namespace = r.optional(&t::LEASE_NAMESPACE);
    let timing = timing(r);
    let (lease, namespace) = (lease?, namespace?);
    let account = host.service_account_namespace.clone();
    let (lease_namespace, from) = match (lease.namespace, namespace, account) {
        (Some(own), given, _) => {
            if given.is_some_and(|given| given != own) {
                let text = format!("the Lease's name says {own}, which counts");
                r.notices
                    .push(Notice::warning(r.name(&t::LEASE_NAMESPACE.spec), text));
            }
            (own, Some("the Lease's name"))
        }
        (None, Some(given), account) => {
            if let Some(account) = account.filter(|account| *account != given) {
                let text =
                    format!("kube-vip would use the service account's namespace {account} instead");
                r.notices
                    .push(Notice::warning(r.name(&t::LEASE_NAMESPACE.spec), text));
            }
            (given, None)
        }
        (None, None, Some(account)) => (account, Some("the service account")),
        (None, None, None) => (
            LEASE_NAMESPACE.to_owned(),
            Some("where control planes live"),
        ),
    };
    if let Some(from) = from {
        r.derived(&t::LEASE_NAMESPACE.spec, lease_namespace.clone(), from);
    }
    Some(Election {
        lease_namespace,
        lease_name: lease.name,
        timing: timing?,
    })
}

fn timing(r: &mut Reader<'_>) -> Option<Timing> {
    let lease_duration = r.value(&t::LEASE_DURATION);
    let renew_deadline = r.value(&t::RENEW_DEADLINE);
    let retry_period = r.value(&t::RETRY_PERIOD);
    let (lease_duration, renew_deadline, retry_period) =
        (lease_duration?, renew_deadline?, retry_period?);
    let before = r.problems.len();
    if renew_deadline >= lease_duration {
        let lease = r.name(&t::LEASE_DURATION.spec);
        let reason = format!("not shorter than {lease}, {}s", lease_duration.as_secs());
        r.blame(
            &t::RENEW_DEADLINE.spec,
            reason,
            format!("leave at least a second to {lease}, for example 10 of 15"),
        );
    }
    if retry_period.saturating_mul(2) > renew_deadline {
        let renew = r.name(&t::RENEW_DEADLINE.spec);
        let reason = format!(
            "more than half of {renew}, {}s: one lost request would lose the VIP",
            renew_deadline.as_secs()
        );
        r.blame(
            &t::RETRY_PERIOD.spec,
            reason,
            format!("write at most {}", renew_deadline.as_secs() / 2),
        );
    }
    (r.problems.len() == before).then_some(Timing {
        lease_duration,
        renew_deadline,
        retry_period,
    })
}

/// A frozen process must not keep its VIP for longer than others wait.
fn lifetime_within_lease(r: &mut Reader<'_>, layer2: &Layer2, election: &Election) {
    if layer2.address_lifetime > election.timing.lease_duration {
        let lease = r.name(&t::LEASE_DURATION.spec);
        let reason = format!(
            "longer than {lease}: a frozen node would keep the VIP after another has taken it"
        );
        let fix = format!("write at most {}", election.timing.lease_duration.as_secs());
        r.blame(&t::ADDRESS_LIFETIME.spec, reason, fix);
    }
}

fn kubernetes(r: &mut Reader<'_>) -> Option<KubernetesAccess> {
    let kubeconfig = r.optional(&t::KUBECONFIG);
    let address = r.optional(&t::KUBERNETES_ADDRESS);
    let port = r.value(&t::PORT);
    let files = r.layers.variable("KUBECONFIG").unwrap_or_default();
    let kubeconfig_env = files
        .split(':')
        .filter(|file| !file.is_empty())
        .map(PathBuf::from)
        .collect();
    let home = r.layers.variable("HOME").map(PathBuf::from);
    let address = address?.map(|uri| with_port(uri, port.map_or(6443, Into::into)));
    Some(KubernetesAccess {
        kubeconfig: kubeconfig?,
        kubeconfig_env,
        home,
        address,
    })
}

fn health(r: &mut Reader<'_>) -> Option<Option<Health>> {
    let enabled = r.value(&t::HEALTH);
    let address = r.optional(&t::HEALTH_ADDRESS);
    let path = r.value(&t::HEALTH_PATH);
    let interval = r.value(&t::HEALTH_INTERVAL);
    let timeout = r.value(&t::HEALTH_TIMEOUT);
    let failure_threshold = r.value(&t::HEALTH_FAILURES);
    let success_threshold = r.value(&t::HEALTH_SUCCESSES);
    let ca_path = r.optional(&t::HEALTH_CA);
    let (address, path) = (address?, path?);
    let path = probed_path(r, address.as_ref(), path)?;
    let health = Health {
        address: address.map(without_path),
        path,
        interval: interval?,
        timeout: timeout?,
        failure_threshold: failure_threshold?,
        success_threshold: success_threshold?,
        ca_path: ca_path?,
    };
    Some(enabled?.then_some(health))
}

/// kube-vip has the path in the address.
fn probed_path(r: &mut Reader<'_>, address: Option<&Uri>, path: String) -> Option<String> {
    let within = address
        .and_then(Uri::path_and_query)
        .map(|within| within.as_str().to_owned());
    let Some(within) = within.filter(|within| within != "/" && *within != path) else {
        return Some(path);
    };
    if r.is_explicit(&t::HEALTH_PATH.spec) {
        let address = r.name(&t::HEALTH_ADDRESS.spec);
        r.blame(
            &t::HEALTH_PATH.spec,
            format!("contradicts the path in {address}"),
            "keep one of the two",
        );
        return None;
    }
    r.derived(
        &t::HEALTH_PATH.spec,
        within.clone(),
        "the path in health.address",
    );
    Some(within)
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
            r.problems.push(Problem::plain(
                "vip_nodename",
                reason,
                "set vip_nodename to the Node's name",
            ));
            None
        }
    }
}

fn admin(r: &mut Reader<'_>) -> Option<Admin> {
    let socket = r.value(&t::SOCKET);
    let metrics = r.value(&t::METRICS);
    Some(Admin {
        socket: socket?,
        metrics: metrics?,
    })
}

fn log(r: &mut Reader<'_>) -> Option<Log> {
    let level = r.value(&t::LOG_LEVEL);
    let format = r.value(&t::LOG_FORMAT);
    Some(Log {
        level: level?,
        format: format?,
    })
}

fn with_port(uri: Uri, port: u16) -> Uri {
    match uri.authority() {
        Some(authority) if authority.port().is_none() => {
            rebuilt(&uri, format!("{authority}:{port}"))
        }
        Some(_) | None => uri,
    }
}

fn without_path(uri: Uri) -> Uri {
    match uri.authority() {
        Some(authority) => rebuilt(&uri, authority.to_string()),
        None => uri,
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

/// Where kube-vip looks for its Lease outside a cluster.
const LEASE_NAMESPACE: &str = "kube-system";

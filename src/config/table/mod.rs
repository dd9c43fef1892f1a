//! The settings: the one place that names them. Parser, flags, schema and documentation follow from it.

pub(super) mod bgp;
pub(super) mod services;
pub(super) mod session;

use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;

use super::setting::{Counts, Grain, Kind, Name, Setting, Spans, Spec, millis, name, old};
use super::types::{Listen, LogFormat, LogLevel};
use super::value::{self, LeaseName, Prefixes};
use crate::admin::DEFAULT_SOCKET;

/// Every setting, in the order of the documentation.
pub(super) static ALL: &[&Spec] =
    &joined::<112>(&[&FIRST, &services::ALL, &bgp::SPEAKER, &bgp::OF_ALL_ALL, &bgp::REST, &REST]);

static FIRST: [&Spec; 13] = [
    &CONTROL_PLANE.spec,
    &ADDRESS.spec,
    &PORT.spec,
    &LAYER2.spec,
    &INTERFACE.spec,
    &PREFIX_LENGTH.spec,
    &ADDRESS_LIFETIME.spec,
    &REFRESH.spec,
    &WIRE_CHECK.spec,
    &WIRE_PROBES.spec,
    &WIRE_INTERVAL.spec,
    &WIRE_WAIT.spec,
    &WIRE_RETRY.spec,
];

static REST: [&Spec; 23] = [
    &ELECTION.spec,
    &LEASE_NAME.spec,
    &LEASE_NAMESPACE.spec,
    &LEASE_DURATION.spec,
    &RENEW_DEADLINE.spec,
    &RETRY_PERIOD.spec,
    &KUBECONFIG.spec,
    &KUBERNETES_ADDRESS.spec,
    &HEALTH.spec,
    &HEALTH_ADDRESS.spec,
    &HEALTH_PATH.spec,
    &HEALTH_INTERVAL.spec,
    &HEALTH_TIMEOUT.spec,
    &HEALTH_FAILURES.spec,
    &HEALTH_SUCCESSES.spec,
    &HEALTH_CA.spec,
    &NODE_NAME.spec,
    &SOCKET.spec,
    &METRICS.spec,
    &EVENTS.spec,
    &LOG_LEVEL.spec,
    &LOG_FORMAT.spec,
    &SHUTDOWN_WAIT.spec,
];

/// Where our own file is: a flag or a variable, and of course not in the file.
pub(super) static CONFIG_FILE: Setting<PathBuf> = path("config")
    .env(&[name("config_file")])
    .flags(&[name("config"), name("config-file")])
    .otherwise("no file")
    .help("configuration file (YAML or JSON)");

pub(super) static CONTROL_PLANE: Setting<bool> = switch("controlPlane.enabled")
    .env(&[name("cp_enable")])
    .flags(&[name("controlplane")])
    .default("false")
    .help("announce the control-plane VIP");
pub(super) static ADDRESS: Setting<Vec<IpAddr>> =
    Setting::new("controlPlane.address", Kind::Addresses, value::addresses, value::show_addresses)
        .env(&[name("address"), old("vip_address")])
        .flags(&[name("address"), old("vip")])
        .otherwise("required with the control plane")
        .help("the VIP, or several: IPv4, IPv6 or both");
pub(super) static PORT: Setting<NonZeroU16> =
    Setting::new("controlPlane.port", Kind::Port, value::port, show)
        .env(&[name("port")])
        .flags(&[name("port")])
        .default("6443")
        .help("port of the API server, on the VIP and on the node");

pub(super) static LAYER2: Setting<bool> = switch("layer2.enabled")
    .env(&[name("vip_arp")])
    .flags(&[name("arp")])
    .default("false")
    .help("announce by ARP (IPv4) and NDP (IPv6)");
pub(super) static INTERFACE: Setting<String> =
    Setting::new("layer2.interface", Kind::Interface, value::interface, String::clone)
        .env(&[name("vip_interface")])
        .flags(&[name("interface")])
        .otherwise("the interface whose prefix contains the VIP, else the default route's")
        .help("interface that carries the VIP");
pub(super) static PREFIX_LENGTH: Setting<Prefixes> =
    Setting::new("layer2.prefixLength", Kind::Prefixes, value::prefixes, show)
        .env(&[name("vip_subnet"), old("vip_cidr")])
        .flags(&[name("vipSubnet")])
        .otherwise("32 for IPv4, 128 for IPv6")
        .help("prefix length with which the VIP is put on the interface");
pub(super) static ADDRESS_LIFETIME: Setting<Duration> = span("layer2.addressLifetime", seconds(1, 60))
    .env(&[name("vipcast_layer2_address_lifetime")])
    .flags(&[name("layer2-address-lifetime")])
    .default("2s")
    .help("lifetime of the VIP in the kernel: how long a frozen process keeps it at most");
pub(super) static REFRESH: Setting<Duration> =
    span("layer2.refresh", Spans { min: ms(500), max: ms(3_600_000), grain: Grain::Millisecond })
        .env(&[millis("vip_arpRate")])
        .flags(&[name("layer2-refresh")])
        .default("60s")
        .help("slow repetition of the announcement (vip_arpRate is in milliseconds)");
pub(super) static WIRE_CHECK: Setting<bool> = switch("layer2.wireCheck.enabled")
    .env(&[name("vipcast_layer2_wire_check_enabled")])
    .flags(&[name("layer2-wire-check-enabled")])
    .default("true")
    .help("ask the LAN whether somebody holds the VIP before taking it over from a silent holder");
pub(super) static WIRE_PROBES: Setting<NonZeroU32> = count("layer2.wireCheck.probes", 1, 10)
    .env(&[name("vipcast_layer2_wire_check_probes")])
    .flags(&[name("layer2-wire-check-probes")])
    .default("3")
    .help("probes that are sent (RFC 5227 PROBE_NUM)");
pub(super) static WIRE_INTERVAL: Setting<Duration> = span("layer2.wireCheck.interval", brief(1, 2_000))
    .env(&[name("vipcast_layer2_wire_check_interval")])
    .flags(&[name("layer2-wire-check-interval")])
    .default("10ms")
    .help("between two probes");
pub(super) static WIRE_WAIT: Setting<Duration> = span("layer2.wireCheck.wait", brief(1, 2_000))
    .env(&[name("vipcast_layer2_wire_check_wait")])
    .flags(&[name("layer2-wire-check-wait")])
    .default("10ms")
    .help("how long an answer to the last probe is awaited (RFC 5227 ANNOUNCE_WAIT)");
pub(super) static WIRE_RETRY: Setting<Duration> = span("layer2.wireCheck.retry", brief(100, 60_000))
    .env(&[name("vipcast_layer2_wire_check_retry")])
    .flags(&[name("layer2-wire-check-retry")])
    .default("1s")
    .help("after somebody answered: until the LAN is asked again");

pub(super) static ELECTION: Setting<bool> = switch("election.enabled")
    .env(&[name("vip_leaderelection")])
    .flags(&[name("leaderElection")])
    .default("false")
    .help("with BGP: only the holder of the Lease announces, and not every healthy node; ARP always elects");
pub(super) static LEASE_NAME: Setting<LeaseName> =
    Setting::new("election.leaseName", Kind::LeaseName, value::lease_name, show)
        .env(&[name("vip_leasename")])
        .flags(&[name("leaseName")])
        .default("plndr-cp-lock")
        .help("Lease that decides who holds the control-plane VIP");
pub(super) static LEASE_NAMESPACE: Setting<String> =
    Setting::new("election.leaseNamespace", Kind::Namespace, value::namespace, String::clone)
        .env(&[name("cp_namespace")])
        .flags(&[name("namespace")])
        .short('n')
        .otherwise("the service account's namespace, else kube-system")
        .help("namespace of the Lease");
pub(super) static LEASE_DURATION: Setting<Duration> = span("election.leaseDuration", seconds(3, 3600))
    .env(&[name("vip_leaseduration")])
    .flags(&[name("leaseDuration")])
    .default("15s")
    .help("how long others wait after the last renewal that they saw");
pub(super) static RENEW_DEADLINE: Setting<Duration> = span("election.renewDeadline", seconds(2, 3599))
    .env(&[name("vip_renewdeadline")])
    .flags(&[name("leaseRenewDuration")])
    .default("10s")
    .help("how long a renewal permits the holder to announce");
pub(super) static RETRY_PERIOD: Setting<Duration> = span("election.retryPeriod", seconds(1, 1799))
    .env(&[name("vip_retryperiod")])
    .flags(&[name("leaseRetry")])
    .default("2s")
    .help("between two renewals");

pub(super) static KUBECONFIG: Setting<PathBuf> = path("kubernetes.kubeconfig")
    .env(&[name("k8s_config_file")])
    .flags(&[name("k8sConfigPath")])
    .otherwise("found: in the cluster, $KUBECONFIG, kubeadm's, K3s' and RKE2's files")
    .help("kubeconfig file");
pub(super) static KUBERNETES_ADDRESS: Setting<Uri> =
    Setting::new("kubernetes.address", Kind::Server, value::server, value::show_uri)
        .env(&[name("kubernetes_addr")])
        .flags(&[name("kubernetes-address")])
        .otherwise("the local API server on a control-plane node, else the kubeconfig's")
        .help("API server to talk to, in place of the kubeconfig's");

pub(super) static HEALTH: Setting<bool> = switch("health.enabled")
    .env(&[name("vipcast_health_enabled")])
    .flags(&[name("health-enabled")])
    .default("true")
    .help("hold the VIP only where the API server is healthy");
pub(super) static HEALTH_ADDRESS: Setting<Uri> =
    Setting::new("health.address", Kind::Url, value::url, value::show_uri)
        .env(&[name("control_plane_health_check_address")])
        .flags(&[name("controlPlaneHealthCheckAddress")])
        .otherwise("the local API server")
        .help("URL that is probed; a path in it stands for health.path");
pub(super) static HEALTH_PATH: Setting<String> =
    Setting::new("health.path", Kind::UrlPath, value::url_path, String::clone)
        .env(&[name("vipcast_health_path")])
        .flags(&[name("health-path")])
        .default("/readyz")
        .help("path that is probed, /readyz or /livez");
pub(super) static HEALTH_INTERVAL: Setting<Duration> = span("health.interval", brief(100, 60_000))
    .env(&[name("control_plane_health_check_period_seconds")])
    .flags(&[name("controlPlaneHealthCheckPeriodSeconds")])
    .default("1s")
    .help("between two probes");
pub(super) static HEALTH_TIMEOUT: Setting<Duration> = span("health.timeout", brief(50, 60_000))
    .env(&[name("control_plane_health_check_timeout_seconds")])
    .flags(&[name("controlPlaneHealthCheckTimeoutSeconds")])
    .default("1s")
    .help("how long an answer is awaited");
pub(super) static HEALTH_FAILURES: Setting<NonZeroU32> = count("health.failureThreshold", 1, 100)
    .env(&[name("control_plane_health_check_failure_threshold")])
    .flags(&[name("controlPlaneHealthCheckFailureThreshold")])
    .default("3")
    .help("failures in a row after which the API server counts as unhealthy");
pub(super) static HEALTH_SUCCESSES: Setting<NonZeroU32> = count("health.successThreshold", 1, 100)
    .env(&[name("vipcast_health_success_threshold")])
    .flags(&[name("health-success-threshold")])
    .default("2")
    .help("successes in a row after which it counts as healthy again");
pub(super) static HEALTH_CA: Setting<PathBuf> = path("health.caPath")
    .env(&[name("control_plane_health_check_ca_path")])
    .flags(&[name("controlPlaneHealthCheckCAPath")])
    .otherwise("the kubeconfig's")
    .help("certificate authority of the probed server (PEM)");

pub(super) static NODE_NAME: Setting<String> =
    Setting::new("node.name", Kind::NodeName, value::node_name, String::clone)
        .env(&[name("vip_nodename")])
        .flags(&[name("nodeName")])
        .otherwise("the hostname")
        .help("name of this Node, lower case: our identity in the election");
pub(super) static SOCKET: Setting<PathBuf> =
    Setting::new("admin.socket", Kind::Path, value::socket, value::show_path)
        .env(&[name("vipcast_admin_socket")])
        .flags(&[name("admin-socket")])
        .default(DEFAULT_SOCKET)
        .help("Unix socket of the admin API");
pub(super) static METRICS: Setting<Option<Listen>> =
    Setting::new("admin.metrics", Kind::Listen, value::listen, value::show_listen)
        .env(&[name("prometheus_server")])
        .flags(&[name("prometheusHTTPServer")])
        .blank_is_off()
        .default(":2112")
        .help("where /metrics, /livez and /readyz are served");
pub(super) static EVENTS: Setting<bool> = switch("events.enabled")
    .env(&[name("vipcast_events_enabled")])
    .flags(&[name("events-enabled")])
    .default("true")
    .help("write Kubernetes Events on take-over, loss and conflict");
pub(super) static LOG_LEVEL: Setting<LogLevel> = Setting::new("log.level", Kind::Level, value::level, show)
    .env(&[name("vip_loglevel")])
    .flags(&[name("log")])
    .default("info")
    .help("least severe level that is logged");
pub(super) static LOG_FORMAT: Setting<LogFormat> =
    Setting::new("log.format", Kind::Choice(&["text", "json"]), value::format, show)
        .env(&[name("vipcast_log_format")])
        .flags(&[name("log-format")])
        .default("text")
        .help("form of the log");
pub(super) static SHUTDOWN_WAIT: Setting<Duration> = span("shutdown.wait", brief(50, 1_000))
    .env(&[name("vipcast_shutdown_wait")])
    .flags(&[name("shutdown-wait")])
    .default("1s")
    .help("how long an ordered shutdown may take");

const fn switch(key: &'static str) -> Setting<bool> {
    Setting::new(key, Kind::Switch, value::switch, show)
}

const fn span(key: &'static str, range: Spans) -> Setting<Duration> {
    Setting::new(key, Kind::Span(range), value::span, value::show_span)
}

const fn count(key: &'static str, min: u32, max: u32) -> Setting<NonZeroU32> {
    Setting::new(key, Kind::Count(Counts { min, max }), value::count, show)
}

const fn path(key: &'static str) -> Setting<PathBuf> {
    Setting::new(key, Kind::Path, value::path, value::show_path)
}

const fn seconds(min: u64, max: u64) -> Spans {
    Spans { min: Duration::from_secs(min), max: Duration::from_secs(max), grain: Grain::Second }
}

const fn brief(min: u64, max: u64) -> Spans {
    Spans { min: ms(min), max: ms(max), grain: Grain::Millisecond }
}

const fn ms(span: u64) -> Duration {
    Duration::from_millis(span)
}

fn show<T: ToString>(value: &T) -> String {
    value.to_string()
}

/// Several lists as one.
#[expect(clippy::indexing_slicing, reason = "it runs while this is compiled")]
const fn joined<const N: usize>(parts: &[&[&'static Spec]]) -> [&'static Spec; N] {
    let mut all: [&'static Spec; N] = [&PORT.spec; N];
    let (mut part, mut at) = (0, 0);
    while part < parts.len() {
        let mut next = 0;
        while next < parts[part].len() {
            all[at] = parts[part][next];
            (next, at) = (next + 1, at + 1);
        }
        part += 1;
    }
    assert!(at == N, "the length is that of the parts");
    all
}

/// Whether a flag or variable of this name belongs to a setting.
pub(super) fn with_env(wanted: &str) -> Option<(&'static Spec, &'static Name)> {
    let specs = ALL.iter().copied().chain([&CONFIG_FILE.spec]);
    specs.flat_map(|spec| spec.env.iter().map(move |name| (spec, name))).find(|(_, name)| name.text == wanted)
}

//! The validated configuration: one struct for each subsystem, of types that cannot be wrong.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;
use ipnet::IpNet;
use vipcast_proto::election::Timing;

use super::bgp::Bgp;
use super::services::Services;

/// Everything that the daemon was told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// The control-plane VIP, where it is switched on.
    pub control_plane: Option<ControlPlane>,
    /// The layer 2 announcer; `None`: switched off.
    pub layer2: Option<Layer2>,
    /// The BGP speaker; `None`: switched off.
    pub bgp: Option<Bgp>,
    /// Services of type LoadBalancer; `None`: they are left alone. Without them there is a control-plane VIP.
    pub services: Option<Services>,
    /// The Lease of the control-plane VIP.
    pub election: Election,
    /// How to reach an API server.
    pub kubernetes: KubernetesAccess,
    /// The health gate; `None`: switched off.
    pub health: Option<Health>,
    /// What operators talk to.
    pub admin: Admin,
    /// Whether Kubernetes Events are written.
    pub events: bool,
    /// The log.
    pub log: Log,
    /// `metadata.name` of this Node, lower case; our identity in the election.
    pub node_name: String,
    /// How long an ordered shutdown may take.
    pub shutdown_wait: Duration,
}

/// The control-plane VIP.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ControlPlane {
    /// At least one, no address twice; each with the prefix length it gets on the interface of the layer 2 announcer.
    /// Where there is none they are bound to `lo`, whole addresses.
    pub vips: Vec<IpNet>,
    /// Port of the API server.
    pub port: NonZeroU16,
    /// By which nodes it is announced.
    pub announced: Announced,
}

/// By which nodes a VIP is announced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Announced {
    /// By the holder of the Lease. Always so where the layer 2 announcer is on.
    ByTheHolder,
    /// By every node whose API server is healthy: routers choose (ECMP).
    ByEveryHealthyNode,
}

/// The layer 2 announcer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Layer2 {
    /// The interface; `None`: found by the prefix that contains the VIP, else by the default route.
    pub interface: Option<String>,
    /// Valid lifetime of a VIP in the kernel. Whole seconds.
    pub address_lifetime: Duration,
    /// Slow repetition of the announcement.
    pub refresh: Duration,
    /// What is asked on the wire before a take-over; `None`: nothing.
    pub wire_check: Option<WireCheck>,
}

/// RFC 5227 probes before a take-over that was not a hand-over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WireCheck {
    /// PROBE_NUM.
    pub probes: NonZeroU32,
    /// Between two probes.
    pub interval: Duration,
    /// After the last probe.
    pub wait: Duration,
    /// After somebody answered, until the wire is asked again.
    pub retry: Duration,
}

/// The Lease of the control-plane VIP.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Election {
    /// `metadata.namespace` of the Lease.
    pub lease_namespace: String,
    /// `metadata.name` of the Lease.
    pub lease_name: String,
    /// Validated against each other, whole seconds.
    pub timing: Timing,
}

/// How to reach an API server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KubernetesAccess {
    /// The kubeconfig that was asked for by name. Then no other is tried.
    pub kubeconfig: Option<PathBuf>,
    /// Host and port of the API server that Kubernetes tells its pods: `$KUBERNETES_SERVICE_HOST` and
    /// `$KUBERNETES_SERVICE_PORT`.
    pub service: Option<(String, u16)>,
    /// The files of `$KUBECONFIG`, in order.
    pub kubeconfig_env: Vec<PathBuf>,
    /// `$HOME`, for `.kube/config`.
    pub home: Option<PathBuf>,
    /// The API server in place of the kubeconfig's: scheme, host and port, no path.
    pub address: Option<Uri>,
}

/// The health gate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Health {
    /// Scheme, host and port to probe; `None`: the local API server.
    pub address: Option<Uri>,
    /// Path to probe, begins with `/`.
    pub path: String,
    /// Between two probes.
    pub interval: Duration,
    /// How long an answer is awaited.
    pub timeout: Duration,
    /// Failures in a row that make it unhealthy.
    pub failure_threshold: NonZeroU32,
    /// Successes in a row that make it healthy again.
    pub success_threshold: NonZeroU32,
    /// Certificate authority of the probed server.
    pub ca_path: Option<PathBuf>,
}

/// What operators talk to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Admin {
    /// Unix socket of the admin API. Absolute, short enough for `sun_path`.
    pub socket: PathBuf,
    /// Where `/metrics`, `/livez` and `/readyz` are served; `None`: nowhere.
    pub metrics: Option<Listen>,
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Listen {
    /// `None`: every address of both families.
    pub host: Option<IpAddr>,
    /// The port.
    pub port: NonZeroU16,
}

/// The log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Log {
    /// Least severe level that is logged.
    pub level: LogLevel,
    /// Form of the log.
    pub format: LogFormat,
}

/// Least severe level that is logged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogLevel {
    /// Only what broke.
    Error,
    /// What an operator can act on.
    Warn,
    /// Changes of state.
    Info,
    /// Retries.
    Debug,
    /// Frames.
    Trace,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Listen {
    /// The socket address to bind. Where no host was given that is `[::]`, which takes IPv4 too
    /// unless the kernel was built or booted without IPv6; then `0.0.0.0` is left to the caller.
    #[must_use]
    pub fn socket_addr(&self) -> SocketAddr {
        SocketAddr::new(self.host.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)), self.port.get())
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            Some(host) => SocketAddr::new(host, self.port.get()).fmt(f),
            None => write!(f, ":{}", self.port),
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        })
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

impl From<LogLevel> for tracing::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

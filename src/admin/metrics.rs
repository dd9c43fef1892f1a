//! What is counted, and under which names. Gauges are computed from the status board at each scrape.
//!
//! Label values come from the configuration or from closed sets, never from the network, so the
//! number of series is bounded.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use super::bgp_metrics::{BgpCounts, PeerCounts};
use super::board::StatusReader;
use super::gauges::Gauges;
use super::process::Process;
use super::responder_metrics::{InterfaceCounts, ResponderCounts};
use super::service_metrics::{ServiceFigures, ServiceGauges};
use crate::bfd;
use crate::clock;

/// Counts for `/metrics`. Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    counts: Counts,
}

/// What happened to this node's hold on a Lease.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transition {
    /// It became holder.
    Acquired,
    /// It ceased to be.
    Lost,
}

/// A request for a Lease.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operation {
    /// GET.
    Read,
    /// Stay holder.
    Renew,
    /// Become holder.
    Claim,
    /// Stop being holder.
    Release,
}

/// How a request for a Lease ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// As wanted.
    Ok,
    /// The Lease was not what the write was based on.
    Conflict,
    /// Nothing was written.
    Refused,
    /// No answer in time.
    Unknown,
}

/// The protocol of an announcement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// IPv4.
    Arp,
    /// IPv6.
    Ndp,
}

/// What the wire said about an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Check {
    /// Nobody answered.
    Free,
    /// Somebody did.
    Taken,
}

impl Metrics {
    /// Metrics of one daemon; `revision` is the commit it was built from, where known.
    #[must_use]
    pub fn new(version: &str, revision: Option<&str>, status: StatusReader) -> Self {
        Self::with_collectors(version, revision, status, None, None)
    }

    /// The same, with what BFD counts, and with how it stands with Services.
    #[must_use]
    pub fn with_collectors(
        version: &str,
        revision: Option<&str>,
        status: StatusReader,
        bfd: Option<bfd::Stats>,
        services: Option<watch::Receiver<Arc<ServiceFigures>>>,
    ) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process { started: clock::wall() }));
        let counts = Counts::registered(registry.sub_registry_with_prefix("vipcast"));
        let build = BuildLabels { version: version.into(), revision: revision.map(Into::into) };
        counts.build.get_or_create(&build).set(1);
        registry.register_collector(Box::new(Gauges { status }));
        if let Some(bfd) = bfd {
            registry.register_collector(Box::new(bfd));
        }
        if let Some(figures) = services {
            registry.register_collector(Box::new(ServiceGauges { figures }));
        }
        Self { registry: Arc::new(registry), counts }
    }

    /// Makes a VIP's counters appear at zero, so that their first increase is seen as one.
    pub fn declare_vip(&self, vip: IpAddr) {
        let kind = if vip.is_ipv4() { Kind::Arp } else { Kind::Ndp };
        drop(self.counts.announcements.get_or_create(&AnnouncementLabels::new(vip, kind)));
        drop(self.counts.conflicts.get_or_create(&VipLabels::new(vip)));
        for check in [Check::Free, Check::Taken] {
            drop(self.counts.checks.get_or_create(&CheckLabels::new(vip, check)));
        }
    }

    /// Makes a scope's counters appear at zero.
    pub fn declare_scope(&self, scope: &str, lease: &str) {
        for transition in [Transition::Acquired, Transition::Lost] {
            drop(self.counts.transitions.get_or_create(&TransitionLabels::new(scope, lease, transition)));
        }
    }

    /// This node became holder, or ceased to be.
    pub fn lease_transition(&self, scope: &str, lease: &str, transition: Transition) {
        self.counts.transitions.get_or_create(&TransitionLabels::new(scope, lease, transition)).inc();
    }

    /// A request for a Lease was answered, or given up, after `took`.
    pub fn lease_request(&self, operation: Operation, outcome: Outcome, took: Duration) {
        let labels = RequestLabels { operation: operation.label(), outcome: outcome.label() };
        self.counts.requests.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// An announcement was sent.
    pub fn announced(&self, vip: IpAddr, kind: Kind) {
        self.counts.announcements.get_or_create(&AnnouncementLabels::new(vip, kind)).inc();
    }

    /// The wire was asked for an address.
    pub fn wire_checked(&self, vip: IpAddr, check: Check) {
        self.counts.checks.get_or_create(&CheckLabels::new(vip, check)).inc();
    }

    /// Another station claimed an address that this node holds or wants.
    pub fn address_conflict(&self, vip: IpAddr) {
        self.counts.conflicts.get_or_create(&VipLabels::new(vip)).inc();
    }

    /// A received frame was malformed.
    pub fn frame_rejected(&self) {
        self.counts.frames_rejected.inc();
    }

    /// A probe of the local API server failed.
    pub fn health_probe_failed(&self) {
        self.counts.probe_failures.inc();
    }

    /// A Kubernetes Event could not be queued or written.
    pub fn event_dropped(&self) {
        self.counts.events_dropped.inc();
    }

    /// The counters of the session with a router.
    #[must_use]
    pub fn bgp_peer(&self, peer: &str) -> PeerCounts {
        self.counts.bgp.peer(peer)
    }

    /// The counters of the Service addresses on an interface.
    #[must_use]
    pub fn responder(&self, interface: &str) -> InterfaceCounts {
        self.counts.responder.interface(interface)
    }

    /// Everything, as OpenMetrics text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = String::new();
        match encode(&mut out, &self.registry) {
            Ok(()) => out,
            // Writing to a String does not fail; half a scrape would be worse than none.
            Err(_) => String::from("# EOF\n"),
        }
    }
}

#[derive(Clone, Debug)]
struct Counts {
    build: Family<BuildLabels, Gauge>,
    transitions: Family<TransitionLabels, Counter>,
    requests: Family<RequestLabels, Histogram, fn() -> Histogram>,
    announcements: Family<AnnouncementLabels, Counter>,
    checks: Family<CheckLabels, Counter>,
    conflicts: Family<VipLabels, Counter>,
    frames_rejected: Counter,
    probe_failures: Counter,
    events_dropped: Counter,
    bgp: BgpCounts,
    responder: ResponderCounts,
}

impl Counts {
    fn registered(to: &mut Registry) -> Self {
        let new = Self {
            build: Family::default(),
            transitions: Family::default(),
            requests: Family::new_with_constructor(|| Histogram::new(REQUEST_BUCKETS)),
            announcements: Family::default(),
            checks: Family::default(),
            conflicts: Family::default(),
            frames_rejected: Counter::default(),
            probe_failures: Counter::default(),
            events_dropped: Counter::default(),
            bgp: BgpCounts::registered(to),
            responder: ResponderCounts::registered(to),
        };
        let all = new.clone();
        to.register("build_info", "Version of this daemon", all.build);
        to.register("lease_transitions", "Times this node acquired or lost a Lease", all.transitions);
        to.register("lease_request_duration_seconds", "Requests for Leases", all.requests);
        to.register("announcements", "Announcements sent", all.announcements);
        to.register("wire_checks", "Times the wire was asked before a take-over", all.checks);
        to.register("address_conflicts", "Claims of a VIP by another station", all.conflicts);
        to.register("frames_rejected", "Malformed frames received", all.frames_rejected);
        to.register("health_probe_failures", "Failed probes of the local API server", all.probe_failures);
        to.register("events_dropped", "Kubernetes Events that were not written", all.events_dropped);
        new
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct BuildLabels {
    version: String,
    revision: Option<String>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct TransitionLabels {
    scope: String,
    lease: String,
    transition: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RequestLabels {
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct AnnouncementLabels {
    vip: String,
    kind: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CheckLabels {
    vip: String,
    result: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct VipLabels {
    vip: String,
}

impl TransitionLabels {
    fn new(scope: &str, lease: &str, transition: Transition) -> Self {
        let transition = match transition {
            Transition::Acquired => "acquired",
            Transition::Lost => "lost",
        };
        Self { scope: scope.to_owned(), lease: lease.to_owned(), transition }
    }
}

impl AnnouncementLabels {
    fn new(vip: IpAddr, kind: Kind) -> Self {
        let kind = match kind {
            Kind::Arp => "arp",
            Kind::Ndp => "ndp",
        };
        Self { vip: vip.to_string(), kind }
    }
}

impl CheckLabels {
    fn new(vip: IpAddr, check: Check) -> Self {
        let result = match check {
            Check::Free => "free",
            Check::Taken => "taken",
        };
        Self { vip: vip.to_string(), result }
    }
}

impl VipLabels {
    fn new(vip: IpAddr) -> Self {
        Self { vip: vip.to_string() }
    }
}

impl Operation {
    const fn label(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Renew => "renew",
            Self::Claim => "claim",
            Self::Release => "release",
        }
    }
}

impl Outcome {
    const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Conflict => "conflict",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// From a local API server's millisecond to the longest renew deadline in use.
const REQUEST_BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

//! Gauges, computed from the status board: they say what `vipcast status` says.

use std::fmt;
use std::net::IpAddr;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::MetricType;

use super::bgp_metrics;
use super::board::StatusReader;
use super::status::{HealthVerdict, ScopeState, ScopeStatus, Status, VipState, VipStatus};

/// Reads the board at each scrape, so that a VIP that is no longer configured leaves no series.
#[derive(Debug)]
pub struct Gauges {
    /// The board to read.
    pub status: StatusReader,
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        bgp_metrics::write(&mut encoder, &self.status)?;
        write(encoder, &self.status.status())
    }
}

fn write(mut to: DescriptorEncoder<'_>, status: &Status) -> fmt::Result {
    let held = status.vips.iter().map(|vip| (VipLabels::of(vip), truth(vip.state == VipState::Held)));
    family(&mut to, "vipcast_vip_held", "Whether this node holds the VIP", held)?;
    let holders = status.scopes.iter().map(|scope| (ScopeLabels::of(scope), truth(holds(scope))));
    family(&mut to, "vipcast_lease_holder", "Whether this node holds the Lease", holders)?;
    let grants = status.scopes.iter().map(|scope| (ScopeLabels::of(scope), grant_seconds(scope)));
    family(&mut to, "vipcast_lease_grant_remaining_seconds", GRANT_HELP, grants)?;
    let leaders = status.scopes.iter().map(|scope| (LeaderLabels::of(status, scope), truth(holds(scope))));
    family(&mut to, "kube_vip_is_leader", LEADER_HELP, leaders)?;
    let healthy = truth(status.health.verdict == HealthVerdict::Healthy);
    if status.health.verdict != HealthVerdict::Disabled {
        single(&mut to, "vipcast_api_server_healthy", "Verdict on the local API server", healthy)?;
    }
    let connected = truth(status.kubernetes.connected);
    single(&mut to, "vipcast_kubernetes_connected", "Whether the last request was answered", connected)?;
    single(&mut to, "vipcast_ready", "What /readyz says", truth(status.ready))
}

/// A family without series has no descriptor either.
pub(super) fn family<L: EncodeLabelSet>(
    to: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: impl Iterator<Item = (L, f64)>,
) -> fmt::Result {
    let mut series = series.peekable();
    if series.peek().is_none() {
        return Ok(());
    }
    let mut metric = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
    series.try_for_each(|(labels, value)| metric.encode_family(&labels)?.encode_gauge(&value))
}

pub(super) fn single(to: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    to.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct VipLabels {
    vip: String,
    interface: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ScopeLabels {
    scope: String,
    lease: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct LeaderLabels {
    node: String,
    lease_name: String,
}

impl VipLabels {
    fn of(vip: &VipStatus) -> Self {
        Self { vip: IpAddr::to_string(&vip.address), interface: vip.interface.clone() }
    }
}

impl ScopeLabels {
    fn of(scope: &ScopeStatus) -> Self {
        Self { scope: scope.scope.clone(), lease: scope.lease.clone() }
    }
}

impl LeaderLabels {
    fn of(status: &Status, scope: &ScopeStatus) -> Self {
        let name = scope.lease.rsplit('/').next().unwrap_or_default();
        Self { node: status.node.clone(), lease_name: name.to_owned() }
    }
}

/// While leaving, the Lease is still this node's.
const fn holds(scope: &ScopeStatus) -> bool {
    matches!(scope.state, ScopeState::Holding | ScopeState::Leaving)
}

fn grant_seconds(scope: &ScopeStatus) -> f64 {
    let left = scope.remaining_milliseconds.unwrap_or(0);
    f64::from(u32::try_from(left).unwrap_or(u32::MAX)) / 1000.0
}

pub(super) const fn truth(fact: bool) -> f64 {
    if fact { 1.0 } else { 0.0 }
}

const GRANT_HELP: &str = "How long this node may still announce, 0 where it may not";

/// One gauge under the name that dashboards and alerts made for kube-vip look for.
const LEADER_HELP: &str = "Whether this node holds the Lease, under the name that kube-vip uses";

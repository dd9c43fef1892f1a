//! What `GET /v1/status` and `vipcast status -o json` say: the stable model of this node's state.
//!
//! Fields are only ever added. Times are RFC 3339 in UTC with milliseconds.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::routers::BgpStatus;
use super::services::ServicesSummary;
use super::timestamp::Timestamp;

/// One node, as its daemon sees it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Version of the daemon that answered.
    pub version: String,
    /// Name of the node, which is its identity in the Leases.
    pub node: String,
    /// Process id.
    pub pid: u32,
    /// When the process started.
    pub since: Timestamp,
    /// When this answer was made; subtract `since` from it for an age.
    pub now: Timestamp,
    /// What `/readyz` says.
    pub ready: bool,
    /// Why it is ready, or what it waits for.
    pub ready_why: String,
    /// One per election.
    pub scopes: Vec<ScopeStatus>,
    /// One per configured address.
    pub vips: Vec<VipStatus>,
    /// The local API server, as the health gate judges it.
    pub health: HealthStatus,
    /// The API server that this daemon talks to.
    pub kubernetes: KubernetesStatus,
    /// The interfaces that carry VIPs.
    pub links: Vec<LinkStatus>,
    /// The sessions with routers; absent where BGP is off.
    pub bgp: Option<BgpStatus>,
    /// How it stands with Services; absent where they are off, or whoever knows does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<ServicesSummary>,
    /// Services are on, and whoever looks after them does not answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub services_silent: bool,
}

/// One election: what it guards and who has it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScopeStatus {
    /// What the election guards: `control-plane` or `services`.
    pub scope: String,
    /// `namespace/name` of the Lease.
    pub lease: String,
    /// Where this node stands.
    pub state: ScopeState,
    /// `spec.holderIdentity`; absent while nobody holds the Lease.
    pub holder: Option<String>,
    /// When state or holder last changed.
    pub since: Timestamp,
    /// End of this node's permission to announce, where it has one.
    pub until: Option<Timestamp>,
    /// The same, as time left when this answer was made.
    pub remaining_milliseconds: Option<u64>,
    /// One sentence for the operator.
    pub why: String,
}

/// Where this node stands in an election.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScopeState {
    /// The Lease has not been seen yet.
    Bootstrapping,
    /// May not stand: unhealthy, link down, shutting down.
    Ineligible,
    /// Watches the holder, ready to take over.
    Standby,
    /// May announce until its grant ends.
    Holding,
    /// Gives the addresses up before it gives the Lease up.
    Leaving,
}

/// One address on this node.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VipStatus {
    /// The address.
    pub address: IpAddr,
    /// Length of the prefix it is configured with.
    pub prefix_length: u8,
    /// Interface that carries it.
    pub interface: String,
    /// The scope that guards it.
    pub scope: String,
    /// What this node does with it.
    pub state: VipState,
    /// When the state last changed.
    pub since: Timestamp,
    /// When it disappears unless permission is renewed.
    pub until: Option<Timestamp>,
    /// The same, as time left when this answer was made.
    pub remaining_milliseconds: Option<u64>,
    /// MAC address of a station that claims the same address.
    pub rival: Option<String>,
    /// One sentence for the operator.
    pub why: String,
}

/// What this node does with an address.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VipState {
    /// Not on this node.
    Absent,
    /// Asking the wire whether somebody else has it.
    Checking,
    /// On the interface and announced.
    Held,
    /// Permitted, but somebody else answers for it or the kernel refused it.
    Blocked,
    /// Being removed.
    Releasing,
}

/// The health gate.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthStatus {
    /// The judgement, after thresholds.
    pub verdict: HealthVerdict,
    /// The last probe's result in words.
    pub reason: String,
    /// When the verdict last changed.
    pub since: Timestamp,
}

/// The judgement on the local API server.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthVerdict {
    /// Nothing is probed.
    Disabled,
    /// Too few probes so far.
    Unknown,
    /// May hold and take VIPs.
    Healthy,
    /// May not.
    Unhealthy,
}

/// The API server that this daemon talks to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesStatus {
    /// URL in use.
    pub endpoint: Option<String>,
    /// Where the credentials come from: a file, or `in-cluster`.
    pub source: Option<String>,
    /// Whether the last request was answered.
    pub connected: bool,
    /// The present condition in words.
    pub condition: String,
    /// When the condition last changed.
    pub since: Timestamp,
}

/// An interface that carries VIPs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkStatus {
    /// Interface name.
    pub interface: String,
    /// Whether it can carry frames.
    pub state: LinkState,
    /// Its MAC address.
    pub mac: Option<String>,
    /// When the state last changed.
    pub since: Timestamp,
}

/// Whether an interface can carry frames.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// It can.
    Up,
    /// No carrier, or administratively down.
    Down,
    /// There is no such interface.
    Missing,
}

impl Status {
    /// Everything an operator should look at; empty when all is well.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let unready = (!self.ready).then(|| format!("not ready: {}", self.ready_why));
        let kubernetes = &self.kubernetes;
        let server = (!kubernetes.connected).then(|| format!("kubernetes: {}", kubernetes.condition));
        let health = (self.health.verdict == HealthVerdict::Unhealthy)
            .then(|| format!("api server is unhealthy: {}", self.health.reason));
        let links = self.links.iter().filter_map(LinkStatus::problem);
        let scopes = self.scopes.iter().filter_map(ScopeStatus::problem);
        let vips = self.vips.iter().flat_map(VipStatus::problems);
        let first = [unready, server, health].into_iter().flatten();
        let routers = self.bgp.iter().flat_map(BgpStatus::problems);
        let services =
            self.services_silent.then(|| "Services: whoever looks after them does not answer".to_owned());
        first.chain(links).chain(scopes).chain(vips).chain(routers).chain(services).collect()
    }
}

impl ScopeStatus {
    fn problem(&self) -> Option<String> {
        let Self { scope, lease, .. } = self;
        match self.state {
            ScopeState::Ineligible if lease == NO_LEASE => {
                Some(format!("{scope} is not announced by this node: {}", self.why))
            }
            ScopeState::Ineligible => Some(format!("{scope} is out of the election: {}", self.why)),
            ScopeState::Standby if self.holder.is_none() => Some(format!("{scope}: nobody holds {lease}")),
            ScopeState::Bootstrapping | ScopeState::Standby | ScopeState::Holding | ScopeState::Leaving => {
                None
            }
        }
    }
}

impl VipStatus {
    fn problems(&self) -> impl Iterator<Item = String> {
        let blocked =
            (self.state == VipState::Blocked).then(|| format!("{} is blocked: {}", self.address, self.why));
        let rival = self.rival.as_ref().map(|mac| format!("{} is also claimed by {mac}", self.address));
        blocked.into_iter().chain(rival)
    }
}

impl LinkStatus {
    fn problem(&self) -> Option<String> {
        match self.state {
            LinkState::Up => None,
            LinkState::Down => Some(format!("link {} is down", self.interface)),
            LinkState::Missing => Some(format!("link {} does not exist", self.interface)),
        }
    }
}

impl fmt::Display for ScopeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bootstrapping => "bootstrapping",
            Self::Ineligible => "ineligible",
            Self::Standby => "standby",
            Self::Holding => "holding",
            Self::Leaving => "leaving",
        })
    }
}

impl fmt::Display for VipState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Absent => "absent",
            Self::Checking => "checking",
            Self::Held => "held",
            Self::Blocked => "blocked",
            Self::Releasing => "releasing",
        })
    }
}

impl fmt::Display for HealthVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Disabled => "disabled",
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        })
    }
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Missing => "missing",
        })
    }
}

/// In the place of a Lease's name: every healthy node announces.
pub const NO_LEASE: &str = "none";

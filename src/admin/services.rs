//! What `vipcast services`, `vipcast explain service` and `vipcast pools` say: who has which address, who announces it, and
//! why.
//!
//! Fields are only ever added. Reasons are texts: whoever decides has the words.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use vipcast_proto::ipam::{Assigned, Considered, Decision, PoolReport, Ranges, ServiceKey, Usage, Why};

use super::timestamp::Timestamp;

/// A question to whoever knows about Services.
#[derive(Debug)]
pub enum Ask {
    /// How it stands with Services on this node.
    Summary(oneshot::Sender<ServicesSummary>),
    /// All Services of ours, or those of a namespace, in the order of their names.
    Services(Option<String>, oneshot::Sender<Told<ServiceStatus>>),
    /// Everything about one Service, also where it is not ours; an error says why there is nothing to say.
    Explain(ServiceKey, oneshot::Sender<Result<ServiceExplanation, String>>),
    /// All pools, in the order in which they are tried; an error says why this node knows of none.
    Pools(oneshot::Sender<Result<Told<PoolStatus>, String>>),
}

/// What there is, as far as it is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Told<T> {
    /// All of it.
    pub all: Vec<T>,
    /// Why that may not be everything, or not be so any more.
    pub notes: Vec<String>,
}

/// Services in the answer to `GET /v1/status`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicesSummary {
    /// How addresses are distributed over nodes, as `services.distribution` has it; empty before that has begun.
    pub distribution: String,
    /// Where this node stands in it: `member`, `standby`, `silent`, `refused`, `leaving` or `left`.
    pub role: String,
    /// Services of ours.
    pub services: usize,
    /// Those of them that lack an address.
    pub waiting: usize,
    /// Addresses of Services of ours.
    pub addresses: usize,
    /// Those of them that this node may announce.
    pub announced: usize,
    /// Whether vipcast gives addresses here (`services.allocate`).
    pub allocates: bool,
    /// The node that gives them, where that is known.
    pub allocator: Option<String>,
    /// Why that may not be all, or not be so any more.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// The answer to `GET /v1/services`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Services {
    /// Name of the node.
    pub node: String,
    /// When this answer was made.
    pub now: Timestamp,
    /// In the order of their names.
    pub services: Vec<ServiceStatus>,
    /// Why they may not be all, or not be so any more.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// A Service of ours.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its `spec.loadBalancerClass`, where it has one.
    pub class: Option<String>,
    /// What it has.
    pub addresses: Vec<AddressStatus>,
    /// What it wants and does not have, and why.
    pub lacks: Vec<String>,
}

/// An address of a Service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AddressStatus {
    /// The address.
    pub address: IpAddr,
    /// The pool from which it came, where that is known.
    pub pool: Option<String>,
    /// The nodes that announce it: one, several with BGP, or none.
    pub owners: Vec<String>,
    /// How: `arp`, `ndp`, `bgp`.
    pub modes: Vec<String>,
    /// On which interface, where this node announces it or would.
    pub interface: Option<String>,
    /// The Lease whose holder announces it, as `namespace/name`, where each Service has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
    /// Whether other nodes can announce it as well, each for itself (`everyNode`): which of them do is not known here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub also_by_others: bool,
    /// Why these nodes, or why none.
    pub why: String,
}

/// The answer to `GET /v1/services/{namespace}/{name}`: every decision with its reason.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceExplanation {
    /// The node that says so.
    pub node: String,
    /// When this answer was made.
    pub now: Timestamp,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its `spec.loadBalancerClass`, where it has one.
    pub class: Option<String>,
    /// Whether it is ours.
    pub ours: bool,
    /// Why it is, or not.
    pub why_ours: String,
    /// The node that assigns addresses, where that is known.
    pub allocator: Option<String>,
    /// What it has.
    pub addresses: Vec<AddressExplanation>,
    /// What it wants and does not have, and why.
    pub lacks: Vec<String>,
    /// Every pool, in the order in which they are tried.
    pub pools: Vec<PoolVerdict>,
    /// What else an operator should know.
    pub notes: Vec<String>,
}

/// An address of a Service, and every decision about it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AddressExplanation {
    /// The address.
    pub address: IpAddr,
    /// The pool from which it came, where that is known.
    pub pool: Option<String>,
    /// Why this address.
    pub why: String,
    /// Other Services that have it, as `namespace/name`.
    pub shared_with: Vec<String>,
    /// The nodes that announce it.
    pub owners: Vec<String>,
    /// How: `arp`, `ndp`, `bgp`.
    pub modes: Vec<String>,
    /// On which interface, where this node announces it or would.
    pub interface: Option<String>,
    /// The Lease whose holder announces it, as `namespace/name`, where each Service has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
    /// Whether other nodes can announce it as well, each for itself (`everyNode`): which of them do is not known here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub also_by_others: bool,
    /// Why these nodes, or why none.
    pub why_owners: String,
    /// Every node that is known, and whether it may announce it.
    pub nodes: Vec<Candidate>,
    /// Who would announce it if one of its owners left.
    pub successors: Vec<Successor>,
    /// What an operator should know.
    pub notes: Vec<String>,
}

/// A node that may, or may not, announce an address.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// Its name.
    pub node: String,
    /// Whether it may.
    pub eligible: bool,
    /// Why, or why not.
    pub why: String,
}

/// Who would announce an address if a node left.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Successor {
    /// The node that leaves.
    pub without: String,
    /// The node that takes over; `None`: the others go on, or nobody can.
    pub then: Option<String>,
    /// In words, where there is none.
    pub why: Option<String>,
}

/// A pool, and what came of it for a Service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolVerdict {
    /// Its name.
    pub pool: String,
    /// Where it is written down: `vipcast`, `kube-vip` or `MetalLB`.
    pub source: String,
    /// What came of it.
    pub verdict: String,
}

/// The answer to `GET /v1/pools`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pools {
    /// Name of the node.
    pub node: String,
    /// When this answer was made.
    pub now: Timestamp,
    /// In the order in which they are tried.
    pub pools: Vec<PoolStatus>,
    /// Why this node knows of none, where that is as it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_none: Option<String>,
    /// Why they may not be all, or not be so any more.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// A pool of addresses.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolStatus {
    /// Its name.
    pub pool: String,
    /// Where it is written down: `vipcast`, `kube-vip` or `MetalLB`.
    pub source: String,
    /// Its addresses.
    pub ranges: Vec<String>,
    /// How full it is, for each family that it has.
    pub usage: Vec<PoolUsage>,
    /// How many of its addresses Services have that are not ours.
    pub foreign: usize,
    /// What is wrong with it: other pools and forbidden addresses in its ranges, and what is not supported.
    pub conflicts: Vec<String>,
}

/// How full a pool is in one family.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolUsage {
    /// `IPv4` or `IPv6`.
    pub family: String,
    /// Addresses that somebody has.
    pub used: u64,
    /// Addresses that are left. From 2^64-1 on they are not counted.
    pub free: u64,
}

impl ServiceStatus {
    /// Whether it has what it wants, and all of it is announced, as far as that is known.
    #[must_use]
    pub fn is_served(&self) -> bool {
        let announced = |address: &AddressStatus| !address.owners.is_empty() || address.also_by_others;
        !self.addresses.is_empty() && self.lacks.is_empty() && self.addresses.iter().all(announced)
    }
}

impl ServiceExplanation {
    /// Takes in what was decided about its addresses. Who announces them is not known by that.
    pub fn decided(&mut self, decision: &Decision) {
        self.addresses = decision.assigned.iter().map(AddressExplanation::of).collect();
        self.lacks = decision.refused.iter().map(ToString::to_string).collect();
        self.pools = decision.considered.iter().map(PoolVerdict::of).collect();
    }
}

impl AddressExplanation {
    /// What was decided about it, before it is known who announces it.
    #[must_use]
    pub fn of(assigned: &Assigned) -> Self {
        Self {
            address: assigned.address,
            pool: assigned.pool.as_deref().map(str::to_owned),
            why: why(assigned),
            shared_with: assigned.shared_with.iter().map(ToString::to_string).collect(),
            owners: Vec::new(),
            modes: Vec::new(),
            interface: assigned.interface.clone(),
            lease: None,
            also_by_others: false,
            why_owners: String::new(),
            nodes: Vec::new(),
            successors: Vec::new(),
            notes: assigned.notes.iter().map(ToString::to_string).collect(),
        }
    }
}

impl PoolVerdict {
    /// What came of a pool.
    #[must_use]
    pub fn of(considered: &Considered) -> Self {
        Self {
            pool: considered.pool.name.to_string(),
            source: considered.pool.source.to_string(),
            verdict: considered.verdict.to_string(),
        }
    }
}

impl PoolStatus {
    /// Whether it has addresses left in each family, and nothing is wrong with it.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.conflicts.is_empty() && self.usage.iter().all(|usage| usage.free > 0)
    }

    /// A pool that was reported, with its addresses.
    #[must_use]
    pub fn of(report: &PoolReport, ranges: &Ranges) -> Self {
        Self {
            pool: report.pool.name.to_string(),
            source: report.pool.source.to_string(),
            ranges: ranges.as_slice().iter().map(ToString::to_string).collect(),
            usage: report.usage.iter().map(PoolUsage::of).collect(),
            foreign: report.foreign,
            conflicts: conflicts(report),
        }
    }
}

impl PoolUsage {
    /// As it was counted.
    #[must_use]
    pub fn of(usage: &Usage) -> Self {
        Self { family: usage.family.to_string(), used: bounded(usage.used), free: bounded(usage.free()) }
    }
}

fn why(assigned: &Assigned) -> String {
    match (assigned.why, &assigned.pool) {
        (Why::Requested(source), _) => format!("asked for by {source}"),
        (Why::Given, Some(pool)) => format!("given from pool {pool}"),
        (Why::Given, None) => "kept as the Service had it".to_owned(),
    }
}

fn conflicts(report: &PoolReport) -> Vec<String> {
    let overlaps = report.overlaps.iter().map(|it| format!("{} is also in pool {}", it.range, it.with));
    let forbidden = report.forbidden.iter().map(|(range, reason)| format!("{range} is {reason}"));
    let dhcp = report.dhcp.then(|| "addresses from DHCP are not supported".to_owned());
    overlaps.chain(forbidden).chain(dhcp).collect()
}

/// JSON has no greater numbers that everybody reads.
fn bounded(count: u128) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// How the answer begins where there is no such Service.
pub const NO_SERVICE: &str = "there is no Service";

//! Gives Services their addresses: the decisions are [`vipcast_proto::ipam`]'s, what is written follows from them.
//!
//! Every node follows the feed of Services, so each can say what is decided and why; one is elected and writes. It
//! writes `status.loadBalancer.ingress` and the annotation [`ASSIGNED`] in one request to the `status` subresource, so
//! that no crash leaves one without the other. The request names the Service's UID and nothing else that could have
//! changed: what is decided follows from the newest state the feed has shown, and is written again where that state
//! turns out to be another one. Where both are right, nothing is written.

mod desk;
mod leadership;
mod outbox;
mod shown;
#[cfg(test)]
mod tests;
mod words;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::{debug, info, warn};
use vipcast_proto::ipam::{
    self, Changes, Contests, Decision, Forbidden, Pool, PoolReport, ServiceKey, ServiceView, Standing, Stray,
    Turn,
};

pub use self::leadership::{Candidate, LEASE, TIMING, stand};
pub use self::shown::{ASSIGNED, annotation, record};

use self::desk::Desk;
use self::outbox::{Landing, Outbox};
use self::words::Words;
use self::write::{Landed, write};
use crate::change::publish;
use crate::clock;
use crate::election::{Ruling, Vacancy};
use crate::kube::access::Connection;
use crate::kube::failure::{Failure, PERMIT};
use crate::kube::pools::{Fault, Pools};
use crate::witness::Witness;

/// News of the cluster's Services. Before both the first [`Loaded`](Self::Loaded) and the first
/// [`Forbidden`](Self::Forbidden), nothing is decided.
#[derive(Clone, Debug)]
pub enum Feed {
    /// All LoadBalancer Services there are, ours or not: at start, and after a watch was lost.
    Loaded(Vec<Arc<ServiceView>>),
    /// A LoadBalancer Service is new or not as it was. One that is ours no more, but still a LoadBalancer, comes with
    /// [`Standing::Foreign`]; what we wrote to it is cleared.
    Upsert(Arc<ServiceView>),
    /// A Service is no LoadBalancer any more, or gone.
    Removed(ServiceKey),
    /// A Service is gone for certain; spares a request that would find nothing.
    Deleted(ServiceKey),
    /// The addresses that no Service may have.
    Forbidden(Forbidden),
}

/// A question that is answered at once, whoever leads.
#[derive(Debug)]
pub enum Ask {
    /// What a Service has and why; `None`: it is not known, or not ours.
    Decision(ServiceKey, oneshot::Sender<Option<Decision>>),
    /// How full the pools are.
    Pools(oneshot::Sender<PoolsAnswer>),
}

/// How full the pools are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PoolsAnswer {
    /// The pools, in the order in which they are tried.
    pub pools: Vec<PoolReport>,
    /// Addresses that Services keep although no pool has them, or not the one from which they came.
    pub strays: Vec<Stray>,
    /// What is wrong with the descriptions of pools.
    pub faults: Vec<Fault>,
}

/// How the allocator is. It lags behind by up to a second.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AllocatorReport {
    /// Who leads, as last seen.
    pub leader: Option<String>,
    /// Whether that is this node.
    pub is_us: bool,
    /// What keeps this node, which leads, from deciding.
    pub waiting_for: Option<&'static str>,
    /// How many Services wait for a write, or have one under way.
    pub unwritten: usize,
    /// What the API server refuses.
    pub refused: Option<String>,
    /// The pools, empty before everything is known. Where another node leads it lags behind by up to half a minute: it
    /// is what this one would decide from what the cluster has.
    pub pools: Vec<PoolReport>,
    /// Addresses that Services keep although their pools do not have them; as old as the pools.
    pub strays: Vec<Stray>,
    /// What is wrong with the descriptions of pools.
    pub faults: Vec<Fault>,
}

/// What the allocator listens to.
#[derive(Debug)]
pub struct Inputs {
    /// The Services.
    pub feed: mpsc::Receiver<Feed>,
    /// The pools, as [`watch_pools`](crate::kube::pools::watch_pools) publishes them.
    pub pools: watch::Receiver<Pools>,
    /// Who leads, as [`stand`] has it.
    pub rulings: watch::Receiver<Ruling>,
    /// Where to write.
    pub connections: watch::Receiver<Option<Connection>>,
    /// Questions.
    pub asks: mpsc::Receiver<Ask>,
}

/// What the allocator says.
#[derive(Debug)]
pub struct Outputs {
    /// How it is.
    pub report: watch::Sender<AllocatorReport>,
    /// Whether nothing is being written any more under a grant that is withdrawn, for [`stand`].
    pub vacancy: watch::Sender<Vacancy>,
    /// For Events about Services; best with a publisher of its own, so that Events about VIPs do not wait.
    pub witness: Witness,
}

/// Runs until nobody feeds it any more.
pub async fn run(settings: ipam::Settings, mut inputs: Inputs, outputs: Outputs) {
    let pools = inputs.pools.borrow_and_update().clone();
    let mut allocator = Allocator::new(Desk::new(settings, pools), outputs);
    let mut writing = JoinSet::new();
    inputs.rulings.mark_changed();
    loop {
        while let Some((key, patch, until)) = allocator.next_write(clock::now()) {
            let Some(connection) = inputs.connections.borrow().clone() else {
                allocator.outbox.landed(clock::now(), &key, Landing::Failed);
                continue;
            };
            writing.spawn(write(connection, key, patch, until));
        }
        allocator.report(clock::now());
        tokio::select! {
            // That this node may not write any more comes first, questions last.
            biased;
            Ok(()) = inputs.rulings.changed() => allocator.ruled(inputs.rulings.borrow_and_update().clone()),
            Some(Ok(landed)) = writing.join_next() => allocator.landed(&landed),
            feed = inputs.feed.recv() => match feed {
                Some(feed) => allocator.feed(feed),
                None => return,
            },
            Ok(()) = inputs.pools.changed() => {
                let pools = inputs.pools.borrow_and_update().clone();
                allocator.set_pools(pools);
            }
            Some(ask) = inputs.asks.recv() => allocator.answer(ask),
            () = clock::until(allocator.deadline()) => {}
        }
    }
}

/// What this node would decide about a Service from what the cluster has, whoever leads.
#[must_use]
pub fn explain(
    settings: ipam::Settings,
    views: &[Arc<ServiceView>],
    pools: Vec<Pool>,
    forbidden: Forbidden,
    key: &ServiceKey,
) -> Option<Decision> {
    desk::decide(settings, views, pools, forbidden).decision(key)
}

struct Allocator {
    desk: Desk,
    outbox: Outbox,
    contests: Contests,
    words: Words,
    ruling: Ruling,
    /// Since when this node leads.
    since: Option<Instant>,
    outputs: Outputs,
    /// When the report may be made anew, because it is not true any more.
    report_at: Option<Instant>,
    /// How full the pools were when they were counted last.
    usage: (Vec<PoolReport>, Vec<Stray>),
    /// When they may be counted anew, where another node leads.
    usage_at: Option<Instant>,
    /// Services to which the API server does not let us write, and what it says.
    refused: BTreeMap<ServiceKey, String>,
}

impl Allocator {
    fn new(desk: Desk, outputs: Outputs) -> Self {
        Self {
            desk,
            outbox: Outbox::default(),
            contests: Contests::default(),
            words: Words::new(outputs.witness.clone()),
            ruling: Ruling::unknown(),
            since: None,
            outputs,
            report_at: Some(clock::now()),
            usage: <(Vec<_>, Vec<_>)>::default(),
            usage_at: None,
            refused: BTreeMap::new(),
        }
    }

    fn feed(&mut self, feed: Feed) {
        if let Feed::Removed(key) | Feed::Deleted(key) = &feed {
            self.words.forget(key);
            self.refused.remove(key);
            self.contests.forget(key);
        }
        let before = match &feed {
            Feed::Upsert(view) => self.desk.view(&view.key).cloned(),
            Feed::Loaded(_) | Feed::Removed(_) | Feed::Deleted(_) | Feed::Forbidden(_) => None,
        };
        let changes = self.desk.feed(feed);
        if let Some(before) = before {
            self.contest(&before);
        }
        self.settle(&changes);
    }

    /// Who writes to a Service of ours what is not ours is answered later and later, and named once.
    fn contest(&mut self, before: &ServiceView) {
        let Some(view) = self.desk.view(&before.key) else { return };
        let lately = self.since.is_some_and(|since| clock::now() < since + PATIENCE);
        if view.standing == Standing::Foreign {
            self.contests.forget(&view.key);
        } else if self.desk.is_overwritten(before, lately)
            && self.contests.overwritten(clock::now(), &view.key) == Turn::Contested
        {
            warn!(
                service = %view.key,
                writer = view.status_writer.as_deref().unwrap_or("unknown"),
                addresses = ?view.ingress,
                advice = words::LET_ONE_SERVE,
                "somebody else overwrites the status of a service, writing it less and less often"
            );
            self.words.overwritten(view);
        }
    }

    fn set_pools(&mut self, pools: Pools) {
        self.usage_at = None;
        let (changes, strays) = self.desk.set_pools(pools);
        for stray in strays {
            if let Some(view) = self.desk.view(&stray.service) {
                self.words.retained(view, &stray);
            }
        }
        self.settle(&changes);
    }

    fn ruled(&mut self, ruling: Ruling) {
        // A grant that came after another one: somebody else may have decided in between.
        if self.ruling.serial != ruling.serial || ruling.grant.is_none() {
            self.since = None;
            self.desk.follow();
            self.outbox.clear();
            self.contests = Contests::default();
            self.refused.clear();
        }
        if ruling.grant.is_some() && self.since.is_none() {
            self.since = Some(clock::now());
        }
        self.ruling = ruling;
        self.vacate();
        self.begin();
        self.outdate(clock::now());
    }

    /// Decides, as soon as this node leads and everything is known that decides.
    fn begin(&mut self) {
        if self.desk.leads() || self.since.is_none() || self.obstacle(clock::now()).is_some() {
            return;
        }
        let started = clock::now();
        let changes = self.desk.lead();
        let (services, took) = (changes.len(), clock::now().saturating_duration_since(started));
        info!(services, pools = self.desk.pools().pools.len(), ?took, "deciding about addresses of services");
        self.note(&changes);
    }

    fn obstacle(&self, now: Instant) -> Option<&'static str> {
        let patient = self.since.is_some_and(|since| now < since + PATIENCE);
        if !self.desk.is_complete() {
            Some("the list of Services")
        } else if !self.desk.has_all_pools() && patient {
            Some("the pools")
        } else {
            None
        }
    }

    /// Something changed, so that everything may be known now, or these Services may be another's.
    fn settle(&mut self, changes: &Changes) {
        self.begin();
        self.note(changes);
        self.outdate(clock::now() + REPORT);
    }

    fn note(&mut self, changes: &Changes) {
        for key in changes {
            self.outbox.want(key);
            let view = self.desk.view(key).filter(|view| view.standing == Standing::Ours);
            let decision = view.and_then(|_| self.desk.ipam()?.decision(key));
            if let (Some(view), Some(decision)) = (view, decision) {
                self.words.refused(view, &decision);
            }
        }
    }

    /// The next Service to write to, what, and how long this node may.
    fn next_write(&mut self, now: Instant) -> Option<(ServiceKey, shown::Patch, Instant)> {
        self.begin();
        for key in self.desk.doubt(now) {
            self.outbox.want(&key);
        }
        let until = self.ruling.grant.map(|grant| grant.until).filter(|until| now < *until)?;
        while let Some(key) = self.outbox.next(now) {
            if let Some(until) = self.contests.until(now, &key) {
                self.outbox.postpone(&key, until);
                continue;
            }
            if let Some(patch) = self.desk.draft(&key) {
                return Some((key, patch, until));
            }
            self.outbox.landed(now, &key, Landing::Done);
        }
        None
    }

    fn landed(&mut self, landed: &Landed) {
        let Landed { key, patch, result } = landed;
        let now = clock::now();
        match result {
            Ok(()) => self.written(now, key, patch),
            Err(failure) => self.failed(key, failure),
        }
        let mut landing = landed.landing();
        // Of one that the feed does not have there will be no news: another one has its name.
        if landing == Landing::Done || landing == Landing::Stale && self.desk.view(key).is_none() {
            self.desk.is_gone(key);
            landing = Landing::Done;
        }
        self.outbox.landed(now, key, landing);
        self.vacate();
        self.outdate(now + REPORT);
    }

    fn written(&mut self, now: Instant, key: &ServiceKey, patch: &shown::Patch) {
        if self.refused.remove(key).is_some() && self.refused.is_empty() {
            info!("services are written again");
        }
        let view = self.desk.view(key).filter(|view| view.uid == patch.uid);
        if let (Some(view), Some(status)) = (view, &patch.status) {
            info!(service = %key, addresses = ?status.addresses, "addresses of a service written");
            let lost = self.desk.ipam().map_or_else(Vec::new, |ipam| ipam.displaced(key));
            self.words.withdrawn(view, &lost);
            self.words.assigned(view, patch.record.as_deref().unwrap_or_default());
        }
        // What came meanwhile may be what somebody else wrote over it.
        if !self.outbox.is_outdated(key) {
            self.desk.wrote(now, key, patch);
        }
    }

    fn failed(&mut self, key: &ServiceKey, failure: &Failure) {
        if !matches!(failure.code(), Some(401 | 403)) {
            debug!(service = %key, error = %failure, "service not written");
            return;
        }
        if self.refused.is_empty() {
            warn!(
                service = %key,
                error = %failure,
                advice = PERMIT,
                "services cannot be written, asking again until it is granted"
            );
        }
        self.refused.insert(key.clone(), failure.to_string());
    }

    /// Counts how full the pools are. Whoever does not lead decides about all Services for that, and so seldom.
    fn count(&mut self, now: Instant, leads: bool) {
        if !self.desk.is_complete() {
            return;
        }
        if let Some(at) = self.usage_at.filter(|at| !leads && now < *at) {
            return self.outdate(at);
        }
        self.usage = self.desk.usage();
        self.usage_at = Some(now + FOLLOWERS_REPORT);
    }

    /// Says whether nothing is being written any more under a grant that is over.
    fn vacate(&self) {
        let vacated = self.ruling.grant.is_none() && self.outbox.is_grounded();
        publish(&self.outputs.vacancy, Vacancy { serial: self.ruling.serial, vacated });
    }

    fn answer(&self, ask: Ask) {
        // Who does not wait for the answer any more does not want it.
        match ask {
            Ask::Decision(key, answer) => drop(answer.send(self.desk.decision(&key))),
            Ask::Pools(answer) => {
                let (pools, strays) = self.desk.usage();
                let faults = self.desk.pools().faults.clone();
                drop(answer.send(PoolsAnswer { pools, strays, faults }));
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let patience = self.since.filter(|_| !self.desk.leads()).map(|since| since + PATIENCE);
        let patience = patience.filter(|at| clock::now() < *at);
        let may_write = self.ruling.grant.is_some_and(|grant| clock::now() < grant.until);
        let retry = self.outbox.deadline().filter(|_| may_write);
        let doubt = self.desk.deadline().filter(|_| may_write);
        [patience, retry, doubt, self.report_at].into_iter().flatten().min()
    }

    /// The report is not true any more; it is made anew at `at`.
    fn outdate(&mut self, at: Instant) {
        self.report_at = Some(self.report_at.map_or(at, |planned| planned.min(at)));
    }

    fn report(&mut self, now: Instant) {
        if self.report_at.is_none_or(|at| now < at) {
            return;
        }
        self.report_at = None;
        let leads = self.desk.leads();
        self.count(now, leads);
        let (pools, strays) = self.usage.clone();
        let report = AllocatorReport {
            leader: self.ruling.holder.clone(),
            is_us: self.since.is_some(),
            waiting_for: self.since.filter(|_| !leads).and_then(|_| self.obstacle(now)),
            unwritten: self.outbox.len(),
            refused: self.refused.values().next().cloned(),
            pools,
            strays,
            faults: self.desk.pools().faults.clone(),
        };
        publish(&self.outputs.report, report);
    }
}

/// How long a leader waits for pools that cannot be read: what Services have they keep without.
const PATIENCE: Duration = Duration::from_secs(3);

/// Between two reports.
const REPORT: Duration = Duration::from_secs(1);

/// Between two counts of the pools by one who does not lead.
const FOLLOWERS_REPORT: Duration = Duration::from_secs(30);

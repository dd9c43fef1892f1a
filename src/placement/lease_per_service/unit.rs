//! The election of one Lease, and what it is told and tells.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use vipcast_proto::election::{Elector, Record, Role, Timing};
use vipcast_proto::placement::Tenure;

use super::store::{Channels, Desk, Leases};
use crate::change::publish;
use crate::election::{self, Conditions, Inputs, Reporter, Ruling, Vacancy};
use crate::kube::lease::{LeaseName, Observed, render_claim};
use crate::placement::lease::{COURTESY, unproven};
use crate::witness::Witness;

/// One Lease, while it is wanted or not given back yet.
#[derive(Debug)]
pub(super) struct Unit {
    /// What this node does with them.
    pub(super) tenure: Tenure,
    /// Whoever held it last, or does.
    pub(super) last_holder: Option<String>,
    rulings: watch::Receiver<Ruling>,
    written: watch::Receiver<Option<Record>>,
    conditions: watch::Sender<Conditions>,
    vacancy: watch::Sender<Vacancy>,
    observed: watch::Sender<Option<Observed>>,
    claim: watch::Sender<Arc<str>>,
}

/// What all elections of a node have in common.
#[derive(Debug)]
pub(super) struct Bench<L> {
    pub(super) leases: L,
    pub(super) node: String,
    pub(super) timing: Timing,
    pub(super) witness: Witness,
    /// Whose ruling has changed.
    pub(super) news: mpsc::Sender<LeaseName>,
    pub(super) places: Arc<Semaphore>,
}

impl<L: Leases> Bench<L> {
    /// Starts an election, whose task ends with the name of its Lease. `seen` is what the watch knows of it.
    pub(super) fn start(
        &self,
        name: &LeaseName,
        seen: Option<Observed>,
        marked: bool,
        tasks: &mut JoinSet<LeaseName>,
    ) -> Unit {
        let (conditions, fitness) = watch::channel(unproven());
        let (ruling, rulings) = watch::channel(Ruling::unknown());
        let (vacancy, vacated) = watch::channel(Vacancy::default());
        let (observed, observing) = watch::channel(seen);
        let (claim, claimed) = watch::channel(Arc::<str>::from(""));
        let (written_out, written) = watch::channel(None);
        let channels = Channels { observed: observing.clone(), claim: claimed.clone(), marked };
        let store = self.leases.store(name, channels);
        let elector = Elector::new(self.node.clone(), self.timing);
        let election = election::run(
            elector.renewing_first_after(self.timing.retry_period.mul_f64(fastrand::f64())),
            self.timing,
            self.node.clone(),
            Desk { store, places: Arc::clone(&self.places), written: written_out },
            Inputs::new(fitness, observing, vacated).with_statement(claimed),
            ruling,
            Reporter::of_many(name, self.node.clone(), self.witness.clone()),
        );
        let telling = tell(name.clone(), rulings.clone(), self.news.clone());
        let name = name.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = election => {}
                () = telling => {}
            }
            name
        });
        Unit {
            tenure: Tenure::default(),
            last_holder: None,
            rulings,
            written,
            conditions,
            vacancy,
            observed,
            claim,
        }
    }
}

impl Unit {
    pub(super) fn ruling(&self) -> Ruling {
        self.rulings.borrow().clone()
    }

    pub(super) fn observe(&self, seen: Observed) {
        publish(&self.observed, Some(seen));
    }

    /// The newest write of this node, where none is under way.
    pub(super) fn written(&self) -> Option<Record> {
        self.written.borrow().clone()
    }

    /// Says what is ours. To be called before [`Self::written`] is asked what of it others know.
    pub(super) fn claim(&self, served: &BTreeSet<IpAddr>) {
        publish(&self.claim, render_claim(&self.tenure.claim(served)).into());
    }

    pub(super) fn stand(&self, conditions: Conditions) {
        publish(&self.conditions, conditions);
    }

    pub(super) fn vacate(&self, ruling: &Ruling) {
        let vacated = ruling.grant.is_none() && self.tenure.is_vacated();
        publish(&self.vacancy, Vacancy { serial: ruling.serial, vacated });
    }

    /// For how long to leave a free Lease to others, where `before` of them come first.
    pub(super) fn courtesy(ruling: &Ruling, before: usize) -> Duration {
        match ruling.role {
            Role::Standby => (STEP * u32::try_from(before).unwrap_or(u32::MAX)).min(COURTESY),
            Role::Holder | Role::Leaving => Duration::ZERO,
        }
    }
}

async fn tell(name: LeaseName, mut rulings: watch::Receiver<Ruling>, news: mpsc::Sender<LeaseName>) {
    while rulings.changed().await.is_ok() {
        if news.send(name.clone()).await.is_err() {
            return;
        }
    }
}

/// Longer than it takes a claim to be seen by those who come later.
const STEP: Duration = Duration::from_millis(30);

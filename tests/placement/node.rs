//! One node: a placement, the core, and an announcer that takes its time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use vipcast::admin::board::StatusBoard;
use vipcast::admin::metrics::Metrics;
use vipcast::advertiser;
use vipcast::clock;
use vipcast::drain::{Drain, Trigger};
use vipcast::kube::events::Events;
use vipcast::placement::{Ask, Demand, Grants, PlacementReport, Whereabouts, Wires};
use vipcast::witness::Witness;
use vipcast_proto::advertiser::{Advertiser, Desired, Remains, Report};
use vipcast_proto::election::Timing;
use vipcast_proto::placement::Facts;

use super::ledger::Ledger;

/// What a test has in its hands of a node. Dropped, the node is dead: nothing is said or released.
pub(crate) struct Node {
    pub(crate) demand: mpsc::Sender<Demand>,
    pub(crate) asks: mpsc::Sender<Ask>,
    pub(crate) report: watch::Receiver<PlacementReport>,
    pub(crate) drain: Trigger,
    pub(crate) placement: JoinSet<()>,
    _others: JoinSet<()>,
}

impl Node {
    /// A node with this placement, which gets its wires.
    pub(crate) fn start<F>(name: &str, ledger: &Ledger, placement: impl FnOnce(Wires, Witness) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (demand, demanded) = mpsc::channel(64);
        let (asks, asked) = mpsc::channel(4);
        let (grants_out, grants) = watch::channel(Grants::default());
        let (remains_out, remains) = watch::channel(Remains::default());
        let (report_out, report) = watch::channel(PlacementReport::default());
        let (desired_out, desired) = watch::channel(Desired::default());
        let (reports_out, reports) = mpsc::channel(16);
        let (drain, draining) = Drain::manual();
        // Nothing waits for a data path, for ever.
        let (_, waiting) = watch::channel(Arc::default());
        let services = Some(advertiser::Services { grants, waiting, remains: remains_out });
        let wires = advertiser::Wires { control_plane: None, services, reports, desired: desired_out };
        let mut others = JoinSet::new();
        others.spawn(advertiser::run(Advertiser::new([RESPONDER.to_owned()]), wires));
        others.spawn(announce(name.to_owned(), ledger.clone(), desired, reports_out));
        let wires = Wires {
            demand: demanded,
            asks: asked,
            grants: grants_out,
            remains,
            report: report_out,
            drain: draining,
            patience: PATIENCE,
        };
        let (board, status) = StatusBoard::new("0", name);
        let metrics = Metrics::new("0", None, status);
        let witness = Witness { board, metrics, events: Events::channel().0 };
        let mut tasks = JoinSet::new();
        tasks.spawn(placement(wires, witness));
        Self { demand, asks, report, drain, placement: tasks, _others: others }
    }

    /// From now on it takes part, with all of these.
    pub(crate) async fn want(&self, addresses: impl IntoIterator<Item = IpAddr>) {
        let wanted = addresses.into_iter().map(|address| (address, Some(Facts::plain(address)))).collect();
        self.demand.send(Demand::Wanted(wanted)).await.unwrap();
        self.weigh(1).await;
    }

    pub(crate) async fn weigh(&self, weight: u8) {
        self.demand.send(Demand::Weight(weight)).await.unwrap();
    }

    pub(crate) async fn whereabouts(&self, address: IpAddr) -> Whereabouts {
        let (answer, answered) = oneshot::channel();
        self.asks.send(Ask::Where(address, answer)).await.unwrap();
        answered.await.unwrap()
    }

    /// Asks it to hand over, and waits until it has.
    pub(crate) async fn leave(mut self) -> PlacementReport {
        self.drain.start();
        self.placement.join_next().await.unwrap().unwrap();
        // What its announcer still drops, it drops.
        clock::pause(2 * DROP).await;
        self.report.borrow().clone()
    }
}

/// Holds at once, drops after a while, and lets nothing stay after its permission.
async fn announce(
    node: String,
    ledger: Ledger,
    mut desired: watch::Receiver<Desired>,
    reports: mpsc::Sender<(String, Report)>,
) {
    let mut present = BTreeSet::new();
    loop {
        let Desired { serial, vips } = desired.borrow_and_update().clone();
        let now = clock::now();
        let live: BTreeMap<_, _> = vips.iter().filter(|(_, grant)| now < grant.until).collect();
        for (&address, grant) in live.iter().map(|(address, grant)| (*address, *grant)) {
            ledger.hold(&node, address, grant.until);
            present.insert(address);
        }
        let unwanted: Vec<_> =
            present.iter().copied().filter(|address| !live.contains_key(address)).collect();
        if !unwanted.is_empty() {
            clock::pause(DROP).await;
        }
        for address in unwanted {
            ledger.drop(&node, address);
            present.remove(&address);
        }
        let report = Report::new(serial, present.clone());
        if reports.send((RESPONDER.to_owned(), report)).await.is_err() {
            return;
        }
        let end = vips.values().map(|grant| grant.until).filter(|until| clock::now() < *until).min();
        tokio::select! {
            changed = desired.changed() => if changed.is_err() { return },
            () = clock::until(end) => {}
        }
    }
}

/// So many addresses.
pub(crate) fn addresses(count: u32) -> impl Iterator<Item = IpAddr> {
    (0..count).map(|number| Ipv4Addr::from(0x0a00_0001 + number).into())
}

const RESPONDER: &str = "responder";
/// Longer than it takes to tell others, so that whoever tells too early is seen.
const DROP: Duration = Duration::from_millis(50);
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
pub(crate) const TIMING: Timing = Timing {
    lease_duration: Duration::from_secs(5),
    renew_deadline: Duration::from_secs(3),
    retry_period: Duration::from_secs(1),
};

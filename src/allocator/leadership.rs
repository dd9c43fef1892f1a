//! The election of the one who writes: on a Lease of its own, with nothing in the way but the end of the process.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;
use vipcast_proto::election::{Elector, Timing};
use vipcast_proto::standing::Rivals;

use crate::drain::Drain;
use crate::election::{self, Conditions, Reporter, Ruling, Vacancy};
use crate::kube::access::Connection;
use crate::kube::lease::{Holder, LeaseName, LeaseStore, watch_lease};
use crate::task::Tasks;
use crate::witness::{ALLOCATOR, Witness};

/// Who stands, and where.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The namespace of the Lease [`LEASE`].
    pub namespace: String,
    /// The node's name.
    pub identity: String,
    /// The timing of the election.
    pub timing: Timing,
}

/// Stands for election: the task that decides is spawned in `election`, which ends when `drain` has begun and the Lease
/// is given back; those that only serve it in `tasks`. `vacancy` is what [`run`](super::run) publishes.
pub fn stand(
    candidate: Candidate,
    connections: &watch::Receiver<Option<Connection>>,
    vacancy: watch::Receiver<Vacancy>,
    drain: Drain,
    witness: Witness,
    (election, tasks): (&mut Tasks, &mut Tasks),
) -> watch::Receiver<Ruling> {
    let Candidate { namespace, identity, timing } = candidate;
    let name = LeaseName { namespace, name: LEASE.to_owned() };
    let (seen, observed) = watch::channel(None);
    tasks.spawn("allocator lease watch", watch_lease(name.clone(), connections.clone(), seen));
    let (stopping, conditions) = watch::channel(FIT);
    tasks.spawn("allocator conditions", async move {
        drain.started().await;
        stopping.send_replace(Conditions { stopping: true, ..FIT });
        std::future::pending::<()>().await;
    });
    let holder = Holder { identity: identity.clone(), lease_duration: timing.lease_duration };
    let store = LeaseStore::new(name.clone(), holder, BTreeMap::new(), connections.clone(), observed.clone());
    let inputs = election::Inputs::new(conditions, observed, vacancy);
    let reporter = Reporter::of_scope(ALLOCATOR, &name, identity.clone(), witness);
    let (ruled, rulings) = watch::channel(Ruling::unknown());
    let elector = Elector::new(identity.clone(), timing);
    election.spawn(
        "allocator election",
        election::run(elector, timing, identity, store, inputs, ruled, reporter),
    );
    rulings
}

/// The name of the Lease.
pub const LEASE: &str = "vipcast-allocator";

/// The usual timing of such elections. Nothing of a cluster's traffic waits for this Lease, so it is renewed seldom.
pub const TIMING: Timing = Timing {
    lease_duration: Duration::from_secs(15),
    renew_deadline: Duration::from_secs(10),
    retry_period: Duration::from_secs(4),
};

/// Whoever runs may write. A Lease that cannot be renewed is never held on to, as if others were always there.
const FIT: Conditions = Conditions {
    healthy: true,
    proven: true,
    link_up: true,
    refused: false,
    rivals: Rivals::Present,
    stopping: false,
    drained: false,
    courtesy: Duration::ZERO,
};

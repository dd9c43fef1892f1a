//! Builds one placement from the parts of the daemon.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use tokio::sync::{mpsc, watch};
use vipcast_proto::election::{Elector, Timing};

use super::{Mode, PerService, Wires, every_node, lease, lease_per_service, life, spread};
use crate::election::{self, Inputs, Reporter, Ruling, Vacancy};
use crate::kube::access::Connection;
use crate::kube::lease::{Holder, LeaseName, LeaseStore, Scope, watch_lease, watch_leases};
use crate::kube::members::{MemberStore, watch_members};
use crate::task::Tasks;
use crate::witness::{SERVICES, Witness};

/// What a placement is built from.
#[derive(Debug)]
pub struct Parts {
    /// The name of this node.
    pub node: String,
    /// Where member Leases are.
    pub namespace: String,
    /// Of every Lease.
    pub timing: Timing,
    /// The newest connection to an API server.
    pub connections: watch::Receiver<Option<Connection>>,
    /// Where the API servers of all nodes are, for requests while this node's own does not answer.
    pub servers: watch::Receiver<BTreeSet<SocketAddr>>,
    /// Where it tells what happens.
    pub witness: Witness,
    /// Where every node announces: whether this one leaves addresses to others while it is cordoned.
    pub yields: bool,
    /// What it is connected with.
    pub wires: Wires,
}

/// Starts the placement: its watch among `tasks`, itself among `placement`, where it ends when everything is handed over
/// after the drain began.
pub fn start(mode: Mode, parts: Parts, placement: &mut Tasks, tasks: &mut Tasks) {
    match mode {
        Mode::Spread => start_spread(parts, tasks, placement),
        Mode::Lease(name) => start_lease(name, parts, tasks, placement),
        Mode::LeasePerService(of) => start_lease_per_service(of, parts, tasks, placement),
        Mode::EveryNode => {
            placement.spawn("placement", every_node::run(parts.node, parts.yields, parts.wires))
        }
    }
}

fn start_spread(parts: Parts, tasks: &mut Tasks, placement: &mut Tasks) {
    let Parts { node, namespace, timing, connections, servers, witness, wires, .. } = parts;
    let (out, sightings) = mpsc::channel(SIGHTINGS);
    tasks.spawn("member watch", watch_members(namespace.clone(), connections.clone(), out));
    let store = MemberStore::new(namespace, node.clone(), timing.lease_duration, connections);
    let store = store.with_others(servers);
    placement.spawn("placement", spread::run(node, life(), timing, store, sightings, wires, witness));
}

fn start_lease(name: LeaseName, parts: Parts, tasks: &mut Tasks, placement: &mut Tasks) {
    let Parts { node, namespace: _, timing, connections, servers, witness, wires, .. } = parts;
    let (out, observed) = watch::channel(None);
    tasks.spawn("lease watch of services", watch_lease(name.clone(), connections.clone(), out));
    let holder = Holder { identity: node.clone(), lease_duration: timing.lease_duration };
    let store = LeaseStore::new(name.clone(), holder, [].into(), connections, observed.clone());
    let (conditions, fitness) = watch::channel(lease::unproven());
    let (ruling, rulings) = watch::channel(Ruling::unknown());
    let (vacancy, vacated) = watch::channel(Vacancy::default());
    let election = election::run(
        Elector::new(node.clone(), timing),
        timing,
        node.clone(),
        store.with_others(servers),
        Inputs::new(fitness, observed, vacated),
        ruling,
        Reporter::of_scope(SERVICES, &name, node.clone(), witness),
    );
    let driver = lease::run(node, lease::Election { conditions, rulings, vacancy }, wires);
    placement.spawn("placement", async {
        tokio::select! {
            // The election ends first, where there is time; it ends with the driver, where there is none.
            () = driver => {}
            () = async { election.await; std::future::pending().await } => {}
        }
    });
}

fn start_lease_per_service(of: PerService, parts: Parts, tasks: &mut Tasks, placement: &mut Tasks) {
    let Parts { node, namespace, timing, connections, servers, witness, wires, .. } = parts;
    let scopes = match of.namespace {
        None => vec![Scope::Cluster],
        Some(own) => {
            let elsewhere = of.shared.clone().filter(|shared| shared.namespace != own);
            elsewhere.into_iter().map(Scope::Lease).chain([Scope::Namespace(own)]).collect()
        }
    };
    let (out, sightings) = mpsc::channel(SIGHTINGS);
    for scope in &scopes {
        tasks.spawn("leases watch", watch_leases(scope.clone(), connections.clone(), out.clone()));
    }
    let settings = lease_per_service::Settings {
        node: node.clone(),
        timing,
        namespace: namespace.clone(),
        shared: of.shared,
        reserved: of.reserved,
        scopes,
    };
    let holder = Holder { identity: node, lease_duration: timing.lease_duration };
    let leases = lease_per_service::KubeLeases { holder, namespace, connections, servers };
    placement.spawn("placement", lease_per_service::run(settings, leases, sightings, witness, wires));
}

/// Far more than come between two looks; whatever does not fit is listed again.
const SIGHTINGS: usize = 1024;

//! Keeps the newest state of one Lease, a few milliseconds behind the server, or tells of all of them.

use std::sync::Arc;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use tokio::sync::{mpsc, watch};
use vipcast_proto::election::Record;

use super::{LeaseName, record};
use crate::change::publish;
use crate::kube::access::Connection;
use crate::kube::follow::{Objects, Sink, Step, follow, follow_into};

/// The Lease as the watch saw it last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// What the election sees of it; `None`: there is no such Lease.
    pub record: Option<Record>,
    pub(crate) object: Option<Arc<Lease>>,
}

impl Observed {
    pub(crate) fn new(lease: Option<Arc<Lease>>) -> Self {
        Self { record: lease.as_deref().map(record), object: lease }
    }
}

/// Publishes every new state of the Lease `name`; `None` until the first one is known. Never gives up,
/// and returns only when nobody publishes connections any more.
pub async fn watch_lease(
    name: LeaseName,
    connections: watch::Receiver<Option<Connection>>,
    out: watch::Sender<Option<Observed>>,
) {
    let source = |connection: &Connection| Objects::<Lease> {
        api: Api::namespaced(connection.watch.clone(), &name.namespace),
        fields: format!("metadata.name={}", name.name),
    };
    let publish = |step| {
        let observed = Some(Observed::new(newest(step, &name.name).map(Arc::new)));
        publish(&out, observed);
    };
    follow("lease", connections, source, publish).await;
}

/// What became known of Leases.
#[derive(Clone, Debug, PartialEq)]
pub enum Sighting {
    /// All of a scope, as they are on the server.
    Listed {
        /// Which.
        scope: Scope,
        /// What is there.
        leases: Vec<Lease>,
    },
    /// One of them, in the order of all writes.
    Seen(Lease),
    /// One of them is gone; this is what it was.
    Deleted(Lease),
}

/// Which Leases are watched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Scope {
    /// Those of all namespaces, but not those that only say that a kubelet lives.
    Cluster,
    /// Those of one namespace.
    Namespace(String),
    /// A single one.
    Lease(LeaseName),
}

impl Scope {
    /// Whether this Lease is one of them.
    #[must_use]
    pub fn covers(&self, name: &LeaseName) -> bool {
        match self {
            Self::Cluster => true,
            Self::Namespace(namespace) => *namespace == name.namespace,
            Self::Lease(only) => only == name,
        }
    }
}

/// Tells `out` of every Lease in this scope. While
/// `out` is full, the watch waits. Returns when nobody publishes connections any more, or nobody listens.
pub async fn watch_leases(
    scope: Scope,
    connections: watch::Receiver<Option<Connection>>,
    out: mpsc::Sender<Sighting>,
) {
    let source = |connection: &Connection| {
        let client = connection.watch.clone();
        match &scope {
            Scope::Cluster => Objects::<Lease> { api: Api::all(client), fields: NOT_OF_KUBELETS.to_owned() },
            Scope::Namespace(namespace) => {
                Objects { api: Api::namespaced(client, namespace), fields: String::new() }
            }
            Scope::Lease(LeaseName { namespace, name }) => {
                Objects { api: Api::namespaced(client, namespace), fields: format!("metadata.name={name}") }
            }
        }
    };
    let outbox = Outbox { scope: scope.clone(), out: out.clone() };
    tokio::select! {
        () = follow_into("leases", connections, source, outbox) => {}
        () = out.closed() => {}
    }
}

struct Outbox {
    scope: Scope,
    out: mpsc::Sender<Sighting>,
}

impl Sink<Lease> for Outbox {
    async fn take(&mut self, step: Step<Lease>) {
        let sighting = match step {
            Step::Listed(leases) => Sighting::Listed { scope: self.scope.clone(), leases },
            Step::Applied(lease) => Sighting::Seen(lease),
            Step::Deleted(lease) => Sighting::Deleted(lease),
        };
        // An error means that nobody listens any more, which ends the watch.
        let _ = self.out.send(sighting).await;
    }
}

/// The selector is the server's to apply; a server that does not must not make us follow another Lease.
fn newest(step: Step<Lease>, name: &str) -> Option<Lease> {
    let ours = |lease: &Lease| lease.metadata.name.as_deref() == Some(name);
    match step {
        Step::Listed(leases) => leases.into_iter().find(ours),
        Step::Applied(lease) => Some(lease),
        Step::Deleted(_) => None,
    }
}

const NOT_OF_KUBELETS: &str = "metadata.namespace!=kube-node-lease";

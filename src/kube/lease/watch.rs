//! Keeps the newest state of one Lease, a few milliseconds behind the server.

use std::sync::Arc;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use tokio::sync::watch;
use vipcast_proto::election::Record;

use super::{LeaseName, record};
use crate::change::publish;
use crate::kube::access::Connection;
use crate::kube::follow::{Objects, Step, follow};

/// The Lease as the watch saw it last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// What the election sees of it; `None`: there is no such Lease.
    pub record: Option<Record>,
    pub(crate) object: Option<Arc<Lease>>,
}

impl Observed {
    pub(super) fn new(lease: Option<Lease>) -> Self {
        Self { record: lease.as_ref().map(record), object: lease.map(Arc::new) }
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
        let observed = Some(Observed::new(newest(step, &name.name)));
        publish(&out, observed);
    };
    follow("lease", connections, source, publish).await;
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

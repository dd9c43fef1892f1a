//! Tells the owner of the [`Catalog`](vipcast_proto::service::Catalog) what happens to Services, their endpoints and Nodes.

mod object;
mod read;
mod source;
#[cfg(test)]
mod tests;

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tracing::warn;
use vipcast_proto::service::{Change, Event, NamespaceLabels, Terms};

use super::access::Connection;
use super::follow::{Sink, Step, follow_into};
use object::Metadata;
use source::{Path, Pruned, Seen};

/// What is to be watched, and which Services are ours.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The only namespace in which Services and their endpoints are watched; `None`: in all.
    pub namespace: Option<String>,
    /// On which terms a Service is ours.
    pub terms: Terms,
    /// Whether Namespaces are watched.
    pub namespace_labels: NamespaceLabels,
}

/// Tells `out` of everything that a [`Catalog`](vipcast_proto::service::Catalog) needs. While `out` is full, the watches
/// wait. Returns when nobody publishes connections any more, or nobody listens.
pub async fn watch_catalog(
    connections: watch::Receiver<Option<Connection>>,
    filter: Filter,
    out: mpsc::Sender<Event>,
) {
    let namespaces = async {
        match filter.namespace_labels {
            NamespaceLabels::Needed => watch_namespaces(connections.clone(), out.clone()).await,
            NamespaceLabels::Unused => {}
        }
    };
    tokio::join!(
        watch_services(connections.clone(), &filter, out.clone()),
        watch_slices(connections.clone(), &filter, out.clone()),
        watch_nodes(connections.clone(), out.clone()),
        namespaces,
    );
}

/// Services that have to do with load balancers; the others are told of as deleted.
pub async fn watch_services(
    connections: watch::Receiver<Option<Connection>>,
    filter: &Filter,
    out: mpsc::Sender<Event>,
) {
    let namespace = filter.namespace.clone();
    let path = Path { base: "/api/v1", namespace, plural: "services", labels: "" };
    let read = |service: object::Service| read::service(service, &filter.terms);
    run(connections, path, Outbox { out, read, key: read::service_key, event: Event::Services }).await;
}

/// EndpointSlices of Services that have cluster IPs.
pub async fn watch_slices(
    connections: watch::Receiver<Option<Connection>>,
    filter: &Filter,
    out: mpsc::Sender<Event>,
) {
    let (base, namespace) = ("/apis/discovery.k8s.io/v1", filter.namespace.clone());
    let path = Path { base, namespace, plural: "endpointslices", labels: WITH_CLUSTER_IP };
    run(connections, path, Outbox { out, read: read::slice, key: read::slice_key, event: Event::Slices })
        .await;
}

/// Nodes.
pub async fn watch_nodes(connections: watch::Receiver<Option<Connection>>, out: mpsc::Sender<Event>) {
    let path = Path { base: "/api/v1", namespace: None, plural: "nodes", labels: "" };
    run(connections, path, Outbox { out, read: read::node, key: read::name, event: Event::Nodes }).await;
}

/// Labels of Namespaces.
pub async fn watch_namespaces(connections: watch::Receiver<Option<Connection>>, out: mpsc::Sender<Event>) {
    let path = Path { base: "/api/v1", namespace: None, plural: "namespaces", labels: "" };
    let (read, key) = (read::namespace, read::name);
    run(connections, path, Outbox { out, read, key, event: Event::Namespaces }).await;
}

async fn run<T, O, N, R>(
    connections: watch::Receiver<Option<Connection>>,
    path: Path,
    outbox: Outbox<R, O, N>,
) where
    T: DeserializeOwned + AsRef<Metadata> + Clone + Debug + Send + 'static,
    R: FnMut(T) -> Option<O>,
{
    let listener = outbox.out.clone();
    let source = |connection: &Connection| Pruned::new(connection.watch.clone(), &path);
    tokio::select! {
        () = follow_into(path.plural, connections, source, outbox) => {}
        () = listener.closed() => {}
    }
}

/// Turns what is seen into events, and waits until they are taken.
struct Outbox<R, O, N> {
    out: mpsc::Sender<Event>,
    /// What is to be kept of an object; `None`: nothing.
    read: R,
    key: fn(&Metadata) -> N,
    event: fn(Change<O, N>) -> Event,
}

impl<T: AsRef<Metadata>, R: FnMut(T) -> Option<O>, O, N> Sink<Seen<T>> for Outbox<R, O, N> {
    async fn take(&mut self, step: Step<Seen<T>>) {
        let Some(change) = self.change(step) else { return };
        // An error means that nobody listens any more, which ends the watch.
        let _ = self.out.send((self.event)(change)).await;
    }
}

impl<R, O, N> Outbox<R, O, N> {
    fn change<T>(&mut self, step: Step<Seen<T>>) -> Option<Change<O, N>>
    where
        T: AsRef<Metadata>,
        R: FnMut(T) -> Option<O>,
    {
        match step {
            Step::Listed(all) => {
                let whole = all.into_iter().filter_map(Seen::whole);
                Some(Change::Listed(whole.filter_map(&mut self.read).collect()))
            }
            Step::Applied(seen) => {
                let whole = seen.whole()?;
                let key = (self.key)(whole.as_ref());
                Some((self.read)(whole).map_or(Change::Deleted(key), Change::Applied))
            }
            Step::Deleted(Seen::Whole(whole)) => Some(Change::Deleted((self.key)(whole.as_ref()))),
            Step::Deleted(Seen::Broken { metadata, .. }) => Some(Change::Deleted((self.key)(&metadata))),
        }
    }
}

impl<T> Seen<T> {
    /// One that cannot be read stays as it was: it must not stop the others.
    fn whole(self) -> Option<T> {
        match self {
            Self::Whole(whole) => Some(whole),
            Self::Broken { metadata, error } => {
                let Metadata { namespace, name, .. } = *metadata;
                warn!(namespace, name, error, "object cannot be read, passing over it");
                None
            }
        }
    }
}

/// As kube-proxy has it: headless Services have no VIP.
const WITH_CLUSTER_IP: &str = "kubernetes.io/service-name,!service.kubernetes.io/headless";

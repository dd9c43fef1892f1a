//! The Leases of Services as an API server keeps them, and how many of them are asked for at once.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::timeout;
use vipcast_proto::election::{Answer, Record, Write};

use crate::clock;
use crate::election::Store;
use crate::kube::access::Connection;
use crate::kube::failure::Failure;
use crate::kube::lease::{
    Holder, LeaseName, LeaseStore, MARK, Observed, Outcome, delete_lease, silence_lease,
};
use crate::services::LEASE_OF;

/// Where Leases are.
pub trait Leases: Send + 'static {
    /// What one election reads and writes.
    type Store: Store + 'static;

    /// That of this Lease, with what the watch sees of it, and what is to be written beside the holder.
    fn store(&self, name: &LeaseName, channels: Channels) -> Self::Store;

    /// Removes a Lease if it still has this version.
    fn remove(
        &self,
        name: &LeaseName,
        version: String,
    ) -> impl Future<Output = Result<(), Failure>> + Send + 'static;

    /// Takes out of a Lease, if it still is just this, which addresses its holder said are its own.
    fn silence(&self, lease: Arc<Lease>) -> impl Future<Output = Result<(), Failure>> + Send + 'static;
}

/// Between a driver and the store of one Lease.
#[derive(Debug)]
pub struct Channels {
    /// What the watch saw.
    pub observed: watch::Receiver<Option<Observed>>,
    /// Which addresses the holder says are its own.
    pub claim: watch::Receiver<Arc<str>>,
    /// Whether the Lease may be removed with its Services: then it is marked where it is created.
    pub marked: bool,
}

/// Those of a cluster.
#[derive(Debug)]
pub struct KubeLeases {
    /// Who holds, and for how long.
    pub holder: Holder,
    /// The namespace of the Lease of all Services, by which ours are known.
    pub namespace: String,
    /// The newest connection to an API server.
    pub connections: watch::Receiver<Option<Connection>>,
    /// Where the API servers of all nodes are.
    pub servers: watch::Receiver<BTreeSet<SocketAddr>>,
}

impl Leases for KubeLeases {
    type Store = LeaseStore;

    fn store(&self, name: &LeaseName, channels: Channels) -> LeaseStore {
        let Channels { observed, claim, marked } = channels;
        let mark = marked.then(|| (MARK.to_owned(), self.namespace.clone()));
        let (holder, connections) = (self.holder.clone(), self.connections.clone());
        let store = LeaseStore::new(name.clone(), holder, [].into(), connections, observed)
            .with_others(self.servers.clone())
            .claiming(claim, mark.into_iter().collect());
        if marked && name.name.starts_with(LEASE_OF) { store.adopting() } else { store }
    }

    fn remove(
        &self,
        name: &LeaseName,
        version: String,
    ) -> impl Future<Output = Result<(), Failure>> + Send + 'static {
        let (connection, name) = (self.connections.borrow().clone(), name.clone());
        async move {
            let connection = connection.ok_or(Failure::NoServer)?;
            delete_lease(&connection, &name, version, REMOVAL).await
        }
    }

    fn silence(&self, lease: Arc<Lease>) -> impl Future<Output = Result<(), Failure>> + Send + 'static {
        let connection = self.connections.borrow().clone();
        async move { silence_lease(&connection.ok_or(Failure::NoServer)?, &lease, REMOVAL).await }
    }
}

/// A store whose last write is known to others, and which waits for one of few places.
#[derive(Debug)]
pub(super) struct Desk<S> {
    pub(super) store: S,
    pub(super) places: Arc<Semaphore>,
    /// The newest write; `None` while one is under way, and where nobody knows what became of it.
    pub(super) written: watch::Sender<Option<Record>>,
}

impl<S: Store> Store for Desk<S> {
    async fn read(&mut self, limit: Duration) -> Outcome {
        let begin = clock::now();
        match place(&self.places, limit).await {
            Some(_place) => self.store.read(left(limit, begin)).await,
            None => crowded(limit),
        }
    }

    async fn write(&mut self, write: &Write, limit: Duration) -> Outcome {
        let begin = clock::now();
        let Some(_place) = place(&self.places, limit).await else { return crowded(limit) };
        // Before the store looks at what it is to say: whoever sees the last write can tell that no other follows it yet.
        self.written.send_replace(None);
        let outcome = self.store.write(write, left(limit, begin)).await;
        if let Answer::Written(record) = &outcome.answer {
            self.written.send_replace(Some(record.clone()));
        }
        outcome
    }
}

async fn place(places: &Semaphore, limit: Duration) -> Option<SemaphorePermit<'_>> {
    timeout(limit, places.acquire()).await.ok()?.ok()
}

fn left(limit: Duration, begin: std::time::Instant) -> Duration {
    limit.saturating_sub(clock::now().saturating_duration_since(begin))
}

fn crowded(latency: Duration) -> Outcome {
    let failure = Failure::NotSent("too many requests are under way".to_owned());
    Outcome { answer: Answer::Refused, failure: Some(failure), latency }
}

const REMOVAL: Duration = Duration::from_secs(5);

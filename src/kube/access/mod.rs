//! How this node reaches an API server: finds credentials, tries them, follows them, and never gives up.

mod beside;
mod choice;
mod condition;
mod credentials;
mod endpoint;
mod seek;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kube::Client;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

pub use choice::{Choice, Fact, File, Reason, Source, Standing, choose};
pub use condition::{Condition, log};
pub use credentials::InCluster;
pub use endpoint::{Endpoint, EndpointSettings, Why, endpoint};

use self::beside::Beside;
use self::seek::{Found, seek, test};
use super::lease::LeaseName;
use crate::clock;

/// What access depends on.
#[derive(Clone, Debug)]
pub struct AccessSettings {
    /// What the well-known paths are relative to: `/`, except in tests.
    pub root: PathBuf,
    /// `k8s_config_file`, where it is not the default one. Nothing else is looked at then.
    pub configured: Option<PathBuf>,
    /// The files of `$KUBECONFIG`, in its order. They are alternatives, not merged.
    pub environment: Vec<PathBuf>,
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// The API server that Kubernetes tells its pods.
    pub in_cluster: Option<InCluster>,
    /// Which address is dialled.
    pub endpoint: EndpointSettings,
    /// What is read to see that credentials work.
    pub touchstone: Touchstone,
    /// For TCP to an API server.
    pub connect_timeout: Duration,
    /// For the answer to a test.
    pub read_timeout: Duration,
}

/// Something that the daemon must be permitted to read anyway.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Touchstone {
    /// The Lease of the control-plane VIP, which need not exist.
    Lease(LeaseName),
    /// Nodes: of whoever announces Services alone, it depends on the settings which Leases it may read.
    Nodes,
}

/// A server that has accepted our credentials, and how to ask it.
#[derive(Clone)]
pub struct Connection {
    /// For the Lease and other requests: no retries; every request needs a time-out.
    pub lease: Client,
    /// For watches.
    pub watch: Client,
    /// For the API server of this node, with the same credentials, whichever server the others ask.
    pub local: Client,
    /// Where the credentials come from.
    pub source: String,
    /// What is dialled.
    pub endpoint: String,
    /// Grows by one with every new set of clients.
    pub generation: u64,
    beside: Option<Arc<Beside>>,
    trouble: Arc<Trouble>,
}

/// What users of a [`Connection`] have to say about it.
#[derive(Debug, Default)]
struct Trouble {
    told: Notify,
    /// Since somebody said so, no test has succeeded.
    lasting: AtomicBool,
}

impl Connection {
    /// A connection that nobody tests or renews, for whoever has clients already. Its server counts as the
    /// local one.
    #[must_use]
    pub fn of(lease: Client, watch: Client, endpoint: &str, generation: u64) -> Self {
        let (source, endpoint, local) = ("given".to_owned(), endpoint.to_owned(), lease.clone());
        Self { lease, watch, local, source, endpoint, generation, beside: None, trouble: Arc::default() }
    }

    /// One whose credentials are good for other servers too, except at `vips`.
    #[cfg(test)]
    pub(crate) fn of_many(config: kube::Config, vips: std::collections::BTreeSet<std::net::IpAddr>) -> Self {
        let client = super::client::build(&config, RETRY_MAX).unwrap();
        let beside = Some(Arc::new(Beside::new(config, RETRY_MAX, vips)));
        Self { beside, ..Self::of(client.clone(), client, "many", 1) }
    }

    /// Something is wrong with it: it is tested at once, and replaced where the credentials are to blame.
    pub fn suspect(&self) {
        self.trouble.lasting.store(true, Ordering::Relaxed);
        self.trouble.told.notify_one();
    }

    /// As after a test that succeeded.
    #[cfg(test)]
    pub(crate) fn trust(&self) {
        self.trouble.lasting.store(false, Ordering::Relaxed);
    }

    /// Somebody suspected it, and no test has shown since that it works.
    #[must_use]
    pub fn is_suspected(&self) -> bool {
        self.trouble.lasting.load(Ordering::Relaxed)
    }

    /// Whether the API servers of other nodes can be asked as well.
    #[must_use]
    pub fn is_one_of_many(&self) -> bool {
        self.beside.is_some()
    }

    /// A client for the API server of another node, with the same credentials; `None` where they are not good for it, or
    /// the address is one that we are to provide. No retries; every request needs a time-out.
    #[must_use]
    pub fn beside(&self, server: SocketAddr) -> Option<Client> {
        self.beside.as_ref()?.client(server)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, endpoint, generation, .. } = self;
        write!(f, "Connection({endpoint} with {source}, generation {generation})")
    }
}

/// Publishes a [`Connection`] as soon as there is one and whenever it changes, and tells `on_change` each
/// change of condition once ([`log`] writes it as a line). Never returns. The newest connection stays
/// published while its server is away.
pub async fn run(
    settings: AccessSettings,
    out: watch::Sender<Option<Connection>>,
    mut on_change: impl FnMut(&Condition) + Send,
) {
    let trouble = Arc::<Trouble>::default();
    let mut current: Option<Found> = None;
    let mut generation = 0;
    let mut told = None;
    let mut cause = Cause::Trouble;
    let mut retry = RETRY_MIN;
    loop {
        let failed = match step(&settings, current.as_ref(), cause).await {
            Ok(Some(found)) => {
                generation += 1;
                publish(&out, connection(&found, generation, &trouble));
                current = Some(found);
                None
            }
            Ok(None) => None,
            Err(condition) => Some(condition),
        };
        let condition = failed.as_ref().or_else(|| current.as_ref().map(|found| &found.condition));
        if let Some(condition) =
            condition.filter(|now| told.as_ref().is_none_or(|told| now.is_news_after(told)))
        {
            on_change(condition);
            told = Some(condition.clone());
        }
        if cause == Cause::Trouble {
            trouble.lasting.store(failed.is_some(), Ordering::Relaxed);
        }
        if failed.is_some() {
            clock::pause(retry).await;
            (cause, retry) = (Cause::Trouble, (retry * 2).min(RETRY_MAX));
        } else {
            let poll = if current.as_ref().is_some_and(stands_in) { STAND_IN_POLL } else { POLL };
            // Whoever complains in every round must not make us ask in every round.
            if cause == Cause::Trouble {
                clock::pause(RETRY_MIN).await;
            }
            let woken = timeout(poll, trouble.told.notified()).await;
            (cause, retry) = (if woken.is_ok() { Cause::Trouble } else { Cause::Poll }, RETRY_MIN);
        }
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Cause {
    /// Time has passed.
    Poll,
    /// Something does not work, or nothing does yet.
    Trouble,
}

/// New clients where they are needed, `None` where those that we have are good.
async fn step(
    settings: &AccessSettings,
    current: Option<&Found>,
    cause: Cause,
) -> Result<Option<Found>, Condition> {
    let Some(current) = current else {
        return seek(settings).await.map(Some);
    };
    if current.fingerprint.changed() {
        return seek(settings).await.map(Some);
    }
    match cause {
        Cause::Poll if stands_in(current) => {
            Ok(seek(settings).await.ok().filter(|found| found.source != current.source))
        }
        Cause::Poll => Ok(None),
        Cause::Trouble => match test(settings, &current.lease).await {
            Ok(()) => Ok(None),
            Err(failure) if matches!(failure.code(), Some(401 | 403)) => seek(settings).await.map(Some),
            Err(failure) => Err(Condition::failed(&current.source, &current.endpoint.url, &failure)),
        },
    }
}

fn stands_in(found: &Found) -> bool {
    matches!(found.source, Source::SuperAdmin(_))
}

fn connection(found: &Found, generation: u64, trouble: &Arc<Trouble>) -> Connection {
    Connection {
        lease: found.lease.clone(),
        watch: found.watch.clone(),
        local: found.local.clone(),
        source: found.source.to_string(),
        endpoint: found.endpoint.url.clone(),
        generation,
        beside: found.beside.clone(),
        trouble: Arc::clone(trouble),
    }
}

fn publish(out: &watch::Sender<Option<Connection>>, connection: Connection) {
    if connection.generation > 1 {
        tracing::info!(source = connection.source, generation = connection.generation, "API clients renewed");
    }
    out.send_replace(Some(connection));
}

const POLL: Duration = Duration::from_secs(5);
/// How often the ordinary file is tried while another stands in for it.
const STAND_IN_POLL: Duration = Duration::from_secs(3);
const RETRY_MIN: Duration = Duration::from_millis(100);
/// An API server that appears has to be noticed within a second.
const RETRY_MAX: Duration = Duration::from_millis(500);

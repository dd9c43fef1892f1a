//! A Kubernetes API server in memory: what vipcast uses of the real one, with faults on demand.
//!
//! It keeps the promises that an elector and a reconciler lean on (conditional writes, one version for all changes, watches that
//! miss nothing, 410 when they would); `tests/conformance.rs` holds it to them beside a real kube-apiserver. What it does not do:
//! authentication, schemas, defaults, list-merging patches, namespaces that must exist.

mod body;
mod discovery;
mod failure;
mod faults;
mod http;
mod meta;
mod params;
mod resources;
mod selector;
mod store;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch as latest;
use tracing::info;

use self::failure::Failure;
use self::faults::Requests;
pub use self::faults::{Count, Faults, Mode};
use self::resources::{Part, Target};
use self::store::{Store, Written};

/// An API server with nothing in it.
#[derive(Debug, Default)]
pub struct Server(Arc<Shared>);

impl Server {
    /// A server that behaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a test or the demo controls it with.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle(self.0.clone())
    }
}

/// Serves plain HTTP until the listener fails.
pub async fn serve(listener: TcpListener, server: Server) -> io::Result<()> {
    let router = Router::new().fallback(http::answer).with_state(server.0);
    axum::serve(listener, router).await
}

/// Serves on `address`: the body of a process of its own. Controlled through `/demo/faults` and `/demo/compact`.
pub async fn run(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    info!(address = %listener.local_addr()?, "embedded Kubernetes API serving");
    serve(listener, Server::new()).await
}

/// The server's controls. Clones control the same server.
#[derive(Debug, Clone)]
pub struct Handle(Arc<Shared>);

impl Handle {
    /// Misbehave like this from now on; `Faults::default()` ends it.
    pub fn set_faults(&self, faults: Faults) {
        self.0.faults.send_replace(faults);
    }

    /// Misbehave like this from now on, and leave latency and readiness as they are.
    pub fn set_mode(&self, mode: Mode) {
        self.0.faults.send_modify(|faults| faults.mode = mode);
    }

    /// Forgets the history: watches and continued lists from before now get 410.
    pub fn compact(&self) {
        self.0.compact();
    }

    /// Ends every watch, as a server does that restarts.
    pub fn close_watches(&self) {
        self.0.interruptions.send_modify(|count| *count += 1);
    }

    /// The requests so far by verb, resource and user agent.
    #[must_use]
    pub fn requests(&self) -> Vec<Count> {
        self.0.requests().all()
    }

    /// The resource version of the newest write.
    #[must_use]
    pub fn resource_version(&self) -> u64 {
        self.0.store().revision()
    }
}

/// What all connections share. The locks are held for one operation on memory and never across an await.
#[derive(Debug)]
struct Shared {
    store: Mutex<Store>,
    requests: Mutex<Requests>,
    revision: latest::Sender<u64>,
    faults: latest::Sender<Faults>,
    interruptions: latest::Sender<u64>,
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, verb: &'static str, target: &Target, user_agent: &str) {
        let resource = match target.part {
            Part::Whole => target.resource.plural.to_owned(),
            Part::Status => format!("{}/status", target.resource.plural),
        };
        self.requests().count(verb, resource, user_agent);
    }

    /// Writes, and wakes the watches.
    fn write(
        &self,
        write: impl FnOnce(&mut Store) -> Result<Written, Failure>,
    ) -> Result<Written, Failure> {
        let mut store = self.store();
        let written = write(&mut store)?;
        self.revision.send_replace(store.revision());
        Ok(written)
    }

    fn compact(&self) {
        self.store().compact();
    }
}

impl Default for Shared {
    fn default() -> Self {
        let store = Store::new();
        Self {
            revision: latest::Sender::new(store.revision()),
            store: Mutex::new(store),
            requests: Mutex::default(),
            faults: latest::Sender::new(Faults::default()),
            interruptions: latest::Sender::new(0),
        }
    }
}

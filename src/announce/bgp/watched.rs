//! BFD beside one session: begun where the peer is, also where that has to be found first.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use vipcast_proto::bfd::session::{Status, Verdict};

use super::settings::{At, PeerSettings};
use crate::bfd;
use crate::clock;
use crate::net::{interface_index, routers};

/// Watches a peer at an address with BFD, where that is wanted.
pub type Watch = Arc<dyn Fn(&str, &PeerSettings, IpAddr) -> Option<bfd::Session> + Send + Sync>;

/// What watches one peer, if anything.
pub(super) struct Watched {
    watch: Watch,
    name: String,
    settings: Arc<PeerSettings>,
    at: Option<IpAddr>,
    session: Option<bfd::Session>,
    /// So many were told.
    failures: u64,
    /// Looks for the router on a link, while that does not answer.
    seeking: Option<Pin<Box<dyn Future<Output = IpAddr> + Send>>>,
}

impl Watched {
    /// Another configuration of BFD or of the peer's place is another one of these.
    pub(super) fn new(watch: Watch, name: &str, settings: &Arc<PeerSettings>) -> Self {
        let mut watched = Self {
            watch,
            name: name.to_owned(),
            settings: settings.clone(),
            at: None,
            session: None,
            failures: 0,
            seeking: None,
        };
        match settings.reach.address() {
            Some(address) => watched.begin(address.ip()),
            None => watched.seek(Duration::ZERO),
        }
        watched
    }

    /// What is known now.
    pub(super) fn status(&self) -> Option<Status> {
        self.session.as_ref().map(|session| session.report().status)
    }

    /// The next news, if there ever are any. Cancelling it loses nothing.
    pub(super) async fn changed(&mut self) -> Status {
        loop {
            tokio::select! {
                biased;
                status = heard(self.session.as_mut()) => {
                    match status.verdict {
                        Verdict::Up => self.seeking = None,
                        Verdict::Failed | Verdict::Unknown | Verdict::AdminDown => self.seek(AGAIN),
                    }
                    return status;
                }
                address = sought(self.seeking.as_mut()) => {
                    self.seeking = None;
                    self.begin(address);
                    self.seek(AGAIN);
                }
            }
        }
    }

    /// Whether the path has failed since the last time, also where it is back already.
    pub(super) fn has_failed(&mut self, status: &Status) -> bool {
        std::mem::replace(&mut self.failures, status.failures) != status.failures
    }

    fn begin(&mut self, address: IpAddr) {
        if self.at != Some(address) {
            // Two sessions on a link that nobody answers would only be in each other's way.
            self.session = None;
            self.session = (self.watch)(&self.name, &self.settings, address);
            (self.at, self.failures) = (Some(address), 0);
        }
    }

    /// A router that does not answer may have been replaced by another one.
    fn seek(&mut self, wait: Duration) {
        if let (At::Unnumbered(interface), Some(_), None) =
            (&self.settings.reach.at, self.settings.bfd, &self.seeking)
        {
            self.seeking = Some(Box::pin(find(interface.clone(), wait)));
        }
    }
}

/// News of BFD; none where it has ended, which says nothing of the path.
async fn heard(session: Option<&mut bfd::Session>) -> Status {
    if let Some(session) = session
        && let Ok(report) = session.changed().await
    {
        return report.status;
    }
    std::future::pending().await
}

async fn sought(seeking: Option<&mut Pin<Box<dyn Future<Output = IpAddr> + Send>>>) -> IpAddr {
    match seeking {
        Some(seeking) => seeking.await,
        None => std::future::pending().await,
    }
}

async fn find(interface: String, wait: Duration) -> IpAddr {
    clock::pause(wait).await;
    loop {
        // The interface may be made anew meanwhile, and the question may have been lost.
        if let Some(index) = interface_index(&interface)
            && let Ok(Ok(router)) = timeout(PATIENCE, routers::find(&interface, index)).await
        {
            return router.into();
        }
        clock::pause(PAUSE).await;
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("at", &self.at)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// Between two looks for the router of a link where BFD hears nobody.
const AGAIN: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(1);

//! BFD for peers: its thread begins with the first peer that is to be watched, whenever that is.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing::warn;
use vipcast_proto::bfd::session::Config as BfdTimers;
use vipcast_proto::bfd::types::{DetectMult, Interval};

use crate::announce::bgp::settings::{BfdSettings, PeerSettings};
use crate::bfd;

/// Watches peers. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Watcher {
    stats: bfd::Stats,
    thread: Arc<OnceLock<bfd::Handle>>,
}

impl Watcher {
    pub(super) fn new(stats: bfd::Stats) -> Self {
        Self { stats, thread: Arc::default() }
    }

    /// A session with `remote`, where the peer at that address is to be watched.
    pub(super) fn watch(&self, name: &str, peer: &PeerSettings, remote: IpAddr) -> Option<bfd::Session> {
        let config = session(peer, remote)?;
        match self.thread()?.add(config) {
            Ok(session) => Some(session),
            Err(error) => {
                warn!(peer = name, %error, "peer is not watched with BFD");
                None
            }
        }
    }

    /// Waits until the other sides know that this is the end and no failure, or for `at_most`.
    pub(super) async fn shutdown(self, at_most: Duration) {
        if let Some(thread) = self.thread.get() {
            thread.clone().shutdown(at_most).await;
        }
    }

    /// Where it could not be started, the next peer tries again.
    fn thread(&self) -> Option<&bfd::Handle> {
        if self.thread.get().is_none() {
            match bfd::start(self.stats.clone()) {
                // Nobody else starts one: there is one task that asks.
                Ok(handle) => drop(self.thread.set(handle)),
                Err(error) => warn!(%error, "BFD cannot be started"),
            }
        }
        self.thread.get()
    }
}

fn session(peer: &PeerSettings, remote: IpAddr) -> Option<bfd::SessionConfig> {
    let settings = peer.bfd?;
    Some(bfd::SessionConfig {
        remote,
        local: peer.reach.source,
        interface: peer.reach.link().map(ToOwned::to_owned),
        hops: if settings.multihop { bfd::Hops::Multiple { minimum_ttl: 1 } } else { bfd::Hops::Single },
        timers: timers(settings)?,
    })
}

/// Always some: the configuration permits nothing else.
fn timers(settings: BfdSettings) -> Option<BfdTimers> {
    Some(BfdTimers {
        desired_min_tx: Interval::from_duration(settings.transmit)?,
        required_min_rx: Interval::from_duration(settings.receive)?,
        detect_mult: DetectMult::new(settings.multiplier.get())?,
    })
}

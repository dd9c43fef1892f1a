//! Leases of Services that have gone: removed by whoever held them last, or by anybody when nobody has moved them for long enough.
//! Every removal is of one version, so that whoever takes a Lease in that moment keeps it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use tokio::task::{JoinError, JoinSet};
use tracing::{debug, info};

use super::{Driver, Leases};
use crate::clock;
use crate::kube::lease::LeaseName;

/// Removals under way, and when to look for more.
#[derive(Debug)]
pub(super) struct Leavings {
    lease_duration: Duration,
    removals: JoinSet<()>,
    look_at: Instant,
}

impl Leavings {
    pub(super) fn new(lease_duration: Duration) -> Self {
        let mut leavings = Self { lease_duration, removals: JoinSet::new(), look_at: clock::now() };
        leavings.look_later();
        leavings
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        Some(self.look_at)
    }

    /// One that is over.
    pub(super) async fn next(&mut self) -> Option<Result<(), JoinError>> {
        self.removals.join_next().await
    }

    /// Not when all others do: the first to look leaves nothing to them.
    fn look_later(&mut self) {
        self.look_at = clock::now() + self.lease_duration.mul_f64(0.5 + fastrand::f64());
    }
}

impl<L: Leases> Driver<L> {
    /// A Lease that this node has given back, as nobody wants it any more.
    pub(super) fn remove_own(&mut self, name: &LeaseName, version: String) {
        if self.seen.get(name).is_some_and(|seen| seen.marked) {
            self.remove(name.clone(), version, "given back");
        }
    }

    /// Those that were made for Services, and others that still say which addresses they are about: where nobody wants or
    /// holds them.
    pub(super) fn sweep(&mut self, now: Instant) {
        if now < self.leavings.look_at {
            return;
        }
        self.leavings.look_later();
        // Before everything is known, nothing is wanted.
        if !self.wanted.is_open() || self.stopping {
            return;
        }
        let own = self.leavings.lease_duration;
        let over = |(name, seen): (&LeaseName, &super::Seen)| {
            let wait = own.max(seen.record.lease_duration.unwrap_or(own));
            let unwanted = !self.units.contains_key(name) && !self.housed.contains_key(name);
            let says = seen.marked || !seen.addresses.is_empty();
            let over = says && unwanted && seen.still_since + wait <= now;
            over.then(|| (name.clone(), seen.clone()))
        };
        let over: Vec<_> = self.seen.iter().filter_map(over).take(AT_ONCE).collect();
        for (name, seen) in over {
            if seen.marked {
                self.remove(name, seen.record.version, "left behind");
            } else {
                self.silence(name, seen.lease);
            }
        }
    }

    /// What its holder said stands for ever where the Lease is not ours to remove, and keeps others from what they have now.
    fn silence(&mut self, name: LeaseName, lease: Arc<Lease>) {
        let silence = self.bench.leases.silence(lease);
        self.leavings.removals.spawn(async move {
            let lease = name.to_string();
            match silence.await {
                Ok(()) => info!(lease, "addresses taken out of a lease that nobody renews"),
                Err(failure) => debug!(lease, error = %failure, "addresses not taken out of a lease"),
            }
        });
    }

    fn remove(&mut self, name: LeaseName, version: String, why: &'static str) {
        let removal = self.bench.leases.remove(&name, version);
        self.leavings.removals.spawn(async move {
            let lease = name.to_string();
            match removal.await {
                Ok(()) => info!(lease, why, "lease removed"),
                // Whoever is left with one that is marked finds it later.
                Err(failure) => debug!(lease, why, error = %failure, "lease not removed"),
            }
        });
    }
}

/// Removals at each look.
const AT_ONCE: usize = 32;

//! The Leases as the watch shows them, in the order of all writes.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::api::coordination::v1::Lease;
use vipcast_proto::election::Record;

use super::{Driver, Leases};
use crate::clock;
use crate::kube::lease::{LeaseName, Observed, Scope, Sighting, addresses, is_marked, record};

/// A Lease, and how long it has looked like this.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) lease: Arc<Lease>,
    pub(super) record: Record,
    /// What its holder says is its own.
    pub(super) addresses: BTreeSet<IpAddr>,
    /// It was made for a Service, and may go with it.
    pub(super) marked: bool,
    pub(super) still_since: Instant,
}

impl Seen {
    /// Whether it is what this write made of it.
    pub(super) fn is(&self, written: &Record) -> bool {
        self.record.holder == written.holder && self.record.renewed == written.renewed
    }
}

impl<L: Leases> Driver<L> {
    pub(super) fn saw(&mut self, now: Instant, sighting: Sighting) {
        match sighting {
            Sighting::Listed { scope, leases } => self.listed(now, scope, leases),
            Sighting::Seen(lease) => self.see(now, lease),
            Sighting::Deleted(lease) => self.vanished(&LeaseName::of(&lease)),
        }
    }

    fn listed(&mut self, now: Instant, scope: Scope, leases: Vec<Lease>) {
        let there: BTreeSet<_> = leases.iter().map(LeaseName::of).collect();
        let gone = self.seen.keys().chain(self.units.keys());
        let gone: BTreeSet<_> =
            gone.filter(|name| scope.covers(name) && !there.contains(name)).cloned().collect();
        leases.into_iter().for_each(|lease| self.see(now, lease));
        gone.iter().for_each(|name| self.vanished(name));
        if !self.listed.contains(&scope) {
            self.listed.push(scope);
            self.touch_all();
        }
    }

    fn see(&mut self, now: Instant, lease: Lease) {
        let name = LeaseName::of(&lease);
        let (record, addresses) = (record(&lease), addresses(&lease));
        let changed = self.claims.see(&name, record.holder.as_deref(), addresses.clone());
        self.touch_homes(&changed);
        let before = self.seen.get(&name).filter(|seen| record.stands_still_since(&seen.record));
        let still_since = before.map_or(now, |seen| seen.still_since);
        let marked = is_marked(&lease, &self.settings.namespace);
        let lease = Arc::new(lease);
        if let Some(unit) = self.units.get(&name) {
            unit.observe(Observed::new(Some(Arc::clone(&lease))));
            self.touch(name.clone());
        }
        self.seen.insert(name, Seen { lease, record, addresses, marked, still_since });
    }

    fn vanished(&mut self, name: &LeaseName) {
        self.seen.remove(name);
        self.claims.deleted(clock::now(), name);
        if let Some(unit) = self.units.get(name) {
            unit.observe(Observed::new(None));
            self.touch(name.clone());
        }
    }

    /// Whether a Lease would be known if it were there.
    pub(super) fn knows(&self, name: &LeaseName) -> bool {
        self.listed.iter().any(|scope| scope.covers(name))
    }
}

//! Who may reach the addresses of Services: what is told to the guard, and what waits for it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use vipcast_proto::guard::{Demand, Others, Rules};
use vipcast_proto::service::{Security, Service};

use super::Services;

impl Services {
    /// Tells the guard what it should enforce, once everything is known and whenever something else decides about it.
    pub(super) fn guard(&mut self) {
        if !self.catalog.is_complete() || self.guarded == self.catalog.guarded() {
            return;
        }
        self.guarded = self.catalog.guarded();
        self.rules = Arc::new(self.wanted_rules());
        let rules = Some(Arc::clone(&self.rules));
        self.wires.rules.send_if_modified(|old| {
            let changed = *old != rules;
            *old = rules;
            changed
        });
    }

    /// What is enforced now may be announced now.
    pub(super) async fn filtered(&mut self) -> Option<()> {
        self.wires.guard.mark_unchanged();
        let guarded = self.rules.iter().map(|(address, _)| address);
        let waiting: BTreeSet<IpAddr> =
            guarded.filter(|address| self.is_filtered(*address) != self.able.contains(address)).collect();
        self.want(waiting).await
    }

    /// Whether an address may be announced as far as the guard is concerned: one that is new waits until it is filtered as
    /// it should be.
    pub(super) fn is_filtered(&self, address: IpAddr) -> bool {
        let state = self.wires.guard.borrow();
        if self.able.contains(&address) {
            state.may_stay(&self.rules, address)
        } else {
            state.may_announce(&self.rules, address)
        }
    }

    /// Only what shares an address with something that is restricted matters.
    fn wanted_rules(&self) -> Rules {
        let ours = || self.catalog.services().filter(|service| service.ownership.is_ours());
        let others = |service: &Service| match service.security {
            Security::Respected if self.settings.security => Others::Drop,
            Security::Respected | Security::Ignored => Others::Pass,
        };
        let restricts =
            |service: &&Service| others(service) == Others::Drop || !service.source_ranges.is_empty();
        let restricted: BTreeSet<IpAddr> =
            ours().filter(restricts).flat_map(|service| service.view.ingress.iter().copied()).collect();
        let addresses = ours().flat_map(|service| service.view.ingress.iter().map(move |&at| (service, at)));
        let demands = addresses.filter(|(_, address)| restricted.contains(address));
        Rules::of(demands.map(|(service, address)| Demand {
            address,
            ports: &service.view.ports,
            source_ranges: &service.source_ranges,
            others: others(service),
        }))
    }
}

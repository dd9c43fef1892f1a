//! Who may reach the addresses of Services: what is told to the guard, and what waits for it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use vipcast_proto::guard::{Demand, Others, Rule};
use vipcast_proto::service::{Security, Service};

use super::Services;

impl Services {
    /// Tells the guard what it should enforce, once everything is known and whenever that is something else for one of these
    /// addresses.
    pub(super) fn guard(&mut self, addresses: &BTreeSet<IpAddr>) {
        for &address in addresses {
            let rule = self.wanted_rule(address);
            if rule.as_ref() != self.rules.rule(address) {
                Arc::make_mut(&mut self.rules).set(address, rule);
            }
        }
        if !self.catalog.is_complete() {
            return;
        }
        self.wires.rules.send_if_modified(|told| {
            let changed = !told.as_ref().is_some_and(|told| Arc::ptr_eq(told, &self.rules));
            *told = Some(Arc::clone(&self.rules));
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

    /// An address without restrictions has no rule.
    fn wanted_rule(&self, address: IpAddr) -> Option<Rule> {
        let others = |service: &Service| match service.security {
            Security::Respected if self.settings.security => Others::Drop,
            Security::Respected | Security::Ignored => Others::Pass,
        };
        let owners = self.catalog.plan(&address).into_iter().flat_map(|plan| &plan.owners);
        let owners = owners.filter_map(|owner| self.catalog.service(&owner.key));
        Rule::of(owners.map(|service| Demand {
            address,
            ports: &service.view.ports,
            source_ranges: &service.source_ranges,
            others: others(service),
        }))
    }
}

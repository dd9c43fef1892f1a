//! Who may reach the addresses of Services: what is told to the guard, and what waits for it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use vipcast_proto::guard::{Demand, Others, Rule};
use vipcast_proto::service::{Security, Service};

use super::Services;

impl Services {
    /// Tells the guard what it should enforce, once everything is known and whenever that is something else for one of these
    /// addresses. Returns those that it makes a difference to whether the guard has done it or not.
    pub(super) fn guard(&mut self, addresses: &BTreeSet<IpAddr>) -> Vec<IpAddr> {
        for &address in addresses {
            let rule = self.wanted_rule(address);
            if rule.as_ref() != self.rules.rule(address) {
                Arc::make_mut(&mut self.rules).set(address, rule);
            }
        }
        if !self.catalog.is_complete() {
            return vec![];
        }
        self.wires.rules.send_if_modified(|told| {
            let changed = !told.as_ref().is_some_and(|told| Arc::ptr_eq(told, &self.rules));
            *told = Some(Arc::clone(&self.rules));
            changed
        });
        addresses
            .iter()
            .copied()
            .filter(|&address| self.is_freed(address) || self.is_bared(address))
            .collect()
    }

    /// What kept it back does not any more.
    fn is_freed(&self, address: IpAddr) -> bool {
        !self.able.contains(&address) && self.is_filtered(address)
    }

    /// It is announced, and the guard, which is in trouble, will not filter it in a moment as it has to be from now on.
    fn is_bared(&self, address: IpAddr) -> bool {
        let troubled = self.wires.guard.borrow().trouble.is_some();
        troubled && self.able.contains(&address) && !self.is_filtered(address)
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

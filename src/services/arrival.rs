//! Addresses that are new to this node wait until it carries their packets on.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use vipcast_proto::ipam::{Family, Port};
use vipcast_proto::placement::{Facts, MemberId};
use vipcast_proto::service::Part;

use super::Services;

impl Services {
    /// Says what is to wait, before the placement hears that it is wanted. What this node might have announced all the
    /// time has its rules.
    pub(super) fn await_data_path(&mut self, wanted: &BTreeMap<IpAddr, Option<Facts>>) {
        let me = MemberId::of(&self.settings.node);
        let (mut come, mut gone) = (Vec::new(), Vec::new());
        for (&address, facts) in wanted {
            let is_open = |facts: &Facts| facts.eligible.as_ref().is_none_or(|nodes| nodes.contains(&me));
            if !facts.as_ref().is_some_and(is_open) {
                self.open.remove(&address);
                gone.push(address);
            } else if self.open.insert(address) {
                come.push((address, self.ports(address)));
            }
        }
        // Without an endpoint there are no rules to wait for.
        come.retain(|(_, ports)| !ports.is_empty());
        self.wires.waiting.send_if_modified(|waiting| {
            let changed = !come.is_empty() || gone.iter().any(|address| waiting.contains_key(address));
            if changed {
                let waiting = Arc::make_mut(waiting);
                gone.iter().for_each(|address| drop(waiting.remove(address)));
                waiting.extend(come);
            }
            changed
        });
    }

    /// The ports of an address behind which there is an endpoint.
    fn ports(&self, address: IpAddr) -> Arc<[Port]> {
        let plan = self.catalog.plan(&address);
        let owners = plan.into_iter().flat_map(|plan| &plan.owners);
        let serving = owners.filter(|owner| match owner.part {
            Part::Everywhere | Part::ItsNodes => self.catalog.has_endpoint(&owner.key, Family::of(address)),
            Part::NoEndpoint | Part::Elsewhere => false,
        });
        let services = serving.filter_map(|owner| self.catalog.service(&owner.key));
        services.flat_map(|service| service.view.ports.iter().copied()).collect()
    }
}

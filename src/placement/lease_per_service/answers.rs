//! What is known of where addresses are: the holder of each Lease, as the election sees it.

use std::net::IpAddr;

use vipcast_proto::placement::MemberId;

use super::{Driver, Leases, key};
use crate::placement::{Ask, Whereabouts};

impl<L: Leases> Driver<L> {
    pub(super) fn answer(&self, ask: Ask) {
        match ask {
            Ask::Where(address, answer) => drop(answer.send(self.whereabouts(address))),
            Ask::Without { address, node, answer } => {
                let holder = self.holder(address);
                let stays = holder.filter(|holder| *holder != node);
                drop(answer.send(stays.or_else(|| self.next(address, &node))));
            }
            Ask::Owners(answer) => {
                let owners = self.wanted.addresses().map(|address| (address, self.holder(address)));
                drop(answer.send(owners.collect()));
            }
        }
    }

    fn whereabouts(&self, address: IpAddr) -> Whereabouts {
        let holder = self.holder(address);
        let rivals =
            self.homes.get(&address).map(|home| self.claims.rivals(home, address, &self.settings.node));
        let claimed_by: Vec<String> =
            rivals.into_iter().flatten().map(|(_, holder)| holder.to_owned()).collect();
        let held = self.outlet.published.contains_key(&address);
        Whereabouts {
            wanted: self.wanted.contains(address),
            held,
            letting_go: self.units.values().any(|unit| unit.tenure.parting().contains(&address)),
            chosen: holder.clone(),
            queued_behind: if held { vec![] } else { claimed_by.clone() },
            claimed_by,
            next: self.next(address, holder.as_deref().unwrap_or_default()),
            holder,
        }
    }

    /// Who holds the Lease of an address. Of what keeps others from it beside what the cluster says, this node knows nothing.
    fn holder(&self, address: IpAddr) -> Option<String> {
        let home = self.homes.get(&address).filter(|home| !self.foreign.contains(*home))?;
        let holder = self.units.get(home)?.ruling().holder?;
        let held = match holder == self.settings.node {
            true => self.outlet.published.contains_key(&address),
            false => self.wanted.may_be_served_by(address, &holder),
        };
        held.then_some(holder)
    }

    /// Who comes first where `without` does not take part.
    fn next(&self, address: IpAddr, without: &str) -> Option<String> {
        let (home, facts) = (self.homes.get(&address)?, self.wanted.facts(address)?);
        let able = |node: &MemberId| facts.eligible.as_ref().is_none_or(|eligible| eligible.contains(node));
        let others =
            || self.nodes.iter().filter(|node| node.as_ref() != without).map(|node| MemberId::of(node));
        let key = key(home);
        let first = |node: &MemberId| able(node) && facts.turn(key, *node, others()) == 0;
        let first = others().find(first)?;
        self.nodes.iter().find(|node| MemberId::of(node) == first).map(|node| node.to_string())
    }
}

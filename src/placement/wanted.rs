//! What is wanted, for drivers that need not know who else could serve it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use vipcast_proto::placement::{Facts, MemberId, Weight};

use super::Demand;

/// The newest of everything that was demanded.
#[derive(Debug)]
pub(super) struct Wanted {
    me: MemberId,
    facts: BTreeMap<IpAddr, Facts>,
    weight: Weight,
    /// The nodes that may announce anything.
    fit: BTreeSet<MemberId>,
}

impl Wanted {
    pub(super) fn new(node: &str) -> Self {
        Self { me: MemberId::of(node), facts: BTreeMap::new(), weight: 0, fit: BTreeSet::new() }
    }

    pub(super) fn take(&mut self, demand: Demand) {
        match demand {
            Demand::Weight(weight) => self.weight = weight,
            Demand::Nodes(nodes) => self.fit = nodes.iter().map(|node| MemberId::of(node)).collect(),
            Demand::Wanted(changes) => {
                for (address, facts) in changes {
                    match facts {
                        Some(facts) => self.facts.insert(address, facts),
                        None => self.facts.remove(&address),
                    };
                }
            }
        }
    }

    /// Whether this node should take anything at all.
    pub(super) fn is_open(&self) -> bool {
        self.weight > 0
    }

    /// Whether it can serve anything of what is wanted, or nothing is.
    pub(super) fn is_of_use(&self) -> bool {
        self.facts.is_empty() || self.served().next().is_some()
    }

    /// What this node can serve.
    pub(super) fn served(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.facts.iter().filter(|(_, facts)| self.can_serve(facts)).map(|(&address, _)| address)
    }

    /// Whether no node that is fit should rather serve it: because this one is cordoned, or others are preferred.
    pub(super) fn comes_first(&self, address: IpAddr) -> bool {
        self.facts(address).is_some_and(|Facts { preferred, .. }| {
            preferred.is_empty() || preferred.contains(&self.me) || preferred.is_disjoint(&self.fit)
        })
    }

    /// Whether it is wanted, and that node may serve it, as far as the cluster says.
    pub(super) fn may_be_served_by(&self, address: IpAddr, node: &str) -> bool {
        let eligible = self.facts.get(&address).map(|facts| facts.eligible.as_ref());
        eligible.is_some_and(|nodes| nodes.is_none_or(|nodes| nodes.contains(&MemberId::of(node))))
    }

    /// Whether it is wanted, and this node can serve it.
    pub(super) fn serves(&self, address: IpAddr) -> bool {
        self.facts.get(&address).is_some_and(|facts| self.can_serve(facts))
    }

    pub(super) fn facts(&self, address: IpAddr) -> Option<&Facts> {
        self.facts.get(&address)
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.facts.contains_key(&address)
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.facts.keys().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.facts.len()
    }

    fn can_serve(&self, facts: &Facts) -> bool {
        !facts.unable && facts.eligible.as_ref().is_none_or(|eligible| eligible.contains(&self.me))
    }
}

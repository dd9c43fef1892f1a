//! Why a Service has what it has: the decision, and every pool that was considered.

use std::net::IpAddr;

use super::allocator::Ipam;
use super::catalog::{Closed, PoolIndex};
use super::decision::{Asked, Assigned, Considered, Decision, Note, Refusal, Refused, Usage, Verdict, Why};
use super::entry::{Entry, Want};
use super::family::Family;
use super::pool::Pool;
use super::service::{Assignment, FamilyPolicy, ServiceKey, Standing};

impl Ipam {
    /// What a Service has and why, with the numbers as they are now; `None` where it is not known or not ours.
    #[must_use]
    pub fn decision(&self, key: &ServiceKey) -> Option<Decision> {
        let entry = self.entries.get(key).filter(|entry| entry.view.standing == Standing::Ours)?;
        Some(Decision {
            assigned: entry.held().map(|held| self.assigned(entry, held)).collect(),
            refused: self.refused(entry),
            considered: self.considered(entry),
            needs_both: entry.view.family_policy == FamilyPolicy::RequireDualStack,
        })
    }

    /// The addresses of a Service of ours: what its status should have.
    pub fn addresses(&self, key: &ServiceKey) -> impl Iterator<Item = IpAddr> + '_ {
        self.entries.get(key).into_iter().flat_map(Entry::addresses)
    }

    /// The same with the pools they come from: what is to be written down.
    pub fn assignments(&self, key: &ServiceKey) -> impl Iterator<Item = &Assignment> + '_ {
        self.entries.get(key).into_iter().flat_map(Entry::held)
    }

    /// The Services of ours that have an address, the oldest first.
    pub fn holders(&self, address: IpAddr) -> impl Iterator<Item = &ServiceKey> + '_ {
        let cell = self.space.cells.get(&address).into_iter();
        cell.flat_map(|cell| cell.ours.keys()).map(super::entry::Rank::key)
    }

    /// What stands in a Service's status, and it does not have: why it lost that, or never had it.
    #[must_use]
    pub fn displaced(&self, key: &ServiceKey) -> Vec<(IpAddr, Refusal)> {
        let Some(entry) = self.entries.get(key).filter(|it| it.view.standing == Standing::Ours) else {
            return vec![];
        };
        let lost =
            entry.view.ingress.iter().filter(|&&address| !entry.addresses().any(|held| held == address));
        lost.filter_map(|&address| Some((address, self.request_refusal(entry, address)?))).collect()
    }

    fn assigned(&self, entry: &Entry, held: &Assignment) -> Assigned {
        let pool = self.pool_of(held);
        let asked = entry.view.request.as_ref().filter(|request| request.addresses.contains(&held.address));
        Assigned {
            address: held.address,
            pool: held.pool.clone(),
            why: asked.map_or(Why::Given, |request| Why::Requested(request.source)),
            interface: pool.and_then(|pool| pool.interface.of(&entry.view.key.namespace)).cloned(),
            shared_with: self.holders(held.address).filter(|key| **key != entry.view.key).cloned().collect(),
            notes: notes(entry, held, pool),
        }
    }

    /// The pool that has an address: the one it came from, or the first that has it.
    fn pool_of(&self, held: &Assignment) -> Option<&Pool> {
        let pools =
            || self.space.catalog.at(held.address).iter().filter_map(|&it| self.space.catalog.pool(it));
        pools().find(|pool| Some(&pool.id.name) == held.pool.as_ref()).or_else(|| pools().next())
    }

    fn refused(&self, entry: &Entry) -> Vec<Refused> {
        let unusable = entry.view.request.iter().flat_map(|request| &request.unusable);
        let unusable = unusable
            .map(|it| Refused { asked: Asked::Text(it.text.clone()), why: Refusal::Unusable(it.reason) });
        let wants = entry.slots.iter().filter(|slot| slot.held.is_none()).map(|slot| slot.want);
        let unmet = wants.map(|want| Refused { asked: Asked::Want(want), why: self.refusal(entry, want) });
        unusable.chain(unmet).collect()
    }

    fn refusal(&self, entry: &Entry, want: Want) -> Refusal {
        if let Want::Lacking(_) = want {
            return Refusal::NoClusterIp;
        }
        if self.choose(entry, want).0.is_some() {
            return Refusal::OtherFamily;
        }
        if let Want::Address(address) = want {
            return self.request_refusal(entry, address).unwrap_or(Refusal::OtherFamily);
        }
        if let Some(name) = entry.view.pool.as_ref().filter(|name| self.space.catalog.named(name).is_none()) {
            return Refusal::UnknownPool(name.clone());
        }
        let pools = self.space.catalog.candidates(&entry.view);
        let usages: Vec<_> = pools.iter().flat_map(|&index| self.usages(index, want.families())).collect();
        if usages.is_empty() { Refusal::NoPool } else { Refusal::Exhausted(usages) }
    }

    fn considered(&self, entry: &Entry) -> Vec<Considered> {
        let pools = self.space.catalog.pools().iter().enumerate();
        pools
            .map(|(index, pool)| Considered {
                pool: pool.id.clone(),
                verdict: self.verdict(entry, index, pool),
            })
            .collect()
    }

    fn verdict(&self, entry: &Entry, index: PoolIndex, pool: &Pool) -> Verdict {
        let has = |held: &&Assignment| self.pool_of(held).is_some_and(|it| it.id == pool.id);
        let given: Vec<_> = entry.held().filter(has).map(|held| held.address).collect();
        if !given.is_empty() {
            return Verdict::Given(given);
        }
        self.closed(entry, index, pool).unwrap_or_else(|| self.openness(entry, index))
    }

    /// Why a pool is not for a Service, whatever is left in it.
    fn closed(&self, entry: &Entry, index: PoolIndex, pool: &Pool) -> Option<Verdict> {
        if pool.dhcp {
            return Some(Verdict::Dhcp);
        }
        if let Some(name) = &entry.view.pool {
            if self.space.catalog.named(name) != Some(index) {
                return Some(Verdict::NotAskedFor);
            }
            return pool.selection.exclusion(&entry.view).map(Verdict::NotForIt);
        }
        self.space.catalog.closed(index, &entry.view).map(|closed| match closed {
            Closed::Excluded(exclusion) => Verdict::NotForIt(exclusion),
            Closed::NotAutomatic => Verdict::OnlyOnRequest,
            Closed::NamespaceHasOwn => Verdict::NamespaceHasOwn,
        })
    }

    /// A Service that lacks nothing would be served with more of what it has.
    fn openness(&self, entry: &Entry, index: PoolIndex) -> Verdict {
        let wants = |lacking: bool| {
            let slots = entry.slots.iter().filter(move |slot| !lacking || slot.held.is_none());
            slots.flat_map(|slot| slot.want.families()).copied().collect::<Vec<_>>()
        };
        let unmet = wants(true);
        if unmet.is_empty() && entry.names_an_address() {
            return Verdict::AddressesAskedFor;
        }
        let all = wants(false);
        let usages: Vec<_> = self.usages(index, if unmet.is_empty() { &all } else { &unmet }).collect();
        let could = |family: Family| self.choose_from(entry, index, family).0.is_some();
        if usages.is_empty() {
            Verdict::OtherFamily
        } else if unmet.is_empty() || unmet.iter().any(|&family| could(family)) {
            Verdict::Open
        } else {
            Verdict::Exhausted(usages)
        }
    }

    /// How full a pool is in those of `families` that it has.
    pub(super) fn usages<'a>(
        &'a self,
        index: PoolIndex,
        families: &'a [Family],
    ) -> impl Iterator<Item = Usage> + 'a {
        let pool = self.space.catalog.pool(index).into_iter();
        pool.flat_map(move |pool| families.iter().map(move |&family| (pool, family)))
            .filter(|(pool, family)| pool.ranges.as_slice().iter().any(|range| range.family() == *family))
            .map(move |(pool, family)| {
                let (used, total) = self.space.catalog.usage(index, family);
                Usage { pool: pool.id.clone(), family, used, total }
            })
    }
}

fn notes(entry: &Entry, held: &Assignment, pool: Option<&Pool>) -> Vec<Note> {
    let Some(pool) = pool else {
        let left = held.pool.clone().map(Note::LeftItsPool);
        return [Note::OutsideEveryPool].into_iter().chain(left).collect();
    };
    let left = held.pool.clone().filter(|came_from| *came_from != pool.id.name).map(Note::LeftItsPool);
    let exclusion = pool.selection.exclusion(&entry.view);
    let not_for_it = exclusion.map(|exclusion| Note::PoolNotForIt { pool: pool.id.clone(), exclusion });
    let avoided = pool.avoids(held.address).then(|| Note::Avoided(pool.id.clone()));
    left.into_iter().chain(not_for_it).chain(avoided).collect()
}

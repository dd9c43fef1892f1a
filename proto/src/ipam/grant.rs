//! Second and third step: who asks for an address gets it, and the others get the first that can be had.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::allocator::{Ipam, Turn};
use super::catalog::PoolIndex;
use super::decision::Refusal;
use super::entry::{Entry, Rank, Want};
use super::family::Family;
use super::service::Assignment;
use super::space::shares;
use super::waiting::Wait;

impl Ipam {
    /// Tries all who may get something that they could not have before, the oldest first.
    pub(super) fn grant(&mut self, turn: &mut Turn) {
        let freed: BTreeSet<_> = turn.freed.iter().flat_map(|&address| self.queues(address)).collect();
        let (named, mut others) = self.concerned(turn, &freed);
        for rank in named {
            self.fill(&rank, turn);
        }
        let mut last = None;
        while let Some(rank) = self.next(&others, &freed, last.as_ref()) {
            others.remove(&rank);
            self.fill(&rank, turn);
            last = Some(rank);
        }
    }

    /// Those to be tried: who name an address, and who do not.
    fn concerned(
        &self,
        turn: &mut Turn,
        freed: &BTreeSet<(PoolIndex, Family)>,
    ) -> (BTreeSet<Rank>, BTreeSet<Rank>) {
        let at = turn.freed.iter().flat_map(|&address| self.waiting.for_address(address));
        let in_queues = freed.iter().flat_map(|&queue| self.waiting.others(queue));
        let mut all: BTreeSet<_> = at.chain(in_queues).cloned().collect();
        all.append(&mut turn.dirty);
        all.into_iter().partition(|rank| self.entries.get(rank.key()).is_some_and(Entry::names_an_address))
    }

    /// The oldest to be tried. Those who take any free address are asked only while there is one.
    fn next(
        &mut self,
        others: &BTreeSet<Rank>,
        freed: &BTreeSet<(PoolIndex, Family)>,
        last: Option<&Rank>,
    ) -> Option<Rank> {
        self.work += 1;
        let open = freed.iter().filter(|&&(index, family)| !self.space.catalog.is_full(index, family));
        let plain = open.filter_map(|&queue| self.waiting.next_plain(queue, last));
        plain.chain(others.first()).min().cloned()
    }

    /// Gives a Service what it lacks and can have; where it wants all or none, all.
    fn fill(&mut self, rank: &Rank, turn: &mut Turn) {
        let Some(entry) = self.entries.get(rank.key()) else { return };
        let mut looked = 1;
        let mut choices = vec![];
        for (slot, lacking) in entry.slots.iter().enumerate().filter(|(_, slot)| slot.held.is_none()) {
            let (choice, steps) = self.choose(entry, lacking.want);
            choices.push((slot, choice));
            looked += steps;
        }
        if entry.wants_all_or_none() && choices.iter().any(|(_, choice)| choice.is_none()) {
            choices.clear();
        }
        self.work += looked;
        for (slot, choice) in choices {
            if let Some(assignment) = choice {
                self.give(rank.key(), slot, assignment, turn);
            }
        }
        self.wait(rank);
    }

    /// What would meet a want now, and how much was looked at.
    pub(super) fn choose(&self, entry: &Entry, want: Want) -> (Option<Assignment>, u64) {
        if let Want::Address(address) = want {
            let granted = self.request_refusal(entry, address).is_none();
            return (granted.then_some(Assignment { address, pool: None }), 1);
        }
        let mut looked = 0;
        let pools = self.space.catalog.candidates(&entry.view);
        for &family in want.families() {
            for &index in &pools {
                let (found, steps) = self.choose_from(entry, index, family);
                looked += steps;
                if let Some(address) = found {
                    let pool = self.space.catalog.pool(index).map(|pool| pool.id.name.clone());
                    return (Some(Assignment { address, pool }), looked);
                }
            }
        }
        (None, looked)
    }

    /// An address of one pool: one to share if there is one, as both kube-vip and MetalLB prefer, or a free one.
    pub(super) fn choose_from(
        &self,
        entry: &Entry,
        index: PoolIndex,
        family: Family,
    ) -> (Option<IpAddr>, u64) {
        let space = &self.space;
        let Some(pool) = space.catalog.pool(index) else { return (None, 0) };
        let (room, looked) = if !entry.ports.is_empty() && shares(pool, entry, family) {
            space.rooms.find(entry, pool, family, &space.cells)
        } else {
            (None, 0)
        };
        if room.is_some() {
            return (room, looked);
        }
        let (free, steps) = space.catalog.free(index, family, &[&space.taken, &space.barred]);
        (free, looked + steps)
    }

    /// Why a Service cannot have the address that it asks for.
    pub(super) fn request_refusal(&self, entry: &Entry, address: IpAddr) -> Option<Refusal> {
        if let Some(reason) = self.space.forbidden.reason(address) {
            return Some(Refusal::Forbidden(reason.clone()));
        }
        let wanted = entry.view.pool.as_ref();
        if let Some(refusal) = wanted.and_then(|name| self.pool_refusal(name, address)) {
            return Some(refusal);
        }
        if !self.is_permitted(entry, address) {
            return Some(Refusal::OutsidePools);
        }
        self.taken_refusal(entry, address)
    }

    fn pool_refusal(&self, name: &str, address: IpAddr) -> Option<Refusal> {
        let pool = self.space.catalog.named(name).and_then(|index| self.space.catalog.pool(index));
        match pool {
            None => Some(Refusal::UnknownPool(name.to_owned())),
            Some(pool) if !pool.ranges.contains(address) => Some(Refusal::NotInPool(pool.id.clone())),
            Some(_) => None,
        }
    }

    fn taken_refusal(&self, entry: &Entry, address: IpAddr) -> Option<Refusal> {
        let cell = self.space.cells.get(&address)?;
        if let Some(by) = cell.foreign.first() {
            return Some(Refusal::TakenByForeign(by.clone()));
        }
        let conflict = cell.refusal(entry, self.space.is_open(entry, address))?;
        let rival = cell.rivals(entry).first().or_else(|| cell.ours.keys().next()).cloned()?;
        Some(Refusal::Taken { by: rival.key().clone(), conflict: cell.between(&rival, conflict) })
    }

    /// Notes what a Service still waits for.
    fn wait(&mut self, rank: &Rank) {
        let Some(entry) = self.entries.get(rank.key()) else { return };
        if entry.is_served() {
            return self.waiting.clear(rank);
        }
        let wait = self.waits_for(entry);
        self.waiting.set(rank, wait);
    }

    fn waits_for(&self, entry: &Entry) -> Wait {
        let pools = self.space.catalog.candidates(&entry.view);
        let mut wait = Wait::default();
        for want in entry.slots.iter().filter(|slot| slot.held.is_none()).map(|slot| slot.want) {
            if let Want::Address(address) = want {
                wait.addresses.push(address);
            }
            for &family in want.families() {
                wait.pools.extend(pools.iter().map(|&index| (index, family)));
            }
        }
        let shares_in = |&(index, family): &(PoolIndex, Family)| {
            self.space.catalog.pool(index).is_some_and(|pool| shares(pool, entry, family))
        };
        wait.plain =
            !entry.wants_all_or_none() && !entry.names_an_address() && !wait.pools.iter().any(shares_in);
        wait
    }

    fn queues(&self, address: IpAddr) -> impl Iterator<Item = (PoolIndex, Family)> + '_ {
        let family = Family::of(address);
        self.space.catalog.at(address).iter().map(move |&index| (index, family))
    }
}

//! First step: who has an address keeps it, if it is still wanted and permitted, and nobody older has it.

use std::net::IpAddr;
use std::sync::Arc;

use super::allocator::{Ipam, Requests, Sight, Turn, seized};
use super::entry::{Entry, Rank};
use super::forbidden::ForbiddenReason;
use super::service::{Assignment, ServiceKey};

impl Ipam {
    /// Keeps what is remembered, or else stands in the status, or else in our annotation.
    pub(super) fn keep(&mut self, key: &ServiceKey, memory: Vec<Assignment>, sight: Sight, turn: &mut Turn) {
        let Some(entry) = self.entries.get(key) else { return };
        let (wants, claims) = (entry.slots.len(), claims(entry, memory, sight));
        for slot in 0..wants {
            for (claim, trust) in &claims {
                if self.may_keep(key, slot, claim, *trust) && self.contest(key, claim.address, turn) {
                    self.give(key, slot, claim.clone(), turn);
                    break;
                }
            }
        }
    }

    /// Takes the addresses of a Service that is not ours from whoever of ours has them: two would answer for one.
    pub(super) fn seize(&mut self, key: &ServiceKey, turn: &mut Turn) {
        let addresses = self.entries.get(key).map_or_else(Vec::new, |entry| seized(entry).to_vec());
        for address in addresses {
            let ours =
                self.space.cells.get(&address).map(|cell| cell.ours.keys().cloned().collect::<Vec<_>>());
            for rank in ours.unwrap_or_default() {
                self.evict(&rank, address, turn);
            }
            self.space.enter_foreign(address, key);
        }
    }

    /// Puts a Service at an address where it can be. From now on it counts as coming from the pool that the Service
    /// asks for, wherever it came from: only the user, by asking for another pool, sends it elsewhere.
    pub(super) fn give(&mut self, key: &ServiceKey, slot: usize, assignment: Assignment, turn: &mut Turn) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        turn.note(entry);
        let asked = entry.view.pool.as_deref().map(Arc::from);
        let assignment = Assignment { pool: asked.or(assignment.pool), ..assignment };
        let assignment = self.space.named(assignment);
        self.space.enter(assignment.address, entry);
        if let Some(slot) = entry.slots.get_mut(slot) {
            slot.held = Some(assignment);
        }
    }

    fn may_keep(&self, key: &ServiceKey, slot: usize, claim: &Assignment, trust: Trust) -> bool {
        let Some(entry) = self.entries.get(key) else { return false };
        let address = claim.address;
        entry.slots.get(slot).is_some_and(|slot| slot.want.is_met_by(address))
            && !entry.addresses().any(|held| held == address)
            && !self.space.forbidden.reason(address).is_some_and(ForbiddenReason::takes_away)
            && !self.is_sent_elsewhere(entry, claim)
            && (trust == Trust::Live || self.is_permitted(entry, address))
    }

    /// Whether the user asks for another pool than the one that the address came from. A pool that lost the address
    /// is another matter: it stays.
    fn is_sent_elsewhere(&self, entry: &Entry, claim: &Assignment) -> bool {
        let (Some(wanted), Some(came_from)) = (&entry.view.pool, &claim.pool) else { return false };
        let pool = self.space.catalog.named(wanted).and_then(|index| self.space.catalog.pool(index));
        wanted.as_str() != &**came_from && pool.is_some_and(|pool| !pool.ranges.contains(claim.address))
    }

    /// Whether the setting permits it to be asked for.
    pub(super) fn is_permitted(&self, entry: &Entry, address: IpAddr) -> bool {
        let mut pools =
            self.space.catalog.at(address).iter().filter_map(|&index| self.space.catalog.pool(index));
        match self.settings.requests {
            Requests::Anywhere => true,
            Requests::InPools => {
                pools.any(|pool| !pool.avoids(address) && pool.selection.exclusion(&entry.view).is_none())
            }
        }
    }

    /// Makes place at an address, if all in the way are younger.
    fn contest(&mut self, key: &ServiceKey, address: IpAddr, turn: &mut Turn) -> bool {
        let Some(entry) = self.entries.get(key) else { return false };
        let Some(cell) = self.space.cells.get(&address) else { return true };
        let rivals = cell.rivals(entry);
        if !cell.foreign.is_empty() || rivals.first().is_some_and(|oldest| *oldest < entry.rank) {
            return false;
        }
        for rank in rivals {
            self.evict(&rank, address, turn);
        }
        true
    }

    fn evict(&mut self, rank: &Rank, address: IpAddr, turn: &mut Turn) {
        let Some(entry) = self.entries.get_mut(rank.key()) else { return };
        self.work += 1;
        turn.note(entry);
        self.space.leave(address, entry);
        for slot in &mut entry.slots {
            slot.held.take_if(|held| held.address == address);
        }
        turn.freed.insert(address);
        turn.dirty.insert(rank.clone());
    }
}

/// How far it is proven that a Service has an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Trust {
    /// We gave it, or it is in the status, which users cannot write.
    Live,
    /// It is in an annotation, which users can write.
    Annotation,
}

fn claims(entry: &Entry, memory: Vec<Assignment>, sight: Sight) -> Vec<(Assignment, Trust)> {
    let remembered = memory.into_iter().map(|it| (it, Trust::Live));
    if sight == Sight::Known {
        return remembered.collect();
    }
    let record = &entry.view.record;
    let live = entry.view.ingress.iter().map(|&address| {
        let pool = record.iter().find(|it| it.address == address).and_then(|it| it.pool.clone());
        (Assignment { address, pool }, Trust::Live)
    });
    remembered.chain(live).chain(record.iter().map(|it| (it.clone(), Trust::Annotation))).collect()
}

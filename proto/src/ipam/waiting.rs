//! Who waits for what, so that an address that is given back finds its next holder without asking everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound;

use super::catalog::PoolIndex;
use super::entry::Rank;
use super::family::Family;

/// What a Service that is not served waits for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Wait {
    pub(super) addresses: Vec<IpAddr>,
    pub(super) pools: Vec<(PoolIndex, Family)>,
    /// It takes a free address and nothing else, so while there is none nobody needs to ask it.
    pub(super) plain: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    addresses: BTreeMap<IpAddr, BTreeSet<Rank>>,
    plain: BTreeMap<(PoolIndex, Family), BTreeSet<Rank>>,
    others: BTreeMap<(PoolIndex, Family), BTreeSet<Rank>>,
    waits: BTreeMap<Rank, Wait>,
}

impl Waiting {
    pub(super) fn set(&mut self, rank: &Rank, wait: Wait) {
        self.clear(rank);
        for &address in &wait.addresses {
            self.addresses.entry(address).or_default().insert(rank.clone());
        }
        let queues = if wait.plain { &mut self.plain } else { &mut self.others };
        for &pool in &wait.pools {
            queues.entry(pool).or_default().insert(rank.clone());
        }
        self.waits.insert(rank.clone(), wait);
    }

    pub(super) fn clear(&mut self, rank: &Rank) {
        let Some(wait) = self.waits.remove(rank) else { return };
        for address in wait.addresses {
            drop_from(&mut self.addresses, address, rank);
        }
        let queues = if wait.plain { &mut self.plain } else { &mut self.others };
        for pool in wait.pools {
            drop_from(queues, pool, rank);
        }
    }

    pub(super) fn for_address(&self, address: IpAddr) -> impl Iterator<Item = &Rank> + '_ {
        self.addresses.get(&address).into_iter().flatten()
    }

    /// Those in the queue of a pool that want more than any free address.
    pub(super) fn others(&self, pool: (PoolIndex, Family)) -> impl Iterator<Item = &Rank> + '_ {
        self.others.get(&pool).into_iter().flatten()
    }

    /// The next in the queue of a pool that takes any free address. Each is asked once in a turn, whatever comes of it.
    pub(super) fn next_plain(&self, pool: (PoolIndex, Family), after: Option<&Rank>) -> Option<&Rank> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.plain.get(&pool)?.range::<Rank, _>((from, Bound::Unbounded)).next()
    }
}

fn drop_from<K: Ord + Copy>(queues: &mut BTreeMap<K, BTreeSet<Rank>>, key: K, rank: &Rank) {
    if let Some(queue) = queues.get_mut(&key) {
        queue.remove(rank);
        if queue.is_empty() {
            queues.remove(&key);
        }
    }
}

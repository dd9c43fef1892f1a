//! Addresses that more Services may join, found without looking at each: those with the same ports taken are one group.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::cell::Cell;
use super::entry::{Class, Entry};
use super::family::Family;
use super::pool::{Pool, SearchOrder};

#[derive(Clone, Debug, Default)]
pub(super) struct Rooms(BTreeMap<Class, BTreeMap<u128, BTreeSet<IpAddr>>>);

impl Rooms {
    pub(super) fn insert(&mut self, address: IpAddr, cell: &Cell) {
        let Some(class) = cell.class.as_ref().filter(|_| cell.is_room()) else { return };
        let groups = match self.0.get_mut(class) {
            Some(groups) => groups,
            None => self.0.entry(class.clone()).or_default(),
        };
        groups.entry(cell.signature).or_default().insert(address);
    }

    pub(super) fn remove(&mut self, address: IpAddr, cell: &Cell) {
        let Some(class) = cell.class.as_ref().filter(|_| cell.is_room()) else { return };
        let Some(groups) = self.0.get_mut(class) else { return };
        if let Some(group) = groups.get_mut(&cell.signature) {
            group.remove(&address);
            if group.is_empty() {
                groups.remove(&cell.signature);
            }
        }
        if groups.is_empty() {
            self.0.remove(class);
        }
    }

    /// The first address of `pool` that `entry` can join, and how many groups were looked at.
    pub(super) fn find(
        &self,
        entry: &Entry,
        pool: &Pool,
        family: Family,
        cells: &BTreeMap<IpAddr, Cell>,
    ) -> (Option<IpAddr>, u64) {
        let groups = self.0.get(&entry.class).into_iter().flat_map(BTreeMap::values);
        let mut looked = 0;
        let mut best: Option<IpAddr> = None;
        for group in groups {
            looked += 1;
            let Some(first) = first_of(group, pool, family) else { continue };
            let fits = cells.get(&first).is_some_and(|cell| cell.refusal(entry, true).is_none());
            if fits {
                best = Some(best.map_or(first, |best| match pool.order {
                    SearchOrder::Ascending => best.min(first),
                    SearchOrder::Descending => best.max(first),
                }));
            }
        }
        (best, looked)
    }
}

/// The first address of `group` that `pool` gives.
fn first_of(group: &BTreeSet<IpAddr>, pool: &Pool, family: Family) -> Option<IpAddr> {
    let ranges = pool.ranges.as_slice().iter().filter(|range| range.family() == family);
    let mut given = ranges
        .flat_map(|range| group.range(range.first()..=range.last()))
        .copied()
        .filter(|&address| !pool.avoids(address));
    match pool.order {
        SearchOrder::Ascending => given.next(),
        SearchOrder::Descending => given.next_back(),
    }
}

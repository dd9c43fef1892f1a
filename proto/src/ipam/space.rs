//! The addresses there are: who has which, which are free, and which nobody may have.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::catalog::Catalog;
use super::cell::Cell;
use super::entry::Entry;
use super::family::Family;
use super::forbidden::Forbidden;
use super::pool::Pool;
use super::range::{Range, number};
use super::rooms::Rooms;
use super::runs::Runs;
use super::service::{Assignment, ServiceKey};

#[derive(Clone, Debug)]
pub(super) struct Space {
    pub(super) catalog: Catalog,
    pub(super) forbidden: Forbidden,
    pub(super) barred: Runs,
    pub(super) taken: Runs,
    pub(super) cells: BTreeMap<IpAddr, Cell>,
    pub(super) rooms: Rooms,
    /// Whether all who ask for an address as kube-vip has it may share it.
    share_requested: bool,
}

impl Space {
    /// Nobody has anything yet.
    pub(super) fn new(pools: Vec<Pool>, forbidden: Forbidden, share_requested: bool) -> Self {
        let barred = forbidden.runs();
        Self {
            catalog: Catalog::new(pools, &barred),
            forbidden,
            barred,
            taken: Runs::default(),
            cells: BTreeMap::new(),
            rooms: Rooms::default(),
            share_requested,
        }
    }

    pub(super) fn enter(&mut self, address: IpAddr, entry: &Entry) {
        let open = self.is_open(entry, address);
        self.change(address, |cell| cell.enter(entry, open));
    }

    pub(super) fn leave(&mut self, address: IpAddr, entry: &Entry) {
        self.change(address, |cell| cell.leave(entry));
    }

    pub(super) fn enter_foreign(&mut self, address: IpAddr, key: &ServiceKey) {
        self.change(address, |cell| {
            cell.foreign.insert(key.clone());
        });
    }

    pub(super) fn leave_foreign(&mut self, address: IpAddr, key: &ServiceKey) {
        self.change(address, |cell| {
            cell.foreign.remove(key);
        });
    }

    /// Whether `entry` lets others join it at `address`.
    pub(super) fn is_open(&self, entry: &Entry, address: IpAddr) -> bool {
        let asks = || self.share_requested && entry.asks_as_kube_vip(address);
        let pools = || self.catalog.at(address).iter().filter_map(|&index| self.catalog.pool(index));
        !entry.ports.is_empty()
            && (entry.class.key.is_some()
                || asks()
                || pools().any(|pool| shares(pool, entry, Family::of(address))))
    }

    /// With the pool that it is in, where nobody knows which it came from.
    pub(super) fn named(&self, assignment: Assignment) -> Assignment {
        let here = || self.catalog.pool(*self.catalog.at(assignment.address).first()?);
        let pool = assignment.pool.or_else(|| here().map(|pool| pool.id.name.clone()));
        Assignment { address: assignment.address, pool }
    }

    fn change(&mut self, address: IpAddr, change: impl FnOnce(&mut Cell)) {
        let cell = self.cells.entry(address).or_default();
        let was_empty = cell.is_empty();
        self.rooms.remove(address, cell);
        change(cell);
        self.rooms.insert(address, cell);
        let is_empty = cell.is_empty();
        if is_empty {
            self.cells.remove(&address);
        }
        if was_empty != is_empty {
            self.take(address, was_empty);
        }
    }

    fn take(&mut self, address: IpAddr, taken: bool) {
        if taken {
            self.taken.insert(Range::single(address));
        } else {
            self.taken.remove(address);
        }
        if self.barred.around(Family::of(address), number(address)).is_none() {
            self.catalog.count(address, taken);
        }
    }
}

/// Whether `entry` may share in `pool` without having asked for an address.
pub(super) fn shares(pool: &Pool, entry: &Entry, family: Family) -> bool {
    entry.class.key.is_some()
        || (family == Family::V4
            && pool.allow_share.of(&entry.view.key.namespace).is_some_and(|&allowed| allowed))
}

//! Who has an address, and who may join.
//!
//! Services share an address if their ports are disjoint as (protocol, port) pairs, they are served by the same nodes
//! (`externalTrafficPolicy: Cluster`, or `Local` with the same pod selector in the same namespace), and
//!
//! - as with MetalLB, they have the same sharing key; or
//! - as with kube-vip, none has a key, and each either asks for that address by `kube-vip.io/loadbalancerIPs` or
//!   `spec.loadBalancerIP`, or may share in the address's pool (`allow-share-…`, IPv4 only).
//!
//! Services without a key that have an address in common already keep it if the ports and the nodes permit it: what
//! once was allowed is not torn apart because a setting changed.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Class, Entry, Rank};
use super::service::{Port, ServiceKey};

/// Why two Services cannot have one address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Conflict {
    /// At least one of them does not share.
    NotShared,
    /// They have different sharing keys, or only one has.
    Key,
    /// They are not always served by the same nodes.
    Traffic,
    /// These ports are taken.
    Ports(Vec<Port>),
    /// At least one has no ports, so nothing says that they are disjoint.
    NoPorts,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    /// Those of ours, and whether each would let others join.
    pub(super) ours: BTreeMap<Rank, bool>,
    /// Those that are not ours.
    pub(super) foreign: BTreeSet<ServiceKey>,
    pub(super) ports: BTreeMap<Port, Rank>,
    /// That of all of ours.
    pub(super) class: Option<Class>,
    closed: usize,
    /// The same for the same ports; only to tell groups apart.
    pub(super) signature: u128,
}

impl Cell {
    pub(super) fn is_empty(&self) -> bool {
        self.ours.is_empty() && self.foreign.is_empty()
    }

    /// Whether others may join it.
    pub(super) fn is_room(&self) -> bool {
        self.foreign.is_empty() && !self.ours.is_empty() && self.closed == 0 && !self.ports.is_empty()
    }

    pub(super) fn enter(&mut self, entry: &Entry, open: bool) {
        self.class.get_or_insert_with(|| entry.class.clone());
        for &port in &entry.ports {
            self.ports.insert(port, entry.rank.clone());
            self.signature ^= mixed(port);
        }
        self.ours.insert(entry.rank.clone(), open);
        self.closed += usize::from(!open);
    }

    pub(super) fn leave(&mut self, entry: &Entry) {
        let Some(open) = self.ours.remove(&entry.rank) else { return };
        self.closed -= usize::from(!open);
        for port in &entry.ports {
            self.ports.remove(port);
            self.signature ^= mixed(*port);
        }
        if self.ours.is_empty() {
            self.class = None;
        }
    }

    /// Why `entry` cannot be here beside those of ours who are; whether they want company is another question.
    pub(super) fn conflict(&self, entry: &Entry) -> Option<Conflict> {
        let class = self.class.as_ref()?;
        if class.key != entry.class.key {
            return Some(Conflict::Key);
        }
        if class.backends != entry.class.backends {
            return Some(Conflict::Traffic);
        }
        if self.ports.is_empty() || entry.ports.is_empty() {
            return Some(Conflict::NoPorts);
        }
        let taken: Vec<_> =
            entry.ports.iter().copied().filter(|port| self.ports.contains_key(port)).collect();
        (!taken.is_empty()).then_some(Conflict::Ports(taken))
    }

    /// Why `entry`, which would be open to others or not, cannot join.
    pub(super) fn refusal(&self, entry: &Entry, open: bool) -> Option<Conflict> {
        let conflict = self.conflict(entry);
        let alone = self.ours.is_empty() || (open && self.closed == 0);
        conflict.or_else(|| (!alone).then_some(Conflict::NotShared))
    }

    /// A conflict, as far as `rival` is in it.
    pub(super) fn between(&self, rival: &Rank, conflict: Conflict) -> Conflict {
        let Conflict::Ports(mut ports) = conflict else { return conflict };
        ports.retain(|port| self.ports.get(port) == Some(rival));
        Conflict::Ports(ports)
    }

    /// Who would have to leave for `entry`.
    pub(super) fn rivals(&self, entry: &Entry) -> BTreeSet<Rank> {
        match self.conflict(entry) {
            None => BTreeSet::new(),
            Some(Conflict::Ports(ports)) => {
                ports.iter().filter_map(|port| self.ports.get(port)).cloned().collect()
            }
            Some(Conflict::NotShared | Conflict::Key | Conflict::Traffic | Conflict::NoPorts) => {
                self.ours.keys().cloned().collect()
            }
        }
    }
}

/// Spreads a port over 128 bits, so that different sets of ports do not look alike.
fn mixed(port: Port) -> u128 {
    let seed = (u128::from(port.number) << 8) | (port.protocol as u128 + 1);
    let once = seed.wrapping_mul(MIX);
    (once ^ (once >> 61)).wrapping_mul(MIX)
}

/// Odd, with its bits in no pattern.
const MIX: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

//! What a peer should know at one moment.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use ipnet::IpNet;

use super::export::{Export, Policy};
use crate::bgp::types::{Attributes, Family};
use crate::bgp::wire::{AsNumbers, update};

/// Routes grouped by what is said of them, prefixes in order and each once.
#[derive(Debug, Default)]
pub struct Snapshot {
    tables: BTreeMap<Family, Table>,
    as_numbers: AsNumbers,
    omitted: Vec<Omitted>,
}

/// The routes of one family, of which there is at least one.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) groups: BTreeMap<Attributes, Arc<[IpNet]>>,
    dump: OnceLock<Dump>,
}

/// All routes of a family, encoded.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Dump {
    /// UPDATEs, each filled to the limit.
    pub octets: Bytes,
    /// How many.
    pub updates: usize,
    /// How many routes they announce.
    pub routes: usize,
}

/// Routes that a peer does not hear of although the session carries their family.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Omitted {
    /// Their family.
    pub family: Family,
    /// How many they are.
    pub routes: usize,
    /// Why.
    pub why: Omission,
}

/// Why routes are omitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Omission {
    /// Neither configured nor found.
    #[error("no next hop of this address family is configured or found on the link")]
    NoNextHop,
    /// More communities than an UPDATE holds.
    #[error(transparent)]
    TooLong(update::TooLong),
}

impl Snapshot {
    pub(super) fn new<'a>(
        routes: impl Iterator<Item = (Family, &'a Policy, &'a Arc<[IpNet]>)>,
        export: &Export,
    ) -> Self {
        let mut snapshot = Self { as_numbers: export.as_numbers(), ..Self::default() };
        for (family, policy, prefixes) in routes.filter(|(family, ..)| export.carries(*family)) {
            match judge(export, family, policy) {
                Ok(attributes) => snapshot.add(family, attributes, prefixes),
                Err(why) => snapshot.omitted.push(Omitted { family, routes: prefixes.len(), why }),
            }
        }
        snapshot
    }

    /// What is said of which routes.
    pub fn groups(&self) -> impl Iterator<Item = (&Attributes, &[IpNet])> {
        let groups = self.tables.values().flat_map(|table| &table.groups);
        groups.map(|(attributes, prefixes)| (attributes, &**prefixes))
    }

    /// What is said of one route.
    #[must_use]
    pub fn get(&self, prefix: &IpNet) -> Option<&Attributes> {
        self.groups().find(|(_, prefixes)| prefixes.binary_search(prefix).is_ok()).map(|(said, _)| said)
    }

    /// How many routes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tables.values().map(Table::len).sum()
    }

    /// Whether nothing is announced.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// What the peer should hear of and does not, for the operator.
    #[must_use]
    pub fn omitted(&self) -> &[Omitted] {
        &self.omitted
    }

    /// All routes of a family: encoded when they are asked for first, and then shared.
    #[must_use]
    pub fn dump(&self, family: Family) -> Dump {
        let Some(table) = self.tables.get(&family) else { return Dump::default() };
        table.dump.get_or_init(|| table.encode(family, self.as_numbers)).clone()
    }

    pub(super) fn as_numbers(&self) -> AsNumbers {
        self.as_numbers
    }

    pub(super) fn families(&self) -> impl Iterator<Item = Family> {
        self.tables.keys().copied()
    }

    /// The routes of a family of which this is said.
    pub(super) fn group(&self, family: Family, attributes: &Attributes) -> Option<&Arc<[IpNet]>> {
        self.tables.get(&family)?.groups.get(attributes)
    }

    pub(super) fn tables(&self) -> impl Iterator<Item = (Family, &Table)> {
        self.tables.iter().map(|(family, table)| (*family, table))
    }

    /// Policies that differ for one peer may be the same for another.
    fn add(&mut self, family: Family, attributes: Attributes, prefixes: &Arc<[IpNet]>) {
        let groups = &mut self.tables.entry(family).or_default().groups;
        groups
            .entry(attributes)
            .and_modify(|known| *known = merged(known, prefixes))
            .or_insert_with(|| prefixes.clone());
    }
}

/// What is known of it besides its routes follows from them.
impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        self.as_numbers == other.as_numbers
            && self.tables.len() == other.tables.len()
            && self.tables().all(|(family, table)| {
                other.tables.get(&family).is_some_and(|theirs| table.groups == theirs.groups)
            })
    }
}

impl Eq for Snapshot {}

impl Table {
    fn len(&self) -> usize {
        self.groups.values().map(|prefixes| prefixes.len()).sum()
    }

    fn encode(&self, family: Family, as_numbers: AsNumbers) -> Dump {
        let routes = self.len();
        let mut octets = BytesMut::with_capacity(capacity(family, routes));
        let announce = |(attributes, prefixes): (&Attributes, &Arc<[IpNet]>)| {
            announce(attributes, as_numbers, prefixes, &mut octets)
        };
        let updates = self.groups.iter().map(announce).sum();
        Dump { octets: octets.freeze(), updates, routes }
    }
}

/// Appends UPDATEs. Attributes for which there is no room are not in a snapshot.
pub(super) fn announce(
    attributes: &Attributes,
    as_numbers: AsNumbers,
    prefixes: &[IpNet],
    into: &mut BytesMut,
) -> usize {
    update::announce(attributes, as_numbers, prefixes.iter().copied(), into).unwrap_or(0)
}

fn judge(export: &Export, family: Family, policy: &Policy) -> Result<Attributes, Omission> {
    let attributes = export.attributes(family, policy).ok_or(Omission::NoNextHop)?;
    update::announce(&attributes, export.as_numbers(), [], &mut BytesMut::new())
        .map_err(Omission::TooLong)?;
    Ok(attributes)
}

/// Both are in order, and no prefix is in both.
fn merged(one: &[IpNet], other: &[IpNet]) -> Arc<[IpNet]> {
    let mut all = [one, other].concat();
    all.sort_unstable();
    all.into()
}

/// Host routes with few attributes: about what the dump takes, so that it need not grow and move.
fn capacity(family: Family, routes: usize) -> usize {
    let route = if family == Family::IPV4_UNICAST { 5 } else { 17 };
    let octets = routes.saturating_mul(route);
    octets.saturating_add(octets / 50).saturating_add(256)
}

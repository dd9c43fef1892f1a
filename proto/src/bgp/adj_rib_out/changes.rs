//! What to say to a peer that knows one snapshot and should know another.

use bytes::BytesMut;
use ipnet::IpNet;

use super::snapshot::{Snapshot, announce};
use crate::bgp::types::Attributes;
use crate::bgp::wire::{AsNumbers, update};

/// The difference between two snapshots. A route whose attributes change is announced again and never withdrawn.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    /// In order; to be sent first, so that a full table makes room before it takes.
    pub withdrawn: Vec<IpNet>,
    /// In order for each set of attributes.
    pub announced: Vec<(Attributes, Vec<IpNet>)>,
}

impl Changes {
    /// What makes of `known` what is `wanted`.
    #[must_use]
    pub fn between(known: &Snapshot, wanted: &Snapshot) -> Self {
        let announced: Vec<_> =
            missing(known, wanted).map(|(attributes, prefixes)| (attributes.clone(), prefixes)).collect();
        let mut left: Vec<_> = missing(wanted, known).flat_map(|(_, prefixes)| prefixes).collect();
        if left.is_empty() {
            return Self { withdrawn: left, announced };
        }
        left.sort_unstable();
        // What left one group and is still wanted arrived in another.
        let mut arrived: Vec<_> = announced.iter().flat_map(|(_, prefixes)| prefixes).copied().collect();
        arrived.sort_unstable();
        Self { withdrawn: difference(&left, &arrived), announced }
    }

    /// Appends the UPDATEs that say it, and says how many there are.
    pub fn encode(&self, as_numbers: AsNumbers, into: &mut BytesMut) -> usize {
        let withdrawals = update::withdraw(self.withdrawn.iter().copied(), into);
        let announcements = self
            .announced
            .iter()
            .map(|(attributes, prefixes)| announce(attributes, as_numbers, prefixes, into));
        withdrawals + announcements.sum::<usize>()
    }
}

/// What `all` says, and `some` does not say of the same routes.
fn missing<'a>(
    some: &'a Snapshot,
    all: &'a Snapshot,
) -> impl Iterator<Item = (&'a Attributes, Vec<IpNet>)> + 'a {
    let groups = all.tables().flat_map(|(family, table)| {
        table.groups.iter().map(move |(attributes, prefixes)| (family, attributes, prefixes))
    });
    groups.filter_map(|(family, attributes, prefixes)| {
        let said: &[IpNet] = some.group(family, attributes).map_or(&[], |said| said);
        let news =
            if std::ptr::eq(said, &raw const **prefixes) { vec![] } else { difference(prefixes, said) };
        (!news.is_empty()).then_some((attributes, news))
    })
}

/// What is in one and not in the other; both are in order.
fn difference(all: &[IpNet], without: &[IpNet]) -> Vec<IpNet> {
    if without.is_empty() {
        return all.to_vec();
    }
    let mut without = without.iter().peekable();
    let stays = |prefix: &&IpNet| {
        while without.next_if(|other| other < prefix).is_some() {}
        without.peek() != Some(prefix)
    };
    all.iter().filter(stays).copied().collect()
}

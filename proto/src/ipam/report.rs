//! How full the pools are, what is wrong with them, and which addresses are in none.

use std::net::IpAddr;
use std::sync::Arc;

use super::allocator::Ipam;
use super::catalog::PoolIndex;
use super::decision::Usage;
use super::family::Family;
use super::forbidden::ForbiddenReason;
use super::pool::{Pool, PoolId};
use super::range::Range;
use super::service::ServiceKey;

/// A pool and how it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PoolReport {
    /// Which pool.
    pub pool: PoolId,
    /// How full it is, for each family that it has.
    pub usage: Vec<Usage>,
    /// How many of its addresses Services have that are not ours.
    pub foreign: usize,
    /// What it has in common with other pools. No address is given twice all the same, as far as we give it.
    pub overlaps: Vec<Overlap>,
    /// Which of its addresses no Service may have. Only the first few.
    pub forbidden: Vec<(Range, ForbiddenReason)>,
    /// Whether its addresses would have to come from DHCP, which is not supported.
    pub dhcp: bool,
}

/// What two pools have in common.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Overlap {
    /// The other pool.
    pub with: PoolId,
    /// The first such range.
    pub range: Range,
}

/// An address of ours that is in no pool, or not in that from which it came.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Stray {
    /// Who has it.
    pub service: ServiceKey,
    /// The address.
    pub address: IpAddr,
    /// The pool from which it came, if it came from one.
    pub pool: Option<Arc<str>>,
}

impl Ipam {
    /// All pools, in the order in which they are tried.
    #[must_use]
    pub fn reports(&self) -> Vec<PoolReport> {
        let pools = self.space.catalog.pools().iter().enumerate();
        pools.map(|(index, pool)| self.report(index, pool)).collect()
    }

    /// The addresses that Services keep although no pool has them, or not the one from which they came. With kube-vip's
    /// way of asking for any address, these are not mistakes.
    #[must_use]
    pub fn strays(&self) -> Vec<Stray> {
        let held = self.entries.iter().flat_map(|(key, entry)| entry.held().map(move |held| (key, held)));
        let is_stray = |(_, held): &(&ServiceKey, &super::service::Assignment)| {
            let pools = self.space.catalog.at(held.address).iter();
            let mut pools = pools.filter_map(|&index| self.space.catalog.pool(index));
            !pools.any(|pool| held.pool.as_ref().is_none_or(|came_from| *came_from == pool.id.name))
        };
        held.filter(is_stray)
            .map(|(key, held)| Stray { service: key.clone(), address: held.address, pool: held.pool.clone() })
            .collect()
    }

    fn report(&self, index: PoolIndex, pool: &Pool) -> PoolReport {
        let forbidden = pool.ranges.as_slice().iter().flat_map(|&range| self.space.forbidden.within(range));
        // A pool is as wide as its network, as often as not.
        let forbidden = forbidden.filter(|(_, why)| why.takes_away());
        PoolReport {
            pool: pool.id.clone(),
            usage: self.usages(index, &[Family::V4, Family::V6]).collect(),
            foreign: pool.ranges.as_slice().iter().map(|&range| self.foreign_in(range)).sum(),
            overlaps: self.overlaps(index, pool),
            forbidden: forbidden.map(|(range, reason)| (range, reason.clone())).take(MAX_FORBIDDEN).collect(),
            dhcp: pool.dhcp,
        }
    }

    fn foreign_in(&self, range: Range) -> usize {
        let cells = self.space.cells.range(range.first()..=range.last());
        cells.filter(|(_, cell)| !cell.foreign.is_empty()).count()
    }

    fn overlaps(&self, index: PoolIndex, pool: &Pool) -> Vec<Overlap> {
        let others = self.space.catalog.pools().iter().enumerate().filter(|(other, _)| *other != index);
        others
            .filter_map(|(_, other)| Some(Overlap { with: other.id.clone(), range: common(pool, other)? }))
            .collect()
    }
}

/// The first range that both have.
fn common(pool: &Pool, other: &Pool) -> Option<Range> {
    let (mut ours, mut theirs) =
        (pool.ranges.as_slice().iter().peekable(), other.ranges.as_slice().iter().peekable());
    loop {
        let (a, b) = (ours.peek()?, theirs.peek()?);
        if let Some(range) = a.overlap(**b) {
            return Some(range);
        }
        if a.last() < b.first() {
            ours.next();
        } else {
            theirs.next();
        }
    }
}

const MAX_FORBIDDEN: usize = 16;

//! All pools together: which serve a Service and in which order, which have an address, and how full they are.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::family::{Family, PerFamily};
use super::forbidden::{buggy_between, is_buggy};
use super::pool::{Exclusion, Pool, PoolId, SearchOrder, Source};
use super::range::{Range, address, number};
use super::runs::Runs;
use super::service::ServiceView;

/// A pool's place in the order in which pools are tried.
pub(super) type PoolIndex = usize;

#[derive(Clone, Debug, Default)]
pub(super) struct Catalog {
    pools: Vec<Pool>,
    fill: Vec<PerFamily<Fill>>,
    segments: PerFamily<Segments>,
    /// Pools for namespaces by name alone, found without asking the others.
    by_namespace: BTreeMap<String, Vec<PoolIndex>>,
    /// All other pools.
    general: Vec<PoolIndex>,
    names: BTreeMap<Arc<str>, (Source, PoolIndex)>,
}

/// By first number: the last, and the pools that have all between.
type Segments = BTreeMap<u128, (u128, Vec<PoolIndex>)>;

#[derive(Clone, Copy, Debug, Default)]
struct Fill {
    total: u128,
    used: u128,
}

/// Why a pool does not serve a Service that does not ask for it by name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Closed {
    Excluded(Exclusion),
    NotAutomatic,
    /// The Service's namespace has pools of its own in kube-vip's ConfigMap.
    NamespaceHasOwn,
}

impl Catalog {
    pub(super) fn new(mut pools: Vec<Pool>, forbidden: &Runs) -> Self {
        let mut seen = BTreeSet::new();
        pools.retain(|pool| seen.insert(pool.id.clone()));
        pools.sort_by(|a, b| place(a).cmp(&place(b)));
        let mut catalog = Self { segments: segments(&pools), ..Self::default() };
        for (index, pool) in pools.iter().enumerate() {
            catalog
                .fill
                .push(PerFamily::new(|family| Fill { total: total(pool, family, forbidden), used: 0 }));
            catalog.enter(index, pool);
        }
        catalog.pools = pools;
        catalog
    }

    pub(super) fn pool(&self, index: PoolIndex) -> Option<&Pool> {
        self.pools.get(index)
    }

    pub(super) fn pools(&self) -> &[Pool] {
        &self.pools
    }

    /// The pool that a Service means by `name`; ours before kube-vip's before MetalLB's.
    pub(super) fn named(&self, name: &str) -> Option<PoolIndex> {
        self.names.get(name).map(|&(_, index)| index)
    }

    /// The pools that have `address`, in the order in which they are tried.
    pub(super) fn at(&self, address: IpAddr) -> &[PoolIndex] {
        let at = number(address);
        let segments = self.segments.of(Family::of(address)).range(..=at).next_back();
        segments.filter(|(_, (last, _))| *last >= at).map_or(&[], |(_, (_, pools))| pools)
    }

    /// The pools that may serve `service`, in the order in which they are tried.
    pub(super) fn candidates(&self, service: &ServiceView) -> Vec<PoolIndex> {
        if let Some(name) = &service.pool {
            let open = |index: &PoolIndex| {
                self.pool(*index).is_some_and(|it| it.selection.exclusion(service).is_none())
            };
            return self.named(name).filter(open).into_iter().collect();
        }
        let own = self.by_namespace.get(service.key.namespace.as_ref()).into_iter().flatten();
        let mut candidates: Vec<_> = own
            .chain(&self.general)
            .copied()
            .filter(|&index| self.closed(index, service).is_none())
            .collect();
        candidates.sort_unstable();
        candidates
    }

    /// Why a Service that asks for no pool gets nothing from this one.
    pub(super) fn closed(&self, index: PoolIndex, service: &ServiceView) -> Option<Closed> {
        let pool = self.pool(index)?;
        if let Some(exclusion) = pool.selection.exclusion(service) {
            return Some(Closed::Excluded(exclusion));
        }
        if !pool.auto_assign {
            return Some(Closed::NotAutomatic);
        }
        let global = pool.id.source == Source::KubeVip && !pool.selection.is_narrow();
        (global && self.has_own(&service.key.namespace)).then_some(Closed::NamespaceHasOwn)
    }

    pub(super) fn usage(&self, index: PoolIndex, family: Family) -> (u128, u128) {
        let fill = self.fill.get(index).map(|fill| *fill.of(family)).unwrap_or_default();
        (fill.used, fill.total)
    }

    pub(super) fn is_full(&self, index: PoolIndex, family: Family) -> bool {
        let (used, total) = self.usage(index, family);
        used >= total
    }

    /// Counts an address in or out that is not forbidden.
    pub(super) fn count(&mut self, address: IpAddr, taken: bool) {
        let family = Family::of(address);
        for index in self.at(address).to_vec() {
            let avoided = self.pool(index).is_some_and(|pool| pool.avoids(address));
            let Some(fill) = self.fill.get_mut(index).filter(|_| !avoided) else { continue };
            let used = &mut fill.of_mut(family).used;
            *used = if taken { *used + 1 } else { used.saturating_sub(1) };
        }
    }

    /// The next free address of a pool, and how many runs were looked at.
    pub(super) fn free(&self, index: PoolIndex, family: Family, taken: &[&Runs]) -> (Option<IpAddr>, u64) {
        let mut looked = 1;
        let Some(pool) = self.pool(index).filter(|_| !self.is_full(index, family)) else {
            return (None, looked);
        };
        let mut walk = |range: &Range| {
            let gap = Gap { family, taken, avoid_buggy: pool.avoid_buggy };
            let (found, steps) = gap.find(*range, pool.order);
            looked += steps;
            found
        };
        let ranges = pool.ranges.as_slice().iter().filter(|range| range.family() == family);
        let found = match pool.order {
            SearchOrder::Ascending => ranges.into_iter().find_map(&mut walk),
            SearchOrder::Descending => ranges.rev().find_map(&mut walk),
        };
        (found, looked)
    }

    fn has_own(&self, namespace: &str) -> bool {
        let own = self.by_namespace.get(namespace).into_iter().flatten();
        own.filter_map(|&index| self.pool(index)).any(|pool| pool.id.source == Source::KubeVip)
    }

    fn enter(&mut self, index: PoolIndex, pool: &Pool) {
        let selection = &pool.selection;
        if selection.namespaces.is_empty() || !selection.namespace_selectors.is_empty() {
            self.general.push(index);
        } else {
            for namespace in &selection.namespaces {
                self.by_namespace.entry(namespace.clone()).or_default().push(index);
            }
        }
        let by_source = (pool.id.source, index);
        let named = self.names.entry(pool.id.name.clone()).or_insert(by_source);
        *named = by_source.min(*named);
    }
}

/// Where to look for a free address.
struct Gap<'a> {
    family: Family,
    taken: &'a [&'a Runs],
    avoid_buggy: bool,
}

impl Gap<'_> {
    fn find(&self, range: Range, order: SearchOrder) -> (Option<IpAddr>, u64) {
        let (first, last) = range.numbers();
        let mut steps = 0;
        let mut at = Some(if order == SearchOrder::Ascending { first } else { last });
        while let Some(number) = at.filter(|number| (first..=last).contains(number)) {
            steps += 1;
            let Some((start, end)) = self.barrier(number) else {
                return (Some(address(self.family, number)), steps);
            };
            at = match order {
                SearchOrder::Ascending => end.checked_add(1),
                SearchOrder::Descending => start.checked_sub(1),
            };
        }
        (None, steps)
    }

    fn barrier(&self, at: u128) -> Option<(u128, u128)> {
        let run = self.taken.iter().find_map(|runs| runs.around(self.family, at));
        run.or_else(|| (self.avoid_buggy && is_buggy(self.family, at)).then_some((at, at)))
    }
}

/// For some Services before for all; then by priority, source and name.
fn place(pool: &Pool) -> (bool, u32, &PoolId) {
    (!pool.selection.is_narrow(), pool.priority.unwrap_or(u32::MAX), &pool.id)
}

/// How many addresses a pool can give: without the avoided and the forbidden ones.
fn total(pool: &Pool, family: Family, forbidden: &Runs) -> u128 {
    let usable = |(first, last): (u128, u128)| {
        let buggy = if pool.avoid_buggy { buggy_between(family, (first, last)) } else { 0 };
        (last - first).saturating_add(1) - buggy
    };
    let ranges = pool.ranges.as_slice().iter().filter(|range| range.family() == family);
    ranges.fold(0, |sum: u128, &range| {
        let lost: u128 = forbidden.within(range).map(usable).fold(0, u128::saturating_add);
        sum.saturating_add(usable(range.numbers()).saturating_sub(lost))
    })
}

fn segments(pools: &[Pool]) -> PerFamily<Segments> {
    PerFamily::new(|family| {
        let mut edges: BTreeMap<u128, Vec<(PoolIndex, bool)>> = BTreeMap::new();
        let ranges = pools
            .iter()
            .enumerate()
            .flat_map(|(index, pool)| pool.ranges.as_slice().iter().map(move |it| (index, it)));
        for (index, range) in ranges.filter(|(_, range)| range.family() == family) {
            let (first, last) = range.numbers();
            edges.entry(first).or_default().push((index, true));
            if let Some(after) = last.checked_add(1) {
                edges.entry(after).or_default().push((index, false));
            }
        }
        swept(&edges)
    })
}

fn swept(edges: &BTreeMap<u128, Vec<(PoolIndex, bool)>>) -> Segments {
    let mut open = BTreeSet::new();
    let mut segments = Segments::new();
    let mut ends = edges.keys().skip(1).map(|&next| next - 1);
    for (&first, changes) in edges {
        for &(index, starts) in changes {
            if starts {
                open.insert(index);
            } else {
                open.remove(&index);
            }
        }
        let last = ends.next().unwrap_or(u128::MAX);
        if !open.is_empty() {
            segments.insert(first, (last, open.iter().copied().collect()));
        }
    }
    segments
}

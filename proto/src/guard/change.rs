//! The least that leads from one content of the sets to another.

use std::collections::BTreeSet;

use super::content::{Content, Interval, Sets};
use super::rules::Rules;

/// What changes in the sets of both families.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Change {
    /// In those for IPv4.
    pub v4: SetsChange<4, 16>,
    /// In those for IPv6.
    pub v6: SetsChange<16, 40>,
}

/// What changes in the sets of one family.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SetsChange<const A: usize, const K: usize> {
    /// Among the guarded addresses.
    pub guarded: Difference<[u8; A]>,
    /// Among what may pass.
    pub permitted: Difference<Interval<K>>,
}

/// Elements that go and elements that come, each in order. They have none in common.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference<T> {
    /// Those that go.
    pub remove: Vec<T>,
    /// Those that come.
    pub add: Vec<T>,
}

impl Content {
    /// What leads from this content to `next`.
    #[must_use]
    pub fn change_to(&self, next: &Self) -> Change {
        Change { v4: self.v4.change_to(&next.v4), v6: self.v6.change_to(&next.v6) }
    }
}

impl<const A: usize, const K: usize> Sets<A, K> {
    fn change_to(&self, next: &Self) -> SetsChange<A, K> {
        SetsChange {
            guarded: Difference::between(&self.guarded, &next.guarded),
            permitted: Difference::between(&self.permitted, &next.permitted),
        }
    }
}

impl Change {
    /// What leads from the content that enforces `old` to that which enforces `new`. Only the addresses whose rules
    /// differ are looked at closely.
    #[must_use]
    pub fn between(old: &Rules, new: &Rules) -> Self {
        let gone = old.iter().filter(|(address, rule)| new.rule(*address) != Some(rule));
        let come = new.iter().filter(|(address, rule)| old.rule(*address) != Some(rule));
        Content::of(gone).change_to(&Content::of(come))
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

impl<const A: usize, const K: usize> SetsChange<A, K> {
    fn is_empty(&self) -> bool {
        self.guarded.is_empty() && self.permitted.is_empty()
    }
}

impl<T: Copy + Ord> Difference<T> {
    fn between(old: &BTreeSet<T>, new: &BTreeSet<T>) -> Self {
        Self { remove: old.difference(new).copied().collect(), add: new.difference(old).copied().collect() }
    }
}

impl<T> Difference<T> {
    const fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.add.is_empty()
    }
}

impl<const A: usize, const K: usize> Default for SetsChange<A, K> {
    fn default() -> Self {
        Self { guarded: Difference::default(), permitted: Difference::default() }
    }
}

impl<T> Default for Difference<T> {
    fn default() -> Self {
        Self { remove: Vec::new(), add: Vec::new() }
    }
}

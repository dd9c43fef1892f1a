//! Which addresses are taken, as runs without gaps: the next free one is found without walking the taken ones.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::family::{Family, PerFamily};
use super::range::{Range, number};

/// Sets of addresses of both families; neighbours are kept as one run.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs(PerFamily<BTreeMap<u128, u128>>);

impl Runs {
    pub(super) fn insert(&mut self, range: Range) {
        let (mut first, mut last) = range.numbers();
        let runs = self.0.of_mut(range.family());
        let from = first.saturating_sub(1);
        if let Some((&start, &end)) = runs.range(..first).next_back()
            && end >= from
        {
            first = start;
            last = last.max(end);
        }
        // Runs are apart from one another, so this removes what is swallowed, and at most one neighbour.
        while let Some((&start, &end)) = runs.range(first..=last.saturating_add(1)).next() {
            runs.remove(&start);
            last = last.max(end);
        }
        runs.insert(first, last);
    }

    pub(super) fn remove(&mut self, address: IpAddr) {
        let at = number(address);
        let runs = self.0.of_mut(Family::of(address));
        let Some((&first, &last)) = runs.range(..=at).next_back().filter(|(_, last)| **last >= at) else {
            return;
        };
        runs.remove(&first);
        if first < at {
            runs.insert(first, at - 1);
        }
        if at < last {
            runs.insert(at + 1, last);
        }
    }

    /// The run that `at` is in.
    pub(super) fn around(&self, family: Family, at: u128) -> Option<(u128, u128)> {
        let (&first, &last) = self.0.of(family).range(..=at).next_back()?;
        (last >= at).then_some((first, last))
    }

    /// What of `range` is taken, in order.
    pub(super) fn within(&self, range: Range) -> impl Iterator<Item = (u128, u128)> + '_ {
        let (first, last) = range.numbers();
        let runs = self.0.of(range.family());
        let start = self.around(range.family(), first).map_or(first, |(start, _)| start);
        runs.range(start..=last).map(move |(&start, &end)| (start.max(first), end.min(last)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::ipam::range::address;

    proptest! {
        #[test]
        fn runs_hold_what_a_set_holds_in_as_few_runs_as_can_be(
            steps in vec((any::<bool>(), 0_u128..40, 0_u128..4), 0..60),
        ) {
            let mut runs = Runs::default();
            let mut set = BTreeSet::new();
            for (insert, first, more) in steps {
                let range = Range::new(address(Family::V6, first), address(Family::V6, first + more)).unwrap();
                if insert {
                    runs.insert(range);
                    set.extend(first..=first + more);
                } else {
                    runs.remove(range.first());
                    set.remove(&first);
                }
            }
            let mut expected: Vec<(u128, u128)> = vec![];
            for at in set {
                match expected.last_mut() {
                    Some((_, last)) if *last + 1 == at => *last = at,
                    _ => expected.push((at, at)),
                }
            }
            prop_assert_eq!(runs.within("::/0".parse().unwrap()).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn the_last_address_there_is_can_be_taken_and_given_back() {
        let mut runs = Runs::default();
        runs.insert("::/0".parse().unwrap());
        runs.remove(address(Family::V6, u128::MAX));
        runs.insert(Range::single(address(Family::V6, u128::MAX)));
        assert_eq!(runs.around(Family::V6, 7), Some((0, u128::MAX)));
    }
}

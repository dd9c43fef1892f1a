//! Which addresses some peer may still know of, while peers learn at different speeds.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use super::origin::{Origin, Vips};

/// The sets of addresses that were originated one after the other, as far as some peer may not have heard of the next.
#[derive(Debug, Default)]
pub(super) struct Versions {
    /// Each with the serial that it began with; the last one is the newest.
    sets: VecDeque<(u64, Vips)>,
    /// How often [`Self::present`] has changed.
    changes: u64,
}

impl Versions {
    /// From here on, `origin` is what peers shall know.
    pub(super) fn push(&mut self, origin: &Origin) {
        if self.sets.back().is_some_and(|(_, newest)| newest.keys().eq(origin.vips.keys())) {
            return;
        }
        if !origin.vips.keys().all(|vip| self.contains(vip)) {
            self.changes += 1;
        }
        self.sets.push_back((origin.serial, origin.vips.clone()));
        // A peer that learns nothing does not make this grow.
        if self.sets.len() > MOST
            && let (Some((serial, oldest)), Some((_, next))) = (self.sets.pop_front(), self.sets.pop_front())
        {
            let both = oldest.iter().chain(next.iter()).map(|(vip, grant)| (*vip, *grant)).collect();
            self.sets.push_front((serial, Arc::new(both)));
        }
    }

    /// Every peer knows the origin with this serial, or a later one.
    pub(super) fn told(&mut self, serial: u64) {
        while self.sets.get(1).is_some_and(|(next, _)| *next <= serial) {
            let forgotten = self.sets.pop_front();
            if forgotten.is_some_and(|(_, vips)| !vips.keys().all(|vip| self.contains(vip))) {
                self.changes += 1;
            }
        }
    }

    /// Differs where [`Self::present`] does.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether some peer may know of it.
    pub(super) fn contains(&self, vip: &IpAddr) -> bool {
        self.sets.iter().any(|(_, vips)| vips.contains_key(vip))
    }

    /// What some peer may know of.
    pub(super) fn present(&self) -> BTreeSet<IpAddr> {
        self.sets.iter().flat_map(|(_, vips)| vips.keys()).copied().collect()
    }
}

/// Changes that come while a peer has not heard of the first.
const MOST: usize = 16;

#[cfg(test)]
mod tests {
    use super::super::fixture::granted;
    use super::*;
    use crate::clock;

    fn origin(serial: u64, vips: &[u8]) -> Origin {
        let vips = vips.iter().map(|last| ([192, 0, 2, *last].into(), clock::now()));
        Origin { serial, vips: granted(vips), ..Origin::default() }
    }

    fn present(versions: &Versions) -> Vec<u8> {
        let last = |vip: &IpAddr| match vip {
            IpAddr::V4(vip) => vip.octets()[3],
            IpAddr::V6(_) => 0,
        };
        versions.present().iter().map(last).collect()
    }

    #[test]
    fn an_address_is_present_until_every_peer_was_told_that_it_is_not() {
        let mut versions = Versions::default();
        versions.push(&origin(1, &[1]));
        versions.push(&origin(2, &[1]));
        versions.push(&origin(3, &[1, 2]));
        versions.push(&origin(4, &[2]));
        let seen = [0, 1, 2, 3, 4, u64::MAX].map(|serial| {
            versions.told(serial);
            present(&versions)
        });
        assert_eq!(seen, [vec![1, 2], vec![1, 2], vec![1, 2], vec![1, 2], vec![2], vec![2]]);
        versions.push(&origin(5, &[]));
        assert_eq!(present(&versions), [2]);
        versions.told(5);
        assert_eq!(present(&versions), [0; 0]);
    }

    #[test]
    fn a_peer_that_learns_nothing_costs_nothing() {
        let mut versions = Versions::default();
        for serial in 1..1000 {
            versions.push(&origin(serial, &[u8::try_from(serial % 100).unwrap()]));
        }
        assert_eq!((versions.sets.len(), present(&versions).len()), (MOST, 100));
        versions.told(999);
        assert_eq!(present(&versions), [99]);
    }
}

//! Who announces what, at every instant, on one clock for all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use vipcast::clock;

/// What every announcer enters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<Pages>>);

#[derive(Debug, Default)]
struct Pages {
    holds: BTreeMap<IpAddr, BTreeMap<String, Instant>>,
    overlaps: Vec<(IpAddr, String, String)>,
    dropped: BTreeMap<IpAddr, Instant>,
    gaps: Vec<Duration>,
}

impl Ledger {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap()
    }

    /// `node` may announce `address` until then, and does.
    pub(crate) fn hold(&self, node: &str, address: IpAddr, until: Instant) {
        let now = clock::now();
        let pages = &mut *self.pages();
        let holds = pages.holds.entry(address).or_default();
        let others = holds.iter().filter(|(other, until)| *other != node && now < **until);
        pages.overlaps.extend(others.map(|(other, _)| (address, other.clone(), node.to_owned())));
        if holds.insert(node.to_owned(), until).is_none() {
            pages.gaps.extend(pages.dropped.remove(&address).map(|at| now - at));
        }
    }

    pub(crate) fn drop(&self, node: &str, address: IpAddr) {
        let pages = &mut *self.pages();
        pages.holds.entry(address).or_default().remove(node);
        pages.dropped.insert(address, clock::now());
    }

    /// Between the drop of an address and its next announcement, shortest first, since this was asked last.
    pub(crate) fn gaps(&self) -> Vec<Duration> {
        let mut gaps = std::mem::take(&mut self.pages().gaps);
        gaps.sort_unstable();
        gaps
    }

    /// What `node` holds now.
    pub(crate) fn held(&self, node: &str) -> BTreeSet<IpAddr> {
        let now = clock::now();
        let holds = |holds: &BTreeMap<String, Instant>| holds.get(node).is_some_and(|until| now < *until);
        self.pages().holds.iter().filter(|(_, nodes)| holds(nodes)).map(|(&address, _)| address).collect()
    }

    /// How many addresses somebody holds now.
    pub(crate) fn count(&self) -> usize {
        let now = clock::now();
        self.pages().holds.values().filter(|holds| holds.values().any(|until| now < *until)).count()
    }

    /// At no instant did two hold one address.
    pub(crate) fn assert_no_overlap(&self) {
        assert_eq!(self.pages().overlaps, []);
    }
}

/// The middle one, and the longest.
pub(crate) fn summary(spans: &[Duration]) -> (Duration, Duration) {
    let middle = spans.get(spans.len() / 2).copied().unwrap_or_default();
    (middle, spans.last().copied().unwrap_or_default())
}

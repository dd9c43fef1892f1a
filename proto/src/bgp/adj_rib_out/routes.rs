//! What this node originates, once for all peers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ipnet::IpNet;

use super::export::{Export, Policy};
use super::snapshot::Snapshot;
use crate::bgp::types::{Family, family_of};

/// Prefixes in order, each once, grouped by family and by what is configured for them. Peers share the lists.
#[derive(Debug, Default)]
pub struct Routes {
    groups: BTreeMap<(Family, Policy), Arc<[IpNet]>>,
    /// What was exported already and is still in use. It follows from the groups, so that nobody can see whether
    /// it was found here or made anew.
    exported: Mutex<BTreeMap<Export, Weak<Snapshot>>>,
}

impl Routes {
    /// Groups prefixes by their policies. Of a prefix that comes twice, the first policy counts.
    #[must_use]
    pub fn new<'a>(routes: impl IntoIterator<Item = (IpNet, &'a Policy)>) -> Self {
        let mut routes: Vec<_> =
            routes.into_iter().map(|(prefix, policy)| (prefix.trunc(), policy)).collect();
        routes.sort_by_key(|(prefix, _)| *prefix);
        routes.dedup_by_key(|(prefix, _)| *prefix);
        let mut groups: BTreeMap<(Family, &Policy), Vec<IpNet>> = BTreeMap::new();
        let alike = |(one, a): &(IpNet, &'a Policy), (other, b): &(IpNet, &'a Policy)| {
            family_of(one.addr()) == family_of(other.addr()) && std::ptr::eq(*a, *b)
        };
        for run in routes.chunk_by(alike) {
            let Some((first, policy)) = run.first() else { continue };
            let prefixes = run.iter().map(|(prefix, _)| *prefix);
            groups.entry((family_of(first.addr()), *policy)).or_default().extend(prefixes);
        }
        // There may be many: this list need not be in memory beside what is shared of it.
        drop(routes);
        let shared = groups
            .into_iter()
            .map(|((family, policy), prefixes)| ((family, policy.clone()), Arc::from(prefixes)));
        Self { groups: shared.collect(), exported: Mutex::default() }
    }

    /// What peers with this policy should know. Equal exports are one.
    #[must_use]
    pub fn export(&self, export: &Export) -> Arc<Snapshot> {
        let mut exported = self.exported.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(snapshot) = exported.get(export).and_then(Weak::upgrade) {
            return snapshot;
        }
        exported.retain(|_, snapshot| snapshot.strong_count() > 0);
        let snapshot = Arc::new(Snapshot::new(self.groups(), export));
        exported.insert(export.clone(), Arc::downgrade(&snapshot));
        snapshot
    }

    /// How many routes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.values().map(|prefixes| prefixes.len()).sum()
    }

    /// Whether nothing is originated.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    fn groups(&self) -> impl Iterator<Item = (Family, &Policy, &Arc<[IpNet]>)> {
        self.groups.iter().map(|((family, policy), prefixes)| (*family, policy, prefixes))
    }
}

impl PartialEq for Routes {
    fn eq(&self, other: &Self) -> bool {
        self.groups == other.groups
    }
}

impl Eq for Routes {}

//! On which nodes a Service can be served: all of its slices together.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;

use crate::ipam::{Family, ServiceKey};
use crate::placement::MemberId;

/// The name of a slice.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct SliceKey {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

/// An EndpointSlice, reduced to where it has endpoints that serve.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndpointSlice {
    /// Its name.
    pub key: SliceKey,
    /// The Service in its namespace that it belongs to.
    pub service: Arc<str>,
    /// That of all of its endpoints.
    pub family: Family,
    ready: Places,
    terminating: Places,
}

/// An endpoint as it is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Endpoint<'a> {
    /// `nodeName`.
    pub node: Option<&'a str>,
    /// `conditions.ready`, which is true where nothing is written.
    pub ready: Option<bool>,
    /// `conditions.serving`, which is as `ready` where nothing is written.
    pub serving: Option<bool>,
    /// `conditions.terminating`, which is false where nothing is written.
    pub terminating: Option<bool>,
}

/// Where there is at least one endpoint of a kind.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Places {
    /// Sorted, each once.
    nodes: Box<[MemberId]>,
    /// On these nodes or on one that is not named.
    anywhere: bool,
}

/// Where a Service can be served.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Serving {
    /// With an endpoint of their own.
    pub(super) nodes: BTreeSet<MemberId>,
    /// By anybody.
    pub(super) anywhere: bool,
}

/// The slices of all Services.
#[derive(Clone, Debug, Default)]
pub(super) struct Endpoints {
    /// Which Service each slice belongs to: a slice can change sides.
    homes: BTreeMap<SliceKey, Arc<str>>,
    slices: BTreeMap<ServiceKey, Vec<EndpointSlice>>,
}

impl EndpointSlice {
    /// What is to be kept of a slice.
    pub fn new<'a>(
        key: SliceKey,
        service: Arc<str>,
        family: Family,
        endpoints: impl IntoIterator<Item = Endpoint<'a>>,
    ) -> Self {
        let (mut ready, mut terminating) = (vec![], vec![]);
        for endpoint in endpoints {
            let member = endpoint.node.filter(|node| !node.is_empty()).map(MemberId::of);
            let is_ready = endpoint.ready.unwrap_or(true);
            if is_ready {
                ready.push(member);
            } else if endpoint.serving == Some(true) && endpoint.terminating == Some(true) {
                terminating.push(member);
            }
        }
        Self { key, service, family, ready: Places::new(ready), terminating: Places::new(terminating) }
    }

    fn owner(&self) -> ServiceKey {
        owner(&self.key, &self.service)
    }
}

impl Places {
    fn new(members: Vec<Option<MemberId>>) -> Self {
        let anywhere = !members.is_empty();
        let nodes: BTreeSet<_> = members.into_iter().flatten().collect();
        Self { nodes: nodes.into_iter().collect(), anywhere }
    }
}

impl Endpoints {
    /// Takes a slice that is new or not as it was; says whose endpoints changed.
    pub(super) fn apply(&mut self, slice: EndpointSlice) -> BTreeSet<ServiceKey> {
        let owner = slice.owner();
        let mut touched = BTreeSet::new();
        if self.homes.get(&slice.key).is_some_and(|home| *home != slice.service) {
            touched.extend(self.remove(&slice.key));
        }
        self.homes.insert(slice.key.clone(), slice.service.clone());
        let slices = self.slices.entry(owner.clone()).or_insert_with(|| Vec::with_capacity(1));
        let changed = match slices.iter_mut().find(|known| known.key == slice.key) {
            Some(known) => mem::replace(known, slice.clone()) != slice,
            None => {
                slices.push(slice);
                true
            }
        };
        touched.extend(changed.then_some(owner));
        touched
    }

    /// A slice that is gone; says whose endpoints changed.
    pub(super) fn remove(&mut self, key: &SliceKey) -> Option<ServiceKey> {
        let owner = owner(key, &self.homes.remove(key)?);
        let slices = self.slices.get_mut(&owner)?;
        slices.retain(|slice| slice.key != *key);
        if slices.is_empty() {
            self.slices.remove(&owner);
        }
        Some(owner)
    }

    /// All slices there are; says whose endpoints changed.
    pub(super) fn replace(&mut self, slices: Vec<EndpointSlice>) -> BTreeSet<ServiceKey> {
        let there: BTreeSet<_> = slices.iter().map(|slice| slice.key.clone()).collect();
        let gone: Vec<_> = self.homes.keys().filter(|key| !there.contains(key)).cloned().collect();
        let mut touched: BTreeSet<_> = gone.iter().filter_map(|key| self.remove(key)).collect();
        for slice in slices {
            touched.extend(self.apply(slice));
        }
        touched
    }

    /// Where a Service can be served. Those that terminate count where there are no others, as with kube-proxy.
    pub(super) fn serving(&self, service: &ServiceKey, family: Family) -> Serving {
        let slices = self.slices.get(service).into_iter().flatten();
        let slices = || slices.clone().filter(|slice| slice.family == family);
        let ready = Serving::of(slices().map(|slice| &slice.ready));
        let terminating = || Serving::of(slices().map(|slice| &slice.terminating));
        if ready.nodes.is_empty() {
            let terminating = terminating();
            let anywhere = ready.anywhere || terminating.anywhere;
            return Serving { anywhere, ..terminating };
        }
        ready
    }
}

impl Serving {
    fn of<'a>(places: impl Iterator<Item = &'a Places>) -> Self {
        places.fold(Self::default(), |mut all, places| {
            all.nodes.extend(&*places.nodes);
            all.anywhere |= places.anywhere;
            all
        })
    }
}

fn owner(key: &SliceKey, service: &str) -> ServiceKey {
    ServiceKey { namespace: key.namespace.as_ref().into(), name: service.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(node: &str, [ready, serving, terminating]: [Option<bool>; 3]) -> Endpoint<'_> {
        Endpoint { node: Some(node).filter(|node| !node.is_empty()), ready, serving, terminating }
    }

    fn slice(name: &str, family: Family, endpoints: &[Endpoint<'_>]) -> EndpointSlice {
        let key = SliceKey { namespace: "default".into(), name: name.into() };
        EndpointSlice::new(key, "web".into(), family, endpoints.iter().copied())
    }

    fn serving(slices: Vec<EndpointSlice>, family: Family) -> Serving {
        let mut endpoints = Endpoints::default();
        endpoints.replace(slices);
        endpoints.serving(&ServiceKey { namespace: "default".into(), name: "web".into() }, family)
    }

    fn on(nodes: &[&str], anywhere: bool) -> Serving {
        Serving { nodes: nodes.iter().map(|node| MemberId::of(node)).collect(), anywhere }
    }

    const READY: [Option<bool>; 3] = [Some(true), Some(true), Some(false)];
    const LEAVING: [Option<bool>; 3] = [Some(false), Some(true), Some(true)];
    const GONE: [Option<bool>; 3] = [Some(false), Some(false), Some(true)];
    const STARTING: [Option<bool>; 3] = [Some(false), Some(false), Some(false)];
    /// Ready only for those who say that they want endpoints that are not.
    const SERVING: [Option<bool>; 3] = [Some(false), Some(true), None];

    #[test]
    fn all_slices_of_a_family_count_together_and_those_that_terminate_only_where_no_other_is_left() {
        use Family::{V4, V6};
        let slices = vec![
            slice("web-1", V4, &[at("a", READY), at("a", READY), at("b", LEAVING), at("x", STARTING)]),
            slice("web-2", V4, &[at("c", [None; 3]), at("x", SERVING)]),
            slice("web-3", V6, &[at("d", LEAVING), at("x", GONE)]),
        ];
        assert_eq!(serving(slices.clone(), V4), on(&["a", "c"], true));
        assert_eq!(serving(slices, V6), on(&["d"], true));
        assert_eq!(serving(vec![slice("web-1", V4, &[at("x", GONE)])], V4), on(&[], false));
        assert_eq!(serving(vec![slice("web-1", V4, &[at("", READY)])], V4), on(&[], true));
        assert_eq!(serving(vec![], V4), on(&[], false));
    }

    #[test]
    fn only_what_matters_is_a_change() {
        let mut endpoints = Endpoints::default();
        let web = BTreeSet::from([ServiceKey { namespace: "default".into(), name: "web".into() }]);
        let db = ServiceKey { namespace: "default".into(), name: "db".into() };
        let first = slice("web-1", Family::V4, &[at("a", READY)]);
        let moved = EndpointSlice { service: "db".into(), ..first.clone() };
        let twice = slice("web-1", Family::V4, &[at("a", READY), at("a", READY), at("b", STARTING)]);
        assert_eq!(endpoints.apply(first.clone()), web);
        assert_eq!(endpoints.apply(twice), BTreeSet::new());
        assert_eq!(endpoints.apply(moved), web.union(&[db.clone()].into()).cloned().collect());
        assert_eq!(endpoints.remove(&first.key), Some(db));
        assert_eq!(endpoints.remove(&first.key), None);
        assert!(endpoints.slices.is_empty() && endpoints.homes.is_empty());
    }
}

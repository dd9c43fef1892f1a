//! A Service as the allocator keeps it: what it wants, what it holds, and with whom it would share.

use std::net::IpAddr;
use std::sync::Arc;

use super::family::Family;
use super::labels::Labels;
use super::request::RequestSource;
use super::service::{Assignment, FamilyPolicy, Port, ServiceKey, ServiceView, Standing, TrafficPolicy};

/// Age, then name: who comes first in every conflict.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Rank(Arc<(i64, ServiceKey)>);

impl Rank {
    pub(super) fn of(view: &ServiceView) -> Self {
        Self(Arc::new((view.created, view.key.clone())))
    }

    pub(super) fn key(&self) -> &ServiceKey {
        &self.0.1
    }
}

/// Something that a Service wants.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Want {
    /// This address.
    Address(IpAddr),
    /// Some address of a family.
    Family(Family),
    /// Some address: IPv4 if there is one.
    AnyFamily,
    /// An address of a family in which the Service has no cluster IP: nothing could answer there.
    Lacking(Family),
}

impl Want {
    pub(super) fn is_met_by(self, address: IpAddr) -> bool {
        match self {
            Self::Address(wanted) => wanted == address,
            Self::Family(family) => Family::of(address) == family,
            Self::AnyFamily => true,
            Self::Lacking(_) => false,
        }
    }

    /// The families to look in, where no address is named.
    pub(super) fn families(self) -> &'static [Family] {
        match self {
            Self::Family(Family::V4) => &[Family::V4],
            Self::Family(Family::V6) => &[Family::V6],
            Self::AnyFamily => &[Family::V4, Family::V6],
            Self::Address(_) | Self::Lacking(_) => &[],
        }
    }
}

/// Who can share an address: all of one class, with disjoint ports.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Class {
    /// MetalLB: the same sharing key. `None`: shared as kube-vip does, or not at all.
    pub(super) key: Option<String>,
    pub(super) backends: Backends,
}

/// One node answers for a shared address, so all who share it must be served by the same nodes.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Backends {
    /// By all.
    Cluster,
    /// By those with an endpoint of this selector in this namespace.
    Local { namespace: Arc<str>, selector: Labels },
    /// By nodes that only this Service knows: it has no selector.
    Own(ServiceKey),
}

impl Class {
    fn of(view: &ServiceView) -> Self {
        let namespace = || view.key.namespace.clone();
        let backends = match &view.traffic {
            TrafficPolicy::Cluster => Backends::Cluster,
            TrafficPolicy::Local { selector } if selector.is_empty() => Backends::Own(view.key.clone()),
            TrafficPolicy::Local { selector } => {
                Backends::Local { namespace: namespace(), selector: selector.clone() }
            }
        };
        Self { key: view.sharing_key.clone().filter(|key| !key.is_empty()), backends }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) want: Want,
    pub(super) held: Option<Assignment>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) view: Arc<ServiceView>,
    pub(super) rank: Rank,
    pub(super) class: Class,
    /// Sorted, each once.
    pub(super) ports: Vec<Port>,
    pub(super) slots: Vec<Slot>,
}

impl Entry {
    pub(super) fn new(view: Arc<ServiceView>) -> Self {
        let mut ports = view.ports.clone();
        ports.sort_unstable();
        ports.dedup();
        let wants = if view.standing == Standing::Ours { wants(&view) } else { vec![] };
        let slots = wants.into_iter().map(|want| Slot { want, held: None }).collect();
        Self { rank: Rank::of(&view), class: Class::of(&view), ports, slots, view }
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.held().map(|held| held.address)
    }

    pub(super) fn held(&self) -> impl Iterator<Item = &Assignment> + '_ {
        self.slots.iter().filter_map(|slot| slot.held.as_ref())
    }

    pub(super) fn is_served(&self) -> bool {
        self.slots.iter().all(|slot| slot.held.is_some())
    }

    /// Whether it names an address: these are served before those that take any.
    pub(super) fn names_an_address(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot.want, Want::Address(_)))
    }

    pub(super) fn wants_all_or_none(&self) -> bool {
        self.view.family_policy == FamilyPolicy::RequireDualStack
    }

    /// Whether it asks for `address` in a way in which kube-vip would let several have it.
    pub(super) fn asks_as_kube_vip(&self, address: IpAddr) -> bool {
        self.view.request.as_ref().is_some_and(|request| {
            matches!(request.source, RequestSource::KubeVip | RequestSource::Spec)
                && request.addresses.contains(&address)
        })
    }
}

fn wants(view: &ServiceView) -> Vec<Want> {
    let Some(request) = &view.request else { return families(view) };
    let mut wants: Vec<_> = request.addresses.iter().map(|&address| named(view, address)).collect();
    if view.family_policy == FamilyPolicy::RequireDualStack && !wants.is_empty() {
        let rest =
            families(view).into_iter().filter(|want| !request.addresses.iter().any(|&it| want.is_met_by(it)));
        wants.extend(rest);
    }
    wants
}

fn named(view: &ServiceView, address: IpAddr) -> Want {
    let family = Family::of(address);
    let reachable = view.families.is_empty() || view.families.contains(&family);
    if reachable { Want::Address(address) } else { Want::Lacking(family) }
}

fn families(view: &ServiceView) -> Vec<Want> {
    let known = |family: &Family| view.families.contains(family);
    let both = [Family::V4, Family::V6];
    match (view.family_policy, view.families.first()) {
        (FamilyPolicy::SingleStack, None) => vec![Want::AnyFamily],
        (FamilyPolicy::SingleStack, Some(&family)) => vec![Want::Family(family)],
        (FamilyPolicy::PreferDualStack | FamilyPolicy::RequireDualStack, None) => {
            both.map(Want::Family).to_vec()
        }
        (FamilyPolicy::PreferDualStack, Some(_)) => distinct(view).map(Want::Family).collect(),
        (FamilyPolicy::RequireDualStack, Some(_)) => {
            let lacking = both.into_iter().filter(|family| !known(family)).map(Want::Lacking);
            distinct(view).map(Want::Family).chain(lacking).collect()
        }
    }
}

/// The Service's families, the primary one first.
fn distinct(view: &ServiceView) -> impl Iterator<Item = Family> + '_ {
    let (first, rest) =
        view.families.split_first().map_or((None, &[][..]), |(first, rest)| (Some(*first), rest));
    let second = rest.iter().copied().find(move |&family| Some(family) != first);
    first.into_iter().chain(second)
}

//! What the allocator should do, written down slowly and obviously: every step walks everything.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use vipcast_proto::ipam::{
    Assignment, Family, FamilyPolicy, Forbidden, Pool, Range, RequestSource, Requests, SearchOrder,
    ServiceKey, ServiceView, Settings, Source, Standing, TrafficPolicy, Want,
};

pub(crate) type Held = BTreeMap<ServiceKey, Vec<Option<Assignment>>>;

pub(crate) struct Model<'a> {
    pub(crate) settings: Settings,
    pub(crate) pools: &'a [Pool],
    pub(crate) forbidden: &'a Forbidden,
    pub(crate) views: &'a BTreeMap<ServiceKey, Arc<ServiceView>>,
    /// What each is remembered to have.
    pub(crate) memory: &'a BTreeMap<ServiceKey, Vec<Assignment>>,
    /// Whose views say something new.
    pub(crate) fresh: &'a BTreeSet<ServiceKey>,
}

impl Model<'_> {
    pub(crate) fn settle(&self) -> Held {
        let mut ours: Vec<_> = self.views.values().filter(|view| view.standing == Standing::Ours).collect();
        ours.sort_by_key(|view| (view.created, view.key.clone()));
        let mut held: Held =
            ours.iter().map(|view| (view.key.clone(), vec![None; wants(view).len()])).collect();
        for view in &ours {
            self.keep(view, &mut held);
        }
        let (named, others): (Vec<_>, Vec<_>) = ours
            .into_iter()
            .partition(|view| wants(view).iter().any(|want| matches!(want, Want::Address(_))));
        for view in named.into_iter().chain(others) {
            self.fill(view, &mut held);
        }
        held
    }

    fn keep(&self, view: &ServiceView, held: &mut Held) {
        for (slot, want) in wants(view).into_iter().enumerate() {
            let claim = self.claims(view).into_iter().find(|(claim, live)| {
                meets(want, claim.address)
                    && !held[&view.key].iter().flatten().any(|it| it.address == claim.address)
                    && self.forbidden.reason(claim.address).is_none()
                    && !self.is_sent_elsewhere(view, claim)
                    && (*live || self.permits(view, claim.address))
                    && !self.is_foreign(claim.address)
                    && self.at(claim.address, held).iter().all(|other| fit(view, other))
            });
            held.get_mut(&view.key).unwrap()[slot] = claim.map(|(claim, _)| self.named(view, claim));
        }
    }

    fn fill(&self, view: &ServiceView, held: &mut Held) {
        let empty: Vec<_> = held[&view.key].iter().map(Option::is_none).collect();
        let empty = || wants(view).into_iter().enumerate().filter(|(slot, _)| empty[*slot]);
        let found: Vec<_> = empty().map(|(slot, want)| (slot, self.choose(view, want, held))).collect();
        let all = found.iter().all(|(_, choice)| choice.is_some());
        if view.family_policy == FamilyPolicy::RequireDualStack && !all {
            return;
        }
        for (slot, choice) in found {
            held.get_mut(&view.key).unwrap()[slot] = choice.map(|choice| self.named(view, choice));
        }
    }

    fn choose(&self, view: &ServiceView, want: Want, held: &Held) -> Option<Assignment> {
        match want {
            Want::Address(address) => self.ask(view, address, held),
            Want::Family(family) => self.any(view, family, held),
            Want::AnyFamily => self.any(view, Family::V4, held).or_else(|| self.any(view, Family::V6, held)),
            Want::Lacking(_) => None,
        }
    }

    fn ask(&self, view: &ServiceView, address: IpAddr, held: &Held) -> Option<Assignment> {
        let wanted = view.pool.as_ref().map(|name| self.by_name(name));
        let granted = self.forbidden.reason(address).is_none()
            && wanted.is_none_or(|pool| pool.is_some_and(|pool| pool.ranges.contains(address)))
            && self.permits(view, address)
            && !self.is_foreign(address)
            && self.joins(view, address, held);
        granted.then_some(Assignment { address, pool: None })
    }

    fn any(&self, view: &ServiceView, family: Family, held: &Held) -> Option<Assignment> {
        self.candidates(view).into_iter().find_map(|pool| {
            let given = || self.given(pool, family);
            let share = self.shares(view, pool, family);
            let used = |address: &IpAddr| !self.at(*address, held).is_empty() || self.is_foreign(*address);
            let room = |address: &IpAddr| {
                share
                    && !self.at(*address, held).is_empty()
                    && !self.is_foreign(*address)
                    && self.joins(view, *address, held)
            };
            let address =
                given().into_iter().find(room).or_else(|| given().into_iter().find(|it| !used(it)))?;
            Some(Assignment { address, pool: Some(pool.id.name.clone()) })
        })
    }

    fn given(&self, pool: &Pool, family: Family) -> Vec<IpAddr> {
        let ranges = pool.ranges.as_slice().iter().filter(|range| range.family() == family);
        let mut all: Vec<_> = ranges.flat_map(|&range| expanded(range)).collect();
        all.retain(|&address| !pool.avoids(address) && self.forbidden.reason(address).is_none());
        if pool.order == SearchOrder::Descending {
            all.reverse();
        }
        all
    }

    fn candidates(&self, view: &ServiceView) -> Vec<&Pool> {
        if let Some(name) = &view.pool {
            return self
                .by_name(name)
                .filter(|pool| pool.selection.exclusion(view).is_none())
                .into_iter()
                .collect();
        }
        let own = |pool: &Pool| {
            pool.id.source == Source::KubeVip
                && pool.selection.namespaces.contains(view.key.namespace.as_ref())
        };
        let has_own = self.pools.iter().any(own);
        let mut open: Vec<_> = self.pools.iter().collect();
        open.retain(|pool| pool.auto_assign && pool.selection.exclusion(view).is_none());
        open.retain(|pool| !(has_own && pool.id.source == Source::KubeVip && !pool.selection.is_narrow()));
        open.sort_by_key(|pool| place(pool));
        open
    }

    fn permits(&self, view: &ServiceView, address: IpAddr) -> bool {
        let serves = |pool: &&Pool| {
            pool.ranges.contains(address) && !pool.avoids(address) && pool.selection.exclusion(view).is_none()
        };
        self.settings.requests == Requests::Anywhere || self.pools.iter().any(|pool| serves(&pool))
    }

    fn is_sent_elsewhere(&self, view: &ServiceView, claim: &Assignment) -> bool {
        let Some(pool) = view.pool.as_ref().and_then(|name| self.by_name(name)) else { return false };
        claim.pool.as_ref().is_some_and(|came_from| *came_from != pool.id.name)
            && !pool.ranges.contains(claim.address)
    }

    fn by_name(&self, name: &str) -> Option<&Pool> {
        self.pools.iter().filter(|pool| &*pool.id.name == name).min_by_key(|pool| pool.id.source)
    }

    /// Remembered, in the status, in the annotation; and whether it is more than an annotation.
    fn claims(&self, view: &ServiceView) -> Vec<(Assignment, bool)> {
        let mut claims: Vec<_> =
            self.memory.get(&view.key).into_iter().flatten().map(|it| (it.clone(), true)).collect();
        if !self.fresh.contains(&view.key) {
            return claims;
        }
        for &address in &view.ingress {
            let record = view.record.iter().find(|it| it.address == address);
            claims.push((Assignment { address, pool: record.and_then(|it| it.pool.clone()) }, true));
        }
        claims.extend(view.record.iter().map(|it| (it.clone(), false)));
        claims
    }

    fn named(&self, view: &ServiceView, assignment: Assignment) -> Assignment {
        let mut having: Vec<_> =
            self.pools.iter().filter(|pool| pool.ranges.contains(assignment.address)).collect();
        having.sort_by_key(|pool| place(pool));
        let asked = view.pool.as_deref().map(Arc::from);
        let pool = asked.or(assignment.pool).or_else(|| having.first().map(|pool| pool.id.name.clone()));
        Assignment { address: assignment.address, pool }
    }

    pub(crate) fn at(&self, address: IpAddr, held: &Held) -> Vec<&ServiceView> {
        let has = |key: &&ServiceKey| held[*key].iter().flatten().any(|it| it.address == address);
        held.keys().filter(has).map(|key| &*self.views[key]).collect()
    }

    fn is_foreign(&self, address: IpAddr) -> bool {
        self.views.values().any(|view| view.standing == Standing::Foreign && view.ingress.contains(&address))
    }

    fn joins(&self, view: &ServiceView, address: IpAddr, held: &Held) -> bool {
        let others = self.at(address, held);
        let open = |view: &ServiceView| self.is_open(view, address);
        others.iter().all(|other| fit(view, other) && open(view) && open(other))
    }

    fn is_open(&self, view: &ServiceView, address: IpAddr) -> bool {
        let asks = self.settings.share_requested
            && view.request.as_ref().is_some_and(|request| {
                request.source != RequestSource::MetalLb && request.addresses.contains(&address)
            });
        let pools = self.pools.iter().filter(|pool| pool.ranges.contains(address));
        has_key(view).is_some()
            || asks
            || pools.into_iter().any(|pool| self.shares(view, pool, Family::of(address)))
    }

    fn shares(&self, view: &ServiceView, pool: &Pool, family: Family) -> bool {
        let allowed = pool.allow_share.of(&view.key.namespace) == Some(&true) && family == Family::V4;
        has_key(view).is_some() || allowed
    }
}

/// Whether two can have one address, if both want to.
pub(crate) fn fit(a: &ServiceView, b: &ServiceView) -> bool {
    let nodes = match (&a.traffic, &b.traffic) {
        (TrafficPolicy::Cluster, TrafficPolicy::Cluster) => true,
        (TrafficPolicy::Local { selector: a_pods }, TrafficPolicy::Local { selector: b_pods }) => {
            !a_pods.is_empty() && a_pods == b_pods && a.key.namespace == b.key.namespace
        }
        (TrafficPolicy::Cluster, TrafficPolicy::Local { .. })
        | (TrafficPolicy::Local { .. }, TrafficPolicy::Cluster) => false,
    };
    let disjoint = !a.ports.iter().any(|port| b.ports.contains(port));
    nodes && disjoint && !a.ports.is_empty() && !b.ports.is_empty() && has_key(a) == has_key(b)
}

pub(crate) fn wants(view: &ServiceView) -> Vec<Want> {
    let unknown = view.families.is_empty();
    let dual = view.family_policy != FamilyPolicy::SingleStack;
    let mut families = vec![];
    for &family in &view.families {
        if families.is_empty() || (dual && !families.contains(&Want::Family(family))) {
            families.push(Want::Family(family));
        }
    }
    if unknown {
        families = if dual {
            vec![Want::Family(Family::V4), Want::Family(Family::V6)]
        } else {
            vec![Want::AnyFamily]
        };
    }
    if view.family_policy == FamilyPolicy::RequireDualStack && families.len() == 1 {
        families.extend(
            [Family::V4, Family::V6].into_iter().filter(|it| !view.families.contains(it)).map(Want::Lacking),
        );
    }
    let Some(request) = &view.request else { return families };
    let reachable = |address: IpAddr| unknown || view.families.contains(&Family::of(address));
    let asked = request.addresses.iter();
    let mut wants: Vec<_> = asked
        .map(|&it| if reachable(it) { Want::Address(it) } else { Want::Lacking(Family::of(it)) })
        .collect();
    if view.family_policy == FamilyPolicy::RequireDualStack && !wants.is_empty() {
        let asked: BTreeSet<_> = request.addresses.iter().map(|&it| Family::of(it)).collect();
        let of = |want: &Want| match *want {
            Want::Family(family) => asked.contains(&family),
            Want::Lacking(_) | Want::Address(_) | Want::AnyFamily => false,
        };
        families.retain(|want| !of(want));
        wants.extend(families);
    }
    wants
}

fn meets(want: Want, address: IpAddr) -> bool {
    match want {
        Want::Address(wanted) => wanted == address,
        Want::Family(family) => family == Family::of(address),
        Want::AnyFamily => true,
        Want::Lacking(_) => false,
    }
}

fn has_key(view: &ServiceView) -> Option<&str> {
    view.sharing_key.as_deref().filter(|key| !key.is_empty())
}

fn place(pool: &Pool) -> impl Ord + use<> {
    (!pool.selection.is_narrow(), pool.priority.unwrap_or(u32::MAX), pool.id.clone())
}

fn expanded(range: Range) -> Vec<IpAddr> {
    let mut all = vec![];
    let mut next = range.first();
    while next <= range.last() {
        all.push(next);
        next = match next {
            IpAddr::V4(address) => std::net::Ipv4Addr::from_bits(address.to_bits() + 1).into(),
            IpAddr::V6(address) => std::net::Ipv6Addr::from_bits(address.to_bits() + 1).into(),
        };
    }
    all
}

//! What holds after any events: the slow model agrees, nothing is given twice, and who has an address keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use vipcast_proto::ipam::{
    Assignment, Changes, Family, FamilyPolicy, Forbidden, ForbiddenReason, Ipam, PerNamespace, Pool, PoolId,
    Port, Protocol, Range, Request, RequestFields, Requests, SearchOrder, Selection, ServiceKey, ServiceView,
    Settings, Source, Standing, TrafficPolicy,
};

use crate::model::{Held, Model, fit};
use crate::support::{ip, key, labels, written};

#[derive(Clone, Debug)]
enum Event {
    Upsert(Arc<ServiceView>),
    /// As it was, with what was decided written: the usual echo.
    Echo(ServiceKey),
    Remove(ServiceKey),
    SetPools(Vec<Pool>),
    SetForbidden(Forbidden),
    /// The list after a lost watch.
    Load(Vec<Arc<ServiceView>>),
}

/// The allocator, the model, and what both have been told.
struct World {
    settings: Settings,
    ipam: Ipam,
    pools: Vec<Pool>,
    forbidden: Forbidden,
    views: BTreeMap<ServiceKey, Arc<ServiceView>>,
    held: Held,
}

impl World {
    fn new(settings: Settings, pools: Vec<Pool>) -> Self {
        let pools = distinct(pools);
        let forbidden = Forbidden::default();
        let ipam = Ipam::new(settings, pools.clone(), forbidden.clone());
        Self { settings, ipam, pools, forbidden, views: BTreeMap::new(), held: Held::new() }
    }

    fn step(&mut self, event: Event) -> Result<(), TestCaseError> {
        let before = self.held.clone();
        let mut memory: BTreeMap<_, Vec<_>> = before
            .iter()
            .map(|(key, held)| (key.clone(), held.iter().flatten().cloned().collect()))
            .collect();
        let known = self.views.clone();
        let (about, changes) = self.tell(event, &mut memory);
        let is_fresh = |(key, view): &(&ServiceKey, &Arc<ServiceView>)| known.get(*key) != Some(*view);
        let fresh = self.views.iter().filter(is_fresh).map(|(key, _)| key.clone()).collect();
        self.held = self.model(&memory, &fresh).settle();
        self.agrees()?;
        self.is_unique()?;
        self.is_stable(&before, &about)?;
        self.told_whom(&before, &changes)?;
        self.is_what_a_new_one_decides()
    }

    /// Tells both; says whom it was about, and who the allocator says was changed.
    fn tell(
        &mut self,
        event: Event,
        memory: &mut BTreeMap<ServiceKey, Vec<Assignment>>,
    ) -> (BTreeSet<ServiceKey>, Changes) {
        match event {
            Event::Upsert(view) => self.upsert(view, memory),
            Event::Echo(key) => match self.views.get(&key) {
                Some(view) => {
                    let one = [(key, view.clone())].into();
                    self.upsert(written(&self.ipam, &one).remove(0), memory)
                }
                None => Default::default(),
            },
            Event::Remove(key) => {
                self.views.remove(&key);
                memory.remove(&key);
                ([key.clone()].into(), self.ipam.remove(&key))
            }
            Event::SetPools(pools) => {
                self.pools = distinct(pools);
                (BTreeSet::new(), self.ipam.set_pools(self.pools.clone()))
            }
            Event::SetForbidden(forbidden) => {
                self.forbidden = forbidden.clone();
                (self.views.keys().cloned().collect(), self.ipam.set_forbidden(forbidden))
            }
            Event::Load(views) => {
                let about = self.views.keys().cloned().chain(views.iter().map(|it| it.key.clone())).collect();
                let now: BTreeMap<_, _> = views.into_iter().map(|view| (view.key.clone(), view)).collect();
                memory.retain(|key, _| now.get(key).is_some_and(|view| view.uid == self.views[key].uid));
                self.views = now;
                (about, self.ipam.load(self.views.values().cloned()))
            }
        }
    }

    fn upsert(
        &mut self,
        view: Arc<ServiceView>,
        memory: &mut BTreeMap<ServiceKey, Vec<Assignment>>,
    ) -> (BTreeSet<ServiceKey>, Changes) {
        let known = self.views.insert(view.key.clone(), view.clone());
        if known.is_some_and(|known| known.uid != view.uid) {
            memory.remove(&view.key);
        }
        ([view.key.clone()].into(), self.ipam.upsert(view))
    }

    fn model<'a>(
        &'a self,
        memory: &'a BTreeMap<ServiceKey, Vec<Assignment>>,
        fresh: &'a BTreeSet<ServiceKey>,
    ) -> Model<'a> {
        let Self { settings, pools, forbidden, views, .. } = self;
        Model { settings: *settings, pools, forbidden, views, memory, fresh }
    }

    fn agrees(&self) -> Result<(), TestCaseError> {
        let decided = |key: &ServiceKey| {
            let assigned = self.ipam.decision(key).unwrap().assigned.into_iter();
            assigned.map(|it| Assignment { address: it.address, pool: it.pool }).collect::<Vec<_>>()
        };
        let ours: BTreeMap<_, _> = self.held.keys().map(|key| (key, decided(key))).collect();
        let model: BTreeMap<_, Vec<_>> =
            self.held.iter().map(|(key, held)| (key, held.iter().flatten().cloned().collect())).collect();
        prop_assert_eq!(ours, model);
        Ok(())
    }

    /// Nobody has a forbidden address, or one of somebody with whom it cannot share.
    fn is_unique(&self) -> Result<(), TestCaseError> {
        let mut holders: BTreeMap<IpAddr, Vec<&ServiceView>> = BTreeMap::new();
        for view in self.views.values() {
            let ours = self.ipam.addresses(&view.key);
            let foreign = view.ingress.iter().copied().filter(|_| view.standing == Standing::Foreign);
            for address in ours.chain(foreign) {
                let others = holders.entry(address).or_default();
                let alone = |view: &ServiceView| view.standing == Standing::Foreign;
                let apart = others.iter().all(|other| (alone(view) && alone(other)) || fit(view, other));
                let mixed = others.iter().any(|other| alone(view) != alone(other));
                prop_assert!(apart && !mixed, "{address} given to {} and others", view.key);
                prop_assert!(alone(view) || self.forbidden.reason(address).is_none());
                others.push(view);
            }
        }
        Ok(())
    }

    /// Only the Service itself, an older one or one that is not ours takes an address from it.
    fn is_stable(&self, before: &Held, about: &BTreeSet<ServiceKey>) -> Result<(), TestCaseError> {
        for (key, held) in before.iter().filter(|(key, _)| !about.contains(*key)) {
            for lost in held.iter().flatten().map(|it| it.address) {
                let view = &self.views[key];
                let taken_by = |other: &ServiceView| match other.standing {
                    Standing::Foreign => other.ingress.contains(&lost),
                    Standing::Ours => {
                        (other.created, &other.key) < (view.created, key)
                            && self.ipam.addresses(&other.key).any(|it| it == lost)
                    }
                };
                let kept = self.ipam.addresses(key).any(|it| it == lost);
                let by_one = about.iter().filter_map(|key| self.views.get(key)).any(|other| taken_by(other));
                prop_assert!(kept || by_one, "{key} lost {lost}");
            }
        }
        Ok(())
    }

    /// Everybody whose addresses changed is named, and nobody else but those that the event is about.
    fn told_whom(&self, before: &Held, changes: &Changes) -> Result<(), TestCaseError> {
        let moved = self.held.iter().filter(|(key, held)| {
            let had: Vec<_> = before.get(*key).into_iter().flatten().flatten().map(|it| it.address).collect();
            held.iter().flatten().map(|it| it.address).ne(had)
        });
        let moved: BTreeSet<_> = moved.map(|(key, _)| key.clone()).collect();
        prop_assert!(moved.is_subset(changes), "moved: {moved:?}, told: {changes:?}");
        Ok(())
    }

    /// Another allocator, elected now, decides the same from what the cluster has.
    fn is_what_a_new_one_decides(&self) -> Result<(), TestCaseError> {
        let mut other = Ipam::new(self.settings, self.pools.clone(), self.forbidden.clone());
        other.load(written(&self.ipam, &self.views));
        for key in self.views.keys() {
            prop_assert_eq!(self.ipam.decision(key), other.decision(key));
        }
        prop_assert_eq!(self.ipam.reports(), other.reports());
        prop_assert_eq!(self.ipam.strays(), other.strays());
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn after_any_events_the_slow_model_agrees_and_nothing_is_given_twice_or_taken_away(
        settings in settings(),
        pools in vec(pool(), 0..5),
        events in vec(event(), 1..16),
    ) {
        let mut world = World::new(settings, pools);
        for event in events {
            world.step(event)?;
        }
    }

    #[test]
    fn a_list_decides_the_same_in_any_order(
        settings in settings(),
        pools in vec(pool(), 0..5),
        views in btree_map(name(), view(), 0..8),
    ) {
        let views: Vec<_> = views.into_iter().map(|(name, view)| Arc::new(ServiceView { key: key(name), ..view })).collect();
        let decided = |views: Vec<Arc<ServiceView>>| {
            let mut ipam = Ipam::new(settings, pools.clone(), Forbidden::default());
            ipam.load(views.clone());
            views.iter().map(|view| (view.key.clone(), ipam.decision(&view.key))).collect::<BTreeMap<_, _>>()
        };
        let reversed = views.iter().rev().cloned().collect();
        prop_assert_eq!(decided(views), decided(reversed));
    }
}

fn distinct(pools: Vec<Pool>) -> Vec<Pool> {
    let mut seen = BTreeSet::new();
    pools.into_iter().filter(|pool| seen.insert(pool.id.clone())).collect()
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => named_view().prop_map(Event::Upsert),
        3 => name().prop_map(|name| Event::Echo(key(name))),
        4 => name().prop_map(|name| Event::Remove(key(name))),
        2 => vec(pool(), 0..5).prop_map(Event::SetPools),
        1 => forbidden().prop_map(Event::SetForbidden),
        1 => vec(named_view(), 0..8).prop_map(Event::Load),
    ]
}

fn name() -> impl Strategy<Value = &'static str> {
    select(vec!["db/a", "db/b", "db/c", "web/a", "web/b", "web/c", "web/d"])
}

fn address() -> impl Strategy<Value = IpAddr> {
    let all =
        ["192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.7", "2001:db8::", "2001:db8::1"];
    select(all.map(ip).to_vec())
}

fn named_view() -> impl Strategy<Value = Arc<ServiceView>> {
    (name(), view()).prop_map(|(name, view)| Arc::new(ServiceView { key: key(name), ..view }))
}

prop_compose! {
    fn view()(
        (uid, created, foreign) in (select(vec!["1", "1", "1", "2"]), 0_i64..3, prop::bool::weighted(0.15)),
        (asks, by, wanted) in (prop::bool::weighted(0.3), 0..3, vec(address(), 1..3)),
        pool in option::weighted(0.15, select(vec!["p", "q", "cidr-web", "gone"])),
        sharing in option::weighted(0.25, select(vec!["x", "y", ""])),
        ports in vec((prop::bool::weighted(0.8), select(vec![53_u16, 80, 443])), 0..3),
        local in option::weighted(0.25, select(vec!["", "a", "b"])),
        policy in select(vec![FamilyPolicy::SingleStack, FamilyPolicy::SingleStack, FamilyPolicy::PreferDualStack, FamilyPolicy::RequireDualStack]),
        families in select(vec![vec![Family::V4], vec![Family::V4, Family::V6], vec![Family::V6, Family::V4], vec![]]),
        ingress in vec(address(), 0..3),
        has in prop::bool::weighted(0.3),
        record in vec((address(), option::of(select(vec!["p", "q"]))), 0..2),
    ) -> ServiceView {
        let text = wanted.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let text = Some(text.as_str()).filter(|_| asks);
        let fields = RequestFields {
            kube_vip: text.filter(|_| by == 0),
            metallb: text.filter(|_| by == 1),
            load_balancer_ip: text.filter(|_| by == 2),
            metallb_older: None,
        };
        let protocol = |tcp| if tcp { Protocol::Tcp } else { Protocol::Udp };
        ServiceView {
            key: key("web/a"),
            uid: uid.to_owned(),
            created,
            standing: if foreign { Standing::Foreign } else { Standing::Ours },
            labels: labels(&[]),
            namespace_labels: Arc::default(),
            request: Request::from_fields(fields),
            pool: pool.map(str::to_owned),
            sharing_key: sharing.map(str::to_owned),
            ports: ports.into_iter().map(|(tcp, number)| Port { protocol: protocol(tcp), number }).collect(),
            traffic: match local {
                None => TrafficPolicy::Cluster,
                Some("") => TrafficPolicy::Local { selector: labels(&[]) },
                Some(app) => TrafficPolicy::Local { selector: labels(&[("app", app)]) },
            },
            family_policy: policy,
            families,
            ingress: if has || foreign { ingress } else { vec![] },
            ports_shown: true,
            status_writer: None,
            record: record.into_iter().filter(|_| has).map(|(address, pool)| Assignment { address, pool: pool.map(Into::into) }).collect(),
        }
    }
}

prop_compose! {
    fn pool()(
        (source, name) in select(vec![
            (Source::Own, "p"), (Source::Own, "q"), (Source::MetalLb, "p"), (Source::MetalLb, "m"),
            (Source::KubeVip, "cidr-global"), (Source::KubeVip, "cidr-web"), (Source::KubeVip, "range-web"),
        ]),
        ranges in vec(select(vec![
            "192.0.2.0-192.0.2.1", "192.0.2.1-192.0.2.3", "192.0.2.2", "192.0.2.254/31", "2001:db8::/127", "2001:db8::1",
        ]), 1..3),
        narrow in prop::bool::weighted(0.2),
        priority in option::weighted(0.3, 1_u32..3),
        auto_assign in prop::bool::weighted(0.8),
        avoid_buggy in any::<bool>(),
        descending in prop::bool::weighted(0.3),
        share in option::weighted(0.4, select(vec!["web", "global"])),
    ) -> Pool {
        let ranges: Vec<Range> = ranges.into_iter().map(|text| text.parse().unwrap()).collect();
        let narrow = narrow || name.ends_with("-web");
        let namespaces = if narrow { [String::from("web")].into() } else { BTreeSet::new() };
        Pool {
            selection: Selection { namespaces, ..Selection::default() },
            priority,
            auto_assign: auto_assign || source == Source::KubeVip,
            avoid_buggy,
            order: if descending { SearchOrder::Descending } else { SearchOrder::Ascending },
            allow_share: match share {
                None => PerNamespace::default(),
                Some("global") => PerNamespace::global(true),
                Some(namespace) => PerNamespace { global: None, namespaces: [(namespace.to_owned(), true)].into() },
            },
            ..Pool::new(PoolId { source, name: name.into() }, ranges)
        }
    }
}

prop_compose! {
    fn forbidden()(addresses in vec(address(), 0..2), network in prop::bool::weighted(0.2)) -> Forbidden {
        let mut forbidden = Forbidden::default();
        for address in addresses {
            forbidden.address(address, ForbiddenReason::Gateway);
        }
        if network {
            let net = "192.0.2.2/31".parse().unwrap();
            forbidden.network(net, ForbiddenReason::PodNetwork(net));
        }
        forbidden
    }
}

prop_compose! {
    fn settings()(in_pools in any::<bool>(), share_requested in any::<bool>()) -> Settings {
        Settings { requests: if in_pools { Requests::InPools } else { Requests::Anywhere }, share_requested }
    }
}

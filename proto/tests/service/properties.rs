//! After any events the slow model agrees, and what changed is said, no more and no less.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use vipcast_proto::ipam::{Family, Forbidden, ForbiddenReason, Port, ServiceKey};
use vipcast_proto::service::{
    Catalog, Change, Changes, ENDPOINTLESS, Endpoint, EndpointSlice, Event, IGNORE, LEASE_NAME, Node,
    PREFERRED_NODES, Security, Service, SliceKey, Written,
};

use crate::model::{Model, Slice, State};
use crate::support::{OPTIONS, ip, labels, read, slice_key, written};

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there are few at a time")]
enum Step {
    Service(Written),
    NoService(&'static str),
    Services(Vec<Written>),
    Slice(&'static str, Slice),
    NoSlice(&'static str, &'static str),
    Slices(Vec<(&'static str, Slice)>),
    Node(Node),
    NoNode(&'static str),
    Nodes(Vec<Node>),
    Forbidden(bool),
}

/// The catalog, and what it has been told.
struct World {
    catalog: Catalog,
    model: Model,
}

impl World {
    fn new() -> Self {
        let mut catalog = Catalog::new(OPTIONS, Forbidden::default());
        let _ = catalog.handle(Event::Services(Change::Listed(vec![])));
        let _ = catalog.handle(Event::Slices(Change::Listed(vec![])));
        let _ = catalog.handle(Event::Nodes(Change::Listed(vec![])));
        Self { catalog, model: Model::default() }
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        let before = self.model.clone();
        let event = self.tell(step);
        let changes = self.catalog.handle(event);
        self.agrees()?;
        self.says_what_changed(&before, &changes)
    }

    /// Tells the model, and says it in the catalog's words.
    fn tell(&mut self, step: Step) -> Event {
        let model = &mut self.model;
        match step {
            Step::Service(written) => {
                let service = read(written);
                model.services.insert(service.key().clone(), service.clone());
                Event::Services(Change::Applied(service))
            }
            Step::NoService(name) => {
                let key = written(name, &[]).key;
                model.services.remove(&key);
                Event::Services(Change::Deleted(key))
            }
            Step::Services(all) => {
                let all: Vec<Service> = all.into_iter().map(read).collect();
                model.services = all.iter().map(|it| (it.key().clone(), it.clone())).collect();
                Event::Services(Change::Listed(model.services.values().cloned().collect()))
            }
            Step::Slice(name, slice) => {
                let key = slice_key("n", name);
                model.slices.insert(key.clone(), slice.clone());
                Event::Slices(Change::Applied(pruned(&key, &slice)))
            }
            Step::NoSlice(namespace, name) => {
                let key = slice_key(namespace, name);
                model.slices.remove(&key);
                Event::Slices(Change::Deleted(key))
            }
            Step::Slices(all) => {
                model.slices = all.into_iter().map(|(name, slice)| (slice_key("n", name), slice)).collect();
                let all = model.slices.iter().map(|(key, slice)| pruned(key, slice));
                Event::Slices(Change::Listed(all.collect()))
            }
            Step::Node(node) => {
                model.nodes.insert(node.name.clone(), node.clone());
                Event::Nodes(Change::Applied(node))
            }
            Step::NoNode(name) => {
                model.nodes.remove(name);
                Event::Nodes(Change::Deleted(name.to_owned()))
            }
            Step::Nodes(all) => {
                model.nodes = all.iter().map(|node| (node.name.clone(), node.clone())).collect();
                Event::Nodes(Change::Listed(model.nodes.values().cloned().collect()))
            }
            Step::Forbidden(is) => {
                model.given = Forbidden::default();
                if is {
                    model.given.address(ip(ADDRESSES[0]), ForbiddenReason::ControlPlane);
                }
                Event::Forbidden(model.given.clone())
            }
        }
    }

    fn agrees(&self) -> Result<(), TestCaseError> {
        let plans: std::collections::BTreeMap<_, _> =
            self.catalog.plans().map(|(address, plan)| (address, plan.as_ref().clone())).collect();
        prop_assert_eq!(&plans, &self.model.plans());
        for address in ADDRESSES.map(ip) {
            let forbidden = self.model.forbidden();
            prop_assert_eq!(self.catalog.forbidden().reason(address), forbidden.reason(address));
            for name in NODES {
                let barred = self.catalog.reasons(&address, name).iter().any(|reason| reason.bars());
                let planned = plans.contains_key(&address);
                prop_assert_eq!(self.catalog.is_eligible(&address, name), planned && !barred);
            }
        }
        for node in self.model.nodes.values() {
            prop_assert_eq!(self.catalog.weight(&node.name) == 0, self.model.is_unfit(node));
        }
        Ok(())
    }

    fn says_what_changed(&self, before: &Model, changes: &Changes) -> Result<(), TestCaseError> {
        let (old, new) = (before.plans(), self.model.plans());
        let addresses: BTreeSet<_> =
            ADDRESSES.map(ip).into_iter().filter(|at| old.get(at) != new.get(at)).collect();
        prop_assert_eq!(&changes.addresses, &addresses);
        let view =
            |model: &Model, key: &_| model.services.get(key).map(|service: &Service| service.view.clone());
        let keys = before.services.keys().chain(self.model.services.keys());
        let services = keys.filter(|key| view(before, key) != view(&self.model, key)).cloned().collect();
        prop_assert_eq!(&changes.services, &services);
        let unguarded = |at: &_| guards(before, *at) == guards(&self.model, *at);
        prop_assert!(ADDRESSES.map(ip).iter().all(|at| changes.guarded.contains(at) || unguarded(at)));
        prop_assert!(changes.guarded.is_empty() || before.services != self.model.services);
        let standing = |model: &Model, name: &str| {
            model.nodes.get(name).map(|node| (node.cordoned, self.health(model, node)))
        };
        let nodes = NODES.into_iter().filter(|name| standing(before, name) != standing(&self.model, name));
        prop_assert_eq!(&changes.nodes, &nodes.map(Into::into).collect());
        prop_assert!(changes.forbidden || before.forbidden() == self.model.forbidden());
        Ok(())
    }

    /// What is the matter with a node, where that counts.
    fn health(&self, model: &Model, node: &Node) -> Vec<bool> {
        let healthy = Node { excluded: false, ..node.clone() };
        let counts = model.is_unfit(&healthy);
        vec![node.excluded, counts && !node.ready, counts && node.network_unavailable]
    }
}

/// All that decides about who may reach an address.
fn guards(model: &Model, address: IpAddr) -> Vec<(&ServiceKey, &[Port], &[IpNet], Security)> {
    let ours = model.services.values().filter(|service| service.ownership.is_ours());
    let there = ours.filter(|service| service.view.ingress.contains(&address));
    there.map(|it| (it.key(), it.view.ports.as_slice(), it.source_ranges.as_slice(), it.security)).collect()
}

fn pruned(key: &SliceKey, slice: &Slice) -> EndpointSlice {
    let endpoints = slice.endpoints.iter().map(|&(node, state)| Endpoint {
        node,
        ready: Some(state == State::Ready),
        serving: Some(state != State::Idle),
        terminating: Some(state == State::Leaving),
    });
    EndpointSlice::new(key.clone(), slice.service.as_str().into(), slice.family, endpoints)
}

fn services() -> impl Strategy<Value = Written> {
    let annotations = btree_map(
        select(vec![ENDPOINTLESS, LEASE_NAME, PREFERRED_NODES, IGNORE]),
        select(vec!["true", "g", "disk=ssd", "disk"]),
        0..3,
    );
    let ingress = vec(select(ADDRESSES.to_vec()), 0..3);
    let local = option::of(Just("Local".to_owned()));
    let source_ranges = vec(Just("10.0.0.0/8".to_owned()), 0..2);
    let parts = (select(SERVICES.to_vec()), 0..2_i64, ingress, annotations, local, source_ranges);
    parts.prop_map(|(name, created, ingress, annotations, external_traffic_policy, source_ranges)| Written {
        created,
        source_ranges,
        annotations: annotations.into_iter().map(|(key, text)| (key.to_owned(), text.to_owned())).collect(),
        external_traffic_policy,
        ..written(name, &ingress)
    })
}

fn slices() -> impl Strategy<Value = (&'static str, Slice)> {
    let state = select(vec![State::Ready, State::Ready, State::Leaving, State::Idle]);
    let endpoints = vec((option::weighted(0.9, select(NODES.to_vec())), state), 0..4);
    let family = select(vec![Family::V4, Family::V4, Family::V6]);
    let service = select(vec!["web", "db", "dns"]);
    (select(SLICES.to_vec()), service, family, endpoints).prop_map(|(name, service, family, endpoints)| {
        (name, Slice { service: service.to_owned(), family, endpoints })
    })
}

fn nodes() -> impl Strategy<Value = Node> {
    let flags = [
        any::<bool>().boxed(),
        prop::bool::weighted(0.1).boxed(),
        prop::bool::weighted(0.3).boxed(),
        prop::bool::weighted(0.1).boxed(),
        any::<bool>().boxed(),
    ];
    let addresses = || vec(select(ADDRESSES.to_vec()).prop_map(ip), 0..3);
    let nets = vec(Just("10.244.0.0/24".parse().unwrap()), 0..2);
    let all = (select(NODES.to_vec()), flags, addresses(), addresses(), nets);
    all.prop_map(|(name, flags, addresses, external_addresses, pod_networks)| {
        let [ready, network_unavailable, cordoned, excluded, ssd] = flags;
        Node {
            name: name.to_owned(),
            ready,
            network_unavailable,
            out_of_service: false,
            cordoned,
            excluded,
            labels: if ssd { labels(&[("disk", "ssd")]) } else { labels(&[]) },
            addresses,
            external_addresses,
            pod_networks,
        }
    })
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => services().prop_map(Step::Service),
        2 => select(SERVICES.to_vec()).prop_map(Step::NoService),
        1 => vec(services(), 0..5).prop_map(Step::Services),
        6 => slices().prop_map(|(name, slice)| Step::Slice(name, slice)),
        2 => select(SLICES.to_vec()).prop_map(|name| Step::NoSlice("n", name)),
        1 => vec(slices(), 0..4).prop_map(Step::Slices),
        4 => nodes().prop_map(Step::Node),
        1 => select(NODES.to_vec()).prop_map(Step::NoNode),
        1 => vec(nodes(), 0..4).prop_map(Step::Nodes),
        1 => any::<bool>().prop_map(Step::Forbidden),
    ]
}

const SERVICES: [&str; 4] = ["n/web", "n/db", "n/dns", "m/web"];
const ADDRESSES: [&str; 5] = ["192.0.2.7", "192.0.2.8", "192.0.2.9", "10.244.0.9", "2001:db8::7"];
const NODES: [&str; 3] = ["a", "b", "c"];
const SLICES: [&str; 4] = ["s1", "s2", "s3", "s4"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn after_any_events_the_slow_model_agrees_and_all_that_changed_is_said(steps in vec(steps(), 1..24)) {
        let mut world = World::new();
        for step in steps {
            world.step(step)?;
        }
    }
}

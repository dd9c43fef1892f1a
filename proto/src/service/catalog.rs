//! What an event changes: views for the allocator, plans for the announcers, fitness of nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;

use super::endpoints::{EndpointSlice, Endpoints, SliceKey};
use super::index::Index;
use super::nodes::{Node, Nodes, Territory};
use super::object::Service;
use super::plan::{Plan, Planner, Reason};
use super::words::{Change, Changes, Event, Namespace};
use crate::ipam::{Family, Forbidden, Labels, ServiceKey, ServiceView};
use crate::placement::{MemberId, Weight};

/// What is a matter of taste.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Options {
    /// Whether `node.kubernetes.io/exclude-from-external-load-balancers` counts.
    pub exclusion: Exclusion,
    /// Whether labels of namespaces are needed.
    pub namespace_labels: NamespaceLabels,
}

/// Whether `node.kubernetes.io/exclude-from-external-load-balancers` counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exclusion {
    /// It does, as with MetalLB.
    Respected,
    /// It does not, as with kube-vip: kubeadm sets it on the nodes of the control plane.
    Ignored,
}

/// Whether labels of namespaces are needed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NamespaceLabels {
    /// They are: a pool selects by them.
    Needed,
    /// They are not.
    Unused,
}

/// What the cluster says, and what follows from it.
#[derive(Debug)]
pub struct Catalog {
    options: Options,
    given: Forbidden,
    index: Index,
    endpoints: Endpoints,
    nodes: Nodes,
    namespaces: BTreeMap<String, Arc<Labels>>,
    listed: Listed,
    complete: bool,
    work: u64,
    // What follows from these.
    plans: BTreeMap<IpAddr, Arc<Plan>>,
    unfit: BTreeMap<Arc<str>, Vec<Reason>>,
    cordoned: BTreeSet<MemberId>,
    territory: Territory,
    forbidden: Forbidden,
}

/// Which kinds had a complete list.
#[derive(Debug, Default)]
struct Listed {
    services: bool,
    slices: bool,
    nodes: bool,
    namespaces: bool,
}

/// What an event has touched.
#[derive(Debug, Default)]
struct Turn {
    changes: Changes,
    /// The addresses whose plan has to be made again.
    dirty: BTreeSet<IpAddr>,
    /// Nodes are not as they were.
    nodes: bool,
    /// What the Nodes' own addresses follow from is not as it was.
    territory: bool,
}

impl Catalog {
    /// One that knows nothing. `forbidden` is without the addresses of Nodes.
    #[must_use]
    pub fn new(options: Options, forbidden: Forbidden) -> Self {
        Self {
            options,
            given: forbidden.clone(),
            index: Index::default(),
            endpoints: Endpoints::default(),
            nodes: Nodes::default(),
            namespaces: BTreeMap::new(),
            listed: Listed::default(),
            complete: false,
            work: 0,
            plans: BTreeMap::new(),
            unfit: BTreeMap::new(),
            cordoned: BTreeSet::new(),
            territory: Territory::default(),
            forbidden,
        }
    }

    /// Takes what happened, and says what it changes.
    #[must_use = "whoever acts on it does not ask again"]
    pub fn handle(&mut self, event: Event) -> Changes {
        let mut turn = Turn::default();
        match event {
            Event::Services(change) => self.services_changed(change, &mut turn),
            Event::Slices(change) => self.slices_changed(change, &mut turn),
            Event::Nodes(change) => self.nodes_changed(change, &mut turn),
            Event::Namespaces(change) => self.namespaces_changed(change, &mut turn),
            Event::Forbidden(given) if given == self.given => {}
            Event::Forbidden(given) => {
                self.given = given;
                self.forbid(&mut turn);
                turn.dirty.extend(self.index.held());
            }
        }
        self.settle(turn)
    }

    /// Whether each kind had its list. While not, nothing is known of what does not exist, and there is no plan.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether the labels of namespaces are known, as far as they are needed: a pool may select by them.
    #[must_use]
    pub fn is_labelled(&self) -> bool {
        self.options.namespace_labels == NamespaceLabels::Unused || self.listed.namespaces
    }

    /// Whether the labels of a namespace are known, as far as they are needed. It and what is in it come by different watches.
    #[must_use]
    pub fn is_labelled_within(&self, namespace: &str) -> bool {
        self.options.namespace_labels == NamespaceLabels::Unused || self.namespaces.contains_key(namespace)
    }

    /// The kinds of which there was no complete list yet.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        let Listed { services, slices, nodes, namespaces: _ } = self.listed;
        let kinds = [
            (services, "Services"),
            (slices, "EndpointSlices"),
            (nodes, "Nodes"),
            (self.is_labelled(), "Namespaces"),
        ];
        kinds.into_iter().filter(|(listed, _)| !listed).map(|(_, kind)| kind)
    }

    /// What is to become of an address; `None`: no Service of ours has it.
    #[must_use]
    pub fn plan(&self, address: &IpAddr) -> Option<&Arc<Plan>> {
        self.plans.get(address)
    }

    /// The addresses that Services of ours have, and what is to become of them.
    pub fn plans(&self) -> impl Iterator<Item = (IpAddr, &Arc<Plan>)> + '_ {
        self.plans.iter().map(|(&address, plan)| (address, plan))
    }

    /// The addresses that Services of ours have.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.plans.keys().copied()
    }

    /// A Service that has to do with load balancers.
    #[must_use]
    pub fn service(&self, key: &ServiceKey) -> Option<&Service> {
        self.index.get(key)
    }

    /// What the allocator needs of a Service.
    #[must_use]
    pub fn view(&self, key: &ServiceKey) -> Option<Arc<ServiceView>> {
        self.index.get(key).map(|service| service.view.clone())
    }

    /// The Services that have to do with load balancers, ours or not.
    pub fn services(&self) -> impl Iterator<Item = &Service> + '_ {
        self.index.services()
    }

    /// The names of all Nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<str>> + '_ {
        self.nodes.names()
    }

    /// A Node.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// The addresses that no Service may have, those of Nodes among them.
    #[must_use]
    pub fn forbidden(&self) -> &Forbidden {
        &self.forbidden
    }

    /// Why a node announces nothing at all; empty: it may.
    #[must_use]
    pub fn unfit(&self, node: &str) -> Vec<Reason> {
        match self.nodes.get(node) {
            Some(_) => self.unfit.get(node).cloned().unwrap_or_default(),
            None => vec![Reason::Unknown],
        }
    }

    /// How much a node should take: nothing while it is not fit, or not everything is known.
    #[must_use]
    pub fn weight(&self, node: &str) -> Weight {
        Weight::from(self.complete && self.unfit(node).is_empty())
    }

    /// Why a node does not announce an address that has a plan, or comes after others; empty: nothing speaks against it.
    #[must_use]
    pub fn reasons(&self, address: &IpAddr, node: &str) -> Vec<Reason> {
        let mut reasons = self.unfit(node);
        if let Some(plan) = self.plans.get(address) {
            reasons.extend(self.planner().reasons(*address, plan, MemberId::of(node)));
        }
        reasons
    }

    /// The nodes that are fit, of those that have the same part in the cluster as `node`: they are of the control plane, or not.
    pub fn fit_like<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a Arc<str>> + 'a {
        self.nodes.alike(node).filter(|other| self.weight(other) > 0)
    }

    /// Whether a node may announce an address.
    #[must_use]
    pub fn is_eligible(&self, address: &IpAddr, node: &str) -> bool {
        let facts = self.plans.get(address).and_then(|plan| plan.placement.as_ref().ok());
        let member = MemberId::of(node);
        let served = |nodes: &BTreeSet<_>| nodes.contains(&member);
        facts.is_some_and(|facts| facts.eligible.as_ref().is_none_or(served)) && self.unfit(node).is_empty()
    }

    /// Whether a Service has an endpoint for addresses of this family that takes packets now.
    #[must_use]
    pub fn has_endpoint(&self, service: &ServiceKey, family: Family) -> bool {
        self.endpoints.serving(service, family).anywhere
    }

    /// How many plans were made so far: what an event costs, without a clock.
    #[must_use]
    pub fn work(&self) -> u64 {
        self.work
    }

    fn planner(&self) -> Planner<'_> {
        Planner {
            index: &self.index,
            endpoints: &self.endpoints,
            nodes: &self.nodes,
            cordoned: &self.cordoned,
            forbidden: &self.forbidden,
        }
    }

    fn services_changed(&mut self, change: Change<Service, ServiceKey>, turn: &mut Turn) {
        match change {
            Change::Listed(services) => {
                self.listed.services = true;
                let there: BTreeSet<_> = services.iter().map(|service| service.key().clone()).collect();
                let gone = self.index.services().map(Service::key).filter(|key| !there.contains(key));
                let gone: Vec<_> = gone.cloned().collect();
                gone.iter().for_each(|key| self.remove_service(key, turn));
                services.into_iter().for_each(|service| self.apply_service(service, turn));
            }
            Change::Applied(service) => self.apply_service(service, turn),
            Change::Deleted(key) => self.remove_service(&key, turn),
        }
    }

    fn apply_service(&mut self, mut service: Service, turn: &mut Turn) {
        if let Some(labels) = self.namespaces.get(service.key().namespace.as_ref()) {
            Arc::make_mut(&mut service.view).namespace_labels = labels.clone();
        }
        let key = service.key().clone();
        let known = self.index.get(&key);
        if known == Some(&service) {
            return;
        }
        if known.is_none_or(|known| known.view != service.view || known.vip_host != service.vip_host) {
            turn.changes.services.insert(key.clone());
        }
        // Its plan says nothing of that.
        if known.is_some_and(|known| known.own_lease != service.own_lease) {
            turn.changes.addresses.extend(&service.view.ingress);
        }
        if known.map(Service::guarded) != Some(service.guarded()) {
            let before = known.into_iter().flat_map(|known| &known.view.ingress);
            turn.changes.guarded.extend(before.chain(&service.view.ingress));
        }
        let ingress = service.view.ingress.clone();
        self.touch(&key, turn);
        let before = self.index.insert(service).map(|before| before.view.ingress.clone());
        self.touch(&key, turn);
        self.held_changed(&before.unwrap_or_default(), &ingress, turn);
    }

    fn remove_service(&mut self, key: &ServiceKey, turn: &mut Turn) {
        self.touch(key, turn);
        if let Some(before) = self.index.remove(key) {
            turn.changes.services.insert(key.clone());
            turn.changes.guarded.extend(&before.view.ingress);
            self.held_changed(&before.view.ingress, &[], turn);
        }
    }

    /// The plans of a Service's addresses, and of those that go with them, may not stay as they are.
    fn touch(&self, key: &ServiceKey, turn: &mut Turn) {
        if let Some(service) = self.index.get(key) {
            turn.dirty.extend(self.index.together(service));
        }
    }

    /// An address that a Node reports may be its own or not, for a Service came to have it or has it no more.
    fn held_changed(&self, before: &[IpAddr], now: &[IpAddr], turn: &mut Turn) {
        let gone = before.iter().filter(|address| !now.contains(address));
        let come = now.iter().filter(|address| !before.contains(address));
        turn.territory |= gone.chain(come).any(|&address| self.nodes.report(address));
    }

    fn slices_changed(&mut self, change: Change<EndpointSlice, SliceKey>, turn: &mut Turn) {
        let touched = match change {
            Change::Listed(slices) => {
                self.listed.slices = true;
                self.endpoints.replace(slices)
            }
            Change::Applied(slice) => self.endpoints.apply(slice),
            Change::Deleted(key) => self.endpoints.remove(&key).into_iter().collect(),
        };
        let services = touched.iter().filter_map(|key| self.index.get(key));
        turn.dirty.extend(services.flat_map(|service| &service.view.ingress));
    }

    fn nodes_changed(&mut self, change: Change<Node, String>, turn: &mut Turn) {
        match change {
            Change::Listed(nodes) => {
                self.listed.nodes = true;
                let there: BTreeSet<_> = nodes.iter().map(|node| node.name.clone()).collect();
                let gone = self.nodes.names().filter(|name| !there.contains(name.as_ref()));
                let gone: Vec<_> = gone.cloned().collect();
                gone.iter().for_each(|name| self.remove_node(name, turn));
                nodes.into_iter().for_each(|node| self.apply_node(node, turn));
            }
            Change::Applied(node) => self.apply_node(node, turn),
            Change::Deleted(name) => self.remove_node(&name, turn),
        }
        if turn.nodes {
            self.judge_nodes(turn);
        }
    }

    fn apply_node(&mut self, node: Node, turn: &mut Turn) {
        let known = self.nodes.get(&node.name);
        if known == Some(&node) {
            return;
        }
        turn.nodes = true;
        let territory =
            |of: &Node| (of.addresses.clone(), of.external_addresses.clone(), of.pod_networks.clone());
        turn.territory |= known.map(territory) != Some(territory(&node));
        if known.is_none_or(|known| known.labels != node.labels) {
            turn.dirty.extend(self.index.choosy());
        }
        let standing = |of: &Node| (of.cordoned, of.leads());
        if known.is_some_and(|known| standing(known) != standing(&node)) {
            turn.changes.nodes.insert(node.name.as_str().into());
        }
        if known.is_none() {
            self.node_came_or_went(&node.name, turn);
        }
        self.nodes.apply(node);
    }

    fn remove_node(&mut self, name: &str, turn: &mut Turn) {
        if self.nodes.remove(name).is_some() {
            turn.nodes = true;
            turn.territory = true;
            turn.dirty.extend(self.index.choosy());
            self.node_came_or_went(name, turn);
        }
    }

    fn node_came_or_went(&self, name: &str, turn: &mut Turn) {
        turn.changes.nodes.insert(name.into());
        if !self.cordoned.is_empty() {
            turn.dirty.extend(self.index.held());
        }
    }

    fn judge_nodes(&mut self, turn: &mut Turn) {
        let unfit = self.nodes.unfit(self.options.exclusion == Exclusion::Respected);
        let before = mem::replace(&mut self.unfit, unfit);
        let names = before.keys().chain(self.unfit.keys());
        let changed = names.filter(|&name| before.get(name) != self.unfit.get(name));
        turn.changes.nodes.extend(changed.cloned());
        let cordoned = self.nodes.cordoned();
        if cordoned != self.cordoned {
            self.cordoned = cordoned;
            turn.dirty.extend(self.index.held());
        }
    }

    fn namespaces_changed(&mut self, change: Change<Namespace, String>, turn: &mut Turn) {
        match change {
            Change::Listed(namespaces) => {
                self.listed.namespaces = true;
                let there: BTreeSet<_> = namespaces.iter().map(|it| it.name.clone()).collect();
                let gone: Vec<_> =
                    self.namespaces.keys().filter(|name| !there.contains(*name)).cloned().collect();
                gone.into_iter().for_each(|name| self.relabel(name, None, turn));
                namespaces.into_iter().for_each(|it| self.relabel(it.name, Some(it.labels), turn));
            }
            Change::Applied(namespace) => self.relabel(namespace.name, Some(namespace.labels), turn),
            Change::Deleted(name) => self.relabel(name, None, turn),
        }
    }

    /// Without labels a namespace is gone.
    fn relabel(&mut self, name: String, labels: Option<Labels>, turn: &mut Turn) {
        let labels = labels.map(Arc::new);
        if self.namespaces.get(&name) == labels.as_ref() {
            return;
        }
        for mut service in self.index.within(&name).cloned().collect::<Vec<_>>() {
            Arc::make_mut(&mut service.view).namespace_labels = labels.clone().unwrap_or_default();
            turn.changes.services.insert(service.key().clone());
            self.index.insert(service);
        }
        match labels {
            Some(labels) => self.namespaces.insert(name, labels),
            None => self.namespaces.remove(&name),
        };
    }

    fn settle(&mut self, mut turn: Turn) -> Changes {
        if turn.territory {
            self.survey(&mut turn);
        }
        if !self.complete {
            self.complete = self.listed.services && self.listed.slices && self.listed.nodes;
            return if self.complete { self.first_plans() } else { Changes::default() };
        }
        self.replan(&mut turn);
        turn.changes
    }

    fn survey(&mut self, turn: &mut Turn) {
        let territory = self.nodes.territory(|address| self.index.is_held(address));
        if territory != self.territory {
            let before = mem::replace(&mut self.territory, territory);
            for range in before.difference(&self.territory) {
                turn.dirty.extend(self.index.held_within(range));
            }
            self.forbid(turn);
        }
    }

    fn forbid(&mut self, turn: &mut Turn) {
        self.forbidden = self.territory.forbid(&self.given);
        turn.changes.forbidden = true;
    }

    fn first_plans(&mut self) -> Changes {
        let services = self.index.services().map(|service| service.key().clone()).collect();
        let nodes = self.nodes.names().cloned().collect();
        let guarded = self.index.held().collect();
        let mut turn = Turn {
            changes: Changes { services, nodes, guarded, forbidden: true, ..Changes::default() },
            dirty: self.index.held().collect(),
            ..Turn::default()
        };
        self.replan(&mut turn);
        turn.changes
    }

    fn replan(&mut self, turn: &mut Turn) {
        for address in mem::take(&mut turn.dirty) {
            self.work += 1;
            let plan = self.planner().plan(address);
            if plan.as_ref() == self.plans.get(&address).map(Arc::as_ref) {
                continue;
            }
            turn.changes.addresses.insert(address);
            match plan {
                Some(plan) => self.plans.insert(address, Arc::new(plan)),
                None => self.plans.remove(&address),
            };
        }
    }
}

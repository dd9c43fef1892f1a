//! Services of type LoadBalancer on this node: what the cluster says of them becomes what is placed, assigned and
//! announced, and what is answered to operators. It decides nothing itself.

mod answers;
mod arrival;
mod figures;
mod guarding;
mod host;
mod local;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use ipnet::IpNet;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};
use vipcast_proto::data_path::Waiting;
use vipcast_proto::guard::Rules;
use vipcast_proto::ipam::{Forbidden, ForbiddenReason, Pool, ServiceKey, ServiceView};
use vipcast_proto::placement::{Facts, Weight};
use vipcast_proto::service::{Catalog, Changes, Event, Plan};

pub use self::host::HostWires;
use self::host::Hosts;
pub use self::local::{Local, follow};
use self::local::{Spot, Wish};
use crate::admin::board::StatusBoard;
use crate::admin::service_metrics::ServiceFigures;
use crate::admin::services::Ask;
use crate::allocator::{self, AllocatorReport, Feed};
use crate::announce::responder::{Interfaces, Standing};
use crate::change::publish;
use crate::clock;
use crate::guard::GuardState;
use crate::kube::pools::Pools;
use crate::placement::bygone::Nodes;
use crate::placement::{self, Demand, PlacementReport};

/// What does not change while the daemon runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `metadata.name` of this Node.
    pub node: String,
    /// How much this node takes where it is fit.
    pub weight: Weight,
    /// Our `loadBalancerClass`.
    pub class: Option<String>,
    /// How addresses are announced.
    pub means: Means,
    /// The interface for ARP and NDP, where neither a Service nor its pool names one; `None`: the one that the address is
    /// on link with.
    pub interface: Option<String>,
    /// Whether an address takes packets to the ports of its Services only.
    pub security: bool,
    /// What no Service may have, whatever the cluster says.
    pub forbidden: Forbidden,
    /// Which Services have a Lease of their own.
    pub leases: OwnLeases,
    /// Whether every node announces what it can serve.
    pub by_every_node: bool,
}

/// Which Services have a Lease of their own, whose holder announces them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OwnLeases {
    /// None.
    None,
    /// Those that say so; the others have this one together.
    OnDemand(Arc<str>),
    /// All.
    All,
}

/// How addresses are announced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Means {
    /// By ARP and NDP.
    pub layer2: bool,
    /// By BGP.
    pub bgp: bool,
}

/// What connects it with the rest of the daemon.
#[derive(Debug)]
pub struct Wires {
    /// From the watches.
    pub events: mpsc::Receiver<Event>,
    /// From the kernel.
    pub local: watch::Receiver<Local>,
    /// The networks of cluster IPs, as far as the API knows them.
    pub networks: watch::Receiver<Vec<IpNet>>,
    /// To the core, before the placement can grant it: what waits until this node carries its packets on.
    pub waiting: watch::Sender<Arc<Waiting>>,
    /// To the placement.
    pub demand: mpsc::Sender<Demand>,
    /// To the guard.
    pub rules: watch::Sender<Option<Arc<Rules>>>,
    /// From the guard.
    pub guard: watch::Receiver<GuardState>,
    /// To the responder.
    pub interfaces: mpsc::Sender<Interfaces>,
    /// To the allocator; `None`: somebody else gives addresses.
    pub feed: Option<mpsc::Sender<Feed>>,
    /// To whoever removes what nodes have left behind: the names of all Nodes.
    pub nodes: watch::Sender<Nodes>,
    /// To the metrics.
    pub figures: watch::Sender<Arc<ServiceFigures>>,
    /// To whoever asks whether this node is ready.
    pub board: StatusBoard,
    /// To say on each Service which node announces it, where that is wanted.
    pub host: Option<HostWires>,
    /// From operators.
    pub asks: mpsc::Receiver<Ask>,
    /// Whom to ask in turn.
    pub sources: Sources,
}

/// Who knows what operators want to know.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Who announces what.
    pub placement: mpsc::Sender<placement::Ask>,
    /// How the placement is.
    pub placed: watch::Receiver<PlacementReport>,
    /// Who has which address, and why.
    pub allocator: Option<mpsc::Sender<allocator::Ask>>,
    /// How the allocator is.
    pub allocated: watch::Receiver<AllocatorReport>,
    /// The pools as they are written down.
    pub pools: watch::Receiver<Pools>,
    /// How things stand on each interface on which addresses are answered for.
    pub standings: watch::Receiver<BTreeMap<Arc<str>, Standing>>,
}

/// Runs until nobody follows the cluster any more, or nobody places what is wanted.
pub async fn run(settings: Settings, catalog: Catalog, wires: Wires) {
    let mut services = Services::new(settings, catalog, wires);
    // Answers take their time; what is asked of others must not keep us.
    let mut answering = JoinSet::new();
    while services.step(&mut answering).await.is_some() {}
}

struct Services {
    settings: Settings,
    catalog: Catalog,
    local: Local,
    /// Where each address is announced on this node, or why nowhere.
    spots: BTreeMap<IpAddr, Result<Spot, String>>,
    /// Who may reach which address.
    rules: Arc<Rules>,
    /// The addresses that this node was last said to be able to announce.
    able: BTreeSet<IpAddr>,
    /// The addresses that this node may be given.
    open: BTreeSet<IpAddr>,
    /// What was said of this node's weight.
    told: Option<Weight>,
    /// The allocator has had all there is.
    fed: bool,
    /// This node could announce Services once, or is not meant to.
    ready: bool,
    /// When metrics are counted anew.
    count_at: Instant,
    /// Something has changed since they were: it has left memory that nobody uses.
    littered: bool,
    /// When code that does not run any more is unmapped.
    unmap_at: Option<Instant>,
    /// What is written on Services of who announces them.
    hosts: Option<Hosts>,
    wires: Wires,
}

impl Services {
    fn new(settings: Settings, catalog: Catalog, mut wires: Wires) -> Self {
        Self {
            settings,
            catalog,
            local: Local::default(),
            spots: BTreeMap::new(),
            rules: Arc::default(),
            able: BTreeSet::new(),
            open: BTreeSet::new(),
            told: None,
            fed: false,
            ready: false,
            count_at: clock::now(),
            littered: false,
            unmap_at: None,
            hosts: wires.host.take().map(Hosts::new),
            wires,
        }
    }

    /// One thing that happens; `None`: there is nothing left to do.
    async fn step(&mut self, answering: &mut JoinSet<()>) -> Option<()> {
        self.say_whether_ready();
        tokio::select! {
            event = self.wires.events.recv() => {
                let mut changes = self.catch_up(event?);
                changes.addresses.extend(self.guard(&changes.guarded));
                self.act(changes).await?;
                self.begin_to_feed().await
            }
            Ok(()) = self.wires.guard.changed() => self.filtered().await,
            Ok(()) = self.wires.local.changed() => self.moved().await,
            Ok(()) = self.wires.networks.changed() => self.forbid().await,
            Ok(()) = self.wires.sources.pools.changed() => {
                self.wires.sources.pools.mark_unchanged();
                self.moved().await
            }
            Ok(()) = self.wires.sources.placed.changed(), if !self.ready => Some(()),
            Some(ask) = self.wires.asks.recv() => {
                self.answer(ask, answering);
                Some(())
            }
            Some(_) = answering.join_next() => Some(()),
            ready = host::ready(self.hosts.as_mut()) => {
                self.write_hosts(ready);
                Some(())
            }
            () = clock::until(Some(self.count_at)) => {
                self.count();
                Some(())
            }
        }
    }

    /// A rollout goes on to the next node from when this one can announce what that one has.
    fn say_whether_ready(&mut self) {
        if !self.ready {
            let lack = self.lack();
            self.ready = lack.is_none();
            self.wires.board.services(lack);
        }
    }

    /// What keeps this node from announcing any Service that it should.
    fn lack(&mut self) -> Option<String> {
        // Labels of namespaces matter to whoever gives addresses, not to whoever announces them.
        if !self.catalog.is_complete() {
            return self.unknown();
        }
        let (node, weight) = (&self.settings.node, self.settings.weight);
        if weight > 0 && !self.catalog.nodes().any(|known| known.as_ref() == node) {
            return Some(format!("there is no Node {node} (vip_nodename)"));
        }
        let role = self.wires.sources.placed.borrow_and_update().role;
        // One that is drained, not fit or of weight 0 does what it is there for.
        answers::silence(role).filter(|_| self.told != Some(0)).map(str::to_owned)
    }

    /// With everything else that is there already: what follows costs a look at all Services, however many have changed.
    fn catch_up(&mut self, event: Event) -> Changes {
        let mut changes = self.catalog.handle(event);
        while let Ok(event) = self.wires.events.try_recv() {
            changes.extend(self.catalog.handle(event));
        }
        changes
    }

    async fn act(&mut self, changes: Changes) -> Option<()> {
        if changes.is_empty() {
            return Some(());
        }
        if !changes.nodes.is_empty() {
            publish(&self.wires.nodes, Some(self.catalog.nodes().cloned().collect()));
        }
        self.littered = true;
        self.want(changes.addresses).await?;
        self.look_at_hosts(&changes.services);
        if !changes.nodes.is_empty() {
            self.rank().await?;
        }
        self.weigh().await?;
        self.feed(changes.services, changes.forbidden).await
    }

    /// The interfaces of this node are not as they were, its routers, or what pools name.
    async fn moved(&mut self) -> Option<()> {
        let local = self.wires.local.borrow_and_update().clone();
        let before = std::mem::replace(&mut self.local, local);
        let routed = before.default_route != self.local.default_route;
        let linked = before.networks() != self.local.networks();
        if before.is_known() != self.local.is_known() || routed || linked {
            self.forbid().await?;
        }
        self.begin_to_feed().await?;
        // Each pod that comes or goes has an interface; of thousands of addresses it matters to none.
        let spots = self.catalog.plans().map(|(address, plan)| (address, self.spot(address, plan)));
        let moved = spots.filter(|(address, spot)| self.spots.get(address) != Some(spot));
        let addresses = moved.map(|(address, _)| address).collect();
        self.want(addresses).await
    }

    async fn forbid(&mut self) -> Option<()> {
        let mut forbidden = self.settings.forbidden.clone();
        for &gateway in &self.local.default_route.gateways {
            forbidden.address(gateway, ForbiddenReason::Gateway);
        }
        self.local.networks().into_iter().for_each(|network| forbidden.ends(network));
        for &network in self.wires.networks.borrow_and_update().iter() {
            forbidden.network(network, ForbiddenReason::ServiceNetwork(network));
        }
        let changes = self.catalog.handle(Event::Forbidden(forbidden));
        self.act(changes).await
    }

    /// Plans are not as they were, or the places for them.
    async fn want(&mut self, addresses: BTreeSet<IpAddr>) -> Option<()> {
        let (mut wanted, mut interfaces) = (BTreeMap::new(), Interfaces::new());
        for address in addresses {
            let plan = self.catalog.plan(&address).cloned();
            let facts = plan.as_deref().and_then(|plan| self.facts(address, plan));
            if facts.is_none() {
                self.able.remove(&address);
            }
            if plan.is_none() {
                self.spots.remove(&address);
            }
            let spot =
                self.spots.get(&address).and_then(|spot| spot.as_ref().ok()).filter(|_| facts.is_some());
            interfaces.insert(address, spot.map(|spot| spot.interface.clone()));
            wanted.insert(address, facts);
        }
        if wanted.is_empty() {
            return Some(());
        }
        // The responder knows where to answer for an address before it may.
        if self.settings.means.layer2 {
            self.wires.interfaces.send(interfaces).await.ok()?;
        }
        self.await_data_path(&wanted);
        self.wires.demand.send(Demand::Wanted(wanted)).await.ok()
    }

    /// Where an address should be; `None`: nowhere.
    fn facts(&mut self, address: IpAddr, plan: &Plan) -> Option<Facts> {
        let spot = self.spot(address, plan);
        let cannot = self.settings.means.layer2 && !spot.as_ref().is_ok_and(|spot| spot.up);
        self.spots.insert(address, spot);
        let mut facts = plan.placement.as_ref().ok()?.clone();
        // A router takes what is not on link with anything; what is to be filtered must be.
        facts.lease = self.lease(plan);
        facts.unable |= cannot && !self.settings.means.bgp || !self.is_filtered(address);
        if facts.unable {
            self.able.remove(&address);
        } else {
            self.able.insert(address);
        }
        Some(facts)
    }

    fn spot(&self, address: IpAddr, plan: &Plan) -> Result<Spot, String> {
        let of_pool = self.interface_of_pool(address, plan);
        let wished = plan.interface.as_deref().or(of_pool.as_deref());
        let wish = match (wished, self.settings.interface.as_deref()) {
            (Some(AUTO), _) | (None, None | Some(AUTO)) => Wish::OnLink,
            (Some(named), _) | (None, Some(named)) => Wish::Named(named),
        };
        self.local.spot(wish, address)
    }

    /// The Lease whose holder announces the addresses of this plan, where that is decided for each Service; as kube-vip calls it.
    fn lease(&self, plan: &Plan) -> Option<Arc<str>> {
        let owners = || plan.owners.iter().filter_map(|owner| self.catalog.service(&owner.key));
        match &self.settings.leases {
            OwnLeases::None => return None,
            OwnLeases::OnDemand(shared) if !owners().any(|service| service.own_lease) => {
                return Some(shared.clone());
            }
            OwnLeases::OnDemand(_) | OwnLeases::All => {}
        }
        // Only who can be served everywhere can go with others.
        let everywhere = plan.placement.as_ref().is_ok_and(|facts| facts.eligible.is_none());
        let group = owners().find_map(|service| service.group.clone()).filter(|_| everywhere);
        group.or_else(|| {
            let ServiceKey { namespace, name } = &plan.owners.first()?.key;
            Some(format!("{namespace}/{LEASE_OF}{name}").into())
        })
    }

    /// The interface that a pool names for its addresses, for the namespace of the oldest Service that has this one.
    fn interface_of_pool(&self, address: IpAddr, plan: &Plan) -> Option<String> {
        let namespace = &plan.owners.first()?.key.namespace;
        let pools = self.wires.sources.pools.borrow();
        let named =
            |pool: &Pool| pool.interface.of(namespace).filter(|_| pool.ranges.contains(address)).cloned();
        pools.pools.iter().find_map(named)
    }

    /// Which nodes are fit: they are put in order. Where nobody says so, it is taken for granted that vipcast runs on those
    /// that have the same part in the cluster.
    async fn rank(&mut self) -> Option<()> {
        let fit = if self.settings.by_every_node {
            self.catalog.fit_like(&self.settings.node).cloned().collect()
        } else {
            self.catalog.nodes().filter(|node| self.catalog.weight(node) > 0).cloned().collect()
        };
        self.wires.demand.send(Demand::Nodes(fit)).await.ok()
    }

    async fn weigh(&mut self) -> Option<()> {
        let fit = self.catalog.weight(&self.settings.node) > 0;
        let weight = if fit { self.settings.weight } else { 0 };
        if self.told == Some(weight) {
            return Some(());
        }
        let why: Vec<String> =
            self.catalog.unfit(&self.settings.node).iter().map(ToString::to_string).collect();
        match (self.told, fit) {
            (_, false) => warn!(?why, "this node announces no Services"),
            (Some(_), true) => info!(weight, "this node announces Services again"),
            (None, true) => info!(weight, addresses = self.spots.len(), "Services are known"),
        }
        self.told = Some(weight);
        self.wires.demand.send(Demand::Weight(weight)).await.ok()
    }

    /// What was missing may be known by now.
    async fn begin_to_feed(&mut self) -> Option<()> {
        if self.fed || !self.catalog.is_complete() {
            return Some(());
        }
        self.feed(BTreeSet::new(), false).await
    }

    /// Whether everything is known that decides about addresses: what no Service may have, and for whom pools are.
    fn may_feed(&self) -> bool {
        self.local.is_known() && (self.fed || self.catalog.is_labelled() || !self.may_select_by_namespace())
    }

    fn may_select_by_namespace(&self) -> bool {
        let pools = self.wires.sources.pools.borrow();
        !pools.complete || pools.pools.iter().any(|pool| !pool.selection.namespace_selectors.is_empty())
    }

    /// Whether a Service is to wait for the labels of its namespace. One that has an address keeps it, whatever they are.
    fn is_early(&self, view: &ServiceView) -> bool {
        let has_address = !view.ingress.is_empty() || !view.record.is_empty();
        !has_address
            && !self.catalog.is_labelled_within(&view.key.namespace)
            && self.may_select_by_namespace()
    }

    /// What the allocator has to know, from when that can be decided.
    async fn feed(&mut self, keys: BTreeSet<ServiceKey>, forbidden: bool) -> Option<()> {
        let Some(feed) = self.wires.feed.as_ref().filter(|_| self.may_feed()) else { return Some(()) };
        if forbidden || !self.fed {
            feed.send(Feed::Forbidden(self.catalog.forbidden().clone())).await.ok()?;
        }
        if !std::mem::replace(&mut self.fed, true) {
            let all = self.catalog.services().map(|service| service.view.clone());
            return feed.send(Feed::Loaded(all.filter(|view| !self.is_early(view)).collect())).await.ok();
        }
        for key in keys {
            let news = match self.catalog.view(&key) {
                Some(view) if self.is_early(&view) => continue,
                Some(view) => Feed::Upsert(view),
                None => Feed::Removed(key),
            };
            feed.send(news).await.ok()?;
        }
        Some(())
    }
}

/// What kube-vip calls the Lease of a Service, before its name.
pub(crate) const LEASE_OF: &str = "kubevip-";
/// What kube-vip calls the interface that an address is on link with.
const AUTO: &str = "auto";

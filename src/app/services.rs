//! Services in the daemon: the watches, the placement, the allocator and the responder, and what connects them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use vipcast_proto::advertiser::{Desired, Remains, Report};
use vipcast_proto::data_path::Waiting;
use vipcast_proto::ipam::{self, Forbidden, ForbiddenReason};
use vipcast_proto::service::{self, Catalog, Classless, Exclusion, NamespaceLabels, Terms};

use super::{Daemon, kubernetes};
use crate::admin::service_metrics::ServiceFigures;
use crate::admin::services::Ask;
use crate::allocator::{self, AllocatorReport};
use crate::announce::responder::{self, Interfaces};
use crate::config::services::{self as settings, Distribution};
use crate::data_path::DataPath;
use crate::guard::Guard;
use crate::kube::catalog::watch_catalog;
use crate::kube::lease::LeaseName;
use crate::kube::members::MemberLeases;
use crate::kube::networks::watch_service_networks;
use crate::kube::pools::{ConfigMapName, PoolSources, Pools, watch_pools};
use crate::placement::{self, Grants, Mode, PerService, PlacementReport, bygone};
use crate::services::{self, HostWires, Local, Means, OwnLeases, Settings, Sources};
use crate::task::Tasks;
use crate::witness::Witness;
use crate::{advertiser, election};

/// Between the core and the placement.
pub(super) struct Ends {
    grants: watch::Sender<Grants>,
    waiting: watch::Sender<Arc<Waiting>>,
    remains: watch::Receiver<Remains>,
}

/// What of the rest Services need.
pub(super) struct Parts<'a> {
    pub(super) settings: &'a settings::Services,
    pub(super) ends: Ends,
    pub(super) desired: watch::Receiver<Desired>,
    pub(super) reports: mpsc::Sender<(String, Report)>,
    /// From operators, and to their metrics.
    pub(super) desk: (mpsc::Receiver<Ask>, watch::Sender<Arc<ServiceFigures>>),
    /// Where the API servers of all nodes are.
    pub(super) servers: watch::Receiver<BTreeSet<SocketAddr>>,
}

/// The other ends of the allocator; only a report where somebody else gives addresses.
struct Allocating {
    feed: Option<mpsc::Sender<allocator::Feed>>,
    asks: Option<mpsc::Sender<allocator::Ask>>,
    report: watch::Receiver<AllocatorReport>,
    /// Who leads.
    rulings: Option<watch::Receiver<election::Ruling>>,
}

/// What the core holds, and what Services start from.
pub(super) fn ends() -> (advertiser::Services, Ends) {
    let (grants, granted) = watch::channel(Grants::default());
    let (waiting, awaited) = watch::channel(Arc::default());
    let (remaining, remains) = watch::channel(Remains::default());
    let core = advertiser::Services { grants: granted, waiting: awaited, remains: remaining };
    (core, Ends { grants, waiting, remains })
}

impl Daemon<'_> {
    /// Starts everything that Services need; what ends in order goes into `moving`, and what is returned ends by itself when
    /// all of it has ended.
    pub(super) fn serve(&self, parts: Parts<'_>, moving: &mut Tasks, tasks: &mut Tasks) -> Tasks {
        let (events_out, events) = mpsc::channel(EVENTS);
        let (local_out, local) = watch::channel(Local::default());
        let (networks_out, networks) = watch::channel(vec![]);
        let (interfaces_out, interfaces) = mpsc::channel(INTERFACES);
        let terms = terms(parts.settings);
        let namespace_labels = namespace_labels(parts.settings);
        let options = service::Options { exclusion: exclusion(parts.settings), namespace_labels };
        let filter = crate::kube::catalog::Filter {
            namespace: parts.settings.namespace.clone(),
            terms: terms.clone(),
            namespace_labels,
        };
        tasks.spawn("services watch", watch_catalog(self.connections.clone(), filter, events_out));
        tasks.spawn("interfaces", services::follow(local_out));
        tasks.spawn("service networks watch", watch_service_networks(self.connections.clone(), networks_out));
        let forbidden = forbidden(parts.settings);
        let settings = self.services_settings(&parts, forbidden.clone(), terms.class);
        let (stand, standings) = watch::channel(BTreeMap::new());
        let host = parts.settings.host_annotation.then(|| HostWires {
            grants: parts.ends.grants.subscribe(),
            connections: self.connections.clone(),
        });
        if settings.means.layer2 {
            self.respond(parts.desired, parts.reports, (interfaces, stand), tasks);
        }
        let waiting = parts.ends.waiting.clone();
        tasks.spawn("data path", DataPath::new(waiting.clone(), local.clone()).run());
        let (placing, placed) = self.place(parts.settings, parts.ends, parts.servers, moving, tasks);
        let (pools_out, pools) = watch::channel(Pools::default());
        let allocating = self.allocate(parts.settings, (pools_out, pools.clone()), moving, tasks);
        let (nodes_out, nodes) = watch::channel(None);
        if let Some(rulings) =
            allocating.rulings.filter(|_| parts.settings.distribution == Distribution::Spread)
        {
            let leases = MemberLeases::new(parts.settings.lease.namespace.clone(), self.connections.clone());
            let inputs = bygone::Inputs { rulings, placed: placed.clone(), nodes };
            tasks.spawn("bygone members", bygone::run(inputs, leases));
        }
        let (rules, told) = watch::channel(None);
        let (guard, guarded) = Guard::new(told);
        let mut guarding = Tasks::default();
        guarding.spawn("guard", guard.run());
        let (demand, placement) = placing;
        let Allocating { feed, asks: allocator, report: allocated, .. } = allocating;
        let sources = Sources { placement, placed, allocator, allocated, pools, standings };
        let wires = services::Wires {
            events,
            local,
            networks,
            waiting,
            demand,
            rules,
            guard: guarded,
            interfaces: interfaces_out,
            feed,
            nodes: nodes_out,
            figures: parts.desk.1,
            board: self.witness.board.clone(),
            host,
            asks: parts.desk.0,
            sources,
        };
        let catalog = Catalog::new(options, forbidden);
        tasks.spawn("services", services::run(settings, catalog, wires));
        guarding
    }

    fn services_settings(&self, parts: &Parts<'_>, forbidden: Forbidden, class: Option<String>) -> Settings {
        let named = match &parts.settings.interface {
            Some(interface) => Some(interface.to_string()),
            None => self.config.layer2.as_ref().and_then(|layer2| layer2.interface.clone()),
        };
        Settings {
            node: self.config.node_name.clone(),
            weight: parts.settings.weight,
            class,
            security: parts.settings.security,
            means: Means { layer2: self.config.layer2.is_some(), bgp: self.config.bgp.is_some() },
            interface: named,
            forbidden,
            leases: own_leases(parts.settings),
            by_every_node: parts.settings.distribution == Distribution::EveryNode,
        }
    }

    fn respond(
        &self,
        desired: watch::Receiver<Desired>,
        reports: mpsc::Sender<(String, Report)>,
        (interfaces, standings): (
            mpsc::Receiver<Interfaces>,
            watch::Sender<BTreeMap<Arc<str>, responder::Standing>>,
        ),
        tasks: &mut Tasks,
    ) {
        let Some(layer2) = &self.config.layer2 else { return };
        let (links, _) = watch::channel(BTreeMap::new());
        let wires = responder::Wires { desired, interfaces, reports, links, standings };
        let config = super::interfaces::responder(layer2);
        tasks.spawn("responder", responder::run(config, wires, self.witness.clone()));
    }

    fn place(
        &self,
        settings: &settings::Services,
        ends: Ends,
        servers: watch::Receiver<BTreeSet<SocketAddr>>,
        moving: &mut Tasks,
        tasks: &mut Tasks,
    ) -> ((mpsc::Sender<placement::Demand>, mpsc::Sender<placement::Ask>), watch::Receiver<PlacementReport>)
    {
        let (demand_out, demand) = mpsc::channel(QUESTIONS);
        let (asks_out, asks) = mpsc::channel(QUESTIONS);
        let (report, placed) = watch::channel(PlacementReport::default());
        let wires = placement::Wires {
            demand,
            asks,
            grants: ends.grants,
            remains: ends.remains,
            report,
            drain: self.leaving.clone(),
            patience: self.config.shutdown_wait,
        };
        let parts = placement::Parts {
            node: self.config.node_name.clone(),
            namespace: settings.lease.namespace.clone(),
            timing: settings.timing,
            connections: self.connections.clone(),
            servers,
            witness: self.witness.clone(),
            yields: self.config.bgp.as_ref().is_none_or(|bgp| bgp.drain.cordoned),
            wires,
        };
        placement::start(self.mode(settings), parts, moving, tasks);
        ((demand_out, asks_out), placed)
    }

    fn mode(&self, settings: &settings::Services) -> Mode {
        let shared = match (settings.distribution, settings.lease_on_demand) {
            (Distribution::Spread, _) => return Mode::Spread,
            (Distribution::EveryNode, _) => return Mode::EveryNode,
            (Distribution::Lease, false) => return Mode::Lease(shared_lease(settings)),
            (Distribution::Lease, true) => Some(shared_lease(settings)),
            (Distribution::LeasePerService, _) => None,
        };
        let election = &self.config.election;
        let control_plane =
            LeaseName { namespace: election.lease_namespace.clone(), name: election.lease_name.clone() };
        let namespace = settings.lease.namespace.clone();
        let allocator = LeaseName { namespace, name: allocator::LEASE.to_owned() };
        Mode::LeasePerService(PerService {
            shared,
            reserved: [control_plane, allocator].into(),
            namespace: settings.namespace.clone(),
        })
    }

    fn allocate(
        &self,
        settings: &settings::Services,
        (pools_out, pools): (watch::Sender<Pools>, watch::Receiver<Pools>),
        moving: &mut Tasks,
        tasks: &mut Tasks,
    ) -> Allocating {
        let (report, allocated) = watch::channel(AllocatorReport::default());
        if !settings.allocate {
            return Allocating { feed: None, asks: None, report: allocated, rulings: None };
        }
        let (feed_out, feed) = mpsc::channel(EVENTS);
        let (asks_out, asks) = mpsc::channel(QUESTIONS);
        let sources = pool_sources(settings);
        tasks.spawn("pools watch", watch_pools(sources, self.connections.clone(), pools_out));
        let (vacancy, vacated) = watch::channel(election::Vacancy::default());
        let candidate = allocator::Candidate {
            namespace: settings.lease.namespace.clone(),
            identity: self.config.node_name.clone(),
            timing: allocator::TIMING,
        };
        let rulings = allocator::stand(
            candidate,
            &self.connections,
            vacated,
            self.leaving.clone(),
            self.witness.clone(),
            (moving, tasks),
        );
        let taste = ipam::Settings { requests: settings.requests, share_requested: settings.share_requested };
        let connections = self.connections.clone();
        let inputs = allocator::Inputs { feed, pools, rulings: rulings.clone(), connections, asks };
        let outputs = allocator::Outputs { report, vacancy, witness: self.for_services(tasks) };
        tasks.spawn("allocator", allocator::run(taste, inputs, outputs));
        Allocating { feed: Some(feed_out), asks: Some(asks_out), report: allocated, rulings: Some(rulings) }
    }

    /// Whom the allocator tells. Thousands of Services may have something to say at once; Events about VIPs and routers
    /// neither wait for them nor make room.
    fn for_services(&self, tasks: &mut Tasks) -> Witness {
        let events = kubernetes::events("service events", self.config, &self.connections, tasks);
        Witness { events, ..self.witness.clone() }
    }
}

fn pool_sources(settings: &settings::Services) -> PoolSources {
    let name = |map: &settings::ObjectName| {
        let settings::ObjectName { namespace, name } = map.clone();
        ConfigMapName { namespace, name }
    };
    PoolSources {
        // The last word of a sender that is gone stays.
        own: watch::channel(settings.pools.clone()).1,
        config_maps: settings.pool_config_maps.iter().map(name).collect(),
        metallb: settings.metallb_pools,
    }
}

fn terms(settings: &settings::Services) -> Terms {
    let classless = settings.class.legacy && !settings.class.only;
    Terms {
        class: Some(settings.class.name.clone()).filter(|name| !name.is_empty()),
        classless: if classless { Classless::Ours } else { Classless::Foreign },
        namespace: settings.namespace.clone(),
    }
}

fn exclusion(settings: &settings::Services) -> Exclusion {
    if settings.ignore_exclude_label { Exclusion::Ignored } else { Exclusion::Respected }
}

/// They are neither read nor permitted to be where nobody asks for them.
fn namespace_labels(settings: &settings::Services) -> NamespaceLabels {
    if settings.selects_namespaces() { NamespaceLabels::Needed } else { NamespaceLabels::Unused }
}

/// The Lease of all Services that have none of their own.
fn shared_lease(settings: &settings::Services) -> LeaseName {
    let settings::ObjectName { namespace, name } = settings.lease.clone();
    LeaseName { namespace, name }
}

fn own_leases(settings: &settings::Services) -> OwnLeases {
    match settings.distribution {
        Distribution::LeasePerService => OwnLeases::All,
        Distribution::Lease if settings.lease_on_demand => {
            OwnLeases::OnDemand(shared_lease(settings).to_string().into())
        }
        Distribution::Lease | Distribution::Spread | Distribution::EveryNode => OwnLeases::None,
    }
}

/// Beside what the cluster says of itself.
fn forbidden(settings: &settings::Services) -> Forbidden {
    let mut forbidden = Forbidden::default();
    let vips = settings.control_plane_vips.iter();
    vips.for_each(|&vip| forbidden.address(vip, ForbiddenReason::ControlPlane));
    settings.gateways.iter().for_each(|&gateway| forbidden.address(gateway, ForbiddenReason::Gateway));
    for &network in &settings.pod_networks {
        forbidden.network(network, ForbiddenReason::PodNetwork(network));
    }
    for &network in &settings.service_networks {
        forbidden.network(network, ForbiddenReason::ServiceNetwork(network));
    }
    forbidden
}

/// What comes at once when a cluster starts waits in the watches.
const EVENTS: usize = 256;
const INTERFACES: usize = 16;
const QUESTIONS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, HostFacts, resolve};
    use crate::drain::Drain;
    use crate::kube::events::{About, Notice, Reason};

    #[test]
    fn nobody_gets_the_control_planes_vip_by_whomever_it_is_announced() {
        let env = [("vip_arp", "true"), ("svc_enable", "true"), ("address", "192.0.2.10")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let host = HostFacts { hostname: "n1".into(), service_account_namespace: None };
        let config = resolve(&Flags::default(), env.into_iter(), None, &host).unwrap().config;
        let vip = "192.0.2.10".parse().unwrap();
        assert_eq!(forbidden(&config.services.unwrap()).reason(vip), Some(&ForbiddenReason::ControlPlane));
    }

    #[test]
    fn routers_get_time_only_where_they_have_another_route_to_prefer() {
        let bgp = [
            ("bgp_enable", "true"),
            ("bgp_as", "65000"),
            ("bgp_peeraddress", "192.0.2.1"),
            ("bgp_peeras", "65001"),
            ("svc_enable", "true"),
        ];
        let control_plane = [("cp_enable", "true"), ("address", "192.0.2.10")];
        let elected = [control_plane[0], control_plane[1], ("vip_leaderelection", "true")];
        let spread = [("vipcast_services_distribution", "spread")];
        let is_one_of_many = |more: &[(&str, &str)]| {
            let env = bgp.iter().chain(more).map(|&(name, value)| (name.to_owned(), value.to_owned()));
            let host = HostFacts { hostname: "n1".into(), service_account_namespace: None };
            super::super::is_one_of_many(&resolve(&Flags::default(), env, None, &host).unwrap().config)
        };
        let seen = [&[][..], &spread, &control_plane, &elected].map(is_one_of_many);
        assert_eq!(seen, [true, false, true, false]);
    }

    #[tokio::test]
    async fn a_flood_of_events_about_services_leaves_room_for_those_about_vips() {
        let env =
            [("vip_arp", "true"), ("svc_enable", "true")].map(|(name, on)| (name.to_owned(), on.to_owned()));
        let host = HostFacts { hostname: "n1".into(), service_account_namespace: None };
        let config = resolve(&Flags::default(), env.into_iter(), None, &host).unwrap().config;
        let (witness, _) = Witness::for_tests();
        let (_connected, connections) = watch::channel(None);
        let mut tasks = Tasks::default();
        let events = kubernetes::events("events", &config, &connections, &mut tasks);
        let daemon = Daemon {
            config: &config,
            witness: Witness { events, ..witness },
            connections,
            watched: crate::bfd::Stats::new(),
            leaving: Drain::manual().1,
            relieved: watch::channel(false).1,
        };
        let services = daemon.for_services(&mut tasks);
        let notice = |number: usize| Notice {
            reason: Reason::PoolExhausted,
            about: About::Service { namespace: "web".into(), name: "shop".into(), uid: "u".into() },
            subject: number.to_string(),
            note: String::new(),
        };
        // Nobody has a turn to take them meanwhile.
        assert!((0..10_000).any(|number| !services.events.post(notice(number))));
        assert!(daemon.witness.events.tell(Reason::VipLost, "192.0.2.10", "gone"));
    }
}

//! The task without a cluster and without a kernel: what they say by hand, and what follows from it.

mod answers;
mod guarding;

use futures::FutureExt as _;
use vipcast_proto::guard::{Demand as Restricted, Others};
use vipcast_proto::ipam::{
    Asked, Decision, Family, Labels, PoolId, Port, Problem, Protocol, Refusal, Refused, Severity, Source,
    Want,
};
use vipcast_proto::l2::ethernet::MacAddr;
use vipcast_proto::service::{
    Change, ENDPOINTLESS, Endpoint, EndpointSlice, Exclusion, INSECURE, INTERFACE, Namespace,
    NamespaceLabels, Node, Options, Service, SliceKey, Terms, Written, parse_selector,
};

use super::*;
use crate::admin::board::{KubernetesFact, StatusReader};
use crate::admin::service_metrics::AddressCounts;
use crate::allocator::PoolsAnswer;
use crate::kube::pools::{ConfigMapName, Fault};
use crate::net::netlink::{DefaultRoute, Interface};
use crate::placement::Role;

/// The task, and the other ends of all its wires.
struct Bench {
    services: Services,
    answering: JoinSet<()>,
    events: mpsc::Sender<Event>,
    local: watch::Sender<Local>,
    waiting: watch::Receiver<Arc<Waiting>>,
    demand: mpsc::Receiver<Demand>,
    rules: watch::Receiver<Option<Arc<Rules>>>,
    guard: watch::Sender<GuardState>,
    interfaces: mpsc::Receiver<Interfaces>,
    shown: Interfaces,
    feed: mpsc::Receiver<Feed>,
    nodes: watch::Receiver<Nodes>,
    pools: watch::Sender<Pools>,
    placed: watch::Sender<PlacementReport>,
    standings: watch::Sender<BTreeMap<Arc<str>, Standing>>,
    placing: mpsc::Receiver<placement::Ask>,
    status: StatusReader,
    _others: (watch::Sender<Vec<IpNet>>, mpsc::Sender<Ask>),
}

impl Bench {
    /// On a node with the interface `eth0` in 192.0.2.0/24, and nothing known of the cluster.
    async fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let mut bench = Self::without_interfaces(change);
        bench.is(local(&[])).await;
        bench
    }

    fn without_interfaces(change: impl FnOnce(&mut Settings)) -> Self {
        Self::build(change, NamespaceLabels::Unused)
    }

    fn build(change: impl FnOnce(&mut Settings), namespace_labels: NamespaceLabels) -> Self {
        let mut settings = Settings {
            node: "a".into(),
            weight: 3,
            class: None,
            means: Means { layer2: true, bgp: false },
            interface: None,
            security: false,
            forbidden: Forbidden::default(),
            leases: OwnLeases::None,
            by_every_node: false,
        };
        change(&mut settings);
        let options = Options { exclusion: Exclusion::Ignored, namespace_labels };
        let (events, heard) = mpsc::channel(16);
        let (local, seen) = watch::channel(Local::default());
        let (networks, cidrs) = watch::channel(vec![]);
        let (waiting_out, waiting) = watch::channel(Arc::default());
        let (nodes_out, nodes) = watch::channel(None);
        let (demand_out, demand) = mpsc::channel(64);
        let (rules_out, rules) = watch::channel(None);
        let (guard, guarded) = watch::channel(GuardState::default());
        let (interfaces_out, interfaces) = mpsc::channel(64);
        let (feed_out, feed) = mpsc::channel(64);
        let (asks_out, asks) = mpsc::channel(1);
        let (placement, placing) = mpsc::channel(1);
        let (pools_out, pools) = watch::channel(Pools::default());
        let (placed_out, placed) = watch::channel(PlacementReport::default());
        let (standings_out, standings) = watch::channel(BTreeMap::new());
        let (board, status) = StatusBoard::new("0.1.0", "a");
        let connected =
            KubernetesFact { endpoint: None, source: None, connected: true, condition: String::new() };
        board.kubernetes(connected);
        let sources = Sources {
            placement,
            placed,
            allocator: None,
            allocated: watch::channel(AllocatorReport::default()).1,
            pools,
            standings,
        };
        let wires = Wires {
            events: heard,
            local: seen,
            networks: cidrs,
            waiting: waiting_out,
            demand: demand_out,
            rules: rules_out,
            guard: guarded,
            interfaces: interfaces_out,
            feed: Some(feed_out),
            nodes: nodes_out,
            figures: watch::channel(Arc::default()).0,
            asks,
            board,
            host: None,
            sources,
        };
        let catalog = Catalog::new(options, settings.forbidden.clone());
        Self {
            services: Services::new(settings, catalog, wires),
            answering: JoinSet::new(),
            events,
            local,
            waiting,
            demand,
            rules,
            guard,
            interfaces,
            shown: Interfaces::new(),
            feed,
            nodes,
            pools: pools_out,
            placed: placed_out,
            standings: standings_out,
            placing,
            status,
            _others: (networks, asks_out),
        }
    }

    /// Everything that is to be done is done.
    fn turn(&mut self) {
        while let Some(done) =
            tokio::task::unconstrained(self.services.step(&mut self.answering)).now_or_never()
        {
            done.expect("somebody is gone");
        }
    }

    async fn is(&mut self, local: Local) {
        self.local.send_replace(local);
        self.turn();
    }

    async fn hear(&mut self, event: Event) {
        self.events.send(event).await.unwrap();
        self.turn();
    }

    /// All that is in a cluster of two nodes in which each of these Services has an endpoint.
    async fn list(&mut self, services: Vec<Service>) {
        let slices = services.iter().map(slice).collect();
        self.hear(Event::Nodes(Change::Listed(vec![node("a", true), node("b", true)]))).await;
        self.hear(Event::Slices(Change::Listed(slices))).await;
        self.hear(Event::Services(Change::Listed(services))).await;
    }

    fn place(&mut self, change: impl FnOnce(&mut PlacementReport)) {
        self.placed.send_modify(change);
        self.turn();
    }

    fn enforce(&mut self) {
        let in_force = self.rules.borrow().clone().unwrap();
        self.guard.send_replace(GuardState { in_force, trouble: None });
        self.turn();
    }

    /// What was demanded since the last look: weights, and for each address whether this node can, if it is wanted.
    fn demanded(&mut self) -> (Vec<Weight>, Vec<(String, Option<bool>)>) {
        let (mut weights, mut wanted) = (vec![], vec![]);
        while let Ok(demand) = self.demand.try_recv() {
            match demand {
                Demand::Weight(weight) => weights.push(weight),
                Demand::Nodes(_) => {}
                Demand::Wanted(all) => wanted.extend(
                    all.into_iter().map(|(at, facts)| (at.to_string(), facts.map(|facts| !facts.unable))),
                ),
            }
        }
        (weights, wanted)
    }

    fn wanted(&mut self) -> Vec<(String, Option<bool>)> {
        self.demanded().1
    }

    /// What waits for the data path since the last look; `None`: what did before.
    fn waits(&mut self) -> Option<Vec<String>> {
        let changed = self.waiting.has_changed().unwrap();
        let waiting = self.waiting.borrow_and_update();
        changed.then(|| waiting.iter().map(|(address, ports)| format!("{address} {}", ports[0])).collect())
    }

    fn shown(&mut self) -> Vec<(String, String)> {
        while let Ok(news) = self.interfaces.try_recv() {
            self.shown.extend(news);
        }
        let shown = self.shown.iter().filter_map(|(at, name)| Some((at, name.as_ref()?)));
        shown.map(|(at, name)| (at.to_string(), name.to_string())).collect()
    }

    /// What the allocator was told since the last look: why the router may be nobody's address, and Services.
    fn fed(&mut self) -> Vec<String> {
        let word = |feed| match feed {
            Feed::Loaded(all) => format!("loaded {}", all.len()),
            Feed::Upsert(view) => format!("upsert {}", view.key),
            Feed::Removed(key) => format!("removed {key}"),
            Feed::Deleted(key) => format!("deleted {key}"),
            Feed::Forbidden(forbidden) => {
                let why = forbidden.reason(ROUTER.parse().unwrap());
                format!("forbidden: {}", why.map_or_else(|| "nothing".to_owned(), ToString::to_string))
            }
        };
        std::iter::from_fn(|| self.feed.try_recv().ok()).map(word).collect()
    }
}

fn interface(index: u32, name: &str, address: &str) -> Interface {
    let (mac, addresses) = (Some(MacAddr::from([2, 0, 0, 0, 0, 1])), vec![address.parse().unwrap()]);
    Interface { index, name: name.into(), mac, up: true, loopback: false, addresses, master: None }
}

fn local(gateways: &[&str]) -> Local {
    let gateways = gateways.iter().map(|gateway| gateway.parse().unwrap()).collect();
    Local {
        interfaces: vec![interface(2, "eth0", "192.0.2.1/24"), interface(3, "eth1", "198.51.100.1/24")],
        default_route: DefaultRoute { interface: Some(2), gateways },
    }
}

fn node(name: &str, ready: bool) -> Node {
    Node { name: name.into(), ready, ..Node::default() }
}

fn written(name: &str, address: &str) -> Written {
    Written {
        key: ServiceKey { namespace: "web".into(), name: name.into() },
        uid: name.into(),
        service_type: "LoadBalancer".into(),
        ports: PORTS.to_vec(),
        ip_families: vec!["IPv4".into()],
        ingress: vec![address.into()],
        ..Written::default()
    }
}

fn service(name: &str, address: &str) -> Service {
    read(written(name, address))
}

fn read(written: Written) -> Service {
    written.read(&Terms::default()).unwrap()
}

fn slice(service: &Service) -> EndpointSlice {
    let ServiceKey { namespace, name } = service.key();
    let key = SliceKey { namespace: namespace.as_ref().into(), name: name.as_ref().into() };
    let endpoint = Endpoint { node: Some("b"), ready: Some(true), serving: None, terminating: None };
    EndpointSlice::new(key, name.as_ref().into(), Family::V4, [endpoint])
}

fn restricted(name: &str, range: &str) -> Service {
    read(Written { source_ranges: vec![range.into()], ..written(name, VIP) })
}

fn annotated(name: &str, annotation: &str, text: &str) -> Service {
    let annotations = [(annotation.to_owned(), text.to_owned())].into();
    read(Written { annotations, ..written(name, VIP) })
}

fn on(address: &str, able: bool) -> (String, Option<bool>) {
    (address.to_owned(), Some(able))
}

fn at(address: &str, interface: &str) -> (String, String) {
    (address.to_owned(), interface.to_owned())
}

#[tokio::test]
async fn everything_is_told_at_once_when_everything_is_known() {
    let mut bench = Bench::new(|_| ()).await;
    bench.hear(Event::Services(Change::Listed(vec![service("shop", VIP)]))).await;
    assert_eq!(
        (bench.demanded(), bench.fed(), bench.rules.borrow().clone()),
        ((vec![], vec![]), vec![], None)
    );
    bench.list(vec![service("shop", VIP)]).await;
    assert_eq!(bench.demanded(), (vec![3], vec![on(VIP, true)]));
    assert_eq!(bench.shown(), [at(VIP, "eth0")]);
    assert_eq!(bench.fed(), ["forbidden: nothing", "loaded 1"]);
    assert_eq!(bench.rules.borrow().clone(), Some(Arc::default()));
    bench.hear(Event::Services(Change::Applied(service("blog", "192.0.2.8")))).await;
    // It has no endpoint yet.
    assert_eq!(
        (bench.fed(), bench.wanted()),
        (vec!["upsert web/blog".to_owned()], vec![("192.0.2.8".into(), None)])
    );
    bench.hear(Event::Services(Change::Deleted(service("shop", VIP).key().clone()))).await;
    assert_eq!(
        (bench.fed(), bench.wanted()),
        (vec!["removed web/shop".to_owned()], vec![(VIP.into(), None)])
    );
    assert_eq!(bench.shown(), []);
}

#[tokio::test]
async fn a_node_is_ready_from_when_it_can_announce_services_and_for_good() {
    let mut bench = Bench::new(|_| ()).await;
    let lack = |bench: &Bench| bench.status.ready().unwrap_err();
    let named = "Services cannot be announced yet: not known yet, for the API server has not listed them to this node: \
                 Services, EndpointSlices, Nodes (the log says if it refuses to)";
    assert_eq!(lack(&bench), named);
    bench.place(|placed| placed.role = Role::Member);
    assert_eq!(lack(&bench), named, "a Lease without the lists");
    bench.place(|placed| placed.role = Role::Silent);
    bench.list(vec![service("shop", VIP)]).await;
    assert_eq!(
        lack(&bench),
        "Services cannot be announced yet: it has no Lease that counts, or is not fit",
        "the lists without a Lease"
    );
    bench.place(|placed| placed.role = Role::Refused);
    assert_eq!(lack(&bench), "Services cannot be announced yet: another machine speaks under its name");
    bench.place(|placed| placed.role = Role::Standby);
    assert_eq!(bench.status.ready(), Ok("Services are known".to_owned()));
    bench.place(|placed| placed.role = Role::Silent);
    assert_eq!(bench.status.ready(), Ok("Services are known".to_owned()), "the API server has gone away");
}

#[tokio::test]
async fn a_daemon_under_a_name_that_no_node_has_is_not_ready_and_says_so() {
    let mut bench = Bench::new(|settings| settings.node = "a.example.org".into()).await;
    bench.place(|placed| placed.role = Role::Member);
    bench.list(vec![service("shop", VIP)]).await;
    let why = "Services cannot be announced yet: there is no Node a.example.org (vip_nodename)";
    assert_eq!(bench.status.ready(), Err(why.to_owned()));
}

#[tokio::test]
async fn a_node_that_is_to_announce_nothing_is_ready_when_that_is_known() {
    let mut bench = Bench::new(|settings| settings.weight = 0).await;
    assert!(bench.status.ready().is_err());
    bench.list(vec![]).await;
    assert_eq!(bench.status.ready(), Ok("Services are known".to_owned()));
}

#[tokio::test]
async fn what_others_announce_is_counted_only_where_it_is_seen() {
    let mut bench = Bench::new(|_| ()).await;
    bench.list(vec![service("shop", VIP), service("blog", "192.0.2.8"), service("gone", ROUTER)]).await;
    let mut counts = |mode, role, holder: Option<&str>, held, unserved| {
        bench.place(|placed| {
            (placed.mode, placed.role, placed.holder, placed.wanted, placed.held, placed.unserved) =
                (mode, role, holder.map(str::to_owned), 2, held, unserved);
        });
        bench.services.figures().addresses
    };
    let expect = |held, elsewhere, unknown, nowhere: usize| AddressCounts {
        held,
        elsewhere,
        unknown,
        nowhere: 1 + nowhere,
    };
    let seen = [
        ("spread", Role::Member, None, 1, 0),
        ("spread", Role::Member, None, 1, 1),
        ("lease", Role::Member, Some("a"), 1, 0),
        ("everyNode", Role::Member, None, 1, 0),
        ("lease", Role::Standby, Some("b"), 0, 0),
        ("lease", Role::Standby, None, 0, 0),
        ("lease", Role::Silent, Some("b"), 0, 0),
    ];
    assert_eq!(
        seen.map(|(mode, role, holder, held, unserved)| counts(mode, role, holder, held, unserved)),
        [
            expect(1, 1, 0, 0),
            expect(1, 0, 0, 1),
            expect(1, 0, 0, 1),
            expect(1, 0, 1, 0),
            expect(0, 2, 0, 0),
            expect(0, 0, 2, 0),
            expect(0, 0, 2, 0),
        ]
    );
}

#[tokio::test]
async fn a_node_that_is_not_fit_weighs_nothing_and_is_told_so_once() {
    let mut bench = Bench::new(|_| ()).await;
    bench.list(vec![service("shop", VIP)]).await;
    assert_eq!(bench.demanded().0, [3]);
    for _ in 0..2 {
        bench.hear(Event::Nodes(Change::Applied(node("a", false)))).await;
    }
    assert_eq!(bench.demanded().0, [0]);
    bench.hear(Event::Nodes(Change::Applied(node("a", true)))).await;
    assert_eq!(bench.demanded().0, [3]);
}

#[tokio::test]
async fn nothing_is_assigned_before_the_kernel_has_said_which_routers_there_are() {
    let mut bench = Bench::without_interfaces(|_| ());
    bench.list(vec![service("shop", VIP)]).await;
    assert_eq!(bench.fed(), [""; 0]);
    bench.is(local(&[ROUTER])).await;
    assert_eq!(bench.fed(), ["forbidden: a gateway", "loaded 1"]);
    bench.is(local(&[])).await;
    assert_eq!(bench.fed(), ["forbidden: nothing"]);
    // Where there is no router, too, it has to be known that there is none.
    let mut bench = Bench::without_interfaces(|_| ());
    bench.list(vec![service("shop", VIP)]).await;
    bench.is(local(&[])).await;
    assert_eq!(bench.fed(), ["forbidden: nothing", "loaded 1"]);
}

#[tokio::test]
async fn only_pools_that_select_by_labels_of_namespaces_wait_for_them() {
    let all = ["forbidden: nothing", "loaded 1"].as_slice();
    for selects in [true, false] {
        let mut bench = Bench::build(|_| (), NamespaceLabels::Needed);
        bench.is(local(&[])).await;
        let id = PoolId { source: Source::Own, name: "lab".into() };
        let mut pool = Pool::new(id, vec!["192.0.2.0/28".parse().unwrap()]);
        if selects {
            pool.selection.namespace_selectors.push(parse_selector("team=web").unwrap());
        }
        bench.pools.send_replace(Pools { complete: true, pools: vec![pool], faults: vec![] });
        bench.list(vec![service("shop", VIP)]).await;
        assert_eq!(bench.wanted(), [on(VIP, true)], "what it has is announced");
        bench.place(|placed| placed.role = Role::Member);
        assert_eq!(
            bench.status.ready(),
            Ok("Services are known".to_owned()),
            "nobody announces by namespaces"
        );
        assert_eq!(bench.fed(), if selects { &[] } else { all });
        let labels = Labels::from([("team".into(), "web".into())]);
        bench.hear(Event::Namespaces(Change::Listed(vec![Namespace { name: "web".into(), labels }]))).await;
        assert_eq!(bench.fed(), if selects { all } else { &["upsert web/shop"] });
    }
}

#[tokio::test]
async fn a_service_without_an_address_waits_for_the_labels_of_its_new_namespace() {
    for labels in [Labels::new(), [("team".into(), "web".into())].into()] {
        let mut bench = Bench::build(|_| (), NamespaceLabels::Needed);
        bench.is(local(&[])).await;
        let id = PoolId { source: Source::Own, name: "lab".into() };
        let mut pool = Pool::new(id, vec!["192.0.2.0/28".parse().unwrap()]);
        pool.selection.namespace_selectors.push(parse_selector("team=web").unwrap());
        bench.pools.send_replace(Pools { complete: true, pools: vec![pool], faults: vec![] });
        bench.hear(Event::Namespaces(Change::Listed(vec![]))).await;
        let young = |name: &str| read(Written { ingress: vec![], ..written(name, VIP) });
        bench.list(vec![service("old", VIP), young("listed")]).await;
        assert_eq!(bench.fed(), ["forbidden: nothing", "loaded 1"]);
        bench.hear(Event::Services(Change::Applied(young("new")))).await;
        assert_eq!(bench.fed(), [""; 0]);
        bench.hear(Event::Namespaces(Change::Applied(Namespace { name: "web".into(), labels }))).await;
        assert_eq!(bench.fed(), ["upsert web/listed", "upsert web/new", "upsert web/old"]);
    }
}

#[tokio::test]
async fn a_lease_of_its_own_is_asked_for_and_given_up_while_a_service_lives() {
    let mut bench = Bench::new(|settings| settings.leases = OwnLeases::OnDemand("shared".into())).await;
    bench.list(vec![service("shop", VIP)]).await;
    let own = annotated("shop", "kube-vip.io/forcePerServiceElection", "true");
    for service in [own, service("shop", VIP)] {
        bench.hear(Event::Services(Change::Applied(service))).await;
    }
    let facts = std::iter::from_fn(|| bench.demand.try_recv().ok()).filter_map(|demand| match demand {
        Demand::Wanted(mut all) => all.remove(&VIP.parse().unwrap()).flatten(),
        Demand::Weight(_) | Demand::Nodes(_) => None,
    });
    let leases: Vec<_> = facts.map(|facts| facts.lease.unwrap().to_string()).collect();
    assert_eq!(leases, ["shared", "web/kubevip-shop", "shared"]);
}

#[tokio::test]
async fn a_service_on_which_another_node_is_written_is_looked_at_again() {
    let mut bench = Bench::new(|_| ()).await;
    bench.list(vec![service("shop", VIP)]).await;
    assert_eq!(bench.fed(), ["forbidden: nothing", "loaded 1"]);
    let [b, c] = ["b", "c"].map(|host| annotated("shop", "kube-vip.io/vipHost", host));
    for service in [b, c.clone(), c] {
        bench.hear(Event::Services(Change::Applied(service))).await;
    }
    assert_eq!(bench.fed(), ["upsert web/shop"; 2]);
}

#[tokio::test]
async fn the_interfaces_of_pods_are_no_reason_to_think_of_services_again() {
    let mut bench = Bench::new(|_| ()).await;
    bench.list(vec![service("shop", VIP)]).await;
    assert_eq!(bench.wanted(), [on(VIP, true)]);
    let mut more = local(&[]);
    more.interfaces.push(Interface { addresses: vec![], ..interface(7, "veth7", "203.0.113.1/32") });
    bench.is(more.clone()).await;
    assert_eq!(bench.wanted(), []);
    more.interfaces[0].up = false;
    bench.is(more).await;
    assert_eq!(bench.wanted(), [on(VIP, false)]);
}

#[tokio::test]
async fn what_the_api_server_has_not_listed_is_named() {
    let mut bench = Bench::new(|_| ()).await;
    // Somebody gives addresses here.
    let (allocator, mut asked) = mpsc::channel(1);
    bench.services.wires.sources.allocator = Some(allocator);
    let mut notes = Vec::new();
    for listed in [false, true] {
        if listed {
            bench.list(vec![]).await;
        }
        let (answer, answered) = tokio::sync::oneshot::channel();
        bench.services.answer(Ask::Pools(answer), &mut bench.answering);
        drop(asked.recv().await);
        notes.push(answered.await.unwrap().unwrap().notes.concat());
    }
    assert!(notes[0].contains("Services, EndpointSlices, Nodes"), "{notes:?}");
    assert_eq!(notes[1], "");
}

/// Who knows of addresses and pools, by heart: 192.0.2.8 is not given, and a ConfigMap has a wrong key.
async fn allocator(mut asked: mpsc::Receiver<allocator::Ask>) {
    let asked_for = Asked::Want(Want::Address(REFUSED.parse().unwrap()));
    let refused = vec![Refused { asked: asked_for, why: Refusal::OutsidePools }];
    let config_map = Some(ConfigMapName { namespace: "kube-system".into(), name: "kubevip".into() });
    let [key, value, reason, fix] = ["cidr-web", "x", "no network", "write one"].map(str::to_owned);
    let problem = Problem { severity: Severity::Error, key, value, reason, fix };
    let odd = Problem { severity: Severity::Warning, ..problem.clone() };
    let fault = Fault { source: Source::KubeVip, config_map, problem };
    let odd = Fault { problem: odd, ..fault.clone() };
    while let Some(ask) = asked.recv().await {
        match ask {
            allocator::Ask::Decision(_, to) => {
                drop(to.send(Some(Decision { refused: refused.clone(), ..Decision::default() })));
            }
            allocator::Ask::Pools(to) => {
                let faults = vec![fault.clone(), odd.clone()];
                drop(to.send(PoolsAnswer { faults, ..PoolsAnswer::default() }));
            }
        }
    }
}

#[tokio::test]
async fn a_refused_address_is_told_beside_a_granted_one_and_what_is_wrong_in_a_config_map_with_the_pools() {
    let mut bench = Bench::new(|_| ()).await;
    let (out, asked) = mpsc::channel(4);
    bench.services.wires.sources.allocator = Some(out);
    bench.answering.spawn(allocator(asked));
    // Nobody answers for the placement.
    bench.services.wires.sources.placement = mpsc::channel(1).0;
    let both = annotated("both", "kube-vip.io/loadbalancerIPs", &format!("{VIP},{REFUSED}"));
    bench.list(vec![both, service("shop", ROUTER)]).await;
    let (answer, answered) = tokio::sync::oneshot::channel();
    bench.services.answer(Ask::Services(None, answer), &mut bench.answering);
    let services = answered.await.unwrap().all;
    let lacks: Vec<_> = services.into_iter().map(|service| (service.name, service.lacks)).collect();
    let lack = format!("{REFUSED}: in no pool that serves this Service");
    assert_eq!(lacks, [("both".to_owned(), vec![lack]), ("shop".to_owned(), vec![])]);
    let (answer, answered) = tokio::sync::oneshot::channel();
    bench.services.answer(Ask::Pools(answer), &mut bench.answering);
    let note = "ConfigMap kube-system/kubevip: cidr-web = \"x\": no network; write one";
    assert_eq!(answered.await.unwrap().unwrap().notes, [note]);
}

#[tokio::test]
async fn the_ends_of_the_networks_of_this_node_are_not_given_and_announced_where_a_service_has_one() {
    let mut bench = Bench::new(|_| ()).await;
    bench.list(vec![service("shop", "192.0.2.255")]).await;
    assert_eq!(bench.wanted(), [on("192.0.2.255", true)]);
    let reason = |address: &str| bench.services.catalog.forbidden().reason(address.parse().unwrap()).cloned();
    let end = Some(ForbiddenReason::NetworkEnd("192.0.2.0/24".parse().unwrap()));
    assert_eq!(["192.0.2.255", "192.0.2.0", "192.0.2.1"].map(reason), [end.clone(), end, None]);
}

#[tokio::test]
async fn where_others_give_addresses_that_is_why_there_are_no_pools() {
    let mut bench = Bench::new(|_| ()).await;
    bench.list(vec![]).await;
    let (answer, answered) = tokio::sync::oneshot::channel();
    bench.services.answer(Ask::Pools(answer), &mut bench.answering);
    let why = "addresses are given by somebody else (services.allocate: false)";
    assert_eq!(answered.await.unwrap(), Err(why.to_owned()));
}

#[tokio::test]
async fn the_address_of_a_router_is_announced_by_nobody_who_knows() {
    let mut bench = Bench::new(|_| ()).await;
    bench.list(vec![service("shop", ROUTER)]).await;
    assert_eq!(bench.wanted(), [on(ROUTER, true)]);
    bench.is(local(&[ROUTER])).await;
    assert_eq!(bench.wanted().first(), Some(&(ROUTER.to_owned(), None)));
    assert_eq!(bench.shown(), []);
}

#[tokio::test]
async fn an_address_waits_for_the_data_path_when_this_node_may_be_given_it_and_not_again() {
    let mut bench = Bench::new(|_| ()).await;
    bench.list(vec![service("shop", VIP)]).await;
    assert_eq!(bench.waits(), Some(vec![format!("{VIP} TCP/80")]));
    // Something else about it is new.
    bench.hear(Event::Services(Change::Applied(restricted("shop", "10.0.0.0/8")))).await;
    assert_eq!(bench.waits(), None);
    // Its only endpoint is elsewhere: this node cannot be given it, and kube-proxy has no rules for it.
    let only_its_nodes =
        read(Written { external_traffic_policy: Some("Local".into()), ..written("shop", VIP) });
    bench.hear(Event::Services(Change::Applied(only_its_nodes))).await;
    assert_eq!(bench.waits(), Some(vec![]));
    bench.hear(Event::Services(Change::Applied(service("shop", VIP)))).await;
    assert_eq!(bench.waits(), Some(vec![format!("{VIP} TCP/80")]));
    bench.hear(Event::Services(Change::Deleted(service("shop", VIP).key().clone()))).await;
    assert_eq!(bench.waits(), Some(vec![]));
}

#[tokio::test]
async fn an_address_without_endpoints_has_no_rules_to_wait_for() {
    let mut bench = Bench::new(|_| ()).await;
    let shop = annotated("shop", ENDPOINTLESS, "true");
    bench.hear(Event::Nodes(Change::Listed(vec![node("a", true)]))).await;
    bench.hear(Event::Slices(Change::Listed(vec![]))).await;
    bench.hear(Event::Services(Change::Listed(vec![shop]))).await;
    assert_eq!((bench.wanted(), bench.waits()), (vec![on(VIP, true)], None));
}

#[tokio::test]
async fn without_a_network_or_a_carrier_an_address_can_only_be_told_to_routers() {
    for bgp in [false, true] {
        let mut bench = Bench::new(|settings| settings.means.bgp = bgp).await;
        bench.list(vec![service("shop", "203.0.113.7")]).await;
        assert_eq!((bench.wanted(), bench.shown()), (vec![on("203.0.113.7", bgp)], vec![]));
        let mut bench = Bench::new(|settings| settings.means.bgp = bgp).await;
        bench.list(vec![service("shop", VIP)]).await;
        assert_eq!(bench.wanted(), [on(VIP, true)]);
        let mut down = local(&[]);
        down.interfaces[0].up = false;
        bench.is(down).await;
        assert_eq!((bench.wanted(), bench.shown()), (vec![on(VIP, bgp)], vec![at(VIP, "eth0")]));
    }
    let mut bench = Bench::new(|settings| settings.means = Means { layer2: false, bgp: true }).await;
    bench.list(vec![service("shop", VIP)]).await;
    assert_eq!((bench.wanted(), bench.shown()), (vec![on(VIP, true)], vec![]));
}

#[tokio::test]
async fn the_service_says_the_interface_then_its_pool_then_the_settings_then_the_network() {
    let mut pool =
        Pool::new(PoolId { source: Source::Own, name: "lab".into() }, vec!["192.0.2.0/28".parse().unwrap()]);
    pool.interface = vipcast_proto::ipam::PerNamespace::global("eth1".to_owned());
    let pools = Pools { complete: true, pools: vec![pool], faults: vec![] };
    for (named, with_pool, on_service, expected) in [
        (None, false, None, "eth0"),
        (Some("eth1"), false, None, "eth1"),
        (Some("auto"), true, None, "eth1"),
        (Some("eth1"), true, Some("auto"), "eth0"),
        (None, true, Some("eth0"), "eth0"),
    ] {
        let mut bench = Bench::new(|settings| settings.interface = named.map(str::to_owned)).await;
        let shop = on_service.map_or_else(|| service("shop", VIP), |it| annotated("shop", INTERFACE, it));
        bench.list(vec![shop]).await;
        if with_pool {
            bench.pools.send_replace(pools.clone());
            bench.turn();
        }
        assert_eq!(bench.shown(), [at(VIP, expected)], "{named:?} {with_pool} {on_service:?}");
    }
}

#[tokio::test]
async fn the_names_of_all_nodes_are_told_from_when_they_are_known() {
    let mut bench = Bench::new(|_| ()).await;
    let names = |names: &[&str]| Some(names.iter().map(|&name| name.into()).collect());
    bench.hear(Event::Nodes(Change::Listed(vec![node("a", true)]))).await;
    assert_eq!(*bench.nodes.borrow(), None);
    bench.list(vec![]).await;
    assert_eq!(*bench.nodes.borrow(), names(&["a", "b"]));
    bench.hear(Event::Nodes(Change::Deleted("b".into()))).await;
    assert_eq!(*bench.nodes.borrow(), names(&["a"]));
}

const VIP: &str = "192.0.2.7";
const ROUTER: &str = "192.0.2.254";
const REFUSED: &str = "192.0.2.8";
const PORTS: [Port; 1] = [Port { protocol: Protocol::Tcp, number: 80 }];

//! Several nodes in one process, over an API server that keeps Leases and nothing else, and announcers that take their time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use vipcast_proto::advertiser::Remains;
use vipcast_proto::election::{Answer, Intent, Stamp, Timing, Write};
use vipcast_proto::placement::Facts;

use super::super::{Ask, Demand, Grants, PlacementReport, Role, Whereabouts, Wires};
use super::{Channels, Leases, Settings, run};
use crate::clock;
use crate::drain::{Drain, Trigger};
use crate::election::Store;
use crate::kube::failure::Failure;
use crate::kube::lease::{
    ADDRESSES, Holder, LeaseName, MARK, Outcome, Scope, Sighting, apply, blank, record,
};
use crate::witness::Witness;

#[tokio::test(start_paused = true)]
async fn each_service_has_one_announcer_and_each_node_some() {
    let mut bed = Bed::new(&["a", "b", "c"]).await;
    bed.want(1..=20).await;
    pass(500).await;
    let owners = bed.announced();
    assert_eq!((owners.len(), owners.values().collect::<BTreeSet<_>>().len()), (20, 3), "{owners:?}");
    // Planned: in order, without waiting for a Lease to run out.
    bed.nodes["b"].drain.start();
    pass(400).await;
    let after = bed.announced();
    assert_eq!((after.len(), after.values().collect::<BTreeSet<_>>().len()), (20, 2), "{after:?}");
    assert_eq!(bed.nodes["b"].report.borrow().role, Role::Left);
    let stayed = |(address, owner): (&IpAddr, &String)| owner == "b" || after[address] == *owner;
    assert!(owners.iter().all(stayed), "nothing else moves");
    // Unplanned: the Leases run out.
    bed.kill("c");
    pass(6_000).await;
    assert_eq!(bed.announced().into_values().collect::<BTreeSet<_>>(), ["a".to_owned()].into());
    assert_eq!((bed.announced().len(), bed.doubles(), bed.names().len()), (20, vec![], 20));
}

#[tokio::test(start_paused = true)]
async fn renewals_are_not_made_together() {
    let mut bed = Bed::new(&["a"]).await;
    bed.want(1..=40).await;
    pass(3_000).await;
    let before = bed.api.lock().unwrap().writes.len();
    pass(1_000).await;
    let writes = bed.api.lock().unwrap().writes[before..].to_vec();
    let start = writes[0];
    let mut tenths = [0; 11];
    writes.iter().for_each(|at| tenths[usize::try_from((*at - start).as_millis() / 100).unwrap()] += 1);
    assert!((38..=42).contains(&writes.len()), "one for each in a period: {}", writes.len());
    assert!(tenths.iter().all(|count| *count < 20), "{tenths:?}");
}

#[tokio::test(start_paused = true)]
async fn leases_go_with_their_services_and_no_others() {
    let mut bed = Bed::new(&["a", "b"]).await;
    bed.put("default/foreign", None, "z");
    bed.put("default/kubevip-foreign", None, "z");
    bed.put("default/kubevip-left", Some("kube-system"), "z");
    bed.put("default/kubevip-theirs", Some("vips"), "z");
    bed.want(1..=3).await;
    pass(1_000).await;
    assert_eq!(bed.names().len(), 7);
    let all: BTreeMap<_, _> = (1..=3).map(|last| (ip(last), None)).collect();
    bed.demand(Demand::Wanted(all)).await;
    pass(500).await;
    let kept =
        ["default/foreign", "default/kubevip-foreign", "default/kubevip-left", "default/kubevip-theirs"];
    assert_eq!(bed.names(), kept.map(str::to_owned).into());
    // What somebody left behind, when it has not moved for long enough.
    pass(15_000).await;
    assert_eq!(bed.names(), [kept[0], kept[1], kept[3]].map(str::to_owned).into());
    // And who is still there when its Service goes has a Lease again when the Service is back.
    bed.want(1..=1).await;
    pass(6_000).await;
    assert_eq!((bed.announced().len(), bed.doubles()), (1, vec![]));
}

#[tokio::test(start_paused = true)]
async fn services_that_name_one_lease_have_one_announcer_and_names_that_cannot_be_have_none() {
    let bed = Bed::new(&["a", "b"]).await;
    let named = |last: u8, lease: &str| (ip(last), Some(facts(last, lease)));
    let wanted: BTreeMap<_, _> = [
        named(1, "shop/front"),
        named(2, "shop/front"),
        named(3, "kube-system/plndr-cp-lock"),
        named(4, "shop/../../nodes"),
        named(5, "front"),
    ]
    .into();
    bed.demand(Demand::Wanted(wanted)).await;
    pass(500).await;
    let owners = bed.announced();
    assert_eq!(
        (owners.keys().copied().collect::<Vec<_>>(), bed.names()),
        (vec![ip(1), ip(2)], ["shop/front".to_owned()].into())
    );
    assert_eq!(owners[&ip(1)], owners[&ip(2)]);
    let at = bed.whereabouts("a", ip(1)).await;
    let other = if owners[&ip(1)] == "a" { "b" } else { "a" };
    assert_eq!((at.holder, at.next.as_deref()), (Some(owners[&ip(1)].clone()), Some(other)));
}

#[tokio::test(start_paused = true)]
async fn a_lock_of_another_program_is_never_taken_and_one_that_kube_vip_left_is() {
    let bed = Bed::new(&["a", "b"]).await;
    bed.put("shop/operator", None, "host1_0b5c2d9e");
    bed.put("shop/front", None, "host1");
    let named = |last: u8, lease: &str| (ip(last), Some(facts(last, lease)));
    let leases = ["shop/operator", "shop/front", "kube-node-lease/host1", "vips/plndr-cp-lock"];
    let wanted = (1..).zip(leases).map(|(last, lease)| named(last, lease)).collect();
    bed.demand(Demand::Wanted(wanted)).await;
    pass(10_000).await;
    assert_eq!(bed.announced().into_keys().collect::<Vec<_>>(), [ip(2)]);
    let leases = bed.api.lock().unwrap().leases.clone();
    let lock = record(&leases[&LeaseName::parse("shop/operator").unwrap()]);
    assert_eq!((lock.holder.as_deref(), leases.len()), (Some("host1_0b5c2d9e"), 2));
    assert_eq!(bed.whereabouts("a", ip(1)).await.holder, None);
    assert_eq!(bed.nodes["a"].report.borrow().unserved, 3, "and the two that have no Lease");
    // Released, it is for the next of that program.
    let name = LeaseName::parse("shop/operator").unwrap();
    let mut released = leases[&name].clone();
    released.spec.as_mut().unwrap().holder_identity = Some(String::new());
    bed.api.lock().unwrap().keep(name.clone(), released);
    pass(5_000).await;
    assert_eq!(record(&bed.api.lock().unwrap().leases[&name]).holder, None);
    {
        let mut server = bed.api.lock().unwrap();
        let lease = server.leases.remove(&name).unwrap();
        server.tell(&Sighting::Deleted(lease));
    }
    pass(8_000).await;
    assert_eq!(bed.announced().into_keys().collect::<Vec<_>>(), [ip(1), ip(2)], "there is none any more");
}

/// Nodes learn that a Service has another Lease one after the other.
#[tokio::test(start_paused = true)]
async fn an_address_that_has_another_lease_is_announced_when_the_holder_of_the_first_has_let_go() {
    let bed = Bed::new(&["a", "b"]).await;
    // Each holds the Lease that only it knows.
    let one = |last, lease| Demand::Wanted([(ip(last), Some(facts(last, lease)))].into());
    bed.tell("a", one(1, "shop/old")).await;
    bed.tell("b", one(2, "shop/new")).await;
    pass(500).await;
    assert_eq!(bed.announced(), [(ip(1), "a".to_owned()), (ip(2), "b".to_owned())].into());
    bed.tell("b", one(1, "shop/new")).await;
    pass(10_000).await;
    assert_eq!(bed.announced()[&ip(1)], "a", "who does not know it yet announces it");
    let at = bed.whereabouts("b", ip(1)).await;
    assert_eq!((at.held, at.queued_behind), (false, vec!["a".to_owned()]));
    bed.tell("a", one(1, "shop/new")).await;
    pass(300).await;
    assert_eq!((bed.announced()[&ip(1)].as_str(), bed.doubles()), ("b", vec![]));
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_holder_said_in_a_lease_that_is_not_ours_to_remove_keeps_nobody_for_ever() {
    let bed = Bed::new(&["a"]).await;
    bed.put("shop/old", None, "dead");
    bed.claim("shop/old", "192.0.2.1");
    bed.tell("a", Demand::Wanted([(ip(1), Some(facts(1, "shop/new")))].into())).await;
    pass(4_000).await;
    assert_eq!(bed.announced(), BTreeMap::new());
    pass(9_000).await;
    assert_eq!(bed.announced(), [(ip(1), "a".to_owned())].into());
    assert!(bed.names().contains("shop/old"), "it is somebody else's to remove");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_reached_delays_no_other() {
    let mut bed = Bed::new(&["a"]).await;
    bed.api.lock().unwrap().hung.insert(lease_of(1));
    bed.want(1..=10).await;
    pass(300).await;
    assert_eq!(bed.announced().len(), 9);
    bed.api.lock().unwrap().hung.clear();
    pass(4_000).await;
    assert_eq!(bed.announced().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn who_can_serve_it_no_more_hands_over_that_one_only() {
    let mut bed = Bed::new(&["a", "b"]).await;
    bed.want(1..=6).await;
    pass(500).await;
    let before = bed.announced();
    let (&moved, owner) = before.first_key_value().unwrap();
    let IpAddr::V4(v4) = moved else { unreachable!("only IPv4 here") };
    let last = v4.octets()[3];
    let unable = Facts { unable: true, ..facts(last, &lease_of(last).to_string()) };
    bed.tell(owner, Demand::Wanted([(moved, Some(unable))].into())).await;
    pass(400).await;
    let after = bed.announced();
    assert_ne!(after[&moved], *owner);
    assert!(before.iter().all(|(address, owner)| *address == moved || after[address] == *owner));
    assert_eq!(bed.doubles(), vec![]);
}

/// Nodes, their API server, and who announces what.
struct Bed {
    api: Api,
    nodes: BTreeMap<&'static str, Node>,
    ledger: Ledger,
}

type Api = Arc<Mutex<Server>>;
type Ledger = Arc<Mutex<Book>>;

#[derive(Default)]
struct Server {
    version: u64,
    leases: BTreeMap<LeaseName, Lease>,
    watches: Vec<mpsc::Sender<Sighting>>,
    writes: Vec<std::time::Instant>,
    hung: BTreeSet<LeaseName>,
}

#[derive(Default)]
struct Book {
    now: BTreeMap<IpAddr, BTreeSet<&'static str>>,
    doubles: Vec<(IpAddr, BTreeSet<&'static str>)>,
}

struct Node {
    demand: mpsc::Sender<Demand>,
    asks: mpsc::Sender<Ask>,
    report: watch::Receiver<PlacementReport>,
    drain: Trigger,
    _tasks: JoinSet<()>,
}

impl Bed {
    async fn new(names: &[&'static str]) -> Self {
        let mut bed = Self { api: Api::default(), nodes: BTreeMap::new(), ledger: Ledger::default() };
        for &name in names {
            let node = bed.node(name);
            bed.nodes.insert(name, node);
        }
        let all = names.iter().map(|&name| name.into()).collect();
        bed.demand(Demand::Nodes(all)).await;
        bed.demand(Demand::Weight(1)).await;
        bed
    }

    fn node(&self, name: &'static str) -> Node {
        let (demand, demanded) = mpsc::channel(64);
        let (asks, asked) = mpsc::channel(4);
        let (grants_out, grants) = watch::channel(Grants::default());
        let (remains_out, remains) = watch::channel(Remains::default());
        let (report_out, report) = watch::channel(PlacementReport::default());
        let (drain, draining) = Drain::manual();
        let (sightings_out, sightings) = mpsc::channel(10_000);
        let leases = self.api.lock().unwrap().leases.values().cloned().collect();
        sightings_out.try_send(Sighting::Listed { scope: Scope::Cluster, leases }).unwrap();
        self.api.lock().unwrap().watches.push(sightings_out);
        let settings = Settings {
            node: name.to_owned(),
            timing: TIMING,
            namespace: "kube-system".into(),
            shared: None,
            reserved: [LeaseName::parse("kube-system/plndr-cp-lock").unwrap()].into(),
            scopes: vec![Scope::Cluster],
        };
        let wires = Wires {
            demand: demanded,
            asks: asked,
            grants: grants_out,
            remains,
            report: report_out,
            drain: draining,
            patience: Duration::from_secs(5),
        };
        let leases = Fake { api: Arc::clone(&self.api), node: name };
        let mut tasks = JoinSet::new();
        tasks.spawn(announce(name, Arc::clone(&self.ledger), grants, remains_out));
        tasks.spawn(run(settings, leases, sightings, Witness::for_tests().0, wires));
        Node { demand, asks, report, drain, _tasks: tasks }
    }

    async fn demand(&self, demand: Demand) {
        for node in self.nodes.values() {
            node.demand.send(demand.clone()).await.unwrap();
        }
    }

    async fn tell(&self, name: &str, demand: Demand) {
        self.nodes[name].demand.send(demand).await.unwrap();
    }

    /// A Service for each of these addresses.
    async fn want(&mut self, lasts: std::ops::RangeInclusive<u8>) {
        let facts = |last| (ip(last), Some(facts(last, &lease_of(last).to_string())));
        self.demand(Demand::Wanted(lasts.map(facts).collect())).await;
    }

    fn kill(&mut self, name: &str) {
        self.nodes.remove(name);
        for announcers in self.ledger.lock().unwrap().now.values_mut() {
            announcers.remove(name);
        }
    }

    fn announced(&self) -> BTreeMap<IpAddr, String> {
        let book = self.ledger.lock().unwrap();
        let one = |(address, who): (&IpAddr, &BTreeSet<&str>)| Some((*address, (*who.first()?).to_owned()));
        book.now.iter().filter_map(one).collect()
    }

    fn doubles(&self) -> Vec<(IpAddr, BTreeSet<&'static str>)> {
        self.ledger.lock().unwrap().doubles.clone()
    }

    fn names(&self) -> BTreeSet<String> {
        self.api.lock().unwrap().leases.keys().map(ToString::to_string).collect()
    }

    async fn whereabouts(&self, name: &str, address: IpAddr) -> Whereabouts {
        let (answer, answered) = oneshot::channel();
        self.nodes[name].asks.send(Ask::Where(address, answer)).await.unwrap();
        answered.await.unwrap()
    }

    /// A Lease that `holder` has, and renews no more.
    fn put(&self, name: &str, mark: Option<&str>, holder: &str) {
        let name = LeaseName::parse(name).unwrap();
        let holder = Holder { identity: holder.into(), lease_duration: TIMING.lease_duration };
        let blank = blank(&name.namespace, &name.name, &BTreeMap::new());
        let mut lease = apply(blank, Intent::Claim { transitions: 0 }, &holder, Stamp(7));
        lease.metadata.labels = mark.map(|mark| [(MARK.to_owned(), mark.to_owned())].into());
        self.api.lock().unwrap().keep(name, lease);
    }

    /// What its holder has written beside its name.
    fn claim(&self, name: &str, addresses: &str) {
        let (name, mut server) = (LeaseName::parse(name).unwrap(), self.api.lock().unwrap());
        let mut lease = server.leases[&name].clone();
        lease.metadata.annotations = Some([(ADDRESSES.to_owned(), addresses.to_owned())].into());
        server.keep(name, lease);
    }
}

impl Server {
    fn keep(&mut self, name: LeaseName, mut lease: Lease) -> Lease {
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.leases.insert(name, lease.clone());
        self.tell(&Sighting::Seen(lease.clone()));
        lease
    }

    fn tell(&mut self, sighting: &Sighting) {
        self.watches.retain(|watch| watch.try_send(sighting.clone()).is_ok());
    }

    fn version_of(&self, name: &LeaseName) -> Option<String> {
        self.leases.get(name)?.metadata.resource_version.clone()
    }
}

#[derive(Clone)]
struct Fake {
    api: Api,
    node: &'static str,
}

struct FakeStore {
    fake: Fake,
    name: LeaseName,
    channels: Channels,
}

impl Leases for Fake {
    type Store = FakeStore;

    fn store(&self, name: &LeaseName, channels: Channels) -> FakeStore {
        FakeStore { fake: self.clone(), name: name.clone(), channels }
    }

    fn remove(
        &self,
        name: &LeaseName,
        version: String,
    ) -> impl Future<Output = Result<(), Failure>> + Send + 'static {
        let (api, name) = (Arc::clone(&self.api), name.clone());
        async move {
            clock::pause(LATENCY).await;
            let mut server = api.lock().unwrap();
            if server.version_of(&name) != Some(version) {
                return Err(Failure::Status { code: 409, message: "changed".into() });
            }
            let lease = server.leases.remove(&name).unwrap();
            server.tell(&Sighting::Deleted(lease));
            Ok(())
        }
    }

    fn silence(&self, lease: Arc<Lease>) -> impl Future<Output = Result<(), Failure>> + Send + 'static {
        let api = Arc::clone(&self.api);
        async move {
            clock::pause(LATENCY).await;
            let (name, mut server) = (LeaseName::of(&lease), api.lock().unwrap());
            if server.version_of(&name) != lease.metadata.resource_version {
                return Err(Failure::Status { code: 409, message: "changed".into() });
            }
            let mut silent = (*lease).clone();
            silent.metadata.annotations = None;
            server.keep(name, silent);
            Ok(())
        }
    }
}

impl FakeStore {
    async fn ask(&self, limit: Duration) -> bool {
        let hung = self.fake.api.lock().unwrap().hung.contains(&self.name);
        clock::pause(if hung { limit } else { LATENCY }).await;
        !hung
    }

    fn made(&self, write: &Write, server: &mut Server) -> Lease {
        let known = server.leases.get(&self.name).cloned();
        let mut base = known.unwrap_or_else(|| {
            let mut lease = blank(&self.name.namespace, &self.name.name, &BTreeMap::new());
            let mark = self.channels.marked.then(|| (MARK.to_owned(), "kube-system".to_owned()));
            lease.metadata.labels = Some(mark.into_iter().collect());
            lease
        });
        let said = self.channels.claim.borrow().to_string();
        let annotations = base.metadata.annotations.get_or_insert_default();
        annotations
            .insert(ADDRESSES.to_owned(), if write.intent == Intent::Release { String::new() } else { said });
        let holder = Holder { identity: self.fake.node.into(), lease_duration: TIMING.lease_duration };
        server.writes.push(clock::now());
        let stamp = Stamp(i64::try_from(server.version).unwrap() + 1_000_000);
        let lease = apply(base, write.intent, &holder, stamp);
        server.keep(self.name.clone(), lease)
    }
}

impl Store for FakeStore {
    async fn read(&mut self, limit: Duration) -> Outcome {
        let answer = match self.ask(limit).await {
            true => Answer::Read(self.fake.api.lock().unwrap().leases.get(&self.name).map(record)),
            false => Answer::Unknown(None),
        };
        Outcome { answer, failure: None, latency: LATENCY }
    }

    async fn write(&mut self, write: &Write, limit: Duration) -> Outcome {
        let answer = match self.ask(limit).await {
            false => Answer::Unknown(None),
            true => {
                let mut server = self.fake.api.lock().unwrap();
                if server.version_of(&self.name) == write.based_on {
                    Answer::Written(record(&self.made(write, &mut server)))
                } else {
                    Answer::Conflict
                }
            }
        };
        Outcome { answer, failure: None, latency: LATENCY }
    }
}

/// Announces what is granted as long as it is, and needs a moment to let go.
async fn announce(
    node: &'static str,
    ledger: Ledger,
    mut grants: watch::Receiver<Grants>,
    remains: watch::Sender<Remains>,
) {
    loop {
        let granted = grants.borrow_and_update().clone();
        let now = clock::now();
        let live: BTreeSet<IpAddr> =
            granted.iter().filter(|(_, grant)| now < grant.until).map(|(&address, _)| address).collect();
        let held: BTreeSet<IpAddr> = {
            let book = ledger.lock().unwrap();
            book.now.iter().filter(|(_, who)| who.contains(node)).map(|(&address, _)| address).collect()
        };
        let leaving: BTreeSet<IpAddr> = held.difference(&live).copied().collect();
        begin(node, &ledger, &live);
        remains.send_replace(Remains { granted: Arc::clone(&granted), lingering: Arc::new(leaving.clone()) });
        if !leaving.is_empty() {
            clock::pause(LETTING_GO).await;
            let mut book = ledger.lock().unwrap();
            leaving.iter().for_each(|address| {
                book.now.get_mut(address).map(|who| who.remove(node));
            });
            drop(book);
            remains.send_replace(Remains { granted: Arc::clone(&granted), lingering: Arc::default() });
        }
        let ends = granted.values().map(|grant| grant.until).filter(|until| *until > now).min();
        tokio::select! {
            changed = grants.changed() => if changed.is_err() { return },
            () = clock::until(ends) => {}
        }
    }
}

fn begin(node: &'static str, ledger: &Ledger, live: &BTreeSet<IpAddr>) {
    let mut book = ledger.lock().unwrap();
    for &address in live {
        let who = book.now.entry(address).or_default();
        let double = who.insert(node) && who.len() > 1;
        let who = who.clone();
        if double {
            book.doubles.push((address, who));
        }
    }
}

async fn pass(millis: u64) {
    clock::pause(Duration::from_millis(millis)).await;
}

fn ip(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

fn lease_of(last: u8) -> LeaseName {
    LeaseName { namespace: "default".into(), name: format!("kubevip-web{last}") }
}

fn facts(last: u8, lease: &str) -> Facts {
    Facts { lease: Some(lease.into()), ..Facts::plain(ip(last)) }
}

const TIMING: Timing = Timing {
    lease_duration: Duration::from_secs(5),
    renew_deadline: Duration::from_secs(3),
    retry_period: Duration::from_secs(1),
};
const LATENCY: Duration = Duration::from_millis(2);
const LETTING_GO: Duration = Duration::from_millis(3);

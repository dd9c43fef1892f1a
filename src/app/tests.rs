//! How a run ends, and three nodes in one process against one API server.

use std::collections::BTreeSet;
use std::future::pending;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use vipcast_proto::election::Timing;
use vipcast_proto::l2::announcer::{Announcer, Config as Layer2, Event};

use super::*;
use crate::announce;
use crate::announce::layer2::Segment;
use crate::demo::api;
use crate::drain::Trigger;
use crate::kube::access::Connection;
use crate::kube::lease::{Holder, LeaseName, LeaseStore, watch_lease};
use crate::kube::testing::connection;
use crate::net::NetError;

/// A LAN that remembers who has the address, and whether ever two had it.
#[derive(Clone, Debug, Default)]
struct Lan(Arc<Mutex<(BTreeSet<String>, usize)>>);

/// One node's plug into it.
struct Plug(String, Lan);

/// One node: the drivers as [`Daemon`] wires them, and what ends them.
struct Node {
    conditions: watch::Sender<Conditions>,
    rulings: watch::Receiver<Ruling>,
    election: JoinSet<()>,
    _connected: watch::Sender<Option<Connection>>,
    _others: JoinSet<()>,
}

impl Lan {
    fn owners(&self) -> Vec<String> {
        self.0.lock().unwrap().0.iter().cloned().collect()
    }

    fn most(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

impl Segment for Plug {
    async fn hold(&mut self, _: IpAddr, _: Duration) -> Result<(), NetError> {
        let mut lan = self.1.0.lock().unwrap();
        lan.0.insert(self.0.clone());
        lan.1 = lan.1.max(lan.0.len());
        Ok(())
    }

    async fn drop(&mut self, _: IpAddr) -> Result<(), NetError> {
        // Long enough for a release that does not wait to be seen.
        clock::pause(Duration::from_millis(100)).await;
        self.1.0.lock().unwrap().0.remove(&self.0);
        Ok(())
    }

    async fn probe(&mut self, _: IpAddr) -> Result<(), NetError> {
        Ok(())
    }

    async fn announce(&mut self, _: IpAddr) -> Result<(), NetError> {
        Ok(())
    }

    async fn next(&mut self) -> Result<Event, NetError> {
        pending().await
    }
}

impl Node {
    fn start(name: &str, url: &str, lan: &Lan) -> Self {
        let vip: IpAddr = [192, 0, 2, 10].into();
        let (witness, _) = Witness::for_tests();
        let lease = LeaseName { namespace: "kube-system".into(), name: "plndr-cp-lock".into() };
        let (connected, connections) = watch::channel(Some(connection(url, 1)));
        let (observed_out, observed) = watch::channel(None);
        let (desired_out, desired) = watch::channel(Desired::default());
        let (report_out, reports) = mpsc::channel(REPORTS);
        let (ruling_out, rulings) = watch::channel(Ruling::unknown());
        let (vacancy_out, vacancy) = watch::channel(Vacancy::default());
        let (conditions, fitness) = watch::channel(Conditions::FIT);
        let mut others = JoinSet::new();
        others.spawn(watch_lease(lease.clone(), connections.clone(), observed_out));
        let mut core = Advertiser::new(["eth0".to_owned()]);
        core.claim([vip].into());
        let control_plane = advertiser::ControlPlane { rulings: rulings.clone(), vacancy: vacancy_out };
        let wires = advertiser::Wires {
            control_plane: Some(control_plane),
            services: None,
            reports,
            desired: desired_out,
        };
        others.spawn(advertiser::run(core, wires));
        let mut wires = layer2::Wires {
            name: "eth0".into(),
            vips: [vip].into(),
            desired,
            reports: report_out,
            refused: watch::channel(false).0,
        };
        let mut reporter =
            announce::Reporter::new("eth0".into(), [(vip, vip.into())].into(), witness.clone());
        let plug = Plug(name.into(), lan.clone());
        others.spawn(async move {
            let mut announcer = Announcer::new(LAYER2, 1);
            layer2::run(&mut announcer, LAYER2.lifetime, plug, &mut wires, &mut reporter).await;
        });
        let holder = Holder { identity: name.into(), lease_duration: TIMING.lease_duration };
        let store = LeaseStore::new(lease.clone(), holder, BTreeMap::new(), connections, observed.clone());
        let reporter = election::Reporter::new(&lease, name.into(), witness);
        let inputs = Inputs::new(fitness, observed, vacancy);
        let mut election = JoinSet::new();
        let elector = Elector::new(name, TIMING);
        election.spawn(election::run(elector, TIMING, name.into(), store, inputs, ruling_out, reporter));
        Self { conditions, rulings, election, _connected: connected, _others: others }
    }

    async fn stop(mut self) {
        self.conditions.send_replace(Conditions { stopping: true, ..Conditions::FIT });
        self.election.join_next().await.unwrap().unwrap();
    }
}

/// Waits for what is to happen within ten seconds.
async fn eventually(what: impl Fn() -> bool) {
    let soon = async {
        while !what() {
            clock::pause(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), soon).await.unwrap();
}

/// What is supervised: tasks, an election that ends as told, and a shutdown that the trigger begins.
async fn ending(
    task: impl Future<Output = ()> + Send + 'static,
    election: impl Future<Output = ()> + Send + 'static,
    signals: impl AsyncFnOnce(Trigger),
) -> Ending {
    let (board, status) = StatusBoard::new("0.1.0", "n1");
    let (trigger, drain) = Drain::manual();
    let (mut tasks, mut elections) = (Tasks::default(), Tasks::default());
    tasks.spawn("core", task);
    elections.spawn("election", election);
    let moving = Moving { movers: elections, speaker: None, guard: Tasks::default(), vips: BTreeSet::new() };
    let supervised = supervise(tasks, moving, &drain, &board, || Duration::from_secs(3));
    let (ending, ()) = tokio::join!(supervised, signals(trigger));
    assert!(status.ready().is_err());
    ending.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_election_after_a_signal_is_an_orderly_end() {
    let election = clock::pause(Duration::from_secs(5));
    let signals = async |trigger: Trigger| {
        clock::pause(Duration::from_millis(4_900)).await;
        trigger.advance();
    };
    assert_eq!(ending(pending(), election, signals).await, Ending::Orderly);
}

#[tokio::test(start_paused = true)]
async fn the_heart_beats_more_often_than_livez_looks() {
    let (heart, heartbeat) = watch::channel(clock::now());
    let mut tasks = Tasks::default();
    tasks.spawn("heartbeat", beat(heart));
    clock::pause(Duration::from_secs(60)).await;
    assert!(clock::now() - *heartbeat.borrow() < crate::admin::server::STALE / 2);
}

#[tokio::test(start_paused = true)]
async fn whatever_ends_without_a_signal_ends_the_run() {
    let idle = async |_: Trigger| {};
    assert_eq!(ending(async {}, pending(), idle).await, Ending::Broken);
    assert_eq!(ending(pending(), async {}, idle).await, Ending::Broken);
}

#[tokio::test]
async fn what_ends_at_once_because_of_a_signal_is_an_orderly_end() {
    // More than once: whoever chooses by chance among what is ready is right sometimes.
    for _ in 0..16 {
        let (board, _status) = StatusBoard::new("0.1.0", "n1");
        let (trigger, drain) = Drain::manual();
        let (mut tasks, mut elections) = (Tasks::default(), Tasks::default());
        let signalled = |drain: Drain| async move { drain.started().await };
        tasks.spawn("conditions", signalled(drain.clone()));
        elections.spawn("election", signalled(drain.clone()));
        trigger.advance();
        tokio::task::yield_now().await;
        let moving =
            Moving { movers: elections, speaker: None, guard: Tasks::default(), vips: BTreeSet::new() };
        let ending = supervise(tasks, moving, &drain, &board, || Duration::from_secs(3)).await;
        assert_eq!(ending.unwrap(), Ending::Orderly);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_or_too_long_a_wait_ends_it_without_a_release() {
    let start = clock::now();
    assert_eq!(
        ending(pending(), pending(), async |trigger: Trigger| trigger.advance()).await,
        Ending::Forced
    );
    assert_eq!(clock::now() - start, Duration::from_secs(3));
    let twice = async |trigger: Trigger| {
        trigger.advance();
        clock::pause(Duration::from_millis(1)).await;
        trigger.advance();
    };
    assert_eq!(ending(pending(), pending(), twice).await, Ending::Forced);
    assert_eq!(clock::now() - start, Duration::from_millis(3_001));
}

#[tokio::test]
async fn three_nodes_hand_an_address_on_and_never_two_of_them_have_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    server.spawn(api::serve(listener, api::Server::new()));
    let lan = Lan::default();
    let mut nodes: BTreeMap<String, Node> = BTreeMap::new();
    for name in ["n1", "n2", "n3"] {
        nodes.insert(name.into(), Node::start(name, &url, &lan));
    }
    while !nodes.is_empty() {
        eventually(|| lan.owners().len() == 1).await;
        let holder = lan.owners().remove(0);
        let known = |node: &Node| node.rulings.borrow().holder.as_ref() == Some(&holder);
        eventually(|| nodes.values().all(known)).await;
        let leaving = nodes.remove(&holder).unwrap();
        let asked = clock::now();
        leaving.stop().await;
        assert!(!lan.owners().contains(&holder), "{holder} gave the Lease back and kept the address");
        // Released, not waited out.
        assert!(clock::now() - asked < TIMING.lease_duration / 2);
    }
    assert_eq!((lan.owners(), lan.most()), (vec![], 1));
}

const TIMING: Timing = Timing {
    lease_duration: Duration::from_secs(5),
    renew_deadline: Duration::from_secs(3),
    retry_period: Duration::from_secs(1),
};
const LAYER2: Layer2 =
    Layer2 { lifetime: Duration::from_secs(3), refresh: Duration::from_secs(60), wire_check: None };

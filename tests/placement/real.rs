//! Three members in one process, on a real API server.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use tokio::sync::watch;
use vipcast::clock;
use vipcast::kube::access::Connection;
use vipcast::kube::lease::LeaseName;
use vipcast::kube::members::{MemberLeases, Version, lease_name};
use vipcast::placement::{Mode, Parts, Role, start};
use vipcast::task::Tasks;
use vipcast_proto::election::Timing;

use super::ledger::{Ledger, summary};
use super::node::{Node, TIMING, addresses};
use crate::support::real_api::{Launch, RealApi};

/// A server, and how to reach it.
struct Bench {
    ledger: Ledger,
    connection: Connection,
    leases: Api<Lease>,
}

impl Bench {
    async fn new(api: &RealApi) -> Self {
        let client = || async { api.client("admin").await.unwrap() };
        let connection = Connection::of(client().await, client().await, &api.url(), 1);
        let leases = Api::namespaced(client().await, NAMESPACE);
        Self { ledger: Ledger::default(), connection, leases }
    }

    fn node(&self, name: &str, mode: Mode, timing: Timing) -> Node {
        let (connection, node) = (self.connection.clone(), name.to_owned());
        Node::start(name, &self.ledger, move |wires, witness| async move {
            let (_connected, connections) = watch::channel(Some(connection));
            let (_known, servers) = watch::channel(BTreeSet::new());
            let namespace = NAMESPACE.to_owned();
            let parts = Parts { node, namespace, timing, connections, servers, witness, yields: true, wires };
            let mut tasks = Tasks::default();
            let mut placement = Tasks::default();
            start(mode, parts, &mut placement, &mut tasks);
            assert!(matches!(placement.next().await.unwrap().why, vipcast::task::Why::Finished));
        })
    }

    async fn joined(&self, name: &str) -> Node {
        let node = self.node(name, Mode::Spread, TIMING);
        node.want(addresses(COUNT)).await;
        node
    }

    /// How long it takes until everything is held, and these nodes have a share each.
    async fn settled(&self, names: &[&str]) -> Duration {
        let begun = clock::now();
        let fair = |name: &&str| self.ledger.held(name).len() * names.len() * 2 > COUNT as usize;
        let all = || {
            let sum: usize = names.iter().map(|name| self.ledger.held(name).len()).sum();
            sum == COUNT as usize && self.ledger.count() == sum && names.iter().all(fair)
        };
        eventually(&begun, all, || names.iter().map(|name| self.ledger.held(name).len()).collect::<Vec<_>>())
            .await;
        begun.elapsed()
    }
}

pub(crate) fn agreement() {
    let mut api = RealApi::start(Launch::default()).expect("starts");
    let runtime = runtime();
    let (bench, nodes) = runtime.block_on(async {
        let bench = Bench::new(&api).await;
        let a = bench.joined("a").await;
        println!("alone: {:?}", bench.settled(&["a"]).await);
        let b = bench.joined("b").await;
        println!("second joins: {:?}, {}", bench.settled(&["a", "b"]).await, gaps(&bench.ledger));
        let c = bench.joined("c").await;
        println!("third joins: {:?}, {}", bench.settled(&["a", "b", "c"]).await, gaps(&bench.ledger));
        let begun = clock::now();
        assert_eq!(a.leave().await.role, Role::Left);
        let took = begun.elapsed();
        bench.settled(&["b", "c"]).await;
        println!("first leaves: {took:?}, {}", gaps(&bench.ledger));
        let a = bench.joined("a").await;
        println!("it returns: {:?}, {}", bench.settled(&["a", "b", "c"]).await, gaps(&bench.ledger));
        (bench, [a, b, c])
    });
    runtime.block_on(async {
        let before = bench.ledger.held("b");
        bench.leases.delete(&lease_name("b"), &DeleteParams::default()).await.unwrap();
        println!("lease deleted: {:?}, {}", bench.settled(&["a", "b", "c"]).await, gaps(&bench.ledger));
        clock::pause(Duration::from_secs(1)).await;
        bench.settled(&["a", "b", "c"]).await;
        assert_eq!(bench.ledger.held("b"), before);
        let found = bench.leases.list(&ListParams::default().labels("vipcast.io/member=true")).await.unwrap();
        assert_eq!(found.items.len(), 3);
    });
    // While it is away, and for longer than a grant lasts.
    api.stop_api();
    runtime.block_on(async {
        let begun = clock::now();
        eventually(&begun, || bench.ledger.count() == 0, || bench.ledger.count()).await;
        println!("server away, silent after {:?}", begun.elapsed());
    });
    api.restart_api().expect("starts again");
    runtime.block_on(async {
        println!("server ready again: {:?}", bench.settled(&["a", "b", "c"]).await);
        bench.ledger.assert_no_overlap();
        drop(nodes);
    });
}

pub(crate) fn one_lease() {
    let api = RealApi::start(Launch::default()).expect("starts");
    runtime().block_on(async {
        let bench = Bench::new(&api).await;
        let mode = || Mode::Lease(LeaseName { namespace: NAMESPACE.into(), name: "plndr-svcs-lock".into() });
        let mut nodes = vec![];
        for name in ["a", "b"] {
            let node = bench.node(name, mode(), TIMING);
            node.want(addresses(COUNT)).await;
            nodes.push((name, node));
            clock::pause(Duration::from_millis(500)).await;
        }
        let begun = clock::now();
        eventually(&begun, || bench.ledger.held("a").len() == COUNT as usize, || bench.ledger.count()).await;
        let (_, first) = nodes.remove(0);
        let begun = clock::now();
        assert_eq!(first.leave().await.role, Role::Left);
        eventually(&begun, || bench.ledger.held("b").len() == COUNT as usize, || bench.ledger.count()).await;
        println!("one lease handed over: {:?}, {}", begun.elapsed(), gaps(&bench.ledger));
        bench.ledger.assert_no_overlap();
    });
}

pub(crate) fn removed() {
    let api = RealApi::start(Launch::default()).expect("starts");
    runtime().block_on(async {
        let bench = Bench::new(&api).await;
        let (_connected, connections) = watch::channel(Some(bench.connection.clone()));
        let leases = MemberLeases::new(NAMESPACE.into(), connections);
        assert_eq!(leases.version("gone").await, Ok(None));
        let mut lease = Lease::default();
        lease.metadata.name = Some(lease_name("gone"));
        let mut lease = bench.leases.create(&PostParams::default(), &lease).await.unwrap();
        let seen = leases.version("gone").await.unwrap().unwrap();
        // Its member moves after all.
        lease.metadata.labels = Some([("vipcast.io/member".to_owned(), "true".to_owned())].into());
        bench.leases.replace(&lease_name("gone"), &PostParams::default(), &lease).await.unwrap();
        let code = async |version| leases.remove("gone", version).await.map_err(|failure| failure.code());
        assert_eq!(code(&seen).await, Err(Some(409)));
        let newest = leases.version("gone").await.unwrap().unwrap();
        let another = Version { uid: "another".into(), ..newest.clone() };
        assert_eq!(code(&another).await, Err(Some(409)));
        assert_eq!(code(&newest).await, Ok(()));
        assert_eq!((leases.version("gone").await, code(&newest).await), (Ok(None), Err(Some(404))));
    });
}

fn gaps(ledger: &Ledger) -> String {
    let gaps = ledger.gaps();
    let (median, longest) = summary(&gaps);
    format!("{} moved, unanswered for {median:?}, at most {longest:?}", gaps.len())
}

async fn eventually<T: std::fmt::Debug>(begun: &Instant, what: impl Fn() -> bool, seen: impl Fn() -> T) {
    while !what() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", seen());
        clock::pause(Duration::from_millis(1)).await;
    }
}

/// The daemon has one thread as well; this one goes on while a test waits for a server.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

const COUNT: u32 = 60;
const NAMESPACE: &str = "kube-system";

//! Members over a scripted store, under paused time.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use vipcast::clock;
use vipcast::placement::{Ask, Demand, Role, Whereabouts, spread};
use vipcast_proto::placement::{Facts, Life, MemberId};

use super::ledger::{Ledger, summary};
use super::node::{Node, PATIENCE, TIMING, addresses};
use super::store::Server;

/// The Leases, the wire, and when it began.
struct Bench {
    server: Server,
    ledger: Ledger,
    start: Instant,
}

impl Bench {
    fn new() -> Self {
        Self { server: Server::default(), ledger: Ledger::default(), start: clock::now() }
    }

    fn node(&self, name: &str) -> Node {
        let (line, sightings) = (self.server.line(name), self.server.watch());
        let life = Life { boot: name.bytes().map(u128::from).sum(), process: 1 };
        let name = name.to_owned();
        Node::start(&name.clone(), &self.ledger, |wires, witness| {
            spread::run(name, life, TIMING, line, sightings, wires, witness)
        })
    }

    async fn joined(&self, name: &str, count: u32) -> Node {
        let node = self.node(name);
        node.want(addresses(count)).await;
        node
    }

    fn elapsed(&self) -> Duration {
        clock::now() - self.start
    }

    fn share(&self, name: &str) -> usize {
        self.ledger.held(name).len()
    }
}

pub(crate) fn alone() {
    paused(async {
        let bench = Bench::new();
        let a = bench.joined("a", COUNT).await;
        clock::pause(ms(300)).await;
        // One that it is there, one that it takes something.
        assert_eq!((bench.share("a"), bench.server.writes(), a.report.borrow().role), (100, 2, Role::Member));
        // One more Service costs no write; a renewal a second is all there is.
        a.want(addresses(COUNT + 1)).await;
        clock::pause(ms(1)).await;
        assert_eq!((bench.share("a"), bench.server.writes()), (101, 2));
        clock::pause(ms(10_000)).await;
        assert_eq!((bench.share("a"), bench.server.writes()), (101, 12));
        bench.ledger.assert_no_overlap();
    });
}

pub(crate) fn come_and_leave() {
    paused(async {
        let bench = Bench::new();
        let a = bench.joined("a", COUNT).await;
        clock::pause(ms(2_000)).await;
        let _b = bench.joined("b", COUNT).await;
        clock::pause(ms(400)).await;
        let (ours, theirs) = (bench.ledger.held("a"), bench.ledger.held("b"));
        assert_eq!(ours.len() + theirs.len(), 100);
        assert!(theirs.len() > 30 && ours.len() > 30, "{} and {}", ours.len(), theirs.len());
        let (_, joining) = summary(&bench.ledger.gaps());
        let left = a.leave().await;
        assert_eq!((left.role, left.held), (Role::Left, 0));
        assert_eq!((bench.share("b"), bench.ledger.count()), (100, 100));
        let (_, leaving) = summary(&bench.ledger.gaps());
        // A drop, which was reported, one write, and its echo.
        assert!(joining <= ms(40) && leaving <= ms(40), "{joining:?}, {leaving:?}");
        bench.ledger.assert_no_overlap();
    });
}

pub(crate) fn silence() {
    paused(async {
        let bench = Bench::new();
        let a = bench.joined("a", COUNT).await;
        let _b = bench.joined("b", COUNT).await;
        clock::pause(ms(3_000)).await;
        assert_eq!((bench.ledger.count(), bench.share("a") > 30), (100, true));
        drop(a);
        let died = clock::now();
        clock::pause(TIMING.lease_duration - TIMING.retry_period).await;
        assert!(bench.share("b") < 70, "others are owed the whole wait");
        while bench.share("b") < 100 {
            clock::pause(ms(10)).await;
            assert!(clock::now() < died + ms(6_200), "{} are held", bench.share("b"));
        }
        bench.ledger.assert_no_overlap();
    });
}

pub(crate) fn unreachable() {
    paused(async {
        let bench = Bench::new();
        let a = bench.joined("a", COUNT).await;
        let _b = bench.joined("b", COUNT).await;
        clock::pause(ms(2_500)).await;
        let renewed = bench.elapsed();
        bench.server.cut_off("a");
        while bench.share("a") > 0 {
            clock::pause(ms(1)).await;
        }
        let silent_after = bench.elapsed() - renewed;
        assert!(silent_after <= TIMING.renew_deadline, "{silent_after:?}");
        clock::pause(ms(300)).await;
        assert_eq!(a.report.borrow().role, Role::Silent);
        clock::pause(ms(4_000)).await;
        assert_eq!((bench.share("a"), bench.share("b")), (0, 100));
        bench.ledger.assert_no_overlap();
    });
}

pub(crate) fn deleted() {
    paused(async {
        let bench = Bench::new();
        let _a = bench.joined("a", COUNT).await;
        let _b = bench.joined("b", COUNT).await;
        clock::pause(ms(3_000)).await;
        let before = (bench.ledger.held("a"), bench.ledger.held("b"));
        bench.server.delete("a");
        clock::pause(ms(500)).await;
        assert_eq!((bench.ledger.held("a"), bench.ledger.held("b")), before);
        bench.ledger.assert_no_overlap();
    });
}

pub(crate) fn drained() {
    paused(async {
        let bench = Bench::new();
        let a = bench.joined("a", COUNT).await;
        let _b = bench.joined("b", COUNT).await;
        clock::pause(ms(3_000)).await;
        let before = bench.ledger.held("a");
        a.weigh(0).await;
        clock::pause(ms(400)).await;
        assert_eq!((bench.share("a"), bench.share("b"), a.report.borrow().role), (0, 100, Role::Member));
        a.weigh(1).await;
        clock::pause(ms(400)).await;
        assert_eq!((bench.ledger.held("a"), bench.ledger.count()), (before, 100));
        bench.ledger.assert_no_overlap();
    });
}

pub(crate) fn impatient() {
    paused(async {
        let bench = Bench::new();
        let a = bench.joined("a", COUNT).await;
        clock::pause(ms(2_500)).await;
        // It lets go at once, but nobody is told, and its Lease is not over for a while.
        bench.server.cut_off("a");
        let asked = clock::now();
        let left = a.leave().await;
        let took = clock::now() - asked;
        assert_eq!((left.held, bench.ledger.count()), (0, 0));
        assert!(took <= PATIENCE, "{took:?}");
        bench.ledger.assert_no_overlap();
    });
}

pub(crate) fn questions() {
    paused(async {
        let bench = Bench::new();
        let (a, b) = (bench.joined("a", COUNT).await, bench.joined("b", COUNT).await);
        clock::pause(ms(500)).await;
        let ours: IpAddr = *bench.ledger.held("a").first().unwrap();
        let seen = |held: bool, claimed_by: &[&str]| Whereabouts {
            wanted: true,
            held,
            chosen: Some("a".into()),
            holder: Some("a".into()),
            claimed_by: claimed_by.iter().map(|&name| name.to_owned()).collect(),
            next: Some("b".into()),
            ..Whereabouts::default()
        };
        assert_eq!(a.whereabouts(ours).await, seen(true, &[]));
        assert_eq!(b.whereabouts(ours).await, seen(false, &["a"]));
        assert_eq!(b.whereabouts([198, 51, 100, 1].into()).await.chosen, None);
        let (answer, answered) = oneshot::channel();
        a.asks.send(Ask::Owners(answer)).await.unwrap();
        let owners = answered.await.unwrap();
        let of = |name: &str| {
            let theirs = owners.iter().filter(|(_, owner)| owner.as_deref() == Some(name));
            theirs.map(|(&address, _)| address).collect::<BTreeSet<_>>()
        };
        assert_eq!((of("a"), of("b")), (bench.ledger.held("a"), bench.ledger.held("b")));
        for (node, expected) in [("a", "b"), ("b", "a")] {
            let (answer, answered) = oneshot::channel();
            let ask = Ask::Without { address: ours, node: node.into(), answer };
            b.asks.send(ask).await.unwrap();
            assert_eq!(answered.await.unwrap().as_deref(), Some(expected));
        }
        let members: Vec<_> = b.report.borrow().members.iter().map(|member| member.name.clone()).collect();
        assert_eq!(members, ["a", "b"]);
        let nobodys = Facts { eligible: Some(BTreeSet::new()), ..Facts::plain([198, 51, 100, 1].into()) };
        for node in [&a, &b] {
            let wanted = [([198, 51, 100, 1].into(), Some(nobodys.clone()))].into();
            node.demand.send(Demand::Wanted(wanted)).await.unwrap();
        }
        clock::pause(ms(1_000)).await;
        assert_eq!((b.report.borrow().wanted, b.report.borrow().unserved), (COUNT as usize + 1, 1));
        assert_eq!(b.whereabouts([198, 51, 100, 1].into()).await.holder, None);
    });
}

/// A node that is not fit keeps what nobody else can have; the list and the explanation say so alike, on every node.
pub(crate) fn kept() {
    paused(async {
        let bench = Bench::new();
        let (a, b) = (bench.joined("a", 0).await, bench.joined("b", 0).await);
        let ours: IpAddr = [192, 0, 2, 77].into();
        let local = Facts { eligible: Some([MemberId::of("a")].into()), ..Facts::plain(ours) };
        for node in [&a, &b] {
            node.demand.send(Demand::Wanted([(ours, Some(local.clone()))].into())).await.unwrap();
        }
        clock::pause(ms(500)).await;
        // Its node is not ready.
        a.weigh(0).await;
        clock::pause(ms(2_000)).await;
        let holder = bench.ledger.held("a").contains(&ours).then(|| "a".to_owned());
        for node in [&a, &b] {
            let (answer, answered) = oneshot::channel();
            node.asks.send(Ask::Owners(answer)).await.unwrap();
            let listed = answered.await.unwrap().remove(&ours).flatten();
            assert_eq!((listed, node.whereabouts(ours).await.holder), (holder.clone(), holder.clone()));
        }
        assert_eq!(holder.as_deref(), Some("a"));
    });
}

/// By counting writes, and by what is said; times are printed for whoever looks.
pub(crate) fn many() {
    paused(async {
        let bench = Bench::new();
        let mut nodes = vec![];
        for name in ["a", "b", "c"] {
            nodes.push(bench.joined(name, 10_000).await);
        }
        clock::pause(ms(1_000)).await;
        assert_eq!(bench.ledger.count(), 10_000);
        let (begun, before) = (std::time::SystemTime::now(), bench.server.writes());
        clock::pause(ms(10_000)).await;
        println!("ten seconds of three nodes with 10,000 addresses: {:?}", begun.elapsed().unwrap());
        assert_eq!(bench.server.writes() - before, 30);
        let begun = std::time::SystemTime::now();
        let gone =
            addresses(5_000).map(|address| (address, None)).collect::<std::collections::BTreeMap<_, _>>();
        for node in &nodes {
            node.demand.send(Demand::Wanted(gone.clone())).await.unwrap();
        }
        clock::pause(ms(500)).await;
        println!("5,000 go: {:?}", begun.elapsed().unwrap());
        assert_eq!(bench.ledger.count(), 5_000);
        bench.ledger.assert_no_overlap();
    });
}

fn paused(body: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap().block_on(body);
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const COUNT: u32 = 100;

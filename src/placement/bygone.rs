//! Removes the member Leases of nodes that are gone. One member does it: whoever leads the allocator.
//!
//! A node is gone whose Node object is, and whose member has said farewell or stood still for longer than its Lease lasts.
//! Its Lease is looked at then, and removed after [`PATIENCE`] if it still is the very version that was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{debug, info, warn};
use vipcast_proto::placement::Liveness;

use super::PlacementReport;
use crate::change::Told;
use crate::clock;
use crate::election::Ruling;
use crate::kube::failure::{Failure, PERMIT};
use crate::kube::members::{MemberLeases, Version};

/// The names of all Nodes; `None` before they are known.
pub type Nodes = Option<BTreeSet<Arc<str>>>;

/// What decides about it.
#[derive(Debug)]
pub struct Inputs {
    /// Who leads.
    pub rulings: watch::Receiver<Ruling>,
    /// The members.
    pub placed: watch::Receiver<PlacementReport>,
    /// The nodes.
    pub nodes: watch::Receiver<Nodes>,
}

/// Where the Leases are.
pub trait Leases: Send {
    /// The Lease of this node's member, if there is one.
    fn version(&self, node: &str) -> impl Future<Output = Result<Option<Version>, Failure>> + Send;
    /// Removes it if it still is this version.
    fn remove(&self, node: &str, version: &Version) -> impl Future<Output = Result<(), Failure>> + Send;
}

impl Leases for MemberLeases {
    async fn version(&self, node: &str) -> Result<Option<Version>, Failure> {
        Self::version(self, node).await
    }

    async fn remove(&self, node: &str, version: &Version) -> Result<(), Failure> {
        Self::remove(self, node, version).await
    }
}

/// Runs until nobody says who leads any more.
pub async fn run(mut inputs: Inputs, leases: impl Leases) {
    let mut sweep = Sweep::default();
    loop {
        sweep.look(clock::now(), inputs.bygone());
        if let Some(node) = sweep.due(clock::now()) {
            sweep.act(node, &leases).await;
            continue;
        }
        tokio::select! {
            changed = inputs.rulings.changed() => if changed.is_err() { return },
            Ok(()) = inputs.placed.changed() => {}
            Ok(()) = inputs.nodes.changed() => {}
            () = clock::until(sweep.deadline()) => {}
        }
    }
}

impl Inputs {
    /// The members whose Leases are to go; none where another node leads, or not everything is known.
    fn bygone(&mut self) -> BTreeSet<String> {
        let may = self.rulings.borrow_and_update().grant.is_some_and(|grant| clock::now() < grant.until);
        let placed = self.placed.borrow_and_update();
        let nodes = self.nodes.borrow_and_update();
        let Some(nodes) = nodes.as_ref().filter(|_| may) else { return BTreeSet::new() };
        let is_silent = |liveness| match liveness {
            Liveness::Left | Liveness::Silent => true,
            Liveness::Alive | Liveness::Deleted => false,
        };
        let silent = placed.members.iter().filter(|member| is_silent(member.liveness));
        silent.map(|member| member.name.clone()).filter(|name| !nodes.contains(name.as_str())).collect()
    }
}

/// The Leases that may have to go, by node.
#[derive(Debug, Default)]
struct Sweep {
    cases: BTreeMap<String, Case>,
    troubles: Told<String>,
}

#[derive(Debug)]
struct Case {
    /// What was seen; `None`: it is to be looked at.
    seen: Option<Version>,
    /// When the next thing is to be done about it.
    at: Instant,
}

impl Sweep {
    /// Whoever is back, and be it for a moment, is waited for anew.
    fn look(&mut self, now: Instant, bygone: BTreeSet<String>) {
        self.cases.retain(|node, _| bygone.contains(node));
        for node in bygone {
            self.cases.entry(node).or_insert(Case { seen: None, at: now });
        }
    }

    fn due(&self, now: Instant) -> Option<String> {
        let mut due = self.cases.iter().filter(|(_, case)| case.at <= now);
        due.next().map(|(node, _)| node.clone())
    }

    fn deadline(&self) -> Option<Instant> {
        self.cases.values().map(|case| case.at).min()
    }

    async fn act(&mut self, node: String, leases: &impl Leases) {
        let seen = self.cases.get(&node).and_then(|case| case.seen.clone());
        let (seen, pause) = match &seen {
            None => match leases.version(&node).await {
                Ok(seen) => (seen, PATIENCE),
                Err(failure) => (None, self.failed(&node, &failure)),
            },
            Some(version) => match leases.remove(&node, version).await {
                Ok(()) => {
                    info!(node, "member lease of a node that is gone removed");
                    self.troubles.is_over();
                    (None, PATIENCE)
                }
                // It moves, or somebody else has removed it; the members will say.
                Err(failure) if matches!(failure.code(), Some(404 | 409)) => (None, PATIENCE),
                Err(failure) => (seen, self.failed(&node, &failure)),
            },
        };
        self.cases.insert(node, Case { seen, at: clock::now() + pause });
    }

    /// Says what only an operator can change, once; returns when to try again.
    fn failed(&mut self, node: &str, failure: &Failure) -> Duration {
        match failure.code() {
            Some(401 | 403) => {
                if self.troubles.is_news(failure.to_string()) {
                    warn!(
                        node,
                        error = %failure,
                        advice = PERMIT,
                        "member lease of a node that is gone stays"
                    );
                }
                PATIENCE
            }
            _ => {
                debug!(node, error = %failure, "member lease of a node that is gone not removed yet");
                RETRY
            }
        }
    }
}

/// For so long a Node has to be gone. Whoever deletes one to let it register again does so within minutes.
pub const PATIENCE: Duration = Duration::from_secs(600);
const RETRY: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::task::JoinSet;
    use vipcast_proto::election::{Grant, Predecessor};

    use super::super::Member;
    use super::*;

    /// Leases with their versions, and what was asked of them.
    #[derive(Clone, Debug, Default)]
    struct Shelf(Arc<Mutex<Stock>>);

    #[derive(Debug, Default)]
    struct Stock {
        leases: BTreeMap<String, Version>,
        asked: Vec<String>,
        /// What a removal is answered with.
        refusal: Option<u16>,
    }

    impl Leases for Shelf {
        async fn version(&self, node: &str) -> Result<Option<Version>, Failure> {
            let mut stock = self.0.lock().unwrap();
            stock.asked.push(format!("look at {node}"));
            Ok(stock.leases.get(node).cloned())
        }

        async fn remove(&self, node: &str, version: &Version) -> Result<(), Failure> {
            let mut stock = self.0.lock().unwrap();
            stock.asked.push(format!("remove {node}"));
            let conflict = (stock.leases.get(node) != Some(version)).then_some(409);
            match stock.refusal.or(conflict) {
                Some(code) => Err(Failure::Status { code, message: String::new() }),
                None => {
                    stock.leases.remove(node);
                    Ok(())
                }
            }
        }
    }

    struct Bench {
        shelf: Shelf,
        rulings: watch::Sender<Ruling>,
        placed: watch::Sender<PlacementReport>,
        nodes: watch::Sender<Nodes>,
        task: JoinSet<()>,
    }

    fn version(number: u32) -> Version {
        Version { uid: "u".into(), resource_version: number.to_string() }
    }

    fn ruling(leads: bool) -> Ruling {
        let until = clock::now() + Duration::from_secs(100_000);
        let grant = Grant { until, fence: until, predecessor: Predecessor::Left };
        Ruling { grant: leads.then_some(grant), ..Ruling::unknown() }
    }

    fn report(members: &[(&str, Liveness)]) -> PlacementReport {
        let member =
            |&(name, liveness): &(&str, _)| Member { name: name.to_owned(), weight: Some(1), liveness };
        PlacementReport { members: members.iter().map(member).collect(), ..PlacementReport::default() }
    }

    impl Bench {
        /// Where this node, `a`, leads, and the Lease of `b` stands still.
        fn new(nodes: Nodes) -> Self {
            let shelf = Shelf::default();
            shelf.0.lock().unwrap().leases.insert("b".into(), version(1));
            let (rulings, ruled) = watch::channel(ruling(true));
            let (placed, seen) = watch::channel(report(&[("a", Liveness::Alive), ("b", Liveness::Silent)]));
            let (nodes, known) = watch::channel(nodes);
            let mut task = JoinSet::new();
            let inputs = Inputs { rulings: ruled, placed: seen, nodes: known };
            task.spawn(run(inputs, shelf.clone()));
            Self { shelf, rulings, placed, nodes, task }
        }

        /// What was asked meanwhile.
        async fn after(&mut self, pause: Duration) -> Vec<String> {
            clock::pause(pause).await;
            assert!(self.task.try_join_next().is_none());
            std::mem::take(&mut self.shelf.0.lock().unwrap().asked)
        }
    }

    fn nodes(names: &[&str]) -> Nodes {
        Some(names.iter().map(|&name| name.into()).collect())
    }

    const MOMENT: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn the_lease_of_a_node_that_is_gone_is_removed_when_it_has_stood_still_long_enough() {
        for liveness in [Liveness::Silent, Liveness::Left] {
            let mut bench = Bench::new(nodes(&["a"]));
            bench.placed.send_replace(report(&[("a", Liveness::Alive), ("b", liveness)]));
            assert_eq!(bench.after(MOMENT).await, ["look at b"]);
            assert_eq!(bench.after(PATIENCE - MOMENT * 2).await, [""; 0]);
            assert_eq!(bench.after(MOMENT * 2).await, ["remove b"]);
            assert_eq!(bench.shelf.0.lock().unwrap().leases, BTreeMap::new());
            bench.placed.send_replace(report(&[("a", Liveness::Alive)]));
            assert_eq!(bench.after(PATIENCE * 3).await, [""; 0]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_lives_or_has_a_node_or_follows_keeps_every_lease() {
        let alive = report(&[("a", Liveness::Alive), ("b", Liveness::Alive)]);
        let deleted = report(&[("a", Liveness::Alive), ("b", Liveness::Deleted)]);
        let silent = report(&[("a", Liveness::Alive), ("b", Liveness::Silent)]);
        for (leads, placed, nodes) in [
            (false, silent.clone(), nodes(&["a"])),
            (true, alive, nodes(&["a"])),
            (true, deleted, nodes(&["a"])),
            (true, silent.clone(), nodes(&["a", "b"])),
            (true, silent, None),
        ] {
            let mut bench = Bench::new(None);
            bench.rulings.send_replace(ruling(leads));
            bench.placed.send_replace(placed.clone());
            bench.nodes.send_replace(nodes);
            assert_eq!(bench.after(PATIENCE * 3).await, [""; 0], "{leads} {placed:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_back_for_a_moment_is_waited_for_anew() {
        let back: [fn(&Bench, bool); 3] = [
            |bench, back| drop(bench.nodes.send_replace(nodes(if back { &["a", "b"] } else { &["a"] }))),
            |bench, back| {
                let liveness = if back { Liveness::Alive } else { Liveness::Silent };
                bench.placed.send_replace(report(&[("b", liveness)]));
            },
            |bench, back| drop(bench.rulings.send_replace(ruling(!back))),
        ];
        for come in back {
            let mut bench = Bench::new(nodes(&["a"]));
            assert_eq!(bench.after(PATIENCE / 2).await, ["look at b"]);
            come(&bench, true);
            assert_eq!(bench.after(MOMENT).await, [""; 0]);
            come(&bench, false);
            assert_eq!(bench.after(PATIENCE - MOMENT).await, ["look at b"]);
            assert_eq!(bench.after(MOMENT * 2).await, ["remove b"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_was_renewed_unseen_stays_and_a_refusal_is_not_repeated_often() {
        let mut bench = Bench::new(nodes(&["a"]));
        assert_eq!(bench.after(MOMENT).await, ["look at b"]);
        bench.shelf.0.lock().unwrap().leases.insert("b".into(), version(2));
        assert_eq!(bench.after(PATIENCE + MOMENT).await, ["remove b"]);
        assert_eq!(bench.shelf.0.lock().unwrap().leases, BTreeMap::from([("b".into(), version(2))]));
        bench.shelf.0.lock().unwrap().refusal = Some(403);
        let asked = bench.after(PATIENCE * 4).await;
        assert_eq!(asked, ["look at b", "remove b", "remove b", "remove b"]);
        bench.shelf.0.lock().unwrap().refusal = None;
        assert_eq!(bench.after(PATIENCE).await, ["remove b"]);
        assert_eq!(bench.shelf.0.lock().unwrap().leases, BTreeMap::new());
    }
}

//! Every node announces what it can serve, and routers choose among them. Permission is a deadline all the same: a process
//! that was frozen has lost it when it wakes up.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tracing::info;
use vipcast_proto::election::{Grant, Predecessor};

use super::wanted::Wanted;
use super::{Ask, Mode, Outlet, PlacementReport, Role, Whereabouts, Wires};
use crate::change::publish;
use crate::clock;

/// Runs until the process is stopping and nothing is announced any more, or nobody listens.
/// While it is cordoned, what other nodes can announce is left to them if it `yields`.
pub async fn run(node: String, yields: bool, wires: Wires) {
    let Wires { mut demand, mut asks, grants, mut remains, report, drain, patience } = wires;
    let mut driver = EveryNode {
        wanted: Wanted::new(&node),
        node,
        yields,
        outlet: Outlet::new(grants),
        stopping: false,
        until: None,
    };
    let mut renewal = clock::now();
    let mut leave_by: Option<Instant> = None;
    loop {
        if renewal <= clock::now() {
            renewal = driver.renew(clock::now());
        }
        driver.publish();
        publish(&report, driver.report());
        let left = driver.stopping && remains.borrow().is_vacated(&driver.outlet.published);
        if left || leave_by.is_some_and(|at| at <= clock::now()) {
            return driver.say_left(&report);
        }
        tokio::select! {
            () = drain.started(), if !driver.stopping => {
                driver.stopping = true;
                leave_by = Some(clock::now() + patience);
                info!("withdrawing the addresses of services");
            }
            Some(news) = demand.recv() => driver.wanted.take(news),
            Some(ask) = asks.recv() => driver.answer(ask),
            Ok(()) = remains.changed() => drop(remains.borrow_and_update()),
            () = clock::until(Some(leave_by.map_or(renewal, |at| at.min(renewal)))) => {}
            () = driver.outlet.sender.closed() => return,
        }
    }
}

struct EveryNode {
    node: String,
    yields: bool,
    wanted: Wanted,
    outlet: Outlet,
    stopping: bool,
    /// `None`: this process has just woken up, and what it knows was true before.
    until: Option<Instant>,
}

impl EveryNode {
    /// Returns when to renew again.
    fn renew(&mut self, now: Instant) -> Instant {
        let slept = self.until.is_some_and(|until| until <= now);
        self.until = (!slept).then_some(now + PERMISSION);
        now + if slept { CATCH_UP } else { RENEWAL }
    }

    fn publish(&mut self) {
        let until = self.until.filter(|_| self.wanted.is_open() && !self.stopping);
        let grant = until.map(|until| Grant { until, fence: until + KEEP, predecessor: Predecessor::Left });
        let granted = |grant| self.offered().map(|address| (address, grant)).collect();
        let grants: BTreeMap<_, _> = grant.map(granted).unwrap_or_default();
        self.outlet.publish(grants);
    }

    fn offered(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let wanted = &self.wanted;
        wanted.served().filter(move |address| !self.yields || wanted.comes_first(*address))
    }

    fn answer(&self, ask: Ask) {
        let node = || self.node.clone();
        match ask {
            Ask::Where(address, answer) => {
                let held = self.outlet.published.contains_key(&address);
                let takes = self.wanted.is_open() && self.offered().any(|it| it == address);
                let (chosen, holder) = (takes.then(node), held.then(node));
                let wanted = self.wanted.contains(address);
                drop(answer.send(Whereabouts { wanted, held, chosen, holder, ..Whereabouts::default() }));
            }
            // The others announce it already, whoever they are.
            Ask::Without { address, node, answer } => {
                let stays = node != self.node && self.outlet.published.contains_key(&address);
                drop(answer.send(stays.then(|| self.node.clone())));
            }
            Ask::Owners(answer) => {
                let owner = |address| (address, self.outlet.published.contains_key(&address).then(node));
                drop(answer.send(self.wanted.addresses().map(owner).collect()));
            }
        }
    }

    fn report(&self) -> PlacementReport {
        let role = match (self.stopping, self.until.is_some() && self.wanted.is_open()) {
            (true, _) => Role::Leaving,
            (false, true) => Role::Member,
            (false, false) => Role::Silent,
        };
        let (held, wanted) = (self.outlet.published.len(), self.wanted.len());
        PlacementReport { mode: Mode::EveryNode.word(), role, held, wanted, ..PlacementReport::default() }
    }

    fn say_left(&self, report: &tokio::sync::watch::Sender<PlacementReport>) {
        publish(report, PlacementReport { role: Role::Left, ..self.report() });
    }
}

/// How long a permission lasts.
const PERMISSION: Duration = Duration::from_secs(30);
const RENEWAL: Duration = Duration::from_secs(10);
/// How much longer an address stays on this node: until routers have noticed that the process is gone or frozen.
const KEEP: Duration = Duration::from_secs(30);
/// After a sleep: for as long as this, what was missed comes in before anything is announced again.
const CATCH_UP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use tokio::sync::{mpsc, oneshot, watch};
    use tokio::task::JoinSet;
    use vipcast_proto::advertiser::Remains;
    use vipcast_proto::placement::{Facts, MemberId};

    use super::super::{Demand, Grants};
    use super::*;
    use crate::drain::Drain;

    #[tokio::test(start_paused = true)]
    async fn what_can_be_served_here_is_granted_renewed_and_withdrawn_at_once() {
        let (demand, demanded) = mpsc::channel(4);
        let (grants_out, mut grants) = watch::channel(Grants::default());
        let (remain, remains) = watch::channel(Remains::default());
        let (report_out, report) = watch::channel(PlacementReport::default());
        let (trigger, drain) = Drain::manual();
        let (asks, asked) = mpsc::channel(1);
        let wires = Wires {
            demand: demanded,
            asks: asked,
            grants: grants_out,
            remains,
            report: report_out,
            drain,
            patience: Duration::from_secs(5),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(run("a".into(), true, wires));
        let start = clock::now();
        let plain = Facts::plain;
        let elsewhere = Facts { eligible: Some([MemberId::of("b")].into()), ..plain(ip(2)) };
        let unable = Facts { unable: true, ..plain(ip(3)) };
        let wanted = [(ip(1), Some(plain(ip(1)))), (ip(2), Some(elsewhere)), (ip(3), Some(unable))].into();
        demand.send(Demand::Wanted(wanted)).await.unwrap();
        let mut seen = vec![];
        let mut look = async |grants: &mut watch::Receiver<Grants>, second: u64| {
            clock::until(Some(start + Duration::from_millis(second * 1_000 + 1))).await;
            let until = |grant: &Grant| (grant.until - start).as_secs();
            let now: Vec<_> =
                grants.borrow_and_update().iter().map(|(at, grant)| (*at, until(grant))).collect();
            seen.push((second, now));
        };
        look(&mut grants, 1).await;
        // What it could serve, it does not: it is not fit, or not known to be.
        assert_eq!(said(&asks, ip(1)).await, (None, Whereabouts { wanted: true, ..Whereabouts::default() }));
        demand.send(Demand::Weight(1)).await.unwrap();
        look(&mut grants, 2).await;
        let name = || Some("a".to_owned());
        let ours = Whereabouts {
            wanted: true,
            held: true,
            chosen: name(),
            holder: name(),
            ..Whereabouts::default()
        };
        assert_eq!(said(&asks, ip(1)).await, (name(), ours));
        look(&mut grants, 10).await;
        demand.send(Demand::Wanted([(ip(2), Some(plain(ip(2)))), (ip(1), None)].into())).await.unwrap();
        look(&mut grants, 11).await;
        // A cordoned node leaves it to others, where there are any.
        let cordoned = Facts { preferred: [MemberId::of("b")].into(), ..plain(ip(2)) };
        demand.send(Demand::Wanted([(ip(2), Some(cordoned))].into())).await.unwrap();
        demand.send(Demand::Nodes(["a".into(), "b".into()].into())).await.unwrap();
        look(&mut grants, 12).await;
        demand.send(Demand::Nodes(["a".into()].into())).await.unwrap();
        look(&mut grants, 13).await;
        trigger.start();
        look(&mut grants, 14).await;
        let (one, two) = (ip(1), ip(2));
        let expected = [
            (1, vec![]),
            (2, vec![(one, 30)]),
            (10, vec![(one, 40)]),
            (11, vec![(two, 40)]),
            (12, vec![]),
            (13, vec![(two, 40)]),
            (14, vec![]),
        ];
        assert_eq!(seen, expected);
        assert!(tasks.try_join_next().is_none(), "it waits for the withdrawal");
        let granted = Arc::clone(&grants.borrow());
        remain.send_replace(Remains { granted, lingering: Arc::new(BTreeSet::new()) });
        tasks.join_next().await.unwrap().unwrap();
        assert_eq!(report.borrow().role, Role::Left);
    }

    #[test]
    fn who_does_not_yield_announces_while_it_is_cordoned() {
        let mut wanted = Wanted::new("a");
        wanted.take(Demand::Nodes(["a".into(), "b".into()].into()));
        let cordoned = Facts { preferred: [MemberId::of("b")].into(), ..Facts::plain(ip(1)) };
        wanted.take(Demand::Wanted([(ip(1), Some(cordoned))].into()));
        let outlet = Outlet::new(watch::channel(Grants::default()).0);
        let mut driver =
            EveryNode { wanted, node: "a".into(), yields: false, outlet, stopping: false, until: None };
        assert_eq!(driver.offered().collect::<Vec<_>>(), [ip(1)]);
        driver.yields = true;
        assert_eq!(driver.offered().count(), 0);
    }

    /// What the list says of an address, and what its explanation says.
    async fn said(asks: &mpsc::Sender<Ask>, address: IpAddr) -> (Option<String>, Whereabouts) {
        let ((one, owners), (other, at)) = (oneshot::channel(), oneshot::channel());
        asks.send(Ask::Owners(one)).await.unwrap();
        asks.send(Ask::Where(address, other)).await.unwrap();
        (owners.await.unwrap().remove(&address).flatten(), at.await.unwrap())
    }

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }
}

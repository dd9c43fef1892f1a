//! The holder of one Lease announces all addresses that it can serve: the election's rulings, turned into grants.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use vipcast_proto::election;
use vipcast_proto::standing::Rivals;

use super::wanted::Wanted;
use super::{Ask, Outlet, PlacementReport, Role, Whereabouts, Wires};
use crate::change::publish;
use crate::clock;
use crate::election::{Conditions, Ruling, Vacancy};

/// To and from the election of the Lease.
#[derive(Debug)]
pub struct Election {
    /// Whether this node may stand.
    pub conditions: watch::Sender<Conditions>,
    /// What it has come to.
    pub rulings: watch::Receiver<Ruling>,
    /// Whether what it withdrew is gone.
    pub vacancy: watch::Sender<Vacancy>,
}

/// Runs until the election has ended, or the patience with it.
pub async fn run(node: String, mut election: Election, wires: Wires) {
    let Wires { mut demand, mut asks, grants, mut remains, report, drain, patience } = wires;
    let mut driver = Driver {
        wanted: Wanted::new(&node),
        node,
        outlet: Outlet::new(grants),
        stopping: false,
        ruling: Ruling::unknown(),
    };
    let mut leave_by: Option<Instant> = None;
    loop {
        driver.ruling = election.rulings.borrow_and_update().clone();
        driver.publish();
        let gone = remains.borrow_and_update().is_vacated(&driver.outlet.published);
        let vacated = driver.ruling.grant.is_none() && gone;
        publish(&election.vacancy, Vacancy { serial: driver.ruling.serial, vacated });
        publish(&election.conditions, driver.conditions());
        publish(&report, driver.report());
        tokio::select! {
            changed = election.rulings.changed() => if changed.is_err() { break },
            Ok(()) = remains.changed() => {}
            () = drain.started(), if !driver.stopping => {
                driver.stopping = true;
                leave_by = Some(clock::now() + patience);
            }
            Some(news) = demand.recv() => driver.wanted.take(news),
            Some(ask) = asks.recv() => driver.answer(ask),
            () = clock::until(leave_by) => break,
            () = driver.outlet.sender.closed() => return,
        }
    }
    driver.ruling = Ruling::unknown();
    driver.publish();
    publish(&report, PlacementReport { role: Role::Left, ..driver.report() });
}

/// Before anything is known: nobody stands.
#[must_use]
pub fn unproven() -> Conditions {
    conditions(false, false)
}

struct Driver {
    node: String,
    wanted: Wanted,
    outlet: Outlet,
    stopping: bool,
    ruling: Ruling,
}

impl Driver {
    fn publish(&mut self) {
        let granted = |grant| self.wanted.served().map(|address| (address, grant)).collect();
        let grants: BTreeMap<_, _> = self.ruling.grant.map(granted).unwrap_or_default();
        self.outlet.publish(grants);
    }

    fn conditions(&self) -> Conditions {
        let mut served = self.wanted.served().peekable();
        let first = served.peek().is_none() || served.any(|address| self.wanted.comes_first(address));
        let courtesy = if first || self.ruling.grant.is_some() { Duration::ZERO } else { COURTESY };
        let open = conditions(self.wanted.is_open(), self.stopping);
        Conditions { link_up: self.wanted.is_of_use(), courtesy, ..open }
    }

    fn answer(&self, ask: Ask) {
        match ask {
            Ask::Where(address, answer) => {
                let held = self.outlet.published.contains_key(&address);
                let wanted = self.wanted.contains(address);
                let chosen = self.owner().filter(|_| wanted);
                let holder = self.announces(address);
                drop(answer.send(Whereabouts { wanted, held, chosen, holder, ..Whereabouts::default() }));
            }
            // Whoever is the first to write, if it is the holder.
            Ask::Without { address, node, answer } => {
                let stays = self.announces(address).filter(|owner| *owner != node);
                drop(answer.send(stays));
            }
            Ask::Owners(answer) => {
                let owners = self.wanted.addresses().map(|address| (address, self.announces(address)));
                drop(answer.send(owners.collect()));
            }
        }
    }

    /// What the Lease says, which counts for this node only as long as its permission does.
    fn owner(&self) -> Option<String> {
        let expired = |holder: &String| *holder == self.node && self.ruling.grant.is_none();
        self.ruling.holder.clone().filter(|holder| !expired(holder))
    }

    /// Of what keeps others from it beside what the cluster says, this node knows nothing.
    fn announces(&self, address: std::net::IpAddr) -> Option<String> {
        let serves = |owner: &String| match *owner == self.node {
            true => self.wanted.serves(address),
            false => self.wanted.may_be_served_by(address, owner),
        };
        self.owner().filter(serves)
    }

    fn report(&self) -> PlacementReport {
        let role = match (self.ruling.role, self.ruling.known) {
            (election::Role::Holder, _) => Role::Member,
            (election::Role::Leaving, _) => Role::Leaving,
            (election::Role::Standby, true) => Role::Standby,
            (election::Role::Standby, false) => Role::Silent,
        };
        PlacementReport {
            mode: super::words::LEASE,
            role,
            holder: self.owner(),
            held: self.outlet.published.len(),
            wanted: self.wanted.len(),
            ..PlacementReport::default()
        }
    }
}

/// That others are there is taken for granted: who takes nothing lets them.
pub(super) fn conditions(open: bool, stopping: bool) -> Conditions {
    Conditions {
        healthy: open,
        proven: true,
        link_up: true,
        refused: false,
        rivals: Rivals::Present,
        stopping,
        drained: !open,
        courtesy: Duration::ZERO,
    }
}

/// For so long at most a free Lease is left to nodes that come first, of which it is not known whether they run this daemon.
pub(super) const COURTESY: Duration = Duration::from_millis(240);

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use tokio::sync::{mpsc, oneshot};
    use tokio::task::JoinSet;
    use vipcast_proto::advertiser::Remains;
    use vipcast_proto::election::{Grant, Predecessor};
    use vipcast_proto::placement::{Facts, MemberId};

    use super::super::{Demand, Grants};
    use super::*;
    use crate::drain::Drain;

    #[tokio::test(start_paused = true)]
    async fn rulings_become_grants_and_what_is_gone_becomes_a_vacancy() {
        let (demand, demanded) = mpsc::channel(4);
        let (ask, asks) = mpsc::channel(1);
        let (grants_out, grants) = watch::channel(Grants::default());
        let (remain, remains) = watch::channel(Remains::default());
        let (report_out, report) = watch::channel(PlacementReport::default());
        let (trigger, drain) = Drain::manual();
        let (conditions_out, conditions) = watch::channel(unproven());
        let (ruling, rulings) = watch::channel(Ruling::unknown());
        let (vacancy_out, vacancy) = watch::channel(Vacancy::default());
        let patience = Duration::from_secs(5);
        let wires = Wires {
            demand: demanded,
            asks,
            grants: grants_out,
            remains,
            report: report_out,
            drain,
            patience,
        };
        let election = Election { conditions: conditions_out, rulings, vacancy: vacancy_out };
        let mut tasks = JoinSet::new();
        tasks.spawn(run("a".into(), election, wires));
        let elsewhere = Facts { eligible: Some([MemberId::of("b")].into()), ..Facts::plain(ip(2)) };
        let wanted = [(ip(1), Some(Facts::plain(ip(1)))), (ip(2), Some(elsewhere))].into();
        demand.send(Demand::Wanted(wanted)).await.unwrap();
        demand.send(Demand::Weight(1)).await.unwrap();
        settle().await;
        assert_eq!(*conditions.borrow(), Conditions::FIT);
        // Whoever can serve nothing of all that is wanted leaves the Lease to others.
        let one = |facts| Demand::Wanted([(ip(1), Some(facts))].into());
        demand.send(one(Facts { unable: true, ..Facts::plain(ip(1)) })).await.unwrap();
        settle().await;
        assert_eq!(*conditions.borrow(), Conditions { link_up: false, ..Conditions::FIT });
        demand.send(one(Facts::plain(ip(1)))).await.unwrap();
        settle().await;
        let until = clock::now() + Duration::from_secs(3);
        let grant = Grant { until, fence: until, predecessor: Predecessor::Left };
        let ours = Ruling {
            serial: 1,
            grant: Some(grant),
            role: election::Role::Holder,
            holder: Some("a".into()),
            known: true,
            bar: None,
        };
        ruling.send_replace(ours.clone());
        settle().await;
        assert_eq!(**grants.borrow(), [(ip(1), grant)].into());
        assert_eq!(*vacancy.borrow(), Vacancy { serial: 1, vacated: false });
        let (answer, answered) = oneshot::channel();
        ask.send(Ask::Owners(answer)).await.unwrap();
        assert_eq!(answered.await.unwrap(), [(ip(1), Some("a".into())), (ip(2), None)].into());
        // Who is cordoned keeps what it has, and takes nothing that others may take.
        let cordoned = Facts { preferred: [MemberId::of("b")].into(), ..Facts::plain(ip(1)) };
        demand.send(Demand::Nodes(["a".into(), "b".into()].into())).await.unwrap();
        demand.send(one(cordoned)).await.unwrap();
        settle().await;
        assert_eq!((conditions.borrow().courtesy, grants.borrow().len()), (Duration::ZERO, 1));
        let standby = |holder: &str| Ruling {
            grant: None,
            role: election::Role::Standby,
            holder: Some(holder.to_owned()),
            ..ours.clone()
        };
        ruling.send_replace(standby("b"));
        settle().await;
        assert_eq!(conditions.borrow().courtesy, COURTESY);
        let owners = async |holder: &str| {
            ruling.send_replace(standby(holder));
            settle().await;
            let (answer, answered) = oneshot::channel();
            ask.send(Ask::Owners(answer)).await.unwrap();
            answered.await.unwrap().into_values().collect::<Vec<_>>()
        };
        let by = |name: &str| Some(name.to_owned());
        assert_eq!(owners("b").await, [by("b"), by("b")]);
        assert_eq!(owners("c").await, [by("c"), None], "the second has Pods on b only");
        demand.send(one(Facts::plain(ip(1)))).await.unwrap();
        ruling.send_replace(ours.clone());
        settle().await;
        trigger.start();
        settle().await;
        assert_eq!(*conditions.borrow(), Conditions { stopping: true, ..Conditions::FIT });
        ruling.send_replace(Ruling { serial: 2, grant: None, role: election::Role::Leaving, ..ours });
        settle().await;
        assert_eq!((grants.borrow().len(), *vacancy.borrow()), (0, Vacancy { serial: 2, vacated: false }));
        let left = Arc::clone(&grants.borrow());
        remain.send_replace(Remains { granted: Arc::clone(&left), lingering: Arc::new([ip(1)].into()) });
        settle().await;
        assert!(!vacancy.borrow().vacated);
        remain.send_replace(Remains { granted: left, lingering: Arc::default() });
        settle().await;
        assert!(vacancy.borrow().vacated);
        drop(ruling);
        tasks.join_next().await.unwrap().unwrap();
        assert_eq!(report.borrow().role, Role::Left);
    }

    async fn settle() {
        clock::pause(Duration::from_millis(1)).await;
    }

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }
}

//! Each Service has a Lease, and its holder announces its addresses: kube-vip's `svc_election`, with its names. Services that name one
//! Lease have one holder. The rules are in [ADR 18](../../../docs/adr/0018-a-lease-for-each-service.md).

mod answers;
mod leavings;
mod sightings;
mod store;
#[cfg(test)]
mod tests;
mod unit;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tracing::{info, warn};
use vipcast_proto::advertiser::Remains;
use vipcast_proto::election::{Grant, Timing};
use vipcast_proto::placement::{Claims, Key, MemberId, Situation};

pub use self::store::{Channels, KubeLeases, Leases};

use self::leavings::Leavings;
use self::sightings::Seen;
use self::unit::{Bench, Unit};
use super::wanted::Wanted;
use super::{Demand, Outlet, PlacementReport, Role, Wires, lease};
use crate::change::publish;
use crate::clock;
use crate::election::{Conditions, Ruling};
use crate::kube::lease::{LeaseName, Observed, Scope, Sighting};
use crate::witness::Witness;

/// What does not change while it runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of this node.
    pub node: String,
    /// Of every Lease.
    pub timing: Timing,
    /// The namespace of the Lease of all Services, which marks those that are ours to remove.
    pub namespace: String,
    /// The Lease of all Services that have none of their own, where there is one.
    pub shared: Option<LeaseName>,
    /// What others are used for, and no Service may name.
    pub reserved: BTreeSet<LeaseName>,
    /// Which Leases are watched. A Service can name no others.
    pub scopes: Vec<Scope>,
}

/// Runs until everything is handed over after the drain began, or the patience with it is over.
pub async fn run<L: Leases>(
    settings: Settings,
    leases: L,
    mut sightings: mpsc::Receiver<Sighting>,
    witness: Witness,
    wires: Wires,
) {
    let Wires { mut demand, mut asks, grants, mut remains, report, drain, patience } = wires;
    let (news_out, mut news) = mpsc::channel(NEWS);
    let (node, timing) = (settings.node.clone(), settings.timing);
    let places = Arc::new(Semaphore::new(PLACES));
    let bench = Bench { leases, node, timing, witness, news: news_out, places };
    let mut driver = Driver::new(settings, bench, Outlet::new(grants));
    let mut leave_by: Option<Instant> = None;
    loop {
        let remaining = remains.borrow_and_update().clone();
        driver.settle(clock::now(), &remaining);
        publish(&report, driver.report());
        if driver.stopping && driver.units.is_empty() || leave_by.is_some_and(|at| at <= clock::now()) {
            break;
        }
        let deadline = driver.deadline(leave_by);
        tokio::select! {
            // What others say first: it may be the end of a wait.
            biased;
            Some(sighting) = sightings.recv() => driver.saw(clock::now(), sighting),
            Some(name) = news.recv() => driver.touch(name),
            Some(Ok(name)) = driver.tasks.join_next() => driver.ended(&name),
            () = drain.started(), if !driver.stopping => {
                leave_by = Some(clock::now() + patience);
                driver.leave();
            }
            Ok(()) = remains.changed() => {}
            Some(news) = demand.recv() => driver.demanded(news),
            Some(ask) = asks.recv() => driver.answer(ask),
            Some(Ok(())) = driver.leavings.next() => {}
            () = clock::until(deadline) => driver.woke(clock::now()),
            () = driver.outlet.sender.closed() => return,
        }
    }
    driver.outlet.publish(BTreeMap::new());
    publish(&report, PlacementReport { role: Role::Left, ..driver.report() });
}

struct Driver<L> {
    settings: Settings,
    bench: Bench<L>,
    wanted: Wanted,
    /// The nodes that may announce anything.
    nodes: BTreeSet<Arc<str>>,
    /// Which Lease each wanted address has.
    homes: BTreeMap<IpAddr, LeaseName>,
    /// Which addresses each wanted Lease has.
    housed: BTreeMap<LeaseName, BTreeSet<IpAddr>>,
    units: BTreeMap<LeaseName, Unit>,
    tasks: JoinSet<LeaseName>,
    /// Those about which something may have changed.
    touched: BTreeSet<LeaseName>,
    /// The Leases that there are.
    seen: BTreeMap<LeaseName, Seen>,
    /// The scopes of which all are known.
    listed: Vec<Scope>,
    /// Those of ours that somebody else uses for something else.
    foreign: BTreeSet<LeaseName>,
    claims: Claims<LeaseName>,
    leavings: Leavings,
    grants: BTreeMap<IpAddr, Grant>,
    outlet: Outlet,
    /// When renewals are passed on.
    publish_at: Option<Instant>,
    stopping: bool,
}

impl<L: Leases> Driver<L> {
    fn new(settings: Settings, bench: Bench<L>, outlet: Outlet) -> Self {
        Self {
            wanted: Wanted::new(&settings.node),
            nodes: BTreeSet::new(),
            homes: BTreeMap::new(),
            housed: BTreeMap::new(),
            units: BTreeMap::new(),
            tasks: JoinSet::new(),
            touched: BTreeSet::new(),
            seen: BTreeMap::new(),
            listed: Vec::new(),
            foreign: BTreeSet::new(),
            claims: Claims::new(settings.timing.lease_duration),
            leavings: Leavings::new(settings.timing.lease_duration),
            grants: BTreeMap::new(),
            outlet,
            publish_at: None,
            stopping: false,
            settings,
            bench,
        }
    }

    /// Everything that follows from what has happened.
    fn settle(&mut self, now: Instant, remaining: &Remains) {
        self.forget(remaining);
        while !self.touched.is_empty() {
            while let Some(name) = self.touched.pop_first() {
                self.begin(&name);
                self.update(&name);
            }
            self.publish(now);
            self.forget(remaining);
        }
        self.publish(now);
    }

    /// What has gone from the wire is said to be ours no more.
    fn forget(&mut self, remaining: &Remains) {
        let (grants, published) = (&self.grants, &self.outlet.published);
        // What another Lease of ours permits is nobody's concern but ours.
        let over = |address| grants.contains_key(&address) || remaining.is_gone(published, address);
        for (name, unit) in &mut self.units {
            if unit.tenure.forget(over) {
                self.touched.insert(name.clone());
            }
        }
    }

    fn demanded(&mut self, demand: Demand) {
        match &demand {
            Demand::Weight(_) => self.touch_all(),
            Demand::Nodes(nodes) => {
                self.nodes.clone_from(nodes);
                self.touch_all();
            }
            Demand::Wanted(changes) => {
                for (address, facts) in changes {
                    let lease = facts.as_ref().and_then(|facts| facts.lease.as_deref());
                    self.house(*address, lease);
                }
            }
        }
        self.wanted.take(demand);
    }

    /// An address has this Lease by now.
    fn house(&mut self, address: IpAddr, lease: Option<&str>) {
        let home = lease.and_then(|text| self.permitted(text));
        if let (Some(text), None) = (lease, &home) {
            warn!(%address, lease = text, "a Service names a Lease that it cannot have: nobody announces it");
        }
        let before = match &home {
            Some(home) => self.homes.insert(address, home.clone()),
            None => self.homes.remove(&address),
        };
        if let Some(before) = before {
            self.unhouse(address, before);
        }
        if let Some(home) = home {
            self.housed.entry(home.clone()).or_default().insert(address);
            self.touch(home);
        }
    }

    fn unhouse(&mut self, address: IpAddr, home: LeaseName) {
        if let Some(housed) = self.housed.get_mut(&home) {
            housed.remove(&address);
            if housed.is_empty() {
                self.housed.remove(&home);
            }
        }
        self.touch(home);
    }

    fn permitted(&self, text: &str) -> Option<LeaseName> {
        let name = LeaseName::parse(text)?;
        let watched = self.settings.scopes.iter().any(|scope| scope.covers(&name));
        let reserved = self.settings.reserved.contains(&name) || RESERVED.contains(&name.name.as_str());
        (watched && !reserved && name.namespace != HEARTBEATS).then_some(name)
    }

    fn touch(&mut self, name: LeaseName) {
        self.touched.insert(name);
    }

    fn touch_all(&mut self) {
        self.touched.extend(self.units.keys().cloned());
        self.touched.extend(self.housed.keys().cloned());
    }

    /// An election for each Lease that is wanted.
    fn begin(&mut self, name: &LeaseName) {
        if self.stopping || self.units.contains_key(name) || !self.housed.contains_key(name) {
            return;
        }
        let (seen, marked) = (self.observed(name), self.settings.shared.as_ref() != Some(name));
        let unit = self.bench.start(name, seen, marked, &mut self.tasks);
        self.units.insert(name.clone(), unit);
    }

    fn update(&mut self, name: &LeaseName) {
        self.look_whose(name);
        let Some(unit) = self.units.get_mut(name) else { return };
        let ruling = unit.ruling();
        if ruling.holder.is_some() {
            unit.last_holder.clone_from(&ruling.holder);
        }
        let housed = self.housed.get(name).into_iter().flatten().copied();
        let served: BTreeSet<_> = housed.filter(|&address| self.wanted.serves(address)).collect();
        unit.claim(&served);
        let written = unit.written();
        let said = self.seen.get(name).filter(|seen| written.is_some_and(|written| seen.is(&written)));
        let situation = Situation {
            serial: ruling.serial,
            grant: ruling.grant,
            served: &served,
            said: said.map(|seen| &seen.addresses),
        };
        let (claims, me) = (&self.claims, self.settings.node.as_str());
        let left =
            unit.tenure.update(&situation, |address| claims.rivals(name, address, me).next().is_none());
        for address in &left {
            self.grants.remove(address);
        }
        self.grants.extend(unit.tenure.held(ruling.grant));
        // Another Lease may permit what this one does not any more.
        let elsewhere =
            left.iter().filter_map(|address| self.homes.get(address)).filter(|home| *home != name);
        self.touched.extend(elsewhere.cloned());
        self.stand(name, &ruling, &served);
    }

    fn stand(&self, name: &LeaseName, ruling: &Ruling, served: &BTreeSet<IpAddr>) {
        let Some(unit) = self.units.get(name) else { return };
        unit.claim(served);
        let open = self.wanted.is_open() && self.knows(name) && !self.foreign.contains(name);
        unit.stand(Conditions {
            link_up: !served.is_empty(),
            courtesy: Unit::courtesy(ruling, self.before(name, unit, served)),
            ..lease::conditions(open, self.stopping || !self.housed.contains_key(name))
        });
        unit.vacate(ruling);
    }

    /// A Lease whose holder is called as no Node can be is the lock of a program, which names itself `HOST_UUID`. It stays
    /// that when it is released: the next one of that program takes it.
    fn look_whose(&mut self, name: &LeaseName) {
        let seen = self.seen.get(name).filter(|_| self.housed.contains_key(name));
        match seen.map(|seen| seen.record.holder.as_ref()) {
            Some(None) => {}
            Some(Some(holder)) if holder.contains('_') => {
                if self.foreign.insert(name.clone()) {
                    warn!(lease = %name, "a Service names a Lease that somebody else uses: nobody announces it");
                }
            }
            Some(Some(_)) | None => drop(self.foreign.remove(name)),
        }
    }

    /// How many nodes come before this one, without whoever has just given it up.
    fn before(&self, name: &LeaseName, unit: &Unit, served: &BTreeSet<IpAddr>) -> usize {
        let Some(facts) = served.first().and_then(|&address| self.wanted.facts(address)) else { return 0 };
        let other = |node: &&Arc<str>| {
            ***node != *self.settings.node && Some(node.as_ref()) != unit.last_holder.as_deref()
        };
        let others = self.nodes.iter().filter(other).map(|node| MemberId::of(node));
        facts.turn(key(name), MemberId::of(&self.settings.node), others)
    }

    fn publish(&mut self, now: Instant) {
        let published = &self.outlet.published;
        if self.grants == **published {
            self.publish_at = None;
            return;
        }
        // Renewals are many and have time; what comes or goes has not.
        let same = self.grants.keys().eq(published.keys());
        let at = *self.publish_at.get_or_insert(if same { now + PACE } else { now });
        if !same || at <= now {
            self.publish_at = None;
            self.outlet.publish(self.grants.clone());
        }
    }

    fn deadline(&self, leave_by: Option<Instant>) -> Option<Instant> {
        let own = [self.publish_at, leave_by, self.claims.deadline(), self.leavings.deadline()];
        own.into_iter().flatten().min()
    }

    fn woke(&mut self, now: Instant) {
        let expired = self.claims.expire(now);
        self.touch_homes(&expired);
        self.sweep(now);
    }

    fn touch_homes(&mut self, addresses: &BTreeSet<IpAddr>) {
        let homes = addresses.iter().filter_map(|address| self.homes.get(address));
        self.touched.extend(homes.cloned());
    }

    fn leave(&mut self) {
        self.stopping = true;
        info!(leases = self.units.len(), "handing over the addresses of services");
        self.touch_all();
    }

    /// An election is over: its Lease is given back, or was never held.
    fn ended(&mut self, name: &LeaseName) {
        self.update(name);
        let Some(unit) = self.units.remove(name) else { return };
        self.touch(name.clone());
        let released = unit.written().filter(|record| record.holder.is_none());
        if let Some(record) = released.filter(|_| !self.stopping && !self.housed.contains_key(name)) {
            self.remove_own(name, record.version);
        }
    }

    fn report(&self) -> PlacementReport {
        let ready = self.wanted.is_open() && !self.listed.is_empty();
        let role = match (self.stopping, ready) {
            (true, _) => Role::Leaving,
            (false, true) => Role::Member,
            (false, false) => Role::Silent,
        };
        PlacementReport {
            mode: "leasePerService",
            role,
            held: self.outlet.published.len(),
            letting_go: self.units.values().map(|unit| unit.tenure.parting().len()).sum(),
            wanted: self.wanted.len(),
            unserved: self.wanted.addresses().filter(|address| self.is_unserved(*address)).count(),
            ..PlacementReport::default()
        }
    }

    /// Whether it has no Lease that anybody could hold.
    fn is_unserved(&self, address: IpAddr) -> bool {
        self.homes.get(&address).is_none_or(|home| self.foreign.contains(home))
    }

    fn observed(&self, name: &LeaseName) -> Option<Observed> {
        let lease = self.seen.get(name).map(|seen| Arc::clone(&seen.lease));
        self.knows(name).then(|| Observed::new(lease))
    }
}

/// Where kubelets say that they are alive.
const HEARTBEATS: &str = "kube-node-lease";
/// The control plane's by default, wherever it is.
const RESERVED: [&str; 1] = ["plndr-cp-lock"];

/// By which nodes are put in order for a Lease.
fn key(name: &LeaseName) -> Key {
    Key::of_group(&name.to_string())
}

/// What waits to be looked at; who has more to say waits.
const NEWS: usize = 256;
/// Requests under way at once, beyond which they wait. Where each hangs, an election is late; where one does, no other is.
const PLACES: usize = 64;
/// For so long renewals are collected before they are passed on.
const PACE: Duration = Duration::from_millis(100);

//! Where the parts of the daemon write what they know, and from which status and gauges are read.
//!
//! Each section has one writer; the newest fact replaces the last. `since` moves only when the
//! state itself does, so that a repeated report of the same state costs nothing and loses nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use ipnet::IpNet;
use tokio::sync::watch;

use super::peers::{AbsentRoute, Now, PeerFact, Peers, Routes, VipWord};
use super::readiness::Services;
use super::routers::{BgpStatus, SessionStatus, Speaking};
use super::status::{
    HealthStatus, HealthVerdict, KubernetesStatus, LinkState, LinkStatus, ScopeState, ScopeStatus, Status,
    VipState, VipStatus,
};
use super::timestamp::Timestamp;
use crate::clock;

/// The writing end.
#[derive(Clone, Debug)]
pub struct StatusBoard {
    facts: watch::Sender<Facts>,
}

/// The reading end.
#[derive(Clone, Debug)]
pub struct StatusReader {
    facts: watch::Receiver<Facts>,
}

/// What an elector knows about its scope.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScopeFact {
    /// `namespace/name` of the Lease.
    pub lease: String,
    /// Where this node stands.
    pub state: ScopeState,
    /// `spec.holderIdentity`.
    pub holder: Option<String>,
    /// End of this node's grant.
    pub until: Option<Instant>,
    /// One sentence for the operator.
    pub why: String,
}

/// What an announcer knows about an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VipFact {
    /// Length of the prefix it is configured with.
    pub prefix_length: u8,
    /// Interface that carries it.
    pub interface: String,
    /// The scope that guards it.
    pub scope: String,
    /// What this node does with it.
    pub state: VipState,
    /// When it disappears unless permission is renewed.
    pub until: Option<Instant>,
    /// MAC address of a station that claims the same address.
    pub rival: Option<String>,
    /// One sentence for the operator.
    pub why: String,
}

/// What the Kubernetes client knows about its server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KubernetesFact {
    /// URL in use.
    pub endpoint: Option<String>,
    /// Where the credentials come from.
    pub source: Option<String>,
    /// Whether the last request was answered.
    pub connected: bool,
    /// The present condition in words.
    pub condition: String,
}

/// A fact and the moment since which it holds.
#[derive(Clone, Debug)]
struct Dated<T> {
    since: SystemTime,
    fact: T,
}

#[derive(Clone, Debug)]
struct Facts {
    version: String,
    node: String,
    started: SystemTime,
    /// Some API server has answered at least once.
    was_connected: bool,
    leaving: bool,
    scopes: BTreeMap<String, Dated<ScopeFact>>,
    vips: BTreeMap<IpAddr, Dated<VipFact>>,
    health: Dated<(HealthVerdict, String)>,
    kubernetes: Dated<KubernetesFact>,
    links: BTreeMap<String, Dated<(LinkState, Option<String>)>>,
    /// `None`: BGP is off.
    speaking: Option<Speaking>,
    peers: BTreeMap<String, Dated<PeerFact>>,
    why_no_peers: Option<String>,
    services: Services,
}

impl StatusBoard {
    /// A board that knows nothing but who it belongs to, and its reading end.
    #[must_use]
    pub fn new(version: &str, node: &str) -> (Self, StatusReader) {
        let (facts, reader) = watch::channel(Facts::new(version, node, clock::wall()));
        (Self { facts }, StatusReader { facts: reader })
    }

    /// The state of one election.
    pub fn scope(&self, scope: &str, fact: ScopeFact) {
        self.write(|facts, wall| {
            let same =
                |old: &ScopeFact, new: &ScopeFact| (old.state, &old.holder) == (new.state, &new.holder);
            renew(&mut facts.scopes, scope.to_owned(), fact, wall, same);
        });
    }

    /// The state of one address.
    pub fn vip(&self, address: IpAddr, fact: VipFact) {
        self.write(|facts, wall| {
            renew(&mut facts.vips, address, fact, wall, |old, new| old.state == new.state)
        });
    }

    /// The health gate's verdict and the last probe's result.
    pub fn health(&self, verdict: HealthVerdict, reason: impl Into<String>) {
        let fact = (verdict, reason.into());
        self.write(|facts, wall| facts.health.replace(fact, wall, |old, new| old.0 == new.0));
    }

    /// The connection to the API server.
    pub fn kubernetes(&self, fact: KubernetesFact) {
        self.write(|facts, wall| {
            facts.was_connected |= fact.connected;
            facts.kubernetes.replace(fact, wall, |old, new| old.condition == new.condition);
        });
    }

    /// The state of an interface.
    pub fn link(&self, interface: &str, state: LinkState, mac: Option<String>) {
        self.write(|facts, wall| {
            renew(&mut facts.links, interface.to_owned(), (state, mac), wall, |old, new| old.0 == new.0);
        });
    }

    /// BGP is on, with so many peers. `alone`: nothing but routes makes VIPs known.
    pub fn speaks(&self, alone: bool, configured: usize) {
        self.write(|facts, _| facts.speaking = Some(Speaking { alone, configured }));
    }

    /// From now on there should be so many peers.
    pub fn routers(&self, configured: usize) {
        self.write(|facts, _| {
            facts.speaking = facts.speaking.map(|speaking| Speaking { configured, ..speaking });
        });
    }

    /// The session with a router. `None`: it is not wanted any more.
    pub fn peer(&self, peer: &str, fact: Option<PeerFact>) {
        self.write(|facts, wall| match fact {
            Some(fact) => {
                let same =
                    |old: &PeerFact, new: &PeerFact| old.established.is_some() == new.established.is_some();
                renew(&mut facts.peers, peer.to_owned(), fact, wall, same);
            }
            None => drop(facts.peers.remove(peer)),
        });
    }

    /// Why there is no session with a router, where there is none; `None`: none is configured.
    pub fn why_no_peers(&self, why: Option<String>) {
        self.write(|facts, _| facts.why_no_peers = why);
    }

    /// Services are on. `lack`: what keeps this node from announcing any; what is lacking once nothing was does not count.
    pub fn services(&self, lack: Option<String>) {
        self.write(|facts, _| facts.services.hear(lack));
    }

    /// Shutdown has begun: never ready again.
    pub fn leaving(&self) {
        self.write(|facts, _| facts.leaving = true);
    }

    fn write(&self, change: impl FnOnce(&mut Facts, SystemTime)) {
        let wall = clock::wall();
        self.facts.send_modify(|facts| change(facts, wall));
    }
}

impl StatusReader {
    /// The status now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status_at(clock::now(), clock::wall())
    }

    /// The status at a given moment of both clocks.
    #[must_use]
    pub fn status_at(&self, now: Instant, wall: SystemTime) -> Status {
        self.facts.borrow().status(Moment { now, wall })
    }

    /// The sessions with routers now.
    #[must_use]
    pub fn peers(&self) -> Peers {
        self.facts.borrow().peers(Now { instant: clock::now(), wall: clock::wall() })
    }

    /// What `peer` knows of our routes, or every peer.
    #[must_use]
    pub fn routes(&self, peer: Option<&str>) -> Routes {
        self.facts.borrow().routes(peer, Now { instant: clock::now(), wall: clock::wall() })
    }

    /// Looks at the facts about the sessions with routers.
    pub(super) fn each_peer<T>(&self, mut look: impl FnMut(&str, &PeerFact) -> T) -> Vec<T> {
        self.facts.borrow().peers.iter().map(|(name, peer)| look(name, &peer.fact)).collect()
    }

    /// Whether this node does its job; the text says why, or what it waits for.
    ///
    /// # Errors
    /// What it waits for.
    pub fn ready(&self) -> Result<String, String> {
        self.facts.borrow().ready()
    }
}

impl Facts {
    fn new(version: &str, node: &str, started: SystemTime) -> Self {
        let nothing =
            KubernetesFact { endpoint: None, source: None, connected: false, condition: "starting".into() };
        Self {
            version: version.to_owned(),
            node: node.to_owned(),
            started,
            was_connected: false,
            leaving: false,
            scopes: BTreeMap::new(),
            vips: BTreeMap::new(),
            health: Dated { since: started, fact: (HealthVerdict::Unknown, "not probed yet".into()) },
            kubernetes: Dated { since: started, fact: nothing },
            links: BTreeMap::new(),
            speaking: None,
            peers: BTreeMap::new(),
            why_no_peers: None,
            services: Services::default(),
        }
    }

    fn ready(&self) -> Result<String, String> {
        if self.leaving {
            return Err("shutting down".into());
        }
        // Also where a VIP is held: a rollout must not go on to the next node before this one takes Services.
        if let Services::Awaited(lack) = &self.services {
            return match self.was_connected {
                true => Err(format!("Services cannot be announced yet: {lack}")),
                false => Err(self.no_server()),
            };
        }
        if let Some((address, _)) = self.vips.iter().find(|(_, vip)| vip.fact.state == VipState::Held) {
            return Ok(format!("{address} is held here"));
        }
        if !self.was_connected {
            return Err(self.no_server());
        }
        let unseen = |scope: &Dated<ScopeFact>| scope.fact.state == ScopeState::Bootstrapping;
        match self.scopes.values().find(|scope| unseen(scope)) {
            Some(scope) => {
                Err(format!("lease {} has not been seen yet: {}", scope.fact.lease, scope.fact.why))
            }
            None if self.scopes.is_empty() => match self.services {
                Services::Known => Ok("Services are known".into()),
                Services::Off | Services::Awaited(_) => Err("the election has not started yet".into()),
            },
            None => Ok("the lease is being watched".into()),
        }
    }

    fn no_server(&self) -> String {
        format!("no API server has answered yet: {}", self.kubernetes.fact.condition)
    }

    fn peers(&self, now: Now) -> Peers {
        let peers = self.peers.iter().map(|(name, peer)| peer.fact.status(name, peer.since, now));
        let why_none = self.why_no_peers.clone().filter(|_| self.peers.is_empty());
        Peers { node: self.node.clone(), now: now.wall.into(), peers: peers.collect(), why_none }
    }

    fn routes(&self, only: Option<&str>, now: Now) -> Routes {
        let wanted = |name: &&String| only.is_none_or(|only| only == name.as_str());
        let words = self
            .vips
            .iter()
            .map(|(address, vip)| (*address, VipWord { scope: vip.fact.scope.clone(), since: vip.since }));
        let words: BTreeMap<IpAddr, VipWord> = words.collect();
        let peers: Vec<_> = self.peers.iter().filter(|(name, _)| wanted(name)).collect();
        let routes = peers.iter().flat_map(|(name, peer)| peer.fact.routes(name, now, &words)).collect();
        let absent = self.vips.iter().flat_map(|(address, vip)| self.absent(*address, &vip.fact, &peers));
        Routes { node: self.node.clone(), now: now.wall.into(), absent: absent.collect(), routes }
    }

    /// Who of these does not know the address; where nobody should, one line says why.
    fn absent(
        &self,
        address: IpAddr,
        vip: &VipFact,
        peers: &[(&String, &Dated<PeerFact>)],
    ) -> Vec<AbsentRoute> {
        let absent = |peer, why| AbsentRoute { prefix: IpNet::from(address), peer, why };
        let ignorant: Vec<_> = peers.iter().filter(|(_, peer)| !peer.fact.knows(address)).collect();
        let wanted = vip.state == VipState::Held && self.barred(vip).is_none();
        if wanted && !peers.is_empty() {
            let untold = |(name, peer): &(&String, &Dated<PeerFact>)| {
                absent(Some((*name).clone()), peer.fact.why_untold(address))
            };
            return ignorant.into_iter().map(untold).collect();
        }
        let nobody = ignorant.len() == peers.len();
        nobody.then(|| absent(None, self.why_nobody(address, vip, wanted))).into_iter().collect()
    }

    fn why_nobody(&self, address: IpAddr, vip: &VipFact, wanted: bool) -> String {
        match self.speaking {
            None => "BGP is not switched on".into(),
            Some(_) if wanted => "no BGP peers are configured".into(),
            Some(_) => self.why(address, vip),
        }
    }

    /// What the announcer says of an address, what the scope says where that is more, and what routers know of it.
    fn why(&self, address: IpAddr, vip: &VipFact) -> String {
        let barred = self.barred(vip);
        if vip.state == VipState::Absent && vip.why == NO_GRANT {
            return barred.unwrap_or(&vip.why).to_owned();
        }
        match self.speaking {
            Some(speaking) if vip.state == VipState::Held && vip.rival.is_none() => {
                let told = self.peers.values().filter(|peer| peer.fact.knows(address)).count();
                speaking.held(&vip.why, told, barred)
            }
            Some(_) | None => vip.why.clone(),
        }
    }

    /// Why this node may not announce an address, as its scope says.
    fn barred(&self, vip: &VipFact) -> Option<&str> {
        let scope = &self.scopes.get(&vip.scope)?.fact;
        (scope.state != ScopeState::Holding).then_some(&scope.why)
    }

    fn status(&self, at: Moment) -> Status {
        let (ready, ready_why) = match self.ready() {
            Ok(why) => (true, why),
            Err(why) => (false, why),
        };
        Status {
            version: self.version.clone(),
            node: self.node.clone(),
            pid: std::process::id(),
            since: self.started.into(),
            now: at.wall.into(),
            ready,
            ready_why,
            scopes: self.scopes.iter().map(|(name, scope)| scope_status(name, scope, at)).collect(),
            vips: self.vips.iter().map(|(address, vip)| self.vip(*address, vip, at)).collect(),
            health: health_status(&self.health),
            kubernetes: kubernetes_status(&self.kubernetes),
            links: self.links.iter().map(|(name, link)| link_status(name, link)).collect(),
            bgp: self.speaking.map(|speaking| self.bgp(speaking, at)),
            services: None,
            services_silent: false,
        }
    }

    fn vip(&self, address: IpAddr, vip: &Dated<VipFact>, at: Moment) -> VipStatus {
        VipStatus { why: self.why(address, &vip.fact), ..vip_status(address, vip, at) }
    }

    fn bgp(&self, speaking: Speaking, at: Moment) -> BgpStatus {
        let now = Now { instant: at.now, wall: at.wall };
        let peers = self.peers.iter().map(|(name, peer)| peer.fact.status(name, peer.since, now));
        BgpStatus { configured: speaking.configured, peers: peers.map(SessionStatus::of).collect() }
    }
}

impl<T> Dated<T> {
    fn replace(&mut self, fact: T, wall: SystemTime, same: impl Fn(&T, &T) -> bool) {
        if !same(&self.fact, &fact) {
            self.since = wall;
        }
        self.fact = fact;
    }
}

/// The same instant on both clocks, so that a deadline on one can be shown on the other.
#[derive(Clone, Copy)]
struct Moment {
    now: Instant,
    wall: SystemTime,
}

impl Moment {
    fn remaining(self, until: Option<Instant>) -> Option<Duration> {
        until.map(|until| until.saturating_duration_since(self.now))
    }

    fn deadline(self, until: Option<Instant>) -> Option<Timestamp> {
        self.remaining(until).map(|left| (self.wall + left).into())
    }
}

fn renew<K: Ord, T>(
    map: &mut BTreeMap<K, Dated<T>>,
    key: K,
    fact: T,
    wall: SystemTime,
    same: impl Fn(&T, &T) -> bool,
) {
    let since = match map.get(&key) {
        Some(old) if same(&old.fact, &fact) => old.since,
        Some(_) | None => wall,
    };
    map.insert(key, Dated { since, fact });
}

fn scope_status(name: &str, Dated { since, fact }: &Dated<ScopeFact>, at: Moment) -> ScopeStatus {
    ScopeStatus {
        scope: name.to_owned(),
        lease: fact.lease.clone(),
        state: fact.state,
        holder: fact.holder.clone(),
        since: (*since).into(),
        until: at.deadline(fact.until),
        remaining_milliseconds: at.remaining(fact.until).map(millis),
        why: fact.why.clone(),
    }
}

fn vip_status(address: IpAddr, Dated { since, fact }: &Dated<VipFact>, at: Moment) -> VipStatus {
    VipStatus {
        address,
        prefix_length: fact.prefix_length,
        interface: fact.interface.clone(),
        scope: fact.scope.clone(),
        state: fact.state,
        since: (*since).into(),
        until: at.deadline(fact.until),
        remaining_milliseconds: at.remaining(fact.until).map(millis),
        rival: fact.rival.clone(),
        why: fact.why.clone(),
    }
}

fn health_status(Dated { since, fact: (verdict, reason) }: &Dated<(HealthVerdict, String)>) -> HealthStatus {
    HealthStatus { verdict: *verdict, reason: reason.clone(), since: (*since).into() }
}

fn kubernetes_status(Dated { since, fact }: &Dated<KubernetesFact>) -> KubernetesStatus {
    KubernetesStatus {
        endpoint: fact.endpoint.clone(),
        source: fact.source.clone(),
        connected: fact.connected,
        condition: fact.condition.clone(),
        since: (*since).into(),
    }
}

fn link_status(
    name: &str,
    Dated { since, fact: (state, mac) }: &Dated<(LinkState, Option<String>)>,
) -> LinkStatus {
    LinkStatus { interface: name.to_owned(), state: *state, mac: mac.clone(), since: (*since).into() }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// WHY of an address that this node may not announce; its scope knows more.
pub const NO_GRANT: &str = "this node has no grant for it";

//! What operators are told: what is known here, put together with what the placement and the allocator know.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use vipcast_proto::ipam::{Decision, FamilyPolicy, PoolReport, Request, ServiceKey, ServiceView, Severity};
use vipcast_proto::l2::ethernet::MacAddr;
use vipcast_proto::placement::Liveness;
use vipcast_proto::service::{Because, NotOurs, Ownership, Plan, Service};

use super::{Means, Services, Sources};
use crate::admin::service_metrics::ServiceCounts;
use crate::admin::services::{
    AddressExplanation, AddressStatus, Ask, Candidate, NO_SERVICE, PoolStatus, ServiceExplanation,
    ServiceStatus, ServicesSummary, Successor, Told,
};
use crate::admin::timestamp::Timestamp;
use crate::allocator;
use crate::clock;
use crate::placement::{self, LEASE, Member, Mode, Role};

impl Services {
    /// Answers when those who know have answered.
    pub(super) fn answer(&self, ask: Ask, answering: &mut JoinSet<()>) {
        let sources = self.wires.sources.clone();
        let mut notes: Vec<String> = self.unknown().into_iter().collect();
        match ask {
            Ask::Summary(answer) => {
                notes.extend(self.silent());
                drop(answer.send(self.summary(notes)));
            }
            Ask::Services(namespace, answer) => {
                notes.extend(self.silent());
                let drafts = self.drafts(namespace.as_deref());
                let lacking = self.lacking(namespace.as_deref());
                answering.spawn(async move {
                    drop(answer.send(Told { all: sources.services(drafts, &lacking).await, notes }));
                });
            }
            Ask::Explain(key, answer) => {
                notes.extend(self.silent());
                let draft = self.catalog.service(&key);
                let draft = draft.map(|service| self.explanation(service));
                answering
                    .spawn(async move { drop(answer.send(sources.explanation(draft, key, notes).await)) });
            }
            Ask::Pools(answer) => {
                answering.spawn(async move { drop(answer.send(sources.all_pools(notes).await)) });
            }
        }
    }

    /// What was never said by the API server.
    pub(super) fn unknown(&self) -> Option<String> {
        let missing: Vec<&str> = self.catalog.missing().collect();
        let said = || {
            format!(
                "not known yet, for the API server has not listed them to this node: {} (the log says if it refuses to)",
                missing.join(", ")
            )
        };
        (!missing.is_empty()).then(said)
    }

    /// What this node cannot see.
    fn silent(&self) -> Option<String> {
        let why = silence(self.wires.sources.placed.borrow().role)?;
        Some(format!("this node announces nothing ({why}), and what others announce is not known here"))
    }

    fn summary(&self, notes: Vec<String>) -> ServicesSummary {
        let sources = &self.wires.sources;
        let (placed, allocated) = (sources.placed.borrow(), sources.allocated.borrow());
        let ServiceCounts { assigned, waiting } = self.counts();
        ServicesSummary {
            distribution: placed.mode.to_owned(),
            role: placed.role.to_string(),
            services: assigned + waiting,
            waiting,
            addresses: self.spots.len(),
            announced: placed.held,
            allocates: sources.allocator.is_some(),
            allocator: allocated.leader.clone(),
            notes,
        }
    }

    fn drafts(&self, namespace: Option<&str>) -> Vec<ServiceStatus> {
        self.ours(namespace).map(|service| self.status(service)).collect()
    }

    fn ours(&self, namespace: Option<&str>) -> impl Iterator<Item = &Service> {
        let within = move |service: &&Service| namespace.is_none_or(|it| *it == *service.key().namespace);
        self.catalog.services().filter(|service| service.ownership.is_ours()).filter(within)
    }

    /// Those that have nothing, or not all that they ask for: only these are asked after.
    fn lacking(&self, namespace: Option<&str>) -> BTreeSet<ServiceKey> {
        self.ours(namespace)
            .filter(|service| is_waiting(service))
            .map(|service| service.key().clone())
            .collect()
    }

    fn status(&self, service: &Service) -> ServiceStatus {
        let addresses = service.view.ingress.iter().map(|&address| AddressStatus {
            address,
            pool: pool(&service.view, address),
            owners: vec![],
            modes: self.settings.means.words(address),
            interface: self.interface(address),
            lease: self.lease_of(address),
            also_by_others: self.also_by_others(address),
            why: self.why(address),
        });
        ServiceStatus {
            namespace: service.key().namespace.to_string(),
            name: service.key().name.to_string(),
            class: self.class(&service.ownership),
            addresses: addresses.collect(),
            lacks: vec![],
        }
    }

    /// As far as it is kept.
    fn class(&self, ownership: &Ownership) -> Option<String> {
        match ownership {
            Ownership::Ours(Because::Class) => self.settings.class.clone(),
            Ownership::Foreign(NotOurs::Class(class)) => Some(class.clone()),
            Ownership::Ours(Because::NoClass) | Ownership::Foreign(_) => None,
        }
    }

    fn interface(&self, address: IpAddr) -> Option<String> {
        let spot = self.spots.get(&address).and_then(|spot| spot.as_ref().ok());
        spot.filter(|_| self.settings.means.layer2).map(|spot| spot.interface.to_string())
    }

    fn lease_of(&self, address: IpAddr) -> Option<String> {
        self.lease(self.catalog.plan(&address)?).map(|lease| lease.to_string())
    }

    /// Whether other nodes announce an address without telling this one.
    fn also_by_others(&self, address: IpAddr) -> bool {
        let other = |node: &Arc<str>| node.as_ref() != self.settings.node;
        let mut others = self.catalog.nodes().filter(|node| other(node));
        self.wires.sources.placed.borrow().mode == Mode::EveryNode.word()
            && others.any(|node| self.catalog.is_eligible(&address, node))
    }

    /// Why an address is announced as it is, as far as it is the same for every node; empty: nothing speaks against it.
    fn why(&self, address: IpAddr) -> String {
        match self.catalog.plan(&address).map(|plan| &plan.placement) {
            None => "not known yet".to_owned(),
            Some(Err(withheld)) => withheld.to_string(),
            Some(Ok(_)) => String::new(),
        }
    }

    fn explanation(&self, service: &Service) -> ServiceExplanation {
        let view = &service.view;
        let addresses = view.ingress.iter().map(|&address| self.address(view, address)).collect();
        ServiceExplanation {
            node: self.settings.node.clone(),
            now: Timestamp::from(clock::wall()),
            namespace: service.key().namespace.to_string(),
            name: service.key().name.to_string(),
            class: self.class(&service.ownership),
            ours: service.ownership.is_ours(),
            why_ours: service.ownership.to_string(),
            allocator: self.wires.sources.allocated.borrow().leader.clone(),
            addresses,
            lacks: vec![],
            pools: vec![],
            notes: service.notes.iter().map(ToString::to_string).collect(),
        }
    }

    fn address(&self, view: &ServiceView, address: IpAddr) -> AddressExplanation {
        let plan = self.catalog.plan(&address);
        AddressExplanation {
            address,
            pool: pool(view, address),
            why: "in the status of the Service".to_owned(),
            shared_with: plan.map(|plan| shared(plan, &view.key)).unwrap_or_default(),
            owners: vec![],
            modes: self.settings.means.words(address),
            interface: self.interface(address),
            lease: self.lease_of(address),
            also_by_others: self.also_by_others(address),
            why_owners: self.why(address),
            nodes: self.candidates(address),
            successors: vec![],
            notes: self.notes(address, plan),
        }
    }

    pub(super) fn candidates(&self, address: IpAddr) -> Vec<Candidate> {
        let candidate = |node: &Arc<str>| {
            let reasons = self.catalog.reasons(&address, node);
            let mut why: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            let here = node.as_ref() == self.settings.node;
            let obstacle = if here { self.obstacle(address) } else { self.absence(node) };
            let eligible = self.catalog.is_eligible(&address, node) && obstacle.is_none();
            why.extend(obstacle);
            let why = if why.is_empty() { "nothing speaks against it".to_owned() } else { why.join("; ") };
            Candidate { node: node.to_string(), eligible, why }
        };
        self.catalog.nodes().map(candidate).collect()
    }

    /// What keeps another node from announcing anything, where the nodes say of themselves that they are there.
    fn absence(&self, node: &str) -> Option<String> {
        let placed = self.wires.sources.placed.borrow();
        if placed.mode != Mode::Spread.word() {
            return None;
        }
        match placed.members.iter().find(|member| member.name == node) {
            None => Some("no vipcast speaks for it".to_owned()),
            Some(Member { liveness: Liveness::Left | Liveness::Deleted | Liveness::Silent, .. }) => {
                Some("its vipcast has left, or its Lease is over".to_owned())
            }
            Some(Member { weight: Some(0), .. }) => Some("it announces nothing (weight 0)".to_owned()),
            Some(_) => None,
        }
    }

    /// What keeps this very node from announcing an address, which others cannot see.
    fn obstacle(&self, address: IpAddr) -> Option<String> {
        if self.settings.weight == 0 {
            return Some("it announces nothing (weight 0)".to_owned());
        }
        if let Some(rival) = self.wires.sources.rival(address) {
            return Some(format!("{rival} on the LAN has the address, and it is not taken"));
        }
        if !self.is_filtered(address) {
            let trouble = self.wires.guard.borrow().trouble.clone();
            let why = trouble.unwrap_or_else(|| "the rules are on their way".to_owned());
            return Some(format!("its packets cannot be filtered: {why}"));
        }
        if !self.settings.means.layer2 || self.settings.means.bgp {
            return None;
        }
        match self.spots.get(&address)? {
            Ok(spot) if spot.up => None,
            Ok(spot) => Some(format!("interface {} has no carrier", spot.interface)),
            Err(why) => Some(why.clone()),
        }
    }

    fn notes(&self, address: IpAddr, plan: Option<&Arc<Plan>>) -> Vec<String> {
        let owners = plan.map(|plan| plan.owners.as_slice()).unwrap_or_default();
        let parts = owners.iter().filter(|_| owners.len() > 1);
        let parts = parts.map(|owner| format!("{}: {}", owner.key, owner.part));
        let nowhere = self.spots.get(&address).and_then(|spot| spot.as_ref().err());
        let nowhere = nowhere
            .filter(|_| self.settings.means.layer2)
            .map(|why| format!("by ARP and NDP not here: {why}"));
        let waits = self.wires.waiting.borrow().contains_key(&address);
        let waits = waits.then(|| "new here: announced when kube-proxy has rules for it".to_owned());
        parts.chain(nowhere).chain(waits).collect()
    }
}

impl Sources {
    async fn explanation(
        &self,
        draft: Option<ServiceExplanation>,
        key: ServiceKey,
        notes: Vec<String>,
    ) -> Result<ServiceExplanation, String> {
        let Some(draft) = draft else {
            let missing = format!("{NO_SERVICE} {key} of type LoadBalancer");
            return Err([vec![missing], notes].concat().join("; "));
        };
        let mut explained = self.explained(draft, key).await;
        explained.notes.extend(notes);
        Ok(explained)
    }

    /// Who else has an address that is granted to this node.
    fn rival(&self, address: IpAddr) -> Option<MacAddr> {
        self.standings.borrow().values().find_map(|standing| standing.rivals.get(&address).copied())
    }

    async fn services(
        &self,
        mut all: Vec<ServiceStatus>,
        lacking: &BTreeSet<ServiceKey>,
    ) -> Vec<ServiceStatus> {
        let owners = ask(&self.placement, placement::Ask::Owners).await.unwrap_or_default();
        let role = self.placed.borrow().role;
        for service in &mut all {
            for address in &mut service.addresses {
                address.owners = owners.get(&address.address).cloned().flatten().into_iter().collect();
                if let Some(rival) = self.rival(address.address) {
                    address.owners.clear();
                    address.why = format!("{rival} on the LAN has it, so this node does not take it");
                }
                if address.why.is_empty() {
                    address.why = spread_words(!address.owners.is_empty(), address.also_by_others, role);
                }
            }
            let key = ServiceKey {
                namespace: service.namespace.as_str().into(),
                name: service.name.as_str().into(),
            };
            if lacking.contains(&key) {
                service.lacks = self.decision(key).await.map(|decision| lacks(&decision)).unwrap_or_default();
            }
        }
        all
    }

    async fn explained(&self, mut draft: ServiceExplanation, key: ServiceKey) -> ServiceExplanation {
        match self.decision(key).await {
            Some(decision) => {
                self.decided(&mut draft, &decision);
            }
            None if self.allocator.is_none() => {
                draft.notes.push(GIVEN_BY_OTHERS.to_owned());
            }
            None => {}
        }
        for address in &mut draft.addresses {
            self.placed(address).await;
        }
        draft
    }

    /// What is decided about addresses that the Service has stands beside what is known of who announces them.
    fn decided(&self, draft: &mut ServiceExplanation, decision: &Decision) {
        let known = std::mem::take(&mut draft.addresses);
        draft.decided(decision);
        let decided = std::mem::take(&mut draft.addresses);
        let mut decided: BTreeMap<IpAddr, AddressExplanation> =
            decided.into_iter().map(|address| (address.address, address)).collect();
        for mut address in known {
            if let Some(decided) = decided.remove(&address.address) {
                (address.why, address.pool) = (decided.why, decided.pool.or(address.pool));
                address.notes.extend(decided.notes);
            }
            draft.addresses.push(address);
        }
        // What is assigned and not written yet.
        draft.addresses.extend(decided.into_values());
    }

    async fn placed(&self, address: &mut AddressExplanation) {
        let whereabouts = ask(&self.placement, |answer| placement::Ask::Where(address.address, answer)).await;
        let Some(at) = whereabouts else { return };
        address.owners = at.holder.iter().cloned().collect();
        if let Some(rival) = self.rival(address.address) {
            address.owners.clear();
            address.why_owners = format!("{rival} on the LAN has it, so this node does not take it");
        }
        if at.letting_go {
            address.notes.push("this node is letting go of it".to_owned());
        }
        if !at.queued_behind.is_empty() {
            address.notes.push(format!("this node waits for {}", at.queued_behind.join(", ")));
        }
        if address.why_owners.is_empty() {
            address.why_owners = match (&at.chosen, &at.holder) {
                (Some(chosen), Some(holder)) if chosen == holder => {
                    format!("{chosen} is the one it belongs to")
                }
                (Some(chosen), Some(holder)) => format!("it moves from {holder} to {chosen}"),
                (Some(chosen), None) if self.placed.borrow().mode == LEASE => {
                    format!("{chosen} has the Lease of all Services, and cannot announce it")
                }
                (Some(chosen), None) => format!("{chosen} is to announce it"),
                (None, holder) => {
                    spread_words(holder.is_some(), address.also_by_others, self.placed.borrow().role)
                }
            };
        }
        if let Some(without) = at.chosen.or(at.holder) {
            let anybody = self.placed.borrow().mode == LEASE;
            let nobody = match (anybody, address.also_by_others) {
                (true, _) => "whichever node takes the Lease first",
                (false, true) => "the others that can announce it already",
                (false, false) => "no other node can",
            };
            let why = at.next.is_none().then(|| nobody.to_owned());
            address.successors = vec![Successor { without, then: at.next, why }];
        }
    }

    async fn decision(&self, key: ServiceKey) -> Option<Decision> {
        let allocator = self.allocator.as_ref()?;
        ask(allocator, |answer| allocator::Ask::Decision(key, answer)).await.flatten()
    }

    /// With what is left out of their descriptions, much of which belongs to no pool. What is only odd is in the log.
    async fn all_pools(&self, mut notes: Vec<String>) -> Result<Told<PoolStatus>, String> {
        let Some(allocator) = &self.allocator else { return Err(GIVEN_BY_OTHERS.to_owned()) };
        let answer = ask(allocator, allocator::Ask::Pools).await.unwrap_or_default();
        let errors = answer.faults.iter().filter(|fault| fault.problem.severity == Severity::Error);
        notes.extend(errors.map(ToString::to_string));
        Ok(Told { all: self.described(&answer.pools), notes })
    }

    /// Pools with their addresses, as they are written down.
    pub(super) fn described(&self, reports: &[PoolReport]) -> Vec<PoolStatus> {
        let written = self.pools.borrow();
        let status = |report: &PoolReport| {
            let pool = written.pools.iter().find(|pool| pool.id == report.pool)?;
            Some(PoolStatus::of(report, &pool.ranges))
        };
        reports.iter().filter_map(status).collect()
    }
}

impl Means {
    fn words(self, address: IpAddr) -> Vec<String> {
        let layer2 = if address.is_ipv4() { "arp" } else { "ndp" };
        let all = [(self.layer2, layer2), (self.bgp, "bgp")];
        all.into_iter().filter(|(is, _)| *is).map(|(_, word)| word.to_owned()).collect()
    }
}

/// `None`: whoever was asked is gone.
async fn ask<A, T>(whom: &mpsc::Sender<A>, question: impl FnOnce(oneshot::Sender<T>) -> A) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    whom.send(question(answer)).await.ok()?;
    answered.await.ok()
}

/// Why a node neither announces anything nor knows what others do.
pub(super) const fn silence(role: Role) -> Option<&'static str> {
    match role {
        Role::Silent => Some("it has no Lease that counts, or is not fit"),
        Role::Refused => Some("another machine speaks under its name"),
        Role::Member | Role::Standby | Role::Leaving | Role::Left => None,
    }
}

/// Whether it has nothing, or not all that it asks for.
pub(super) fn is_waiting(service: &Service) -> bool {
    let has = &service.view.ingress;
    let missing =
        |it: &Request| !it.unusable.is_empty() || it.addresses.iter().any(|address| !has.contains(address));
    let needs_both = service.view.family_policy == FamilyPolicy::RequireDualStack;
    has.is_empty() || needs_both && has.len() < 2 || service.view.request.as_ref().is_some_and(missing)
}

fn lacks(decision: &Decision) -> Vec<String> {
    decision.missing().map(ToString::to_string).collect()
}

fn pool(view: &ServiceView, address: IpAddr) -> Option<String> {
    let record = view.record.iter().find(|record| record.address == address)?;
    record.pool.as_deref().map(str::to_owned)
}

fn shared(plan: &Plan, with: &ServiceKey) -> Vec<String> {
    let others = plan.owners.iter().map(|owner| &owner.key).filter(|key| *key != with);
    others.map(ToString::to_string).collect()
}

fn spread_words(announced: bool, also_by_others: bool, role: Role) -> String {
    let words = match (announced, also_by_others || silence(role).is_some()) {
        (true, _) => "announced",
        (false, false) => "nobody announces it",
        (false, true) => "not by this node; of others it is not known here",
    };
    words.to_owned()
}

const GIVEN_BY_OTHERS: &str = "addresses are given by somebody else (services.allocate: false)";

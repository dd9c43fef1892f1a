//! True time, the nodes, and the two invariants.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use vipcast_proto::election::{Predecessor, Timing};
use vipcast_proto::l2::announcer::kernel_lifetime;
use vipcast_proto::placement::{Event, Role};

use crate::Mutation;
use crate::api::{Lease, Reply, Request};
use crate::faults::{Dice, Trouble};
use crate::inputs::{ADDRESSES, Input, address};
use crate::node::Node;

/// What a run is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Plan {
    /// Everything goes wrong.
    Trouble,
    /// The same, and two machines have one name.
    Twins,
    /// Nothing goes wrong; things move because somebody wants it.
    Calm,
}

/// What a run showed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Outcome {
    /// When two nodes held an address, which address, and who.
    pub(crate) overlaps: Vec<(Duration, IpAddr, usize, usize)>,
    /// From when, and for how long, nobody held an address although somebody could.
    pub(crate) unheld: Vec<(u8, Duration, Duration)>,
    pub(crate) taken: u64,
    pub(crate) handed: u64,
    pub(crate) writes: u64,
    pub(crate) longest_unheld: Duration,
    /// Between the drop by one and the take by another, of those that were handed over.
    pub(crate) longest_gap: Duration,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Happening {
    Wake(usize, u64),
    Arrive { node: usize, generation: u64, request: u64, action: Request },
    Reply { node: usize, generation: u64, request: u64, reply: Reply },
    Watch { node: usize, epoch: u64, name: String, lease: Option<Lease> },
    Listed { node: usize, epoch: u64, leases: BTreeMap<String, Lease> },
    Relist(usize),
    Informed { node: usize, generation: u64, number: u8, input: Option<Input> },
    Dropped { node: usize, generation: u64, address: IpAddr },
    Start(usize),
    Kill(usize, u64),
    KillForGood(usize),
    Heal(usize, Trouble),
    Break,
    Look,
}

pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) nodes: Vec<Node>,
    pub(crate) timing: Timing,
    pub(crate) mutation: Mutation,
    pub(crate) plan: Plan,
    pub(crate) dice: Dice,
    pub(crate) queue: BinaryHeap<Reverse<(Duration, u64, Happening)>>,
    sequence: u64,
    pub(crate) version: u64,
    pub(crate) leases: BTreeMap<String, Lease>,
    pub(crate) inputs: BTreeMap<u8, Option<Input>>,
    pub(crate) api_back_at: Duration,
    /// For each address: when something about it, or about anybody, changed for the last time.
    pub(crate) disturbed_at: BTreeMap<u8, Duration>,
    held_at: BTreeMap<u8, Duration>,
    dropped_at: BTreeMap<IpAddr, Duration>,
    buried: BTreeSet<usize>,
    backlog: Vec<(Option<usize>, Happening)>,
    pub(crate) outcome: Outcome,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "a simulation needs some instant to start from")]
    pub(crate) fn run(seed: u64, timing: Timing, mutation: Mutation, plan: Plan) -> Outcome {
        let mut dice = Dice::new(seed);
        let base = Instant::now();
        let rate = if mutation.wild_clocks { 0.3 } else { 0.003 };
        let nodes = (0..NODES)
            .map(|index| {
                let name = if plan == Plan::Twins && index == 1 { 0 } else { index };
                Node::new(format!("node{name}"), index as u128, 1.0 + rate * (index as f64 - 1.5), base)
            })
            .collect();
        let first_break = dice.millis(5_000, 20_000);
        let mut world = Self {
            now: Duration::ZERO,
            nodes,
            timing,
            mutation,
            plan,
            dice,
            queue: BinaryHeap::new(),
            sequence: 0,
            version: 1,
            leases: BTreeMap::new(),
            inputs: BTreeMap::new(),
            api_back_at: Duration::ZERO,
            disturbed_at: BTreeMap::new(),
            held_at: BTreeMap::new(),
            dropped_at: BTreeMap::new(),
            buried: BTreeSet::new(),
            backlog: vec![],
            outcome: Outcome::default(),
        };
        world.first_inputs();
        for node in 0..NODES {
            let pause = world.dice.millis(0, 3_000);
            world.after(pause, Happening::Start(node));
        }
        world.after(first_break, Happening::Break);
        world.after(LOOK_EVERY, Happening::Look);
        if plan != Plan::Calm && world.dice.chance(60) {
            let node = usize::try_from(world.dice.below(NODES as u64)).unwrap();
            world.after(CALM_FROM, Happening::KillForGood(node));
        }
        while let Some(Reverse((at, _, happening))) = world.queue.pop() {
            if at > RUN_FOR {
                break;
            }
            world.now = at;
            world.happen(happening);
        }
        world.outcome
    }

    pub(crate) fn after(&mut self, delay: Duration, happening: Happening) {
        self.sequence += 1;
        self.queue.push(Reverse((self.now + delay, self.sequence, happening)));
    }

    fn happen(&mut self, happening: Happening) {
        if happening.process().is_some_and(|node| self.nodes[node].frozen) {
            // It waits in a socket or a timer until the process thaws; then all come at once, in order.
            self.backlog.push((happening.process(), happening));
            return;
        }
        match happening {
            Happening::Wake(node, wake) => {
                if self.nodes[node].wake == wake {
                    self.step(node, Event::Tick);
                }
            }
            Happening::Arrive { node, generation, request, action } => {
                self.arrive(node, generation, request, action);
            }
            Happening::Reply { node, generation, request, reply } => {
                self.reply(node, generation, request, reply);
            }
            Happening::Watch { node, epoch, name, lease } => self.watched(node, epoch, name, lease.as_ref()),
            Happening::Listed { node, epoch, leases } => {
                if self.nodes[node].epoch == epoch {
                    let records = leases.iter().map(|(name, lease)| (name.clone(), self.record(lease)));
                    let records = records.collect();
                    self.step(node, Event::Listed(records));
                }
            }
            Happening::Relist(node) => self.relist(node),
            Happening::Informed { node, generation, number, input } => {
                self.informed(node, generation, number, input.as_ref());
            }
            Happening::Dropped { node, generation, address } => self.dropped(node, generation, address),
            Happening::Start(node) => self.start(node),
            Happening::Kill(node, generation) => {
                if self.nodes[node].generation == generation {
                    self.nodes[node].process = None;
                    self.disturb();
                }
            }
            Happening::KillForGood(node) => {
                self.kill(node);
                self.buried.insert(node);
            }
            Happening::Heal(node, trouble) => self.set_trouble(node, trouble, false),
            Happening::Break => self.break_something(),
            Happening::Look => self.look(),
        }
    }

    pub(crate) fn thaw(&mut self, node: usize) {
        self.nodes[node].frozen = false;
        for (whose, happening) in std::mem::take(&mut self.backlog) {
            if whose == Some(node) {
                self.after(Duration::ZERO, happening);
            } else {
                self.backlog.push((whose, happening));
            }
        }
    }

    pub(crate) fn disturb(&mut self) {
        self.disturbed_at.extend((0..ADDRESSES).map(|number| (number, self.now)));
    }

    fn start(&mut self, node: usize) {
        if self.nodes[node].process.is_some() || self.buried.contains(&node) {
            return;
        }
        self.disturb();
        let timing = self.timing;
        self.nodes[node].start(timing);
        // The watch of an earlier life ended with it.
        self.nodes[node].epoch += 1;
        let facts = self.all_facts();
        self.step(node, Event::Wanted(facts));
        let weight = u8::from(!self.nodes[node].drained);
        self.step(node, Event::Weight(weight));
        self.relist(node);
    }

    /// One event, and everything that a driver does after it.
    pub(crate) fn step(&mut self, node: usize, event: Event) {
        let now = self.nodes[node].local(self.now);
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        if let Some(action) = process.spread.handle(now, event) {
            self.send(node, action);
        }
        self.apply(node);
        self.report_gone(node);
        let Some(process) = self.nodes[node].process.as_ref() else { return };
        if process.spread.role() == Role::Left {
            self.nodes[node].process = None;
            return;
        }
        let refresh = now + Duration::from_secs(1);
        let deadline = process.spread.deadline(now).map_or(refresh, |at| at.min(refresh));
        let late = self.plan != Plan::Calm && self.dice.chance(2);
        let lateness = if late { self.dice.millis(0, 300) } else { self.dice.millis(0, 2) };
        let delay = self.nodes[node].global(deadline).saturating_sub(self.now) + lateness;
        self.nodes[node].wake += 1;
        let wake = self.nodes[node].wake;
        self.after(delay + Duration::from_micros(1), Happening::Wake(node, wake));
    }

    /// The announcer: holds what is granted, for a lifetime that ends before the fence, and drops the rest.
    fn apply(&mut self, node: usize) {
        let now = self.nodes[node].local(self.now);
        let Some(process) = self.nodes[node].process.as_ref() else { return };
        let grants: BTreeMap<_, _> = process.spread.grants().filter(|(_, grant)| now < grant.until).collect();
        let dropping = process.dropping.clone();
        for (&address, grant) in grants.iter().filter(|(address, _)| !dropping.contains(address)) {
            self.hold(node, address, grant.fence, grant.predecessor);
        }
        let unwanted: Vec<_> = self.nodes[node].addresses.keys().copied().collect();
        let generation = self.nodes[node].generation;
        for address in unwanted {
            if !grants.contains_key(&address) && !dropping.contains(&address) {
                let Some(process) = self.nodes[node].process.as_mut() else { return };
                process.dropping.insert(address);
                let delay = self.dice.millis(0, 20);
                self.after(delay, Happening::Dropped { node, generation, address });
            }
        }
    }

    fn hold(&mut self, node: usize, address: IpAddr, fence: Instant, predecessor: Predecessor) {
        let now = self.nodes[node].local(self.now);
        let Some(seconds) = kernel_lifetime(now, fence, LIFETIME) else { return };
        let held = self.nodes[node].holds(address, self.now);
        let lateness = self.dice.millis(0, 250);
        let lifetime = Duration::from_secs(seconds.into());
        let lifetime = if self.mutation.eternal_addresses { RUN_FOR } else { lifetime };
        self.nodes[node].addresses.insert(address, self.now + lifetime + lateness);
        if held {
            return;
        }
        self.outcome.taken += 1;
        if predecessor == Predecessor::Left {
            self.outcome.handed += 1;
            let changed =
                self.disturbed_at.iter().find(|(number, _)| crate::inputs::address(**number) == address);
            let changed = changed.map(|(_, &at)| at).unwrap_or_default();
            let gap = self.dropped_at.get(&address).map_or(Duration::ZERO, |&at| self.now - at.max(changed));
            self.outcome.longest_gap = self.outcome.longest_gap.max(gap);
        }
        for other in 0..self.nodes.len() {
            if other != node && self.nodes[other].holds(address, self.now) {
                self.outcome.overlaps.push((self.now, address, node, other));
            }
        }
    }

    fn dropped(&mut self, node: usize, generation: u64, address: IpAddr) {
        if self.nodes[node].generation != generation || self.nodes[node].process.is_none() {
            return;
        }
        self.nodes[node].addresses.remove(&address);
        self.dropped_at.insert(address, self.now);
        if let Some(process) = self.nodes[node].process.as_mut() {
            process.dropping.remove(&address);
        }
        self.step(node, Event::Tick);
    }

    fn report_gone(&mut self, node: usize) {
        let Some(process) = self.nodes[node].process.as_ref() else { return };
        let early = self.mutation.gone_before_drop;
        let there = &self.nodes[node].addresses;
        let gone: BTreeSet<_> =
            process.spread.letting_go().filter(|address| early || !there.contains_key(address)).collect();
        if !gone.is_empty() {
            self.step(node, Event::Gone(gone));
        }
    }

    /// Nobody held it for longer than the bound, although all that time nothing changed and somebody could.
    fn look(&mut self) {
        self.after(LOOK_EVERY, Happening::Look);
        for number in 0..ADDRESSES {
            let held = self.nodes.iter().any(|node| node.holds(address(number), self.now));
            let eligible = |node: usize| match self.inputs[&number].as_ref() {
                Some(Input { eligible: Some(nodes), .. }) => nodes.contains(&node),
                Some(Input { eligible: None, .. }) => true,
                None => false,
            };
            let hopeful = (0..NODES).any(|node| eligible(node) && self.nodes[node].is_fit());
            if held || !hopeful || self.now < self.api_back_at || self.anybody_in_trouble() {
                self.held_at.insert(number, self.now);
                continue;
            }
            let since = self.held_at.get(&number).copied().unwrap_or_default();
            let since = since.max(self.disturbed_at.get(&number).copied().unwrap_or_default());
            let unheld = self.now - since;
            self.outcome.longest_unheld = self.outcome.longest_unheld.max(unheld);
            if unheld > self.bound() && self.plan != Plan::Twins {
                self.outcome.unheld.push((number, since, unheld));
            }
        }
    }

    /// Whoever is half there may stand in line with nothing to show for it. Dead, drained and stopped is clear.
    fn anybody_in_trouble(&self) -> bool {
        self.nodes.iter().any(|node| {
            let lags = self.now < node.lags_until || self.now + Duration::from_secs(1) < node.arrives;
            node.process.is_some() && (node.cut_off || node.frozen || lags)
        })
    }

    /// A silence, one request that was under way when the trouble ended, and the rounds of writes. While answers get lost
    /// all the time, twice that and a second.
    fn bound(&self) -> Duration {
        let calm = self.timing.lease_duration + self.timing.renew_deadline + Duration::from_secs(3);
        if self.now < CALM_FROM + calm { 2 * calm + Duration::from_secs(1) } else { calm }
    }
}

impl Happening {
    /// The process that has to run for this to be noticed.
    fn process(&self) -> Option<usize> {
        match *self {
            Self::Wake(node, _)
            | Self::Reply { node, .. }
            | Self::Watch { node, .. }
            | Self::Listed { node, .. }
            | Self::Informed { node, .. }
            | Self::Dropped { node, .. } => Some(node),
            Self::Arrive { .. }
            | Self::Relist(_)
            | Self::Start(_)
            | Self::Kill(..)
            | Self::KillForGood(_)
            | Self::Heal(..)
            | Self::Break
            | Self::Look => None,
        }
    }
}

impl Outcome {
    pub(crate) fn add(&mut self, other: &Self) {
        self.taken += other.taken;
        self.handed += other.handed;
        self.writes += other.writes;
        self.longest_unheld = self.longest_unheld.max(other.longest_unheld);
        self.longest_gap = self.longest_gap.max(other.longest_gap);
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { taken, handed, writes, longest_unheld, longest_gap, .. } = self;
        write!(
            f,
            "{taken} times taken, {handed} of them handed over, {writes} writes, longest unheld {longest_unheld:?}, \
             longest gap in a hand-over {longest_gap:?}"
        )
    }
}

const NODES: usize = 4;
const LIFETIME: Duration = Duration::from_secs(2);
pub(crate) const RUN_FOR: Duration = Duration::from_secs(180);
/// No new faults and no lost messages from here on.
pub(crate) const CALM_FROM: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);

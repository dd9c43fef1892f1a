//! The API server, the segment, true time, and the two invariants.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::time::{Duration, Instant};

use vipcast_proto::election::{self, Answer, Intent, Record, Stamp, Timing, Write};
use vipcast_proto::l2::announcer::{self, kernel_lifetime};
use vipcast_proto::l2::ethernet::{MacAddr, SightingKind};

use crate::Mutation;
use crate::faults::{Dice, Fault};
use crate::node::{LIFETIME, Node, Process, Wish, vip};

/// What a run showed.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Outcome {
    /// When two nodes held the address, and which.
    pub(crate) overlaps: Vec<(Duration, usize, usize)>,
    /// From when, and for how long, nobody held it although somebody could.
    pub(crate) unheld: Vec<(Duration, Duration)>,
    pub(crate) takeovers: u64,
    pub(crate) handovers: u64,
    pub(crate) longest_unheld: Duration,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Happening {
    Wake(usize, u64),
    Arrive { node: usize, generation: u64, request: u64, action: Request },
    Reply { node: usize, generation: u64, request: u64, answer: Reply },
    TimeOut { node: usize, generation: u64, request: u64, stamp: Option<i64> },
    Watch { node: usize, generation: u64, version: u64 },
    Seen { node: usize, by: usize, probe: bool },
    Dropped { node: usize, generation: u64 },
    Start(usize),
    Kill(usize, u64),
    Heal(Fault),
    Break,
    Look,
}

/// A request on its way. Orderable twins of the election's types, so that the queue is deterministic.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Request {
    Read,
    Write { based_on: Option<u64>, intent: u8, transitions: u32, stamp: i64 },
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Reply {
    Read(Option<Lease>),
    Written(Lease),
    Conflict,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Lease {
    version: u64,
    holder: Option<usize>,
    stamp: i64,
    transitions: u32,
    vacated: bool,
}

pub(crate) struct World {
    now: Duration,
    nodes: Vec<Node>,
    timing: Timing,
    mutation: Mutation,
    dice: Dice,
    queue: BinaryHeap<Reverse<(Duration, u64, Happening)>>,
    sequence: u64,
    version: u64,
    lease: Option<Lease>,
    history: BTreeMap<u64, Option<Lease>>,
    api_back_at: Duration,
    held_or_hopeless_at: Duration,
    outcome: Outcome,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "a simulation needs some instant to start from")]
    pub(crate) fn run(seed: u64, timing: Timing, mutation: Mutation) -> Outcome {
        let mut dice = Dice::new(seed);
        let base = Instant::now();
        let spread = if mutation.wild_clocks { 0.4 } else { 0.004 };
        let nodes = (0..3).map(|index| Node::new(1.0 + spread * (index as f64 - 1.0), base)).collect();
        let first_break = dice.millis(5_000, 30_000);
        let mut world = Self {
            now: Duration::ZERO,
            nodes,
            timing,
            mutation,
            dice,
            queue: BinaryHeap::new(),
            sequence: 0,
            version: 1,
            lease: None,
            history: [(1, None)].into(),
            api_back_at: Duration::ZERO,
            held_or_hopeless_at: Duration::ZERO,
            outcome: Outcome::default(),
        };
        for node in 0..3 {
            world.after(Duration::from_millis(10), Happening::Start(node));
        }
        world.after(first_break, Happening::Break);
        world.after(LOOK_EVERY, Happening::Look);
        while let Some(Reverse((at, _, happening))) = world.queue.pop() {
            if at > RUN_FOR {
                break;
            }
            world.now = at;
            world.happen(happening);
        }
        world.outcome
    }

    fn after(&mut self, delay: Duration, happening: Happening) {
        self.sequence += 1;
        self.queue.push(Reverse((self.now + delay, self.sequence, happening)));
    }

    fn happen(&mut self, happening: Happening) {
        if happening.process().is_some_and(|node| self.nodes[node].frozen) {
            // It waits in a socket or a timer until the process thaws; then all come at once.
            let delay = self.dice.millis(10, 50);
            self.after(delay, happening);
            return;
        }
        match happening {
            Happening::Wake(node, wake) => {
                if self.nodes[node].wake == wake {
                    self.elect(node, election::Event::Tick);
                    self.announce(node, announcer::Event::Tick);
                }
            }
            Happening::Arrive { node, generation, request, action } => {
                self.arrive(node, generation, request, action);
            }
            Happening::Reply { node, generation, request, answer } => {
                let answer = match answer {
                    Reply::Read(lease) => Answer::Read(lease.as_ref().map(|lease| self.record(lease))),
                    Reply::Written(lease) => Answer::Written(self.record(&lease)),
                    Reply::Conflict => Answer::Conflict,
                };
                self.answer(node, generation, request, answer);
            }
            Happening::TimeOut { node, generation, request, stamp } => {
                self.answer(node, generation, request, Answer::Unknown(stamp.map(Stamp)));
            }
            Happening::Watch { node, generation, version } => self.watched(node, generation, version),
            Happening::Seen { node, by, probe } => self.seen(node, by, probe),
            Happening::Dropped { node, generation } => self.dropped(node, generation),
            Happening::Start(node) => self.start(node),
            Happening::Kill(node, generation) => {
                if self.nodes[node].generation == generation {
                    self.kill(node);
                }
            }
            Happening::Heal(fault) => self.heal(fault),
            Happening::Break => self.break_something(),
            Happening::Look => self.look(),
        }
    }

    fn runs(&self, node: usize, generation: u64) -> bool {
        let there = &self.nodes[node];
        there.generation == generation && there.process.is_some() && !there.frozen
    }

    fn elect(&mut self, node: usize, event: election::Event) {
        let now = self.nodes[node].local(self.now);
        let early = self.mutation.release_before_drop;
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        let wishes = process.elect(now, event, early);
        self.fulfil(node, wishes);
    }

    fn announce(&mut self, node: usize, event: announcer::Event) {
        let now = self.nodes[node].local(self.now);
        let early = self.mutation.release_before_drop;
        let Some(process) = self.nodes[node].process.as_mut().filter(|process| !process.dropping) else {
            return;
        };
        let wishes = process.announce(now, event, early);
        self.fulfil(node, wishes);
    }

    fn fulfil(&mut self, node: usize, wishes: Vec<Wish>) {
        for wish in wishes {
            match wish {
                Wish::Request(action) => self.send(node, action),
                Wish::Perform(action) => self.perform(node, action),
                Wish::Exit => {
                    self.nodes[node].process = None;
                    return;
                }
            }
        }
        self.restate(node);
        let Some(deadline) = self.nodes[node].process.as_ref().and_then(Process::deadline) else { return };
        let lateness = if self.dice.chance(2) { self.dice.millis(0, 300) } else { self.dice.millis(0, 2) };
        let delay = self.nodes[node].global(deadline).saturating_sub(self.now) + lateness;
        // Only the newest alarm rings.
        self.nodes[node].wake += 1;
        let wake = self.nodes[node].wake;
        self.after(delay, Happening::Wake(node, wake));
    }

    fn restate(&mut self, node: usize) {
        let healthy = self.nodes[node].healthy;
        let Some(process) = self.nodes[node].process.as_ref() else { return };
        let standing = process.facts(healthy).standing();
        let now = self.nodes[node].local(self.now);
        let early = self.mutation.release_before_drop;
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        let wishes = process.elect(now, election::Event::Standing(standing), early);
        for wish in wishes {
            match wish {
                Wish::Request(action) => self.send(node, action),
                Wish::Perform(action) => self.perform(node, action),
                Wish::Exit => self.nodes[node].process = None,
            }
        }
    }

    fn send(&mut self, node: usize, action: election::Action) {
        let generation = self.nodes[node].generation;
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        process.request += 1;
        let request = process.request;
        let (action, stamp) = match action {
            election::Action::Read => (Request::Read, None),
            election::Action::Write(Write { based_on, intent }) => {
                self.sequence += 1;
                let stamp = i64::try_from(self.sequence).unwrap();
                let based_on = based_on.map(|version| version.parse().unwrap());
                let (intent, transitions) = match intent {
                    Intent::Claim { transitions } => (0, transitions),
                    Intent::Renew => (1, 0),
                    Intent::Release => (2, 0),
                };
                (Request::Write { based_on, intent, transitions, stamp }, Some(stamp))
            }
        };
        let timeout = self.timing.request_timeout();
        self.after(timeout, Happening::TimeOut { node, generation, request, stamp });
        let lost = self.lost(node);
        let delay = self.latency() + self.api_back_at.saturating_sub(self.now);
        if !lost {
            self.after(delay, Happening::Arrive { node, generation, request, action });
        }
    }

    fn arrive(&mut self, node: usize, generation: u64, request: u64, action: Request) {
        let answer = match action {
            Request::Read => Reply::Read(self.lease.clone()),
            Request::Write { based_on, intent, transitions, stamp } => {
                let current = self.lease.as_ref().map(|lease| lease.version);
                if current == based_on || (self.mutation.unconditional_writes && current.is_some()) {
                    Reply::Written(self.write(node, intent, transitions, stamp))
                } else {
                    Reply::Conflict
                }
            }
        };
        let delay = self.latency();
        if !self.lost(node) {
            self.after(delay, Happening::Reply { node, generation, request, answer });
        }
    }

    fn write(&mut self, node: usize, intent: u8, transitions: u32, stamp: i64) -> Lease {
        self.version += 1;
        let before = self.lease.as_ref().map_or(0, |lease| lease.transitions);
        let lease = Lease {
            version: self.version,
            holder: (intent != 2).then_some(node),
            stamp,
            transitions: if intent == 0 { transitions } else { before },
            vacated: intent == 2,
        };
        self.lease = Some(lease.clone());
        self.tell_watchers();
        lease
    }

    fn tell_watchers(&mut self) {
        self.history.insert(self.version, self.lease.clone());
        for node in 0..self.nodes.len() {
            let (generation, version) = (self.nodes[node].generation, self.version);
            let delay = self.latency();
            self.after(delay, Happening::Watch { node, generation, version });
        }
    }

    /// The newest state is what arrives; one that was overtaken is dropped by the transport.
    fn watched(&mut self, node: usize, generation: u64, version: u64) {
        if self.nodes[node].cut_off || self.now < self.api_back_at || !self.runs(node, generation) {
            return;
        }
        let current = self.lease.as_ref().is_none_or(|lease| lease.version == version);
        // Now and then an old state turns up late all the same.
        let stale = !current && self.dice.chance(5);
        if stale {
            let record = self.history[&version].as_ref().map(|lease| self.record(lease));
            self.elect(node, election::Event::Observed(record));
        } else if current {
            let record = self.lease.clone().map(|lease| self.record(&lease));
            self.elect(node, election::Event::Observed(record));
        }
    }

    fn record(&self, lease: &Lease) -> Record {
        Record {
            version: lease.version.to_string(),
            holder: lease.holder.map(|node| format!("node{node}")),
            renewed: Some(Stamp(lease.stamp)),
            lease_duration: Some(self.timing.lease_duration),
            transitions: lease.transitions,
            vacated: lease.vacated,
        }
    }

    fn answer(&mut self, node: usize, generation: u64, request: u64, answer: Answer) {
        let current = self.nodes[node].generation == generation;
        let Some(process) = self.nodes[node].process.as_mut().filter(|_| current) else { return };
        if process.request != request {
            return;
        }
        process.request += 1;
        self.elect(node, election::Event::Answered(answer));
    }

    fn perform(&mut self, node: usize, action: announcer::Action) {
        match action {
            announcer::Action::Probe(_) => self.ask_segment(node, true),
            announcer::Action::Announce(_) => self.ask_segment(node, false),
            announcer::Action::Hold { fence, .. } => self.hold(node, fence),
            announcer::Action::Drop(_) => {
                let generation = self.nodes[node].generation;
                let delay = self.dice.millis(0, 20);
                self.after(delay, Happening::Dropped { node, generation });
            }
            announcer::Action::Tell(_) => {}
        }
    }

    fn hold(&mut self, node: usize, fence: Instant) {
        let now = self.nodes[node].local(self.now);
        let seconds = kernel_lifetime(now, fence, LIFETIME);
        let seconds = if self.mutation.unfenced_lifetime { Some(9) } else { seconds };
        let Some(seconds) = seconds else { return };
        let held = self.nodes[node].holds(self.now);
        let lateness = self.dice.millis(0, 250);
        let lifetime =
            if self.mutation.eternal_addresses { RUN_FOR } else { Duration::from_secs(seconds.into()) };
        self.nodes[node].address_until = Some(self.now + lifetime + lateness);
        if held {
            return;
        }
        self.outcome.takeovers += 1;
        let handed = self.nodes[node].process.as_ref().is_some_and(Process::took_a_hand_over);
        self.outcome.handovers += u64::from(handed);
        for other in 0..self.nodes.len() {
            if other != node && self.nodes[other].holds(self.now) {
                self.outcome.overlaps.push((self.now, node, other));
            }
        }
    }

    fn dropped(&mut self, node: usize, generation: u64) {
        if !self.runs(node, generation) {
            return;
        }
        self.nodes[node].address_until = None;
        let now = self.nodes[node].local(self.now);
        let early = self.mutation.release_before_drop;
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        process.dropping = false;
        let wishes = process.settle(now, early);
        self.fulfil(node, wishes);
    }

    /// The kernels of the others answer a probe, whether their processes run or not; an announcement
    /// is heard by those who hold, or ask, themselves.
    fn ask_segment(&mut self, node: usize, probe: bool) {
        if self.nodes[node].unplugged {
            return;
        }
        for other in (0..self.nodes.len()).filter(|&other| other != node) {
            if self.nodes[other].unplugged {
                continue;
            }
            let delay = self.dice.millis(0, 2);
            self.after(delay, Happening::Seen { node: other, by: node, probe });
            if probe && self.nodes[other].holds(self.now) {
                let delay = self.dice.millis(0, 4);
                self.after(delay, Happening::Seen { node, by: other, probe: false });
            }
        }
    }

    fn seen(&mut self, node: usize, by: usize, probe: bool) {
        let kind = if probe { SightingKind::Probe } else { SightingKind::Claim };
        let by = MacAddr::from([2, 0, 0, 0, 0, u8::try_from(by).unwrap()]);
        self.announce(node, announcer::Event::Seen { vip: vip(), by, kind });
    }

    fn start(&mut self, node: usize) {
        if self.nodes[node].process.is_some() {
            return;
        }
        let timing = self.timing;
        self.nodes[node].start(node, timing);
        let lease = self.lease.clone().map(|lease| self.record(&lease));
        self.elect(node, election::Event::Observed(lease));
        self.restate(node);
        self.fulfil(node, vec![]);
    }

    fn kill(&mut self, node: usize) {
        if self.nodes[node].process.take().is_some() {
            let pause = self.dice.millis(200, 12_000);
            self.after(pause, Happening::Start(node));
        }
    }

    fn break_something(&mut self) {
        if self.now > CALM_FROM {
            return;
        }
        let pause = self.dice.millis(200, 20_000);
        self.after(pause, Happening::Break);
        let holder = (0..self.nodes.len()).find(|&node| self.nodes[node].holds(self.now));
        let fault = self.dice.fault(self.nodes.len(), holder);
        match fault {
            Fault::Kill(node) => self.kill(node),
            Fault::Terminate(node) => self.terminate(node),
            Fault::Freeze(node, span) => self.trouble(fault, span, |world| world.nodes[node].frozen = true),
            Fault::CutOff(node, span) => self.trouble(fault, span, |world| world.nodes[node].cut_off = true),
            Fault::Unplug(node, span) => {
                self.trouble(fault, span, |world| world.nodes[node].unplugged = true);
            }
            Fault::Sicken(node, span) => {
                self.trouble(fault, span, |world| {
                    world.nodes[node].healthy = false;
                    world.fulfil(node, vec![]);
                });
            }
            Fault::ApiOutage(span) => self.api_back_at = self.now + span,
            Fault::DeleteLease => self.delete_lease(),
        }
    }

    fn trouble(&mut self, fault: Fault, span: Duration, begin: impl FnOnce(&mut Self)) {
        begin(self);
        self.after(span, Happening::Heal(fault));
    }

    /// Kubernetes' grace period is long; ours is a second.
    fn terminate(&mut self, node: usize) {
        if self.nodes[node].frozen {
            return;
        }
        let generation = self.nodes[node].generation;
        if let Some(process) = self.nodes[node].process.as_mut() {
            process.stopping = true;
            self.fulfil(node, vec![]);
            self.after(Duration::from_secs(1), Happening::Kill(node, generation));
            let pause = self.dice.millis(1100, 8_000);
            self.after(pause, Happening::Start(node));
        }
    }

    /// The arbiter itself is gone: what is left is the wire. A node that starts on a cut segment just
    /// then, knowing nothing, cannot be told; that triple fault is left out.
    fn delete_lease(&mut self) {
        if self.nodes.iter().any(|node| node.unplugged) {
            return;
        }
        self.version += 1;
        self.lease = None;
        self.tell_watchers();
    }

    fn heal(&mut self, fault: Fault) {
        match fault {
            Fault::Freeze(node, _) => {
                self.nodes[node].frozen = false;
                self.fulfil(node, vec![]);
            }
            Fault::CutOff(node, _) => {
                self.nodes[node].cut_off = false;
                let (generation, version) = (self.nodes[node].generation, self.version);
                self.after(Duration::from_millis(500), Happening::Watch { node, generation, version });
            }
            Fault::Unplug(node, _) => self.nodes[node].unplugged = false,
            Fault::Sicken(node, _) => {
                self.nodes[node].healthy = true;
                self.fulfil(node, vec![]);
            }
            Fault::Kill(_) | Fault::Terminate(_) | Fault::ApiOutage(_) | Fault::DeleteLease => {}
        }
    }

    /// Nobody held it for longer than the bound, although all that time somebody could have.
    fn look(&mut self) {
        self.after(LOOK_EVERY, Happening::Look);
        let held = self.nodes.iter().any(|node| node.holds(self.now));
        let everybody_fit = self.nodes.iter().all(Node::is_fit) && self.now >= self.api_back_at;
        if held || !everybody_fit {
            self.held_or_hopeless_at = self.now;
            return;
        }
        let unheld = self.now - self.held_or_hopeless_at;
        self.outcome.longest_unheld = self.outcome.longest_unheld.max(unheld);
        if unheld > self.bound() {
            self.outcome.unheld.push((self.held_or_hopeless_at, unheld));
        }
    }

    /// A rival's silence, one request that was under way when the trouble ended, and the wire check.
    /// While answers get lost all the time, twice that and a second.
    fn bound(&self) -> Duration {
        let calm = self.timing.lease_duration + self.timing.renew_deadline + Duration::from_secs(3);
        if self.now < CALM_FROM + calm { 2 * calm + Duration::from_secs(1) } else { calm }
    }

    /// Whether this message gets lost.
    fn lost(&mut self, node: usize) -> bool {
        self.nodes[node].cut_off || (self.now < CALM_FROM && self.dice.chance(2))
    }

    fn latency(&mut self) -> Duration {
        if self.now < CALM_FROM { self.dice.latency() } else { self.dice.millis(0, 20) }
    }
}

impl Happening {
    /// The process that has to run for this to be noticed.
    fn process(&self) -> Option<usize> {
        match *self {
            Self::Wake(node, _)
            | Self::Reply { node, .. }
            | Self::TimeOut { node, .. }
            | Self::Watch { node, .. }
            | Self::Seen { node, .. }
            | Self::Dropped { node, .. } => Some(node),
            Self::Arrive { .. }
            | Self::Start(_)
            | Self::Kill(..)
            | Self::Heal(_)
            | Self::Break
            | Self::Look => None,
        }
    }
}

impl Outcome {
    pub(crate) fn add(&mut self, other: Self) {
        self.takeovers += other.takeovers;
        self.handovers += other.handovers;
        self.longest_unheld = self.longest_unheld.max(other.longest_unheld);
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { takeovers, handovers, longest_unheld, overlaps, unheld } = self;
        write!(
            f,
            "{takeovers} take-overs, {handovers} of them hand-overs, {} overlaps, {} times unheld too long, \
             longest unheld {longest_unheld:?}",
            overlaps.len(),
            unheld.len()
        )
    }
}

const RUN_FOR: Duration = Duration::from_secs(240);
/// No new faults and no lost messages from here on.
const CALM_FROM: Duration = Duration::from_secs(190);
const LOOK_EVERY: Duration = Duration::from_millis(100);

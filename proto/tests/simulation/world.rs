//! True time, the nodes, and the two invariants.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::time::{Duration, Instant};

use vipcast_proto::election::{self, Answer, Stamp, Timing};
use vipcast_proto::l2::announcer;

use crate::Mutation;
use crate::api::{Lease, Reply, Request};
use crate::faults::{Dice, Fault};
use crate::node::{Node, Process, Wish};

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
pub(crate) enum Happening {
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

pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) nodes: Vec<Node>,
    pub(crate) timing: Timing,
    pub(crate) mutation: Mutation,
    pub(crate) dice: Dice,
    pub(crate) queue: BinaryHeap<Reverse<(Duration, u64, Happening)>>,
    pub(crate) sequence: u64,
    pub(crate) version: u64,
    pub(crate) lease: Option<Lease>,
    pub(crate) history: BTreeMap<u64, Option<Lease>>,
    pub(crate) api_back_at: Duration,
    pub(crate) held_or_hopeless_at: Duration,
    pub(crate) outcome: Outcome,
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

    pub(crate) fn after(&mut self, delay: Duration, happening: Happening) {
        self.sequence += 1;
        self.queue.push(Reverse((self.now + delay, self.sequence, happening)));
    }

    pub(crate) fn happen(&mut self, happening: Happening) {
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

    pub(crate) fn runs(&self, node: usize, generation: u64) -> bool {
        let there = &self.nodes[node];
        there.generation == generation && there.process.is_some() && !there.frozen
    }

    pub(crate) fn elect(&mut self, node: usize, event: election::Event) {
        let now = self.nodes[node].local(self.now);
        let early = self.mutation.release_before_drop;
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        let wishes = process.elect(now, event, early);
        self.fulfil(node, wishes);
    }

    pub(crate) fn announce(&mut self, node: usize, event: announcer::Event) {
        let now = self.nodes[node].local(self.now);
        let early = self.mutation.release_before_drop;
        let Some(process) = self.nodes[node].process.as_mut().filter(|process| !process.dropping) else {
            return;
        };
        let wishes = process.announce(now, event, early);
        self.fulfil(node, wishes);
    }

    pub(crate) fn fulfil(&mut self, node: usize, wishes: Vec<Wish>) {
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

    pub(crate) fn restate(&mut self, node: usize) {
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

    pub(crate) fn start(&mut self, node: usize) {
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

    /// Nobody held it for longer than the bound, although all that time somebody could have.
    pub(crate) fn look(&mut self) {
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
    pub(crate) fn bound(&self) -> Duration {
        let calm = self.timing.lease_duration + self.timing.renew_deadline + Duration::from_secs(3);
        if self.now < CALM_FROM + calm { 2 * calm + Duration::from_secs(1) } else { calm }
    }
}

impl Happening {
    /// The process that has to run for this to be noticed.
    pub(crate) fn process(&self) -> Option<usize> {
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

pub(crate) const RUN_FOR: Duration = Duration::from_secs(240);
/// No new faults and no lost messages from here on.
pub(crate) const CALM_FROM: Duration = Duration::from_secs(190);
const LOOK_EVERY: Duration = Duration::from_millis(100);

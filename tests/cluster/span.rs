//! What client, observer and Lease saw from one moment on: the longest gap, and how often the VIP went from node to node.

use std::time::{Duration, Instant};

use vipcast::clock;

use super::bed::{Bed, Node, SOON, ms, wait};

/// A stretch of time that begins when it is made.
#[derive(Debug)]
pub(crate) struct Span<'a> {
    bed: &'a Bed,
    /// Its begin.
    pub(crate) begin: Instant,
    transitions: u64,
}

/// What was seen in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The longest time without an answer, less what the client itself was held up.
    pub(crate) gap: Duration,
    /// Who answered on the wire, in order, each as often as the VIP came to it.
    pub(crate) owners: Vec<Node>,
    /// How often the Lease was acquired.
    pub(crate) transitions: u64,
    /// Rounds in which two answered.
    pub(crate) double: usize,
}

impl<'a> Span<'a> {
    pub(crate) fn begin(bed: &'a Bed) -> Self {
        Self { bed, begin: clock::now(), transitions: transitions(bed) }
    }

    /// Prints and returns what was seen so far.
    pub(crate) fn tell(&self, what: &str) -> Seen {
        let now = clock::now();
        let reach = self.bed.probes.reach(self.begin, now);
        let sightings = self.bed.probes.sightings(self.begin, now);
        let seen = Seen {
            gap: reach.gap.saturating_sub(reach.late),
            owners: self.owners(now),
            transitions: transitions(self.bed) - self.transitions,
            double: sightings.double,
        };
        eprintln!(
            "{what}: took {:.1?}, gap {:?} (client late by {:?}), owners {:?}, Lease acquired {} times, {} of {} rounds with two \
             owners",
            now - self.begin,
            reach.gap,
            reach.late,
            seen.owners,
            seen.transitions,
            seen.double,
            sightings.rounds
        );
        seen
    }

    fn owners(&self, until: Instant) -> Vec<Node> {
        let mut owners = Vec::new();
        let mut at = self.begin;
        while at < until {
            owners.extend(self.bed.probes.owners(at, at + SLICE));
            at += SLICE;
        }
        owners.dedup();
        owners
    }
}

impl Seen {
    /// How often the VIP went from one node to another.
    pub(crate) fn hand_overs(&self) -> usize {
        self.owners.len().saturating_sub(1)
    }
}

/// `leaseTransitions` counts acquisitions, by client-go's way and by ours.
fn transitions(bed: &Bed) -> u64 {
    let lease = wait("the Lease is there", SOON, || bed.api.lease());
    lease["spec"]["leaseTransitions"].as_u64().unwrap_or_default()
}

/// Two owners within one come in the order of their numbers, which is a hand-over all the same.
const SLICE: Duration = ms(50);

//! The API server: one Lease, requests that get lost or are late, and watches that lag.

use std::time::Duration;

use vipcast_proto::election::{self, Answer, Intent, Record, Stamp, Write};

use crate::world::{CALM_FROM, Happening, World};

/// A request on its way. Orderable twins of the election's types, so that the queue is deterministic.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Request {
    Read,
    Write { based_on: Option<u64>, intent: u8, transitions: u32, stamp: i64 },
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Reply {
    Read(Option<Lease>),
    Written(Lease),
    Conflict,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Lease {
    pub(crate) version: u64,
    pub(crate) holder: Option<usize>,
    pub(crate) stamp: i64,
    pub(crate) transitions: u32,
    pub(crate) vacated: bool,
}

impl World {
    pub(crate) fn send(&mut self, node: usize, action: election::Action) {
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

    pub(crate) fn arrive(&mut self, node: usize, generation: u64, request: u64, action: Request) {
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

    pub(crate) fn write(&mut self, node: usize, intent: u8, transitions: u32, stamp: i64) -> Lease {
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

    pub(crate) fn tell_watchers(&mut self) {
        self.history.insert(self.version, self.lease.clone());
        for node in 0..self.nodes.len() {
            let (generation, version) = (self.nodes[node].generation, self.version);
            let delay = self.latency();
            self.after(delay, Happening::Watch { node, generation, version });
        }
    }

    /// The newest state is what arrives; one that was overtaken is dropped by the transport.
    pub(crate) fn watched(&mut self, node: usize, generation: u64, version: u64) {
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

    pub(crate) fn record(&self, lease: &Lease) -> Record {
        Record {
            version: lease.version.to_string(),
            holder: lease.holder.map(|node| format!("node{node}")),
            renewed: Some(Stamp(lease.stamp)),
            lease_duration: Some(self.timing.lease_duration),
            transitions: lease.transitions,
            vacated: lease.vacated,
        }
    }

    pub(crate) fn answer(&mut self, node: usize, generation: u64, request: u64, answer: Answer) {
        let current = self.nodes[node].generation == generation;
        let Some(process) = self.nodes[node].process.as_mut().filter(|_| current) else { return };
        if process.request != request {
            return;
        }
        process.request += 1;
        self.elect(node, election::Event::Answered(answer));
    }

    /// Whether this message gets lost.
    pub(crate) fn lost(&mut self, node: usize) -> bool {
        self.nodes[node].cut_off || (self.now < CALM_FROM && self.dice.chance(2))
    }

    pub(crate) fn latency(&mut self) -> Duration {
        if self.now < CALM_FROM { self.dice.latency() } else { self.dice.millis(0, 20) }
    }
}

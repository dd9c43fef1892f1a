//! The API server: one Lease for each member, requests that get lost or are late, and one watch for each node.

use std::time::Duration;

use vipcast_proto::election::Stamp;
use vipcast_proto::placement::{Action, Answer, Event, Record};

use crate::world::{CALM_FROM, Happening, Plan, World};

/// A request on its way. The statement travels as the text that it is in the annotation.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Request {
    Read,
    Write { based_on: Option<u64>, transitions: u32, statement: String },
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Reply {
    Read(Option<Lease>),
    Written(Lease),
    Conflict,
    Failed,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Lease {
    version: u64,
    transitions: u32,
    statement: String,
}

impl World {
    pub(crate) fn send(&mut self, node: usize, action: Action) {
        let generation = self.nodes[node].generation;
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        process.request += 1;
        let request = process.request;
        let action = match action {
            Action::Read => Request::Read,
            Action::Write(write) => Request::Write {
                based_on: write.based_on.map(|version| version.parse().unwrap()),
                transitions: write.transitions,
                statement: write.statement.to_string(),
            },
        };
        let timeout = self.timing.request_timeout();
        self.after(timeout, Happening::Reply { node, generation, request, reply: Reply::Failed });
        let lost = self.lost(node);
        let delay = self.latency() + self.api_back_at.saturating_sub(self.now);
        if !lost {
            self.after(delay, Happening::Arrive { node, generation, request, action });
        }
    }

    pub(crate) fn arrive(&mut self, node: usize, generation: u64, request: u64, action: Request) {
        let name = self.nodes[node].name.clone();
        let current = self.leases.get(&name).cloned();
        let reply = match action {
            Request::Read => Reply::Read(current),
            Request::Write { based_on, transitions, statement } => {
                let version = current.map(|lease| lease.version);
                if version == based_on || self.mutation.unconditional_writes {
                    self.version += 1;
                    self.outcome.writes += 1;
                    let lease = Lease { version: self.version, transitions, statement };
                    self.leases.insert(name.clone(), lease.clone());
                    self.tell_watchers(&name);
                    Reply::Written(lease)
                } else {
                    Reply::Conflict
                }
            }
        };
        let delay = self.latency();
        if !self.lost(node) {
            self.after(delay, Happening::Reply { node, generation, request, reply });
        }
    }

    pub(crate) fn delete_lease(&mut self, node: usize) {
        let name = self.nodes[node].name.clone();
        if self.leases.remove(&name).is_some() {
            self.version += 1;
            self.tell_watchers(&name);
        }
    }

    fn tell_watchers(&mut self, name: &str) {
        let lease = self.leases.get(name).cloned();
        for node in 0..self.nodes.len() {
            let name = name.to_owned();
            let delay = self.stream_delay(node);
            let epoch = self.nodes[node].epoch;
            self.after(delay, Happening::Watch { node, epoch, name, lease: lease.clone() });
        }
    }

    /// Events arrive in order: none before the one that was sent before it.
    fn stream_delay(&mut self, node: usize) -> Duration {
        let at = (self.now + self.latency()).max(self.nodes[node].lags_until);
        if self.mutation.unordered_watches {
            return at - self.now;
        }
        let at = at.max(self.nodes[node].arrives);
        self.nodes[node].arrives = at;
        at - self.now
    }

    pub(crate) fn watched(&mut self, node: usize, epoch: u64, name: String, lease: Option<&Lease>) {
        if self.nodes[node].epoch != epoch || self.nodes[node].broken {
            return;
        }
        if self.nodes[node].cut_off || self.now < self.api_back_at {
            self.nodes[node].broken = true;
            let pause = self.dice.millis(100, 1500);
            self.after(pause, Happening::Relist(node));
            return;
        }
        let record = lease.map(|lease| self.record(lease));
        self.step(node, Event::Seen { name, record });
    }

    /// A watch that broke begins anew with a list: what happened between is not told.
    pub(crate) fn relist(&mut self, node: usize) {
        if self.nodes[node].cut_off || self.now < self.api_back_at {
            let pause = self.dice.millis(100, 1500);
            self.after(pause, Happening::Relist(node));
            return;
        }
        self.nodes[node].epoch += 1;
        self.nodes[node].broken = false;
        let delay = self.stream_delay(node);
        let (epoch, leases) = (self.nodes[node].epoch, self.leases.clone());
        self.after(delay, Happening::Listed { node, epoch, leases });
    }

    pub(crate) fn record(&self, lease: &Lease) -> Record {
        Record {
            version: lease.version.to_string(),
            renewed: Some(Stamp(i64::try_from(lease.version).unwrap())),
            lease_duration: Some(self.timing.lease_duration),
            transitions: lease.transitions,
            statement: Some(lease.statement.parse().unwrap()),
        }
    }

    pub(crate) fn reply(&mut self, node: usize, generation: u64, request: u64, reply: Reply) {
        let current = self.nodes[node].generation == generation;
        let Some(process) = self.nodes[node].process.as_mut().filter(|_| current) else { return };
        if process.request != request {
            return;
        }
        process.request += 1;
        let answer = match reply {
            Reply::Read(lease) => Answer::Read(lease.map(|lease| self.record(&lease))),
            Reply::Written(lease) => Answer::Written(self.record(&lease)),
            Reply::Conflict => Answer::Conflict,
            Reply::Failed => Answer::Failed,
        };
        let echo = match &answer {
            Answer::Written(record) if self.mutation.answer_as_echo => Some(record.clone()),
            Answer::Written(_) | Answer::Read(_) | Answer::Conflict | Answer::Failed => None,
        };
        self.step(node, Event::Answered(answer));
        if echo.is_some() {
            let name = self.nodes[node].name.clone();
            self.step(node, Event::Seen { name, record: echo });
        }
    }

    /// Whether this message gets lost.
    fn lost(&mut self, node: usize) -> bool {
        let troubled = self.plan != Plan::Calm && self.now < CALM_FROM;
        self.nodes[node].cut_off || (troubled && self.dice.chance(2))
    }

    pub(crate) fn latency(&mut self) -> Duration {
        let troubled = self.plan != Plan::Calm && self.now < CALM_FROM;
        if troubled { self.dice.latency() } else { self.dice.millis(0, 20) }
    }
}

//! Runs one election: asks the Lease what the elector wants to know, and tells everybody the ruling.

mod inputs;
mod report;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;
use vipcast_proto::election::{Action, Elector, Event, Grant, Role, Timing, Write};
use vipcast_proto::standing::{Bar, Facts, Rivals, Standing};

pub use inputs::{Conditions, Inputs, Vacancy};
pub use report::Reporter;

use crate::clock;
use crate::kube::lease::{LeaseStore, Outcome};

/// The one object that an election reads and writes.
pub trait Store: Send {
    /// Reads it from the server, within `limit`.
    fn read(&mut self, limit: Duration) -> impl Future<Output = Outcome> + Send;
    /// Writes it if it still is what `write` is based on, within `limit`.
    fn write(&mut self, write: &Write, limit: Duration) -> impl Future<Output = Outcome> + Send;
}

/// What an election has come to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ruling {
    /// Grows whenever a grant is given or withdrawn; [`Vacancy`] repeats it.
    pub serial: u64,
    /// Permission to announce, to be compared with the clock.
    pub grant: Option<Grant>,
    /// Where this node stands.
    pub role: Role,
    /// `spec.holderIdentity` as last seen.
    pub holder: Option<String>,
    /// The Lease has been seen, or found not to exist.
    pub known: bool,
    /// What keeps this node from standing.
    pub bar: Option<Bar>,
}

/// Runs until the process is stopping and nothing is held any more, or nobody listens.
pub async fn run(
    elector: Elector,
    timing: Timing,
    identity: String,
    mut store: impl Store,
    mut inputs: Inputs,
    rulings: watch::Sender<Ruling>,
    reporter: Reporter,
) {
    let mut election = Election::new(elector, identity, rulings, reporter);
    let mut next = election.take(Event::Tick, &inputs);
    while !election.elector.is_finished() && !election.rulings.is_closed() {
        next = match next {
            None => {
                let event = tokio::select! {
                    event = inputs.next(election.elector.deadline()) => event,
                    () = election.rulings.closed() => return,
                };
                election.take(event, &inputs)
            }
            Some(action) => election.ask(action, &mut store, &mut inputs, timing.request_timeout()).await,
        };
    }
}

impl Ruling {
    /// Before anything is known.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            serial: 0,
            grant: None,
            role: Role::Standby,
            holder: None,
            known: false,
            bar: Some(Bar::Unproven),
        }
    }
}

impl Store for LeaseStore {
    async fn read(&mut self, limit: Duration) -> Outcome {
        Self::read(self, limit).await
    }

    async fn write(&mut self, write: &Write, limit: Duration) -> Outcome {
        Self::write(self, write, limit).await
    }
}

struct Election {
    elector: Elector,
    identity: String,
    standing: Standing,
    /// Somebody else has held the Lease in the life of this process.
    met_a_rival: bool,
    rulings: watch::Sender<Ruling>,
    reporter: Reporter,
}

impl Election {
    fn new(elector: Elector, identity: String, rulings: watch::Sender<Ruling>, reporter: Reporter) -> Self {
        Self { elector, identity, standing: Standing::Barred, met_a_rival: false, rulings, reporter }
    }

    /// One request, while everything else goes on.
    async fn ask(
        &mut self,
        action: Action,
        store: &mut impl Store,
        inputs: &mut Inputs,
        limit: Duration,
    ) -> Option<Action> {
        let mut outcome = pin!(perform(store, &action, limit));
        loop {
            let event = tokio::select! {
                outcome = &mut outcome => {
                    self.reporter.asked(&action, &outcome);
                    return self.take(Event::Answered(outcome.answer), inputs);
                }
                event = inputs.next(self.elector.deadline()) => event,
            };
            // The elector asks for nothing while a request is under way.
            let _ = self.take(event, inputs);
        }
    }

    fn serial(&self) -> u64 {
        self.rulings.borrow().serial
    }

    fn take(&mut self, event: Event, inputs: &Inputs) -> Option<Action> {
        let asked = self.settle(event, inputs.conditions());
        // After the ruling is out, so that a vacancy of before does not count.
        let is_left = self.elector.role() == Role::Leaving && inputs.is_vacated(self.serial());
        let released = is_left.then(|| self.settle(Event::Vacated, inputs.conditions())).flatten();
        asked.or(released)
    }

    /// Takes the event and what follows from it for our standing, and publishes the ruling. At most one
    /// of the steps asks for a request, because at most one is under way.
    fn settle(&mut self, event: Event, conditions: Conditions) -> Option<Action> {
        let now = clock::now();
        self.elector.wait_for_others(now, conditions.courtesy);
        let mut asked = self.elector.handle(now, event);
        let mut facts = self.facts(conditions);
        // What is held is one of the facts, and may change with the standing.
        while facts.standing() != self.standing {
            self.standing = facts.standing();
            let more = self.elector.handle(now, Event::Standing(self.standing));
            asked = asked.or(more);
            facts = self.facts(conditions);
        }
        self.publish(conditions.word(facts.bar()));
        asked
    }

    fn facts(&mut self, conditions: Conditions) -> Facts {
        let holder = self.elector.record().and_then(|record| record.holder.as_ref());
        self.met_a_rival |= holder.is_some_and(|holder| *holder != self.identity);
        let rivals = if self.met_a_rival { Rivals::Present } else { conditions.rivals };
        Facts {
            healthy: conditions.healthy,
            link_up: conditions.link_up,
            refused: conditions.refused,
            rivals,
            holding: self.elector.role() == Role::Holder,
            stopping: conditions.stopping,
        }
    }

    fn publish(&mut self, bar: Option<Bar>) {
        let before = self.rulings.borrow().clone();
        let grant = self.elector.grant();
        let turned = before.grant.is_some() != grant.is_some();
        let ruling = Ruling {
            serial: before.serial + u64::from(turned),
            grant,
            role: self.elector.role(),
            holder: self.elector.record().and_then(|record| record.holder.clone()),
            known: self.elector.has_sight(),
            bar,
        };
        if ruling != before {
            // Announcers first, the log afterwards.
            self.rulings.send_replace(ruling.clone());
            self.reporter.ruled(&before, &ruling);
        }
    }
}

async fn perform(store: &mut impl Store, action: &Action, limit: Duration) -> Outcome {
    match action {
        Action::Read => store.read(limit).await,
        Action::Write(write) => store.write(write, limit).await,
    }
}

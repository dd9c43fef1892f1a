//! Runs one member of the spread: sightings and demands in, requests about its own Lease and grants out.

mod inputs;
mod report;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use vipcast_proto::advertiser::Remains;
use vipcast_proto::election::Timing;
use vipcast_proto::placement::{Action, Config, Event, Life, Role, Spread, Write};

use self::inputs::{Input, Inputs};
use self::report::Reporter;
use super::{Ask, Outlet, Wires};
use crate::clock;
use crate::kube::members::{MemberStore, Outcome, Sighting};
use crate::witness::Witness;

/// The member Lease of this node.
pub trait Store: Send {
    /// Reads it from the server, within `limit`.
    fn read(&mut self, limit: Duration) -> impl Future<Output = Outcome> + Send;
    /// Writes it if it still is what `write` is based on, within `limit`.
    fn write(&mut self, write: &Write, limit: Duration) -> impl Future<Output = Outcome> + Send;
}

impl Store for MemberStore {
    async fn read(&mut self, limit: Duration) -> Outcome {
        Self::read(self, limit).await
    }

    async fn write(&mut self, write: &Write, limit: Duration) -> Outcome {
        Self::write(self, write, limit).await
    }
}

/// Runs until this member has handed everything over, or the patience with that is over, or nobody listens. `sightings` is
/// what [`watch_members`](crate::kube::members::watch_members) publishes.
pub async fn run(
    node: String,
    life: Life,
    timing: Timing,
    mut store: impl Store,
    sightings: mpsc::Receiver<Sighting>,
    wires: Wires,
    witness: Witness,
) {
    let Wires { demand, asks, grants, remains, report, drain, patience } = wires;
    let config = Config { name: node.clone(), life, timing, pace: PACE, patience: PATIENCE };
    let mut driver = Driver {
        spread: Spread::new(config),
        outlet: Outlet::new(grants),
        edition: (None, 0),
        remains: remains.clone(),
        reporter: Reporter::new(node, report, witness),
        leave_by: None,
        patience,
    };
    let mut inputs = Inputs::new(sightings, demand, asks, remains, drain);
    let mut next = None;
    while !driver.is_over() {
        next = match next {
            None => driver.take(inputs.next(driver.deadline()).await),
            Some(action) => driver.ask(action, &mut store, &mut inputs, timing.request_timeout()).await,
        };
    }
    driver.end();
}

struct Driver {
    spread: Spread,
    outlet: Outlet,
    /// Of the grants that are published.
    edition: (Option<Instant>, u64),
    remains: watch::Receiver<Remains>,
    reporter: Reporter,
    leave_by: Option<Instant>,
    patience: Duration,
}

impl Driver {
    /// One request, while everything else goes on.
    async fn ask(
        &mut self,
        action: Action,
        store: &mut impl Store,
        inputs: &mut Inputs,
        limit: Duration,
    ) -> Option<Action> {
        let mut outcome = pin!(perform(store, &action, limit));
        while !self.is_over() {
            tokio::select! {
                outcome = &mut outcome => {
                    self.reporter.asked(&action, &outcome);
                    return self.handle(Event::Answered(outcome.answer));
                }
                // Nothing else is asked for while a request is under way.
                input = inputs.next(self.deadline()) => drop(self.take(input)),
            }
        }
        None
    }

    fn take(&mut self, input: Input) -> Option<Action> {
        match input {
            Input::Event(event) => {
                if event == Event::Leave {
                    self.leave_by = Some(clock::now() + self.patience);
                    self.reporter.leaving();
                }
                self.handle(event)
            }
            Input::Asked(ask) => {
                self.answer(ask);
                None
            }
        }
    }

    /// The event, and what follows from it. Grants go out before anything is called gone.
    fn handle(&mut self, event: Event) -> Option<Action> {
        let mut asked = self.spread.handle(clock::now(), event);
        self.publish();
        loop {
            let gone = self.gone();
            if gone.is_empty() {
                break;
            }
            let more = self.spread.handle(clock::now(), Event::Gone(gone));
            asked = asked.or(more);
            self.publish();
        }
        self.reporter.look(clock::now(), &self.spread);
        asked
    }

    fn publish(&mut self) {
        let edition = self.spread.edition();
        if edition != self.edition {
            self.edition = edition;
            self.outlet.publish(self.spread.grants().collect());
        }
    }

    fn gone(&self) -> BTreeSet<IpAddr> {
        let remains = self.remains.borrow();
        self.spread.letting_go().filter(|&address| remains.is_gone(&self.outlet.published, address)).collect()
    }

    fn answer(&self, ask: Ask) {
        match ask {
            Ask::Where(address, answer) => {
                drop(answer.send(self.reporter.whereabouts(&self.spread, address)))
            }
            Ask::Without { address, node, answer } => {
                drop(answer.send(self.reporter.without(&self.spread, address, &node)));
            }
            Ask::Owners(answer) => drop(answer.send(self.reporter.owners(&self.spread))),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let spread = self.spread.deadline(clock::now());
        spread.into_iter().chain(self.leave_by).chain(self.reporter.due()).min()
    }

    fn is_over(&self) -> bool {
        let patient = self.leave_by.is_none_or(|at| clock::now() < at);
        !patient || self.spread.role() == Role::Left || self.outlet.sender.is_closed()
    }

    /// Whatever was not handed over is given up: announcers drop it, and others wait until its member is past.
    fn end(mut self) {
        self.outlet.publish(std::collections::BTreeMap::new());
        self.reporter.ended(&self.spread);
    }
}

async fn perform(store: &mut impl Store, action: &Action, limit: Duration) -> Outcome {
    match action {
        Action::Read => store.read(limit).await,
        Action::Write(write) => store.write(write, limit).await,
    }
}

/// At least so long between two writes, however much changes.
const PACE: Duration = Duration::from_millis(25);
/// For so long whoever is to let go waits for whoever is to take over.
const PATIENCE: Duration = Duration::from_millis(500);

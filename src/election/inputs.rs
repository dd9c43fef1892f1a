//! What an election listens to, as one stream of events.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use vipcast_proto::election::Event;
use vipcast_proto::standing::{Bar, Rivals};

use crate::clock;
use crate::kube::lease::Observed;

/// What the rest of the daemon knows about this node's fitness.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Conditions {
    /// The local API server is healthy, or nobody asked for the gate.
    pub healthy: bool,
    /// The gate has come to a verdict.
    pub proven: bool,
    /// Every interface that carries a VIP has carrier.
    pub link_up: bool,
    /// The kernel refused to hold one of the VIPs a short while ago.
    pub refused: bool,
    /// What the last complete snapshot of Nodes shows.
    pub rivals: Rivals,
    /// The process was asked to stop.
    pub stopping: bool,
    /// The node is cordoned, and others announce; of importance only where every node may.
    pub drained: bool,
    /// For so long a free Lease is left to others, who come first.
    pub courtesy: Duration,
}

impl Conditions {
    /// Nothing is in the way, and others are there.
    #[cfg(test)]
    pub(crate) const FIT: Self = Self {
        healthy: true,
        proven: true,
        link_up: true,
        refused: false,
        rivals: Rivals::Present,
        stopping: false,
        drained: false,
        courtesy: Duration::ZERO,
    };

    /// That nothing is known yet, or that it is so by intent, is another word than that something is wrong.
    #[must_use]
    pub fn word(self, bar: Option<Bar>) -> Option<Bar> {
        if bar != Some(Bar::Health) {
            bar
        } else if !self.proven {
            Some(Bar::Unproven)
        } else if self.drained {
            Some(Bar::Drained)
        } else {
            bar
        }
    }
}

/// The core's word on a withdrawn grant.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Vacancy {
    /// The ruling that it is about.
    pub serial: u64,
    /// Every announcer has let go of every address.
    pub vacated: bool,
}

/// Everything that can happen to an election but the answer to its request.
#[derive(Debug)]
pub struct Inputs {
    conditions: watch::Receiver<Conditions>,
    lease: watch::Receiver<Option<Observed>>,
    vacancy: watch::Receiver<Vacancy>,
    /// What the Lease says beside the holder's name, where it says anything.
    statement: Option<watch::Receiver<Arc<str>>>,
}

impl Inputs {
    /// `lease` is the watch on the Lease; `None` until it has been seen.
    #[must_use]
    pub fn new(
        conditions: watch::Receiver<Conditions>,
        mut lease: watch::Receiver<Option<Observed>>,
        vacancy: watch::Receiver<Vacancy>,
    ) -> Self {
        // What was seen before we listened counts as news.
        lease.mark_changed();
        Self { conditions, lease, vacancy, statement: None }
    }

    /// The holder writes the Lease whenever this changes.
    #[must_use]
    pub fn with_statement(self, statement: watch::Receiver<Arc<str>>) -> Self {
        Self { statement: Some(statement), ..self }
    }

    pub(super) fn conditions(&self) -> Conditions {
        *self.conditions.borrow()
    }

    /// Whether every announcer has let go, knowing of the ruling `serial` or a later one.
    pub(super) fn is_vacated(&self, serial: u64) -> bool {
        let vacancy = *self.vacancy.borrow();
        vacancy.vacated && vacancy.serial == serial
    }

    /// The next event; what is a level rather than an event is a [`Event::Tick`]. Cancel safe.
    pub(super) async fn next(&mut self, deadline: Option<Instant>) -> Event {
        tokio::select! {
            // News of the Lease first: it may be the end of what we hold.
            biased;
            Ok(()) = self.lease.changed() => {
                let seen = self.lease.borrow_and_update().clone();
                seen.map_or(Event::Tick, |seen| Event::Observed(seen.record))
            }
            Ok(()) = self.vacancy.changed() => {
                self.vacancy.mark_unchanged();
                Event::Tick
            }
            Ok(()) = self.conditions.changed() => Event::Tick,
            Ok(()) = changed(self.statement.as_mut()) => Event::Restated,
            () = clock::until(deadline) => Event::Tick,
        }
    }
}

async fn changed(statement: Option<&mut watch::Receiver<Arc<str>>>) -> Result<(), watch::error::RecvError> {
    match statement {
        Some(statement) => statement.changed().await,
        None => std::future::pending().await,
    }
}

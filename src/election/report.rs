//! What an operator gets to know of an election: one line for each thing that changed.

use tracing::{debug, info, warn};
use vipcast_proto::election::{Action, Answer, Grant, Intent, Role};

use super::Ruling;
use crate::admin::board::ScopeFact;
use crate::admin::metrics::{self, Operation, Transition};
use crate::admin::status::ScopeState;
use crate::kube::failure::Failure;
use crate::kube::lease::{LeaseName, Outcome};
use crate::witness::{CONTROL_PLANE, Witness};

/// Tells the witnesses of one election.
#[derive(Debug)]
pub struct Reporter {
    /// The name of what it is about; `None`: one of many, of which only what happens is told.
    scope: Option<&'static str>,
    lease: String,
    identity: String,
    witness: Witness,
    /// What the last failed request said, so that a lasting failure is one line.
    trouble: Option<String>,
}

impl Reporter {
    /// A reporter for the election on `lease`.
    #[must_use]
    pub fn new(lease: &LeaseName, identity: String, witness: Witness) -> Self {
        Self::of_scope(CONTROL_PLANE, lease, identity, witness)
    }

    /// The same for an election that guards something else.
    #[must_use]
    pub fn of_scope(scope: &'static str, lease: &LeaseName, identity: String, witness: Witness) -> Self {
        let lease = format!("{}/{}", lease.namespace, lease.name);
        witness.metrics.declare_scope(scope, &lease);
        let reporter = Self { scope: Some(scope), lease, identity, witness, trouble: None };
        reporter.show(&Ruling::unknown());
        reporter
    }

    /// The same for one election of many: status and metrics do not grow with them.
    #[must_use]
    pub fn of_many(lease: &LeaseName, identity: String, witness: Witness) -> Self {
        Self { scope: None, lease: lease.to_string(), identity, witness, trouble: None }
    }

    pub(super) fn asked(&mut self, action: &Action, outcome: &Outcome) {
        let operation = operation(action);
        self.witness.metrics.lease_request(operation, verdict(&outcome.answer), outcome.latency);
        let failure = outcome.failure.as_ref().map(ToString::to_string);
        match (&self.trouble, &failure) {
            // Whoever looks for a server says that there is none.
            _ if outcome.failure == Some(Failure::NoServer) => {}
            (None, Some(error)) if !matches!(outcome.answer, Answer::Conflict) => {
                match self.scope {
                    Some(_) => warn!(lease = self.lease, error, "lease cannot be reached"),
                    None => debug!(lease = self.lease, error, "lease cannot be reached"),
                }
                self.trouble = failure;
            }
            (Some(_), None) => {
                if self.scope.is_some() {
                    info!(lease = self.lease, "lease can be reached again");
                }
                self.trouble = None;
            }
            (None | Some(_), _) => {}
        }
    }

    pub(super) fn ruled(&mut self, before: &Ruling, now: &Ruling) {
        let lease = self.lease.as_str();
        match (before.role, now.role) {
            (Role::Standby, Role::Holder) => {
                self.count(Transition::Acquired);
                let after = now.grant.map(|grant| format!("{:?}", grant.predecessor).to_lowercase());
                info!(lease, predecessor = after, "lease acquired");
            }
            (Role::Holder, Role::Standby) => {
                self.count(Transition::Lost);
                match now.holder.as_ref().filter(|holder| **holder != self.identity) {
                    Some(holder) => warn!(lease, holder, "lease lost to another holder"),
                    None => warn!(lease, "grant has ended, the lease could not be renewed"),
                }
            }
            (Role::Holder, Role::Leaving) => {
                self.count(Transition::Lost);
                let why = now.bar.map(|bar| bar.to_string());
                info!(lease, why, "giving the lease up");
            }
            (Role::Leaving, Role::Standby) if now.holder.as_ref() == Some(&self.identity) => {
                warn!(lease, "lease could not be released, it runs out by itself");
            }
            (Role::Leaving, Role::Standby) => info!(lease, "lease released"),
            (Role::Standby | Role::Holder | Role::Leaving, _) if self.scope.is_none() => {}
            (Role::Standby | Role::Holder | Role::Leaving, _) => self.rival(before, now),
        }
        self.show(now);
    }

    fn count(&self, transition: Transition) {
        if let Some(scope) = self.scope {
            self.witness.metrics.lease_transition(scope, &self.lease, transition);
        }
    }

    fn rival(&self, before: &Ruling, now: &Ruling) {
        if before.holder != now.holder && now.role == Role::Standby {
            match &now.holder {
                // Our own write, seen late by the watch, is no news.
                Some(holder) if *holder == self.identity => {}
                Some(holder) => info!(lease = self.lease, holder, "lease has another holder"),
                None => info!(lease = self.lease, "lease is free"),
            }
        }
    }

    fn show(&self, ruling: &Ruling) {
        let Some(scope) = self.scope else { return };
        let fact = ScopeFact {
            lease: self.lease.clone(),
            state: state(ruling),
            holder: ruling.holder.clone(),
            until: ruling.grant.map(|grant: Grant| grant.until),
            why: self.why(ruling),
        };
        self.witness.board.scope(scope, fact);
    }

    fn why(&self, ruling: &Ruling) -> String {
        match (ruling.role, ruling.bar, &ruling.holder) {
            (Role::Holder, None, _) => "this node holds the Lease".into(),
            (Role::Holder, Some(bar), _) => format!("holding until the Lease can be released: {bar}"),
            (Role::Leaving, bar, _) => format!("handing over{}", because(bar)),
            (Role::Standby, Some(bar), _) => bar.to_string(),
            (Role::Standby, None, _) if !ruling.known => "the Lease has not been seen yet".into(),
            (Role::Standby, None, Some(holder)) if *holder == self.identity => {
                "the Lease names this node, but its grant has ended".into()
            }
            (Role::Standby, None, Some(holder)) => format!("{holder} holds the Lease"),
            (Role::Standby, None, None) => "nobody holds the Lease".into(),
        }
    }
}

fn because(bar: Option<vipcast_proto::standing::Bar>) -> String {
    bar.map(|bar| format!(": {bar}")).unwrap_or_default()
}

fn state(ruling: &Ruling) -> ScopeState {
    match (ruling.role, ruling.bar) {
        (Role::Holder, _) => ScopeState::Holding,
        (Role::Leaving, _) => ScopeState::Leaving,
        (Role::Standby, _) if !ruling.known => ScopeState::Bootstrapping,
        (Role::Standby, Some(_)) => ScopeState::Ineligible,
        (Role::Standby, None) => ScopeState::Standby,
    }
}

fn operation(action: &Action) -> Operation {
    match action {
        Action::Read => Operation::Read,
        Action::Write(write) => match write.intent {
            Intent::Claim { .. } => Operation::Claim,
            Intent::Renew => Operation::Renew,
            Intent::Release => Operation::Release,
        },
    }
}

fn verdict(answer: &Answer) -> metrics::Outcome {
    match answer {
        Answer::Read(_) | Answer::Written(_) => metrics::Outcome::Ok,
        Answer::Conflict => metrics::Outcome::Conflict,
        Answer::Refused => metrics::Outcome::Refused,
        Answer::Unknown(_) => metrics::Outcome::Unknown,
    }
}

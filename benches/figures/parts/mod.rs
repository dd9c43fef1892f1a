//! What can be measured.

mod binary;
mod bootstrap;
mod crash;
mod frozen;
mod handover;
mod idle;
mod outage;
mod simulation;

use clap::ValueEnum;

use crate::Plan;
use crate::figure::Figure;

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// The holder is told to stop
    Handover,
    /// The holder is killed, or its cable pulled
    Crash,
    /// The holder is frozen
    Frozen,
    /// The API server is frozen for 15 seconds
    Outage,
    /// Nothing happens
    Idle,
    /// The program file
    Binary,
    /// The API server appears after a minute
    Bootstrap,
    /// Thousands of simulated clusters
    Simulation,
}

impl Part {
    pub(crate) const ALL: [Self; 8] = [
        Self::Handover,
        Self::Crash,
        Self::Frozen,
        Self::Outage,
        Self::Idle,
        Self::Binary,
        Self::Bootstrap,
        Self::Simulation,
    ];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Handover => "graceful hand-over",
            Self::Crash => "crash",
            Self::Frozen => "frozen process",
            Self::Outage => "API server frozen for 15 s",
            Self::Idle => "idle daemons",
            Self::Binary => "binary",
            Self::Bootstrap => "bootstrap",
            Self::Simulation => "simulation",
        }
    }

    pub(crate) fn measure(self, plan: &Plan) -> anyhow::Result<Vec<Figure>> {
        match self {
            Self::Handover => handover::measure(plan),
            Self::Crash => crash::measure(plan),
            Self::Frozen => frozen::measure(plan),
            Self::Outage => outage::measure(plan),
            Self::Idle => idle::measure(plan),
            Self::Binary => binary::measure(plan),
            Self::Bootstrap => bootstrap::measure(plan),
            Self::Simulation => simulation::measure(plan),
        }
    }
}

const TWO_OWNERS: &str = "rounds with two owners";

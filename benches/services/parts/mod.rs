//! What can be measured.

mod burst;
mod churn;
mod crash;
mod created;
mod held;
mod idle;
mod lost;
mod memory;
mod outage;
mod start;
mod stop;

use std::time::Duration;

use clap::ValueEnum;

use crate::Plan;
use crate::figure::Figure;

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// One Service after the other is created
    Created,
    /// Two hundred Services are created at once
    Burst,
    /// The daemons start, and Services are there: two hundred and ten thousand, by ARP and by BGP
    Start,
    /// Nothing happens to ten thousand Services
    Idle,
    /// Memory with two hundred and ten thousand Services, and while all are replaced
    Memory,
    /// One node holds two hundred and ten thousand addresses
    Held,
    /// The owner of twenty addresses is told to stop, or its node is drained
    Stop,
    /// The owner of twenty addresses is killed, or frozen
    Crash,
    /// The node of a third of ten thousand addresses is cut off, and comes back
    Lost,
    /// The API server is restarted, and forgets what it could have told
    Outage,
    /// A hundred Services a second come and go
    Churn,
}

impl Part {
    pub(crate) const ALL: [Self; 11] = [
        Self::Created,
        Self::Burst,
        Self::Start,
        Self::Idle,
        Self::Memory,
        Self::Held,
        Self::Stop,
        Self::Crash,
        Self::Lost,
        Self::Outage,
        Self::Churn,
    ];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Created => "one Service after the other",
            Self::Burst => "many Services at once",
            Self::Start => "Services that are there at the start",
            Self::Idle => "API traffic",
            Self::Memory => "memory",
            Self::Held => "a node that holds everything",
            Self::Stop => "planned stop",
            Self::Crash => "crash and freeze",
            Self::Lost => "a node that is lost",
            Self::Outage => "an API server that is restarted",
            Self::Churn => "Services that come and go",
        }
    }

    pub(crate) fn measure(self, plan: &Plan) -> Vec<Figure> {
        match self {
            Self::Created => created::measure(plan),
            Self::Burst => burst::measure(plan),
            Self::Start => start::measure(plan),
            Self::Idle => idle::measure(plan),
            Self::Memory => memory::measure(plan),
            Self::Held => held::measure(plan),
            Self::Stop => stop::measure(plan),
            Self::Crash => crash::measure(plan),
            Self::Lost => lost::measure(plan),
            Self::Outage => outage::measure(plan),
            Self::Churn => churn::measure(plan),
        }
    }
}

/// That share of them is no longer than this.
fn quantile(spans: &[Duration], share: f64) -> Duration {
    let mut sorted = spans.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted[place.clamp(1, sorted.len()) - 1]
}

fn median(spans: &[Duration]) -> Duration {
    quantile(spans, 0.5)
}

fn longest(spans: &[Duration]) -> Duration {
    spans.iter().copied().max().unwrap_or_default()
}

/// Decimal, as the requirements are; `/proc` counts in KiB.
fn megabytes(kibibytes: u64) -> f64 {
    kibibytes as f64 * 1024.0 / 1e6
}

/// How many Services are some.
const SOME: usize = 200;
const TWO_OWNERS: &str = "rounds with two owners";

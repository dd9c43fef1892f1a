//! What can be measured.

mod cut;
mod frozen;
mod handover;
mod routes;
mod start;
mod stop;

use std::time::Duration;

use clap::ValueEnum;

use crate::figure::Figure;

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// A hundred thousand routes
    Routes,
    /// From a process's start to its first route
    Start,
    /// A node of several ends: in order, killed, or with its carrier
    Stop,
    /// A node of several is cut off, and comes back
    Cut,
    /// The holder of the Lease is told to stop
    Handover,
    /// The holder of the Lease is frozen, and resumed
    Frozen,
}

impl Part {
    pub(crate) const ALL: [Self; 6] =
        [Self::Routes, Self::Start, Self::Stop, Self::Cut, Self::Handover, Self::Frozen];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Routes => "a hundred thousand routes",
            Self::Start => "process start",
            Self::Stop => "the end of a node of several",
            Self::Cut => "a link that is cut and mended",
            Self::Handover => "graceful hand-over with a Lease",
            Self::Frozen => "frozen holder",
        }
    }

    /// Everything is done so many times.
    pub(crate) fn measure(self, runs: usize) -> Vec<Figure> {
        match self {
            Self::Routes => routes::measure(runs),
            Self::Start => start::measure(runs),
            Self::Stop => stop::measure(runs),
            Self::Cut => cut::measure(runs),
            Self::Handover => handover::measure(runs),
            Self::Frozen => frozen::measure(),
        }
    }
}

/// The one in the middle, the later of two.
fn median<T: Copy + Ord>(values: &[T]) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

fn longest(values: &[Duration]) -> Duration {
    values.iter().copied().max().unwrap_or_default()
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

//! What one event did to the VIP, and whether the promises held.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// What was done to the LAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The daemons are started.
    Start,
    /// SIGTERM to the holder.
    HandOver,
    /// SIGKILL to the holder.
    Crash,
    /// SIGSTOP to the holder, later SIGCONT.
    Freeze,
    /// The holder's cable is pulled, later plugged in again.
    Cable,
    /// The API server is frozen, later thawed.
    Outage,
    /// Services are created.
    Services,
    /// SIGTERM to the node that answers for the most of them.
    ServicesHandOver,
    /// SIGKILL to it.
    ServicesCrash,
    /// All of it, from the first to the last second.
    Whole,
}

impl Event {
    /// How it is called in the table.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::HandOver => "hand-over (SIGTERM)",
            Self::Crash => "crash (kill -9)",
            Self::Freeze => "frozen process (SIGSTOP)",
            Self::Cable => "pulled cable",
            Self::Outage => "API server outage",
            Self::Services => "Services created",
            Self::ServicesHandOver => "Services, SIGTERM",
            Self::ServicesCrash => "Services, kill -9",
            Self::Whole => "all of it",
        }
    }
}

impl Event {
    /// Whether it needs Services.
    #[must_use]
    pub const fn is_about_services(self) -> bool {
        matches!(self, Self::Services | Self::ServicesHandOver | Self::ServicesCrash)
    }
}

/// One measured figure and what was promised about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: &'static str,
    /// How long it was.
    #[serde(rename = "ms", serialize_with = "millis")]
    pub value: Duration,
    /// How long it may be.
    #[serde(rename = "bound_ms", serialize_with = "millis")]
    pub bound: Duration,
}

/// What one event did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// What was done.
    pub event: Event,
    /// Who had the VIP.
    pub before: Option<String>,
    /// Who took it.
    pub after: Option<String>,
    /// The longest time for which the client's datagrams went unanswered.
    #[serde(rename = "gap_ms", serialize_with = "millis")]
    pub gap: Duration,
    /// How many of them were.
    pub lost: usize,
    /// The longest time by which the client itself was held up, for lack of a processor.
    #[serde(rename = "client_late_ms", serialize_with = "millis")]
    pub client_late: Duration,
    /// Rounds of questions to the whole LAN.
    pub rounds: usize,
    /// Of these, answered by two owners.
    pub double_rounds: usize,
    /// The longest stretch of such rounds.
    #[serde(rename = "longest_double_ms", serialize_with = "millis")]
    pub longest_double: Duration,
    /// Other figures with their bounds.
    pub figures: Vec<Figure>,
    /// Every promise that did not hold.
    pub broken: Vec<String>,
}

impl Outcome {
    /// One of which nothing is known yet.
    #[must_use]
    pub const fn new(event: Event) -> Self {
        Self {
            event,
            before: None,
            after: None,
            gap: Duration::ZERO,
            lost: 0,
            client_late: Duration::ZERO,
            rounds: 0,
            double_rounds: 0,
            longest_double: Duration::ZERO,
            figures: Vec::new(),
            broken: Vec::new(),
        }
    }

    /// Whether every promise held.
    #[must_use]
    pub const fn kept(&self) -> bool {
        self.broken.is_empty()
    }

    /// Adds a figure; one beyond its bound is a broken promise.
    #[must_use]
    pub fn bound(mut self, name: &'static str, value: Duration, bound: Duration) -> Self {
        if value > bound {
            let (value, bound) = (value.as_millis(), bound.as_millis());
            self.broken.push(format!("{name}: {value} ms, promised at most {bound} ms"));
        }
        self.figures.push(Figure { name, value, bound });
        self
    }

    /// Adds something that has to hold.
    #[must_use]
    pub fn must(mut self, holds: bool, otherwise: impl FnOnce() -> String) -> Self {
        if !holds {
            self.broken.push(otherwise());
        }
        self
    }
}

fn millis<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_beyond_its_bound_breaks_the_promise() {
        let ms = Duration::from_millis;
        let kept = Outcome::new(Event::Crash).bound("gap", ms(6000), ms(6000)).must(true, || "no".to_owned());
        assert!(kept.kept());
        let broken = kept.bound("exit", ms(1001), ms(1000)).must(false, || "a daemon restarted".to_owned());
        assert_eq!(broken.broken, ["exit: 1001 ms, promised at most 1000 ms", "a daemon restarted"]);
    }
}

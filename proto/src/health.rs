//! When a probed server counts as healthy: thresholds and hysteresis.

use std::time::{Duration, Instant};

/// How many probes in a row change the verdict.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Thresholds {
    /// Failures in a row after which a server is unhealthy. Zero counts as one.
    pub failure: u32,
    /// Successes in a row after which it is healthy again. Zero counts as one.
    pub success: u32,
}

/// The pause between an answer and the next probe.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Intervals {
    /// While the server is healthy.
    pub healthy: Duration,
    /// While it is not, or not yet known: short, so that recovery is seen fast.
    pub unhealthy: Duration,
}

impl Intervals {
    /// `interval` while healthy; otherwise a quarter of a second, or less where `interval` is less.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self { healthy: interval, unhealthy: interval.min(RECOVERY) }
    }
}

/// What happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// The deadline has come.
    Tick,
    /// The probe succeeded.
    Passed,
    /// The probe failed, for a reason an operator can read.
    Failed(String),
}

/// What the driver has to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Probe once, with a time-out of the driver's own, and answer [`Event::Passed`] or [`Event::Failed`].
    Probe,
}

/// What the probes say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Too few answers yet.
    Unknown,
    /// The server is fit to be reached through the VIP.
    Healthy,
    /// It is not.
    Unhealthy {
        /// Why the newest probe failed.
        reason: String,
        /// Since when this is the verdict.
        since: Instant,
    },
}

/// One probed server as a function of time.
#[derive(Clone, Debug)]
pub struct Health {
    thresholds: Thresholds,
    intervals: Intervals,
    state: State,
    /// Once the server has been healthy, a single success proves nothing any more.
    proven: bool,
    /// `None` while a probe is under way.
    next: Option<Instant>,
}

impl Health {
    /// Starts without a verdict; the first probe is due at once.
    #[must_use]
    pub fn new(thresholds: Thresholds, intervals: Intervals, now: Instant) -> Self {
        Self { thresholds, intervals, state: State::Unknown { failed: 0 }, proven: false, next: Some(now) }
    }

    /// Takes an event; at most one probe is under way at any time.
    #[must_use = "nothing is probed until the action is performed"]
    pub fn handle(&mut self, now: Instant, event: Event) -> Option<Action> {
        match event {
            Event::Tick => {
                self.next.take_if(|at| *at <= now)?;
                return Some(Action::Probe);
            }
            Event::Passed => self.state = self.passed(),
            Event::Failed(reason) => self.state = self.failed(now, reason),
        }
        self.next = Some(now + self.interval());
        None
    }

    /// When [`Event::Tick`] is wanted; `None` while a probe is under way.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// What the probes say by now.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match &self.state {
            State::Unknown { .. } => Verdict::Unknown,
            State::Healthy { .. } => Verdict::Healthy,
            State::Unhealthy { reason, since, .. } => {
                Verdict::Unhealthy { reason: reason.clone(), since: *since }
            }
        }
    }

    fn passed(&mut self) -> State {
        let state = match &self.state {
            State::Unhealthy { reason, since, passed } if passed + 1 < self.needed() => {
                State::Unhealthy { reason: reason.clone(), since: *since, passed: passed + 1 }
            }
            State::Unknown { .. } | State::Healthy { .. } | State::Unhealthy { .. } => {
                State::Healthy { failed: 0 }
            }
        };
        self.proven |= matches!(state, State::Healthy { .. });
        state
    }

    fn failed(&self, now: Instant, reason: String) -> State {
        match self.state {
            State::Unknown { failed } if failed + 1 < self.thresholds.failure => {
                State::Unknown { failed: failed + 1 }
            }
            State::Healthy { failed } if failed + 1 < self.thresholds.failure => {
                State::Healthy { failed: failed + 1 }
            }
            State::Unknown { .. } | State::Healthy { .. } => {
                State::Unhealthy { reason, since: now, passed: 0 }
            }
            State::Unhealthy { since, .. } => State::Unhealthy { reason, since, passed: 0 },
        }
    }

    /// At bootstrap the first success counts, however long it took to come.
    fn needed(&self) -> u32 {
        if self.proven { self.thresholds.success } else { 1 }
    }

    fn interval(&self) -> Duration {
        match self.state {
            State::Healthy { .. } => self.intervals.healthy,
            State::Unknown { .. } | State::Unhealthy { .. } => self.intervals.unhealthy,
        }
    }
}

#[derive(Clone, Debug)]
enum State {
    Unknown { failed: u32 },
    Healthy { failed: u32 },
    Unhealthy { reason: String, since: Instant, passed: u32 },
}

const RECOVERY: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLDS: Thresholds = Thresholds { failure: 3, success: 2 };

    fn start() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
        Instant::now()
    }

    /// Answers each probe at once, and notes when it was sent and what the verdict was afterwards.
    fn walk(health: &mut Health, t0: Instant, answers: &[Event]) -> Vec<(u128, &'static str)> {
        answers
            .iter()
            .map(|answer| {
                let at = health.deadline().unwrap();
                assert_eq!(health.handle(at, Event::Tick), Some(Action::Probe));
                assert_eq!(health.deadline(), None);
                assert_eq!(health.handle(at, answer.clone()), None);
                let verdict = match health.verdict() {
                    Verdict::Unknown => "unknown",
                    Verdict::Healthy => "healthy",
                    Verdict::Unhealthy { .. } => "unhealthy",
                };
                ((at - t0).as_millis(), verdict)
            })
            .collect()
    }

    fn health(t0: Instant) -> Health {
        Health::new(THRESHOLDS, Intervals::new(Duration::from_secs(1)), t0)
    }

    fn failed() -> Event {
        Event::Failed("connection refused".into())
    }

    #[test]
    fn at_start_the_first_success_suffices() {
        let t0 = start();
        assert_eq!(
            walk(&mut health(t0), t0, &[Event::Passed, Event::Passed]),
            [(0, "healthy"), (1000, "healthy")]
        );
    }

    #[test]
    fn at_start_the_first_success_suffices_even_after_a_long_wait() {
        let t0 = start();
        let answers = [failed(), failed(), failed(), failed(), Event::Passed];
        let seen =
            [(0, "unknown"), (250, "unknown"), (500, "unhealthy"), (750, "unhealthy"), (1000, "healthy")];
        assert_eq!(walk(&mut health(t0), t0, &answers), seen);
    }

    #[test]
    fn a_healthy_server_is_given_up_at_the_failure_threshold_and_probed_fast_from_then_on() {
        let t0 = start();
        let answers = [Event::Passed, failed(), failed(), failed(), failed()];
        let seen =
            [(0, "healthy"), (1000, "healthy"), (2000, "healthy"), (3000, "unhealthy"), (3250, "unhealthy")];
        assert_eq!(walk(&mut health(t0), t0, &answers), seen);
    }

    #[test]
    fn failures_that_are_not_in_a_row_do_not_add_up() {
        let t0 = start();
        let answers = [Event::Passed, failed(), failed(), Event::Passed, failed(), failed()];
        let last = walk(&mut health(t0), t0, &answers).pop();
        assert_eq!(last, Some((5000, "healthy")));
    }

    #[test]
    fn a_server_that_was_healthy_once_needs_successes_in_a_row_to_come_back() {
        let t0 = start();
        let answers = [
            Event::Passed,
            failed(),
            failed(),
            failed(),
            Event::Passed,
            failed(),
            Event::Passed,
            Event::Passed,
        ];
        let seen = [
            (0, "healthy"),
            (1000, "healthy"),
            (2000, "healthy"),
            (3000, "unhealthy"),
            (3250, "unhealthy"),
            (3500, "unhealthy"),
            (3750, "unhealthy"),
            (4000, "healthy"),
        ];
        assert_eq!(walk(&mut health(t0), t0, &answers), seen);
    }

    #[test]
    fn the_reason_is_the_newest_and_the_time_is_that_of_the_verdict() {
        let t0 = start();
        let mut health = health(t0);
        walk(&mut health, t0, &[failed(), failed(), failed(), Event::Failed("timed out".into())]);
        let since = t0 + Duration::from_millis(500);
        assert_eq!(health.verdict(), Verdict::Unhealthy { reason: "timed out".into(), since });
    }

    #[test]
    fn a_tick_before_the_deadline_or_during_a_probe_does_nothing() {
        let t0 = start();
        let mut health = health(t0 + RECOVERY);
        assert_eq!(health.handle(t0, Event::Tick), None);
        assert_eq!(health.handle(t0 + RECOVERY, Event::Tick), Some(Action::Probe));
        assert_eq!(health.handle(t0 + RECOVERY * 2, Event::Tick), None);
    }
}

//! How much may happen in a second: a leaky bucket, and a line before it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// So many units a second on average, and a burst after a rest (the generic cell rate algorithm).
#[derive(Debug)]
pub(super) struct Pace {
    /// Of one unit.
    interval: Duration,
    /// What may be ahead of the average.
    burst: Duration,
    /// When all that was spent is paid for.
    paid_at: Option<Instant>,
}

impl Pace {
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let interval = interval(per_second);
        Self { interval, burst: interval * burst, paid_at: None }
    }

    /// From now on another rate, with the burst in proportion.
    pub(super) fn ration(&mut self, per_second: u32, burst: u32) {
        self.interval = interval(per_second);
        self.burst = self.interval * burst;
    }

    pub(super) fn permits(&self, now: Instant) -> bool {
        self.paid_at.is_none_or(|paid_at| paid_at <= now + self.burst)
    }

    pub(super) fn spend(&mut self, now: Instant, units: u32) {
        let from = self.paid_at.map_or(now, |paid_at| paid_at.max(now));
        self.paid_at = Some(from + self.interval * units);
    }

    /// When it permits something again.
    fn ready_at(&self) -> Option<Instant> {
        self.paid_at.and_then(|paid_at| paid_at.checked_sub(self.burst))
    }
}

/// Instants that are a multiple of something apart, counted from the first that was asked for.
#[derive(Debug, Default)]
pub(super) struct Beat {
    first: Option<Instant>,
}

impl Beat {
    /// The first beat that is not before `at`.
    pub(super) fn after(&mut self, at: Instant, every: Duration) -> Instant {
        let first = *self.first.get_or_insert(at);
        let since = at.saturating_duration_since(first).as_nanos();
        let rest = since.checked_rem(every.as_nanos()).unwrap_or_default();
        let wait = if rest == 0 { 0 } else { every.as_nanos() - rest };
        at + Duration::from_nanos(u64::try_from(wait).unwrap_or_default())
    }
}

fn interval(per_second: u32) -> Duration {
    Duration::from_secs(1) / per_second.max(1)
}

/// Addresses that wait for their turn, in order.
#[derive(Debug)]
pub(super) struct Line {
    waiting: BTreeMap<u64, IpAddr>,
    tickets: u64,
    pace: Pace,
    /// Several turns are taken together, so that not each of them is a wake-up. What the pace permits as a burst has to
    /// be as much, or some of the average is lost.
    step: Duration,
    looked_at: Option<Instant>,
}

impl Line {
    pub(super) fn new(pace: Pace, step: Duration) -> Self {
        Self { waiting: BTreeMap::new(), tickets: 0, pace, step, looked_at: None }
    }

    pub(super) fn ration(&mut self, per_second: u32, burst: u32) {
        self.pace.ration(per_second, burst);
    }

    /// The place in the line, by which it is left.
    pub(super) fn join(&mut self, now: Instant, vip: IpAddr) -> u64 {
        self.tickets += 1;
        self.looked_at = Some(now);
        self.waiting.insert(self.tickets, vip);
        self.tickets
    }

    pub(super) fn leave(&mut self, ticket: u64) {
        self.waiting.remove(&ticket);
    }

    /// Whose turn it is now; `cost` says what it takes of the pace.
    pub(super) fn serve(&mut self, now: Instant, cost: impl FnOnce(IpAddr) -> u32) -> Option<IpAddr> {
        self.looked_at = Some(now);
        if !self.pace.permits(now) {
            return None;
        }
        let (_, vip) = self.waiting.pop_first()?;
        self.pace.spend(now, cost(vip));
        Some(vip)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// When to serve.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let looked_at = self.looked_at.filter(|_| !self.waiting.is_empty())?;
        Some(match self.pace.ready_at() {
            Some(ready_at) if ready_at > looked_at => ready_at + self.step,
            Some(_) | None => looked_at,
        })
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;

    fn vip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    /// Each turn and its millisecond.
    fn walk(line: &mut Line, start: Instant) -> Vec<(u128, IpAddr)> {
        let mut turns = vec![];
        while let Some(at) = line.deadline() {
            while let Some(vip) = line.serve(at, |_| 1) {
                turns.push(((at - start).as_millis(), vip));
            }
            assert!(line.deadline().is_none_or(|next| next > at), "stands still");
        }
        turns
    }

    #[test]
    fn a_burst_passes_at_once_and_the_others_in_order_at_the_pace() {
        let (start, mut line) = (Instant::now(), Line::new(Pace::new(100, 2), Duration::ZERO));
        for last in 1..=6 {
            line.join(start, vip(last));
        }
        let turns = [(0, 1), (0, 2), (0, 3), (10, 4), (20, 5), (30, 6)].map(|(at, last)| (at, vip(last)));
        assert_eq!(walk(&mut line, start), turns);
    }

    #[test]
    fn turns_are_taken_together_where_a_step_says_so() {
        let (start, mut line) = (Instant::now(), Line::new(Pace::new(100, 3), Duration::from_millis(25)));
        for last in 1..=10 {
            line.join(start, vip(last));
        }
        let at: Vec<u128> = walk(&mut line, start).into_iter().map(|(at, _)| at).collect();
        assert_eq!(at, [0, 0, 0, 0, 35, 35, 35, 65, 65, 65]);
    }

    #[test]
    fn beats_are_never_early_and_less_than_one_late() {
        let (start, mut beat) = (Instant::now(), Beat::default());
        let mut after = |millis| {
            let at = start + Duration::from_millis(millis);
            (beat.after(at, Duration::from_millis(100)) - start).as_millis()
        };
        let seen = [7, 8, 107, 108, 1000, 3].map(&mut after);
        assert_eq!(seen, [7, 107, 107, 207, 1007, 3]);
        assert_eq!(beat.after(start, Duration::ZERO), start);
    }

    #[test]
    fn one_who_left_is_not_served_and_costs_nothing() {
        let (start, mut line) = (Instant::now(), Line::new(Pace::new(1, 0), Duration::ZERO));
        let [first, _] = [1, 2].map(|last| line.join(start, vip(last)));
        line.leave(first);
        assert_eq!(walk(&mut line, start), [(0, vip(2))]);
    }
}

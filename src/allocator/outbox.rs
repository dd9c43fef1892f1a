//! Which Services are to be written to, and when: few at a time, each alone, those that fail later and later.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use vipcast_proto::ipam::ServiceKey;

/// How a write ended, as far as it decides about the next one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Landing {
    /// It was done, or there is nobody to write to any more.
    Done,
    /// It was not; news of the Service may be what helps, and time helps in any case.
    Stale,
    /// It was not, and may be later.
    Failed,
    /// It was not, and hardly will be soon.
    Refused,
}

/// The Services that wait for a write, or have one under way.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    slots: BTreeMap<ServiceKey, Slot>,
    /// Those that have not failed yet.
    fresh: VecDeque<ServiceKey>,
    /// Those that have: they may never take all places.
    again: VecDeque<ServiceKey>,
    timers: BTreeSet<(Instant, ServiceKey)>,
    flying: BTreeMap<ServiceKey, Lane>,
}

#[derive(Debug)]
struct Slot {
    phase: Phase,
    failures: u32,
}

#[derive(Debug)]
enum Phase {
    Queued,
    /// Whether something changed since it left.
    Flying {
        changed: bool,
    },
    Waiting {
        until: Instant,
        impatient: bool,
    },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lane {
    Fresh,
    Again,
}

impl Outbox {
    /// There may be something to write.
    pub(super) fn want(&mut self, key: &ServiceKey) {
        let Some(slot) = self.slots.get_mut(key) else {
            let phase = if self.flying.contains_key(key) {
                Phase::Flying { changed: true }
            } else {
                self.fresh.push_back(key.clone());
                Phase::Queued
            };
            self.slots.insert(key.clone(), Slot { phase, failures: 0 });
            return;
        };
        match &mut slot.phase {
            Phase::Queued | Phase::Waiting { impatient: false, .. } => {}
            Phase::Flying { changed } => *changed = true,
            Phase::Waiting { until, impatient: true } => {
                self.timers.remove(&(*until, key.clone()));
                slot.phase = Phase::Queued;
                self.again.push_back(key.clone());
            }
        }
    }

    /// The next to write to, from now on under way until it has [`landed`](Self::landed).
    pub(super) fn next(&mut self, now: Instant) -> Option<ServiceKey> {
        self.wake(now);
        if self.flying.len() >= IN_FLIGHT {
            return None;
        }
        let again = self.flying.values().filter(|lane| **lane == Lane::Again).count();
        let (key, lane) = match self.fresh.pop_front() {
            Some(key) => (key, Lane::Fresh),
            None if again < AGAIN_IN_FLIGHT => (self.again.pop_front()?, Lane::Again),
            None => return None,
        };
        self.flying.insert(key.clone(), lane);
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.phase = Phase::Flying { changed: false };
        }
        Some(key)
    }

    /// What was under way is so no more.
    pub(super) fn landed(&mut self, now: Instant, key: &ServiceKey, landing: Landing) {
        self.flying.remove(key);
        let Some(slot) = self.slots.get_mut(key) else { return };
        let changed = matches!(slot.phase, Phase::Flying { changed: true });
        if landing == Landing::Done {
            self.slots.remove(key);
            if changed {
                self.want(key);
            }
            return;
        }
        slot.failures = slot.failures.saturating_add(1);
        if changed && landing == Landing::Stale {
            slot.phase = Phase::Queued;
            self.again.push_back(key.clone());
            return;
        }
        let until = now + pause(landing, slot.failures);
        slot.phase = Phase::Waiting { until, impatient: landing == Landing::Stale };
        self.timers.insert((until, key.clone()));
    }

    /// What was about to be written is so at `until`, or when there is news: whoever postpones it is asked again.
    pub(super) fn postpone(&mut self, key: &ServiceKey, until: Instant) {
        self.flying.remove(key);
        if let Some(slot) = self.slots.get_mut(key) {
            slot.phase = Phase::Waiting { until, impatient: true };
            self.timers.insert((until, key.clone()));
        }
    }

    /// Whether there was news of a Service since what is under way left.
    pub(super) fn is_outdated(&self, key: &ServiceKey) -> bool {
        self.slots.get(key).is_some_and(|slot| matches!(slot.phase, Phase::Flying { changed: true }))
    }

    /// When something that failed is tried again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Nothing is to be written any more; what is under way goes on.
    pub(super) fn clear(&mut self) {
        let flying = std::mem::take(&mut self.flying);
        *self = Self { flying, ..Self::default() };
    }

    /// Whether nothing is under way.
    pub(super) fn is_grounded(&self) -> bool {
        self.flying.is_empty()
    }

    /// How many Services wait for a write, or have one under way.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    fn wake(&mut self, now: Instant) {
        while self.timers.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, key)) = self.timers.pop_first() else { return };
            if let Some(slot) = self.slots.get_mut(&key) {
                slot.phase = Phase::Queued;
                self.again.push_back(key);
            }
        }
    }
}

fn pause(landing: Landing, failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let (min, max) = match landing {
        Landing::Refused => (REFUSED_MIN, REFUSED_MAX),
        Landing::Done | Landing::Stale | Landing::Failed => (RETRY_MIN, RETRY_MAX),
    };
    min.saturating_mul(1 << doublings).min(max)
}

/// Writes under way at one time: an API server takes hundreds.
const IN_FLIGHT: usize = 16;
/// How many of them may be for Services that failed before.
const AGAIN_IN_FLIGHT: usize = 4;
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(10);
/// What is forbidden is not permitted by asking often.
const REFUSED_MIN: Duration = Duration::from_secs(5);
const REFUSED_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn key(name: impl ToString) -> ServiceKey {
        ServiceKey { namespace: "web".into(), name: name.to_string().into() }
    }

    /// The names of all that may leave now.
    fn leaving(outbox: &mut Outbox, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| outbox.next(now)).map(|key| key.name.to_string()).collect()
    }

    #[test]
    fn a_service_has_one_write_under_way_and_what_changed_meanwhile_is_one_more() {
        let (now, mut outbox) = (clock::now(), Outbox::default());
        outbox.want(&key("a"));
        outbox.want(&key("a"));
        assert_eq!(leaving(&mut outbox, now), ["a"]);
        outbox.want(&key("a"));
        outbox.want(&key("a"));
        assert_eq!(leaving(&mut outbox, now), [""; 0]);
        outbox.landed(now, &key("a"), Landing::Done);
        assert_eq!(leaving(&mut outbox, now), ["a"]);
        outbox.landed(now, &key("a"), Landing::Done);
        assert_eq!((leaving(&mut outbox, now), outbox.len()), (vec![], 0));
    }

    #[test]
    fn so_many_leave_at_a_time_and_those_that_failed_take_a_quarter_of_the_places() {
        let (now, mut outbox) = (clock::now(), Outbox::default());
        for number in 0..20 {
            outbox.want(&key(number));
        }
        let first = leaving(&mut outbox, now);
        assert_eq!(first.len(), IN_FLIGHT);
        for name in &first {
            outbox.landed(now, &key(name), Landing::Failed);
        }
        let later = now + RETRY_MIN;
        let second = leaving(&mut outbox, later);
        assert_eq!(second.len(), 4 + AGAIN_IN_FLIGHT);
        assert_eq!(second[..4], ["16", "17", "18", "19"]);
    }

    #[test]
    fn a_failure_is_followed_by_longer_and_longer_pauses() {
        let (start, mut outbox) = (clock::now(), Outbox::default());
        outbox.want(&key("a"));
        let mut now = start;
        let mut left = vec![];
        for _ in 0..9 {
            assert_eq!(leaving(&mut outbox, now), ["a"]);
            left.push((now - start).as_millis());
            outbox.landed(now, &key("a"), Landing::Failed);
            // News do not make it quicker.
            outbox.want(&key("a"));
            assert_eq!(leaving(&mut outbox, now), [""; 0]);
            now = outbox.deadline().unwrap();
        }
        assert_eq!(left, [0, 100, 300, 700, 1500, 3100, 6300, 12_700, 22_700]);
        outbox.landed(now, &key("a"), Landing::Refused);
        assert_eq!(pause(Landing::Refused, 1), REFUSED_MIN);
        assert_eq!(pause(Landing::Refused, 9), REFUSED_MAX);
    }

    #[test]
    fn what_was_stale_goes_with_the_next_news() {
        let (now, mut outbox) = (clock::now(), Outbox::default());
        outbox.want(&key("a"));
        assert_eq!(leaving(&mut outbox, now), ["a"]);
        outbox.landed(now, &key("a"), Landing::Stale);
        assert_eq!((leaving(&mut outbox, now), outbox.deadline()), (vec![], Some(now + RETRY_MIN)));
        outbox.want(&key("a"));
        assert_eq!((leaving(&mut outbox, now), outbox.deadline()), (vec!["a".to_owned()], None));
        // The news came before the answer.
        outbox.want(&key("a"));
        outbox.landed(now, &key("a"), Landing::Stale);
        assert_eq!(leaving(&mut outbox, now), ["a"]);
    }

    #[test]
    fn who_may_write_no_more_waits_for_what_is_under_way_and_nothing_leaves_twice() {
        let (now, mut outbox) = (clock::now(), Outbox::default());
        outbox.want(&key("a"));
        assert_eq!(leaving(&mut outbox, now), ["a"]);
        outbox.want(&key("b"));
        outbox.clear();
        assert_eq!((leaving(&mut outbox, now), outbox.is_grounded()), (vec![], false));
        outbox.want(&key("a"));
        assert_eq!(leaving(&mut outbox, now), [""; 0]);
        outbox.landed(now, &key("a"), Landing::Done);
        assert_eq!(leaving(&mut outbox, now), ["a"]);
        outbox.landed(now, &key("a"), Landing::Done);
        assert!(outbox.is_grounded());
    }
}

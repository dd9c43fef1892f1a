//! What is to be told, at most how often: repetitions are counted, not told one by one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Notice, Reason};

/// One write to the API.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Post {
    pub(super) notice: Notice,
    /// Distinguishes this Event from earlier ones: the wall clock when it was first seen.
    pub(super) first_seen: i64,
    /// The wall clock when it was last seen.
    pub(super) last_seen: i64,
    /// How often it has been seen. More than one makes it a series.
    pub(super) count: i32,
    /// Whether the API knows the Event already.
    pub(super) known: bool,
}

/// Bounded memory of what was seen and what of it has been told.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: BTreeMap<Key, Entry>,
    /// The newest wall clock that names an Event: no two may have the same.
    newest: i64,
}

/// Repetitions are of the same reason about the same subject, whatever the rest of the text says.
type Key = (Reason, String);

#[derive(Debug)]
struct Entry {
    notice: Notice,
    first_seen: i64,
    last_seen: i64,
    seen_at: Instant,
    count: i32,
    told: Option<Told>,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    at: Instant,
    count: i32,
}

impl Ledger {
    /// Takes a notice in. Where there are too many, the one that was quiet longest is forgotten.
    pub(super) fn observe(&mut self, now: Instant, wall: i64, notice: Notice) {
        let key = (notice.reason, notice.subject.clone());
        let old = self.entries.remove(&key).filter(|entry| entry.goes_on(now));
        if old.is_none() && self.entries.len() >= CAPACITY {
            let quietest =
                self.entries.iter().min_by_key(|(_, entry)| entry.seen_at).map(|(key, _)| key.clone());
            quietest.and_then(|key| self.entries.remove(&key));
        }
        self.newest = wall.max(self.newest.saturating_add(1));
        let wall = self.newest;
        let (first_seen, count, told) =
            old.map_or((wall, 0, None), |old| (old.first_seen, old.count, old.told));
        let count = count.saturating_add(1);
        self.entries.insert(key, Entry { notice, first_seen, last_seen: wall, seen_at: now, count, told });
    }

    /// What is to be written now, the oldest first.
    pub(super) fn due(&self, now: Instant) -> Option<Post> {
        let due = self.entries.values().filter(|entry| entry.due().is_some_and(|at| at <= now));
        due.min_by_key(|entry| entry.seen_at).map(|entry| Post {
            notice: entry.notice.clone(),
            first_seen: entry.first_seen,
            last_seen: entry.last_seen,
            count: entry.count,
            known: entry.told.is_some(),
        })
    }

    /// When [`Ledger::due`] will have something.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.entries.values().filter_map(Entry::due).min()
    }

    /// `post` has been written, or never will be.
    pub(super) fn told(&mut self, now: Instant, post: &Post) {
        let key = (post.notice.reason, post.notice.subject.clone());
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.told = Some(Told { at: now, count: post.count });
        }
    }

    /// The API has forgotten the Event, as it does after an hour: the next write makes a new one.
    pub(super) fn forgotten(&mut self, post: &Post) {
        let key = (post.notice.reason, post.notice.subject.clone());
        if let Some(entry) = self.entries.get_mut(&key) {
            (entry.first_seen, entry.told) = (entry.last_seen, None);
        }
    }
}

impl Entry {
    fn due(&self) -> Option<Instant> {
        match self.told {
            None => Some(self.seen_at),
            Some(told) if told.count < self.count => Some(told.at + REPEAT),
            Some(_) => None,
        }
    }

    fn goes_on(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.seen_at) < SERIES
    }
}

const CAPACITY: usize = 512;
/// Between two writes about the same thing.
pub(super) const REPEAT: Duration = Duration::from_secs(30);
/// Quiet for this long, and it is a new Event.
const SERIES: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::kube::events::About;

    fn conflict(subject: &str, note: &str) -> Notice {
        Notice {
            reason: Reason::VipConflict,
            about: About::ThisNode,
            subject: subject.into(),
            note: note.into(),
        }
    }

    fn post(note: &str, first_seen: i64, last_seen: i64, count: i32, known: bool) -> Option<Post> {
        Some(Post { notice: conflict("10.0.0.100", note), first_seen, last_seen, count, known })
    }

    #[test]
    fn a_flapping_neighbour_is_told_at_once_and_then_counted_every_half_minute() {
        let t0 = clock::now();
        let mut ledger = Ledger::default();
        let mut written = Vec::new();
        for second in 0..70 {
            let now = t0 + Duration::from_secs(second);
            ledger.observe(
                now,
                i64::try_from(second).unwrap(),
                conflict("10.0.0.100", &format!("from {second}")),
            );
            while let Some(post) = ledger.due(now) {
                ledger.told(now, &post);
                written.push((second, post.count, post.known));
            }
        }
        assert_eq!(written, [(0, 1, false), (30, 31, true), (60, 61, true)]);
        assert_eq!(ledger.deadline(), Some(t0 + Duration::from_secs(90)));
    }

    #[test]
    fn after_a_long_quiet_it_is_a_new_event() {
        let t0 = clock::now();
        let mut ledger = Ledger::default();
        ledger.observe(t0, 1, conflict("10.0.0.100", "a"));
        ledger.told(t0, &ledger.due(t0).unwrap());
        assert_eq!(ledger.due(t0 + SERIES), None);
        ledger.observe(t0 + SERIES, 2, conflict("10.0.0.100", "b"));
        assert_eq!(ledger.due(t0 + SERIES), post("b", 2, 2, 1, false));
    }

    #[test]
    fn what_the_api_has_forgotten_is_created_again_with_its_count() {
        let t0 = clock::now();
        let mut ledger = Ledger::default();
        ledger.observe(t0, 1, conflict("10.0.0.100", "a"));
        ledger.told(t0, &ledger.due(t0).unwrap());
        ledger.observe(t0, 5, conflict("10.0.0.100", "a"));
        let repeated = ledger.due(t0 + REPEAT);
        assert_eq!(repeated, post("a", 1, 5, 2, true));
        ledger.forgotten(&repeated.unwrap());
        assert_eq!(ledger.due(t0 + REPEAT), post("a", 5, 5, 2, false));
    }

    #[test]
    fn while_nothing_can_be_told_the_oldest_are_dropped() {
        let t0 = clock::now();
        let mut ledger = Ledger::default();
        for number in 0..CAPACITY + 10 {
            let now = t0 + Duration::from_millis(u64::try_from(number).unwrap());
            ledger.observe(now, 0, conflict(&format!("10.0.0.{number}"), ""));
        }
        assert_eq!(ledger.entries.len(), CAPACITY);
        assert_eq!(ledger.due(t0 + REPEAT).unwrap().notice.subject, "10.0.0.10");
    }
}

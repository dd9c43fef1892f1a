//! How soon a Service is written again whose status somebody else overwrites: at first at once, then later and later.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::service::ServiceKey;

/// The Services whose status was overwritten lately.
#[derive(Debug, Default)]
pub struct Contests {
    all: BTreeMap<ServiceKey, Contest>,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Contest {
    overwritten: u32,
    /// Not to be written again before.
    until: Instant,
}

/// What follows from one more overwriting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// It may have been a mistake, and is answered at once.
    Tolerated,
    /// It is none any more: to be told, once.
    Contested,
    /// It was told.
    Goes,
}

impl Contests {
    /// Somebody has overwritten what stood in the status of a Service.
    pub fn overwritten(&mut self, now: Instant, key: &ServiceKey) -> Turn {
        self.sweep(now);
        let before = self.all.get(key).filter(|it| now < it.until + QUIET).map_or(0, |it| it.overwritten);
        let overwritten = before.saturating_add(1);
        self.all.insert(key.clone(), Contest { overwritten, until: now + pause(overwritten) });
        match overwritten {
            ..CONTESTED => Turn::Tolerated,
            CONTESTED => Turn::Contested,
            _ => Turn::Goes,
        }
    }

    /// When the Service may be written again; `None`: now.
    #[must_use]
    pub fn until(&self, now: Instant, key: &ServiceKey) -> Option<Instant> {
        self.all.get(key).map(|it| it.until).filter(|until| now < *until)
    }

    /// The Service is gone, or is not ours any more.
    pub fn forget(&mut self, key: &ServiceKey) {
        self.all.remove(key);
    }

    /// What is over is kept for a while at most.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_none_or(|swept| swept + QUIET <= now) {
            self.swept = Some(now);
            self.all.retain(|_, it| now < it.until + QUIET);
        }
    }
}

fn pause(overwritten: u32) -> Duration {
    match overwritten.checked_sub(CONTESTED) {
        None => Duration::ZERO,
        Some(more) => FIRST.saturating_mul(1 << more.min(16)).min(LONGEST),
    }
}

/// So many times in a row is no mistake.
const CONTESTED: u32 = 3;
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// What stood for so long after it could be written was accepted.
const QUIET: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
    fn start() -> Instant {
        Instant::now()
    }

    fn key() -> ServiceKey {
        ServiceKey { namespace: "web".into(), name: "a".into() }
    }

    #[test]
    fn from_the_third_time_on_each_pause_is_twice_the_last_one_and_it_is_told_once() {
        let (mut now, mut contests) = (start(), Contests::default());
        let (mut turns, mut pauses) = (vec![], vec![]);
        for _ in 0..11 {
            turns.push(contests.overwritten(now, &key()));
            let until = contests.until(now, &key()).unwrap_or(now);
            pauses.push((until - now).as_secs());
            // It is written, and overwritten half a minute later.
            now = until + Duration::from_secs(30);
        }
        assert_eq!(pauses, [0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(turns[..4], [Turn::Tolerated, Turn::Tolerated, Turn::Contested, Turn::Goes]);
        assert_eq!(turns.iter().filter(|turn| **turn == Turn::Contested).count(), 1);
        assert_eq!(contests.until(now, &key()), None);
    }

    #[test]
    fn after_a_quiet_minute_it_begins_anew_and_nothing_is_kept() {
        let (start, mut contests) = (start(), Contests::default());
        for _ in 0..5 {
            contests.overwritten(start, &key());
        }
        let quiet = start + Duration::from_secs(4) + QUIET;
        let other = ServiceKey { name: "b".into(), ..key() };
        assert_eq!(contests.overwritten(quiet, &other), Turn::Tolerated);
        assert_eq!(contests.all.keys().collect::<Vec<_>>(), [&other]);
        assert_eq!(contests.overwritten(quiet, &key()), Turn::Tolerated);
        contests.forget(&key());
        assert_eq!(contests.all.len(), 1);
    }
}

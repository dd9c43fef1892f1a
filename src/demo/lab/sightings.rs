//! Who answered for the VIP in each round of questions, and whether two did.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::lan::Mac;

/// Everything an observer saw.
#[derive(Debug, Default)]
pub struct Log {
    rounds: Vec<Round>,
    announcements: Vec<Announcement>,
}

/// One question to everybody, and its answers.
#[derive(Debug)]
struct Round {
    at: Instant,
    owners: BTreeSet<Mac>,
}

/// Somebody said unasked that the VIP is his.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// Who.
    pub owner: Mac,
    /// When.
    pub at: Instant,
}

/// What was seen in some span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sightings {
    /// Questions asked.
    pub rounds: usize,
    /// Questions that anybody answered.
    pub answered: usize,
    /// Questions that two or more answered.
    pub double: usize,
    /// For how long, at most, every question in succession was answered by two or more.
    pub longest_double: Duration,
    /// For how long, at most, no question in succession was answered.
    pub longest_silence: Duration,
    /// Everybody who answered.
    pub owners: BTreeSet<Mac>,
    /// What was said unasked.
    pub announcements: Vec<Announcement>,
}

impl Log {
    /// A question leaves.
    pub fn asked(&mut self, at: Instant) {
        self.rounds.push(Round { at, owners: BTreeSet::new() });
    }

    /// `owner` answered the question number `round`.
    pub fn answered(&mut self, round: usize, owner: Mac) {
        if let Some(round) = self.rounds.get_mut(round) {
            round.owners.insert(owner);
        }
    }

    /// Somebody spoke unasked.
    pub fn announced(&mut self, announcement: Announcement) {
        self.announcements.push(announcement);
    }

    /// What was asked after `from` and up to `to`, and the answers, whenever they came.
    #[must_use]
    pub fn sightings(&self, from: Instant, to: Instant) -> Sightings {
        let begin = self.rounds.partition_point(|round| round.at <= from);
        let end = self.rounds.partition_point(|round| round.at <= to);
        let rounds = self.rounds.get(begin..end).unwrap_or_default();
        let said = self.announcements.iter().filter(|said| said.at > from && said.at <= to);
        Sightings {
            rounds: rounds.len(),
            answered: rounds.iter().filter(|round| !round.owners.is_empty()).count(),
            double: rounds.iter().filter(|round| round.is_double()).count(),
            longest_double: longest(rounds, Round::is_double),
            longest_silence: longest(rounds, |round| round.owners.is_empty()),
            owners: rounds.iter().flat_map(|round| round.owners.iter().copied()).collect(),
            announcements: said.copied().collect(),
        }
    }
}

impl Round {
    fn is_double(&self) -> bool {
        self.owners.len() > 1
    }
}

/// A single such round counts as one period: nobody was asked before the next.
fn longest(rounds: &[Round], such: impl Fn(&Round) -> bool) -> Duration {
    let stretches = rounds.split(|round| !such(round));
    let lasted = stretches.filter_map(|stretch| Some(stretch.last()?.at - stretch.first()?.at + PERIOD));
    lasted.max().unwrap_or_default()
}

/// Fifty rounds a second.
pub const PERIOD: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    const A: Mac = [2, 0, 0, 0, 0, 1];
    const B: Mac = [2, 0, 0, 0, 0, 2];

    #[test]
    fn rounds_with_two_owners_are_counted_and_their_longest_stretch_is_timed() {
        let t0 = crate::clock::now();
        let mut log = Log::default();
        for (n, owners) in [&[A][..], &[A, B], &[A, A], &[A, B], &[B, A], &[], &[B]].into_iter().enumerate() {
            log.asked(t0 + PERIOD * u32::try_from(n + 1).unwrap());
            owners.iter().for_each(|owner| log.answered(n, *owner));
        }
        let announcement = Announcement { owner: B, at: t0 + PERIOD };
        log.announced(announcement);
        assert_eq!(
            log.sightings(t0, t0 + PERIOD * 7),
            Sightings {
                rounds: 7,
                answered: 6,
                double: 3,
                longest_double: PERIOD * 2,
                longest_silence: PERIOD,
                owners: BTreeSet::from([A, B]),
                announcements: vec![announcement],
            }
        );
    }

    #[test]
    fn what_lies_outside_the_span_does_not_count() {
        let t0 = crate::clock::now();
        let mut log = Log::default();
        log.asked(t0);
        log.answered(0, A);
        log.answered(0, B);
        log.asked(t0 + PERIOD);
        assert_eq!(log.sightings(t0, t0 + PERIOD).double, 0);
        assert_eq!(log.sightings(t0, t0 + PERIOD).rounds, 1);
    }
}

//! One address that is answered for: where it stands.

use std::time::{Duration, Instant};

use super::schedule::Place;
use super::{MacAddr, Presence};
use crate::election::Grant;
use crate::l2::announcer::{BURST, DEFEND_INTERVAL, SHORTEST_WAIT, part, shifted};

#[derive(Debug)]
pub(super) struct Vip {
    pub(super) grant: Grant,
    pub(super) place: Place,
    pub(super) phase: Phase,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// For its first turn.
    Waiting(First),
    /// The segment is asked.
    Checking(Check),
    /// Somebody answered.
    Blocked { by: MacAddr, waited: Duration },
    /// It is ours.
    Held(Held),
}

/// What its first turn is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum First {
    /// To ask who has it.
    Ask,
    /// To take it: its predecessor left.
    Take,
}

#[derive(Debug)]
pub(super) struct Check {
    /// Probes that are out.
    pub(super) sent: u8,
    /// When the next one, or the verdict, is due.
    pub(super) next_at: Instant,
    /// Who had it the last time.
    pub(super) blocked_by: Option<MacAddr>,
    /// How long we waited for that.
    pub(super) waited: Duration,
}

#[derive(Debug)]
pub(super) struct Held {
    taken_at: Instant,
    /// When it was said anew.
    since: Instant,
    /// Announcements, of which the first are [`BURST`] apart.
    spoken: usize,
    defended_at: Option<Instant>,
}

impl Phase {
    /// Who keeps us from taking it.
    pub(super) fn rival(&self) -> Option<MacAddr> {
        match self {
            Self::Blocked { by, .. } => Some(*by),
            Self::Checking(check) => check.blocked_by,
            Self::Waiting(_) | Self::Held(_) => None,
        }
    }

    pub(super) fn presence(&self) -> Presence {
        match self {
            Self::Waiting(_) | Self::Checking(_) => Presence::Checking,
            Self::Blocked { by, .. } => Presence::Blocked(*by),
            Self::Held(_) => Presence::Held,
        }
    }
}

impl Check {
    pub(super) fn new(now: Instant, rival: Option<MacAddr>, waited: Duration) -> Self {
        Self { sent: 0, next_at: now, blocked_by: rival, waited }
    }

    /// How long to leave it to whoever has it: one who is about to let go is gone in an instant.
    pub(super) fn wait(&self, longest: Duration) -> Duration {
        (self.waited * 2).max(SHORTEST_WAIT).min(longest)
    }
}

impl Held {
    pub(super) fn new(now: Instant) -> Self {
        Self { taken_at: now, since: now, spoken: 0, defended_at: None }
    }

    /// Whether it was ours at that time.
    pub(super) fn is_held_at(&self, at: Instant) -> bool {
        self.taken_at <= at
    }

    /// Said anew; how often it may be defended does not start anew.
    pub(super) fn begin_again(&mut self, now: Instant) {
        *self = Self { taken_at: self.taken_at, defended_at: self.defended_at, ..Self::new(now) };
    }

    /// Whether the next announcement is one of the first three.
    pub(super) fn is_young(&self) -> bool {
        self.spoken <= BURST.len()
    }

    /// It was announced: when to do so again. Those that began together refresh at all times of a period.
    pub(super) fn spoke(&mut self, now: Instant, refresh: Duration, jitter: &mut u64) -> Instant {
        let next = BURST.get(self.spoken).map(|&after| self.since + after);
        self.spoken = self.spoken.saturating_add(1);
        match next {
            Some(next) => next.max(now),
            None if self.spoken == BURST.len() + 1 => now + refresh / 8 + part(refresh, jitter),
            None => now + shifted(refresh, jitter),
        }
    }

    /// Whether another defence is due (RFC 5227 §2.4).
    pub(super) fn may_defend(&self, now: Instant) -> bool {
        self.defended_at.is_none_or(|at| now >= at + DEFEND_INTERVAL)
    }

    pub(super) fn defended(&mut self, now: Instant) {
        self.defended_at = Some(now);
    }
}

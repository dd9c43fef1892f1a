//! One address on one interface: where it stands, and what is due.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::{Action, Config, Finding, Link, MacAddr, Presence, Vip};

#[derive(Debug)]
pub(super) enum Phase {
    /// `sent` probes are out; the next one, or the verdict, is due at `next_at`.
    Checking {
        sent: u8,
        next_at: Instant,
        blocked_by: Option<MacAddr>,
        /// How long we waited for the last station that answered.
        waited: Duration,
    },
    Blocked {
        by: MacAddr,
        again_at: Instant,
        waited: Duration,
    },
    Held(Held),
    Refused {
        again_at: Instant,
        /// The kernel had it before it refused.
        present: bool,
    },
    Stuck {
        again_at: Instant,
    },
}

#[derive(Debug)]
pub(super) struct Held {
    since: Instant,
    hold_at: Instant,
    speak_at: Instant,
    /// How many of [`BURST`] are behind us.
    spoken: usize,
    /// How often the kernel was asked to hold it: from the second time on, the first was not refused.
    holds: u32,
    defended_at: Option<Instant>,
}

impl Vip {
    pub(super) fn deadline(&self, link: Link) -> Option<Instant> {
        match &self.phase {
            Phase::Checking { .. } if link == Link::Down => Some(self.grant.until),
            Phase::Checking { next_at, .. } => Some(self.grant.until.min(*next_at)),
            Phase::Blocked { again_at, .. } | Phase::Refused { again_at, .. } => {
                Some(self.grant.until.min(*again_at))
            }
            Phase::Held(held) => Some(self.grant.until.min(held.hold_at).min(held.speak_at)),
            Phase::Stuck { again_at } => Some(*again_at),
        }
    }

    pub(super) fn act(
        &mut self,
        now: Instant,
        vip: IpAddr,
        link: Link,
        config: &Config,
        jitter: &mut u64,
    ) -> Vec<Action> {
        match &mut self.phase {
            Phase::Checking { .. } => self.check(now, vip, link, config, jitter),
            Phase::Blocked { by, again_at, waited } if now >= *again_at => {
                let (blocked_by, waited) = (Some(*by), *waited);
                self.phase = Phase::Checking { sent: 0, next_at: now, blocked_by, waited };
                self.check(now, vip, link, config, jitter)
            }
            Phase::Refused { again_at, present } if now >= *again_at => {
                let held = if *present { Held::inherited(now) } else { Held::new(now) };
                self.hold(now, vip, held, config, jitter)
            }
            Phase::Held(held) => held.act(now, vip, self.grant.fence, config, jitter),
            Phase::Blocked { .. } | Phase::Refused { .. } | Phase::Stuck { .. } => vec![],
        }
    }

    fn check(
        &mut self,
        now: Instant,
        vip: IpAddr,
        link: Link,
        config: &Config,
        jitter: &mut u64,
    ) -> Vec<Action> {
        let Some(wire_check) = config.wire_check else { return self.take(now, vip, config, jitter) };
        let Phase::Checking { sent, next_at, .. } = &mut self.phase else { return vec![] };
        // Without carrier nobody can answer, and silence proves nothing.
        if now < *next_at || link == Link::Down {
            return vec![];
        }
        if *sent >= wire_check.probes {
            let free = Action::Tell(Finding::Free(vip));
            return [free].into_iter().chain(self.take(now, vip, config, jitter)).collect();
        }
        *sent += 1;
        let last = *sent == wire_check.probes;
        *next_at = now + if last { wire_check.wait } else { wire_check.interval };
        vec![Action::Probe(vip)]
    }

    fn take(&mut self, now: Instant, vip: IpAddr, config: &Config, jitter: &mut u64) -> Vec<Action> {
        self.hold(now, vip, Held::new(now), config, jitter)
    }

    fn hold(
        &mut self,
        now: Instant,
        vip: IpAddr,
        mut held: Held,
        config: &Config,
        jitter: &mut u64,
    ) -> Vec<Action> {
        let actions = held.act(now, vip, self.grant.fence, config, jitter);
        self.phase = Phase::Held(held);
        actions
    }
}

impl Phase {
    /// Before the wire is asked.
    pub(super) fn unasked(now: Instant) -> Self {
        Self::Checking { sent: 0, next_at: now, blocked_by: None, waited: Duration::ZERO }
    }

    /// Somebody answered. One who gives up the Lease before the address, as kube-vip does, is gone in an instant, so the
    /// first waits are short.
    pub(super) fn blocked(now: Instant, by: MacAddr, waited: Duration, longest: Duration) -> Self {
        let waited = (waited * 2).max(SHORTEST_WAIT).min(longest);
        Self::Blocked { by, again_at: now + waited, waited }
    }

    pub(super) fn is_stuck(&self) -> bool {
        matches!(self, Self::Stuck { .. })
    }

    pub(super) fn is_stuck_until(&self, now: Instant) -> bool {
        matches!(self, Self::Stuck { again_at } if now >= *again_at)
    }

    /// Whether the kernel may have the address. A refused extension leaves what was there; where the very
    /// first hold was refused, nothing is there.
    pub(super) fn may_be_present(&self) -> bool {
        match self {
            Self::Checking { .. } | Self::Blocked { .. } => false,
            Self::Refused { present, .. } => *present,
            Self::Held(_) | Self::Stuck { .. } => true,
        }
    }

    pub(super) fn presence(&self) -> Presence {
        match self {
            Self::Checking { .. } => Presence::Checking,
            Self::Blocked { by, .. } => Presence::Blocked(*by),
            Self::Held(_) => Presence::Held,
            Self::Refused { .. } => Presence::Refused,
            Self::Stuck { .. } => Presence::Stuck,
        }
    }

    /// The grant of an address was extended.
    pub(super) fn prolong(&mut self, now: Instant, lifetime: Duration) {
        if let Self::Held(held) = self {
            held.prolong(now, lifetime);
        }
    }

    /// The carrier came back: what was asked is asked again, what is held is said again.
    pub(super) fn begin_again(&mut self, now: Instant) {
        match self {
            Self::Checking { sent, next_at, .. } => (*sent, *next_at) = (0, now),
            Self::Held(held) => held.begin_again(now),
            Self::Blocked { .. } | Self::Refused { .. } | Self::Stuck { .. } => {}
        }
    }
}

impl Held {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, hold_at: now, speak_at: now, spoken: 0, holds: 0, defended_at: None }
    }

    /// The kernel may have it already.
    pub(super) fn inherited(now: Instant) -> Self {
        Self { holds: 1, ..Self::new(now) }
    }

    /// The kernel did not let go of it when it was told to.
    pub(super) fn is_there(&mut self) {
        self.holds = self.holds.max(2);
    }

    /// Whether the kernel may have it although it refuses to hold it now.
    pub(super) fn may_be_there(&self) -> bool {
        self.holds > 1
    }

    /// The grant was extended, and the process is awake anyhow: an extension of the lifetime that would be due soon
    /// is made now. With a renewal every second no wake-up is spent on lifetimes alone.
    pub(super) fn prolong(&mut self, now: Instant, lifetime: Duration) {
        if self.hold_at.saturating_duration_since(now) <= lifetime * 3 / 20 {
            self.hold_at = self.hold_at.min(now);
        }
    }

    /// Held and said anew; how often it may be defended does not start anew.
    pub(super) fn begin_again(&mut self, now: Instant) {
        *self = Self { defended_at: self.defended_at, holds: self.holds, ..Self::new(now) };
    }

    /// "If the host … has not seen any other conflicting ARP packets within the last
    /// DEFEND_INTERVAL seconds, … broadcast one single ARP Announcement" (RFC 5227 §2.4).
    pub(super) fn defend(&mut self, now: Instant) -> bool {
        let rested = self.defended_at.is_none_or(|at| now >= at + DEFEND_INTERVAL);
        if rested {
            self.defended_at = Some(now);
        }
        rested
    }

    fn act(
        &mut self,
        now: Instant,
        vip: IpAddr,
        fence: Instant,
        config: &Config,
        jitter: &mut u64,
    ) -> Vec<Action> {
        let mut actions = vec![];
        if now >= self.hold_at {
            // As much again is left, for one wake-up that comes late.
            self.hold_at = now + config.lifetime * 11 / 20;
            self.holds = self.holds.saturating_add(1);
            actions.push(Action::Hold { vip, fence });
        }
        if now >= self.speak_at {
            self.speak_at = self.next_word(now, config.refresh, jitter);
            actions.push(Action::Announce(vip));
        }
        actions
    }

    fn next_word(&mut self, now: Instant, refresh: Duration, jitter: &mut u64) -> Instant {
        let next = BURST.get(self.spoken).map(|&after| self.since + after);
        self.spoken = self.spoken.saturating_add(1);
        next.filter(|&at| at > now).unwrap_or_else(|| now + shifted(refresh, jitter))
    }
}

/// `span`, longer or shorter by up to an eighth.
pub(in crate::l2) fn shifted(span: Duration, jitter: &mut u64) -> Duration {
    let eighth = span / 8;
    span - eighth + part(eighth * 2, jitter)
}

/// From nothing to all of `span`. Xorshift: a function of the seed and nothing else.
pub(in crate::l2) fn part(span: Duration, jitter: &mut u64) -> Duration {
    *jitter ^= *jitter << 13;
    *jitter ^= *jitter >> 7;
    *jitter ^= *jitter << 17;
    let steps = u32::try_from(*jitter % 1024).unwrap_or(0);
    span * steps / 1024
}

/// Repetitions after the first announcement. The second is later than Linux's ARP `locktime` of one
/// second, within which a neighbour ignores news; the third is for those who lost both.
pub(in crate::l2) const BURST: [Duration; 2] = [Duration::from_millis(1100), Duration::from_secs(5)];

/// Between two attempts to take an address that somebody has, at first.
pub(in crate::l2) const SHORTEST_WAIT: Duration = Duration::from_millis(50);

/// `DEFEND_INTERVAL` (RFC 5227 §1.1).
pub(in crate::l2) const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

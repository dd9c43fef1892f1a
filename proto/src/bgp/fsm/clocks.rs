//! The timers of a session whose OPENs were exchanged, as instants, so that none can fire late or twice.

use std::time::{Duration, Instant};

use super::jitter::Jitter;
use super::{Config, SendHold};
use crate::bgp::types::HoldTime;

#[derive(Debug)]
pub(super) struct Clocks {
    /// `None`: a Hold Time of zero, with which no timer runs.
    hold: Option<Duration>,
    hold_until: Option<Instant>,
    keepalive: Option<Duration>,
    keepalive_at: Option<Instant>,
    send_hold: Option<Duration>,
    send_hold_until: Option<Instant>,
}

/// What is due.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Due {
    Nothing,
    Keepalive,
    HoldTimerExpired(Duration),
    SendHoldTimerExpired(Duration),
}

impl Clocks {
    /// A KEEPALIVE leaves now, in answer to the OPEN.
    pub(super) fn start(now: Instant, hold: HoldTime, config: &Config, jitter: &mut Jitter) -> Self {
        let hold = hold.duration();
        // What the peer has talked us down to leaves room for two lost messages as well.
        let keepalive = |hold: Duration| config.keepalive.map_or(hold / 3, |span| span.min(hold / 3));
        let mut clocks = Self {
            hold,
            hold_until: hold.map(|span| now + span),
            keepalive: hold.map(keepalive),
            keepalive_at: None,
            send_hold: hold.and_then(|hold| config.send_hold.over(hold)),
            send_hold_until: None,
        };
        clocks.spoke(now, jitter);
        clocks
    }

    /// KEEPALIVE or UPDATE came.
    pub(super) fn heard(&mut self, now: Instant) {
        self.hold_until = self.hold.map(|span| now + span);
    }

    /// KEEPALIVE or UPDATE left.
    pub(super) fn spoke(&mut self, now: Instant, jitter: &mut Jitter) {
        let interval = self.keepalive.map(|span| jitter.shorten(span).max(SHORTEST_KEEPALIVE));
        self.keepalive_at = interval.map(|span| now + span);
    }

    /// The peer reads.
    pub(super) fn was_read(&mut self, now: Instant) {
        self.send_hold_until = self.send_hold.map(|span| now + span);
    }

    /// Silence counts before anything else: a session that is over needs no KEEPALIVE.
    pub(super) fn due(&self, now: Instant) -> Due {
        let passed = |at: Option<Instant>| at.is_some_and(|at| now >= at);
        match (self.hold, self.send_hold) {
            (Some(span), _) if passed(self.hold_until) => Due::HoldTimerExpired(span),
            (_, Some(span)) if passed(self.send_hold_until) => Due::SendHoldTimerExpired(span),
            _ if passed(self.keepalive_at) => Due::Keepalive,
            _ => Due::Nothing,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.hold_until, self.keepalive_at, self.send_hold_until].into_iter().flatten().min()
    }

    /// How long a session must have stood to count as one that stands.
    pub(super) fn stable_after(&self) -> Duration {
        self.hold.unwrap_or(SUGGESTED_HOLD_TIME)
    }
}

impl SendHold {
    /// "SendHoldTime … MUST be greater than the value of HoldTime" (RFC 9687 §3).
    fn over(self, hold: Duration) -> Option<Duration> {
        match self {
            Self::Default => Some(SUGGESTED_SEND_HOLD_TIME.max(hold * 2)),
            Self::Fixed(span) if span > hold => Some(span),
            Self::Fixed(_) => Some(hold * 2),
            Self::Off => None,
        }
    }
}

/// "KEEPALIVE messages MUST NOT be sent more frequently than one per second" (RFC 4271 §4.4).
const SHORTEST_KEEPALIVE: Duration = Duration::from_secs(1);

/// RFC 4271 §10.
const SUGGESTED_HOLD_TIME: Duration = Duration::from_secs(90);

/// Eight minutes (RFC 9687 §4).
const SUGGESTED_SEND_HOLD_TIME: Duration = Duration::from_secs(480);

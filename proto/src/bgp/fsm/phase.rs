//! A state with exactly the facts that hold in it.

use std::time::Instant;

use super::State;
use super::clocks::Clocks;
use crate::bgp::negotiation::Negotiated;

#[derive(Debug)]
pub(super) enum Phase {
    Idle,
    Connect {
        began: Instant,
    },
    /// What RFC 4271 calls Idle with a running IdleHoldTimer is here too: for one who does not listen the two
    /// are the same, and operators know Active as "tries and does not get through".
    Active {
        /// `None`: when BFD is up.
        retry_at: Option<Instant>,
    },
    OpenSent {
        hold_until: Instant,
    },
    OpenConfirm(Box<Live>),
    Established {
        live: Box<Live>,
        since: Instant,
    },
}

/// Both OPENs are good.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) negotiated: Negotiated,
    pub(super) clocks: Clocks,
}

impl Phase {
    pub(super) fn state(&self) -> State {
        match self {
            Self::Idle => State::Idle,
            Self::Connect { .. } => State::Connect,
            Self::Active { .. } => State::Active,
            Self::OpenSent { .. } => State::OpenSent,
            Self::OpenConfirm(_) => State::OpenConfirm,
            Self::Established { .. } => State::Established,
        }
    }

    /// Whether there is a connection, so that the peer can be told something.
    pub(super) fn is_connected(&self) -> bool {
        match self {
            Self::Idle | Self::Connect { .. } | Self::Active { .. } => false,
            Self::OpenSent { .. } | Self::OpenConfirm(_) | Self::Established { .. } => true,
        }
    }

    pub(super) fn negotiated(&self) -> Option<&Negotiated> {
        match self {
            Self::OpenConfirm(live) | Self::Established { live, .. } => Some(&live.negotiated),
            Self::Idle | Self::Connect { .. } | Self::Active { .. } | Self::OpenSent { .. } => None,
        }
    }

    pub(super) fn established_since(&self) -> Option<Instant> {
        if let Self::Established { since, .. } = self { Some(*since) } else { None }
    }

    /// Whether it was a session that stood, for longer than its Hold Time.
    pub(super) fn stood(&self, now: Instant) -> bool {
        match self {
            Self::Established { live, since } => now > *since + live.clocks.stable_after(),
            Self::Idle
            | Self::Connect { .. }
            | Self::Active { .. }
            | Self::OpenSent { .. }
            | Self::OpenConfirm(_) => false,
        }
    }
}

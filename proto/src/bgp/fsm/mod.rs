//! The session with one peer as a function of time and events (RFC 4271 §8), for a speaker that dials and does
//! not listen: there is one connection at most, and nothing to collide with.

mod backoff;
mod clocks;
mod event;
mod jitter;
mod phase;
mod reason;
mod step;

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use self::backoff::Backoff;
pub use self::event::{Action, Cease, Event, Outgoing, RoutesAfter, Stop};
use self::jitter::Jitter;
use self::phase::Phase;
pub use self::reason::DownReason;
use self::step::Sent;
pub use super::negotiation::{Negotiated, Peering};
use super::types::{Asn, Family, HoldTime};

/// What is configured for one peer. Another configuration is another [`Session`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// My Autonomous System.
    pub local_as: Asn,
    /// The peer's; any other is refused.
    pub peer_as: Asn,
    /// BGP Identifier (RFC 6286): not zero.
    pub identifier: Ipv4Addr,
    /// Our offer.
    pub hold_time: HoldTime,
    /// Between two KEEPALIVEs, never more than a third of the negotiated Hold Time; `None`: that third.
    pub keepalive: Option<Duration>,
    /// Offered; at least one has to be common.
    pub families: BTreeSet<Family>,
    /// Offer IPv4 routes with IPv6 next hops (RFC 8950).
    pub extended_next_hop: bool,
    /// Ask the peer to keep our routes while we restart; `None`: it only learns that we send End-of-RIB.
    pub graceful_restart: Option<Restart>,
    /// When to try again.
    pub connect_retry: ConnectRetry,
    /// How long a peer may read nothing.
    pub send_hold: SendHold,
    /// What BFD has to say.
    pub bfd: Bfd,
}

/// Graceful restart as the restarting speaker (RFC 4724, RFC 8538).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Restart {
    /// Within how many seconds the session will be there again; at most 4095.
    pub time: u16,
    /// The data path outlives the process: F of every family.
    pub forwarding_preserved: bool,
}

/// The first attempt is made at once, the next after `first`, then twice as long each time. The count starts anew
/// after a session that stood for longer than its Hold Time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConnectRetry {
    /// The first wait.
    pub first: Duration,
    /// The longest wait.
    pub cap: Duration,
    /// How long one attempt may take.
    pub attempt: Duration,
}

/// SendHoldTime (RFC 9687).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SendHold {
    /// The greater of eight minutes and twice the negotiated Hold Time.
    Default,
    /// So long; twice the negotiated Hold Time where that is not longer than the Hold Time itself.
    Fixed(Duration),
    /// A peer that reads nothing is left to TCP.
    Off,
}

/// How the session depends on BFD (RFC 5882).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bfd {
    /// Not at all.
    Ignored,
    /// A BFD session that was up and goes down takes the BGP session with it; one that never came up does not count.
    Followed,
    /// … and no session is begun before BFD is up or switched off.
    Strict,
}

/// The states of RFC 4271 §8.2.2 as operators know them.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum State {
    /// Not started, or stopped.
    Idle,
    /// A connection is being made.
    Connect,
    /// Waiting for the next attempt.
    Active,
    /// Our OPEN is out.
    OpenSent,
    /// Both OPENs are good.
    OpenConfirm,
    /// Routes are exchanged.
    Established,
}

/// One peer.
#[derive(Debug)]
pub struct Session {
    config: Config,
    phase: Phase,
    jitter: Jitter,
    backoff: Backoff,
    /// The newest word of BFD; it has to come up before it can be lost.
    bfd: BfdState,
    /// No session has been established yet: the peer may have routes of the process before this one.
    restarting: bool,
    connect_retry_counter: u32,
    last_error: Option<(Instant, DownReason)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum BfdState {
    AdminDown,
    Down,
    Up,
}

impl Session {
    /// Idle until [`Event::Start`]. `seed` makes the jitter differ between nodes and peers.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            config,
            phase: Phase::Idle,
            jitter: Jitter::new(seed),
            backoff: Backoff::default(),
            bfd: BfdState::Down,
            restarting: true,
            connect_retry_counter: 0,
            last_error: None,
        }
    }

    /// Takes what happened; returns what to do about it. Every action is performed before the next call.
    #[must_use = "the peer sees nothing until the actions are performed"]
    pub fn handle(&mut self, now: Instant, event: Event) -> Vec<Action> {
        match event {
            Event::Start => self.start(now),
            Event::Stop(stop) => self.stop(now, &stop),
            Event::Reachable => self.hurry(now),
            Event::TcpConnected => self.connected(now),
            Event::TcpFailed(words) => self.disconnected(now, DownReason::TcpFailed(words)),
            Event::TcpClosed(words) => self.disconnected(now, DownReason::TcpClosed(words)),
            Event::Received(message) => self.received(now, message),
            Event::Refused(refused) => self.refused(now, refused),
            Event::Sent => self.sent(now, Sent::Something),
            Event::UpdateSent => self.sent(now, Sent::Update),
            Event::Tick => self.tick(now),
            Event::BfdUp => self.bfd(now, BfdState::Up),
            Event::BfdDown => self.bfd(now, BfdState::Down),
            Event::BfdAdminDown => self.bfd(now, BfdState::AdminDown),
        }
    }

    /// When to call again with [`Event::Tick`].
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Idle => None,
            Phase::Connect { began } => Some(*began + self.config.connect_retry.attempt),
            Phase::Active { retry_at } => *retry_at,
            Phase::OpenSent { hold_until } => Some(*hold_until),
            Phase::OpenConfirm(live) => live.clocks.deadline(),
            Phase::Established { live, .. } => live.clocks.deadline(),
        }
    }

    /// From now on the peer has to say this as its Autonomous System; for peers of which that is not known before.
    pub fn expect(&mut self, peer_as: Asn) {
        self.config.peer_as = peer_as;
    }

    /// Where the session stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.phase.state()
    }

    /// Whether no attempt is made before BFD is up, or switched off.
    #[must_use]
    pub fn waits_for_bfd(&self) -> bool {
        matches!(self.phase, Phase::Active { retry_at: None })
    }

    /// What the OPENs agreed on; in OpenConfirm and Established.
    #[must_use]
    pub fn negotiated(&self) -> Option<&Negotiated> {
        self.phase.negotiated()
    }

    /// Since when the session is in Established.
    #[must_use]
    pub fn established_since(&self) -> Option<Instant> {
        self.phase.established_since()
    }

    /// When and why the last session, or attempt at one, ended.
    #[must_use]
    pub fn last_error(&self) -> Option<(Instant, &DownReason)> {
        self.last_error.as_ref().map(|(at, reason)| (*at, reason))
    }

    /// ConnectRetryCounter (RFC 4271 §8): failures since the start, or since the last session that stood.
    #[must_use]
    pub fn connect_retry_counter(&self) -> u32 {
        self.connect_retry_counter
    }
}

impl Default for ConnectRetry {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), cap: Duration::from_secs(60), attempt: Duration::from_secs(5) }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "Idle",
            Self::Connect => "Connect",
            Self::Active => "Active",
            Self::OpenSent => "OpenSent",
            Self::OpenConfirm => "OpenConfirm",
            Self::Established => "Established",
        })
    }
}

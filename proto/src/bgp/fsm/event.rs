//! What the session is told, and what it asks for.

use std::fmt;

use super::DownReason;
use crate::bgp::negotiation::Negotiated;
use crate::bgp::types::{Family, Message, Notification, Open};
use crate::bgp::wire::Refused;
use crate::bgp::wire::iana::cease;

/// What the world tells the session. Octets that were received come before the [`Event::Tick`] of the same
/// moment: a peer whose KEEPALIVE waits in a buffer is not silent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// The operator wants the session: it is tried at once, and for ever.
    Start,
    /// The operator does not want it any more, or not as it is.
    Stop(Stop),
    /// Something says that an attempt may succeed now where the last one did not: a carrier, an address, a
    /// router advertisement, or the operator. The wait for the next attempt ends.
    Reachable,
    /// The connection that [`Action::Connect`] asked for is there.
    TcpConnected,
    /// It could not be made; why, in words.
    TcpFailed(String),
    /// The connection ended without our doing; how, in words.
    TcpClosed(String),
    /// The peer sent a message that can be read.
    Received(Message),
    /// The peer sent what cannot.
    Refused(Refused),
    /// TCP took some of what we wrote (RFC 9687: the peer still reads).
    Sent,
    /// TCP took the whole of one or more UPDATEs, which say as much as a KEEPALIVE.
    UpdateSent,
    /// The instant from [`super::Session::deadline`] has come. Early or repeated ticks are harmless.
    Tick,
    /// The BFD session with the peer is Up.
    BfdUp,
    /// It is Down.
    BfdDown,
    /// One of the two operators switched it off, or it does not exist any more: that says nothing of the path
    /// (RFC 5882 §4.2).
    BfdAdminDown,
}

/// How a session ends that the operator does not want.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stop {
    /// Why.
    pub cease: Cease,
    /// Shutdown communication for the peer's operator (RFC 9003); empty: none. Cut to 128 octets.
    pub communication: String,
    /// What is to become of our routes.
    pub routes: RoutesAfter,
}

/// Cease subcodes (RFC 4486, RFC 9384).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cease {
    /// Subcode 2.
    AdministrativeShutdown,
    /// Subcode 3.
    PeerDeConfigured,
    /// Subcode 4.
    AdministrativeReset,
    /// Subcode 6.
    OtherConfigurationChange,
    /// Subcode 10; sent by the session itself.
    BfdDown,
}

/// What a peer with which graceful restart was negotiated does with our routes after the session. A peer
/// without graceful restart forgets them in any case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RoutesAfter {
    /// They go at once: Hard Reset where it is needed for that (RFC 8538 §3).
    Go,
    /// They stay until we are back, or until the restart time is over (RFC 4724).
    Stay,
}

/// What the session asks of the world, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Open a TCP connection to the peer; answered by [`Event::TcpConnected`] or [`Event::TcpFailed`].
    Connect,
    /// Send this, after what was to be sent before.
    Send(Outgoing),
    /// Give up the connection, or the attempt at one. What was to be sent before should still leave, but a peer
    /// that does not read must not delay this by more than a moment. No event of it may follow.
    Close,
    /// The peer accepts UPDATEs from now on, and knows nothing of us: everything, then End-of-RIB for each family.
    Up(Box<Negotiated>),
    /// The session of the last [`Action::Up`] is over.
    Down(DownReason),
    /// The peer wants the routes of this family again (RFC 2918). Requests that come before the answer has begun
    /// may be answered as one; End-of-RIB of the family comes first where it is still due (RFC 7313 §4.1).
    Resend {
        /// Whose routes.
        family: Family,
        /// Put between BoRR and EoRR (RFC 7313).
        enhanced: bool,
    },
}

/// What a session says by itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outgoing {
    /// Type 1.
    Open(Open),
    /// Type 4.
    Keepalive,
    /// Type 3.
    Notification(Notification),
}

impl Cease {
    /// As IANA assigns it.
    #[must_use]
    pub const fn subcode(self) -> u8 {
        match self {
            Self::AdministrativeShutdown => cease::ADMINISTRATIVE_SHUTDOWN,
            Self::PeerDeConfigured => cease::PEER_DE_CONFIGURED,
            Self::AdministrativeReset => cease::ADMINISTRATIVE_RESET,
            Self::OtherConfigurationChange => cease::OTHER_CONFIGURATION_CHANGE,
            Self::BfdDown => cease::BFD_DOWN,
        }
    }
}

impl fmt::Display for Cease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AdministrativeShutdown => "administrative shutdown",
            Self::PeerDeConfigured => "peer de-configured",
            Self::AdministrativeReset => "administrative reset",
            Self::OtherConfigurationChange => "other configuration change",
            Self::BfdDown => "BFD down",
        })
    }
}

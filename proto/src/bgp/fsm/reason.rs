//! Why a session, or an attempt at one, ended: in words for operators, and in a NOTIFICATION for the peer.

use std::time::Duration;

use bytes::Bytes;

use super::{Cease, RoutesAfter, State, Stop};
use crate::bgp::negotiation::{Negotiated, OpenError};
use crate::bgp::types::{Message, Notification};
use crate::bgp::wire::iana::{cease, error, fsm, message_type};
use crate::bgp::wire::{Refused, notification};

/// Why a session, or an attempt at one, ended. Its `Display` is the "last error" that operators see.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DownReason {
    /// [`super::Event::Stop`].
    #[error("stopped: {0}")]
    Stopped(Cease),
    /// No connection within the time for it.
    #[error("no answer to the TCP connection within {0:?}")]
    ConnectTimedOut(Duration),
    /// No connection, in the driver's words.
    #[error("{0}")]
    TcpFailed(String),
    /// The connection ended, in the driver's words.
    #[error("{0}")]
    TcpClosed(String),
    /// The peer said nothing for so long.
    #[error("hold timer expired: nothing heard from the peer for {0:?}")]
    HoldTimerExpired(Duration),
    /// The peer read nothing for so long (RFC 9687).
    #[error("send hold timer expired: the peer read nothing for {0:?}")]
    SendHoldTimerExpired(Duration),
    /// BFD lost the peer.
    #[error("BFD lost the peer")]
    BfdDown,
    /// The peer's NOTIFICATION.
    #[error("peer sent {0}")]
    Received(Notification),
    /// The peer's OPEN is not acceptable.
    #[error(transparent)]
    OpenRefused(OpenError),
    /// What the peer sent cannot be read.
    #[error(transparent)]
    Refused(Refused),
    /// A message that has no place in this state (RFC 6608).
    #[error("peer sent {} in state {state}", name(*.message))]
    Unexpected {
        /// Message type as IANA assigns it.
        message: u8,
        /// OpenSent, OpenConfirm or Established.
        state: State,
    },
}

impl DownReason {
    /// What the peer is told; `None`: it said the last word, or cannot be told. A stop is [`Stop::notification`].
    pub(super) fn notification(&self) -> Option<Notification> {
        let plain = |code, subcode| Some(Notification { code, subcode, data: Bytes::new() });
        match self {
            Self::Stopped(_)
            | Self::ConnectTimedOut(_)
            | Self::TcpFailed(_)
            | Self::TcpClosed(_)
            | Self::Received(_) => None,
            Self::HoldTimerExpired(_) => plain(error::HOLD_TIMER_EXPIRED, 0),
            Self::SendHoldTimerExpired(_) => plain(error::SEND_HOLD_TIMER_EXPIRED, 0),
            Self::BfdDown => plain(error::CEASE, Cease::BfdDown.subcode()),
            Self::OpenRefused(error) => Some(error.notification()),
            Self::Refused(refused) => Some(refused.notification()),
            Self::Unexpected { message, state } => Some(unexpected(*message, *state)),
        }
    }

    /// "checks … does not increment the ConnectRetryCounter" only where the versions differ (RFC 4271 §8.2.2,
    /// event 24).
    pub(super) fn counts(&self) -> bool {
        !matches!(self, Self::Received(Notification { code: 2, subcode: 1, .. }))
    }

    /// Whether BFD is why, here or at the peer (RFC 9384).
    pub(super) fn is_bfd(&self) -> bool {
        matches!(
            self,
            Self::BfdDown | Self::Received(Notification { code: error::CEASE, subcode: cease::BFD_DOWN, .. })
        )
    }
}

impl Stop {
    /// What the peer is told, so that it does with our routes what is wanted; `None`: nothing.
    pub(super) fn notification(&self, negotiated: Option<&Negotiated>) -> Option<Notification> {
        let (survives, restarts) =
            negotiated.map_or((false, false), |it| (it.notification, !it.preserved.is_empty()));
        match self.routes {
            RoutesAfter::Go if survives => Some(notification::hard_reset(&self.cease())),
            // Without the N bit, any NOTIFICATION would end the graceful restart (RFC 4724 §4).
            RoutesAfter::Stay if restarts && !survives => None,
            RoutesAfter::Go | RoutesAfter::Stay => Some(self.cease()),
        }
    }

    /// Only a shutdown and a reset have something to say besides (RFC 9003 §2).
    fn cease(&self) -> Notification {
        match self.cease {
            Cease::AdministrativeShutdown | Cease::AdministrativeReset => {
                notification::cease(self.cease.subcode(), &self.communication)
            }
            Cease::PeerDeConfigured | Cease::OtherConfigurationChange | Cease::BfdDown => {
                notification::cease(self.cease.subcode(), "")
            }
        }
    }
}

/// Message type as IANA assigns it.
pub(super) fn kind(message: &Message) -> u8 {
    match message {
        Message::Open(_) => message_type::OPEN,
        Message::Update(_) => message_type::UPDATE,
        Message::Notification(_) => message_type::NOTIFICATION,
        Message::Keepalive => message_type::KEEPALIVE,
        Message::RouteRefresh(_) => message_type::ROUTE_REFRESH,
    }
}

/// The type of the message that cannot be read; `None` where its header already cannot.
pub(super) fn refused_kind(refused: &Refused) -> Option<u8> {
    match refused {
        Refused::Marker | Refused::Length(_) | Refused::Type(_) => None,
        Refused::Version(_)
        | Refused::OptionalParameter(_)
        | Refused::OptionalParameters
        | Refused::Capability { .. } => Some(message_type::OPEN),
        Refused::AttributeList | Refused::Attribute { .. } | Refused::Network => Some(message_type::UPDATE),
        Refused::RouteRefresh { .. } => Some(message_type::ROUTE_REFRESH),
    }
}

fn name(kind: u8) -> &'static str {
    match kind {
        message_type::OPEN => "OPEN",
        message_type::UPDATE => "UPDATE",
        message_type::NOTIFICATION => "NOTIFICATION",
        message_type::KEEPALIVE => "KEEPALIVE",
        _ => "ROUTE-REFRESH",
    }
}

/// RFC 6608 §3 and §4: the subcode names the state, the data the message.
fn unexpected(message: u8, state: State) -> Notification {
    let subcode = match state {
        State::OpenSent => fsm::UNEXPECTED_IN_OPEN_SENT,
        State::OpenConfirm => fsm::UNEXPECTED_IN_OPEN_CONFIRM,
        State::Established => fsm::UNEXPECTED_IN_ESTABLISHED,
        State::Idle | State::Connect | State::Active => 0,
    };
    Notification { code: error::FINITE_STATE_MACHINE, subcode, data: Bytes::copy_from_slice(&[message]) }
}

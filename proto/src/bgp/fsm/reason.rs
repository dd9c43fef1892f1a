//! Why a session, or an attempt at one, ended: in words for operators, and in a NOTIFICATION for the peer.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::words::{CEASE, HARD_RESET, in_words};
use super::{Cease, RoutesAfter, State, Stop};
use crate::bgp::negotiation::{Negotiated, OpenError};
use crate::bgp::types::{Message, Notification};

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
    #[error("peer sent {}", in_words(.0))]
    Received(Notification),
    /// The peer's OPEN is not acceptable.
    #[error(transparent)]
    OpenRefused(OpenError),
    /// What the peer sent cannot be read.
    #[error("{words}")]
    Refused {
        /// What it was told.
        notification: Notification,
        /// What was wrong.
        words: String,
    },
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
            Self::HoldTimerExpired(_) => plain(HOLD_TIMER_EXPIRED, 0),
            Self::SendHoldTimerExpired(_) => plain(SEND_HOLD_TIMER_EXPIRED, 0),
            Self::BfdDown => plain(CEASE, Cease::BfdDown.subcode()),
            Self::OpenRefused(error) => Some(error.notification()),
            Self::Refused { notification, .. } => Some(notification.clone()),
            Self::Unexpected { message, state } => Some(unexpected(*message, *state)),
        }
    }

    /// "checks … does not increment the ConnectRetryCounter" only where the versions differ (RFC 4271 §8.2.2,
    /// event 24).
    pub(super) fn counts(&self) -> bool {
        !matches!(self, Self::Received(Notification { code: 2, subcode: 1, .. }))
    }
}

impl Stop {
    /// What the peer is told, so that it does with our routes what is wanted; `None`: nothing.
    pub(super) fn notification(&self, negotiated: Option<&Negotiated>) -> Option<Notification> {
        let (survives, restarts) =
            negotiated.map_or((false, false), |it| (it.notification, !it.preserved.is_empty()));
        match self.routes {
            RoutesAfter::Go if survives => Some(self.hard_reset()),
            // Without the N bit, any NOTIFICATION would end the graceful restart (RFC 4724 §4).
            RoutesAfter::Stay if restarts && !survives => None,
            RoutesAfter::Go | RoutesAfter::Stay => Some(self.cease()),
        }
    }

    fn cease(&self) -> Notification {
        Notification { code: CEASE, subcode: self.cease.subcode(), data: self.communication() }
    }

    fn hard_reset(&self) -> Notification {
        let mut data = BytesMut::new();
        data.put_slice(&[CEASE, self.cease.subcode()]);
        data.put_slice(&self.communication());
        Notification { code: CEASE, subcode: HARD_RESET, data: data.freeze() }
    }

    fn communication(&self) -> Bytes {
        let text = self.communication.get(..self.communication.floor_char_boundary(LONGEST)).unwrap_or("");
        match self.cease {
            Cease::AdministrativeShutdown | Cease::AdministrativeReset if !text.is_empty() => {
                let length = u8::try_from(text.len()).unwrap_or(0);
                [&[length], text.as_bytes()].concat().into()
            }
            Cease::AdministrativeShutdown
            | Cease::AdministrativeReset
            | Cease::PeerDeConfigured
            | Cease::OtherConfigurationChange
            | Cease::BfdDown => Bytes::new(),
        }
    }
}

/// Message type as IANA assigns it.
pub(super) fn kind(message: &Message) -> u8 {
    match message {
        Message::Open(_) => 1,
        Message::Update(_) => 2,
        Message::Notification(_) => 3,
        Message::Keepalive => 4,
        Message::RouteRefresh(_) => 5,
    }
}

fn name(kind: u8) -> &'static str {
    match kind {
        1 => "OPEN",
        2 => "UPDATE",
        3 => "NOTIFICATION",
        4 => "KEEPALIVE",
        _ => "ROUTE-REFRESH",
    }
}

/// RFC 6608 §3 and §4: the subcode names the state, the data the message.
fn unexpected(message: u8, state: State) -> Notification {
    let subcode = match state {
        State::OpenSent => 1,
        State::OpenConfirm => 2,
        State::Established => 3,
        State::Idle | State::Connect | State::Active => 0,
    };
    Notification { code: FSM_ERROR, subcode, data: Bytes::copy_from_slice(&[message]) }
}

const HOLD_TIMER_EXPIRED: u8 = 4;
const FSM_ERROR: u8 = 5;
const SEND_HOLD_TIMER_EXPIRED: u8 = 8;

/// Of a shutdown communication. RFC 9003 permits 255 octets, but speakers of RFC 8203 take only 128, and nothing
/// tells the two apart.
const LONGEST: usize = 128;

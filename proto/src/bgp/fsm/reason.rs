//! Why a session or an attempt at one ended, in words for operators.

use std::time::Duration;

use super::{Cease, State};
use crate::bgp::types::Notification;

/// Why a session, or an attempt at one, ended. Its `Display` is the "last error" that operators see.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DownReason {
    /// [`super::Event::Stop`].
    #[error("stopped")]
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
    #[error("hold timer expired: nothing was heard from the peer for {0:?}")]
    HoldTimerExpired(Duration),
    /// The peer read nothing for so long (RFC 9687).
    #[error("send hold timer expired: the peer read nothing for {0:?}")]
    SendHoldTimerExpired(Duration),
    /// BFD lost the peer.
    #[error("BFD went down")]
    BfdDown,
    /// The peer's NOTIFICATION.
    #[error("peer sent a NOTIFICATION")]
    Received(Notification),
    /// The peer's OPEN is not acceptable; in words.
    #[error("{0}")]
    OpenRefused(String),
    /// What the peer sent cannot be read; in words.
    #[error("{0}")]
    Refused(String),
    /// A message that has no place in this state.
    #[error("peer sent {message} in state {state}")]
    Unexpected {
        /// Its name.
        message: &'static str,
        /// The session's state.
        state: State,
    },
}

//! What it means for an operator that there is no session; the protocol's words stand behind.

use std::net::Ipv4Addr;

use vipcast_proto::bgp::fsm::{Config, DownReason, State};
use vipcast_proto::bgp::types::{Asn, HoldTime, Notification};
use vipcast_proto::bgp::wire::iana::{cease, error, open};

/// What we say of ourselves, which a peer may refuse.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ourselves {
    local_as: Asn,
    identifier: Ipv4Addr,
    hold_time: HoldTime,
}

/// How far the session had come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached {
    pub(super) state: State,
    /// Something was heard in that state.
    pub(super) heard: bool,
}

impl Ourselves {
    pub(super) fn new(config: &Config) -> Self {
        Self { local_as: config.local_as, identifier: config.identifier, hold_time: config.hold_time }
    }

    /// Why there is no session.
    pub(super) fn explain(self, reason: &DownReason, reached: Reached) -> String {
        let meaning = match reason {
            // Said long before this timer expires.
            DownReason::HoldTimerExpired(_) if reached.state == State::OpenSent => return SILENT.to_owned(),
            DownReason::HoldTimerExpired(_) => silence(reached).map(ToOwned::to_owned),
            DownReason::Received(notification) => self.refused(notification),
            DownReason::Stopped(_)
            | DownReason::ConnectTimedOut(_)
            | DownReason::TcpFailed(_)
            | DownReason::TcpClosed(_)
            | DownReason::SendHoldTimerExpired(_)
            | DownReason::BfdDown
            | DownReason::OpenRefused(_)
            | DownReason::Refused(_)
            | DownReason::Unexpected { .. } => None,
        };
        meaning.map_or_else(|| reason.to_string(), |meaning| format!("{meaning} ({reason})"))
    }

    fn refused(self, notification: &Notification) -> Option<String> {
        let inner = notification.hard_reset_reason();
        let Notification { code, subcode, .. } = inner.as_ref().unwrap_or(notification);
        let Self { local_as, identifier, hold_time } = self;
        Some(match (*code, *subcode) {
            (error::OPEN_MESSAGE, open::BAD_PEER_AS) => {
                format!("peer expects another AS than our {local_as}")
            }
            (error::OPEN_MESSAGE, open::BAD_BGP_IDENTIFIER) => {
                format!("peer refuses our router ID {identifier}, which another node may have as well")
            }
            (error::OPEN_MESSAGE, open::UNACCEPTABLE_HOLD_TIME) => {
                format!("peer refuses our hold time of {} s", hold_time.seconds())
            }
            (error::HOLD_TIMER_EXPIRED, _) => "peer has heard nothing of this node for its hold time".into(),
            (error::CEASE, cease::MAXIMUM_NUMBER_OF_PREFIXES_REACHED) => {
                "this node announces more routes than the peer's limit of prefixes".into()
            }
            (error::CEASE, cease::PEER_DE_CONFIGURED) => {
                "peer has removed this node from its configuration".into()
            }
            (error::CEASE, cease::CONNECTION_REJECTED) => {
                "peer takes no session of this node, which it may not have as a neighbor".into()
            }
            _ => return None,
        })
    }
}

fn silence(reached: Reached) -> Option<&'static str> {
    match reached.state {
        State::OpenConfirm => Some(CUT_OFF),
        State::Established if !reached.heard => Some(STUCK),
        State::Idle | State::Connect | State::Active | State::OpenSent | State::Established => None,
    }
}

/// For a peer that takes a connection, and nothing follows.
pub(super) const SILENT: &str = "the peer has accepted the connection and says nothing: GTSM on one side only, a filter on the way, or \
     its own configuration of this peer";
/// For a session that must not begin before BFD.
pub(super) const WAITS_FOR_BFD: &str = "waits for BFD, which is not up";
const CUT_OFF: &str = "nothing came after the peer's OPEN: a filter on the way, or it has not heard ours";
const STUCK: &str = "nothing came since the session was established: large packets may be lost on the way (MTU), or a filter drops them";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn explained(reason: &DownReason, state: State, heard: bool) -> String {
        let settings = super::super::fixture::peer(179);
        Ourselves::new(&settings.session).explain(reason, Reached { state, heard })
    }

    #[test]
    fn what_a_router_refuses_is_said_with_our_own_values_and_its_words_stay() {
        let told = |code, subcode, data: &'static [u8]| {
            let notification = Notification { code, subcode, data: data.into() };
            explained(&DownReason::Received(notification), State::OpenSent, false)
        };
        let said = [
            told(2, 2, &[0, 0, 0xfd, 0xe8]),
            told(2, 3, b""),
            told(2, 6, b""),
            told(4, 0, b""),
            told(6, 1, b""),
            told(6, 3, b""),
            told(6, 5, b""),
            // Hard Reset, because of that.
            told(6, 9, &[6, 3]),
            told(6, 4, b""),
        ];
        assert_eq!(
            said,
            [
                "peer expects another AS than our 65000 (peer sent OPEN message error: bad peer AS, data 0000fde8)",
                "peer refuses our router ID 192.0.2.1, which another node may have as well \
                 (peer sent OPEN message error: bad BGP identifier)",
                "peer refuses our hold time of 9 s (peer sent OPEN message error: unacceptable hold time)",
                "peer has heard nothing of this node for its hold time (peer sent hold timer expired)",
                "this node announces more routes than the peer's limit of prefixes \
                 (peer sent cease: maximum number of prefixes reached)",
                "peer has removed this node from its configuration (peer sent cease: peer de-configured)",
                "peer takes no session of this node, which it may not have as a neighbor \
                 (peer sent cease: connection rejected)",
                "peer has removed this node from its configuration \
                 (peer sent cease: hard reset (cease: peer de-configured))",
                "peer sent cease: administrative reset",
            ]
        );
    }

    #[test]
    fn silence_means_something_else_in_each_state() {
        let expired = DownReason::HoldTimerExpired(Duration::from_secs(9));
        let raw = expired.to_string();
        let said = [
            (State::OpenSent, false),
            (State::OpenConfirm, false),
            (State::Established, false),
            (State::Established, true),
        ]
        .map(|(state, heard)| explained(&expired, state, heard));
        assert_eq!(said, [SILENT.to_owned(), format!("{CUT_OFF} ({raw})"), format!("{STUCK} ({raw})"), raw]);
    }
}

//! What is counted of the sessions with routers, and the gauges that are computed from the board.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use vipcast_proto::bgp::fsm::State;
use vipcast_proto::bgp::types;

use super::board::StatusReader;
use super::gauges::{family, truth};
use super::peers::{BfdWord, PeerFact, family_name};
use crate::clock;

/// Counters of all sessions. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct BgpCounts {
    transitions: Family<TransitionLabels, Counter>,
    messages: Family<MessageLabels, Counter>,
    routes_received: Family<PeerLabels, Counter>,
    updates_malformed: Family<PeerLabels, Counter>,
}

/// The counters of one session.
#[derive(Clone, Debug)]
pub struct PeerCounts {
    peer: String,
    all: BgpCounts,
    /// Routes that the peer has announced.
    pub routes_received: Counter,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// To the peer.
    Sent,
    /// From the peer.
    Received,
}

impl BgpCounts {
    pub(super) fn registered(to: &mut Registry) -> Self {
        let all = Self::default();
        to.register(
            "bgp_session_transitions",
            "Times a BGP session was established or lost",
            all.transitions.clone(),
        );
        to.register("bgp_messages", "BGP messages by type", all.messages.clone());
        to.register(
            "bgp_routes_received",
            "Routes that peers have announced; all are ignored",
            all.routes_received.clone(),
        );
        to.register(
            "bgp_malformed_updates",
            "UPDATEs of peers that were wrong, though not so that the session had to end",
            all.updates_malformed.clone(),
        );
        all
    }

    /// Those of one session, which appear at zero.
    #[must_use]
    pub fn peer(&self, peer: &str) -> PeerCounts {
        for to in [ESTABLISHED, LOST] {
            drop(self.transitions.get_or_create(&TransitionLabels { peer: peer.into(), to }));
        }
        let labels = PeerLabels { peer: peer.into() };
        let routes_received = self.routes_received.get_or_create(&labels).clone();
        drop(self.updates_malformed.get_or_create(&labels));
        PeerCounts { peer: peer.into(), all: self.clone(), routes_received }
    }
}

impl PeerCounts {
    /// The session was established.
    pub fn established(&self) {
        self.transition(ESTABLISHED);
    }

    /// It was lost, or ended.
    pub fn lost(&self) {
        self.transition(LOST);
    }

    /// Messages of a type, such as `update`, went one way.
    pub fn messages(&self, direction: Direction, kind: &'static str, count: u64) {
        let direction = match direction {
            Direction::Sent => "sent",
            Direction::Received => "received",
        };
        let labels = MessageLabels { peer: self.peer.clone(), direction, r#type: kind };
        self.all.messages.get_or_create(&labels).inc_by(count);
    }

    /// An UPDATE was wrong, though not so that the session had to end.
    pub fn malformed_update(&self) {
        self.all.updates_malformed.get_or_create(&PeerLabels { peer: self.peer.clone() }).inc();
    }

    fn transition(&self, to: &'static str) {
        self.all.transitions.get_or_create(&TransitionLabels { peer: self.peer.clone(), to }).inc();
    }
}

/// Gauges of all sessions; none without a peer.
pub(super) fn write(to: &mut DescriptorEncoder<'_>, board: &StatusReader) -> fmt::Result {
    let now = clock::now();
    let labels = |peer: &str| PeerLabels { peer: peer.into() };
    let up = board.each_peer(|name, peer| (labels(name), truth(peer.state == State::Established)));
    family(to, "vipcast_bgp_session_established", "Whether the session is established", up.into_iter())?;
    let states = board.each_peer(|name, peer| (labels(name), number(peer.state)));
    family(to, "vipcast_bgp_session_state", STATE_HELP, states.into_iter())?;
    let routes = board.each_peer(announced).into_iter().flatten();
    family(to, "vipcast_bgp_routes_announced", "Routes that the peer knows from us", routes)?;
    let lags = board.each_peer(|name, peer| (labels(name), peer.lag(now).unwrap_or_default().as_secs_f64()));
    family(to, "vipcast_bgp_send_lag_seconds", LAG_HELP, lags.into_iter())?;
    let words = board.each_peer(notifications).into_iter().flatten();
    family(to, "vipcast_bgp_last_notification", "The last NOTIFICATION of each direction", words)?;
    let bfd = board.each_peer(|name, peer| Some((labels(name), truth(peer.bfd? == BfdWord::Up))));
    family(to, "vipcast_bgp_bfd_up", "Whether BFD hears the peer", bfd.into_iter().flatten())
}

fn announced(name: &str, peer: &PeerFact) -> Vec<(FamilyLabels, f64)> {
    let count = |family: &types::Family| {
        let labels = FamilyLabels { peer: name.into(), family: family_name(*family) };
        let routes = u32::try_from(peer.announced(*family)).unwrap_or(u32::MAX);
        (labels, f64::from(routes))
    };
    peer.families.iter().map(count).collect()
}

fn notifications(name: &str, peer: &PeerFact) -> Vec<(NotificationLabels, f64)> {
    let word = |direction, word: Option<(u8, u8)>| {
        let (code, subcode) = word?;
        Some((NotificationLabels { peer: name.into(), direction, code, subcode }, 1.0))
    };
    [word("sent", peer.notified), word("received", peer.notification)].into_iter().flatten().collect()
}

fn number(state: State) -> f64 {
    match state {
        State::Idle => 1.0,
        State::Connect => 2.0,
        State::Active => 3.0,
        State::OpenSent => 4.0,
        State::OpenConfirm => 5.0,
        State::Established => 6.0,
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct PeerLabels {
    peer: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct TransitionLabels {
    peer: String,
    to: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct MessageLabels {
    peer: String,
    direction: &'static str,
    r#type: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct FamilyLabels {
    peer: String,
    family: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct NotificationLabels {
    peer: String,
    direction: &'static str,
    code: u8,
    subcode: u8,
}

const ESTABLISHED: &str = "established";
const LOST: &str = "lost";
/// As in the BGP4-MIB (RFC 4273 §3, bgpPeerState).
const STATE_HELP: &str = "1 Idle, 2 Connect, 3 Active, 4 OpenSent, 5 OpenConfirm, 6 Established";
const LAG_HELP: &str = "How long something has been waiting to be told to the peer";

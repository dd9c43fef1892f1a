//! A small state, for tests.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::Counter;
use tokio::sync::watch;
use vipcast_proto::bgp::fsm::State;
use vipcast_proto::bgp::types::Family;

use super::board::{KubernetesFact, ScopeFact, StatusBoard, StatusReader, VipFact};
use super::metrics::Metrics;
use super::peers::{BfdWord, NegotiatedFact, PeerFact};
use super::server::Admin;
use super::status::{HealthVerdict, LinkState, ScopeState, Status, VipState};
use crate::clock;

/// A node that holds one address with two seconds of permission left.
pub(crate) fn holding(now: Instant) -> (StatusBoard, StatusReader) {
    let (board, reader) = StatusBoard::new("0.1.0", "cp1");
    let until = Some(now + Duration::from_millis(2_000));
    let scope = ScopeFact {
        lease: "kube-system/plndr-cp-lock".into(),
        state: ScopeState::Holding,
        holder: Some("cp1".into()),
        until,
        why: "renewed on time".into(),
    };
    board.scope("control-plane", scope);
    board.vip("10.0.0.1".parse().unwrap(), held(until));
    board.health(HealthVerdict::Healthy, "/readyz answers 200");
    let kubernetes = KubernetesFact {
        endpoint: Some("https://127.0.0.1:6443".into()),
        source: Some("/etc/kubernetes/admin.conf".into()),
        connected: true,
        condition: "connected".into(),
    };
    board.kubernetes(kubernetes);
    board.link("eth0", LinkState::Up, Some("02:00:00:00:00:01".into()));
    (board, reader)
}

pub(crate) fn held(until: Option<Instant>) -> VipFact {
    VipFact {
        prefix_length: 32,
        interface: "eth0".into(),
        scope: "control-plane".into(),
        state: VipState::Held,
        until,
        rival: None,
        why: "announced".into(),
    }
}

/// The same with fixed times: everything changed 123 seconds ago.
pub(crate) fn status() -> Status {
    let now = clock::now();
    let (_board, reader) = holding(now);
    let wall: SystemTime = UNIX_EPOCH + Duration::from_millis(1_795_225_783_120);
    let since = (wall - Duration::from_secs(123)).into();
    let mut status = reader.status_at(now, wall);
    (status.pid, status.since) = (42, since);
    (status.health.since, status.kubernetes.since) = (since, since);
    status.scopes.iter_mut().for_each(|scope| scope.since = since);
    status.vips.iter_mut().for_each(|vip| vip.since = since);
    status.links.iter_mut().for_each(|link| link.since = since);
    status
}

/// What the handlers read, and its writing ends.
pub(crate) fn admin() -> (Admin, StatusBoard, watch::Sender<Instant>) {
    let (board, status) = holding(clock::now());
    let metrics = Metrics::new("0.1.0", None, status.clone());
    let (beat, heartbeat) = watch::channel(clock::now());
    (Admin { status, metrics, heartbeat, speaker: None, services: None }, board, beat)
}

/// A session that is established and has been told nothing.
pub(crate) fn session() -> PeerFact {
    PeerFact {
        local_as: 65000,
        peer_as: 65001,
        remote_as: None,
        at: "10.0.0.254".into(),
        port: 179,
        local: Some([10, 0, 0, 9].into()),
        state: State::Established,
        established: Some(clock::now()),
        families: [Family::IPV4_UNICAST].into(),
        negotiated: Some(NegotiatedFact { identifier: [192, 0, 2, 254].into(), hold_time: 9 }),
        told: Arc::default(),
        waiting: None,
        received: Counter::default(),
        last_error: None,
        notified: None,
        notification: Some((6, 2)),
        bfd: Some(BfdWord::Up),
        waits_for_bfd: false,
        draining: false,
    }
}

//! Every event in every state, with exactly what follows.

use std::collections::BTreeSet;
use std::time::Instant;

use vipcast_proto::bgp::fsm::{Action, Cease, DownReason, Event, State};
use vipcast_proto::bgp::negotiation::OpenError;
use vipcast_proto::bgp::types::{self, Asn, Family, Message};
use vipcast_proto::bgp::wire::Refused;

use crate::rig::{
    closed, config, down, failed, keepalive, keepalive_received, notification, open, peer_open,
    received_open, refresh_received, session_in, stop, tell, up, update_received,
};

/// What can happen, one of each kind.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum On {
    Start,
    Stop,
    Reachable,
    TcpConnected,
    TcpFailed,
    TcpClosed,
    Open,
    OpenOfAnotherAs,
    Update,
    Notification,
    VersionError,
    Keepalive,
    RouteRefresh,
    RefreshOfUnknownFamily,
    BadHeader,
    BadOpen,
    BadUpdate,
    BadRouteRefresh,
    Sent,
    UpdateSent,
    EarlyTick,
    DueTick,
    BfdUp,
    BfdDownAfterUp,
    BfdDownNeverUp,
    BfdAdminDown,
}

use On::*;
use State::{Active, Connect, Established, Idle, OpenConfirm, OpenSent};

#[test]
fn every_event_in_every_state_does_exactly_this() {
    let t0 = Instant::now();
    for (state, on, next, expected) in rows() {
        let mut session = session_in(Idle, config(), t0);
        if on == BfdDownAfterUp {
            assert_eq!(session.handle(t0, Event::BfdUp), []);
        }
        crate::rig::bring_to(state, &mut session, t0);
        let now = session.deadline().filter(|_| on == DueTick).unwrap_or(t0);
        let actions = session.handle(now, event(on));
        assert_eq!((session.state(), actions), (next, expected), "{state} on {on:?}");
    }
}

#[test]
fn every_pair_of_state_and_event_has_its_row() {
    let mut seen = BTreeSet::new();
    for (state, on, ..) in rows() {
        assert!(seen.insert((state, on)), "{state} on {on:?} stands twice");
    }
    let states = [Idle, Connect, Active, OpenSent, OpenConfirm, Established];
    let all = ALL.iter().flat_map(|&on| states.map(|state| (state, on)));
    let missing: Vec<_> = all.filter(|pair| !seen.contains(pair)).collect();
    assert_eq!(missing, []);
}

fn rows() -> Vec<(State, On, State, Vec<Action>)> {
    [idle(), connect(), active(), open_sent(), open_confirm(), established()].concat()
}

fn idle() -> Vec<(State, On, State, Vec<Action>)> {
    vec![
        (Idle, Start, Connect, vec![Action::Connect]),
        (Idle, Stop, Idle, vec![]),
        (Idle, Reachable, Idle, vec![]),
        (Idle, TcpConnected, Idle, vec![Action::Close]),
        (Idle, TcpFailed, Idle, vec![]),
        (Idle, TcpClosed, Idle, vec![]),
        (Idle, Open, Idle, vec![]),
        (Idle, OpenOfAnotherAs, Idle, vec![]),
        (Idle, Update, Idle, vec![]),
        (Idle, Notification, Idle, vec![]),
        (Idle, VersionError, Idle, vec![]),
        (Idle, Keepalive, Idle, vec![]),
        (Idle, RouteRefresh, Idle, vec![]),
        (Idle, RefreshOfUnknownFamily, Idle, vec![]),
        (Idle, BadHeader, Idle, vec![]),
        (Idle, BadOpen, Idle, vec![]),
        (Idle, BadUpdate, Idle, vec![]),
        (Idle, BadRouteRefresh, Idle, vec![]),
        (Idle, Sent, Idle, vec![]),
        (Idle, UpdateSent, Idle, vec![]),
        (Idle, EarlyTick, Idle, vec![]),
        (Idle, DueTick, Idle, vec![]),
        (Idle, BfdUp, Idle, vec![]),
        (Idle, BfdDownAfterUp, Idle, vec![]),
        (Idle, BfdDownNeverUp, Idle, vec![]),
        (Idle, BfdAdminDown, Idle, vec![]),
    ]
}

fn connect() -> Vec<(State, On, State, Vec<Action>)> {
    vec![
        (Connect, Start, Connect, vec![]),
        (Connect, Stop, Idle, vec![Action::Close]),
        (Connect, Reachable, Connect, vec![Action::Close, Action::Connect]),
        (Connect, TcpConnected, OpenSent, vec![open()]),
        (Connect, TcpFailed, Active, vec![]),
        (Connect, TcpClosed, Active, vec![]),
        (Connect, Open, Connect, vec![]),
        (Connect, OpenOfAnotherAs, Connect, vec![]),
        (Connect, Update, Connect, vec![]),
        (Connect, Notification, Connect, vec![]),
        (Connect, VersionError, Connect, vec![]),
        (Connect, Keepalive, Connect, vec![]),
        (Connect, RouteRefresh, Connect, vec![]),
        (Connect, RefreshOfUnknownFamily, Connect, vec![]),
        (Connect, BadHeader, Connect, vec![]),
        (Connect, BadOpen, Connect, vec![]),
        (Connect, BadUpdate, Connect, vec![]),
        (Connect, BadRouteRefresh, Connect, vec![]),
        (Connect, Sent, Connect, vec![]),
        (Connect, UpdateSent, Connect, vec![]),
        (Connect, EarlyTick, Connect, vec![]),
        (Connect, DueTick, Connect, vec![Action::Close, Action::Connect]),
        (Connect, BfdUp, Connect, vec![Action::Close, Action::Connect]),
        (Connect, BfdDownAfterUp, Connect, vec![]),
        (Connect, BfdDownNeverUp, Connect, vec![]),
        (Connect, BfdAdminDown, Connect, vec![]),
    ]
}

fn active() -> Vec<(State, On, State, Vec<Action>)> {
    vec![
        (Active, Start, Active, vec![]),
        (Active, Stop, Idle, vec![]),
        (Active, Reachable, Connect, vec![Action::Connect]),
        (Active, TcpConnected, Active, vec![Action::Close]),
        (Active, TcpFailed, Active, vec![]),
        (Active, TcpClosed, Active, vec![]),
        (Active, Open, Active, vec![]),
        (Active, OpenOfAnotherAs, Active, vec![]),
        (Active, Update, Active, vec![]),
        (Active, Notification, Active, vec![]),
        (Active, VersionError, Active, vec![]),
        (Active, Keepalive, Active, vec![]),
        (Active, RouteRefresh, Active, vec![]),
        (Active, RefreshOfUnknownFamily, Active, vec![]),
        (Active, BadHeader, Active, vec![]),
        (Active, BadOpen, Active, vec![]),
        (Active, BadUpdate, Active, vec![]),
        (Active, BadRouteRefresh, Active, vec![]),
        (Active, Sent, Active, vec![]),
        (Active, UpdateSent, Active, vec![]),
        (Active, EarlyTick, Active, vec![]),
        (Active, DueTick, Connect, vec![Action::Connect]),
        (Active, BfdUp, Connect, vec![Action::Connect]),
        (Active, BfdDownAfterUp, Active, vec![]),
        (Active, BfdDownNeverUp, Active, vec![]),
        (Active, BfdAdminDown, Active, vec![]),
    ]
}

fn open_sent() -> Vec<(State, On, State, Vec<Action>)> {
    vec![
        (OpenSent, Start, OpenSent, vec![]),
        (OpenSent, Stop, Idle, vec![tell(6, 2, b"\x0anode drain"), Action::Close]),
        (OpenSent, Reachable, OpenSent, vec![]),
        (OpenSent, TcpConnected, OpenSent, vec![]),
        (OpenSent, TcpFailed, Active, vec![Action::Close]),
        (OpenSent, TcpClosed, Active, vec![Action::Close]),
        (OpenSent, Open, OpenConfirm, vec![keepalive()]),
        (OpenSent, OpenOfAnotherAs, Active, vec![tell(2, 2, b""), Action::Close]),
        (OpenSent, Update, Active, vec![tell(5, 1, b"\x02"), Action::Close]),
        (OpenSent, Notification, Active, vec![Action::Close]),
        (OpenSent, VersionError, Active, vec![Action::Close]),
        (OpenSent, Keepalive, Active, vec![tell(5, 1, b"\x04"), Action::Close]),
        (OpenSent, RouteRefresh, Active, vec![tell(5, 1, b"\x05"), Action::Close]),
        (OpenSent, RefreshOfUnknownFamily, Active, vec![tell(5, 1, b"\x05"), Action::Close]),
        (OpenSent, BadHeader, Active, vec![tell(1, 1, b""), Action::Close]),
        (OpenSent, BadOpen, Active, vec![tell(2, 1, b"\x00\x04"), Action::Close]),
        (OpenSent, BadUpdate, Active, vec![tell(5, 1, b"\x02"), Action::Close]),
        (OpenSent, BadRouteRefresh, Active, vec![tell(5, 1, b"\x05"), Action::Close]),
        (OpenSent, Sent, OpenSent, vec![]),
        (OpenSent, UpdateSent, OpenSent, vec![]),
        (OpenSent, EarlyTick, OpenSent, vec![]),
        (OpenSent, DueTick, Active, vec![tell(4, 0, b""), Action::Close]),
        (OpenSent, BfdUp, OpenSent, vec![]),
        (OpenSent, BfdDownAfterUp, Active, vec![tell(6, 10, b""), Action::Close]),
        (OpenSent, BfdDownNeverUp, OpenSent, vec![]),
        (OpenSent, BfdAdminDown, OpenSent, vec![]),
    ]
}

fn open_confirm() -> Vec<(State, On, State, Vec<Action>)> {
    vec![
        (OpenConfirm, Start, OpenConfirm, vec![]),
        (OpenConfirm, Stop, Idle, vec![tell(6, 2, b"\x0anode drain"), Action::Close]),
        (OpenConfirm, Reachable, OpenConfirm, vec![]),
        (OpenConfirm, TcpConnected, OpenConfirm, vec![]),
        (OpenConfirm, TcpFailed, Active, vec![Action::Close]),
        (OpenConfirm, TcpClosed, Active, vec![Action::Close]),
        (OpenConfirm, Open, Active, vec![tell(5, 2, b"\x01"), Action::Close]),
        (OpenConfirm, OpenOfAnotherAs, Active, vec![tell(5, 2, b"\x01"), Action::Close]),
        (OpenConfirm, Update, Active, vec![tell(5, 2, b"\x02"), Action::Close]),
        (OpenConfirm, Notification, Active, vec![Action::Close]),
        (OpenConfirm, VersionError, Active, vec![Action::Close]),
        (OpenConfirm, Keepalive, Established, vec![up()]),
        (OpenConfirm, RouteRefresh, Active, vec![tell(5, 2, b"\x05"), Action::Close]),
        (OpenConfirm, RefreshOfUnknownFamily, Active, vec![tell(5, 2, b"\x05"), Action::Close]),
        (OpenConfirm, BadHeader, Active, vec![tell(1, 1, b""), Action::Close]),
        (OpenConfirm, BadOpen, Active, vec![tell(2, 1, b"\x00\x04"), Action::Close]),
        (OpenConfirm, BadUpdate, Active, vec![tell(5, 2, b"\x02"), Action::Close]),
        (OpenConfirm, BadRouteRefresh, Active, vec![tell(5, 2, b"\x05"), Action::Close]),
        (OpenConfirm, Sent, OpenConfirm, vec![]),
        (OpenConfirm, UpdateSent, OpenConfirm, vec![]),
        (OpenConfirm, EarlyTick, OpenConfirm, vec![]),
        (OpenConfirm, DueTick, OpenConfirm, vec![keepalive()]),
        (OpenConfirm, BfdUp, OpenConfirm, vec![]),
        (OpenConfirm, BfdDownAfterUp, Active, vec![tell(6, 10, b""), Action::Close]),
        (OpenConfirm, BfdDownNeverUp, OpenConfirm, vec![]),
        (OpenConfirm, BfdAdminDown, OpenConfirm, vec![]),
    ]
}

fn established() -> Vec<(State, On, State, Vec<Action>)> {
    let resend = Action::Resend { family: Family::IPV6_UNICAST, enhanced: false };
    let lost = |reason: DownReason| vec![Action::Close, down(reason)];
    let ended = |told: Action, reason: DownReason| vec![told, Action::Close, down(reason)];
    let unexpected_open = || DownReason::Unexpected { message: 1, state: Established };
    let (refused, shutdown) = (notification(6, 5, b""), DownReason::Stopped(Cease::AdministrativeShutdown));
    let (tcp_failed, tcp_closed) = ("connection refused".into(), "connection reset by peer".into());
    let version = DownReason::Received(notification(2, 1, b"\x00\x04"));
    let bad_refresh = tell(7, 1, b"all of it");
    vec![
        (Established, Start, Established, vec![]),
        (Established, Stop, Idle, ended(tell(6, 2, b"\x0anode drain"), shutdown)),
        (Established, Reachable, Established, vec![]),
        (Established, TcpConnected, Established, vec![]),
        (Established, TcpFailed, Active, lost(DownReason::TcpFailed(tcp_failed))),
        (Established, TcpClosed, Active, lost(DownReason::TcpClosed(tcp_closed))),
        (Established, Open, Active, ended(tell(5, 3, b"\x01"), unexpected_open())),
        (Established, OpenOfAnotherAs, Active, ended(tell(5, 3, b"\x01"), unexpected_open())),
        (Established, Update, Established, vec![]),
        (Established, Notification, Active, lost(DownReason::Received(refused))),
        (Established, VersionError, Active, lost(version)),
        (Established, Keepalive, Established, vec![]),
        (Established, RouteRefresh, Established, vec![resend]),
        (Established, RefreshOfUnknownFamily, Established, vec![]),
        (Established, BadHeader, Active, ended(tell(1, 1, b""), DownReason::Refused(Refused::Marker))),
        (Established, BadOpen, Active, ended(tell(5, 3, b"\x01"), unexpected_open())),
        (Established, BadUpdate, Active, ended(tell(3, 10, b""), DownReason::Refused(Refused::Network))),
        (Established, BadRouteRefresh, Active, ended(bad_refresh, DownReason::Refused(short_refresh()))),
        (Established, Sent, Established, vec![]),
        (Established, UpdateSent, Established, vec![]),
        (Established, EarlyTick, Established, vec![]),
        (Established, DueTick, Established, vec![keepalive()]),
        (Established, BfdUp, Established, vec![]),
        (Established, BfdDownAfterUp, Active, ended(tell(6, 10, b""), DownReason::BfdDown)),
        (Established, BfdDownNeverUp, Established, vec![]),
        (Established, BfdAdminDown, Established, vec![]),
    ]
}

fn event(on: On) -> Event {
    match on {
        Start => Event::Start,
        Stop => stop(),
        Reachable => Event::Reachable,
        TcpConnected => Event::TcpConnected,
        TcpFailed => failed(),
        TcpClosed => closed(),
        Open => received_open(),
        OpenOfAnotherAs => Event::Received(Message::Open(open_of_another_as())),
        Update => update_received(),
        Notification => Event::Received(Message::Notification(notification(6, 5, b""))),
        VersionError => Event::Received(Message::Notification(notification(2, 1, b"\x00\x04"))),
        Keepalive => keepalive_received(),
        RouteRefresh => refresh_received(Family::IPV6_UNICAST, 0),
        RefreshOfUnknownFamily => refresh_received(Family { afi: 25, safi: 70 }, 0),
        BadHeader => Event::Refused(Refused::Marker),
        BadOpen => Event::Refused(Refused::Version(3)),
        BadUpdate => Event::Refused(Refused::Network),
        BadRouteRefresh => Event::Refused(short_refresh()),
        Sent => Event::Sent,
        UpdateSent => Event::UpdateSent,
        EarlyTick | DueTick => Event::Tick,
        BfdUp => Event::BfdUp,
        BfdDownAfterUp | BfdDownNeverUp => Event::BfdDown,
        BfdAdminDown => Event::BfdAdminDown,
    }
}

fn open_of_another_as() -> types::Open {
    let error = OpenError::PeerAs { said: Asn(65003), configured: Asn(65002) };
    assert_eq!(error.to_string(), "peer says AS 65003, configured 65002");
    types::Open { my_as: 65003, capabilities: vec![], ..peer_open() }
}

fn short_refresh() -> Refused {
    Refused::RouteRefresh { message: "all of it".into() }
}

const ALL: [On; 26] = [
    Start,
    Stop,
    Reachable,
    TcpConnected,
    TcpFailed,
    TcpClosed,
    Open,
    OpenOfAnotherAs,
    Update,
    Notification,
    VersionError,
    Keepalive,
    RouteRefresh,
    RefreshOfUnknownFamily,
    BadHeader,
    BadOpen,
    BadUpdate,
    BadRouteRefresh,
    Sent,
    UpdateSent,
    EarlyTick,
    DueTick,
    BfdUp,
    BfdDownAfterUp,
    BfdDownNeverUp,
    BfdAdminDown,
];

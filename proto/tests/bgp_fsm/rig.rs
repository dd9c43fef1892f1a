//! A session, the messages of its peer, and short names for what it asks for.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use vipcast_proto::bgp::fsm::{
    Action, Bfd, Cease, Config, ConnectRetry, DownReason, Event, Negotiated, Outgoing, Peering, RoutesAfter,
    SendHold, Session, State, Stop,
};
use vipcast_proto::bgp::types::{
    Asn, Capability, Family, GracefulRestart, HoldTime, Message, Notification, Open, RouteRefresh, Update,
};
use vipcast_proto::bgp::wire::AsNumbers;

pub(crate) fn config() -> Config {
    Config {
        local_as: Asn(65001),
        peer_as: Asn(65002),
        identifier: Ipv4Addr::new(192, 0, 2, 1),
        hold_time: HoldTime::new(90).unwrap(),
        keepalive: None,
        families: [Family::IPV4_UNICAST, Family::IPV6_UNICAST].into(),
        extended_next_hop: false,
        graceful_restart: None,
        connect_retry: ConnectRetry { first: secs(1), cap: secs(60), attempt: secs(5) },
        send_hold: SendHold::Default,
        bfd: Bfd::Followed,
    }
}

pub(crate) fn with_hold_time(seconds: u16) -> Config {
    Config { hold_time: HoldTime::new(seconds).unwrap(), ..config() }
}

/// A session in `state` at `now`, without a failure before it unless the state is Active.
pub(crate) fn session_in(state: State, config: Config, now: Instant) -> Session {
    let mut session = Session::new(config, 7);
    bring_to(state, &mut session, now);
    session
}

/// From Idle.
pub(crate) fn bring_to(state: State, session: &mut Session, now: Instant) {
    let path = match state {
        State::Idle => vec![],
        State::Connect => vec![Event::Start],
        State::Active => vec![Event::Start, failed()],
        State::OpenSent => vec![Event::Start, Event::TcpConnected],
        State::OpenConfirm => vec![Event::Start, Event::TcpConnected, received_open()],
        State::Established => {
            vec![Event::Start, Event::TcpConnected, received_open(), Event::Received(Message::Keepalive)]
        }
    };
    for event in path {
        let _ = session.handle(now, event);
    }
    assert_eq!(session.state(), state);
}

/// The octets of a fully equipped peer's OPEN, but for graceful restart.
pub(crate) fn peer_open() -> Open {
    Open {
        my_as: 65002,
        hold_time: 180,
        identifier: Ipv4Addr::new(192, 0, 2, 254),
        capabilities: vec![
            Capability::MultiProtocol(Family::IPV4_UNICAST),
            Capability::MultiProtocol(Family::IPV6_UNICAST),
            Capability::RouteRefresh,
            Capability::FourOctetAs(Asn(65002)),
        ],
    }
}

/// What our [`config`] and [`peer_open`] agree on.
pub(crate) fn negotiated() -> Negotiated {
    Negotiated {
        peer_as: Asn(65002),
        peer_identifier: Ipv4Addr::new(192, 0, 2, 254),
        peering: Peering::External,
        hold_time: HoldTime::new(90).unwrap(),
        families: [Family::IPV4_UNICAST, Family::IPV6_UNICAST].into(),
        as_numbers: AsNumbers::FourOctets,
        extended_next_hop: false,
        route_refresh: true,
        enhanced_route_refresh: false,
        graceful_restart: None,
        preserved: [].into(),
        notification: false,
    }
}

/// A peer that keeps our routes while we restart, and after NOTIFICATIONs too where it says so.
pub(crate) fn received_open_of_helper(notification: bool) -> Event {
    let restart = GracefulRestart { notification, restart_time: 120, ..GracefulRestart::default() };
    let mut open = peer_open();
    open.capabilities.push(Capability::GracefulRestart(restart));
    Event::Received(Message::Open(open))
}

pub(crate) fn received_open() -> Event {
    Event::Received(Message::Open(peer_open()))
}

pub(crate) fn keepalive_received() -> Event {
    Event::Received(Message::Keepalive)
}

pub(crate) fn update_received() -> Event {
    Event::Received(Message::Update(Update::default()))
}

pub(crate) fn refresh_received(family: Family, subtype: u8) -> Event {
    Event::Received(Message::RouteRefresh(RouteRefresh { family, subtype }))
}

pub(crate) fn failed() -> Event {
    Event::TcpFailed("connection refused".into())
}

pub(crate) fn closed() -> Event {
    Event::TcpClosed("connection reset by peer".into())
}

pub(crate) fn stop() -> Event {
    Event::Stop(Stop {
        cease: Cease::AdministrativeShutdown,
        communication: "node drain".into(),
        routes: RoutesAfter::Go,
    })
}

/// Our OPEN as [`config`] has it.
pub(crate) fn open() -> Action {
    Action::Send(Outgoing::Open(Open {
        my_as: 65001,
        hold_time: 90,
        identifier: Ipv4Addr::new(192, 0, 2, 1),
        capabilities: vec![
            Capability::MultiProtocol(Family::IPV4_UNICAST),
            Capability::MultiProtocol(Family::IPV6_UNICAST),
            Capability::RouteRefresh,
            Capability::GracefulRestart(GracefulRestart::default()),
            Capability::FourOctetAs(Asn(65001)),
            Capability::EnhancedRouteRefresh,
        ],
    }))
}

pub(crate) fn keepalive() -> Action {
    Action::Send(Outgoing::Keepalive)
}

pub(crate) fn up() -> Action {
    Action::Up(Box::new(negotiated()))
}

pub(crate) fn tell(code: u8, subcode: u8, data: &[u8]) -> Action {
    Action::Send(Outgoing::Notification(notification(code, subcode, data)))
}

pub(crate) fn notification(code: u8, subcode: u8, data: &[u8]) -> Notification {
    Notification { code, subcode, data: Bytes::copy_from_slice(data) }
}

pub(crate) fn down(reason: DownReason) -> Action {
    Action::Down(reason)
}

pub(crate) fn last_error(session: &Session) -> String {
    session.last_error().map(|(_, reason)| reason.to_string()).unwrap_or_default()
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

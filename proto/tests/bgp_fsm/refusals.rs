//! What is refused, with which NOTIFICATION, and what the operator reads.

use std::net::Ipv4Addr;
use std::time::Instant;

use vipcast_proto::bgp::fsm::{Action, Config, Event, State};
use vipcast_proto::bgp::types::{Asn, Capability, Family, Message, Open};
use vipcast_proto::bgp::wire::Refused;

use crate::rig::{
    closed, config, failed, last_error, notification, peer_open, refresh_received, session_in, tell,
    update_received,
};

#[test]
fn an_open_that_is_not_acceptable_is_answered_by_code_subcode_and_data_and_never_by_a_session() {
    let ours = Ipv4Addr::new(192, 0, 2, 1);
    let internal = Config { peer_as: Asn(65001), ..config() };
    let ipv6_only = Config { families: [Family::IPV6_UNICAST].into(), ..config() };
    let from_us = Open { my_as: 65001, identifier: ours, capabilities: vec![], ..peer_open() };
    let wide = vec![Capability::FourOctetAs(Asn(4_200_000_000))];
    let cases = [
        (
            config(),
            Open { my_as: 65003, capabilities: vec![], ..peer_open() },
            tell(2, 2, b""),
            "peer says AS 65003, configured 65002",
        ),
        (
            config(),
            Open { capabilities: wide, ..peer_open() },
            tell(2, 2, b""),
            "peer says AS 4200000000, configured 65002",
        ),
        (config(), Open { my_as: 0, ..peer_open() }, tell(2, 2, b""), "peer says AS 0"),
        (
            config(),
            Open { hold_time: 2, ..peer_open() },
            tell(2, 6, b""),
            "peer offers a hold time of 2 s, which must be 0 or at least 3",
        ),
        (
            config(),
            Open { identifier: Ipv4Addr::UNSPECIFIED, ..peer_open() },
            tell(2, 3, b""),
            "peer says BGP identifier 0.0.0.0",
        ),
        (internal, from_us, tell(2, 3, b""), "peer says BGP identifier 192.0.2.1, which is ours"),
        (
            ipv6_only,
            Open { capabilities: vec![], ..peer_open() },
            tell(2, 7, b"\x01\x04\x00\x02\x00\x01"),
            "peer offers none of the configured address families",
        ),
    ];
    for (config, open, told, words) in cases {
        let t0 = Instant::now();
        let mut session = session_in(State::OpenSent, config, t0);
        let actions = session.handle(t0, Event::Received(Message::Open(open)));
        assert_eq!(actions, [told, Action::Close], "{words}");
        assert_eq!((session.state(), last_error(&session).as_str()), (State::Active, words));
    }
}

#[test]
fn the_operator_reads_what_went_wrong() {
    let told = |code, subcode, data: &[u8]| {
        Event::Received(Message::Notification(notification(code, subcode, data)))
    };
    let cases = [
        (State::Connect, failed(), "connection refused"),
        (State::Established, closed(), "connection reset by peer"),
        (State::OpenSent, update_received(), "peer sent UPDATE in state OpenSent"),
        (
            State::OpenConfirm,
            refresh_received(Family::IPV4_UNICAST, 0),
            "peer sent ROUTE-REFRESH in state OpenConfirm",
        ),
        (State::Established, Event::Refused(Refused::Marker), "the marker of a message is not all ones"),
        (State::OpenSent, told(2, 2, b""), "peer sent OPEN message error: bad peer AS"),
        (
            State::Established,
            told(6, 2, b"\x0brack 7 down"),
            "peer sent cease: administrative shutdown: \"rack 7 down\"",
        ),
        (State::Established, Event::Tick, ""),
    ];
    for (state, event, words) in cases {
        let t0 = Instant::now();
        let mut session = session_in(state, config(), t0);
        let _ = session.handle(t0, event);
        assert_eq!(last_error(&session), words);
    }
}

#[test]
fn only_requests_are_answered_with_routes() {
    let t0 = Instant::now();
    let mut open = peer_open();
    open.capabilities.push(Capability::EnhancedRouteRefresh);
    let mut session = session_in(State::OpenSent, config(), t0);
    let _ = session.handle(t0, Event::Received(Message::Open(open)));
    let _ = session.handle(t0, Event::Received(Message::Keepalive));
    let answers: Vec<_> = [0, 1, 2, 3, 255]
        .map(|subtype| session.handle(t0, refresh_received(Family::IPV4_UNICAST, subtype)))
        .into();
    let resend = Action::Resend { family: Family::IPV4_UNICAST, enhanced: true };
    assert_eq!(answers, [vec![resend], vec![], vec![], vec![], vec![]]);
    assert_eq!(session.state(), State::Established);
}

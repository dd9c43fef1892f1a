//! Offers and answers.

use std::time::Duration;

use super::*;
use crate::bgp::fsm::{Bfd, ConnectRetry, Restart, SendHold};

#[test]
fn what_both_offer_holds() {
    let open = Open { capabilities: everything(), ..plain() };
    let judged = negotiate(&config(), &open);
    assert_eq!(
        judged,
        Ok(Negotiated {
            peer_as: Asn(65002),
            peer_identifier: Ipv4Addr::new(192, 0, 2, 254),
            peering: Peering::External,
            hold_time: HoldTime::new(9).unwrap(),
            families: [Family::IPV4_UNICAST, Family::IPV6_UNICAST].into(),
            as_numbers: AsNumbers::FourOctets,
            extended_next_hop: true,
            route_refresh: true,
            enhanced_route_refresh: true,
            graceful_restart: Some(theirs()),
            preserved: [Family::IPV4_UNICAST, Family::IPV6_UNICAST].into(),
            notification: true,
        })
    );
}

#[test]
fn a_peer_without_capabilities_gets_ipv4_and_two_octets() {
    let judged = negotiate(&config(), &plain());
    assert_eq!(
        judged,
        Ok(Negotiated {
            peer_as: Asn(65002),
            peer_identifier: Ipv4Addr::new(192, 0, 2, 254),
            peering: Peering::External,
            hold_time: HoldTime::new(9).unwrap(),
            families: [Family::IPV4_UNICAST].into(),
            as_numbers: AsNumbers::TwoOctets,
            extended_next_hop: false,
            route_refresh: false,
            enhanced_route_refresh: false,
            graceful_restart: None,
            preserved: [].into(),
            notification: false,
        })
    );
}

#[test]
fn nothing_is_preserved_and_no_next_hop_extended_that_we_did_not_ask_for() {
    let modest = Config { extended_next_hop: false, graceful_restart: None, ..config() };
    let open = Open { capabilities: everything(), ..plain() };
    let judged = negotiate(&modest, &open).unwrap();
    assert_eq!((judged.extended_next_hop, judged.notification), (false, false));
    assert_eq!((judged.preserved, judged.graceful_restart), ([].into(), Some(theirs())));
}

#[test]
fn refused_opens_name_code_subcode_and_data_and_say_why() {
    let ipv6_only = Config { families: [Family::IPV6_UNICAST].into(), ..config() };
    let internal = Config { peer_as: Asn(65001), ..config() };
    let ours = Ipv4Addr::new(192, 0, 2, 1);
    let cases: [(&Config, Open, u8, &[u8], &str); 10] = [
        (&config(), Open { my_as: 65003, ..plain() }, 2, &[], "peer says AS 65003, configured 65002"),
        (&config(), with_as(65002, 70000), 2, &[], "peer says AS 70000, configured 65002"),
        (&config(), Open { my_as: 0, ..plain() }, 2, &[], "peer says AS 0"),
        (&config(), with_as(0, 65002), 2, &[], "peer says AS 0"),
        (&config(), with_as(65002, 0), 2, &[], "peer says AS 0"),
        (
            &config(),
            Open { hold_time: 1, ..plain() },
            6,
            &[],
            "peer offers a hold time of 1 s, which must be 0 or at least 3",
        ),
        (
            &config(),
            Open { hold_time: 2, ..plain() },
            6,
            &[],
            "peer offers a hold time of 2 s, which must be 0 or at least 3",
        ),
        (
            &config(),
            Open { identifier: Ipv4Addr::UNSPECIFIED, ..plain() },
            3,
            &[],
            "peer says BGP identifier 0.0.0.0",
        ),
        (
            &internal,
            Open { my_as: 65001, identifier: ours, ..plain() },
            3,
            &[],
            "peer says BGP identifier 192.0.2.1, which is ours",
        ),
        (&ipv6_only, plain(), 7, &[1, 4, 0, 2, 0, 1], "peer offers none of the configured address families"),
    ];
    for (config, open, subcode, data, words) in cases {
        let error = negotiate(config, &open).unwrap_err();
        let expected = Notification { code: 2, subcode, data: Bytes::copy_from_slice(data) };
        assert_eq!((error.notification(), error.to_string().as_str()), (expected, words), "{open:?}");
    }
}

#[test]
fn our_identifier_in_another_autonomous_system_is_a_coincidence() {
    let open = Open { identifier: Ipv4Addr::new(192, 0, 2, 1), ..plain() };
    assert_eq!(negotiate(&config(), &open).map(|it| it.peering), Ok(Peering::External));
}

#[test]
fn a_four_octet_number_counts_whatever_stands_in_two_octets() {
    let configured = Config { peer_as: Asn(4_200_000_000), ..config() };
    let judged = negotiate(&configured, &with_as(23456, 4_200_000_000)).unwrap();
    assert_eq!((judged.peer_as, judged.as_numbers), (Asn(4_200_000_000), AsNumbers::FourOctets));
}

#[test]
fn zero_is_the_smaller_hold_time() {
    let judged = negotiate(&config(), &Open { hold_time: 0, ..plain() }).unwrap();
    assert_eq!(judged.hold_time.duration(), None);
}

#[test]
fn the_offer_names_everything_that_we_do() {
    let config = Config { local_as: Asn(4_200_000_000), ..config() };
    let expected = Open {
        my_as: 23456,
        hold_time: 9,
        identifier: Ipv4Addr::new(192, 0, 2, 1),
        capabilities: vec![
            Capability::MultiProtocol(Family::IPV4_UNICAST),
            Capability::MultiProtocol(Family::IPV6_UNICAST),
            Capability::RouteRefresh,
            Capability::ExtendedNextHop(vec![(Family::IPV4_UNICAST, 2)]),
            Capability::GracefulRestart(GracefulRestart {
                restarting: true,
                notification: true,
                restart_time: 120,
                families: vec![(Family::IPV4_UNICAST, true), (Family::IPV6_UNICAST, true)],
            }),
            Capability::FourOctetAs(Asn(4_200_000_000)),
            Capability::EnhancedRouteRefresh,
        ],
    };
    assert_eq!(offer(&config, true), expected);
}

#[test]
fn without_graceful_restart_the_offer_promises_end_of_rib_and_nothing_else() {
    let config = Config { graceful_restart: None, extended_next_hop: false, ..config() };
    let expected = vec![
        Capability::MultiProtocol(Family::IPV4_UNICAST),
        Capability::MultiProtocol(Family::IPV6_UNICAST),
        Capability::RouteRefresh,
        Capability::GracefulRestart(GracefulRestart::default()),
        Capability::FourOctetAs(Asn(65001)),
        Capability::EnhancedRouteRefresh,
    ];
    assert_eq!(offer(&config, true).capabilities, expected);
}

fn config() -> Config {
    Config {
        local_as: Asn(65001),
        peer_as: Asn(65002),
        identifier: Ipv4Addr::new(192, 0, 2, 1),
        hold_time: HoldTime::new(9).unwrap(),
        keepalive: None,
        families: [Family::IPV4_UNICAST, Family::IPV6_UNICAST].into(),
        extended_next_hop: true,
        graceful_restart: Some(Restart { time: 120, forwarding_preserved: true }),
        connect_retry: ConnectRetry::default(),
        send_hold: SendHold::Fixed(Duration::from_secs(60)),
        bfd: Bfd::Followed,
    }
}

fn plain() -> Open {
    Open { my_as: 65002, hold_time: 90, identifier: Ipv4Addr::new(192, 0, 2, 254), capabilities: vec![] }
}

fn with_as(two: u16, four: u32) -> Open {
    Open { my_as: two, capabilities: vec![Capability::FourOctetAs(Asn(four))], ..plain() }
}

fn theirs() -> GracefulRestart {
    GracefulRestart { notification: true, restart_time: 300, ..GracefulRestart::default() }
}

fn everything() -> Vec<Capability> {
    vec![
        Capability::MultiProtocol(Family::IPV4_UNICAST),
        Capability::MultiProtocol(Family::IPV6_UNICAST),
        Capability::MultiProtocol(Family { afi: 25, safi: 70 }),
        Capability::RouteRefresh,
        Capability::ExtendedNextHop(vec![(Family::IPV4_UNICAST, 2)]),
        Capability::GracefulRestart(theirs()),
        Capability::FourOctetAs(Asn(65002)),
        Capability::EnhancedRouteRefresh,
        Capability::Unknown { code: 200, value: Bytes::from_static(&[1, 2, 3]) },
    ]
}

//! What holds for any octets: an answer, of the RFCs' codes, within the message; and that what is written reads back.

use bytes::{Bytes, BytesMut};
use ipnet::IpNet;
use proptest::collection::vec;
use proptest::prelude::*;
use vipcast_proto::bgp::types::{
    Asn, Attributes, Capability, Family, GracefulRestart, Message, NextHop, Notification, Open, RouteRefresh,
};
use vipcast_proto::bgp::wire::update::{announce, withdraw};
use vipcast_proto::bgp::wire::{AsNumbers, Decoder, Parameters, Refused, encode};

use crate::support::{hex, message};

fn parameters() -> impl Strategy<Value = Parameters> {
    any::<(bool, bool, bool, bool)>().prop_map(
        |(four, external, extended_next_hop, enhanced_route_refresh)| {
            let as_numbers = if four { AsNumbers::FourOctets } else { AsNumbers::TwoOctets };
            Parameters { as_numbers, external, extended_next_hop, enhanced_route_refresh }
        },
    )
}

/// Codes and subcodes that the decoder may answer with, each with whether its Data is right.
fn is_by_the_book(refused: &Notification, octets: &[u8]) -> bool {
    let data = &*refused.data;
    match (refused.code, refused.subcode) {
        (1, 1) | (2, 0 | 4) | (3, 1 | 10 | 11) => data.is_empty(),
        (1, 2) => data == &octets[16..18],
        (1, 3) => data == &octets[18..19],
        (2, 1) => data == [0, 4],
        // The attribute as it was received.
        (3, 2 | 4 | 5 | 6 | 8 | 9) => {
            data.len() >= 3 && octets.windows(data.len()).any(|window| window == data)
        }
        (7, 1) => data == octets,
        _ => false,
    }
}

fn decode(parameters: Parameters, octets: &[u8]) -> Result<Option<Message>, Refused> {
    let mut decoder = Decoder::new();
    decoder.set(parameters);
    decoder.decode(&mut BytesMut::from(octets))
}

#[track_caller]
fn check(parameters: Parameters, octets: &[u8]) -> Result<(), TestCaseError> {
    match decode(parameters, octets) {
        Ok(Some(Message::Update(update))) => {
            // A route takes an octet or more.
            prop_assert!(update.announced + update.withdrawn <= octets.len());
            prop_assert!(!(update.treated_as_withdraw && update.announced > 0));
        }
        Ok(_) => {}
        Err(refused) => {
            prop_assert!(
                is_by_the_book(&refused.notification(), octets),
                "{refused}: {:?}",
                refused.notification()
            );
            prop_assert!(!refused.to_string().is_empty());
        }
    }
    Ok(())
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..600)
}

/// A path attribute whose type we know more often than not, with a length that is right more often than not.
fn any_attribute() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![1..=10_u8, 14..=18_u8, Just(25), Just(32), any::<u8>()];
    let flags = prop_oneof![Just(0x40), Just(0x80), Just(0xc0), any::<u8>()];
    let value = prop_oneof![vec(any::<u8>(), 0..30), vec(0..3_u8, 0..30)];
    (flags, code, value, prop_oneof![9 => Just(0_i8), 1 => any::<i8>()]).prop_map(
        |(flags, code, value, skew)| {
            let length = i32::try_from(value.len()).unwrap().saturating_add(skew.into()).max(0) as u16;
            let length = if flags & 0x10 == 0 { vec![length as u8] } else { length.to_be_bytes().to_vec() };
            [&[flags, code][..], &length, &value].concat()
        },
    )
}

fn any_update() -> impl Strategy<Value = Vec<u8>> {
    let prefixes = || vec(any::<[u8; 4]>().prop_map(|[a, b, c, d]| [24 + d % 9, a, b, c]), 0..4);
    (prefixes(), vec(any_attribute(), 0..8), prefixes()).prop_map(|(withdrawn, attributes, nlri)| {
        let (withdrawn, attributes) = (withdrawn.concat(), attributes.concat());
        let sized = |field: &[u8]| [&(field.len() as u16).to_be_bytes(), field].concat();
        message(2, &[sized(&withdrawn), sized(&attributes), nlri.concat()].concat())
    })
}

fn any_prefix() -> impl Strategy<Value = IpNet> {
    prop_oneof![
        (any::<[u8; 4]>(), 0..=32_u8).prop_map(|(address, bits)| IpNet::new(address.into(), bits).unwrap()),
        (any::<[u8; 16]>(), 0..=128_u8).prop_map(|(address, bits)| IpNet::new(address.into(), bits).unwrap()),
    ]
}

fn any_attributes() -> impl Strategy<Value = Attributes> {
    let next_hop = prop_oneof![
        (1..127_u8, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| NextHop::V4([a, b, c, d].into())),
        (any::<u128>(), any::<Option<u128>>()).prop_map(|(address, link_local)| NextHop::V6 {
            address: address.into(),
            link_local: link_local.map(Into::into)
        }),
    ];
    let as_path = vec((1..=u32::MAX).prop_map(Asn), 0..300);
    let communities =
        (vec(any::<u32>(), 0..100), vec(any::<[u8; 8]>(), 0..50), vec(any::<[u32; 3]>(), 0..30));
    (as_path, next_hop, any::<Option<u32>>(), any::<u32>(), communities).prop_map(
        |(as_path, next_hop, med, local_pref, (communities, extended_communities, large_communities))| {
            Attributes {
                as_path,
                next_hop,
                med,
                local_pref: Some(local_pref),
                communities,
                extended_communities,
                large_communities,
            }
        },
    )
}

fn any_family() -> impl Strategy<Value = Family> {
    any::<(u16, u8)>().prop_map(|(afi, safi)| Family { afi, safi })
}

fn any_capability() -> impl Strategy<Value = Capability> {
    let restart = (any::<(bool, bool)>(), 0..4096_u16, vec((any_family(), any::<bool>()), 0..60));
    let unknown = (any::<u8>(), vec(any::<u8>(), 0..256));
    prop_oneof![
        any_family().prop_map(Capability::MultiProtocol),
        Just(Capability::RouteRefresh),
        vec((any_family(), any::<u16>()), 0..40).prop_map(Capability::ExtendedNextHop),
        restart.prop_map(|((restarting, notification), restart_time, families)| {
            Capability::GracefulRestart(GracefulRestart { restarting, notification, restart_time, families })
        }),
        any::<u32>().prop_map(|asn| Capability::FourOctetAs(Asn(asn))),
        Just(Capability::EnhancedRouteRefresh),
        unknown
            .prop_filter("known", |(code, _)| ![1, 2, 5, 64, 65, 70].contains(code))
            .prop_map(|(code, value)| Capability::Unknown { code, value: value.into() }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_octets_are_answered(octets in vec(any::<u8>(), 0..200), parameters in parameters()) {
        check(parameters, &octets)?;
        check(parameters, &[&[0xff; 16][..], &octets].concat())?;
    }

    #[test]
    fn any_body_is_answered(message_type in 1..=5_u8, body in any_body(), parameters in parameters()) {
        let octets = message(message_type, &body);
        check(parameters, &octets)?;
        let open = message(1, &[&hex("04 fde9 005a c0000201")[..], &body].concat());
        check(parameters, &open)?;
    }

    #[test]
    fn any_attributes_are_answered(octets in any_update(), parameters in parameters()) {
        check(parameters, &octets)?;
    }

    #[test]
    fn any_flipped_bit_is_answered(
        octets in any_update(), at in any::<prop::sample::Index>(), bit in 0..8_u8, parameters in parameters(),
    ) {
        let mut octets = octets;
        let at = at.index(octets.len());
        octets[at] ^= 1 << bit;
        check(parameters, &octets)?;
    }

    /// The whole message at once or octet by octet: the answer is the same, and comes no later.
    #[test]
    fn the_answer_does_not_depend_on_how_octets_arrive(octets in any_update(), parameters in parameters()) {
        let (answer, _) = crate::support::feed(parameters, &octets);
        let whole = decode(parameters, &octets).map_err(|refused| refused.notification()).transpose();
        prop_assert_eq!(answer, whole);
    }

    #[test]
    fn any_open_reads_as_it_is_written(
        my_as: u16, hold_time: u16, identifier: [u8; 4], capabilities in vec(any_capability(), 0..12),
    ) {
        let open = Open { my_as, hold_time, identifier: identifier.into(), capabilities };
        let mut octets = BytesMut::new();
        encode::open(&open, &mut octets);
        prop_assert!(octets.len() <= 4096);
        prop_assert_eq!(decode(Parameters::default(), &octets), Ok(Some(Message::Open(open))));
    }

    #[test]
    fn any_notification_reads_as_it_is_written(code: u8, subcode: u8, data in vec(any::<u8>(), 0..4075)) {
        let said = Notification { code, subcode, data: Bytes::from(data) };
        let mut octets = BytesMut::new();
        encode::notification(&said, &mut octets);
        prop_assert!(!said.to_string().is_empty());
        prop_assert_eq!(decode(Parameters::default(), &octets), Ok(Some(Message::Notification(said))));
    }

    #[test]
    fn any_refresh_reads_as_it_is_written(family in any_family(), subtype: u8) {
        let refresh = RouteRefresh { family, subtype };
        let mut octets = BytesMut::new();
        encode::route_refresh(&refresh, &mut octets);
        let parameters = Parameters { enhanced_route_refresh: true, ..Parameters::default() };
        prop_assert_eq!(decode(parameters, &octets), Ok(Some(Message::RouteRefresh(refresh))));
    }

    #[test]
    fn any_routes_read_back_without_a_flaw(
        attributes in any_attributes(), prefixes in vec(any_prefix(), 0..900), four: bool,
    ) {
        let as_numbers = if four { AsNumbers::FourOctets } else { AsNumbers::TwoOctets };
        let parameters = Parameters { as_numbers, extended_next_hop: true, ..Parameters::default() };
        let mut octets = BytesMut::new();
        let updates = announce(&attributes, as_numbers, prefixes.iter().copied(), &mut octets).unwrap();
        let reachable = |prefix: &&IpNet| matches!((prefix, attributes.next_hop), (IpNet::V4(_), _) | (_, NextHop::V6 { .. }));
        let routes = prefixes.iter().filter(reachable).count();
        prop_assert_eq!(totals(octets, parameters)?, (updates, routes, 0));

        let mut octets = BytesMut::new();
        let updates = withdraw(prefixes.iter().copied(), &mut octets);
        prop_assert_eq!(totals(octets, parameters)?, (updates, 0, prefixes.len()));
    }
}

/// UPDATEs, routes announced, routes withdrawn.
fn totals(mut octets: BytesMut, parameters: Parameters) -> Result<(usize, usize, usize), TestCaseError> {
    let mut decoder = Decoder::new();
    decoder.set(parameters);
    let mut totals = (0, 0, 0);
    while let Some(message) =
        decoder.decode(&mut octets).map_err(|refused| TestCaseError::fail(refused.to_string()))?
    {
        let Message::Update(update) = message else { return Err(TestCaseError::fail("no UPDATE")) };
        prop_assert!(!update.treated_as_withdraw && update.attributes_discarded == 0);
        totals = (totals.0 + 1, totals.1 + update.announced, totals.2 + update.withdrawn);
    }
    prop_assert!(octets.is_empty());
    Ok(totals)
}

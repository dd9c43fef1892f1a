//! What an announcement says, so that the same can be asked of each reader.

use std::net::Ipv6Addr;

use bytes::BytesMut;
use ipnet::IpNet;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use vipcast_proto::bgp::types::{
    Asn, Attributes, Capability, Family, GracefulRestart, Message, NextHop, Open, Update,
};
use vipcast_proto::bgp::wire::update::{announce, withdraw};
use vipcast_proto::bgp::wire::{AsNumbers, Decoder, Parameters, encode};

/// Routes with one set of attributes, and which side of them one UPDATE, or several, are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Said {
    pub(crate) attributes: Option<Attributes>,
    pub(crate) announced: Vec<IpNet>,
    pub(crate) withdrawn: Vec<IpNet>,
}

/// No attribute at all.
pub(crate) fn nothing() -> Attributes {
    Attributes {
        as_path: vec![],
        next_hop: NextHop::V4([0, 0, 0, 0].into()),
        med: None,
        local_pref: None,
        communities: vec![],
        extended_communities: vec![],
        large_communities: vec![],
    }
}

/// Each message of a stream, by the length in its header.
pub(crate) fn messages(mut octets: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while !octets.is_empty() {
        let (message, rest) = octets.split_at(usize::from(octets[16]) << 8 | usize::from(octets[17]));
        messages.push(message);
        octets = rest;
    }
    messages
}

/// UPDATEs of ours that announce and then withdraw the routes.
pub(crate) fn written(said: &Said, as_numbers: AsNumbers) -> (BytesMut, BytesMut) {
    let (mut announcements, mut withdrawals) = (BytesMut::new(), BytesMut::new());
    let attributes = said.attributes.as_ref().unwrap();
    announce(attributes, as_numbers, said.announced.iter().copied(), &mut announcements).unwrap();
    withdraw(said.announced.iter().copied(), &mut withdrawals);
    (announcements, withdrawals)
}

pub(crate) fn written_open(open: &Open) -> BytesMut {
    let mut octets = BytesMut::new();
    encode::open(open, &mut octets);
    octets
}

/// What we read in one message.
pub(crate) fn ours(parameters: Parameters, octets: &[u8]) -> Message {
    let mut decoder = Decoder::new();
    decoder.set(parameters);
    decoder.decode(&mut BytesMut::from(octets)).unwrap().unwrap()
}

/// That there is nothing wrong with any of it.
pub(crate) fn is_flawless(message: &Message) -> bool {
    let wrong = |update: &Update| update.treated_as_withdraw || update.attributes_discarded > 0;
    matches!(message, Message::Update(update) if !wrong(update))
}

fn ipv4() -> impl Strategy<Value = IpNet> {
    (1..=223_u8, any::<[u8; 3]>(), 24..=32_u8)
        .prop_map(|(a, [b, c, d], bits)| IpNet::new([a, b, c, d].into(), bits).unwrap().trunc())
}

fn ipv6() -> impl Strategy<Value = IpNet> {
    (any::<u64>(), 32..=128_u8).prop_map(|(low, bits)| {
        let address = Ipv6Addr::from(0x2001_0db8 << 96 | u128::from(low));
        IpNet::new(address.into(), bits).unwrap().trunc()
    })
}

fn unicast() -> impl Strategy<Value = Ipv6Addr> {
    any::<u64>().prop_map(|low| Ipv6Addr::from(0x2001_0db8_0000_0001 << 64 | u128::from(low)))
}

fn link_local() -> impl Strategy<Value = Ipv6Addr> {
    any::<u64>().prop_map(|low| Ipv6Addr::from(0xfe80 << 112 | u128::from(low)))
}

/// Attributes and routes as a speaker of Virtual IPs has them, and more of each.
pub(crate) fn said(asns: std::ops::RangeInclusive<u32>) -> impl Strategy<Value = Said> {
    let by_ipv4 =
        (any::<[u8; 3]>().prop_map(|[b, c, d]| NextHop::V4([10, b, c, d].into())), vec(ipv4(), 1..900));
    let by_ipv6 = (
        (unicast(), option::of(link_local()))
            .prop_map(|(address, link_local)| NextHop::V6 { address, link_local }),
        vec(prop_oneof![ipv4(), ipv6()], 1..600),
    );
    let routes = prop_oneof![by_ipv4.boxed(), by_ipv6.boxed()];
    let communities = (
        btree_set(any::<u32>(), 0..80),
        // Two-octet AS specific, opaque, and link bandwidth.
        btree_set((prop_oneof![Just([0_u8, 2]), Just([3, 11]), Just([0x40, 4])], any::<[u8; 6]>()), 0..40),
        btree_set(any::<[u32; 3]>(), 0..30),
    );
    let path = vec(asns, 0..20);
    (routes, path, any::<Option<u32>>(), any::<Option<u32>>(), communities).prop_map(
        |((next_hop, announced), as_path, med, local_pref, (communities, extended, large))| {
            let extended = extended.into_iter().map(|([a, b], [c, d, e, f, g, h])| [a, b, c, d, e, f, g, h]);
            let attributes = Attributes {
                as_path: as_path.into_iter().map(Asn).collect(),
                next_hop,
                med,
                local_pref,
                communities: communities.into_iter().collect(),
                extended_communities: extended.collect(),
                large_communities: large.into_iter().collect(),
            };
            Said { attributes: Some(attributes), announced, withdrawn: vec![] }
        },
    )
}

/// What a speaker of ours may say of itself.
pub(crate) fn open() -> impl Strategy<Value = Open> {
    let restart = (any::<(bool, bool)>(), 0..4096_u16, vec((family(), any::<bool>()), 0..3)).prop_map(
        |((restarting, notification), restart_time, families)| {
            Capability::GracefulRestart(GracefulRestart { restarting, notification, restart_time, families })
        },
    );
    let capability = prop_oneof![
        family().prop_map(Capability::MultiProtocol),
        Just(Capability::RouteRefresh),
        Just(Capability::ExtendedNextHop(vec![(Family::IPV4_UNICAST, 2)])),
        (1..=u32::MAX).prop_map(|asn| Capability::FourOctetAs(Asn(asn))),
        restart,
        Just(Capability::EnhancedRouteRefresh),
    ];
    // Identifiers as they were before RFC 6286: netgauze wants them so.
    (1..=u16::MAX, 3..=u16::MAX, 0x0100_0000..0xe000_0000_u32, vec(capability, 0..8)).prop_map(
        |(my_as, hold_time, identifier, capabilities)| Open {
            my_as,
            hold_time,
            identifier: identifier.into(),
            capabilities,
        },
    )
}

fn family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::IPV4_UNICAST), Just(Family::IPV6_UNICAST)]
}

//! How many UPDATEs and octets it takes: the least that 4096 octets to a message allow.

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::{Bytes, BytesMut};
use ipnet::IpNet;
use vipcast_proto::bgp::types::{Asn, Attributes, Family, Message};
use vipcast_proto::bgp::wire::update::{TooLong, announce, end_of_rib, withdraw};
use vipcast_proto::bgp::wire::{AsNumbers, Decoder, Parameters};

use crate::support::{EXTERNAL, INTERNAL};
use crate::vectors::{attributes, v6};

const FULL: u32 = 100_000;

fn ipv4(routes: u32) -> impl Iterator<Item = IpNet> {
    (0..routes).map(|n| IpNet::from(std::net::IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + n))))
}

fn ipv6(routes: u32) -> impl Iterator<Item = IpNet> {
    (0..routes).map(|n| IpNet::from(std::net::IpAddr::V6(Ipv6Addr::from(0x2001_0db8 << 96 | u128::from(n)))))
}

/// UPDATEs, octets of all, octets of the first.
type Size = (usize, usize, u16);

fn size((updates, octets): (usize, Bytes)) -> Size {
    (updates, octets.len(), u16::from_be_bytes([octets[16], octets[17]]))
}

fn announcement(attributes: &Attributes, prefixes: impl Iterator<Item = IpNet>) -> (usize, Bytes) {
    let mut octets = BytesMut::new();
    let updates = announce(attributes, AsNumbers::FourOctets, prefixes, &mut octets).unwrap();
    (updates, octets.freeze())
}

fn withdrawal(prefixes: impl Iterator<Item = IpNet>) -> (usize, Bytes) {
    let mut octets = BytesMut::new();
    let updates = withdraw(prefixes, &mut octets);
    (updates, octets.freeze())
}

#[test]
fn a_hundred_thousand_routes_take_the_least_octets() {
    let link_local = Some("fe80::1".parse().unwrap());
    let extended = Attributes { next_hop: v6(None), ..attributes() };
    let with_link_local = Attributes { next_hop: v6(link_local), ..attributes() };
    let internal = Attributes { as_path: vec![], local_pref: Some(100), ..attributes() };
    let coloured = Attributes { med: Some(1), communities: vec![1], ..attributes() };
    for (what, size, expected) in [
        ("IPv4, external", size(announcement(&attributes(), ipv4(FULL))), (124, 505_332, 4093)),
        ("IPv4, MED and a community", size(announcement(&coloured, ipv4(FULL))), (124, 507_068, 4092)),
        ("IPv4, internal", size(announcement(&internal, ipv4(FULL))), (124, 505_456, 4094)),
        ("IPv4 by IPv6", size(announcement(&extended, ipv4(FULL))), (124, 507_564, 4096)),
        ("IPv6, external", size(announcement(&extended, ipv6(FULL))), (422, 1_725_742, 4090)),
        ("IPv6, link-local", size(announcement(&with_link_local, ipv6(FULL))), (424, 1_732_648, 4089)),
        ("IPv4 withdrawals", size(withdrawal(ipv4(FULL))), (123, 502_829, 4093)),
        ("IPv6 withdrawals", size(withdrawal(ipv6(FULL))), (419, 1_712_570, 4093)),
    ] {
        assert_eq!(size, expected, "{what}");
    }
}

#[test]
fn a_million_routes_take_the_least_octets() {
    assert_eq!(size(announcement(&attributes(), ipv4(1_000_000))), (1_235, 5_053_105, 4093));
    let by_ipv6 = Attributes { next_hop: v6(None), ..attributes() };
    assert_eq!(size(announcement(&by_ipv6, ipv6(1_000_000))), (4_220, 17_257_420, 4090));
}

#[test]
fn end_of_rib_takes_what_rfc_4724_says() {
    let octets = |family| {
        let mut octets = BytesMut::new();
        end_of_rib(family, &mut octets);
        octets.len()
    };
    assert_eq!((octets(Family::IPV4_UNICAST), octets(Family::IPV6_UNICAST)), (23, 30));
}

#[test]
fn one_route_more_begins_another_update() {
    for (routes, updates, octets) in
        [(0, 0, 0), (1, 1, 48), (809, 1, 4088), (810, 1, 4093), (811, 2, 4141), (1620, 2, 8186)]
    {
        let (found, written) = announcement(&attributes(), ipv4(routes));
        assert_eq!((found, written.len()), (updates, octets), "{routes} routes");
    }
}

#[test]
fn what_is_packed_reads_back_message_by_message() {
    let read = |octets: &Bytes, parameters: Parameters| {
        let mut decoder = Decoder::new();
        decoder.set(parameters);
        let mut buffer = BytesMut::from(&octets[..]);
        let mut totals = (0, 0, 0);
        while let Some(message) = decoder.decode(&mut buffer).unwrap() {
            let Message::Update(update) = message else { panic!("{message:?}") };
            assert!(!update.treated_as_withdraw && update.attributes_discarded == 0, "{update:?}");
            totals = (totals.0 + 1, totals.1 + update.announced, totals.2 + update.withdrawn);
        }
        assert!(buffer.is_empty());
        totals
    };
    let extended = Parameters { extended_next_hop: true, ..EXTERNAL };
    let by_ipv6 = Attributes { next_hop: v6(None), ..attributes() };
    let mixed = || ipv4(2000).chain(ipv6(1000));
    assert_eq!(read(&announcement(&attributes(), ipv4(FULL)).1, EXTERNAL), (124, 100_000, 0));
    assert_eq!(read(&announcement(&by_ipv6, mixed()).1, extended), (3 + 5, 3000, 0));
    assert_eq!(read(&withdrawal(mixed()).1, INTERNAL), (3 + 5, 0, 3000));
}

#[test]
fn attributes_that_leave_no_room_are_refused_before_anything_is_written() {
    let crowded = |communities| Attributes { communities: vec![1; communities], ..attributes() };
    let mut octets = BytesMut::from("before");
    // 43 and 4 and four times 1008 are 4079: with the longest prefix 4096.
    assert_eq!(announce(&crowded(1008), AsNumbers::FourOctets, ipv4(2), &mut octets), Ok(1));
    octets.truncate(6);
    assert_eq!(
        announce(&crowded(1009), AsNumbers::FourOctets, ipv4(2), &mut octets)
            .map_err(|e: TooLong| e.to_string()),
        Err("path attributes of 4083 octets leave no room for a route in an UPDATE".to_owned())
    );
    assert_eq!(octets, "before");
    let endless = Attributes { as_path: vec![Asn(1); 100_000], ..attributes() };
    assert!(announce(&endless, AsNumbers::TwoOctets, ipv4(1), &mut octets).is_err());
    assert_eq!(octets, "before");
}
